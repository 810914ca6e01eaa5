//! Bodies that s3s takes as they come, because the request has no signature, or one of version 2.
//! The claims of such a request about its body are checked here, so that nothing else is stored than was sent.
//!
//! - *A digest* (`x-amz-content-sha256`) is compared with the bytes.
//! - *Chunks* lose their framing ([`super::chunks`]), also where only `Content-Encoding: aws-chunked` announces them, as
//!   boto3 without credentials sends them. *Signed* chunks have nothing that their signatures could hang on: they are
//!   refused, as S3 does.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use s3s::S3Error;
use sha2::{Digest as _, Sha256};
use tower::BoxError;

use super::chunks::Trailer;
use super::claims;
use crate::dto::fields::{joined, text};
use crate::errors::{Refusal, bad_request, with_member};
use crate::wire::fault::BodyFault;

const CONTENT_SHA256: &str = "x-amz-content-sha256";
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";

/// The claims of a request about its body.
#[derive(Default)]
pub(crate) struct Said {
    digest: Option<[u8; 32]>,
    /// Where the trailer goes, if the body is in chunks.
    pub(crate) chunks: Option<Trailer>,
}

/// Reads what a request says of its body, if s3s does not. The length becomes that of the bytes without their framing;
/// version 2 signs the headers that are S3's own, and these stay.
pub(crate) fn admit(parts: &mut Parts) -> Result<Said, Refusal> {
    let mut said = Said::default();
    if claims::is_version_4(parts) || !matches!(parts.method, Method::PUT | Method::POST) {
        return Ok(said);
    }
    let payload = text(&parts.headers, CONTENT_SHA256).unwrap_or_default().to_owned();
    let in_chunks = match payload.as_str() {
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => true,
        "" => is_encoded(&parts.headers) && parts.headers.contains_key(DECODED_LENGTH),
        "UNSIGNED-PAYLOAD" => false,
        payload if payload.starts_with("STREAMING-") => {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "InvalidRequest",
                "Anonymous requests don't support this x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or \
                 STREAMING-UNSIGNED-PAYLOAD-TRAILER.",
            ));
        }
        payload => {
            // A value that is no digest matches no body.
            let digest = hex::decode(payload).ok().and_then(|digest| digest.try_into().ok());
            said.digest = Some(digest.unwrap_or_default());
            false
        }
    };
    if in_chunks {
        let length = parts.headers.get(DECODED_LENGTH).cloned().ok_or_else(|| {
            let message = "You must provide the x-amz-decoded-content-length HTTP header.";
            Refusal::new(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message)
        })?;
        parts.headers.insert(CONTENT_LENGTH, length);
        parts.headers.remove(TRANSFER_ENCODING);
        said.chunks = Some(Trailer::default());
    }
    Ok(said)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let encodings = joined(headers, CONTENT_ENCODING.as_str()).unwrap_or_default();
    encodings.split(',').any(|encoding| encoding.trim().eq_ignore_ascii_case("aws-chunked"))
}

fn mismatch(computed: &[u8; 32]) -> S3Error {
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    let error = bad_request("XAmzContentSHA256Mismatch", message);
    with_member(error, "S3ComputedContentSHA256", &hex::encode(computed))
}

/// A body that fails behind its last byte unless its digest is the one that was said.
pub(crate) struct Digested<B> {
    body: B,
    said: Option<([u8; 32], Sha256)>,
    failure: BodyFault,
}

impl<B> Digested<B> {
    pub(crate) fn new(body: B, said: &Said, failure: &BodyFault) -> Self {
        let failure = failure.clone();
        Self { body, said: said.digest.map(|digest| (digest, Sha256::new())), failure }
    }
}

impl<B> Body for Digested<B>
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
                if let (Some((_, hasher)), Some(bytes)) = (&mut self.said, frame.data_ref()) {
                    hasher.update(bytes);
                }
            }
            Poll::Ready(None) => {
                if let Some((said, hasher)) = self.said.take() {
                    let computed: [u8; 32] = hasher.finalize().into();
                    if computed != said {
                        let error = mismatch(&computed);
                        let text = error.to_string();
                        self.failure.set(error);
                        return Poll::Ready(Some(Err(text.into())));
                    }
                }
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        // The reader must poll once more to learn whether the digest matches.
        self.said.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
