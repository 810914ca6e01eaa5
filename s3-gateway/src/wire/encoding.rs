//! Character encodings of documents: UTF-8 and UTF-16 (XML 1.0, section 4.3.3 and appendix F), with or without byte
//! order mark, and the two single-byte encodings that a declaration may name.

use std::borrow::Cow;

/// The text of a document, or the reason why it cannot be decoded.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        // `<` without a mark.
        [0, b'<', ..] => utf16(bytes, u16::from_be_bytes),
        [b'<', 0, ..] => utf16(bytes, u16::from_le_bytes),
        _ => match declared(bytes).as_deref() {
            // Writers of strings say UTF-16 of what is then sent as UTF-8: the bytes say which it is.
            None | Some("utf-8" | "utf8" | "us-ascii" | "ascii" | "utf-16") => utf8(bytes),
            Some("iso-8859-1" | "latin1") => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Some(_) => Err("its encoding is neither UTF-8 nor UTF-16"),
        },
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| "it is not the UTF-8 that it should be")
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Result<Cow<'static, str>, &'static str> {
    const BAD: &str = "it is not the UTF-16 that it should be";
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(BAD);
    }
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).collect::<Result<String, _>>().map(Cow::Owned).map_err(|_| BAD)
}

/// The encoding that the declaration names, in lower case.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(200))?;
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let declaration = std::str::from_utf8(head.get(..end)?).ok()?.strip_prefix("<?xml")?;
    let (_, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (name, _) = rest[1..].split_once(quote)?;
    Some(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn utf16_bytes(text: &str, unit: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn every_encoding_reads_the_same() {
        let text = "<a>ä😀</a>";
        let little = |text: &str| utf16_bytes(text, u16::to_le_bytes);
        let big = |text: &str| utf16_bytes(text, u16::to_be_bytes);
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            little(text),
            big(text),
            little(&format!("\u{feff}{text}")),
            big(&format!("\u{feff}{text}")),
        ] {
            assert_eq!(decode(&bytes).unwrap(), text, "{bytes:?}");
        }
        let latin = b"<?xml version='1.0' encoding = 'ISO-8859-1'?><a>\xe4</a>";
        assert!(decode(latin).unwrap().ends_with("<a>ä</a>"));
        let said = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>";
        assert_eq!(decode(said.as_bytes()).unwrap(), said);
    }

    #[test]
    fn bytes_that_are_not_their_encoding_are_refused() {
        for bytes in [
            &b"<a>\xff</a>"[..],
            b"\xef\xbb\xbf<a>\xc3</a>",
            b"\xff\xfe<\0a",
            b"\xff\xfe\x00\xd8<\x00",
            b"<?xml version=\"1.0\" encoding=\"EBCDIC-CP-US\"?><a/>",
        ] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
