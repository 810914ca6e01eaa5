//! Writers that died, and the word of those that live.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::stuck::{Shelf, Trouble};
use super::worker::{WorkDone, Worker};
use crate::application::error::Result;
use crate::application::high_water::{self, Behind};
use crate::application::live::LiveReplicas;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{
    Catalogue, Leases, Leftover, MetadataError, MetadataStore, SegmentRecord, Upkeep, WriterId,
};
use crate::application::ports::segments::{Mended, SegmentError, SegmentKind};
use crate::application::tiers::Tiers;
use crate::domain::blob::SegmentId;
use crate::domain::timestamp::Timestamp;

/// How long a writer counts as alive after its last word.
pub const WRITER_LEASE: Duration = Duration::from_secs(15);

/// How long a writer that is found to be silent has to say something before its work is taken over. After an outage of the
/// database every word has run out: whoever looks first must not take the others for dead, who are about to speak.
const LAST_CHANCE: Duration = Duration::from_secs(5);

/// Repeats that this writer lives.
pub struct Heartbeat<M: ?Sized = dyn MetadataStore> {
    metadata: Arc<M>,
    clock: Arc<dyn Clock>,
    writer: WriterId,
    superseded: CancellationToken,
    others: LiveReplicas,
}

impl<M: Leases + ?Sized> Heartbeat<M> {
    /// For this process's writer.
    pub fn new(metadata: Arc<M>, clock: Arc<dyn Clock>, writer: WriterId) -> Self {
        Self {
            metadata,
            clock,
            writer,
            superseded: CancellationToken::new(),
            others: LiveReplicas::default(),
        }
    }

    /// Cancels `superseded` when another server has started under this writer's name: this process must end, and give
    /// nothing back, since all of it is the other's now.
    #[must_use]
    pub fn telling(self, superseded: CancellationToken) -> Self {
        Self { superseded, ..self }
    }

    /// Counts the servers that live into `others`.
    #[must_use]
    pub fn counting(self, others: LiveReplicas) -> Self {
        Self { others, ..self }
    }
}

#[async_trait]
impl<M: Leases + ?Sized> Worker for Heartbeat<M> {
    fn name(&self) -> &'static str {
        "heartbeat"
    }

    fn rest(&self) -> Duration {
        WRITER_LEASE / 5
    }

    /// Others wait for a word, and an outage of the database must not make it late.
    fn back_off(&self) -> Duration {
        self.rest()
    }

    fn exclusive(&self) -> bool {
        false
    }

    async fn step(&self) -> Result<WorkDone> {
        let now = self.metadata.lease_time(self.clock.now()).await?;
        let said = self.metadata.heartbeat(self.writer, now.plus(WRITER_LEASE)).await;
        if matches!(said, Err(MetadataError::Superseded)) {
            self.superseded.cancel();
        }
        said?;
        self.others.count(self.metadata.replicas(now).await?.iter(), now);
        Ok(WorkDone::Idle)
    }
}

/// The name of [`TakeOver`].
const NAME: &str = "take-over";

/// Reclaims what dead writers staged and never committed.
pub struct TakeOver<M: ?Sized = dyn MetadataStore> {
    metadata: Arc<M>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    own: Option<WriterId>,
    /// Writers that were found to be silent, and when first.
    silent: Arc<Mutex<HashMap<WriterId, Timestamp>>>,
}

// Derived, it would ask the store itself to be `Clone`.
impl<M: ?Sized> Clone for TakeOver<M> {
    fn clone(&self) -> Self {
        Self {
            metadata: self.metadata.clone(),
            tiers: self.tiers.clone(),
            clock: self.clock.clone(),
            own: self.own,
            silent: self.silent.clone(),
        }
    }
}

impl<M: Leases + Catalogue + Upkeep + ?Sized> TakeOver<M> {
    /// Over the store's parts.
    pub fn new(metadata: Arc<M>, tiers: Tiers, clock: Arc<dyn Clock>) -> Self {
        Self { metadata, tiers, clock, own: None, silent: Arc::default() }
    }

    /// For the server that writes as `own`. Never takes over from itself, though its word may have run out while the machine
    /// slept or its clock jumped: that this is asked shows that it lives. Gives others a last chance to say that they live.
    #[must_use]
    pub fn sparing(self, own: WriterId) -> Self {
        Self { own: Some(own), ..self }
    }

    /// Of those that are silent at `now`, the ones that had their last chance.
    fn dead(&self, silent: &[WriterId], now: Timestamp) -> Vec<WriterId> {
        if self.own.is_none() {
            return silent.to_vec();
        }
        let mut known = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|writer, _| silent.contains(writer));
        let had_it = |writer: &WriterId| known.entry(*writer).or_insert(now).plus(LAST_CHANCE) <= now;
        silent.iter().copied().filter(had_it).collect()
    }

    /// Takes over from one writer that is known to be dead: at start, this process's own predecessor. A segment
    /// that cannot be settled is put aside, and its tier's absence leaves it for later: what was committed into it
    /// is readable either way.
    pub async fn from(&self, writer: WriterId) -> Result<u64> {
        self.keep_if_older().await?;
        let mut shelf = Shelf::open(&self.metadata, NAME, self.clock.now()).await?;
        let leftover = self.metadata.take_over(writer).await?;
        let done = self.settle_all(writer, leftover, &mut shelf, true).await?;
        // Nothing done and a tier away is no reason to stop a start.
        shelf.close(1).await?;
        Ok(done)
    }

    /// If the database has lost commits, whatever was open when it was current may hold acknowledged bytes that it does
    /// not know. That is written down for each of them before anything is done to them; from then on the database is
    /// taken as it is.
    async fn keep_if_older(&self) -> Result<()> {
        let Some(behind) = high_water::behind(self.metadata.as_ref(), &self.tiers).await? else {
            return Ok(());
        };
        let segments = self.metadata.keep_open_segments(self.clock.now()).await?;
        high_water::accept(self.metadata.as_ref(), &self.tiers).await?;
        let Behind { writer, noted, known } = behind;
        tracing::error!(
            writer = %writer.0,
            commits = noted,
            known,
            segments,
            "the database is older than the tiers: restore a newer one; nothing was removed. `juststorage validate` \
             lists what it does not know"
        );
        Ok(())
    }

    /// Settles what a dead writer left, each segment by itself. What was put aside and is not due is left alone,
    /// unless `all`.
    async fn settle_all(
        &self,
        writer: WriterId,
        leftover: Leftover,
        shelf: &mut Shelf<M>,
        all: bool,
    ) -> Result<u64> {
        // Names that were registered ahead, and singles that were not finished.
        let (unwritten, rest): (Vec<&SegmentRecord>, Vec<&SegmentRecord>) = leftover
            .segments
            .iter()
            .partition(|segment| !is_committed(segment) && !leftover.kept.contains(&segment.id));
        let named = unwritten.iter().map(|segment| (format!("segment:{}", segment.id), segment.id));
        let unwritten = named.filter(|(item, _)| all || !shelf.holds(item)).collect();
        let now = self.clock.now();
        let run = |ids: Vec<SegmentId>| -> BoxFuture<'_, Result<u64, MetadataError>> {
            Box::pin(async move {
                self.metadata.settle_unwritten(&ids, now).await?;
                Ok(ids.len() as u64)
            })
        };
        let mut segments = shelf.together_or_each(unwritten, run, |total, done| *total += done).await?;
        for segment in rest {
            let item = format!("segment:{}", segment.id);
            if !all && shelf.holds(&item) || shelf.is_away(segment.tier) {
                continue;
            }
            let settled = self.settle(segment, leftover.kept.contains(&segment.id)).await;
            segments += u64::from(shelf.settle(item, settled).await?.is_some());
        }
        let writes = leftover.writes;
        if writes + segments > 0 {
            tracing::info!(writer = %writer.0, writes, segments, "took over from a dead writer");
        }
        Ok(writes + segments)
    }

    /// An open pack stays as far as it was committed, and what it holds beyond is dead. Of what is kept, everything whole
    /// stays. What cannot be mended now is set aside.
    async fn settle(&self, segment: &SegmentRecord, kept: bool) -> Result<(), Trouble> {
        let now = self.clock.now();
        let committed = is_committed(segment);
        let known = Mended { size: segment.size, ..Mended::default() };
        let mended = match self.tiers.of(segment.tier).recover(segment.id, segment.size).await {
            Ok(mended) => {
                tell_of_unknown(segment, &mended, kept);
                // Nothing is in it: what was open for it was never used.
                (committed || mended.unknown_records > 0).then_some(mended)
            }
            // A single that was not finished, or a pack that was not begun.
            Err(SegmentError::Missing(_)) if !committed => None,
            // What is missing is missing: reads of it fail, `validate` names it, the rest goes on.
            Err(error @ (SegmentError::Missing(_) | SegmentError::Corrupt { .. })) => {
                tracing::error!(%error, segment = %segment.id, "pack of a dead writer is damaged");
                if kept && matches!(error, SegmentError::Corrupt { .. }) {
                    return Err(self.set_aside(segment, &error).await);
                }
                Some(known)
            }
            // There is no room for its index. It is whole without: its records say what it holds.
            Err(error @ SegmentError::Full(_)) if !kept => {
                tracing::warn!(%error, segment = %segment.id, "pack of a dead writer is sealed without an index");
                Some(known)
            }
            Err(error @ (SegmentError::Unreadable { .. } | SegmentError::Full(_))) => {
                return Err(self.set_aside(segment, &error).await);
            }
            Err(error) => return Err(Trouble::of_tier(segment.tier, error)),
        };
        Ok(self.metadata.settle_segment(segment.id, mended, now).await?)
    }

    /// Nothing of it is removed; a later look may read it.
    async fn set_aside(&self, segment: &SegmentRecord, error: &SegmentError) -> Trouble {
        match self.metadata.set_aside(segment.id).await {
            Ok(()) => Trouble::Item(format!("{error}; the segment stays as it is and is tried again")),
            Err(error) => error.into(),
        }
    }
}

/// Whether anything of it was committed: a single never was while it is open.
fn is_committed(segment: &SegmentRecord) -> bool {
    segment.kind == SegmentKind::Pack && segment.size > 0
}

fn tell_of_unknown(segment: &SegmentRecord, mended: &Mended, kept: bool) {
    let Mended { unknown_records: records, unknown_bytes: bytes, .. } = *mended;
    let (segment, tier) = (segment.id, segment.tier.as_str());
    if records == 0 {
        return;
    }
    if kept {
        tracing::error!(
            %segment, tier, records, bytes,
            "a segment holds whole records that the database does not know: they are kept"
        );
    } else {
        tracing::info!(%segment, tier, records, bytes, "what was written and not acknowledged is garbage");
    }
}

#[async_trait]
impl<M: Leases + Catalogue + Upkeep + ?Sized> Worker for TakeOver<M> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rest(&self) -> Duration {
        LAST_CHANCE
    }

    /// A server that died may have held this very lease.
    fn lease(&self) -> Duration {
        WRITER_LEASE
    }

    async fn step(&self) -> Result<WorkDone> {
        let now = self.metadata.lease_time(self.clock.now()).await?;
        let mut silent = self.metadata.dead_writers(now).await?;
        silent.retain(|writer| Some(*writer) != self.own);
        let dead = self.dead(&silent, now);
        let mut shelf = Shelf::open(&self.metadata, NAME, self.clock.now()).await?;
        let name = |writer: &WriterId| format!("writer:{}", writer.0);
        shelf.keep_only("writer", &silent.iter().map(name).collect());
        if silent.is_empty() {
            shelf.keep_only("segment", &HashSet::new());
        }
        if !dead.is_empty() {
            self.keep_if_older().await?;
        }
        let mut done = 0;
        for writer in &dead {
            if shelf.holds(&name(writer)) {
                continue;
            }
            let taken = self.metadata.take_over_silent(*writer, now).await.map_err(Trouble::from);
            // It may have spoken since.
            let Some(Some(leftover)) = shelf.settle(name(writer), taken).await? else { continue };
            // One that left nothing is done with all the same: its registration went.
            let bare = leftover.segments.is_empty();
            done += self.settle_all(*writer, leftover, &mut shelf, false).await? + u64::from(bare);
        }
        let failed = shelf.close(done).await?;
        Ok(if done + failed == 0 { WorkDone::Idle } else { WorkDone::Did(done) })
    }
}
