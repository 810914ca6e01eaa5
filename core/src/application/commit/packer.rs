//! The bytes of the first stage of group commit: small payloads into the open pack of their tier, one sync for each
//! batch. Tiers whose batches are packs of their own have [`super::flights`].

use std::sync::Arc;

use super::pending::{LostPacks, PackedAt, Pending};
use crate::application::error::{Error, Result};
use crate::application::ingest::remove_if_nobodys;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{Catalogue, Mutation, WriterId};
use crate::application::ports::segments::{PackWriter, Record, SegmentKind};
use crate::application::tiers::Tiers;
use crate::domain::blob::SegmentId;
use crate::domain::storage_class::StorageClass;

/// A pack is sealed once it has this many bytes.
pub(crate) const PACK_BYTES_MAX: u64 = 64 << 20;

pub(super) struct Packer {
    metadata: Arc<dyn Catalogue>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    writer: WriterId,
    hot: Option<Box<dyn PackWriter>>,
    cold: Option<Box<dyn PackWriter>>,
    /// Packs that ended before they were full; their rows are sealed behind the batches that name them.
    failed: Vec<Pending>,
    /// Packs that are no longer this writer's.
    lost: LostPacks,
}

impl Packer {
    pub(super) fn new(
        metadata: Arc<dyn Catalogue>,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        writer: WriterId,
        lost: LostPacks,
    ) -> Self {
        Self { metadata, tiers, clock, writer, hot: None, cold: None, failed: Vec::new(), lost }
    }

    /// Makes the payloads of a batch durable, tier by tier. Answers those that cannot be; returns the others, and what
    /// seals the packs that are full.
    pub(super) async fn pack(&mut self, batch: Vec<Pending>) -> Vec<Pending> {
        // Kept in order of arrival: two writes of one client to one key must not change places.
        let mut placed = [None, None];
        for class in StorageClass::ALL {
            let payloads = batch.iter().filter_map(|pending| pending.payload.as_ref());
            let records: Vec<_> = payloads.filter(|p| p.tier == class).map(|p| p.record.clone()).collect();
            if !records.is_empty() {
                placed[slot(class)] = Some(self.append(class, records).await.map(Vec::into_iter));
            }
        }
        let mut packed = Vec::with_capacity(batch.len());
        for mut pending in batch {
            let Some(payload) = pending.payload.take() else {
                packed.push(pending);
                continue;
            };
            match &mut placed[slot(payload.tier)] {
                Some(Ok(places)) => packed.extend(pending.placed(places.next())),
                Some(Err(error)) => {
                    let error = error.clone();
                    pending.answer(Err(error));
                }
                None => pending.answer(Err(Error::Internal)),
            }
        }
        packed.extend(self.seal_full().await);
        packed
    }

    async fn append(&mut self, class: StorageClass, records: Vec<Record>) -> Result<Vec<PackedAt>> {
        let mut pack = match self.open_pack(class).take() {
            Some(pack) if !self.lost.take(pack.id()) => pack,
            Some(pack) => {
                remove_if_nobodys(self.metadata.as_ref(), self.tiers.of(class).as_ref(), pack.id()).await;
                self.begin(class).await?
            }
            None => self.begin(class).await?,
        };
        let segment = pack.id();
        match pack.append(records).await {
            Ok(offsets) => {
                let segment_size = pack.size();
                *self.open_pack(class) = Some(pack);
                Ok(offsets.into_iter().map(|offset| PackedAt { segment, offset, segment_size }).collect())
            }
            Err(error) => {
                // Never written to again. What it holds up to its size is committed or about to be, and
                // stays readable without an index.
                let seal = Mutation::SealPack(segment, pack.size());
                self.failed.push(Pending::without_caller(seal));
                Err(error.into())
            }
        }
    }

    async fn begin(&mut self, class: StorageClass) -> Result<Box<dyn PackWriter>> {
        let id = SegmentId::fresh();
        self.metadata.open_segment(self.writer, id, class, SegmentKind::Pack, self.clock.now()).await?;
        match self.tiers.of(class).create_pack(id).await {
            Ok(pack) => Ok(pack),
            Err(error) => {
                if let Err(error) = self.metadata.settle_segment(id, None, self.clock.now()).await {
                    tracing::warn!(%error, segment = %id, "a pack that could not be created was not condemned; it will be tried again");
                    self.failed.push(Pending::without_caller(Mutation::SealPack(id, 0)));
                }
                Err(error.into())
            }
        }
    }

    fn open_pack(&mut self, class: StorageClass) -> &mut Option<Box<dyn PackWriter>> {
        match class {
            StorageClass::Hot => &mut self.hot,
            StorageClass::Cold => &mut self.cold,
        }
    }

    async fn seal_full(&mut self) -> Vec<Pending> {
        let mut sealed = std::mem::take(&mut self.failed);
        for class in StorageClass::ALL {
            let full =
                self.open_pack(class).take_if(|pack| !pack.takes_more() || pack.size() >= PACK_BYTES_MAX);
            if let Some(pack) = full {
                sealed.push(seal(pack).await);
            }
        }
        sealed
    }

    /// Seals the open packs: nothing more is packed.
    pub(super) async fn seal_all(mut self) -> Vec<Pending> {
        let mut sealed = Vec::new();
        for class in StorageClass::ALL {
            if let Some(pack) = self.open_pack(class).take() {
                sealed.push(seal(pack).await);
            }
        }
        sealed
    }
}

fn slot(class: StorageClass) -> usize {
    usize::from(class == StorageClass::Hot)
}

/// Seals a pack; its row follows in order, behind the commits that still refer to it as open. Without an
/// index (the disk may be full) it is whole all the same: its records say what it holds.
async fn seal(pack: Box<dyn PackWriter>) -> Pending {
    let (segment, committed) = (pack.id(), pack.size());
    let size = pack.seal().await.unwrap_or_else(|error| {
        tracing::warn!(%error, %segment, "pack sealed without an index");
        committed
    });
    Pending::without_caller(Mutation::SealPack(segment, size))
}
