//! A body as a front hands it over.

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};

use crate::application::error::Result;
use crate::domain::blob::Hash;
use crate::domain::checksum::Checksum;
use crate::domain::etag::Md5Digest;

/// What a client declares of its body.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The SHA-256 of the bytes.
    pub sha256: Option<Hash>,
    /// The MD5 of the bytes.
    pub md5: Option<Md5Digest>,
    /// A checksum of the bytes.
    pub checksum: Option<Checksum>,
}

/// Yields what a client declares only behind the body: the checksum of a trailer. An error refuses the
/// body.
pub type Trailer = Box<dyn FnOnce() -> Result<Option<Checksum>> + Send>;

/// A body as a front hands it over, decoded from its protocol's framing.
pub struct Body {
    /// Its bytes. An error of the stream is the client's.
    pub stream: BoxStream<'static, Result<Bytes>>,
    /// Its length in bytes, where the client says; a body of any other length is refused.
    pub length: Option<u64>,
    /// What it must match.
    pub expected: Expected,
    /// What it must match, known only at its end.
    pub trailer: Option<Trailer>,
}

impl Body {
    /// A body of which nothing is declared.
    pub fn new(stream: BoxStream<'static, Result<Bytes>>) -> Self {
        Self { stream, length: None, expected: Expected::default(), trailer: None }
    }

    /// A body that is all there.
    pub fn of_bytes(bytes: Bytes) -> Self {
        let length = Some(bytes.len() as u64);
        let stream = futures::stream::iter([Ok(bytes)]).boxed();
        Self { length, ..Self::new(stream) }
    }

    /// Stored bytes on their way into another object.
    pub(crate) fn of_stored(stream: BoxStream<'static, Result<Bytes>>, length: u64) -> Self {
        Self { length: Some(length), ..Self::new(stream) }
    }
}
