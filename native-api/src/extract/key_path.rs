//! The three-part address in the path of a call by key.

use axum::extract::FromRequestParts;
use http::request::Parts;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::ports::metadata::SpaceRef;
use juststorage_core::domain::address::{Key, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::invalid::Invalid;
use percent_encoding::percent_decode_str;

use crate::problem::Failure;

/// The prefix of the path of a call by key.
const BY_KEY: &str = "/v1/objects/by-key/";

/// `{namespace}/{tenant}/{key}` in a path. Read from the raw path, so that `//`, `..` and `%2F` stay part of the key.
pub(crate) struct KeyPath {
    /// The space.
    pub(crate) space: SpaceAddress,
    /// The key.
    pub(crate) key: Key,
}

impl KeyPath {
    pub(super) fn parse(path: &str) -> Result<Self, Invalid> {
        let rest = path.strip_prefix(BY_KEY).unwrap_or_default();
        let mut pieces = rest.splitn(3, '/');
        let mut piece = |field| {
            let decoded = percent_decode_str(pieces.next().unwrap_or_default()).decode_utf8();
            decoded.map_err(|_| Invalid::new(field, "must be percent-encoded UTF-8"))
        };
        let (namespace, tenant, key) = (piece("namespace")?, piece("tenant")?, piece("key")?);
        let space = SpaceAddress::new(Namespace::new(&namespace)?, Tenant::new(&tenant)?);
        Ok(Self { space, key: Key::new(&key)? })
    }

    /// The latest version of the key.
    pub(crate) fn object(&self) -> ObjectRef {
        ObjectRef::latest(SpaceRef::Space(self.space.clone()), self.key.clone())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self::parse(parts.uri.path())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> Result<String, &'static str> {
        KeyPath::parse(&format!("/v1/objects/by-key/{path}"))
            .map(|parsed| parsed.key.as_str().to_owned())
            .map_err(|invalid| invalid.field)
    }

    #[test]
    fn keys_are_taken_verbatim() {
        for (path, expected) in [
            ("n/t/a", "a"),
            ("n/t/a/b", "a/b"),
            ("n/t//a//b/", "/a//b/"),
            ("n/t/../../x/.", "../../x/."),
            ("n/t/a%2Fb%252F", "a/b%2F"),
            ("n/t/a+b%20c", "a+b c"),
            ("n/t/%E6%97%A5", "日"),
            ("n%2et/t/k", "k"),
        ] {
            assert_eq!(key(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        assert_eq!(key("N/t/k"), Err("namespace"));
        assert_eq!(key("n/../k"), Err("tenant"));
        assert_eq!(key("n/t"), Err("key"));
        assert_eq!(key("n/t/"), Err("key"));
        assert_eq!(key("n/t/%FF"), Err("key"));
        assert_eq!(key("n/t/a%00"), Err("key"));
        assert_eq!(key("n/t%2Fu/k"), Err("tenant"));
    }
}
