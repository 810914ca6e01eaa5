//! Whole requests against both fronts, in this process: request lines, headers, conditions, XML and JSON bodies,
//! chunked bodies with trailers, signatures. Every one is answered, and none with 500.
//!
//! The input is a request as one would write it down: the first line `METHOD TARGET`, then headers, an empty line,
//! and the body. For S3 the request is signed, so that it comes past the door, unless a `!` stands before it; a `+`
//! before that brings it to a front that lets ACLs count. Where [`UPLOAD`] is written, the id of an upload stands that
//! was begun for it, and `-` as an [`SHA256`] stands for the right one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Collected};
use juststorage_core::application::access::{AuthMode, RootKey};
use juststorage_core::application::store::Store;
use juststorage_core::infrastructure::clock::SystemClock;
use juststorage_core::testing::local::Local;
use juststorage_native_api::{NativeApi, Surface};
use juststorage_s3_gateway::{Gateway, S3Gateway};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::scratch;

const ROOT: &str = "juststorage";

/// The id of an upload that is open and has one part, `hello`: no input could guess one.
const UPLOAD: &[u8; 36] = b"0192f0c1-2b3c-7d4e-8f50-123456789abc";

/// S3 lets no objects be deleted together without a digest of the request.
const SHA256: &str = "x-amz-checksum-sha256";

/// The fronts over one store, for as long as the process lives.
struct Fronts {
    runtime: Runtime,
    s3: S3Gateway,
    /// The same with ACLs.
    sharing: S3Gateway,
    native: Router,
}

fn fronts() -> &'static Fronts {
    static FRONTS: OnceLock<Fronts> = OnceLock::new();
    FRONTS.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (s3, sharing, native) = runtime.block_on(open());
        Fronts { runtime, s3, sharing, native }
    })
}

/// Where the store of this process lies. A process that is killed cannot take its own away: the next one does.
fn directory() -> PathBuf {
    const PREFIX: &str = "juststorage-fuzz-";
    let processes = Path::new("/proc");
    for entry in std::fs::read_dir(scratch()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner: Option<u32> = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next())
            .and_then(|owner| owner.parse().ok());
        // Without /proc, dead processes cannot be told from live ones.
        if let Some(owner) = owner
            && processes.join("self").exists()
            && !processes.join(owner.to_string()).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(scratch()).unwrap().keep()
}

async fn open() -> (S3Gateway, S3Gateway, Router) {
    let root = directory();
    let key = RootKey { access_key: ROOT.to_owned(), secret_key: ROOT.to_owned() };
    let Local { store, access, tasks, .. } =
        Local::open(&root, Arc::new(SystemClock), AuthMode::Disabled, Some(key)).await;
    // They live as long as the process.
    std::mem::forget(tasks);
    let s3 = |store: Store| {
        let gateway = Gateway {
            store,
            access: access.clone(),
            region: "us-east-1".to_owned(),
            domain: Some("s3.test".to_owned()),
            public_url: None,
            tls: false,
            sigv2: true,
        };
        juststorage_s3_gateway::service(gateway).unwrap()
    };
    let (plain, sharing) = (s3(store.clone()), s3(store.clone().with_acls(true)));
    let native = juststorage_native_api::router(NativeApi::new(store, access), Surface::WHOLE);
    (plain, sharing, native)
}

/// A request as it is written down, if it is one at all.
fn parse(data: &[u8]) -> Option<(http::request::Builder, Bytes)> {
    let (head, body) = match find(data, b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &[][..]),
    };
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    Some((request, Bytes::copy_from_slice(body)))
}

/// A client's library says how long a body is, unless the input does: without that no document would be read.
fn with_length(mut request: Request<Body>) -> Request<Body> {
    let length = request.body().size_hint().exact();
    let headers = request.headers_mut();
    headers.entry("host").or_insert(http::HeaderValue::from_static("localhost"));
    if let Some(length) = length.filter(|_| !headers.contains_key("transfer-encoding")) {
        headers.entry("content-length").or_insert_with(|| length.into());
    }
    request
}

/// A request to the S3 front.
pub fn s3(data: &[u8]) {
    let (sharing, rest) = data.strip_prefix(b"+").map_or((false, data), |rest| (true, rest));
    let (signed, rest) = rest.strip_prefix(b"!").map_or((true, rest), |rest| (false, rest));
    let fronts = fronts();
    let front = if sharing { &fronts.sharing } else { &fronts.s3 };
    fronts.runtime.block_on(async {
        let input = with_upload(rest, async {
            ask_s3(front, b"PUT /demo", true).await;
            let begun = ask_s3(front, b"POST /demo/key?uploads", true).await?;
            let id = between(&begun, b"<UploadId>", b"</UploadId>")?;
            let part = [&b"PUT /demo/key?partNumber=1&uploadId="[..], &id, b"\n\nhello"].concat();
            ask_s3(front, &part, true).await;
            Some(id)
        });
        ask_s3(front, &input.await, signed).await;
    });
}

/// A request to the native API.
pub fn native(data: &[u8]) {
    let fronts = fronts();
    let front = &fronts.native;
    fronts.runtime.block_on(async {
        let input = with_upload(data, async {
            let begin = b"POST /v1/uploads\nx-namespace: models\nx-tenant: acme\nx-key: k";
            let begun = ask_native(front, begin).await?;
            let id = between(&begun, b"\"id\":\"", b"\"")?;
            let part = [&b"PUT /v1/uploads/"[..], &id, b"/parts/1\nx-tenant: acme\n\nhello"].concat();
            ask_native(front, &part).await;
            Some(id)
        });
        ask_native(front, &input.await).await;
    });
}

/// The input with the id of what `begin` began, if it asks for one.
async fn with_upload(data: &[u8], begin: impl Future<Output = Option<Vec<u8>>>) -> Vec<u8> {
    let mut rest = data;
    let mut input = Vec::new();
    if find(rest, UPLOAD).is_some()
        && let Some(id) = begin.await
    {
        while let Some(at) = find(rest, UPLOAD) {
            input.extend_from_slice(&rest[..at]);
            input.extend_from_slice(&id);
            rest = &rest[at + UPLOAD.len()..];
        }
    }
    input.extend_from_slice(rest);
    input
}

/// Where `what` begins.
fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// What stands between two texts.
fn between(text: &[u8], before: &[u8], behind: &[u8]) -> Option<Vec<u8>> {
    let rest = &text[find(text, before)? + before.len()..];
    Some(rest[..find(rest, behind)?].to_vec())
}

/// What the S3 front answers, if `text` is a request at all.
async fn ask_s3(front: &S3Gateway, text: &[u8], signed: bool) -> Option<Bytes> {
    let (mut request, body) = parse(text)?;
    if let Some(headers) = request.headers_mut()
        && headers.get(SHA256).is_some_and(|value| value == "-")
    {
        let digest = BASE64_STANDARD.encode(Sha256::digest(&body));
        headers.insert(SHA256, digest.parse().ok()?);
    }
    let mut request = with_length(request.body(Body::from(body)).ok()?);
    if !request.uri().path().starts_with('/') {
        return None;
    }
    request.headers_mut().entry("host").or_insert_with(|| http::HeaderValue::from_static("127.0.0.1"));
    if signed {
        sign(&mut request);
    }
    let Ok(answer) = front.clone().oneshot(request).await;
    Some(check(answer, text).await)
}

/// What the native API answers, if `text` is a request at all.
async fn ask_native(front: &Router, text: &[u8]) -> Option<Bytes> {
    let (request, body) = parse(text)?;
    let request = with_length(request.body(Body::from(body)).ok()?);
    let Ok(answer) = front.clone().oneshot(request).await;
    Some(check(answer, text).await)
}

/// The whole answer, which is not a 500.
async fn check<B>(answer: Response<B>, text: &[u8]) -> Bytes
where
    B: http_body::Body,
{
    let (parts, body) = answer.into_parts();
    let whole = body.collect().await.map(Collected::to_bytes);
    let request = String::from_utf8_lossy(text);
    let status = parts.status;
    let Ok(whole) = whole else { panic!("the answer to {request:?}, {status}, broke off") };
    assert!(
        status != StatusCode::INTERNAL_SERVER_ERROR,
        "{request:?} is answered with {status}, {:?}: {}",
        parts.headers,
        String::from_utf8_lossy(&whole)
    );
    whole
}

/// What stays as it is in a canonical request.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Signature version 4 of any request; its body is not covered unless it says how.
fn sign<B>(request: &mut Request<B>) {
    let now = OffsetDateTime::now_utc();
    let stamp = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap();
    let date = &stamp[..8];
    let headers = request.headers_mut();
    headers.insert("x-amz-date", stamp.parse().unwrap());
    let unsigned = http::HeaderValue::from_static("UNSIGNED-PAYLOAD");
    let payload = headers.entry("x-amz-content-sha256").or_insert(unsigned).clone();
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
    names.retain(|name| name != "authorization");
    names.sort();
    let mut canonical = String::new();
    for name in &names {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        canonical.extend([name.as_str(), ":", &values.join(","), "\n"]);
    }
    let mut pairs: Vec<_> = request
        .uri()
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let again = |text: &str| {
                let plain = percent_decode_str(text).decode_utf8_lossy().into_owned();
                utf8_percent_encode(&plain, UNRESERVED).to_string()
            };
            format!("{}={}", again(key), again(value))
        })
        .collect();
    pairs.sort();
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let text = format!(
        "{}\n{}\n{}\n{canonical}\n{}\n{}",
        request.method(),
        utf8_percent_encode(&path, PATH),
        pairs.join("&"),
        names.join(";"),
        payload.to_str().unwrap_or(""),
    );
    let scope = format!("{date}/us-east-1/s3/aws4_request");
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}");
    let key = [date, "us-east-1", "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{ROOT}").into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let signature = hex::encode(mac(&key, to_sign.as_bytes()));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={ROOT}/{scope}, SignedHeaders={}, Signature={signature}",
        names.join(";")
    );
    if let Ok(value) = value.parse() {
        request.headers_mut().insert("authorization", value);
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}
