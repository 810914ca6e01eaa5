//! What a signature costs a request: prints it, and fails where it is more than it may be (docs/PERFORMANCE.md).
//!
//! The same GET goes through the whole front twice: once as it is, signed; once without a signature, through a
//! front whose door stands open and that takes everybody for the same tenant, whose limits it keeps to as well.
//! The operation itself is an empty answer in both. What lies between the two is all that a signature asks for,
//! and nothing else: its header or query is read, the key is looked up, the request is put in its canonical form
//! and its signature is computed and compared.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use juststorage_core::application::access::{AuthMode, NewKey, NewKeyRequest};
use juststorage_core::application::ports::metadata::CredentialKind;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::principal::Rights;
use juststorage_core::infrastructure::clock::SystemClock;
use juststorage_core::testing::local::Local;
use juststorage_s3_gateway::{Gateway, S3Gateway, testing};
use tower::ServiceExt as _;

const ROUNDS: u32 = 40;

const REQUESTS: u32 = 5_000;

/// What it may cost.
const COST_MAX: Duration = Duration::from_micros(15);

const URL: &str = "http://127.0.0.1:9000/cost/some/key-0001";

/// `URL`, signed in the header or in the query.
fn signed(access_key: &str, secret_key: &str, location: SignatureLocation) -> Request<()> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let body = if location == SignatureLocation::QueryParams {
        settings.expires_in = Some(Duration::from_secs(3600));
        SignableBody::UnsignedPayload
    } else {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        SignableBody::Bytes(b"")
    };
    settings.signature_location = location;
    let identity = Credentials::new(access_key, secret_key, None, None, "test").into();
    let params = v4::SigningParams::builder().identity(&identity).region("us-east-1").name("s3");
    let params = params.time(SystemTime::now()).settings(settings).build().unwrap().into();
    let mut request = Request::get(URL).body(()).unwrap();
    let signable = SignableRequest::new("GET", URL, std::iter::empty(), body).unwrap();
    sign(signable, &params).unwrap().into_parts().0.apply_to_request_http1x(&mut request);
    request
}

async fn answer(gateway: &S3Gateway, request: &Request<()>) -> StatusCode {
    let mut sent = Request::new(Full::new(Bytes::new()));
    *sent.uri_mut() = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
    *sent.headers_mut() = request.headers().clone();
    sent.headers_mut().insert(HOST, HeaderValue::from_static("127.0.0.1:9000"));
    let (parts, body) = gateway.clone().oneshot(sent).await.unwrap().into_parts();
    body.collect().await.unwrap();
    parts.status
}

#[tokio::main]
async fn main() {
    let files = tempfile::tempdir().unwrap();
    // Its tasks end with `main`.
    let Local { store, access, tasks: _tasks, .. } =
        Local::open(files.path(), Arc::new(SystemClock), AuthMode::Required, None).await;
    let request = NewKeyRequest {
        kind: CredentialKind::S3,
        tenant: Tenant::new("acme").unwrap(),
        namespaces: None,
        prefixes: None,
        rights: Rights::all(),
        description: String::new(),
        expires_at: None,
    };
    let NewKey::S3 { access_key, secret_key, .. } = access.create_key(request).await.unwrap() else {
        unreachable!("an S3 key was asked for")
    };

    let gateway = || Gateway {
        store: store.clone(),
        access: access.clone(),
        region: "us-east-1".to_owned(),
        domain: None,
        public_url: None,
        tls: false,
        sigv2: false,
    };
    let everybody = access.s3(&access_key).await.unwrap().unwrap().principal;
    let locked = testing::empty(gateway(), None).unwrap();
    let open = testing::empty(gateway(), Some(everybody)).unwrap();

    let bare = Request::get(URL).body(()).unwrap();
    let header = signed(&access_key, &secret_key, SignatureLocation::Headers);
    let query = signed(&access_key, &secret_key, SignatureLocation::QueryParams);
    assert_eq!(answer(&locked, &bare).await, StatusCode::FORBIDDEN, "the door is locked");
    let mut forged = header.clone();
    let value = forged.headers()["authorization"].to_str().unwrap().replace("Signature=", "Signature=0");
    forged.headers_mut().insert("authorization", value.parse().unwrap());
    assert_eq!(answer(&locked, &forged).await, StatusCode::FORBIDDEN, "the signature is looked at");

    // The shortest of many rounds, in turns: what disturbs makes them longer, never shorter.
    let ways = [(&open, &bare), (&locked, &header), (&locked, &query)];
    let mut shortest = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        for ((gateway, request), shortest) in ways.iter().zip(&mut shortest) {
            let begun = Instant::now();
            for _ in 0..REQUESTS {
                assert_eq!(answer(gateway, request).await, StatusCode::OK);
            }
            *shortest = (*shortest).min(begun.elapsed() / REQUESTS);
        }
    }
    let [without, header, query] = shortest;
    let costs = [header.saturating_sub(without), query.saturating_sub(without)];
    println!(
        "a request takes {without:?} without a signature, {header:?} with one in the header, {query:?} with one in the query: it costs {costs:?}"
    );
    assert!(costs.iter().all(|cost| *cost < COST_MAX));
}
