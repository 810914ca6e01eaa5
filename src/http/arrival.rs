//! Facts that a connection gives to its requests: the client's address, and whether a request is under way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use futures::future::BoxFuture;
use tower::Service;

use super::patience::{Patience, Patient};
use super::{Proxies, Spelling, sending};

/// The client's address, in a request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Marks a request as under way, in its extensions, until its answer was given to the connection.
#[derive(Clone)]
pub struct InHand(#[allow(dead_code)] Arc<UnderWay>); // held, never read

/// Whether a connection is idle. hyper ends idle connections of HTTP/1 by itself, but not those of HTTP/2, nor those
/// whose client never sends the first line.
pub(super) struct Activity {
    under_way: AtomicUsize,
    since: Mutex<Instant>,
    /// Since when the client reads no bytes.
    blocked: Mutex<Option<Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let (under_way, since) = (AtomicUsize::new(0), Mutex::new(Instant::now()));
        Arc::new(Self { under_way, since, blocked: Mutex::default() })
    }

    /// Whether no request was under way for at least `time`.
    pub(super) fn idle_for(&self, time: Duration) -> bool {
        let since = *lock(&self.since);
        self.under_way.load(Ordering::Acquire) == 0 && since.elapsed() >= time
    }

    /// Since when no request is under way and nothing is left to send.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.under_way.load(Ordering::Acquire) == 0 && lock(&self.blocked).is_none();
        idle.then(|| *lock(&self.since))
    }

    /// Whether the client read no bytes for at least `time`, though there were some to send.
    pub(super) fn blocked_for(&self, time: Duration) -> bool {
        lock(&self.blocked).is_some_and(|since| since.elapsed() >= time)
    }

    /// Notes whether the client reads bytes.
    pub(super) fn note_blocked(&self, blocked: bool) {
        let mut since = lock(&self.blocked);
        match (blocked, *since) {
            (true, None) => *since = Some(Instant::now()),
            (false, Some(_)) => *since = None,
            _ => {}
        }
    }

    pub(super) fn begin(self: Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(self)
    }
}

/// A request counts as under way until this is dropped.
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Wraps the service of one connection.
#[derive(Clone)]
pub(super) struct Arrival<S> {
    pub(super) inner: S,
    pub(super) peer: SocketAddr,
    /// Whether the other side speaks TLS with this process.
    pub(super) tls: bool,
    pub(super) proxies: Proxies,
    pub(super) activity: Arc<Activity>,
    pub(super) spelling: Spelling,
    pub(super) patience: Patience,
    /// Whether only probes and metrics are answered.
    pub(super) probes_only: bool,
}

impl<S, B> Service<Request<B>> for Arrival<S>
where
    S: Service<Request<Patient<B>>, Response = Response<Body>>,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.probes_only && !matches!(request.uri().path(), "/health" | "/ready" | "/metrics") {
            return Box::pin(std::future::ready(Ok(crowded())));
        }
        let under_way = InHand(Arc::new(self.activity.clone().begin()));
        let origin = self.proxies.origin(self.peer.ip(), self.tls, request.headers());
        request.extensions_mut().insert(Peer(self.peer));
        request.extensions_mut().insert(origin);
        request.extensions_mut().insert(under_way.clone());
        let (version, spelling, patience) = (request.version(), self.spelling.clone(), self.patience);
        let answer = self.inner.call(request.map(|body| Patient::new(body, patience)));
        let ends = self.probes_only;
        Box::pin(async move {
            let _under_way = under_way;
            let mut response = answer.await?;
            if ends {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            spelling.spell(version, &mut response);
            Ok(sending::watched(response))
        })
    }
}

/// The answer to other requests on a connection that is reserved for probes.
fn crowded() -> Response<Body> {
    const BODY: &str = r#"{"type":"urn:juststorage:problem:busy","title":"Service Unavailable","status":503,"detail":"too many connections are open: try again","code":"busy"}"#;
    let mut response = Response::new(Body::from(BODY));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
