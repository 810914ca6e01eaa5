//! Bytes in: received, digested on the way, checked against what the client declares, and staged.
//!
//! Small bodies are gathered in memory and travel to the open pack with their commit; large ones stream
//! into a segment of their own, and so do small ones while memory is short. Memory per request is bounded whatever
//! the object's size, and it is taken as bytes arrive: what a client announces takes none.

use std::sync::Arc;

use bytes::Bytes;

use crate::application::buffers::Buffers;
use crate::application::error::{Error, Result};
use crate::application::fairness::Held;
use crate::application::pools::Pools;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, NewContent, StagedLeaf, WriterId};
use crate::application::ports::segments::{Record, SegmentKind, SingleWriter};
use crate::application::request;
use crate::application::reserve::{Reserve, Taken};
use crate::application::tiers::Tiers;
use crate::domain::address::{Key, SpaceAddress, Tenant};
use crate::domain::blob::{Hash, Location, SegmentId};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm};
use crate::domain::etag::{Etag, Md5Digest};
use crate::domain::naming::PartCount;
use crate::domain::object::ObjectId;
use crate::domain::space::DedupDomain;
use crate::domain::storage_class::StorageClass;

mod announced;
mod body;
mod digests;
mod lanes;
mod source;

pub use announced::Announced;
pub(crate) use announced::remove_if_nobodys;
pub use body::{Body, Expected, Trailer};
use digests::Digests;
use lanes::Lanes;
use source::{BodyReader, Chunk};

/// Largest blob that goes into a pack, in bytes; larger ones get a segment of their own.
pub const PACKED_BYTES_MAX: usize = 1 << 20;

/// How much of a large body is gathered before it is digested and written, in bytes.
const CHUNK_BYTES: usize = 512 << 10;

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
    _memory: [Option<Held>; 2],
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
    /// Room for what is not written yet: to be dropped once it is committed.
    pub(crate) room: [Taken; 2],
}

impl Landed {
    /// The tag of a single put.
    pub(crate) fn etag(&self) -> Etag {
        match &self.md5 {
            Some(md5) => Etag::md5(md5),
            None => Etag::of_content(self.hash, PartCount::NONE),
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
    pools: Pools,
    lanes: Lanes,
    /// For the chunks of large bodies, and for the largest small ones.
    buffers: [Arc<Buffers>; 2],
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
        let (pools, lanes, reserve) = (Pools::default(), Lanes::default(), Reserve::default());
        let buffers = [CHUNK_BYTES, PACKED_BYTES_MAX].map(Buffers::new);
        Self { metadata, tiers, clock, writer, pools, lanes, buffers, reserve }
    }

    /// Refuses bodies for which less is left than `reserve` keeps free.
    #[must_use]
    pub fn with_reserve(self, reserve: Reserve) -> Self {
        Self { reserve, ..self }
    }

    /// Draws from `pools`.
    #[must_use]
    pub fn with_pools(self, pools: Pools) -> Self {
        Self { pools, ..self }
    }

    /// What it draws from.
    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The SHA-256 of a body of `tenant` that is not kept.
    pub(crate) async fn hash_of(&self, tenant: &Tenant, body: Body, bytes_max: u64) -> Result<Hash> {
        if body.length.is_some_and(|length| length > bytes_max) {
            return Err(Error::BodyTooLarge { max: bytes_max });
        }
        let source = self.reader(body, bytes_max, tenant);
        let wanted = digests::Wanted { md5: false, checksum: None };
        Ok(digested(source, Digests::new(wanted, &self.lanes)).await?.hash)
    }

    /// Reads a body in memory of `tenant`'s share.
    fn reader(&self, body: Body, bytes_max: u64, tenant: &Tenant) -> BodyReader {
        let reader = BodyReader::new(body, bytes_max).gathering_in(&self.buffers);
        reader.within(self.pools.memory.clone(), tenant.clone())
    }

    /// Takes in a body for `intent`. On an error nothing stays behind; what was staged is removed.
    pub(crate) async fn take_in(&self, intent: &Intent<'_>, body: Body) -> Result<Landed> {
        if body.length.is_some_and(|length| length > intent.bytes_max) {
            return Err(Error::BodyTooLarge { max: intent.bytes_max });
        }
        self.reserve.check(intent.class, body.length.unwrap_or(0)).await?;
        let wanted = digests::Wanted {
            md5: intent.md5 || body.expected.md5.is_some(),
            checksum: body.expected.checksum.as_ref().map(|c| c.algorithm).or(intent.checksum),
        };
        // Whose request it is; without one (a worker, a test) whose space it is.
        let tenant = request::tenant().unwrap_or_else(|| intent.space.tenant.clone());
        let mut source = self.reader(body, intent.bytes_max, &tenant);
        let large = source.length().is_some_and(|length| length > PACKED_BYTES_MAX as u64);
        let first = source.next(if large { CHUNK_BYTES } else { PACKED_BYTES_MAX + 1 }).await?;
        // A small body for which memory is short does not wait for it: what has arrived is written down.
        if large || first.bytes.len() > PACKED_BYTES_MAX || !source.is_at_its_end() {
            let transfer = self.pools.transfers.take(&Some(tenant), 1).await?;
            return self.stream_in(intent, wanted, source, first, transfer).await;
        }
        let Chunk { bytes, memory } = first;
        let version = self.reserve.take_metadata().await?;
        let room = self.reserve.take(intent.class, bytes.len() as u64).await?;
        let digests = Digests::new(wanted, &self.lanes).update(bytes.clone()).await?;
        let (taken, base) = source.finish(digests).await?;
        let record = Record { domain: intent.domain.tag(), hash: taken.hash, payload: bytes };
        Ok(Landed {
            content: NewContent::Staged(unplaced(taken.hash, intent.class, record.payload.len() as u64)),
            payload: Some(Payload { tier: intent.class, record, _memory: [base, memory] }),
            announced: None,
            hash: taken.hash,
            md5: taken.md5.filter(|_| intent.md5),
            checksum: taken.checksum,
            room: [version, room],
        })
    }

    /// Streams a large body into a segment of its own. Digesting and writing one chunk go on while the next
    /// is received.
    async fn stream_in(
        &self,
        intent: &Intent<'_>,
        wanted: digests::Wanted,
        mut source: BodyReader,
        first: Chunk,
        _transfer: Held,
    ) -> Result<Landed> {
        let (segment, id) = (SegmentId::fresh(), ObjectId::fresh(self.clock.now()));
        let tier = intent.class;
        self.metadata
            .announce(self.writer, id, segment, tier, intent.space, intent.key, self.clock.now())
            .await?;
        let announced = Announced::new(self.metadata.clone(), self.tiers.of(tier).clone(), id, segment);
        let mut writer =
            self.tiers.of(tier).create_single(segment, intent.domain.tag(), source.length()).await?;
        let mut digests = Digests::new(wanted, &self.lanes);
        let mut chunk = first;
        let version = self.reserve.take_metadata().await?;
        // Of the chunk that was handed to the writer last: it is in the file once the next one was taken.
        let mut writing = Taken::default();
        while !chunk.bytes.is_empty() {
            let room = self.reserve.take(tier, chunk.bytes.len() as u64).await?;
            let bytes = || chunk.bytes.clone();
            let work = async { tokio::try_join!(digests.update(bytes()), write(&mut writer, bytes())) };
            let (worked, next) = tokio::join!(work, source.next(CHUNK_BYTES));
            digests = worked?.0;
            writing = room;
            chunk = next?;
        }
        let length = source.received();
        let (taken, _) = source.finish(digests).await?;
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
            room: [version, writing],
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
    let wanted = digests::Wanted { md5: false, checksum: Some(algorithm) };
    let digests = Digests::new(wanted, &Lanes::default());
    digested(BodyReader::new(body, u64::MAX), digests).await?.checksum.ok_or(Error::Internal)
}

/// Reads a body to its end, and keeps none of it.
async fn digested(mut source: BodyReader, mut digests: Digests) -> Result<digests::Taken> {
    loop {
        let chunk = source.next(CHUNK_BYTES).await?;
        if chunk.bytes.is_empty() {
            break;
        }
        digests = digests.update(chunk.bytes).await?;
    }
    let (taken, _) = source.finish(digests).await?;
    Ok(taken)
}

#[cfg(test)]
mod tests;
