//! The three-part address (namespace, tenant, key) and bucket names.

use std::fmt;
use std::sync::Arc;

use super::invalid::Invalid;

/// Longest key in bytes, as in S3 ("Naming Amazon S3 objects": at most 1024 bytes of UTF-8).
pub const KEY_BYTES_MAX: usize = 1024;

/// Longest namespace or tenant in bytes.
pub const NAME_BYTES_MAX: usize = 63;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Accepts `[a-z0-9][a-z0-9._-]{0,62}`.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                check_name($field, text)?;
                Ok(Self(text.into()))
            }

            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The first part of an address: which service or collection.
    Namespace,
    "namespace"
);
name!(
    /// The second part of an address: whose data. Tenants never see one another.
    Tenant,
    "tenant"
);

fn check_name(field: &'static str, text: &str) -> Result<(), Invalid> {
    let bytes = text.as_bytes();
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = bytes.first().is_some_and(alphanumeric)
        && bytes.len() <= NAME_BYTES_MAX
        && bytes.iter().all(|b| alphanumeric(b) || matches!(b, b'.' | b'_' | b'-'));
    if fits { Ok(()) } else { Err(Invalid::new(field, "must match [a-z0-9][a-z0-9._-]{0,62}")) }
}

/// The third part of an address: opaque bytes of UTF-8, kept verbatim and never mapped to a file path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Accepts 1 to 1024 bytes of UTF-8 without NUL (which PostgreSQL text cannot hold).
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new("key", "must not be empty"));
        }
        if text.len() > KEY_BYTES_MAX {
            return Err(Invalid::too_long("key", "must be at most 1024 bytes of UTF-8"));
        }
        if text.contains('\0') {
            return Err(Invalid::new("key", "must not contain NUL"));
        }
        Ok(Self(text.into()))
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Most prefixes of one credential: each request compares its key with all of them.
pub const KEY_PREFIXES_MAX: usize = 16;

/// The beginning of keys that a credential is bound to: `reports/` covers `reports/2026.csv`. Bytes, as keys are: without
/// a delimiter at its end, `reports` covers `reports-old` too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPrefix(Arc<str>);

impl KeyPrefix {
    /// Accepts 1 to 1024 bytes of UTF-8 without NUL, as a key has.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        match Key::new(text) {
            Ok(Key(text)) => Ok(Self(text)),
            Err(_) => Err(Invalid::new("prefixes", "must each be 1 to 1024 bytes of UTF-8 without NUL")),
        }
    }

    /// The text of the prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every key that begins with `text` begins with this prefix.
    pub fn covers(&self, text: &str) -> bool {
        text.starts_with(&*self.0)
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One (namespace, tenant) pair: the address of a space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceAddress {
    /// Which service or collection.
    pub namespace: Namespace,
    /// Whose data.
    pub tenant: Tenant,
}

impl SpaceAddress {
    /// The pair of the two.
    pub fn new(namespace: Namespace, tenant: Tenant) -> Self {
        Self { namespace, tenant }
    }
}

impl fmt::Display for SpaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.tenant)
    }
}

/// An S3 name for a space. Unique across the whole store, as bucket names are in S3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(Arc<str>);

impl BucketName {
    /// Accepts what S3 calls a valid general-purpose bucket name: 3 to 63 of `[a-z0-9.-]`, starting and
    /// ending alphanumeric, no `..`, not shaped like an IPv4 address, none of the reserved affixes. Each label
    /// must be one of a host name too (no `.-`), which S3 leaves open.
    /// Source: S3 User Guide, "General purpose bucket naming rules".
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let refuse = |reason: &'static str| Err(Invalid::new("bucket", reason));
        let bytes = text.as_bytes();
        let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        // One message: a name may break both rules, and is to be corrected once.
        if !(3..=63).contains(&bytes.len())
            || !bytes.iter().all(|b| alphanumeric(b) || matches!(b, b'.' | b'-'))
        {
            return refuse("must be 3 to 63 lower-case letters, digits, dots and hyphens");
        }
        if !(alphanumeric(&bytes[0]) && alphanumeric(&bytes[bytes.len() - 1])) {
            return refuse("must begin and end with a letter or digit");
        }
        if text.contains("..") {
            return refuse("must not contain two adjacent dots");
        }
        if text.contains(".-") || text.contains("-.") {
            return refuse("must not have a hyphen beside a dot: no host could have the name");
        }
        if text.parse::<std::net::Ipv4Addr>().is_ok() {
            return refuse("must not be formatted as an IP address");
        }
        let reserved_prefix = ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|p| text.starts_with(p));
        let reserved_suffix =
            ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|s| text.ends_with(s));
        if reserved_prefix || reserved_suffix {
            return refuse("must not use a prefix or suffix that S3 reserves");
        }
        Ok(Self(text.into()))
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The least text that is larger, by bytes, than every text with this prefix; `None` if there is none: for the empty prefix,
/// or one of nothing but the largest character. In terms of characters, since bytes of UTF-8 sort as the code points do.
pub fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_text() {
        for (prefix, after) in [
            ("", None),
            ("\u{10ffff}", None),
            ("a/", Some("a0")),
            ("a\u{10ffff}", Some("b")),
            ("é", Some("ê")),
            // Surrogates are no characters: the next one lies behind them.
            ("\u{d7ff}", Some("\u{e000}")),
        ] {
            assert_eq!(after_prefix(prefix).as_deref(), after, "{prefix:?}");
        }
        for prefix in ["a", "a/", "z~", "é", "\u{d7ff}"] {
            let above = after_prefix(prefix).unwrap();
            assert!(
                above > format!("{prefix}\u{10ffff}\u{10ffff}") && !above.starts_with(prefix),
                "{prefix}"
            );
        }
    }

    #[test]
    fn names_follow_the_pattern() {
        for good in ["a", "0", "models", "a.b_c-d", &"x".repeat(63)] {
            assert!(Namespace::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "_a", "A", "a/b", "a b", "ä", "a\0", &"x".repeat(64)] {
            assert_eq!(Tenant::new(bad).map_err(|e| e.field), Err("tenant"), "{bad}");
        }
    }

    #[test]
    fn keys_are_opaque_but_bounded() {
        for good in ["a", "../..", "//", "a+b%2F", "日本語", &"k".repeat(1024)] {
            assert_eq!(Key::new(good).map(|k| k.as_str().to_owned()), Ok(good.to_owned()));
        }
        for bad in ["", "a\0b", &"k".repeat(1025), &"é".repeat(513)] {
            assert!(Key::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prefixes_cover_what_begins_with_them() {
        let prefix = KeyPrefix::new("reports/").unwrap();
        for inside in ["reports/", "reports/a", "reports//a", "reports/\u{10ffff}"] {
            assert!(prefix.covers(inside), "{inside}");
        }
        for outside in ["", "r", "reports", "report/a", "reports0", "Reports/a", "/reports/a", "x/reports/a"]
        {
            assert!(!prefix.covers(outside), "{outside}");
        }
        assert!(KeyPrefix::new("").is_err() && KeyPrefix::new("a\0").is_err());
        assert!(KeyPrefix::new(&"k".repeat(1025)).is_err());
    }

    #[test]
    fn bucket_names_follow_s3() {
        for good in ["abc", "my-bucket.v2", "123", &"b".repeat(63)] {
            assert!(BucketName::new(good).is_ok(), "{good}");
        }
        for bad in ["ab", "-ab", "ab-", "a..b", "Abc", "a_b", "192.168.5.4", "xn--abc", "abc-s3alias"] {
            assert!(BucketName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_bucket_name_is_a_namespace() {
        for name in ["abc", "my-bucket.v2", "123", &"b".repeat(63)] {
            assert!(Namespace::new(name).is_ok(), "{name}");
        }
    }
}
