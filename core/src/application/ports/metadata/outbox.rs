//! What must be told to the world after a commit: rows that the commit itself writes, and the targets that they wait for.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use uuid::Uuid;

use super::MetadataError;
use crate::domain::address::SpaceAddress;
use crate::domain::event::{EventKind, Facts, Overflow, TargetKind, TargetName};
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;

/// The outbox.
///
/// [`Objects::commit`](super::Objects::commit) writes a row for each event that a route of the space wants, in its own
/// transaction: both happen or neither. Rows of one key ascend in the order of their commits, and a row is visible only after
/// those of its key before it. Rows of different keys may become visible in another order than they ascend in.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// All targets, by name.
    async fn outbox_targets(&self) -> Result<Vec<OutboxTarget>, MetadataError>;

    /// Declares a target, or changes one. Its kind stays: `false` if it has another one.
    async fn put_outbox_target(&self, target: &OutboxTarget) -> Result<bool, MetadataError>;

    /// Removes a target and its rows, unless a space names it; if rows wait for it only with `discard`.
    async fn remove_outbox_target(
        &self,
        name: &TargetName,
        discard: bool,
    ) -> Result<TargetRemoval, MetadataError>;

    /// The spaces whose settings name a target, by address.
    async fn outbox_spaces(&self, name: &TargetName) -> Result<Vec<SpaceAddress>, MetadataError>;

    /// From now on the caller alone acknowledges rows of a target: whoever did until now is refused. `None` if there is no
    /// such target.
    async fn take_over_outbox(&self, name: &TargetName) -> Result<Option<Epoch>, MetadataError>;

    /// Rows that wait for a target, from behind `after` on, in ascending order.
    async fn outbox_page(
        &self,
        name: &TargetName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, MetadataError>;

    /// These rows are delivered; they are kept until `keep` has passed. `false`, and nothing is done, if another process has
    /// taken over since `epoch`.
    async fn acknowledge(
        &self,
        name: &TargetName,
        epoch: Epoch,
        rows: &[i64],
        now: Timestamp,
        keep: Duration,
    ) -> Result<bool, MetadataError>;

    /// Removes up to `limit` rows that were delivered before a moment. How many.
    async fn purge_outbox(
        &self,
        name: &TargetName,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, MetadataError>;

    /// Delivered rows that are kept wait again, from a place on; up to `limit` of them, in ascending order. Their numbers.
    async fn replay_outbox(
        &self,
        name: &TargetName,
        replay: Replay,
        limit: u32,
    ) -> Result<Vec<i64>, MetadataError>;

    /// What waits, by target; of targets for which nothing waits too. Bounds are held by these figures, as they were when they
    /// were last counted, and by what this process has written and acknowledged since: a long backlog is not counted at every
    /// call.
    async fn outbox_figures(&self) -> Result<Vec<OutboxFigures>, MetadataError>;

    /// Writes a test event for each of these targets.
    async fn tell_test(
        &self,
        space: SpaceId,
        targets: &[TargetName],
        facts: &Facts,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// Changes whenever this process has committed rows. Rows of others are found by looking.
    fn outbox_bell(&self) -> watch::Receiver<u64>;

    /// Changes whenever this process has acknowledged rows.
    fn outbox_acknowledged(&self) -> watch::Receiver<u64>;
}

/// Counts the processes that have taken over a target's delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(pub i64);

/// Where a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// At this row.
    Sequence(i64),
    /// At the rows that were written at this moment.
    Time(Timestamp),
}

/// Which delivered rows wait again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// From here on.
    pub from: ReplayFrom,
    /// Behind this row: where the page before ended.
    pub after: i64,
    /// Only rows that were delivered by then: what is delivered while the replay goes on is no part of it.
    pub delivered_by: Timestamp,
}

/// A target, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxTarget {
    /// Its name.
    pub name: TargetName,
    /// Its kind.
    pub kind: TargetKind,
    /// What its kind needs to know, as JSON.
    pub settings: String,
    /// Its secret, sealed.
    pub secret: Option<Vec<u8>>,
    /// Rows that may wait.
    pub rows_max: u64,
    /// What becomes of events over that.
    pub overflow: Overflow,
    /// How long delivered rows are kept.
    pub keep: Duration,
    /// When it was declared.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for OutboxTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxTarget")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number. Rows of one key ascend as their commits.
    pub seq: i64,
    /// The space.
    pub space: SpaceId,
    /// The key; empty in a test event.
    pub key: String,
    /// The event's id: the same however often it is delivered.
    pub event_id: Uuid,
    /// The event, or why it cannot be read.
    pub event: Result<(EventKind, Facts), String>,
    /// When its transaction was.
    pub created_at: Timestamp,
}

/// What waits for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxFigures {
    /// The target.
    pub name: TargetName,
    /// Rows.
    pub waiting: u64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
}

impl OutboxFigures {
    /// How long the oldest row has waited.
    pub fn lag(&self, now: Timestamp) -> Duration {
        let millis = self.oldest.map_or(0, |oldest| now.millis().saturating_sub(oldest.millis()));
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}

/// What came of a target's removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetRemoval {
    /// It is gone, and so many rows that waited.
    Removed(u64),
    /// There was none.
    Missing,
    /// So many spaces name it.
    Named(u64),
    /// So many rows wait.
    Waiting(u64),
}
