//! Entity tags: what clients compare, and what SDKs take for an MD5.

use std::fmt;

use md5::{Digest, Md5};

use super::blob::Hash;
use super::invalid::Invalid;
use super::naming::PartCount;

/// An MD5 digest, kept only because S3's entity tags are made of them.
pub type Md5Digest = [u8; 16];

/// The text of a strong entity tag, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Etag(String);

impl Etag {
    /// S3's tag of a single put: the MD5 of the bytes.
    pub fn md5(digest: &Md5Digest) -> Self {
        Self(hex::encode(digest))
    }

    /// S3's tag of a multipart object: the MD5 of the parts' MD5s, and their number.
    pub fn multipart<'a>(parts: impl IntoIterator<Item = &'a Md5Digest>) -> Self {
        let mut hasher = Md5::new();
        let mut count = 0;
        for part in parts {
            hasher.update(part);
            count += 1;
        }
        Self(format!("{}-{count}", hex::encode(hasher.finalize())))
    }

    /// A tag that costs no MD5: from the digest of the content's name. It ends in the number of parts, 1 if the content
    /// was put whole, so that no SDK takes it for an MD5 of the body.
    pub fn of_content(digest: Hash, parts: PartCount) -> Self {
        Self(format!("{}-{}", hex::encode(&digest.0[..16]), parts.0.max(1)))
    }

    /// Reads a tag from storage or from a client, with or without its quotes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        // RFC 9110 section 8.8.3: etagc is any visible character but the double quote.
        let visible = |b: u8| b == 0x21 || (0x23..=0x7e).contains(&b) || b >= 0x80;
        if inner.is_empty() || inner.len() > 128 || !inner.bytes().all(visible) {
            return Err(Invalid::new("etag", "must be a quoted entity tag"));
        }
        Ok(Self(inner.to_owned()))
    }

    /// The tag without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// With quotes, as in HTTP headers and S3's XML.
impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_the_forms_sdks_expect() {
        let md5: Md5Digest = Md5::digest(b"hello").into();
        assert_eq!(Etag::md5(&md5).to_string(), "\"5d41402abc4b2a76b9719d911017c592\"");
        assert!(Etag::multipart([&md5]).as_str().ends_with("-1"));
        assert!(Etag::multipart([&md5, &md5, &md5]).as_str().ends_with("-3"));
        let native = Etag::of_content(Hash::of(b"hello"), PartCount::NONE);
        assert_eq!(native.as_str(), "2cf24dba5fb0a30e26e83b2ac5b9e29e-1");
    }

    #[test]
    fn quotes_are_optional_when_read() {
        assert_eq!(Etag::parse("\"abc\""), Etag::parse("abc"));
        assert!(Etag::parse("").is_err());
        assert!(Etag::parse("a\"b").is_err());
        assert!(Etag::parse("a b").is_err());
    }
}
