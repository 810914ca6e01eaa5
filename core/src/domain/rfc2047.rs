//! Header values beyond ASCII, as S3 sends them (RFC 2047; S3 User Guide, "User-defined object metadata").

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An encoded word is at most 75 characters: 63 of base64 between `=?UTF-8?B?` and `?=`, which is 45 bytes.
const WORD_BYTES_MAX: usize = 45;

/// A header value: the text itself if it is printable ASCII, else encoded words.
pub fn encode(value: &str) -> Cow<'_, str> {
    if value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(value);
    }
    let mut words: Vec<String> = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let mut end = rest.len().min(WORD_BYTES_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (word, behind) = rest.split_at(end);
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = behind;
    }
    Cow::Owned(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_it_is_encoded() {
        assert_eq!(encode("plain text"), "plain text");
        assert_eq!(encode("größe"), "=?UTF-8?B?Z3LDtsOfZQ==?=");
    }

    #[test]
    fn words_stay_short_and_whole() {
        let long = "日本語".repeat(20);
        let encoded = encode(&long);
        let mut decoded = String::new();
        for word in encoded.split(' ') {
            assert!(word.len() <= 75);
            let inner = word.trim_start_matches("=?UTF-8?B?").trim_end_matches("?=");
            decoded += &String::from_utf8(STANDARD.decode(inner).unwrap_or_default()).unwrap_or_default();
        }
        assert_eq!(decoded, long);
    }
}
