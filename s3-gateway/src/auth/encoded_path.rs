//! Keys whose slashes a client sends, and signs, as `%2F`.
//!
//! S3 verifies a path as it was sent; s3s verifies what it decodes to, encoded anew, where a slash stays a slash.
//! Some Soto and alpakka versions encode the whole key. For them the signature is verified here, over the path as
//! sent, and replaced by the one that s3s will compute: the request is the same, and nothing that was not signed
//! gets in. Signed chunks hang on the first signature and cannot be helped.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Uri};
use juststorage_core::application::access::Access;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::dto::text;

/// RFC 3986 section 2.3, as SigV4 has it.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const UNRESERVED_OR_SLASH: &AsciiSet = &UNRESERVED.remove(b'/');

/// What a request says of its signature.
struct Signed {
    access_key: String,
    /// `YYYYMMDD/region/service/aws4_request`.
    scope: String,
    headers: Vec<String>,
    signature: String,
    date: String,
    payload: String,
}

/// Lets a request through to s3s whose path has encoded slashes and whose signature is right as it stands.
/// Every other request is left alone, for s3s to judge.
pub(crate) async fn admit(parts: &mut Parts, access: &Access) {
    if !parts.uri.path().to_ascii_uppercase().contains("%2F") {
        return;
    }
    let presigned = query_value(&parts.uri, "X-Amz-Signature").is_some();
    let read = if presigned { from_query(&parts.uri) } else { from_header(&parts.headers) };
    let Some(signed) = read.filter(|signed| !signed.payload.starts_with("STREAMING-AWS4-")) else { return };
    // A key that cannot be looked up now is s3s's to refuse.
    let Ok(Some(identity)) = access.s3(&signed.access_key).await else { return };
    let Ok(decoded) = percent_decode_str(parts.uri.path()).decode_utf8() else { return };
    let anew = utf8_percent_encode(&decoded, UNRESERVED_OR_SLASH).to_string();
    let secret = &identity.secret_key;
    let Some(sent) = mac(&signed, secret, &request(parts, &signed, parts.uri.path())) else { return };
    let right = hex::decode(&signed.signature).is_ok_and(|claimed| sent.verify_slice(&claimed).is_ok());
    let Some(expected) = mac(&signed, secret, &request(parts, &signed, &anew)).filter(|_| right) else {
        return;
    };
    let expected = hex::encode(expected.finalize().into_bytes());
    if presigned {
        let replaced = parts.uri.to_string().replace(&signed.signature, &expected);
        if let Ok(uri) = replaced.parse() {
            parts.uri = uri;
        }
    } else if let Some(header) = text(&parts.headers, AUTHORIZATION.as_str())
        && let Ok(replaced) = HeaderValue::try_from(header.replace(&signed.signature, &expected))
    {
        parts.headers.insert(AUTHORIZATION, replaced);
    }
}

fn query_value(uri: &Uri, name: &str) -> Option<String> {
    let pairs = crate::allowlist::query_pairs(uri.query()?);
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn from_query(uri: &Uri) -> Option<Signed> {
    let credential = query_value(uri, "X-Amz-Credential")?;
    let (access_key, scope) = credential.split_once('/')?;
    Some(Signed {
        access_key: access_key.to_owned(),
        scope: scope.to_owned(),
        headers: list(&query_value(uri, "X-Amz-SignedHeaders")?),
        signature: query_value(uri, "X-Amz-Signature")?,
        date: query_value(uri, "X-Amz-Date")?,
        payload: "UNSIGNED-PAYLOAD".to_owned(),
    })
}

fn from_header(headers: &HeaderMap) -> Option<Signed> {
    let fields = text(headers, AUTHORIZATION.as_str())?.strip_prefix("AWS4-HMAC-SHA256")?;
    let field = |name: &str| {
        let named = fields.split(',').map(str::trim).find_map(|field| field.strip_prefix(name));
        named.and_then(|rest| rest.strip_prefix('='))
    };
    let (access_key, scope) = field("Credential")?.split_once('/')?;
    Some(Signed {
        access_key: access_key.to_owned(),
        scope: scope.to_owned(),
        headers: list(field("SignedHeaders")?),
        signature: field("Signature")?.to_owned(),
        date: text(headers, "x-amz-date")?.to_owned(),
        payload: text(headers, "x-amz-content-sha256")?.to_owned(),
    })
}

fn list(names: &str) -> Vec<String> {
    names.split(';').map(str::to_ascii_lowercase).collect()
}

/// The canonical request (S3 API Reference, "Signature Calculations for the Authorization Header").
fn request(parts: &Parts, signed: &Signed, path: &str) -> String {
    let escape = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let mut query: Vec<_> = parts
        .uri
        .query()
        .map(crate::allowlist::query_pairs)
        .unwrap_or_default()
        .iter()
        .filter(|(key, _)| key != "X-Amz-Signature")
        .map(|(key, value)| (escape(key), escape(value)))
        .collect();
    query.sort();
    let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut headers = String::new();
    for name in &signed.headers {
        let values: Vec<_> =
            parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        let value = values.join(",");
        let words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(headers, "{name}:{}", words.join(" "));
    }
    format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{}",
        parts.method,
        query.join("&"),
        signed.headers.join(";"),
        signed.payload
    )
}

/// The signature of a canonical request, not yet read out.
fn mac(signed: &Signed, secret: &str, request: &str) -> Option<Hmac<Sha256>> {
    let keyed = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    };
    let mut key = format!("AWS4{secret}").into_bytes();
    for step in signed.scope.split('/') {
        key = keyed(&key, step)?.finalize().into_bytes().to_vec();
    }
    let digest = hex::encode(Sha256::digest(request.as_bytes()));
    keyed(&key, &format!("AWS4-HMAC-SHA256\n{}\n{}\n{digest}", signed.date, signed.scope))
}
