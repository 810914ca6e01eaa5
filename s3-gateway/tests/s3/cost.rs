//! What a signature costs a request. A measurement: run it by name, with `--ignored`, `--nocapture` and
//! `JUSTSTORAGE_TEST_LOG=off`, in an optimised build (docs/PERFORMANCE.md).
//!
//! This front has no request without a signature that would be served, so two requests are compared that are
//! refused at the same place, right behind the check: one that has no signature, and one whose signature is
//! good and whose tenant may not ask so often. What lies between them is everything that a signature asks for:
//! its header is read, the key is looked up, the request is put in its canonical form and its signature computed.

use std::time::{Duration, Instant, SystemTime};

use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignatureLocation};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::limits::{Overrides, Setting};
use juststorage_core::domain::timestamp::Timestamp;
use tower::ServiceExt as _;

use crate::server::{Client, Server};

const ROUNDS: u32 = 20;

const REQUESTS: u32 = 2_000;

/// What it may cost.
const COST_MAX: Duration = Duration::from_micros(15);

async fn answer(server: &Server, request: &Request<()>) -> StatusCode {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = request.method().clone();
    parts.uri = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
    parts.headers = request.headers().clone();
    parts.headers.insert("host", server.address.to_string().parse().unwrap());
    let response = server.gateway.clone().oneshot(Request::from_parts(parts, Full::new(Bytes::new()))).await;
    let (parts, body) = response.unwrap().into_parts();
    body.collect().await.unwrap();
    parts.status
}

/// The shortest of several rounds of each, in turns: what disturbs makes them longer, never shorter.
async fn each<const N: usize>(server: &Server, requests: [(&Request<()>, u16); N]) -> [Duration; N] {
    let mut shortest = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for ((request, status), shortest) in requests.iter().zip(&mut shortest) {
            let begun = Instant::now();
            for _ in 0..REQUESTS {
                assert_eq!(answer(server, request).await.as_u16(), *status);
            }
            *shortest = (*shortest).min(begun.elapsed() / REQUESTS);
        }
    }
    shortest
}

#[tokio::test]
#[ignore = "a measurement"]
async fn a_signature_adds_little_to_a_small_read() {
    assert!(!tracing::enabled!(tracing::Level::TRACE), "JUSTSTORAGE_TEST_LOG=off, or the log is measured");
    let server = Server::start().await;
    let client = server.tenant("acme", "read,write").await;
    client.put("/cost", b"").await.ok();
    client.put("/cost/k", &[7; 4096]).await.ok();
    let request = || Request::get(format!("http://{}/cost/k", server.address)).body(()).unwrap();
    let bare = request();
    let mut header = request();
    client.sign(&mut header, &[], SignableBody::Bytes(b""), Client::settings(), SystemTime::now());
    let mut settings = Client::settings();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    settings.expires_in = Some(Duration::from_secs(3600));
    let mut query = request();
    client.sign(&mut query, &[], SignableBody::UnsignedPayload, settings, SystemTime::now());

    let [whole] = each(&server, [(&header, 200)]).await;
    let often = Overrides { requests_per_second: Setting::At(1), ..Overrides::default() };
    server.metadata.set_tenant_limits(&Tenant::new("acme").unwrap(), &often, Timestamp(0)).await.unwrap();
    while answer(&server, &header).await != StatusCode::SERVICE_UNAVAILABLE {}
    let [without, with, presigned] = each(&server, [(&bare, 403), (&header, 503), (&query, 503)]).await;
    let (header, query) = (with.saturating_sub(without), presigned.saturating_sub(without));
    println!(
        "GET of 4 KiB: {whole:?}. Refused without a signature {without:?}, with one in the header {with:?}, in \
         the query {presigned:?}: a signature costs {header:?} in the header, {query:?} in the query"
    );
    assert!(header < COST_MAX && query < COST_MAX);
}
