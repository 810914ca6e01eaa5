//! Time limits of request bodies: uploads, JSON, XML and forms.
//!
//! Only time spent waiting for the client counts. A body that the server does not read at the moment (because its
//! tenant is slowed down, or memory is short) is not late.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use juststorage_core::application::error::TooSlow;
use tokio::time::{Instant, Sleep};
use tower::BoxError;

use super::counted;

/// Limits for clients.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a body may bring no byte, and a client may read no byte of an answer.
    pub stall: Duration,
    /// Minimum bytes per second of a body, over any such time; 0: no minimum.
    pub rate_min: u64,
}

impl Patience {
    /// The least bytes within [`Self::stall`].
    fn bytes_min(&self) -> u64 {
        let millis = u64::try_from(self.stall.as_millis()).unwrap_or(u64::MAX);
        self.rate_min.saturating_mul(millis) / 1000
    }
}

/// A body with time limits.
pub struct Patient<B> {
    /// None once it was cut off.
    body: Option<B>,
    patience: Patience,
    /// Since when the server waits for the client.
    waiting: Option<Instant>,
    /// How long the server waited for the client, over the whole body, up to [`Self::waiting`].
    waited: Duration,
    /// How much of that had passed at the last check of the rate.
    judged: Duration,
    /// Bytes since then.
    received: u64,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<B> Patient<B> {
    pub(super) fn new(body: B, patience: Patience) -> Self {
        let (waited, judged, received) = (Duration::ZERO, Duration::ZERO, 0);
        Self { body: Some(body), patience, waiting: None, waited, judged, received, alarm: None }
    }

    fn cut(&mut self, reason: &'static str) -> BoxError {
        counted::body_cut(reason);
        self.body = None;
        Box::new(TooSlow(reason))
    }

    /// Notes `bytes` more.
    fn came(&mut self, bytes: usize) {
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        self.received += bytes as u64;
        counted::received(bytes);
        if self.waited.saturating_sub(self.judged) >= self.patience.stall
            && self.received >= self.patience.bytes_min()
        {
            (self.judged, self.received) = (self.waited, 0);
        }
    }

    /// Whether the client is late; wakes the task when it will be.
    fn is_late(&mut self, context: &mut Context<'_>) -> Option<&'static str> {
        let stall = self.patience.stall;
        let since = *self.waiting.get_or_insert_with(Instant::now);
        loop {
            // The rate is looked at whenever a whole span was waited for, in one piece or in many.
            let span_ends = since + (self.judged + stall).saturating_sub(self.waited);
            let due = span_ends.min(since + stall);
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if alarm.deadline() != due {
                alarm.as_mut().reset(due);
            }
            if alarm.as_mut().poll(context).is_pending() {
                return None;
            }
            let waits = since.elapsed();
            if waits >= stall {
                return Some("stalled");
            }
            if self.received < self.patience.bytes_min() {
                return Some("slow");
            }
            (self.judged, self.received) = (self.waited + waits, 0);
        }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(context) {
            Poll::Pending => match this.is_late(context) {
                Some(reason) => Poll::Ready(Some(Err(this.cut(reason)))),
                None => Poll::Pending,
            },
            Poll::Ready(frame) => {
                let bytes =
                    frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
                this.came(bytes);
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::convert::Infallible;

    use futures::StreamExt as _;
    use futures::stream::BoxStream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const PATIENCE: Patience = Patience { stall: Duration::from_secs(60), rate_min: 4096 };

    type Frames = BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

    /// A body that brings `bytes` every `every`, `times` times, and then nothing more for ever.
    fn body(bytes: usize, every: Duration, times: usize) -> Patient<StreamBody<Frames>> {
        let frames = futures::stream::iter(0..times).then(move |_| async move {
            tokio::time::sleep(every).await;
            Ok(Frame::data(Bytes::from(vec![0; bytes])))
        });
        Patient::new(StreamBody::new(frames.chain(futures::stream::pending()).boxed()), PATIENCE)
    }

    /// How many frames come before it is cut off, after how long, and why.
    async fn cut(mut body: Patient<StreamBody<Frames>>) -> (usize, u64, &'static str) {
        let (began, mut frames) = (Instant::now(), 0);
        loop {
            match body.frame().await {
                Some(Ok(_)) => frames += 1,
                Some(Err(error)) => {
                    assert!(body.frame().await.is_none(), "nothing behind it");
                    let why = error.downcast_ref::<TooSlow>().expect("too slow").0;
                    return (frames, began.elapsed().as_secs(), why);
                }
                None => panic!("it has no end"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_is_cut_off() {
        let second = Duration::from_secs(1);
        assert_eq!(cut(body(1, second, 0)).await, (0, 60, "stalled"));
        let (frames, seconds, why) = cut(body(64 << 10, second, 10)).await;
        assert_eq!((frames, why), (10, "stalled"));
        assert!((69..=71).contains(&seconds), "{seconds}");
    }

    /// The attack: a byte now and then, which no idle time-out notices.
    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_too_slow() {
        assert_eq!(cut(body(1, Duration::from_secs(20), 1000)).await.1, 60);
        assert_eq!(cut(body(1, Duration::from_millis(10), 1_000_000)).await.2, "slow");
    }

    /// 64 KiB a second is honest, in whatever pieces, also with a pause of almost a minute in between.
    #[tokio::test(start_paused = true)]
    async fn an_honest_client_is_never_cut_off() {
        let cases = [(64 << 10, 1000, 300), (64, 1, 200_000), (1 << 20, 16_000, 300), (3 << 20, 50_000, 300)];
        for (bytes, every, times) in cases {
            let (frames, ..) = cut(body(bytes, Duration::from_millis(every), times)).await;
            assert_eq!(frames, times, "{bytes} every {every} ms");
        }
    }

    /// A body that the server leaves lying is not late.
    #[tokio::test(start_paused = true)]
    async fn time_that_the_server_takes_does_not_count() {
        let mut body = body(1, Duration::ZERO, 3);
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert!(body.frame().await.unwrap().is_ok());
        }
    }
}
