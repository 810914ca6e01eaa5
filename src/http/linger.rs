//! Reads the rest of a refused request's body.
//!
//! An answer may come before the request's body was read, because the bucket does not exist or the disk is full. If
//! the connection were closed then, the server would answer the remaining bytes with a reset, and the client's system
//! would discard the answer: the client would see a broken pipe instead of the reason. So the rest of the body is
//! read and dropped for a while, which nginx calls a lingering close.
//!
//! HTTP/2 ends a stream without its connection, and a server may answer and then reset the stream with `NO_ERROR` (RFC
//! 9113 section 8.1). Clients take that for a failure all the same: curl 7.88 ends with error 92, httpx with an exception,
//! and neither shows the answer. So the rest is read there too.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use juststorage_core::domain::pace::Pace;
use tokio::time::Instant;
use tower::Service;

/// How long a client may continue to send a body that is dropped.
const LINGER_MAX: Duration = Duration::from_secs(10);

/// Bytes of each body that are read and dropped at once. Most bodies of refused requests are no longer.
const AT_ONCE: u64 = 256 << 10;

/// Bytes per second of all bodies that are read and dropped beyond [`AT_ONCE`] of each. Without a limit, clients that send
/// what was refused take the processor from those that are served.
const PER_SECOND: u64 = 128 << 20;

/// The pace at which all connections together read what was refused.
#[derive(Clone)]
pub(super) struct Unwanted(Arc<(Instant, Mutex<Pace>)>);

impl Unwanted {
    pub(super) fn new() -> Self {
        Self(Arc::new((Instant::now(), Mutex::default())))
    }

    /// Reads the rest of a body and drops it.
    async fn read<B: Body<Data = Bytes> + Unpin>(&self, body: &mut B) {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            dropped += bytes;
            if dropped > AT_ONCE {
                tokio::time::sleep(self.take(bytes)).await;
            }
        }
    }

    fn take(&self, bytes: u64) -> Duration {
        let (begun, pace) = &*self.0;
        pace.lock().unwrap_or_else(PoisonError::into_inner).take(bytes, PER_SECOND, begun.elapsed())
    }
}

/// Wraps the service of a front, so that every answer reaches its client.
#[derive(Clone)]
pub(super) struct Linger<S> {
    pub(super) inner: S,
    pub(super) unwanted: Unwanted,
}

impl<S, B, R> Service<Request<B>> for Linger<S>
where
    S: Service<Request<Lingering<B>>, Response = Response<R>>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Over HTTP/2 no `100 Continue` is ever sent, so who asks for it sends without.
        let waits = request.version() < Version::HTTP_2 && waits(request.headers());
        let asked = Arc::new(AtomicBool::new(!waits));
        let rest = asked.clone();
        let unwanted = self.unwanted.clone();
        let lingering = |body| Lingering { body: Some(body), asked: rest, unwanted };
        let answer = self.inner.call(request.map(lingering));
        Box::pin(async move {
            let mut response = answer.await?;
            // Whether this client now sends its body or not is its choice (RFC 9110 section 10.1.1), so where
            // the next request begins is not known: the connection ends here, and the client is told.
            if !asked.load(Ordering::Relaxed) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        })
    }
}

/// A request's body whose rest is read if it is dropped before its end.
pub struct Lingering<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> {
    body: Option<B>,
    /// Whether the client sends already: one that waits for `100 Continue` does not.
    asked: Arc<AtomicBool>,
    unwanted: Unwanted,
}

fn waits(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> Body for Lingering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.asked.store(true, Ordering::Relaxed);
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> Drop for Lingering<B> {
    fn drop(&mut self) {
        let sends = self.asked.load(Ordering::Relaxed);
        let Some(mut body) = self.body.take().filter(|body| sends && !body.is_end_stream()) else { return };
        // Outside of a runtime there is no connection to save either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let unwanted = self.unwanted.clone();
            runtime.spawn(async move {
                let _ = tokio::time::timeout(LINGER_MAX, unwanted.read(&mut body)).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::convert::Infallible;
    use std::sync::atomic::AtomicUsize;

    use futures::StreamExt as _;
    use http_body_util::StreamBody;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// A service that reads `read` of a request's three frames and answers: how many of them are ever asked
    /// for, and whether the client is told that the connection ends.
    async fn after(version: Version, read: usize, expect: bool) -> (usize, bool) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let frames = futures::stream::iter(0..3).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
        });
        let mut request = Request::new(StreamBody::new(frames));
        *request.version_mut() = version;
        if expect {
            request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        }
        let service = service_fn(|request: Request<Lingering<_>>| async move {
            let mut body = request.into_body();
            for _ in 0..read {
                body.frame().await.unwrap().unwrap();
            }
            Ok::<_, Infallible>(Response::new(()))
        });
        let answer = Linger { inner: service, unwanted: Unwanted::new() }.oneshot(request).await.unwrap();
        // The rest is read by a task of its own, on this very thread.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        (asked.load(Ordering::Relaxed), answer.headers().contains_key(header::CONNECTION))
    }

    #[tokio::test]
    async fn what_nobody_read_is_read_after_all() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            for read in 0..=3 {
                assert_eq!(after(version, read, false).await, (3, false), "{version:?}");
            }
        }
    }

    /// A client that sends a body reads that the server is full.
    #[tokio::test]
    async fn the_answer_of_a_full_server_reaches_who_sends() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let frames = futures::stream::iter(0..3).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
        });
        let inner = service_fn(|_: Request<Lingering<_>>| async {
            Ok::<_, Infallible>(Response::new(axum::body::Body::empty()))
        });
        let inner = super::super::reserved::Reserved { inner, probes_only: true };
        let request = Request::put("/v1/objects/by-key/a/b/c").body(StreamBody::new(frames)).unwrap();
        let answer = Linger { inner, unwanted: Unwanted::new() }.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 503);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3, "its body is read");
    }

    /// Two unwanted bodies of 256 MiB are read at one pace, and a short one at once.
    #[tokio::test(start_paused = true)]
    async fn what_nobody_wants_is_read_at_a_pace() {
        let unwanted = Unwanted::new();
        let read = async |kibibytes: usize| {
            let piece = Bytes::from(vec![0; 64 << 10]);
            let frames = futures::stream::iter(0..kibibytes / 64)
                .map(move |_| Ok::<_, Infallible>(Frame::data(piece.clone())));
            unwanted.read(&mut StreamBody::new(frames)).await;
        };
        let begun = Instant::now();
        read(256).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        tokio::join!(read(256 << 10), read(256 << 10));
        let took = begun.elapsed().as_millis();
        // 511.5 MiB at 128 MiB/s, of which a quarter of a second is not waited for.
        assert!((3_700..3_800).contains(&took), "{took} ms");
    }

    #[tokio::test]
    async fn a_client_that_waits_is_not_asked_but_told() {
        assert_eq!(after(Version::HTTP_11, 0, true).await, (0, true));
        assert_eq!(after(Version::HTTP_11, 1, true).await, (3, false), "it was asked, and sends");
        assert_eq!(after(Version::HTTP_2, 0, true).await, (3, false), "it sends without being asked");
    }
}
