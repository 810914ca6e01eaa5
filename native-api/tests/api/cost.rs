//! What authentication costs a small read: the same request with and without it, in this process. A
//! measurement: run it by name, with `--ignored`, `--nocapture` and `JUSTSTORAGE_TEST_LOG=off`, in an optimised
//! build (docs/PERFORMANCE.md).

use std::time::{Duration, Instant};

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use juststorage_core::application::access::{Access, AuthMode, JwtKeys, JwtRules};
use ring::hmac;
use serde_json::json;

use crate::support::{Server, bare};

const ROUNDS: u32 = 20;

const REQUESTS: u32 = 2_000;

/// What it may cost.
const COST_MAX: Duration = Duration::from_micros(15);

/// The shortest of several rounds of each, in turns: what disturbs makes them longer, never shorter.
async fn each<const N: usize>(server: &Server, calls: [(&str, Option<&str>); N]) -> [Duration; N] {
    let mut shortest = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for ((path, token), shortest) in calls.iter().zip(&mut shortest) {
            let begun = Instant::now();
            for _ in 0..REQUESTS {
                let mut request = bare("GET", path);
                if let Some(token) = token {
                    request = request.header("Authorization", format!("Bearer {token}"));
                }
                server.send(request.body(Body::empty()).unwrap()).await.is(200);
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
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "sub": "ci", "tenant": "acme", "scope": "read", "exp": 1_800_000_000 });
    let message = format!("{}.{}", encode(json!({ "alg": "HS256" })), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
#[ignore = "a measurement"]
async fn authentication_adds_little_to_a_small_read() {
    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
    assert!(!tracing::enabled!(tracing::Level::TRACE), "JUSTSTORAGE_TEST_LOG=off, or the log is measured");
    let server = Server::with(AuthMode::Disabled).await;
    let path = "/v1/objects/by-key/models/acme/k";
    server.put("k", vec![7; 4096]).await.is(201);
    let token = server.token("acme", "read", None).await;
    let body =
        json!({ "method": "GET", "namespace": "models", "tenant": "acme", "key": "k", "expires_in": 3600 });
    let presign = bare("POST", "/v1/presign").header("Content-Type", "application/json");
    let presign =
        presign.header("Authorization", format!("Bearer {token}")).body(Body::from(body.to_string()));
    let signed = server.send(presign.unwrap()).await.json(201);
    let signed = signed["path"].as_str().unwrap().to_owned();
    let calls = [(path, None), (path, Some(&*token)), (&signed, None)];
    let [none, key, url] = each(&server, calls).await;
    println!("GET of 4 KiB: {none:?} without a credential, {key:?} with an API key, {url:?} by a signed URL");
    // Both kinds of token come the same way; what differs is how they are resolved.
    let access = server.access.clone().with_jwt(JwtKeys::of_secret(SECRET).unwrap(), JwtRules::default());
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
