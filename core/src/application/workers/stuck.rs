//! Items that failed. A worker does each item of a page by itself; one that fails is put aside with its error, a count
//! and a next time, is left alone until then, and never blocks those behind it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use uuid::Uuid;

use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{MetadataError, Stuck, Upkeep};
use crate::application::ports::segments::SegmentError;
use crate::domain::blob::BlobId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// How long an item is left alone after its first failure; twice as long after each further one, up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// Rows that a step looks at. More items than this fail only where a whole tier does.
const ROWS_MAX: u32 = 20_000;

/// Due items that a step looks at apart from its page.
const DUE_MAX: usize = 64;

/// The longest error text that is kept, in bytes.
const ERROR_MAX: usize = 500;

/// Why one item could not be done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It is the item's own: the item is put aside, the next one is done.
    Item(String),
    /// The tier is away or full: work on the other tier goes on.
    Tier(StorageClass, SegmentError),
    /// The tier takes nothing, but what lies there can be read: what should go to the other tier goes.
    Target(StorageClass, SegmentError),
    /// Files of the tier are absent or unreadable in bulk: work on the other tier goes on.
    Absent(StorageClass, Error),
    /// The database is away: the step ends.
    Store(MetadataError),
}

impl Trouble {
    /// A tier's answer about one segment.
    pub(crate) fn of_tier(tier: StorageClass, error: SegmentError) -> Self {
        match error {
            SegmentError::Full(_) | SegmentError::Unavailable { .. } => Self::Tier(tier, error),
            error => Self::Item(error.to_string()),
        }
    }
}

impl Trouble {
    /// A tier's answer when something new was to be written there.
    pub(crate) fn of_target(tier: StorageClass, error: SegmentError) -> Self {
        match Self::of_tier(tier, error) {
            Self::Tier(tier, error) => Self::Target(tier, error),
            other => other,
        }
    }
}

impl From<MetadataError> for Trouble {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::Unavailable(_)
            | MetadataError::Full(_)
            | MetadataError::Superseded
            | MetadataError::LeaseLost(_) => Self::Store(error),
            error => Self::Item(error.to_string()),
        }
    }
}

/// What one worker has put aside, as it was when the step began.
pub(crate) struct Shelf<M: ?Sized> {
    metadata: Arc<M>,
    worker: &'static str,
    now: Timestamp,
    items: HashMap<String, Stuck>,
    /// Items whose rows go at the end of the step.
    cleared: Vec<String>,
    /// Tiers that were away in this step.
    away: HashSet<StorageClass>,
    /// Tiers that took nothing in this step.
    closed: HashSet<StorageClass>,
    /// Why a tier counts as absent in this step.
    absent: Option<Error>,
    failed: u64,
}

impl<M: Upkeep + ?Sized> Shelf<M> {
    /// What `worker` has put aside.
    pub(crate) async fn open(metadata: &Arc<M>, worker: &'static str, now: Timestamp) -> Result<Self> {
        let items = metadata.stuck(Some(worker), ROWS_MAX).await?;
        let items = items.into_iter().map(|stuck| (stuck.item.clone(), stuck)).collect();
        let (cleared, away, closed) = (Vec::new(), HashSet::new(), HashSet::new());
        Ok(Self {
            metadata: metadata.clone(),
            worker,
            now,
            items,
            cleared,
            away,
            closed,
            absent: None,
            failed: 0,
        })
    }

    /// How many rows to ask for, so that a page holds `page` items besides those put aside.
    pub(crate) fn page(&self, page: u32) -> u32 {
        page.saturating_add(u32::try_from(self.items.len()).unwrap_or(u32::MAX))
    }

    /// Whether anything of this kind is put aside.
    pub(crate) fn any(&self, kind: &str) -> bool {
        self.items.keys().any(|item| kind_of(item) == kind)
    }

    /// Whether an item is to be left alone for now.
    pub(crate) fn holds(&self, item: &str) -> bool {
        self.items.get(item).is_some_and(|stuck| stuck.next_at > self.now)
    }

    /// The items of a kind that are due, with their ids; a page of them.
    pub(crate) fn due_ids(&self, kind: &str) -> Vec<(String, Uuid)> {
        let due = self.items.values().filter(|stuck| stuck.next_at <= self.now);
        let id = |item: &str| item.strip_prefix(kind)?.strip_prefix(':')?.parse().ok();
        due.filter_map(|stuck| Some((stuck.item.clone(), id(&stuck.item)?))).take(DUE_MAX).collect()
    }

    /// The leaves that are due.
    pub(crate) fn due_blobs(&self) -> Vec<(String, BlobId)> {
        self.due_ids("blob").into_iter().map(|(item, id)| (item, BlobId(id))).collect()
    }

    /// An item succeeded, or is gone.
    pub(crate) fn done(&mut self, item: &str) {
        if self.items.remove(item).is_some() {
            self.cleared.push(item.to_owned());
        }
    }

    /// Forgets items of a kind that are no longer in the worker's queue, of which `seen` is all.
    pub(crate) fn keep_only(&mut self, kind: &str, seen: &HashSet<String>) {
        let gone: Vec<_> = self
            .items
            .keys()
            .filter(|item| kind_of(item) == kind && !seen.contains(*item))
            .cloned()
            .collect();
        for item in &gone {
            self.done(item);
        }
    }

    /// Puts an item aside. Logged at its first failure only.
    pub(crate) async fn put_aside(&mut self, item: String, error: &str) -> Result<(), MetadataError> {
        self.failed += 1;
        let stuck = failed(self.worker, item.clone(), error, self.items.get(&item), self.now);
        self.metadata.put_aside(&stuck).await?;
        self.items.insert(item, stuck);
        Ok(())
    }

    /// What an item came to; `None` if it failed. Only the database's absence ends the step.
    pub(crate) async fn settle<T>(&mut self, item: String, result: Result<T, Trouble>) -> Result<Option<T>> {
        match result {
            Ok(value) => {
                self.done(&item);
                return Ok(Some(value));
            }
            Err(Trouble::Item(error)) => self.put_aside(item, &error).await?,
            Err(Trouble::Tier(tier, error)) => self.tier_is_away(tier, &error),
            Err(Trouble::Target(tier, error)) => self.tier_is_closed(tier, &error),
            Err(Trouble::Absent(tier, error)) => {
                self.away.insert(tier);
                self.absent = Some(error);
            }
            Err(Trouble::Store(error)) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Nothing more is tried on this tier in this step. Nothing is put aside: the items are as they were.
    pub(crate) fn tier_is_away(&mut self, tier: StorageClass, error: &SegmentError) {
        if self.away.insert(tier) {
            tracing::warn!(worker = self.worker, tier = tier.as_str(), %error, "tier left alone for now");
        }
    }

    /// Nothing more is written to this tier in this step.
    pub(crate) fn tier_is_closed(&mut self, tier: StorageClass, error: &SegmentError) {
        if self.closed.insert(tier) {
            tracing::warn!(worker = self.worker, tier = tier.as_str(), %error, "tier takes nothing for now");
        }
    }

    /// Whether a tier took nothing in this step.
    pub(crate) fn is_closed(&self, tier: StorageClass) -> bool {
        self.is_away(tier) || self.closed.contains(&tier)
    }

    /// Whether any tier was away in this step.
    pub(crate) fn any_away(&self) -> bool {
        !self.away.is_empty()
    }

    /// Whether a tier was away in this step.
    pub(crate) fn is_away(&self, tier: StorageClass) -> bool {
        self.away.contains(&tier)
    }

    /// Does `items`, each with its name, all at once; where that fails because of one of them, each by itself.
    pub(crate) async fn together_or_each<'a, I: Clone, T: Default>(
        &mut self,
        items: Vec<(String, I)>,
        run: impl Fn(Vec<I>) -> BoxFuture<'a, Result<T, MetadataError>>,
        mut add: impl FnMut(&mut T, T),
    ) -> Result<T> {
        let mut total = T::default();
        if items.is_empty() {
            return Ok(total);
        }
        match run(items.iter().map(|(_, item)| item.clone()).collect()).await.map_err(Trouble::from) {
            Ok(value) => {
                for (name, _) in &items {
                    self.done(name);
                }
                return Ok(value);
            }
            Err(Trouble::Store(error)) => return Err(error.into()),
            Err(_) => {}
        }
        for (name, item) in items {
            let result = run(vec![item]).await.map_err(Trouble::from);
            if let Some(value) = self.settle(name, result).await? {
                add(&mut total, value);
            }
        }
        Ok(total)
    }

    /// Ends the step: how many items failed in it. An error if nothing was done since tiers were away, so that the
    /// worker rests longer and longer.
    pub(crate) async fn close(self, done: u64) -> Result<u64> {
        if !self.cleared.is_empty() {
            self.metadata.clear_stuck(self.worker, &self.cleared).await?;
        }
        if done == 0 && self.failed == 0 && !(self.away.is_empty() && self.closed.is_empty()) {
            return Err(self.absent.unwrap_or(Error::Unavailable));
        }
        Ok(self.failed)
    }
}

/// An item that has failed, once more than `before`.
pub(super) fn failed(
    worker: &str,
    item: String,
    error: &str,
    before: Option<&Stuck>,
    now: Timestamp,
) -> Stuck {
    let mut error = error.to_owned();
    error.truncate(error.floor_char_boundary(ERROR_MAX));
    let failures = before.map_or(0, |before| before.failures) + 1;
    if failures == 1 {
        tracing::error!(worker, item, error, "item failed and was put aside; the others go on");
    } else {
        tracing::debug!(worker, item, error, failures, "item failed again");
    }
    Stuck {
        worker: worker.to_owned(),
        item,
        error,
        failures,
        since: before.map_or(now, |before| before.since),
        next_at: now.plus(wait(failures)),
    }
}

fn kind_of(item: &str) -> &str {
    item.split(':').next().unwrap_or_default()
}

fn wait(failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    WAIT_MIN.saturating_mul(1 << doublings).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        assert_eq!([1, 2, 3].map(wait).map(|wait| wait.as_secs()), [30, 60, 120]);
        assert_eq!(wait(11), WAIT_MAX);
        assert_eq!(wait(u64::MAX), WAIT_MAX);
    }
}
