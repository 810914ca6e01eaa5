//! Query strings, and a client's own text in a message.

use std::borrow::Cow;

/// A key and a value of a query string, decoded. What is not encoded is not copied.
pub(crate) type QueryPair<'q> = (Cow<'q, str>, Cow<'q, str>);

/// The keys and values of a query string.
pub(crate) fn query_pairs(query: &str) -> Vec<QueryPair<'_>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_query(key), decode_query(value))
        })
        .collect()
}

/// The same, of which the caller keeps something.
pub(crate) fn owned_pairs(query: &str) -> Vec<(String, String)> {
    query_pairs(query).into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn decode_query(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// A client's own text in a message: shortened, and without characters that XML cannot hold.
pub(crate) fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
