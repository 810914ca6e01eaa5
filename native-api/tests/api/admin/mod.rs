//! The calls of administration.

mod browsers;
mod credentials;
mod overview;
mod spaces;
mod tenants;
mod walls;

use axum::body::Body;
use http::Request;
use serde_json::Value;

use crate::support::{Answer, Server, bare};

/// A request with a token, and a JSON body if one is given.
async fn ask(server: &Server, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
    server.send(request(Some(token), method, path, body)).await
}

fn request(token: Option<&str>, method: &str, path: &str, body: Option<&Value>) -> Request<Body> {
    let mut request = bare(method, path);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    match body {
        Some(body) => {
            request.header("Content-Type", "application/json").body(Body::from(body.to_string())).unwrap()
        }
        None => request.body(Body::empty()).unwrap(),
    }
}

async fn get(server: &Server, token: &str, path: &str) -> Answer {
    ask(server, token, "GET", path, None).await
}
