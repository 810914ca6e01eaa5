//! What authentication costs a small read: the same request with and without it, in this process. A
//! measurement: run it by name, with `--ignored` and `--nocapture`.

use std::time::{Duration, Instant};

use axum::body::Body;
use juststorage_core::application::access::AuthMode;

use crate::support::{Server, bare};

const REQUESTS: u32 = 20_000;

/// The shortest of several rounds: what disturbs makes them longer, never shorter.
async fn each(server: &Server, path: &str, token: Option<&str>) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        for _ in 0..REQUESTS / 5 {
            let mut request = bare("GET", path);
            if let Some(token) = token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            server.send(request.body(Body::empty()).unwrap()).await.is(200);
        }
        shortest = shortest.min(begun.elapsed() / (REQUESTS / 5));
    }
    shortest
}

#[tokio::test]
#[ignore = "a measurement"]
async fn authentication_adds_little_to_a_small_read() {
    let server = Server::with(AuthMode::Disabled).await;
    let token = server.token("acme", "read,write", None).await;
    let path = "/v1/objects/by-key/models/acme/k";
    server.put("k", vec![7; 4096]).await.is(201);
    let without = each(&server, path, None).await;
    let with = each(&server, path, Some(&token)).await;
    let begun = Instant::now();
    for _ in 0..REQUESTS {
        server.access.bearer(&token).await.unwrap();
    }
    let alone = begun.elapsed() / REQUESTS;
    println!("GET of 4 KiB: {without:?} without, {with:?} with a token; resolving the token alone {alone:?}");
    assert!(alone < Duration::from_micros(15), "{alone:?}");
}
