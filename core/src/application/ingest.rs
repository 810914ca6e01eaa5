//! Bytes in: received, digested on the way, checked against what the client declares, and staged.
//!
//! Small bodies are gathered in memory and travel to the open pack with their commit; large ones stream
//! into a segment of their own. Memory per request is bounded whatever the object's size.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::application::error::{Error, Result};
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, NewContent, StagedLeaf, WriterId};
use crate::application::ports::segments::{Record, SegmentKind, SingleWriter};
use crate::application::reserve::Reserve;
use crate::application::store::Tiers;
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::blob::{ContentHash, Hash, Location, SegmentId};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm};
use crate::domain::etag::{Etag, Md5Digest};
use crate::domain::object::ObjectId;
use crate::domain::space::DedupDomain;
use crate::domain::storage_class::StorageClass;

mod announced;
mod digests;
mod lanes;

pub use announced::Announced;
pub(crate) use announced::remove_if_nobodys;
use digests::Digests;
use lanes::Lanes;

/// Largest blob that goes into a pack, in bytes; larger ones get a segment of their own.
pub const PACKED_BYTES_MAX: usize = 1 << 20;

/// How much of a large body is gathered before it is digested and written, in bytes.
const CHUNK_BYTES: usize = 512 << 10;

/// The same when memory is short, so that a thousand uploads at once go on, only slower.
const CHUNK_BYTES_SHORT: usize = 32 << 10;

/// What bodies in memory may take together, in bytes. Beyond it, uploads wait for one another.
const GATHERED_BYTES_MAX: usize = 32 << 20;

/// How long a client may send nothing in the middle of a body.
const STALL_MAX: Duration = Duration::from_secs(60);

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

/// What a body is taken in for.
pub(crate) struct Intent<'a> {
    pub(crate) space: &'a SpaceAddress,
    pub(crate) key: Option<&'a Key>,
    pub(crate) domain: &'a DedupDomain,
    pub(crate) class: StorageClass,
    /// Whether the entity tag will be an MD5.
    pub(crate) md5: bool,
    /// Which checksum to compute, beside those that are declared.
    pub(crate) checksum: Option<ChecksumAlgorithm>,
    /// Longest body, in bytes.
    pub(crate) bytes_max: u64,
}

/// A small body on its way to a pack. Its memory is accounted for until it is dropped.
pub struct Payload {
    pub(crate) tier: StorageClass,
    pub(crate) record: Record,
    _memory: OwnedSemaphorePermit,
}

/// A body that arrived whole and matches what was declared.
pub(crate) struct Landed {
    /// Where it lies; for a small body, where it will lie once the committer has packed it.
    pub(crate) content: NewContent,
    /// The bytes, if they are still to be packed.
    pub(crate) payload: Option<Payload>,
    /// The large body's registration.
    pub(crate) announced: Option<Announced>,
    pub(crate) hash: Hash,
    pub(crate) md5: Option<Md5Digest>,
    pub(crate) checksum: Option<Checksum>,
}

impl Landed {
    /// The tag of a single put.
    pub(crate) fn etag(&self) -> Etag {
        match &self.md5 {
            Some(md5) => Etag::md5(md5),
            None => Etag::of_content(ContentHash::Leaf(self.hash)),
        }
    }
}

/// Takes bodies in for one writer.
#[derive(Clone)]
pub struct Ingest {
    metadata: Arc<dyn MetadataStore>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    writer: WriterId,
    memory: Arc<Semaphore>,
    lanes: Lanes,
    pub(crate) reserve: Reserve,
}

impl Ingest {
    /// For `writer`, which must be registered.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        writer: WriterId,
    ) -> Self {
        let memory = Arc::new(Semaphore::new(GATHERED_BYTES_MAX));
        let (lanes, reserve) = (Lanes::default(), Reserve::default());
        Self { metadata, tiers, clock, writer, memory, lanes, reserve }
    }

    /// Refuses bodies for which less is left than `reserve` keeps free.
    #[must_use]
    pub fn with_reserve(self, reserve: Reserve) -> Self {
        Self { reserve, ..self }
    }

    /// Takes in a body for `intent`. On an error nothing stays behind; what was staged is removed.
    pub(crate) async fn take_in(&self, intent: &Intent<'_>, body: Body) -> Result<Landed> {
        if body.length.is_some_and(|length| length > intent.bytes_max) {
            return Err(Error::BodyTooLarge { max: intent.bytes_max });
        }
        self.reserve.check(intent.class, body.length.unwrap_or(0))?;
        let wanted = digests::Wanted {
            md5: intent.md5 || body.expected.md5.is_some(),
            checksum: body.expected.checksum.as_ref().map(|c| c.algorithm).or(intent.checksum),
        };
        let mut source = Source::new(body, intent.bytes_max);
        let large = source.length.is_some_and(|length| length > PACKED_BYTES_MAX as u64);
        let (memory, chunk_bytes) = self.reserve(source.length, large).await?;
        let first = source.next(if large { chunk_bytes } else { PACKED_BYTES_MAX + 1 }).await?;
        if large || first.len() > PACKED_BYTES_MAX {
            return self.stream_in(intent, wanted, source, first, chunk_bytes, memory).await;
        }
        self.reserve.take_metadata()?;
        self.reserve.take(intent.class, first.len() as u64)?;
        let digests = Digests::new(wanted, &self.lanes).update(first.clone()).await?;
        let taken = source.finish(digests).await?;
        let record = Record { domain: intent.domain.tag(), hash: taken.hash, payload: first };
        Ok(Landed {
            content: NewContent::Staged(unplaced(taken.hash, intent.class, record.payload.len() as u64)),
            payload: Some(Payload { tier: intent.class, record, _memory: memory }),
            announced: None,
            hash: taken.hash,
            md5: taken.md5.filter(|_| intent.md5),
            checksum: taken.checksum,
        })
    }

    /// Reserves the memory that a body will take: a small one's length, or two chunks of a large one (the
    /// one being written and the one being received). A small body of unknown length reserves the most it
    /// may take. Returns the chunk's size too.
    async fn reserve(&self, length: Option<u64>, large: bool) -> Result<(OwnedSemaphorePermit, usize)> {
        let permits = |bytes: usize| u32::try_from(bytes.max(1)).unwrap_or(u32::MAX);
        let memory = &self.memory;
        if large {
            // Half of it is left to those that need little, so that a few slow clients cannot hold up everybody.
            if memory.available_permits() > GATHERED_BYTES_MAX / 2
                && let Ok(plenty) = memory.clone().try_acquire_many_owned(permits(2 * CHUNK_BYTES))
            {
                return Ok((plenty, CHUNK_BYTES));
            }
            let short = memory.clone().acquire_many_owned(permits(2 * CHUNK_BYTES_SHORT)).await;
            return Ok((short.map_err(|_| Error::Busy)?, CHUNK_BYTES_SHORT));
        }
        let bytes = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(PACKED_BYTES_MAX);
        let gathered = memory.clone().acquire_many_owned(permits(bytes)).await;
        Ok((gathered.map_err(|_| Error::Busy)?, CHUNK_BYTES))
    }

    /// Streams a large body into a segment of its own. Digesting and writing one chunk go on while the next
    /// is received.
    async fn stream_in(
        &self,
        intent: &Intent<'_>,
        wanted: digests::Wanted,
        mut source: Source,
        first: Bytes,
        chunk_bytes: usize,
        _memory: OwnedSemaphorePermit,
    ) -> Result<Landed> {
        let (segment, id) = (SegmentId::fresh(), ObjectId::fresh(self.clock.now()));
        let tier = intent.class;
        self.metadata
            .announce(self.writer, id, segment, tier, intent.space, intent.key, self.clock.now())
            .await?;
        let announced = Announced::new(self.metadata.clone(), self.tiers.of(tier).clone(), id, segment);
        let mut writer =
            self.tiers.of(tier).create_single(segment, intent.domain.tag(), source.length).await?;
        let mut digests = Digests::new(wanted, &self.lanes);
        let mut chunk = first;
        self.reserve.take_metadata()?;
        while !chunk.is_empty() {
            self.reserve.take(tier, chunk.len() as u64)?;
            let work =
                async { tokio::try_join!(digests.update(chunk.clone()), write(&mut writer, chunk.clone())) };
            let (worked, next) = tokio::join!(work, source.next(chunk_bytes));
            digests = worked?.0;
            chunk = next?;
        }
        let length = source.received;
        let taken = source.finish(digests).await?;
        let (offset, segment_size) = writer.finish(taken.hash).await?;
        let staged = StagedLeaf {
            hash: taken.hash,
            location: Location { tier, segment, offset, length },
            kind: SegmentKind::Single,
            segment_size,
        };
        Ok(Landed {
            content: NewContent::Staged(staged),
            payload: None,
            announced: Some(announced),
            hash: taken.hash,
            md5: taken.md5.filter(|_| intent.md5),
            checksum: taken.checksum,
        })
    }
}

async fn write(writer: &mut Box<dyn SingleWriter>, chunk: Bytes) -> Result<()> {
    Ok(writer.write(chunk).await?)
}

/// A leaf whose place in a pack the committer will fill in.
fn unplaced(hash: Hash, tier: StorageClass, length: u64) -> StagedLeaf {
    let location = Location { tier, segment: SegmentId(uuid::Uuid::nil()), offset: 0, length };
    StagedLeaf { hash, location, kind: SegmentKind::Pack, segment_size: 0 }
}

/// Reads a body only for its checksum.
pub(crate) async fn digest_only(body: Body, algorithm: ChecksumAlgorithm) -> Result<Checksum> {
    let mut source = Source::new(body, u64::MAX);
    let wanted = digests::Wanted { md5: false, checksum: Some(algorithm) };
    let mut digests = Digests::new(wanted, &Lanes::default());
    loop {
        let chunk = source.next(CHUNK_BYTES).await?;
        if chunk.is_empty() {
            break;
        }
        digests = digests.update(chunk).await?;
    }
    source.finish(digests).await?.checksum.ok_or(Error::Internal)
}

/// A body being received.
struct Source {
    stream: BoxStream<'static, Result<Bytes>>,
    length: Option<u64>,
    expected: Expected,
    trailer: Option<Trailer>,
    bytes_max: u64,
    received: u64,
    /// What came with the last frame beyond what was asked for.
    rest: Bytes,
    ended: bool,
}

impl Source {
    fn new(body: Body, bytes_max: u64) -> Self {
        let Body { stream, length, expected, trailer } = body;
        Self { stream, length, expected, trailer, bytes_max, received: 0, rest: Bytes::new(), ended: false }
    }

    /// The next bytes: `max` of them, or fewer at the end, none behind it. A single frame of fitting size is
    /// passed on without a copy.
    async fn next(&mut self, max: usize) -> Result<Bytes> {
        let mut gathered = BytesMut::new();
        loop {
            let frame =
                if self.rest.is_empty() { self.frame().await? } else { Some(std::mem::take(&mut self.rest)) };
            let Some(mut frame) = frame else { return Ok(gathered.freeze()) };
            if frame.len() > max - gathered.len() {
                self.rest = frame.split_off(max - gathered.len());
            }
            let last = self.length == Some(self.received) && self.rest.is_empty();
            if gathered.is_empty() && (frame.len() == max || last) {
                return Ok(frame);
            }
            if gathered.capacity() == 0 {
                let left = self.length.map_or(usize::MAX, |length| {
                    usize::try_from(length - self.received)
                        .unwrap_or(usize::MAX)
                        .saturating_add(self.rest.len())
                });
                gathered.reserve(max.min(left.saturating_add(frame.len())).min(CHUNK_BYTES));
            }
            gathered.extend_from_slice(&frame);
            if gathered.len() == max {
                return Ok(gathered.freeze());
            }
        }
    }

    async fn frame(&mut self) -> Result<Option<Bytes>> {
        while !self.ended {
            let next = tokio::time::timeout(STALL_MAX, self.stream.next()).await;
            match next.map_err(|_| Error::BodyStalled)? {
                None => self.ended = true,
                Some(frame) => {
                    let frame = frame?;
                    self.received += frame.len() as u64;
                    if self.received > self.bytes_max {
                        return Err(Error::BodyTooLarge { max: self.bytes_max });
                    }
                    if self.length.is_some_and(|length| self.received > length) {
                        return Err(Error::DigestMismatch("Content-Length"));
                    }
                    if !frame.is_empty() {
                        return Ok(Some(frame));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Ends the body: its length and every digest must be what was declared. The stream is read to its very
    /// end, for what proves a body (a signature, a trailer) may come behind its last byte.
    async fn finish(mut self, digests: Digests) -> Result<digests::Taken> {
        if !self.rest.is_empty() || self.frame().await?.is_some() {
            return Err(Error::DigestMismatch("Content-Length"));
        }
        if let Some(expected) = self.length.filter(|length| *length != self.received) {
            return Err(Error::BodyTooShort { expected, received: self.received });
        }
        let declared = match self.trailer {
            Some(trailer) => trailer()?.or(self.expected.checksum),
            None => self.expected.checksum,
        };
        let taken = digests.finish();
        if self.expected.sha256.is_some_and(|expected| expected != taken.hash) {
            return Err(Error::DigestMismatch("SHA-256"));
        }
        if self.expected.md5.is_some_and(|expected| taken.md5 != Some(expected)) {
            return Err(Error::DigestMismatch("MD5"));
        }
        if declared.is_some_and(|declared| {
            taken.checksum.as_ref().map(|c| (c.algorithm, &c.value))
                != Some((declared.algorithm, &declared.value))
        }) {
            return Err(Error::DigestMismatch("checksum"));
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests;
