//! Moving leaves: to another tier because their objects ask for it, or out of packs that are mostly dead (`compact.rs`).
//! Both copy bytes, verify them by their hash, and switch rows in one transaction; readers never notice.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::opened::{Left, Opened};
use super::stuck::{Shelf, Trouble};
use super::worker::{WorkDone, Worker};
use crate::application::absence;
use crate::application::error::Result;
use crate::application::high_water;
use crate::application::ingest::{PACKED_BYTES_MAX, remove_if_nobodys};
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{
    Catalogue, LeafRecord, MetadataError, MetadataStore, Mutation, Objects, Relocation, StagedLeaf, Upkeep,
    WriterId,
};
use crate::application::ports::segments::{ReadPurpose, ReadRequest, Record, SegmentError, SegmentKind};
use crate::application::progress;
use crate::application::tiers::Tiers;
use crate::domain::blob::{Hash, Location, SegmentId};
use crate::domain::storage_class::StorageClass;

/// The names of the work of each kind, also of its lease.
pub(super) const MOVER: &str = "mover";
pub(super) const COMPACTION: &str = "compaction";

/// Leaves of one step.
pub(super) const LEAVES: u32 = 64;

/// Leaves that are pointed at their copies with one transaction.
const RELOCATIONS: usize = 256;

/// Bytes of small leaves held at a time.
const BATCH_BYTES_MAX: u64 = 8 << 20;

/// Copies leaves and points their rows at the copies.
pub struct Rewriter<M: ?Sized = dyn MetadataStore> {
    /// For the segments that this writer opens: whatever becomes of the lease, they are its own to settle.
    pub(super) metadata: Arc<M>,
    /// For everything else.
    fenced: Arc<M>,
    pub(super) tiers: Tiers,
    clock: Arc<dyn Clock>,
    writer: WriterId,
    opened: Opened,
}

// Derived, it would ask the store itself to be `Clone`.
impl<M: ?Sized> Clone for Rewriter<M> {
    fn clone(&self) -> Self {
        Self {
            metadata: self.metadata.clone(),
            fenced: self.fenced.clone(),
            tiers: self.tiers.clone(),
            clock: self.clock.clone(),
            writer: self.writer,
            // A clone is another worker.
            opened: Opened::default(),
        }
    }
}

impl<M: Objects + Catalogue + Upkeep + ?Sized> Rewriter<M> {
    /// For `writer`, which must be registered.
    pub fn new(metadata: Arc<M>, tiers: Tiers, clock: Arc<dyn Clock>, writer: WriterId) -> Self {
        Self { fenced: metadata.clone(), metadata, tiers, clock, writer, opened: Opened::default() }
    }

    /// Points rows at copies, and changes anything else that is not its writer's, through `fenced` alone.
    #[must_use]
    pub fn fenced_by(self, fenced: Arc<M>) -> Self {
        Self { fenced, ..self }
    }

    /// Copies `leaves` to `to`, each by itself. How many were pointed at their copies; of the others those that are
    /// damaged were quarantined, those that failed were put aside, and the rest changed meanwhile or lies on a tier,
    /// or should, that is away.
    pub(super) async fn rewrite(
        &self,
        leaves: Vec<LeafRecord>,
        to: StorageClass,
        shelf: &mut Shelf<M>,
    ) -> Result<u64> {
        let (small, large): (Vec<_>, Vec<_>) =
            leaves.into_iter().partition(|leaf| leaf.location.length <= PACKED_BYTES_MAX as u64);
        let mut done = 0;
        for leaf in large {
            if shelf.is_closed(to) || shelf.is_away(leaf.location.tier) {
                continue;
            }
            let copied = self.rewrite_large(&leaf, to).await;
            done += u64::from(shelf.settle(name(&leaf), copied).await?.unwrap_or(false));
        }
        let mut rest = small.into_iter().peekable();
        while rest.peek().is_some() && !shelf.is_closed(to) {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(leaf) =
                rest.next_if(|leaf| batch.is_empty() || bytes + leaf.location.length <= BATCH_BYTES_MAX)
            {
                bytes += leaf.location.length;
                batch.push(leaf);
            }
            done += self.rewrite_small(batch, to, shelf).await?;
        }
        Ok(done)
    }

    pub(super) async fn rewrite_small(
        &self,
        leaves: Vec<LeafRecord>,
        to: StorageClass,
        shelf: &mut Shelf<M>,
    ) -> Result<u64> {
        let (mut kept, mut records) = (Vec::new(), Vec::new());
        for (leaf, payload) in self.read_small(leaves, shelf).await {
            if shelf.is_away(leaf.location.tier) {
                continue;
            }
            match self.sound(&leaf, payload).await {
                Ok(Some(payload)) => {
                    records.push(Record { domain: leaf.domain.tag(), hash: leaf.hash, payload });
                    kept.push(leaf);
                }
                // Quarantined: it is no longer this worker's.
                Ok(None) => shelf.done(&name(&leaf)),
                Err(trouble) => {
                    shelf.settle::<()>(name(&leaf), Err(trouble)).await?;
                }
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
            Err(error) => {
                // It says nothing of the leaves: they were read.
                shelf.tier_is_closed(to, &error);
                self.metadata.settle_segment(segment, None, self.clock.now()).await?;
                self.opened.settled(segment);
                return Ok(0);
            }
        };
        let segment_size = pack.size();
        self.opened.pack_has(segment, segment_size);
        let named = kept.iter().zip(offsets).map(|(leaf, offset)| {
            (name(leaf), relocation(leaf, to, segment, offset, SegmentKind::Pack, segment_size))
        });
        let run = |relocations: Vec<Relocation>| -> BoxFuture<'_, Result<u64, MetadataError>> {
            Box::pin(async move {
                let pointed = self.fenced.relocate(self.writer, relocations, self.clock.now()).await?;
                Ok(pointed.into_iter().filter(|pointed| *pointed).count() as u64)
            })
        };
        let (mut named, mut done): (Vec<_>, Result<u64>) = (named.collect(), Ok(0));
        while let (false, Ok(total)) = (named.is_empty(), &done) {
            // Short enough that a commit waiting behind it is not felt.
            let next = named.split_off(named.len().min(RELOCATIONS));
            let portion = std::mem::replace(&mut named, next);
            let total = *total;
            done = shelf
                .together_or_each(portion, run, |total, done| *total += done)
                .await
                .map(|more| total + more);
        }
        high_water::note(self.metadata.as_ref(), &self.tiers, self.writer).await;
        // Whatever came of it: an open pack stays until its writer ends.
        // Without an index it is whole all the same: its records say what it holds.
        let size = pack.seal().await.unwrap_or_else(|error| {
            tracing::warn!(%error, %segment, "pack sealed without an index");
            segment_size
        });
        remove_if_nobodys(self.metadata.as_ref(), self.tiers.of(to).as_ref(), segment).await;
        self.metadata.commit(self.writer, vec![Mutation::SealPack(segment, size)], self.clock.now()).await?;
        self.opened.settled(segment);
        done
    }

    /// Whether the leaf was pointed at its copy.
    async fn rewrite_large(&self, leaf: &LeafRecord, to: StorageClass) -> Result<bool, Trouble> {
        let now = || self.clock.now();
        let segment = self.open(to, SegmentKind::Single).await?;
        let pointed = async {
            let Some((offset, size)) = self.copy_large(leaf, to, segment).await? else { return Ok(false) };
            let relocation = relocation(leaf, to, segment, offset, SegmentKind::Single, size);
            let pointed = self.fenced.relocate(self.writer, vec![relocation], now()).await?;
            high_water::note(self.metadata.as_ref(), &self.tiers, self.writer).await;
            Ok(pointed == [true])
        };
        let pointed = pointed.await;
        if !matches!(pointed, Ok(true)) {
            self.metadata.settle_segment(segment, None, now()).await?;
            remove_if_nobodys(self.metadata.as_ref(), self.tiers.of(to).as_ref(), segment).await;
        }
        self.opened.settled(segment);
        pointed
    }

    /// Where the copy's payload begins, and the copy's size; `None` if the leaf is damaged.
    async fn copy_large(
        &self,
        leaf: &LeafRecord,
        to: StorageClass,
        segment: SegmentId,
    ) -> Result<Option<(u64, u64)>, Trouble> {
        let length = leaf.location.length;
        let target = |error| Trouble::of_target(to, error);
        let writer = self.tiers.of(to).create_single(segment, leaf.domain.tag(), Some(length)).await;
        let mut writer = writer.map_err(target)?;
        let mut hasher = Sha256::new();
        let mut bytes = match self.tiers.of(leaf.location.tier).read(whole(leaf)).await {
            Ok(bytes) => bytes,
            Err(error) => return self.damaged(leaf, error).await.map(|()| None),
        };
        loop {
            match bytes.try_next().await {
                Ok(Some(chunk)) => {
                    progress::made();
                    hasher = hash_chunk(hasher, chunk.clone()).await.map_err(target)?;
                    writer.write(chunk).await.map_err(target)?;
                }
                Ok(None) => break,
                Err(error) => return self.damaged(leaf, error).await.map(|()| None),
            }
        }
        if Hash(hasher.finalize().into()) != leaf.hash {
            self.quarantine(leaf, "its bytes have another hash").await?;
            return Ok(None);
        }
        Ok(Some(writer.finish(leaf.hash).await.map_err(target)?))
    }

    /// The bytes of small leaves, those of each tier together.
    async fn read_small(
        &self,
        leaves: Vec<LeafRecord>,
        shelf: &Shelf<M>,
    ) -> Vec<(LeafRecord, Result<Bytes, SegmentError>)> {
        let mut read = Vec::with_capacity(leaves.len());
        for tier in StorageClass::ALL {
            let there: Vec<_> = leaves.iter().filter(|leaf| leaf.location.tier == tier).cloned().collect();
            if there.is_empty() || shelf.is_away(tier) {
                continue;
            }
            let answers = self.tiers.of(tier).read_small(there.iter().map(whole).collect()).await;
            read.extend(there.into_iter().zip(answers));
        }
        read
    }

    /// A small leaf's bytes; `None` if they are damaged.
    async fn sound(
        &self,
        leaf: &LeafRecord,
        read: Result<Bytes, SegmentError>,
    ) -> Result<Option<Bytes>, Trouble> {
        match read {
            Ok(payload) if Hash::of(&payload) == leaf.hash => Ok(Some(payload)),
            Ok(_) => self.quarantine(leaf, "its bytes have another hash").await.map(|()| None),
            Err(error) => self.damaged(leaf, error).await.map(|()| None),
        }
    }

    /// Damage is the leaf's own and quarantines it, unless files are absent in bulk; anything else is trouble.
    async fn damaged(&self, leaf: &LeafRecord, error: SegmentError) -> Result<(), Trouble> {
        let tier = leaf.location.tier;
        let Some(segment) = error.segment() else { return Err(Trouble::of_tier(tier, error)) };
        if !matches!(error, SegmentError::Corrupt { .. }) {
            absence::check(self.metadata.as_ref(), &self.tiers, tier, Some(segment))
                .await
                .map_err(|error| Trouble::Absent(tier, error))?;
        }
        self.quarantine(leaf, &error.to_string()).await
    }

    async fn quarantine(&self, leaf: &LeafRecord, error: &str) -> Result<(), Trouble> {
        tracing::error!(
            error,
            blob = %leaf.hash,
            segment = %leaf.location.segment,
            "blob cannot be moved and was quarantined"
        );
        Ok(self.fenced.quarantine(leaf.id, leaf.location).await?)
    }

    async fn open(&self, tier: StorageClass, kind: SegmentKind) -> Result<SegmentId, MetadataError> {
        let segment = SegmentId::fresh();
        self.opened.note(segment, kind);
        self.metadata.open_segment(self.writer, segment, tier, kind, self.clock.now()).await?;
        Ok(segment)
    }

    /// What `worker` has put aside. Before that, what an earlier step left open is settled: the database was away.
    pub(super) async fn shelf(&self, worker: &'static str) -> Result<Shelf<M>> {
        for (segment, left) in self.opened.left() {
            match left {
                Left::Pack(size) => {
                    // Refused if it is sealed, or never was opened.
                    let seal = vec![Mutation::SealPack(segment, size)];
                    self.metadata.commit(self.writer, seal, self.clock.now()).await?;
                }
                Left::Single => self.metadata.settle_segment(segment, None, self.clock.now()).await?,
            }
            self.opened.settled(segment);
        }
        Shelf::open(&self.fenced, worker, self.clock.now()).await
    }

    /// Forgets the due leaves that are gone, and those of which `still` says that they are no longer this worker's.
    pub(super) async fn forget_gone(
        &self,
        shelf: &mut Shelf<M>,
        still: impl Fn(&LeafRecord) -> bool,
    ) -> Result<()> {
        for (item, blob) in shelf.due_blobs() {
            if !self.metadata.find_leaf(blob).await?.is_some_and(|leaf| still(&leaf)) {
                shelf.done(&item);
            }
        }
        Ok(())
    }
}

/// What a leaf is called among the items that failed.
pub(super) fn name(leaf: &LeafRecord) -> String {
    format!("blob:{}", leaf.id.0)
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
        purpose: ReadPurpose::Upkeep,
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
pub struct Mover<M: ?Sized = dyn MetadataStore>(pub Rewriter<M>);

#[async_trait]
impl<M: Objects + Catalogue + Upkeep + ?Sized> Worker for Mover<M> {
    fn name(&self) -> &'static str {
        MOVER
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn step(&self) -> Result<WorkDone> {
        let mut shelf = self.0.shelf(self.name()).await?;
        let limit = shelf.page(LEAVES);
        let mut moves = self.0.metadata.moves(limit).await?;
        self.0.forget_gone(&mut shelf, |_| true).await?;
        if moves.len() < limit as usize {
            shelf.keep_only("blob", &moves.iter().map(|to_move| name(&to_move.leaf)).collect());
        }
        moves.retain(|to_move| !shelf.holds(&name(&to_move.leaf)));
        moves.truncate(LEAVES as usize);
        let mut done = 0;
        for class in StorageClass::ALL {
            let leaves = moves.iter().filter(|m| m.to == class).map(|m| m.leaf.clone()).collect();
            done += self.0.rewrite(leaves, class, &mut shelf).await?;
        }
        let failed = shelf.close(done).await?;
        // What could not be moved stays queued; resting keeps it from spinning.
        Ok(if done + failed == 0 { WorkDone::Idle } else { WorkDone::Did(done) })
    }
}
