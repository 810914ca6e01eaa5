//! What authentication costs a small read: the same request with and without it, in this process. Prints it, and
//! fails where it is more than it may be (docs/PERFORMANCE.md).
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use juststorage_core::application::access::{Access, AuthMode, JwtKeys, JwtRules, NewKey, NewKeyRequest};
use juststorage_core::application::ports::metadata::CredentialKind;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::principal::Rights;
use juststorage_core::infrastructure::clock::SystemClock;
use juststorage_core::testing::local::Local;
use juststorage_native_api::{NativeApi, Surface};
use ring::hmac;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const ROUNDS: u32 = 20;

const REQUESTS: u32 = 2_000;

/// What it may cost.
const COST_MAX: Duration = Duration::from_micros(15);

/// Sends a request as it stands and reads the whole answer, which has this status.
async fn send(router: &Router, mut request: Request<Body>, status: StatusCode) -> Vec<u8> {
    request.headers_mut().insert("host", http::HeaderValue::from_static("localhost"));
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(parts.status, status, "{}", String::from_utf8_lossy(&body));
    body.to_vec()
}

/// The shortest of several rounds of each, in turns: what disturbs makes them longer, never shorter.
async fn each<const N: usize>(router: &Router, calls: [(&str, Option<&str>); N]) -> [Duration; N] {
    let mut shortest = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for ((path, token), shortest) in calls.iter().zip(&mut shortest) {
            let begun = Instant::now();
            for _ in 0..REQUESTS {
                let mut request = Request::get(*path);
                if let Some(token) = token {
                    request = request.header("Authorization", format!("Bearer {token}"));
                }
                send(router, request.body(Body::empty()).unwrap(), StatusCode::OK).await;
            }
            *shortest = (*shortest).min(begun.elapsed() / REQUESTS);
        }
    }
    shortest
}

async fn resolve(access: &Access, token: &str) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..REQUESTS {
            access.bearer(token).await.unwrap();
        }
        shortest = shortest.min(begun.elapsed() / REQUESTS);
    }
    shortest
}

fn web_token(secret: &[u8]) -> String {
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    let claims = json!({ "sub": "ci", "tenant": "acme", "scope": "read", "exp": expires });
    let message = format!("{}.{}", encode(json!({ "alg": "HS256" })), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::main]
async fn main() {
    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
    let files = tempfile::tempdir().unwrap();
    // Its tasks end with `main`.
    let Local { store, access, tasks: _tasks, .. } =
        Local::open(files.path(), Arc::new(SystemClock), AuthMode::Disabled, None).await;
    let router = juststorage_native_api::router(NativeApi::new(store, access.clone()), Surface::WHOLE);
    let path = "/v1/objects/by-key/models/acme/k";
    let put = Request::put(path).body(Body::from(vec![7; 4096])).unwrap();
    send(&router, put, StatusCode::CREATED).await;
    let request = NewKeyRequest {
        kind: CredentialKind::Api,
        tenant: Tenant::new("acme").unwrap(),
        namespaces: None,
        prefixes: None,
        rights: Rights::parse("read").unwrap(),
        description: String::new(),
        expires_at: None,
    };
    let NewKey::Api { token, .. } = access.create_key(request).await.unwrap() else {
        unreachable!("an API key was asked for")
    };
    let body =
        json!({ "method": "GET", "namespace": "models", "tenant": "acme", "key": "k", "expires_in": 3600 });
    let presign = Request::post("/v1/presign").header("Content-Type", "application/json");
    let presign =
        presign.header("Authorization", format!("Bearer {token}")).body(Body::from(body.to_string()));
    let signed = send(&router, presign.unwrap(), StatusCode::CREATED).await;
    let signed: Value = serde_json::from_slice(&signed).unwrap();
    let signed = signed["path"].as_str().unwrap().to_owned();
    let calls = [(path, None), (path, Some(&*token)), (&signed, None)];
    let [none, key, url] = each(&router, calls).await;
    println!("GET of 4 KiB: {none:?} without a credential, {key:?} with an API key, {url:?} by a signed URL");
    // Both kinds of token come the same way; what differs is how they are resolved.
    let access = access.clone().with_jwt(JwtKeys::of_secret(SECRET).unwrap(), JwtRules::default());
    let web = resolve(&access, &web_token(SECRET)).await;
    let api = resolve(&access, &token).await;
    println!("resolving an API key takes {api:?}, a web token {web:?}");
    let costs = [
        ("an API key", key.saturating_sub(none)),
        ("a signed URL", url.saturating_sub(none)),
        ("a web token", (key + web).saturating_sub(none + api)),
    ];
    for (name, cost) in costs {
        println!("{name} costs {cost:?}");
        assert!(cost < COST_MAX, "{name}: {cost:?}");
    }
}
