//! Moving leaves: to another tier because their objects ask for it, or out of packs that are mostly dead.
//! Both copy bytes, verify them by their hash, and switch rows in one transaction; readers never notice.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::worker::{Step, Worker};
use crate::application::error::{Error, Result};
use crate::application::ingest::{PACKED_BYTES_MAX, remove_if_nobodys};
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{
    LeafRecord, MetadataStore, Mutation, Relocation, StagedLeaf, WriterId,
};
use crate::application::ports::segments::{ReadRequest, Record, SegmentError, SegmentKind};
use crate::application::store::Tiers;
use crate::domain::blob::{Hash, Location, SegmentId};
use crate::domain::storage_class::StorageClass;

/// Leaves of one step.
const LEAVES: u32 = 64;

/// Bytes of small leaves held at a time.
const BATCH_BYTES_MAX: u64 = 8 << 20;

/// Copies leaves and points their rows at the copies.
#[derive(Clone)]
pub struct Rewriter {
    metadata: Arc<dyn MetadataStore>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    writer: WriterId,
}

impl Rewriter {
    /// For `writer`, which must be registered.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        writer: WriterId,
    ) -> Self {
        Self { metadata, tiers, clock, writer }
    }

    /// Copies `leaves` to `to`. How many were pointed at their copies; the others changed meanwhile, or are
    /// damaged and were quarantined.
    async fn rewrite(&self, leaves: Vec<LeafRecord>, to: StorageClass) -> Result<u64> {
        let (small, large): (Vec<_>, Vec<_>) =
            leaves.into_iter().partition(|leaf| leaf.location.length <= PACKED_BYTES_MAX as u64);
        let mut done = 0;
        for leaf in large {
            done += self.rewrite_large(&leaf, to).await?;
        }
        let mut rest = small.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(leaf) =
                rest.next_if(|leaf| batch.is_empty() || bytes + leaf.location.length <= BATCH_BYTES_MAX)
            {
                bytes += leaf.location.length;
                batch.push(leaf);
            }
            done += self.rewrite_small(batch, to).await?;
        }
        Ok(done)
    }

    async fn rewrite_small(&self, leaves: Vec<LeafRecord>, to: StorageClass) -> Result<u64> {
        let (mut kept, mut records) = (Vec::new(), Vec::new());
        for leaf in leaves {
            if let Some(payload) = self.gather(&leaf).await? {
                records.push(Record { domain: leaf.domain.tag(), hash: leaf.hash, payload });
                kept.push(leaf);
            }
        }
        if kept.is_empty() {
            return Ok(0);
        }
        let segment = self.open(to, SegmentKind::Pack).await?;
        let appended = async {
            let mut pack = self.tiers.of(to).create_pack(segment).await?;
            let offsets = pack.append(records).await?;
            Ok::<_, SegmentError>((pack, offsets))
        };
        let (pack, offsets) = match appended.await {
            Ok(appended) => appended,
            Err(error) => return self.give_up(segment, error.into()).await,
        };
        let segment_size = pack.size();
        let relocations = kept
            .into_iter()
            .zip(offsets)
            .map(|(leaf, offset)| relocation(&leaf, to, segment, offset, SegmentKind::Pack, segment_size))
            .collect();
        let pointed = self.metadata.relocate(self.writer, relocations).await?;
        let size = pack.seal().await?;
        remove_if_nobodys(self.metadata.as_ref(), self.tiers.of(to).as_ref(), segment).await;
        self.metadata.commit(self.writer, vec![Mutation::SealPack(segment, size)], self.clock.now()).await?;
        Ok(pointed.into_iter().filter(|pointed| *pointed).count() as u64)
    }

    async fn rewrite_large(&self, leaf: &LeafRecord, to: StorageClass) -> Result<u64> {
        let segment = self.open(to, SegmentKind::Single).await?;
        match self.copy_large(leaf, to, segment).await {
            Ok(Some((offset, size))) => {
                let relocation = relocation(leaf, to, segment, offset, SegmentKind::Single, size);
                let pointed = self.metadata.relocate(self.writer, vec![relocation]).await?;
                if pointed == [true] {
                    return Ok(1);
                }
                self.metadata.settle_segment(segment, None).await?;
                remove_if_nobodys(self.metadata.as_ref(), self.tiers.of(to).as_ref(), segment).await;
                Ok(0)
            }
            Ok(None) => {
                self.metadata.settle_segment(segment, None).await?;
                Ok(0)
            }
            Err(error) => self.give_up(segment, error).await,
        }
    }

    async fn copy_large(
        &self,
        leaf: &LeafRecord,
        to: StorageClass,
        segment: SegmentId,
    ) -> Result<Option<(u64, u64)>> {
        let length = leaf.location.length;
        let mut writer = self.tiers.of(to).create_single(segment, leaf.domain.tag(), Some(length)).await?;
        let mut hasher = Sha256::new();
        let copied = async {
            let mut bytes = self.tiers.of(leaf.location.tier).read(whole(leaf)).await?;
            while let Some(chunk) = bytes.try_next().await? {
                hasher = hash_chunk(hasher, chunk.clone()).await?;
                writer.write(chunk).await?;
            }
            Ok::<_, SegmentError>(hasher)
        };
        let hash = match copied.await {
            Ok(hasher) => Hash(hasher.finalize().into()),
            Err(error) => return self.damaged(leaf, error).await.map(|()| None),
        };
        if hash != leaf.hash {
            self.metadata.quarantine(leaf.id, leaf.location).await?;
            return Ok(None);
        }
        Ok(Some(writer.finish(hash).await?))
    }

    /// A small leaf's bytes; `None` if they are damaged.
    async fn gather(&self, leaf: &LeafRecord) -> Result<Option<Bytes>> {
        let read = async {
            let mut bytes = self.tiers.of(leaf.location.tier).read(whole(leaf)).await?;
            let mut payload = BytesMut::new();
            while let Some(chunk) = bytes.try_next().await? {
                payload.extend_from_slice(&chunk);
            }
            Ok::<_, SegmentError>(payload.freeze())
        };
        match read.await {
            Ok(payload) if Hash::of(&payload) == leaf.hash => Ok(Some(payload)),
            Ok(_) => {
                self.metadata.quarantine(leaf.id, leaf.location).await?;
                Ok(None)
            }
            Err(error) => self.damaged(leaf, error).await.map(|()| None),
        }
    }

    /// Damage is the leaf's own and quarantines it; anything else ends the step.
    async fn damaged(&self, leaf: &LeafRecord, error: SegmentError) -> Result<()> {
        if !matches!(error, SegmentError::Corrupt { .. } | SegmentError::Missing(_)) {
            return Err(error.into());
        }
        tracing::error!(%error, blob = %leaf.hash, "blob cannot be moved and was quarantined");
        Ok(self.metadata.quarantine(leaf.id, leaf.location).await?)
    }

    async fn open(&self, tier: StorageClass, kind: SegmentKind) -> Result<SegmentId> {
        let segment = SegmentId::fresh();
        self.metadata.open_segment(self.writer, segment, tier, kind, self.clock.now()).await?;
        Ok(segment)
    }

    async fn give_up(&self, segment: SegmentId, error: Error) -> Result<u64> {
        self.metadata.settle_segment(segment, None).await?;
        Err(error)
    }
}

async fn hash_chunk(mut hasher: Sha256, chunk: Bytes) -> Result<Sha256, SegmentError> {
    tokio::task::spawn_blocking(move || {
        hasher.update(&chunk);
        hasher
    })
    .await
    .map_err(|error| SegmentError::Io { action: "hash", source: Arc::new(std::io::Error::other(error)) })
}

fn whole(leaf: &LeafRecord) -> ReadRequest {
    let location = &leaf.location;
    ReadRequest {
        segment: location.segment,
        payload_offset: location.offset,
        payload_length: location.length,
        hash: Some(leaf.hash),
        start: 0,
        end: location.length,
    }
}

fn relocation(
    leaf: &LeafRecord,
    tier: StorageClass,
    segment: SegmentId,
    offset: u64,
    kind: SegmentKind,
    segment_size: u64,
) -> Relocation {
    let location = Location { tier, segment, offset, length: leaf.location.length };
    let to = StagedLeaf { hash: leaf.hash, location, kind, segment_size };
    Relocation { blob: leaf.id, from: leaf.location, to }
}

/// Carries out changes of storage class.
pub struct Mover(pub Rewriter);

#[async_trait]
impl Worker for Mover {
    fn name(&self) -> &'static str {
        "mover"
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn step(&self) -> Result<Step> {
        let moves = self.0.metadata.moves(LEAVES).await?;
        if moves.is_empty() {
            return Ok(Step::Idle);
        }
        let mut done = 0;
        for class in StorageClass::ALL {
            let leaves = moves.iter().filter(|m| m.to == class).map(|m| m.leaf.clone()).collect();
            done += self.0.rewrite(leaves, class).await?;
        }
        // What could not be moved stays queued; resting keeps it from spinning.
        Ok(if done == 0 { Step::Idle } else { Step::Did(done) })
    }
}

/// Empties packs of which less than half is live.
pub struct Compactor(pub Rewriter);

#[async_trait]
impl Worker for Compactor {
    fn name(&self) -> &'static str {
        "compaction"
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn step(&self) -> Result<Step> {
        let Some(pack) = self.0.metadata.sparse_packs(1).await?.into_iter().next() else {
            return Ok(Step::Idle);
        };
        let mut leaves = self.0.metadata.leaves_in(pack.id, LEAVES).await?;
        leaves.retain(|leaf| !leaf.quarantined);
        let done = self.0.rewrite(leaves, pack.tier).await?;
        Ok(if done == 0 { Step::Idle } else { Step::Did(done) })
    }
}
