//! Garbage collection, in proportion to what was deleted and never to what is stored.
//!
//! Rows go first, durably; files go after: a crash in between leaves condemned segments, which the next step
//! finds by their rows. A blob goes only where nothing refers to it, and foreign keys have the last word.
//!
//! A condemned segment that a backup of the database may name is kept for the retention, and as long as a backup
//! holds removal: the tiers are copied after the database, and must still hold what it names.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::stuck::{Shelf, Trouble};
use super::worker::{WorkDone, Worker};
use crate::application::error::Result;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataError, MetadataStore, SegmentRecord, Swept, Upkeep};
use crate::application::ports::segments::SegmentKind;
use crate::application::progress;
use crate::application::tiers::Tiers;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// Rows of one step: short enough that a foreground commit waiting behind it is not felt.
const ROWS: u32 = 256;

/// Removes what nothing refers to.
pub struct GarbageCollector<M: ?Sized = dyn MetadataStore> {
    metadata: Arc<M>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl<M: Upkeep + ?Sized> GarbageCollector<M> {
    /// Over the store's parts. The files of segments that nothing names any more are kept for `retention`.
    pub fn new(metadata: Arc<M>, tiers: Tiers, clock: Arc<dyn Clock>, retention: Duration) -> Self {
        Self { metadata, tiers, clock, retention }
    }

    async fn purge(&self, shelf: &mut Shelf<M>) -> Result<u64> {
        if !shelf.any("object") {
            match self.metadata.purge_deleting(ROWS).await.map_err(Trouble::from) {
                Ok(purged) => return Ok(purged),
                Err(Trouble::Store(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        let limit = shelf.page(ROWS);
        let page = self.metadata.deleting(limit).await?;
        let named: Vec<_> = page.into_iter().map(|object| (format!("object:{object}"), object)).collect();
        if named.len() < limit as usize {
            shelf.keep_only("object", &named.iter().map(|(name, _)| name.clone()).collect());
        }
        let items = named.into_iter().filter(|(name, _)| !shelf.holds(name)).take(ROWS as usize).collect();
        let metadata = &self.metadata;
        let run = |objects: Vec<_>| -> futures::future::BoxFuture<'_, Result<u64, MetadataError>> {
            Box::pin(async move { metadata.purge(&objects).await })
        };
        shelf.together_or_each(items, run, |total, purged| *total += purged).await
    }

    async fn sweep(&self, shelf: &mut Shelf<M>, now: Timestamp) -> Result<Swept> {
        if !shelf.any("blob") {
            match self.metadata.sweep(ROWS, now).await.map_err(Trouble::from) {
                Ok(swept) => return Ok(swept),
                Err(Trouble::Store(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        let limit = shelf.page(ROWS);
        let page = self.metadata.candidates(limit).await?;
        let named: Vec<_> = page.into_iter().map(|blob| (format!("blob:{}", blob.0), blob)).collect();
        if named.len() < limit as usize {
            shelf.keep_only("blob", &named.iter().map(|(name, _)| name.clone()).collect());
        }
        let items = named.into_iter().filter(|(name, _)| !shelf.holds(name)).take(ROWS as usize).collect();
        let metadata = &self.metadata;
        let run = |blobs: Vec<_>| -> futures::future::BoxFuture<'_, Result<Swept, MetadataError>> {
            Box::pin(async move { metadata.sweep_these(&blobs, now).await })
        };
        shelf.together_or_each(items, run, add).await
    }

    /// Removes the files of condemned segments, then their rows. How many.
    async fn unlink(&self, shelf: &mut Shelf<M>, now: Timestamp) -> Result<u64> {
        // With no retention at all a clock that was ahead for a while keeps nothing either.
        let before = if self.retention.is_zero() { Timestamp(i64::MAX) } else { now.minus(self.retention) };
        let limit = shelf.page(ROWS);
        let condemned = self.metadata.condemned(before, now, limit).await?;
        if condemned.len() < limit as usize && shelf.any("segment") && self.metadata.holds().await?.is_empty()
        {
            let seen: HashSet<_> = condemned.iter().map(name).collect();
            shelf.keep_only("segment", &seen);
        }
        let due: Vec<_> = condemned
            .into_iter()
            .filter(|segment| !shelf.holds(&name(segment)))
            .take(ROWS as usize)
            .collect();
        let mut unlinked = 0;
        for tier in StorageClass::ALL {
            let there: Vec<_> = due.iter().filter(|segment| segment.tier == tier).collect();
            if there.is_empty() || shelf.is_away(tier) {
                continue;
            }
            let ids: Vec<_> = there.iter().map(|segment| segment.id).collect();
            let deleted = self.tiers.of(tier).delete_all(&ids).await;
            progress::made();
            let late_for = self.tiers.of(tier).late_for();
            let (mut gone, mut may_come) = (Vec::new(), Vec::new());
            for (segment, deleted) in there.into_iter().zip(deleted) {
                let deleted = deleted.map_err(|error| Trouble::of_tier(tier, error));
                if shelf.settle(name(segment), deleted).await?.is_some() {
                    // Nothing was ever committed into one of size 0: its write may be on the way still. A single may have been
                    // written twice, the first time in vain.
                    let is_doubtful = segment.size == 0 || segment.kind == SegmentKind::Single;
                    let is_late = is_doubtful && !late_for.is_zero();
                    if is_late { &mut may_come } else { &mut gone }.push(segment.id);
                }
            }
            if !gone.is_empty() {
                self.metadata.forget_segments(&gone).await?;
            }
            if !may_come.is_empty() {
                self.metadata.forget_for_now(&may_come, now.plus(late_for)).await?;
            }
            unlinked += (gone.len() + may_come.len()) as u64;
        }
        Ok(unlinked)
    }

    /// Removes what came to be after its segment was removed. Nothing of it is put aside: a tier that does not answer is asked
    /// again.
    async fn unlink_late(&self, shelf: &mut Shelf<M>, now: Timestamp) -> Result<u64> {
        let due = self.metadata.late_segments(now, ROWS).await?;
        let mut gone = Vec::new();
        for tier in StorageClass::ALL {
            let ids: Vec<_> = due.iter().filter(|(_, lies)| *lies == tier).map(|(id, _)| *id).collect();
            if ids.is_empty() || shelf.is_away(tier) {
                continue;
            }
            for (id, deleted) in ids.iter().zip(self.tiers.of(tier).delete_all(&ids).await) {
                match deleted {
                    Ok(()) => gone.push(*id),
                    Err(error) => shelf.tier_is_away(tier, &error),
                }
            }
        }
        if !gone.is_empty() {
            self.metadata.forget_late(&gone).await?;
        }
        Ok(gone.len() as u64)
    }

    /// Ends backups that were begun and never ended.
    async fn expire_holds(&self, now: Timestamp) -> Result<()> {
        if self.metadata.holds().await?.iter().all(|hold| hold.expires_at > now) {
            return Ok(());
        }
        for hold in self.metadata.expire_holds(now).await? {
            tracing::warn!(
                hold = %hold.id,
                "a backup held removal until its end and `backup end` was not called: it holds nothing any more"
            );
        }
        Ok(())
    }
}

fn name(segment: &SegmentRecord) -> String {
    format!("segment:{}", segment.id)
}

fn add(total: &mut Swept, swept: Swept) {
    total.examined += swept.examined;
    total.blobs += swept.blobs;
    total.bytes += swept.bytes;
}

#[async_trait]
impl<M: Upkeep + ?Sized> Worker for GarbageCollector<M> {
    fn name(&self) -> &'static str {
        "gc"
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn step(&self) -> Result<WorkDone> {
        let now = self.clock.now();
        self.expire_holds(now).await?;
        let mut shelf = Shelf::open(&self.metadata, self.name(), now).await?;
        let purged = self.purge(&mut shelf).await?;
        let swept = self.sweep(&mut shelf, now).await?;
        let unlinked = self.unlink(&mut shelf, now).await? + self.unlink_late(&mut shelf, now).await?;
        metrics::gc_run(swept.blobs, swept.bytes);
        let did = purged + swept.examined + unlinked;
        let failed = shelf.close(did).await?;
        if did + failed == 0 {
            return Ok(WorkDone::Idle);
        }
        tracing::debug!(
            purged,
            blobs = swept.blobs,
            bytes = swept.bytes,
            unlinked,
            failed,
            "garbage collected"
        );
        Ok(WorkDone::Did(did))
    }
}
