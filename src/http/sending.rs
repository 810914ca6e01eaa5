//! Detects clients that do not read their answers.
//!
//! Over HTTP/1 the connection shows it: the socket accepts no more bytes. Over HTTP/2 a client can close the window
//! of one stream and keep the connection active, so each stream has a timer of its own. hyper polls an answer's body
//! only while the window is open, so the body itself cannot detect a stall. A task beside it drops the future that
//! hyper spawned for the stream, which resets the stream.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::activity::Activity;
use super::counted;

/// Most bytes given to a stream at a time. hyper takes a whole frame for one byte of window, and holds it until the
/// client reads it.
const FRAME_BYTES_MAX: usize = 16 << 10;

tokio::task_local! {
    static STREAM: Arc<Progress>;
}

/// The progress of one stream's answer.
#[derive(Default)]
struct Progress {
    /// Since when the client could have read something; `None` while the server has to continue.
    waiting: Mutex<Option<Instant>>,
}

impl Progress {
    fn set(&self, waiting: Option<Instant>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// Returns once the client has read nothing for `stall`.
    async fn stalled(&self, stall: Duration) {
        loop {
            let waiting = *self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            match waiting.map(|since| since + stall) {
                Some(due) if due <= Instant::now() => return,
                Some(due) => tokio::time::sleep_until(due).await,
                None => tokio::time::sleep(stall / 2).await,
            }
        }
    }
}

/// Runs the streams of HTTP/2 connections, each until it ends or its client stalls for too long.
#[derive(Clone, Copy)]
pub(super) struct Streams {
    pub(super) stall: Duration,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (progress, stall) = (Arc::new(Progress::default()), self.stall);
        let watched = progress.clone();
        tokio::spawn(STREAM.scope(progress, async move {
            tokio::select! {
                biased;
                _ = stream => {}
                () = watched.stalled(stall) => counted::answer_cut(),
            }
        }));
    }
}

/// Watches the answer of a stream from now on. An answer over HTTP/1 is returned unchanged.
pub(super) fn watched(response: Response<Body>) -> Response<Body> {
    let Ok(progress) = STREAM.try_with(Arc::clone) else { return response };
    if response.body().is_end_stream() {
        return response;
    }
    progress.set(Some(Instant::now()));
    response.map(|body| Body::new(Watched { body, progress, rest: Bytes::new() }))
}

/// The body of a stream's answer.
struct Watched {
    body: Body,
    progress: Arc<Progress>,
    /// The rest of the last frame.
    rest: Bytes,
}

impl Watched {
    /// The next bytes of `rest`. The last piece does not keep the memory of the whole frame.
    fn slice(&mut self) -> Bytes {
        if self.rest.len() > FRAME_BYTES_MAX {
            return self.rest.split_to(FRAME_BYTES_MAX);
        }
        Bytes::copy_from_slice(&std::mem::take(&mut self.rest))
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if bytes.len() > FRAME_BYTES_MAX => this.rest = bytes,
                    Ok(bytes) => {
                        this.progress.set(Some(Instant::now()));
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => {
                    this.progress.set(None);
                    return other;
                }
            }
        }
        this.progress.set(Some(Instant::now()));
        Poll::Ready(Some(Ok(Frame::data(this.slice()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

/// A connection's bytes. Notes when the client reads none.
pub(super) struct Noting<T> {
    pub(super) io: T,
    pub(super) activity: Arc<Activity>,
}

impl<T> Noting<T> {
    fn note<R>(&self, polled: Poll<R>) -> Poll<R> {
        self.activity.note_blocked(polled.is_pending());
        polled
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Noting<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noting<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(context);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(context);
        self.note(polled)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use hyper::rt::Executor as _;
    use tokio::sync::oneshot;

    use super::*;

    const STALL: Duration = Duration::from_secs(60);

    fn answer(frames: Vec<&'static [u8]>) -> Response<Body> {
        let frames = frames.into_iter().map(|frame| Ok::<_, io::Error>(Bytes::from_static(frame)));
        Response::new(Body::from_stream(futures::stream::iter(frames)))
    }

    /// Seconds after which a stream is dropped whose body is asked for `frames` frames, one a second.
    async fn dropped_after(frames: usize) -> u64 {
        let began = Instant::now();
        let (alive, dropped) = oneshot::channel::<()>();
        Streams { stall: STALL }.execute(async move {
            let _alive = alive;
            let mut body = watched(answer(vec![b"a"; 10])).into_body();
            for _ in 0..frames {
                tokio::time::sleep(Duration::from_secs(1)).await;
                http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap();
            }
            std::future::pending::<()>().await;
        });
        assert!(dropped.await.is_err());
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_taken_nothing_of_is_dropped() {
        assert_eq!(dropped_after(0).await, 60);
        assert_eq!(dropped_after(5).await, 65);
    }

    #[tokio::test]
    async fn large_frames_are_handed_on_in_pieces() {
        let (sent, received) = oneshot::channel();
        Streams { stall: STALL }.execute(async move {
            let mut body = watched(answer(vec![&[7; 40_000], &[8; 3]])).into_body();
            let mut lengths = Vec::new();
            while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
                lengths.push(frame.unwrap().into_data().unwrap().len());
            }
            sent.send(lengths).unwrap();
        });
        assert_eq!(received.await.unwrap(), [16_384, 16_384, 7_232, 3]);
    }
}
