//! What a connection knows of its requests: where they come from, and whether any is under way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::http::{Request, Response};
use futures::future::BoxFuture;
use tower::Service;

use super::Spelling;

/// Where a request came from, among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Whether a connection has anything to do. HTTP/1 ends idle connections by itself; one of HTTP/2, or one
/// whose client never says which of the two it speaks, has nobody else to end it.
pub(super) struct Activity {
    under_way: AtomicUsize,
    since: Mutex<Instant>,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { under_way: AtomicUsize::new(0), since: Mutex::new(Instant::now()) })
    }

    /// Whether no request was under way for at least `time`.
    pub(super) fn idle_for(&self, time: Duration) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.under_way.load(Ordering::Acquire) == 0 && since.elapsed() >= time
    }

    fn begin(self: Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(self)
    }
}

struct UnderWay(Arc<Activity>);

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
    pub(super) activity: Arc<Activity>,
    pub(super) spelling: Spelling,
}

impl<S, B, R> Service<Request<B>> for Arrival<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.peer));
        let under_way = self.activity.clone().begin();
        let (version, spelling) = (request.version(), self.spelling.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let _under_way = under_way;
            let mut answer = answer.await?;
            spelling.spell(version, &mut answer);
            Ok(answer)
        })
    }
}
