//! Connections that are reserved for probes and metrics, when all others are taken.

use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use futures::future::{BoxFuture, FutureExt as _};
use tower::Service;

/// Answers probes and metrics only, if `probes_only`.
#[derive(Clone)]
pub(super) struct Reserved<S> {
    pub(super) inner: S,
    pub(super) probes_only: bool,
}

impl<S, B> Service<Request<B>> for Reserved<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.probes_only && !matches!(request.uri().path(), "/health" | "/ready" | "/metrics") {
            return std::future::ready(Ok(crowded())).boxed();
        }
        self.inner.call(request).boxed()
    }
}

/// The answer to every other request.
fn crowded() -> Response<Body> {
    const BODY: &str = r#"{"type":"urn:juststorage:problem:busy","title":"Service Unavailable","status":503,"detail":"too many connections are open: try again","code":"busy"}"#;
    let mut response = Response::new(Body::from(BODY));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
