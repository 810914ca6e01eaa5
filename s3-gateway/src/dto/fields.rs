//! Values of request headers as text.

use http::HeaderMap;

/// A header's value, if it is text and not empty.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).filter(|v| !v.is_empty())
}

/// All values of a header that may be given as a list, joined.
pub(crate) fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().filter_map(|value| std::str::from_utf8(value.as_bytes()).ok()).collect();
    Some(values.join(",")).filter(|joined| !joined.trim().is_empty())
}
