//! Digests of XML bodies. s3s parses such a body before an operation sees it, so its bytes are digested on
//! the way in, and the operation compares before it acts. s3s also takes what is not XML for want of a character.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use juststorage_core::domain::checksum::ChecksumHasher;
use md5::{Digest as _, Md5};
use s3s::S3Result;

use crate::dto::checksums;
use crate::errors::{Refusal, bad_request, internal, malformed_xml};

/// The operations that take an XML body, whose digests are compared by [`verify`].
pub(crate) const OPERATIONS: &[&str] = &[
    "CreateBucket",
    "DeleteObjects",
    "CompleteMultipartUpload",
    "PutObjectTagging",
    "PutObjectAcl",
    "PutObjectRetention",
    "PutObjectLegalHold",
    "PutBucketVersioning",
    "PutBucketAcl",
    "PutBucketCors",
    "PutBucketLifecycleConfiguration",
    "PutBucketTagging",
    "PutBucketOwnershipControls",
    "PutPublicAccessBlock",
    "PutObjectLockConfiguration",
];

/// The digests that a request declares of its XML body, filled while it is read, and whether it can be XML.
#[derive(Clone)]
pub(crate) struct XmlDigests(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    md5: Option<Md5>,
    checksum: Option<ChecksumHasher>,
    /// A control character came by, which no document holds (XML 1.0, section 2.2, production 2).
    control: bool,
}

impl XmlDigests {
    /// For the digests that `headers` declare.
    pub(crate) fn new(headers: &HeaderMap) -> Self {
        let algorithm = checksums::checksum_header(headers).ok().flatten().map(|(algorithm, _)| algorithm);
        Self(Arc::new(Mutex::new(State {
            md5: headers.contains_key("content-md5").then(Md5::new),
            checksum: algorithm.map(ChecksumHasher::new),
            control: false,
        })))
    }

    /// `body`, digested while it is read.
    pub(crate) fn watch<B>(&self, body: B) -> Watched<B> {
        Watched { body, digests: self.clone() }
    }

    fn update(&self, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.control |= bytes.iter().any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'));
        if let Some(md5) = &mut state.md5 {
            md5.update(bytes);
        }
        if let Some(checksum) = &mut state.checksum {
            checksum.update(bytes);
        }
    }
}

/// The refusal of a body in chunks where an operation takes XML: S3 has them for objects and parts, and s3s answers
/// 500 to one that is badly framed.
pub(crate) fn in_chunks() -> Refusal {
    Refusal::not_implemented("A chunked body is not implemented for this operation.")
}

/// Compares a body that has been read with what its headers declare. `required` refuses a body of which
/// nothing is declared (S3 `DeleteObjects`). What holds a control character is no XML and is refused, but for a list
/// of keys to be deleted: keys may hold them, and clients know no other way to write them.
pub(crate) fn verify(extensions: &http::Extensions, headers: &HeaderMap, required: bool) -> S3Result<()> {
    let md5 = checksums::content_md5(headers)?;
    let declared = checksums::checksum_header(headers)?;
    let digests = extensions.get::<XmlDigests>();
    let state =
        digests.map(|digests| std::mem::take(&mut *digests.0.lock().unwrap_or_else(PoisonError::into_inner)));
    if !required && state.as_ref().is_some_and(|state| state.control) {
        return Err(malformed_xml("it contains a control character"));
    }
    if md5.is_none() && declared.is_none() {
        if required {
            return Err(bad_request(
                "InvalidRequest",
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
            ));
        }
        return Ok(());
    }
    let State { md5: md5_state, checksum, .. } = state.ok_or_else(internal)?;
    if md5.is_some_and(|md5| md5_state.is_none_or(|state| md5 != <[u8; 16]>::from(state.finalize()))) {
        return Err(bad_request(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
        ));
    }
    let computed = checksum.map(ChecksumHasher::finish);
    if declared.is_some_and(|(_, value)| computed.is_none_or(|computed| computed.value != value)) {
        return Err(bad_request("BadDigest", "The checksum you specified did not match what we received."));
    }
    Ok(())
}

/// A body that is digested while it is read.
pub(crate) struct Watched<B> {
    body: B,
    digests: XmlDigests,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.digests.update(bytes);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
