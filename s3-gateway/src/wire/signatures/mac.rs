//! The codes that requests are signed with (HMAC). Signatures are compared in constant time, by `hmac::verify`.

use ring::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key};

/// The key of signatures of version 2: the secret itself.
pub(crate) fn version_2_key(secret: &str) -> Key {
    Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes())
}

/// The key of signatures of version 4 for a scope, `DAY/REGION/s3/aws4_request`.
pub(crate) fn version_4_key(secret: &str, scope: &str) -> Key {
    let first = Key::new(HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    scope
        .split('/')
        .fold(first, |key, step| Key::new(HMAC_SHA256, hmac::sign(&key, step.as_bytes()).as_ref()))
}
