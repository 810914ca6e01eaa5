//! The end of a body in chunks (`aws-chunked`).
//!
//! A stream of chunks ends with an empty one, and with a trailer behind it where one was announced. s3s is
//! content once every decoded byte has come: cut off behind the last of them, a body passes there as whole. What
//! a client has not sent to its end is not whole, so the chunks are counted off on the way in.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tower::BoxError;

use crate::dto::fields::text;

/// Whether each chunk of a request's body is signed: s3s keeps one until its signature is verified.
pub(crate) fn are_signed(headers: &HeaderMap) -> bool {
    text(headers, "x-amz-content-sha256").is_some_and(|value| value.starts_with("STREAMING-AWS4-"))
}

/// Whether a request's body is in chunks.
pub(crate) fn are_announced(headers: &HeaderMap) -> bool {
    text(headers, "x-amz-content-sha256").is_some_and(|value| value.starts_with("STREAMING-"))
}

/// A body in chunks that fails if it ends without its last one. Its bytes pass as they are, and nothing is kept.
pub(crate) struct Chunked<B> {
    body: B,
    at: ChunkPosition,
}

impl<B> Chunked<B> {
    pub(crate) fn new(body: B) -> Self {
        Self { body, at: ChunkPosition::START }
    }
}

/// The body ended without its last chunk.
#[derive(Debug, thiserror::Error)]
#[error("the last chunk is missing")]
struct Unended;

impl<B> Body for Chunked<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref() {
                    self.at = self.at.behind(bytes);
                }
            }
            Poll::Ready(None) if !matches!(self.at, ChunkPosition::End) => {
                self.at = ChunkPosition::End;
                return Poll::Ready(Some(Err(Box::new(Unended))));
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        // Not at its end before the last chunk: the reader must poll once more to get the error.
        matches!(self.at, ChunkPosition::End) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where in its chunks a body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkPosition {
    /// In the line before a chunk: the chunk's length so far, from so many digits; whether more may come.
    Line { length: u32, digits: u8, open: bool },
    /// In a chunk, so many bytes before the next one's line.
    Chunk(u64),
    /// Behind the last chunk's line.
    End,
}

impl ChunkPosition {
    pub(crate) const START: Self = Self::Line { length: 0, digits: 0, open: true };

    /// Where it stands behind `bytes`, and whether a chunk ended among them.
    pub(crate) fn passed(self, bytes: &[u8]) -> (Self, bool) {
        let behind = self.behind(bytes);
        let ended = match (self, behind) {
            // The same chunk: as much less is left of it as came.
            (Self::Chunk(before), Self::Chunk(left)) => before != left + bytes.len() as u64,
            (Self::Chunk(_), _) => true,
            _ => false,
        };
        (behind, ended)
    }

    /// Where it stands behind `bytes`. A line that is none is for s3s to refuse: what counts here is that the
    /// two see the same lengths, so that a ninth digit counts for neither.
    fn behind(mut self, mut bytes: &[u8]) -> Self {
        while let Some((&first, rest)) = bytes.split_first() {
            self = match self {
                Self::End => return self,
                Self::Chunk(left) => {
                    let passed = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    bytes = &bytes[passed..];
                    match left - passed as u64 {
                        0 => Self::START,
                        left => Self::Chunk(left),
                    }
                }
                Self::Line { length, digits, open } => {
                    bytes = rest;
                    match char::from(first).to_digit(16) {
                        _ if first == b'\n' && length == 0 => Self::End,
                        // A line's end stands behind the chunk as well.
                        _ if first == b'\n' => Self::Chunk(u64::from(length) + 2),
                        Some(digit) if open && digits < 8 => {
                            Self::Line { length: length << 4 | digit, digits: digits + 1, open }
                        }
                        _ => Self::Line { length, digits, open: false },
                    }
                }
            };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However a body is cut into frames, its end is where its empty chunk is, and only there.
    #[test]
    fn chunks_are_counted_in_frames_of_any_length() {
        let whole = b"5;chunk-signature=0f\r\n0\r\n\r\n\r\n10\r\n0123456789abcdef\r\n0;chunk-signature=ab\r\nx:y\r\n\r\n";
        let last = whole.len() - b"x:y\r\n\r\n".len();
        for length in 1..=whole.len() {
            let mut at = ChunkPosition::START;
            let mut passed = 0;
            for frame in whole.chunks(length) {
                at = at.behind(frame);
                passed += frame.len();
                assert_eq!(
                    at == ChunkPosition::End,
                    passed >= last,
                    "{passed} of {last} bytes in frames of {length}"
                );
            }
        }
    }

    #[test]
    fn lengths_are_read_as_s3s_reads_them() {
        assert_eq!(ChunkPosition::START.behind(b"0\r\n"), ChunkPosition::End);
        assert_eq!(ChunkPosition::START.behind(b"fffffFFF\r\n"), ChunkPosition::Chunk(0xFFFF_FFFF + 2));
        assert_eq!(ChunkPosition::START.behind(b"000000005\r\n"), ChunkPosition::End);
        assert_eq!(ChunkPosition::START.behind(b"1 2;3\r\n"), ChunkPosition::Chunk(3));
        assert_eq!(
            ChunkPosition::START.behind(b"1\r\na\r\n1"),
            ChunkPosition::Line { length: 1, digits: 1, open: true }
        );
    }
}
