//! Text in XML, which cannot hold every character.

/// An element's text as XML holds it; characters that XML 1.0 cannot hold become U+FFFD. Quotes stay as they are, as S3
/// writes them.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c if unwritable(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text with U+FFFD for each character that XML cannot hold, for texts that repeat a client's words: s3s answers
/// 500 to everything else.
pub(crate) fn writable(text: String) -> String {
    if text.contains(unwritable) { text.replace(unwritable, "\u{fffd}") } else { text }
}

/// Whether XML 1.0 cannot hold this character, not even as a reference (section 2.2, production 2).
pub(crate) fn unwritable(c: char) -> bool {
    (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
}
