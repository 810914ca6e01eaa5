//! Whole requests against both fronts, in this process: request lines, headers, conditions, XML and JSON bodies,
//! chunked bodies with trailers, signatures. Every one is answered, and none with 500.
//!
//! The input is a request as one would write it down: the first line `METHOD TARGET`, then headers, an empty line,
//! and the body. For S3 the request is signed, so that it comes past the door, unless its first byte is `!`.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use juststorage_core::application::access::{AuthMode, RootKey};
use juststorage_core::infrastructure::clock::SystemClock;
use juststorage_core::testing::local::Local;
use juststorage_native_api::NativeApi;
use juststorage_s3_gateway::{Gateway, S3Gateway};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const ROOT: &str = "juststorage";

/// Both fronts over one store, for as long as the process lives.
struct Fronts {
    runtime: Runtime,
    s3: S3Gateway,
    native: Router,
}

fn fronts() -> &'static Fronts {
    static FRONTS: OnceLock<Fronts> = OnceLock::new();
    FRONTS.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (s3, native) = runtime.block_on(open());
        Fronts { runtime, s3, native }
    })
}

async fn open() -> (S3Gateway, Router) {
    let memory = std::path::Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    // Its files stay until the process ends, and a little longer: nobody needs them.
    let root = tempfile::Builder::new().prefix("juststorage-fuzz-").tempdir_in(parent).unwrap().keep();
    let key = RootKey { access_key: ROOT.to_owned(), secret_key: ROOT.to_owned() };
    let Local { store, access, tasks, .. } =
        Local::open(&root, Arc::new(SystemClock), AuthMode::Disabled, Some(key)).await;
    // They live as long as the process.
    std::mem::forget(tasks);
    let gateway = Gateway {
        store: store.clone(),
        access: access.clone(),
        region: "us-east-1".to_owned(),
        domain: Some("s3.test".to_owned()),
        sigv2: true,
    };
    let s3 = juststorage_s3_gateway::service(gateway).unwrap();
    let native = juststorage_native_api::router(NativeApi {
        store,
        access,
        tls: false,
        metrics: Arc::new(String::new),
    });
    (s3, native)
}

/// A request as it is written down, if it is one at all.
fn parse(data: &[u8]) -> Option<(http::request::Builder, Bytes)> {
    let end = data.windows(2).position(|window| window == b"\n\n");
    let (head, body) = match end {
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

/// A request to the S3 front.
pub fn s3(data: &[u8]) {
    let (signed, data) = match data.strip_prefix(b"!") {
        Some(rest) => (false, rest),
        None => (true, data),
    };
    let Some((request, body)) = parse(data) else { return };
    let Ok(mut request) = request.body(Body::from(body)) else { return };
    if !request.uri().path().starts_with('/') {
        return;
    }
    request.headers_mut().entry("host").or_insert_with(|| http::HeaderValue::from_static("127.0.0.1"));
    if signed {
        sign(&mut request);
    }
    let Fronts { runtime, s3, .. } = fronts();
    runtime.block_on(async {
        let Ok(answer) = s3.clone().oneshot(request).await;
        check(answer, data).await;
    });
}

/// A request to the native API.
pub fn native(data: &[u8]) {
    let Some((request, body)) = parse(data) else { return };
    let Ok(request) = request.body(Body::from(body)) else { return };
    let Fronts { runtime, native, .. } = fronts();
    runtime.block_on(async {
        let Ok(answer) = native.clone().oneshot(request).await;
        check(answer, data).await;
    });
}

async fn check<B>(answer: Response<B>, data: &[u8])
where
    B: http_body::Body,
{
    let (parts, body) = answer.into_parts();
    let whole = body.collect().await;
    let request = String::from_utf8_lossy(data);
    assert!(whole.is_ok(), "the answer to {request:?} broke off");
    let status = parts.status;
    assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{request:?} is answered with {status}");
}

/// What stays as it is in a canonical request.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Signature version 4, of whatever the request is; its body is not covered unless it says how.
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
