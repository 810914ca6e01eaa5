//! Request bodies on their way to s3s: bounded, and their memory accounted for where s3s gathers them.
//!
//! s3s gathers a whole XML body, and every signed chunk of an upload until its signature is verified. It reports
//! every failure below it in words of its own, so the failure is kept here too, for the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use juststorage_core::application::error::Error;
use juststorage_core::application::pools::Room;
use tower::BoxError;

use super::chunked::ChunkPosition;
use super::fault::BodyFault;
use crate::errors::{bad_request, translate};

/// The memory of s3s for each frame beside its bytes, counted too: a chunk may come in frames of one byte.
const FRAME_BYTES: usize = 64;

/// The bytes of a body that s3s gathers.
enum Gathered {
    /// Nothing: it passes on what comes.
    Nothing,
    /// All of it.
    Whole,
    /// A signed chunk at a time: where the body stands.
    Chunk(ChunkPosition),
}

/// Where a body's memory is until the answer is given.
pub(crate) type HeldRoom = Arc<Mutex<Option<Room>>>;

/// Room that is waited for, and the frame that wants it.
type Growing = (BoxFuture<'static, Result<Room, Error>>, Frame<Bytes>);

/// A body that is bounded.
pub(crate) struct Bounded<B> {
    body: B,
    gathered: Gathered,
    bytes_max: u64,
    /// In all so far.
    bytes: u64,
    /// The bytes that s3s holds just now.
    held: usize,
    room: HeldRoom,
    growing: Option<Growing>,
    failure: BodyFault,
}

impl<B> Bounded<B> {
    fn new(body: B, gathered: Gathered, bytes_max: u64, room: Option<Room>, failure: &BodyFault) -> Self {
        let (room, failure) = (Arc::new(Mutex::new(room)), failure.clone());
        Self { body, gathered, bytes_max, bytes: 0, held: 0, room, growing: None, failure }
    }

    /// A body that passes through s3s as it comes.
    pub(crate) fn stream(body: B, failure: &BodyFault) -> Self {
        Self::new(body, Gathered::Nothing, u64::MAX, None, failure)
    }

    /// A body that s3s gathers, of at most `bytes_max`. Its memory is held with what is returned beside it.
    pub(crate) fn whole(body: B, bytes_max: u64, room: Room, failure: &BodyFault) -> (Self, HeldRoom) {
        let bounded = Self::new(body, Gathered::Whole, bytes_max, Some(room), failure);
        let kept = bounded.room.clone();
        (bounded, kept)
    }

    /// A body of signed chunks.
    pub(crate) fn chunks(body: B, room: Room, failure: &BodyFault) -> Self {
        Self::new(body, Gathered::Chunk(ChunkPosition::START), u64::MAX, Some(room), failure)
    }

    /// Counts `bytes` more. Whether memory is needed for what is held now.
    fn count(&mut self, bytes: &Bytes) -> bool {
        self.bytes += bytes.len() as u64;
        let more = bytes.len() + FRAME_BYTES;
        match &mut self.gathered {
            Gathered::Nothing => return false,
            Gathered::Whole => self.held += more,
            Gathered::Chunk(at) => {
                let (behind, ended) = at.passed(bytes);
                *at = behind;
                if ended {
                    // Chunks before the one that this frame ends in were passed on.
                    self.held = 0;
                    if let Some(room) = self.lock().as_mut() {
                        room.clear();
                    }
                }
                self.held += more;
            }
        }
        let held = self.held;
        self.lock().as_ref().is_some_and(|room| !room.holds(held))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Room>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: Error) -> BoxError {
        let text = error.to_string();
        self.failure.set(translate(error));
        text.into()
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.growing.is_none() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    if let slow @ Error::BodyStalled = Error::of_stream(&*error) {
                        this.failure.set(translate(slow));
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(None),
            };
            let needs = frame.data_ref().is_some_and(|bytes| this.count(bytes));
            if this.bytes > this.bytes_max {
                this.failure.set(too_long());
                return Poll::Ready(Some(Err("the body is longer than its operation's may be".into())));
            }
            let room = if needs { this.lock().take() } else { None };
            match room {
                Some(room) => this.growing = Some((Box::pin(room.grow(this.held)), frame)),
                None => return Poll::Ready(Some(Ok(frame))),
            }
        }
        let Some((growing, _)) = &mut this.growing else { return Poll::Ready(None) };
        let grown = ready!(growing.as_mut().poll(context));
        let frame = this.growing.take().map(|(_, frame)| frame);
        match grown {
            Ok(room) => {
                *this.lock() = Some(room);
                Poll::Ready(frame.map(Ok))
            }
            Err(error) => Poll::Ready(Some(Err(this.fail(error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.growing.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.growing.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}

/// The refusal of a body that is longer than its operation's may be.
pub(crate) fn too_long() -> s3s::S3Error {
    bad_request("MaxMessageLengthExceeded", "Your request was too big.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use futures::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn body(
        frames: Vec<Result<&'static [u8], &'static str>>,
    ) -> impl Body<Data = Bytes, Error = BoxError> + Unpin {
        let frames = frames
            .into_iter()
            .map(|frame| frame.map(|bytes| Frame::data(Bytes::from_static(bytes))).map_err(BoxError::from));
        StreamBody::new(futures::stream::iter(frames).boxed())
    }

    #[tokio::test]
    async fn a_body_is_read_no_further_than_its_bound() {
        let failure = BodyFault::default();
        let room = juststorage_core::application::pools::Pools::default().room(None);
        let frames = vec![Ok(&b"abc"[..]), Ok(b"de"), Ok(b"f"), Err("never asked for")];
        let (mut bounded, _kept) = Bounded::whole(body(frames), 5, room, &failure);
        assert!(bounded.frame().await.unwrap().is_ok());
        assert!(bounded.frame().await.unwrap().is_ok());
        assert!(bounded.frame().await.unwrap().is_err());
        assert_eq!(failure.take().unwrap().code().as_str(), "MaxMessageLengthExceeded");
    }

    #[tokio::test]
    async fn a_slow_body_is_told_so() {
        let failure = BodyFault::default();
        let slow: BoxError = Box::new(juststorage_core::application::error::TooSlow("slow"));
        let frames = futures::stream::iter([Err::<Frame<Bytes>, _>(slow)]).boxed();
        let mut bounded = Bounded::stream(StreamBody::new(frames), &failure);
        assert!(bounded.frame().await.unwrap().is_err());
        assert_eq!(failure.take().unwrap().code().as_str(), "RequestTimeout");
    }
}
