//! What a signature costs a request. A measurement: run it by name, with `--ignored` and `--nocapture`, in an
//! optimised build (docs/PERFORMANCE.md).
//!
//! The same GET goes through the whole front twice: once as it is, signed; once without a signature, through a
//! front whose door stands open and that takes everybody for the same tenant, whose limits it keeps to as well.
//! The operation itself is an empty answer in both. What lies between the two is all that a signature asks for,
//! and nothing else: its header or query is read, the key is looked up, the request is put in its canonical form
//! and its signature is computed and compared.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::Extensions;
use juststorage_core::application::access::{Access, AuthMode, MasterKey, NewKey, NewKeyRequest};
use juststorage_core::application::commit::Committer;
use juststorage_core::application::ingest::Ingest;
use juststorage_core::application::limits::TenantLimits;
use juststorage_core::application::ports::clock::Clock;
use juststorage_core::application::ports::metadata::{CredentialKind, MetadataStore, WriterId};
use juststorage_core::application::store::Tiers;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::limits::Limits;
use juststorage_core::domain::principal::{Principal, Rights};
use juststorage_core::domain::space::DedupScope;
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::infrastructure::segments::LocalSegments;
use s3s::route::S3Route;
use s3s::{S3Request, S3Response, S3Result};
use tower::ServiceExt as _;

use super::*;

const ROUNDS: u32 = 40;

const REQUESTS: u32 = 5_000;

/// What it may cost.
const COST_MAX: Duration = Duration::from_micros(15);

const URL: &str = "http://127.0.0.1:9000/cost/some/key-0001";

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// Answers every request alike, once it is let in.
struct Empty {
    doorkeeper: Doorkeeper,
    /// Whom everybody is taken for, where the door stands open.
    everybody: Option<Principal>,
}

#[async_trait::async_trait]
impl S3Route for Empty {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        true
    }

    async fn check_access(&self, request: &mut S3Request<s3s::Body>) -> S3Result<()> {
        let signed = request.credentials.is_some();
        let who = match &self.everybody {
            None => self.doorkeeper.admit(signed, Some("cost"), &request.headers).await?,
            Some(who) => {
                self.doorkeeper.0.admit(who).await.map_err(errors::translate)?;
                who.clone()
            }
        };
        request.extensions.insert(who);
        Ok(())
    }

    async fn call(&self, _: S3Request<s3s::Body>) -> S3Result<S3Response<s3s::Body>> {
        Ok(S3Response::new(s3s::Body::empty()))
    }
}

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

#[tokio::test]
#[ignore = "a measurement"]
async fn a_signature_adds_little_to_a_read() {
    let files = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", files.path().join("metadata.db").display());
    let metadata = SqlMetadata::connect(&url).await.unwrap();
    metadata.migrate().await.unwrap();
    let metadata: Arc<dyn MetadataStore> = Arc::new(metadata);
    let tier = |name: &'static str| Arc::new(LocalSegments::open(files.path().join(name), name).unwrap());
    let tiers = Tiers { hot: tier("hot"), cold: tier("cold") };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let writer = WriterId(Uuid::new_v4());
    metadata.heartbeat(writer, Timestamp(i64::MAX)).await.unwrap();
    let (committer, _tasks) = Committer::start(metadata.clone(), tiers.clone(), clock.clone(), writer);
    let ingest = Ingest::new(metadata.clone(), tiers.clone(), clock.clone(), writer);
    let store = Store::new(metadata.clone(), tiers, clock.clone(), committer, ingest, DedupScope::Tenant);
    let store = store.with_limits(TenantLimits::new(metadata.clone(), Limits::default(), 128));
    let master = MasterKey::from_hex(&"a1".repeat(32)).unwrap();
    let home = Tenant::new("default").unwrap();
    let access = Access::new(metadata, clock, master, AuthMode::Required, None, home);
    let tenant = Tenant::new("acme").unwrap();
    let request = NewKeyRequest {
        kind: CredentialKind::S3,
        tenant: tenant.clone(),
        namespaces: None,
        rights: Rights::all(),
        description: String::new(),
        expires_at: None,
    };
    let NewKey::S3 { access_key, secret_key, .. } = access.create_key(request).await.unwrap() else {
        unreachable!("an S3 key was asked for")
    };

    let api = Api { store: store.clone(), region: "us-east-1".to_owned() };
    let mut locked = builder(api.clone(), false, None);
    locked.set_auth(Keys(access.clone()));
    locked.set_access(Doorkeeper(store.clone()));
    locked.set_route(Empty { doorkeeper: Doorkeeper(store.clone()), everybody: None });
    let mut open = builder(api, false, None);
    let everybody = Some(access.s3(&access_key).await.unwrap().unwrap().principal);
    open.set_route(Empty { doorkeeper: Doorkeeper(store.clone()), everybody });
    let region = "us-east-1".to_owned();
    let gateway = service(Gateway { store, access, region, domain: None, sigv2: false }).unwrap();
    let locked = S3Gateway { s3: locked.build(), ..gateway.clone() };
    let open = S3Gateway { s3: open.build(), ..gateway };

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
