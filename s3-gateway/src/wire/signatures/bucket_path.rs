//! Bucket requests signed with version 2 over `/bucket/` and sent to `/bucket`.
//!
//! botocore ends the path of every request to a bucket with a slash before it signs, and S3 verifies it so; s3s
//! verifies the path as it was sent. Where the signature is right over the path with the slash, the request goes on
//! with it: it names the same bucket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::header::AUTHORIZATION;
use http::request::Parts;
use juststorage_core::application::access::Access;
use ring::hmac;
use s3s_sigv2::{Mode, create_string_to_sign};

use super::mac;
use crate::dto::fields::text;
use crate::query::owned_pairs;

/// Ends the path of a request to a bucket with a slash if it was signed so. Every other request is left alone,
/// for s3s to judge.
pub(crate) async fn admit(parts: &mut Parts, access: &Access) {
    let path = parts.uri.path();
    if path.len() < 2 || path[1..].contains('/') {
        return;
    }
    let mut pairs = parts.uri.query().map(owned_pairs).unwrap_or_default();
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let header = text(&parts.headers, AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("AWS "));
    let (mode, access_key, signature) = match header.and_then(|value| value.split_once(':')) {
        Some((key, signature)) => (Mode::HeaderAuth, key.to_owned(), signature.to_owned()),
        None => match (value("AWSAccessKeyId"), value("Signature")) {
            (Some(key), Some(signature)) => (Mode::PresignedUrl, key, signature),
            _ => return,
        },
    };
    let Ok(claimed) = STANDARD.decode(signature) else { return };
    // A key that cannot be looked up now is s3s's to refuse.
    let Ok(Some(identity)) = access.s3(&access_key).await else { return };
    pairs.sort();
    let headers: Vec<_> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| value.to_str().ok().map(|value| (name.as_str(), value)))
        .collect();
    let ended = format!("{path}/");
    let signed = create_string_to_sign(mode, parts.method.as_str(), &ended, Some(&pairs), &headers, None);
    let key = mac::version_2_key(&identity.secret_key);
    if hmac::verify(&key, signed.as_bytes(), &claimed).is_err() {
        return;
    }
    if let Some(uri) = with_path(&parts.uri, &ended) {
        parts.uri = uri;
    }
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    parts.path_and_query = Some(format!("{path}{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}
