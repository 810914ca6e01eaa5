//! Idempotency keys: a repeated request makes one object (draft-ietf-httpapi-idempotency-key-header).

use std::time::Duration;

use super::address::Tenant;
use super::blob::Hash;
use super::invalid::Invalid;
use super::object::ObjectId;
use super::timestamp::Timestamp;

/// For how long a key is remembered: longer than any client repeats a request.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Most keys that are remembered of one tenant.
pub const KEYS_MAX: u64 = 10_000;

/// The name that a client gives to a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header's value: a string in quotes (RFC 8941), or the same without them, of 1 to 255 visible ASCII
    /// characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let fits = (1..=255).contains(&inner.len());
        if fits && inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            Ok(Self(inner.to_owned()))
        } else {
            let rule = "must be 1 to 255 visible ASCII characters without quotes and backslashes";
            Err(Invalid::new("Idempotency-Key", rule))
        }
    }

    /// Without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request that must be done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Whose key it is.
    pub tenant: Tenant,
    /// Its key.
    pub key: IdempotencyKey,
    /// The SHA-256 of all that it asks for.
    pub fingerprint: Hash,
}

/// What is remembered of the first request with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// The SHA-256 of all that it asked for.
    pub fingerprint: Hash,
    /// The object that it made.
    pub object: ObjectId,
    /// When.
    pub at: Timestamp,
}

/// What a request with a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first one, or the first one after [`KEPT`].
    First,
    /// The same again: it has made this object.
    Repeat(ObjectId),
    /// Another one under the same key.
    Other,
}

/// Decides what a request is, after the one that is remembered, if any is.
pub fn judge(first: Option<&First>, fingerprint: &Hash, now: Timestamp) -> Verdict {
    match first.filter(|first| is_kept(first, now)) {
        None => Verdict::First,
        Some(first) if first.fingerprint == *fingerprint => Verdict::Repeat(first.object),
        Some(_) => Verdict::Other,
    }
}

/// Whether a first request still counts.
pub fn is_kept(first: &First, now: Timestamp) -> bool {
    first.at > now.minus(KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded() {
        for (text, key) in [("\"a-1\"", Some("a-1")), ("a-1", Some("a-1")), (" \"a\" ", Some("a"))] {
            assert_eq!(IdempotencyKey::parse(text).ok().as_ref().map(IdempotencyKey::as_str), key);
        }
        for text in ["", "\"\"", "a b", "a\"b", "a\\b", "ü", "\"a", &"k".repeat(256)] {
            assert!(IdempotencyKey::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_repetition_is_known_by_what_it_asks_for() {
        let (asked, other) = (Hash::of(b"1"), Hash::of(b"2"));
        let object = ObjectId::fresh(Timestamp(0));
        let first = First { fingerprint: asked, object, at: Timestamp(1000) };
        let day = i64::try_from(KEPT.as_millis()).unwrap_or_default();
        assert_eq!(judge(None, &asked, Timestamp(0)), Verdict::First);
        assert_eq!(judge(Some(&first), &asked, Timestamp(999 + day)), Verdict::Repeat(object));
        assert_eq!(judge(Some(&first), &other, Timestamp(999 + day)), Verdict::Other);
        assert_eq!(judge(Some(&first), &other, Timestamp(1000 + day)), Verdict::First);
    }
}
