//! The order in which room is freed, for commands and tests. (The supervisor lets all workers run at once.)

use std::sync::Arc;
use std::time::Duration;

use super::collect::GarbageCollector;
use super::compact::Compactor;
use super::rewrite::{COMPACTION, MOVER, Mover, Rewriter};
use super::worker::Worker;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, WriterId};
use crate::application::tiers::Tiers;

/// All workers that free room.
pub struct Collection {
    collector: GarbageCollector,
    mover: Mover,
    compactor: Compactor,
}

/// One worker of a round.
pub enum Freeing<'c> {
    /// Removes rows and files.
    Collect(&'c GarbageCollector),
    /// Copies blobs between tiers.
    Move(&'c Mover),
    /// Copies blobs out of sparse packs.
    Compact(&'c Compactor),
}

impl<'c> Freeing<'c> {
    /// The worker.
    pub fn worker(&self) -> &'c dyn Worker {
        match *self {
            Self::Collect(collector) => collector,
            Self::Move(mover) => mover,
            Self::Compact(compactor) => compactor,
        }
    }
}

impl Collection {
    /// Over the store's parts. Copies are made as `writer`, which must be registered; the files of segments without
    /// references are kept for `retention`.
    pub fn new(
        metadata: &Arc<dyn MetadataStore>,
        tiers: &Tiers,
        clock: &Arc<dyn Clock>,
        writer: WriterId,
        retention: Duration,
    ) -> Self {
        let collector = GarbageCollector::new(metadata.clone(), tiers.clone(), clock.clone(), retention);
        let rewriter = Rewriter::new(metadata.clone(), tiers.clone(), clock.clone(), writer);
        Self { collector, mover: Mover(rewriter.clone()), compactor: Compactor(rewriter) }
    }

    /// Moves and compacts under the leases of that work alone, which the caller takes.
    #[must_use]
    pub fn under_leases(self, metadata: &dyn MetadataStore) -> Self {
        let Self { collector, mover: Mover(mover), compactor: Compactor(compactor) } = self;
        Self {
            collector,
            mover: Mover(mover.fenced_by(metadata.under_lease(MOVER))),
            compactor: Compactor(compactor.fenced_by(metadata.under_lease(COMPACTION))),
        }
    }

    /// One round. Collecting comes first, because it finds the blobs that lie on the wrong tier. Moving and compacting
    /// leave segments for the next round to collect.
    pub fn round(&self) -> [Freeing<'_>; 3] {
        [Freeing::Collect(&self.collector), Freeing::Move(&self.mover), Freeing::Compact(&self.compactor)]
    }
}
