//! Request bodies on their way to the core, with what their framing proves at its end.

use std::error::Error as StdError;

use futures::stream::{BoxStream, StreamExt as _};
use http::{HeaderMap, HeaderName, StatusCode};
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::{Body, Expected, Trailer};
use juststorage_core::domain::checksum::Checksum;
use s3s::dto::StreamingBlob;
use s3s::stream::aws_chunked_stream::AwsChunkedStreamError;
use s3s::stream::upload_stream::UploadStreamError;
use s3s::{BodySizeLimitExceeded, S3Error, S3Request, TrailingHeaders};

use super::fault::BodyFault;
use super::signatures::chunks::{self, ChunkError};
use crate::dto::checksums::{Declared, header_of};
use crate::errors::{bad_request, fail};

/// The trailer of a body in chunks: read by s3s, or before it.
pub(crate) struct Trailing(Option<TrailingHeaders>, Option<chunks::Trailer>);

impl Trailing {
    /// That of a request.
    pub(crate) fn take<T>(request: &mut S3Request<T>) -> Self {
        Self(request.trailing_headers.take(), request.extensions.remove())
    }

    fn value(&self, name: &HeaderName) -> Option<String> {
        let read =
            |headers: &HeaderMap| headers.get(name).and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let of_s3s = self.0.as_ref().and_then(|trailing| trailing.read(read)).flatten();
        of_s3s.or_else(|| self.1.as_ref()?.value(name))
    }
}

/// The core's body of a request's. `length` is the decoded length.
pub(crate) fn incoming(
    blob: Option<StreamingBlob>,
    length: u64,
    declared: Declared,
    trailing: Trailing,
) -> (Body, BodyFault) {
    let failure = BodyFault::default();
    let trailer = declared.trailer.map(|algorithm| {
        let failure = failure.clone();
        let read: Trailer = Box::new(move || {
            let header = header_of(algorithm);
            let Some(value) = trailing.value(&header) else {
                failure.set(bad_request(
                    "MalformedTrailerError",
                    format!(
                        "The request contained trailing data that was not well-formed: {header} is missing."
                    ),
                ));
                return Err(Error::Body("the trailer is missing".to_owned()));
            };
            Checksum::declared(algorithm, value.trim()).map(Some).map_err(|invalid| {
                failure.set(bad_request("InvalidRequest", format!("Value for {header} trailer is invalid.")));
                Error::Invalid(invalid)
            })
        });
        read
    });
    let stream = match blob {
        Some(blob) => explained(blob, failure.clone()),
        None => futures::stream::empty().boxed(),
    };
    let expected = Expected { sha256: None, md5: declared.md5, checksum: declared.checksum };
    (Body { stream, length: Some(length), expected, trailer }, failure)
}

/// The frames of a body, whose failure is explained. What proves a body (the last chunk's signature, the trailer, the
/// signed digest) comes behind its last byte, as an error of the stream if it is wrong: the core reads to the very end
/// before it accepts any of it.
fn explained(blob: StreamingBlob, failure: BodyFault) -> BoxStream<'static, Result<bytes::Bytes, Error>> {
    let explained = move |error: Box<dyn StdError + Send + Sync>| {
        failure.set(explain(&*error));
        Error::Body(error.to_string())
    };
    blob.map(move |frame| frame.map_err(&explained)).boxed()
}

/// The code for an error of a body's framing: the first cause that has one.
pub(crate) fn explain(error: &(dyn StdError + Send + Sync + 'static)) -> S3Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<UploadStreamError>() {
            match error {
                UploadStreamError::Sha256Mismatch => {
                    return bad_request(
                        "XAmzContentSHA256Mismatch",
                        "The provided 'x-amz-content-sha256' header does not match what was computed.",
                    );
                }
                UploadStreamError::LengthMismatch | UploadStreamError::Incomplete => return incomplete(),
                UploadStreamError::Underlying(_) => {}
            }
        }
        if let Some(error) = error.downcast_ref::<AwsChunkedStreamError>() {
            match error {
                AwsChunkedStreamError::Underlying(_) => {}
                AwsChunkedStreamError::SignatureMismatch => return wrong_chunk(),
                AwsChunkedStreamError::FormatError
                | AwsChunkedStreamError::Incomplete
                | AwsChunkedStreamError::LengthMismatch => return incomplete(),
                AwsChunkedStreamError::TrailersTooLarge(..)
                | AwsChunkedStreamError::TooManyTrailerHeaders(..) => {
                    return bad_request(
                        "MalformedTrailerError",
                        "The request contained trailing data that was not well-formed: it is too long.",
                    );
                }
                AwsChunkedStreamError::ChunkMetaTooLarge(..)
                | AwsChunkedStreamError::ChunkDataTooLarge(..) => {
                    return bad_request("InvalidChunkSizeError", "A chunk of the body is too large.");
                }
            }
        }
        if error.downcast_ref::<ChunkError>() == Some(&ChunkError::Signature) {
            return wrong_chunk();
        }
        if error.downcast_ref::<BodySizeLimitExceeded>().is_some() {
            return bad_request(
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed object size.",
            );
        }
        cause = error.source();
    }
    incomplete()
}

fn wrong_chunk() -> S3Error {
    let message = "The signature of a chunk or of the trailer does not match.";
    fail(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
}

fn incomplete() -> S3Error {
    bad_request(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::Bytes;
    use std::io;

    fn blob(frames: Vec<Result<&'static [u8], io::Error>>) -> StreamingBlob {
        StreamingBlob::wrap(futures::stream::iter(
            frames.into_iter().map(|frame| frame.map(Bytes::from_static)).collect::<Vec<_>>(),
        ))
    }

    /// A wrong trailer reaches the core as an error, and the client in S3's terms.
    #[tokio::test]
    async fn what_fails_behind_the_last_byte_is_explained() {
        let failure = BodyFault::default();
        let failing = blob(vec![Ok(b"ab"), Ok(b"c"), Err(io::Error::other("bad signature"))]);
        let frames: Vec<_> = explained(failing, failure.clone()).collect().await;
        assert_eq!(frames.len(), 3);
        assert!(matches!(frames[2], Err(Error::Body(_))));
        let answer = failure.explain(Error::Body(String::new()));
        assert_eq!(answer.code().as_str(), "IncompleteBody");
    }

    #[tokio::test]
    async fn a_good_body_passes_whole() {
        let good = blob(vec![Ok(b"ab"), Ok(b"c")]);
        let frames: Vec<_> = explained(good, BodyFault::default()).map(Result::unwrap).collect().await;
        assert_eq!(frames.concat(), b"abc");
    }
}
