//! Requests that are signed rightly, and that s3s reads otherwise.
//!
//! - *Keys whose slashes are sent, and signed, as `%2F`* (Soto, alpakka). S3 verifies a path as it was sent; s3s what
//!   it decodes to, encoded anew, where a slash stays a slash.
//! - *Regions* of other letters than `[a-z0-9-]` (`RegionOne`, `EU`, `us_east_1`), which s3s refuses once it has
//!   verified the signature.
//! - *A host without its port*, signed by git-annex, which sends the port and takes the host for the region.
//! - *Fields of the header in another order* than AWS's own SDKs write them.
//! - *Headers that proxies strip* although the client signed them: `content-length: 0`, `expect: 100-continue`.
//!
//! For the first three the signature is verified here, over the request as it was sent, and replaced by the one that
//! s3s will compute: the request is the same, and nothing that was not signed gets in. Signed chunks hang on the first
//! signature; they are verified in [`super::chunks`] then.

use std::fmt::Write as _;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use juststorage_core::application::access::Access;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::hmac;
use sha2::{Digest as _, Sha256};

use super::chunks::Signer;
use super::claims::{ALGORITHM, Claims};
use super::mac;
use crate::dto::fields::text;
use crate::errors::Refusal;
use crate::query::{QueryPair, query_pairs};

/// RFC 3986 section 2.3, as SigV4 has it.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const UNRESERVED_OR_SLASH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The region that stands for one that s3s does not read.
const STAND_IN: &str = "us-east-1";

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
/// The announcement of a trailer that does not come.
const NO_TRAILER: HeaderValue = HeaderValue::from_static("x-juststorage-none");

const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// Refuses what says nothing valid of its signature, and makes the rest readable for s3s, which judges it. `empty` is
/// whether the request has no body. Where the chunks of the body are signed and s3s cannot verify them any more, what
/// verifies them.
pub(crate) async fn admit(
    parts: &mut Parts,
    access: &Access,
    empty: bool,
) -> Result<Option<Signer>, Refusal> {
    let Some(mut claims) = Claims::of(parts)? else { return Ok(None) };
    put_back(&mut parts.headers, &claims.headers, empty);
    name_trailer(&mut parts.headers, &claims)?;
    if claims.presigned {
        let query = parts.uri.query().map(query_pairs).unwrap_or_default();
        take_from_query(&mut parts.headers, &claims.headers, &query);
    }
    let readable = !claims.region.is_empty()
        && claims.region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if readable && !parts.uri.path().to_ascii_uppercase().contains("%2F") {
        if !claims.presigned {
            put_in_order(&mut parts.headers, &claims);
        }
        return Ok(None);
    }
    // A key that cannot be looked up now is s3s's to refuse.
    let Ok(Some(identity)) = access.s3(&claims.access_key).await else { return Ok(None) };
    let Ok(decoded) = percent_decode_str(parts.uri.path()).decode_utf8() else { return Ok(None) };
    let anew = utf8_percent_encode(&decoded, UNRESERVED_OR_SLASH).to_string();
    let secret = identity.secret_key.as_str();
    let claimed = hex::decode(&claims.signature).unwrap_or_default();
    let key = mac::version_4_key(secret, &claims.scope(&claims.region));
    let is_signed = |host: Option<&str>, path: &str| {
        let signed = to_sign(&claims, &claims.region, &request(parts, &claims, host, path));
        hmac::verify(&key, signed.as_bytes(), &claimed).is_ok()
    };
    let hosts = [None, without_port(&parts.headers)];
    let right = hosts.into_iter().enumerate().any(|(at, host)| {
        (at == 0 || host.is_some()) && [parts.uri.path(), &anew].into_iter().any(|path| is_signed(host, path))
    });
    if !right {
        return Ok(None);
    }
    let signer = if claims.payload.starts_with("STREAMING-AWS4-HMAC-") {
        let signer = Signer::new(key, &claims);
        unsign_chunks(&mut parts.headers, &mut claims);
        Some(signer)
    } else {
        None
    };
    let region = if readable { claims.region.clone() } else { STAND_IN.to_owned() };
    if claims.presigned {
        let credential = format!("{}/{}", claims.access_key, claims.scope(&region));
        set_query(&mut parts.uri, "X-Amz-Credential", &credential);
    }
    let signed = to_sign(&claims, &region, &request(parts, &claims, None, &anew));
    let key = mac::version_4_key(secret, &claims.scope(&region));
    claims.signature = hex::encode(hmac::sign(&key, signed.as_bytes()));
    if claims.presigned {
        set_query(&mut parts.uri, "X-Amz-Signature", &claims.signature);
    } else if let Ok(header) = HeaderValue::try_from(claims.header(&region)) {
        parts.headers.insert(AUTHORIZATION, header);
    }
    Ok(signer)
}

/// Puts back what proxies take away although the client signed it: Caddy the length of a body that is none, nginx an
/// expectation that it fulfils itself.
fn put_back(headers: &mut HeaderMap, signed: &[String], empty: bool) {
    let lost = |headers: &HeaderMap, name: &HeaderName| {
        signed.iter().any(|signed| signed == name.as_str()) && !headers.contains_key(name)
    };
    if empty && lost(headers, &CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if lost(headers, &EXPECT) {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
}

/// A body of unsigned chunks may come without a trailer; s3s wants one announced. An announcement of the client's own
/// must be signed like every `x-amz-` header: s3s, which is told to let this one pass, does not look.
fn name_trailer(headers: &mut HeaderMap, claims: &Claims) -> Result<(), Refusal> {
    let bad = |code, message| Err(Refusal::new(StatusCode::BAD_REQUEST, code, message));
    match claims.payload.as_str() {
        _ if headers.contains_key(TRAILER) && claims.headers.iter().any(|name| name == TRAILER.as_str()) => {
            Ok(())
        }
        _ if headers.contains_key(TRAILER) => {
            let message = "There were headers present in the request which were not signed";
            Err(Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", message))
        }
        UNSIGNED_CHUNKS => {
            headers.insert(TRAILER, NO_TRAILER);
            Ok(())
        }
        payload if payload.ends_with("-TRAILER") => bad(
            "MalformedTrailerError",
            "The request contained trailing data that was not well-formed or did not conform to our published schema.",
        ),
        _ => Ok(()),
    }
}

/// The SDK for JavaScript v2 signs headers and then moves them into the query of the URL: a signed header that was not
/// sent is the one in the query.
fn take_from_query(headers: &mut HeaderMap, signed: &[String], query: &[QueryPair<'_>]) {
    for (key, value) in query {
        let name = key.to_ascii_lowercase();
        if !signed.contains(&name) || headers.contains_key(&name) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.insert(name, value);
        }
    }
}

/// s3s reads the fields of the header in one order.
fn put_in_order(headers: &mut HeaderMap, claims: &Claims) {
    let header = text(headers, AUTHORIZATION.as_str()).unwrap_or_default();
    let at = |field: &str| header.find(field);
    let (first, second, third) = (at("Credential="), at("SignedHeaders="), at("Signature="));
    if first < second && second < third {
        return;
    }
    if let Ok(header) = HeaderValue::try_from(claims.header(&claims.region)) {
        headers.insert(AUTHORIZATION, header);
    }
}

/// Makes of signed chunks such without signature, whose announcement always names a trailer.
fn unsign_chunks(headers: &mut HeaderMap, claims: &mut Claims) {
    UNSIGNED_CHUNKS.clone_into(&mut claims.payload);
    headers.insert(CONTENT_SHA256, HeaderValue::from_static(UNSIGNED_CHUNKS));
    if !headers.contains_key(TRAILER) {
        headers.insert(TRAILER, NO_TRAILER);
        claims.headers.push(TRAILER.as_str().to_owned());
        claims.headers.sort();
    }
}

/// Sets a key of the query that is there.
fn set_query(uri: &mut Uri, name: &str, value: &str) {
    let pairs = uri.query().unwrap_or_default().split('&').map(|pair| {
        if pair.split('=').next() == Some(name) {
            format!("{name}={}", utf8_percent_encode(value, UNRESERVED))
        } else {
            pair.to_owned()
        }
    });
    let target = format!("{}?{}", uri.path(), pairs.collect::<Vec<_>>().join("&"));
    let mut parts = uri.clone().into_parts();
    let Ok(target) = target.parse() else { return };
    parts.path_and_query = Some(target);
    if let Ok(changed) = Uri::from_parts(parts) {
        *uri = changed;
    }
}

/// The host that a request names, if it names a port with it. git-annex signs the name alone, and that as the region, too.
fn without_port(headers: &HeaderMap) -> Option<&str> {
    let (host, port) = headers.get(HOST)?.to_str().ok()?.rsplit_once(':')?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(host)
}

/// The canonical request (S3 API Reference, "Signature Calculations for the Authorization Header"). `host` stands for the
/// host that was sent.
fn request(parts: &Parts, claims: &Claims, host: Option<&str>, path: &str) -> String {
    let escape = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let mut query: Vec<_> = parts
        .uri
        .query()
        .map(query_pairs)
        .unwrap_or_default()
        .iter()
        .filter(|(key, _)| key != "X-Amz-Signature")
        .map(|(key, value)| (escape(key), escape(value)))
        .collect();
    query.sort();
    let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut headers = String::new();
    for name in &claims.headers {
        let values = parts.headers.get_all(name).iter();
        let values: Vec<_> = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok()).collect();
        let value = match host {
            Some(host) if name == HOST.as_str() => host.to_owned(),
            _ => values.join(","),
        };
        let words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(headers, "{name}:{}", words.join(" "));
    }
    format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{}",
        parts.method,
        query.join("&"),
        claims.headers.join(";"),
        claims.payload
    )
}

/// The string to sign: where and when the request is for, and the digest of its canonical form.
fn to_sign(claims: &Claims, region: &str, request: &str) -> String {
    let digest = hex::encode(Sha256::digest(request.as_bytes()));
    format!("{ALGORITHM}\n{}\n{}\n{digest}", claims.date, claims.scope(region))
}
