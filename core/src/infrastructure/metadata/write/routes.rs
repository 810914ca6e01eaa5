//! What commits know of the outbox: who is to be told of a space's changes, and how much waits for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::watch;

use super::settings;
use crate::application::metrics;
use crate::application::ports::metadata::OutboxTarget;
use crate::domain::event::{Overflow, Route, Routes, TargetName};
use crate::domain::settings::{SettingKind, SpaceSettings};
use crate::domain::space::{SettingsRevision, SpaceId};
use crate::domain::upstream::Mode;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::{KeptRows, Row};
use crate::infrastructure::metadata::session::transaction::{Committed, Transaction};

/// Spaces whose routes are remembered.
const REMEMBERED_MAX: u64 = 4096;

/// What commits of this process know of the outbox. All clones are the same.
#[derive(Clone)]
pub(crate) struct OutboxState {
    pub(super) routes: Cache<SpaceId, (SettingsRevision, Arc<Routes>)>,
    rooms: Arc<Mutex<HashMap<TargetName, OutboxRoom>>>,
    drops: Arc<Mutex<Drops>>,
    bell: Arc<watch::Sender<u64>>,
    /// Changes whenever rows were acknowledged.
    pub(crate) acknowledged: Arc<watch::Sender<u64>>,
}

/// Rows of a backlog for each look that is made without counting them again: what counting costs a look does not grow with the
/// backlog.
const COUNTED_A_LOOK: u64 = 100_000;

/// Looks that are made without counting, at most.
const UNCOUNTED_MAX: u64 = 30;

/// How many rows wait for a target, as far as this process knows, and how many may.
#[derive(Clone, Copy, Default)]
struct OutboxRoom {
    waiting: u64,
    /// Looks until they are counted again.
    uncounted: u64,
    /// What the operator says of the target; `None` until it was read.
    bound: Option<(u64, Overflow)>,
}

impl Default for OutboxState {
    fn default() -> Self {
        let sender = || Arc::new(watch::Sender::new(0));
        Self {
            routes: Cache::new(REMEMBERED_MAX),
            rooms: Arc::default(),
            drops: Arc::default(),
            bell: sender(),
            acknowledged: sender(),
        }
    }
}

impl OutboxState {
    fn rooms(&self) -> MutexGuard<'_, HashMap<TargetName, OutboxRoom>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of another row for this target, if there is no room for it beside `more`.
    pub(super) fn overflow(&self, target: &TargetName, more: u64) -> Option<Overflow> {
        let OutboxRoom { waiting, bound, .. } = self.rooms().get(target).copied()?;
        let (rows_max, overflow) = bound?;
        (waiting + more >= rows_max).then_some(overflow)
    }

    /// How many rows wait for a target, by what was counted last and what this process has done since; `None` if they are to be
    /// counted: at every look as long as there are few, and the less often the more there are.
    pub(crate) fn carried(&self, target: &TargetName) -> Option<u64> {
        let mut rooms = self.rooms();
        let room = rooms.get_mut(target)?;
        room.uncounted = room.uncounted.checked_sub(1)?;
        Some(room.waiting)
    }

    /// So many rows wait for a target: they were just counted.
    pub(crate) fn counted(&self, target: &TargetName, waiting: u64) {
        let mut rooms = self.rooms();
        let room = rooms.entry(target.clone()).or_default();
        (room.waiting, room.uncounted) = (waiting, (waiting / COUNTED_A_LOOK).min(UNCOUNTED_MAX));
    }

    /// These are all targets, and this is what their operators say of them.
    pub(crate) fn bound_by(&self, targets: &[OutboxTarget]) {
        let mut rooms = self.rooms();
        rooms.retain(|name, _| targets.iter().any(|target| target.name == *name));
        for OutboxTarget { name, rows_max, overflow, .. } in targets {
            rooms.entry(name.clone()).or_default().bound = Some((*rows_max, *overflow));
        }
        drop(rooms);
        for (target, events) in self.drops().due(Instant::now()) {
            tell_dropped(&target, events);
        }
    }

    fn drops(&self) -> MutexGuard<'_, Drops> {
        self.drops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows went, or came back (less than none).
    pub(crate) fn went(&self, target: &TargetName, rows: i64) {
        if let Some(room) = self.rooms().get_mut(target) {
            room.waiting = room.waiting.saturating_add_signed(-rows);
        }
    }

    /// What a transaction wrote is committed.
    pub(crate) fn committed(&self, told: ToldRows) {
        for (target, events) in told.dropped {
            metrics::outbox_dropped(target.as_str(), events);
            let due = self.drops().note(&target, events, Instant::now());
            if let Some(events) = due {
                tell_dropped(&target, events);
            }
        }
        if told.rows.is_empty() {
            return;
        }
        for (target, rows) in told.rows {
            self.went(&target, -rows);
        }
        self.bell.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// See [`Outbox::outbox_bell`](crate::application::ports::metadata::Outbox::outbox_bell).
    pub(crate) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// The routes of a space whose settings are at `revision`, and whose upstream is in this mode. Costs nothing where none were
    /// ever set, and no statement unless they have changed since this process last asked.
    pub(crate) async fn routes(
        &self,
        tx: &mut Transaction,
        space: SpaceId,
        revision: SettingsRevision,
        upstream: Option<Mode>,
    ) -> Result<Option<Arc<Routes>>, Fault> {
        if revision.is_untouched() {
            return Ok(None);
        }
        let known = self.routes.get(&space).filter(|(known, _)| *known == revision);
        let routes = if let Some((_, routes)) = known {
            routes
        } else {
            let mirror =
                (upstream == Some(Mode::Mirror)).then(|| Route::mirror(TargetName::mirror_of(space)));
            let routes = Routes::of(read(tx, space).await?.notifications.as_ref()).and(mirror);
            let routes = Arc::new(routes);
            self.routes.insert(space, (revision, routes.clone()));
            routes
        };
        Ok((!routes.is_empty()).then_some(routes))
    }
}

/// The settings of a space that make routes.
async fn read(tx: &mut Transaction, space: SpaceId) -> Result<SpaceSettings, Fault> {
    tx.query(sql!("SELECT kind, document FROM space_settings WHERE space_id = $1 AND kind = $2"))
        .bind(space.0)
        .bind(SettingKind::Notifications.code())
        .map(|row| settings::setting(space, row.get("kind")?, &row.get::<String>("document")?))
        .await
        .map(|documents| documents.into_iter().collect())
}

/// What a transaction has told.
#[derive(Default)]
pub(crate) struct ToldRows {
    /// How many rows more wait for each target than before.
    pub(super) rows: BTreeMap<TargetName, i64>,
    /// Events that were dropped, as too much waits for their target.
    pub(super) dropped: BTreeMap<TargetName, u64>,
    /// Rows of each target whose place others took: nobody waits for their number before the commit.
    pub(super) replaced: Vec<(TargetName, KeptRows)>,
}

impl ToldRows {
    /// The numbers of rows that were replaced are asked for.
    pub(super) async fn count_replaced(&mut self, tx: &mut Transaction) -> Result<(), Fault> {
        for (target, kept) in std::mem::take(&mut self.replaced) {
            let gone = tx.rows(kept).await?;
            self.less(target, &gone);
        }
        Ok(())
    }

    /// They came with the commit.
    pub(super) fn count_replaced_by(&mut self, mut committed: Committed) {
        for (target, kept) in std::mem::take(&mut self.replaced) {
            let gone = committed.rows(kept);
            self.less(target, &gone);
        }
    }

    fn less(&mut self, target: TargetName, gone: &[Row]) {
        *self.rows.entry(target).or_default() -= i64::try_from(gone.len()).unwrap_or(i64::MAX);
    }
}

/// How often a target is named in the log whose events are dropped.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Dropped events that the log does not name yet, by target, and when it named some last. A target that is full drops an event
/// with every change: a line for each would fill the log, and cost the transaction its time.
#[derive(Default)]
struct Drops(HashMap<TargetName, (u64, Option<Instant>)>);

impl Drops {
    /// More were dropped. How many the log should name now, if it should.
    fn note(&mut self, target: &TargetName, events: u64, now: Instant) -> Option<u64> {
        let (dropped, told) = self.0.entry(target.clone()).or_default();
        *dropped += events;
        if told.is_some_and(|told| now.saturating_duration_since(told) < TOLD_EVERY) {
            return None;
        }
        *told = Some(now);
        Some(std::mem::take(dropped))
    }

    /// What the log should name by now.
    fn due(&mut self, now: Instant) -> Vec<(TargetName, u64)> {
        let over = |told: &Instant| now.saturating_duration_since(*told) >= TOLD_EVERY;
        // Where nothing was dropped for so long, the next one is named at once.
        self.0.retain(|_, (dropped, told)| *dropped > 0 || !told.as_ref().is_some_and(over));
        let due = self.0.iter().filter(|(_, (dropped, told))| *dropped > 0 && told.as_ref().is_none_or(over));
        let due: Vec<TargetName> = due.map(|(target, _)| target.clone()).collect();
        due.into_iter().filter_map(|target| Some((target.clone(), self.note(&target, 0, now)?))).collect()
    }
}

fn tell_dropped(target: &TargetName, events: u64) {
    tracing::error!(%target, events, "events are dropped: too much waits for their target");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn name() -> TargetName {
        TargetName::new("hooks").unwrap()
    }

    /// What is dropped is named with its number, a target once in an interval, and none is left out in the end.
    #[test]
    fn dropped_events_are_named_together() {
        let (mut drops, start) = (Drops::default(), Instant::now());
        assert_eq!(drops.note(&name(), 2, start), Some(2), "the first at once");
        for _ in 0..1000 {
            assert_eq!(drops.note(&name(), 1, start), None);
        }
        assert_eq!(drops.due(start), []);
        assert_eq!(drops.due(start + TOLD_EVERY), [(name(), 1000)]);
        assert_eq!(drops.note(&name(), 1, start + TOLD_EVERY), None);
        assert_eq!(drops.note(&name(), 1, start + 2 * TOLD_EVERY), Some(2));
        assert_eq!(drops.due(start + 3 * TOLD_EVERY), []);
        assert!(drops.0.is_empty(), "a target without drops is forgotten");
    }

    /// Counting a backlog is a scan of it: the longer it is, the less often it is counted, and in between the number is carried
    /// on by what this process does.
    #[test]
    fn a_long_backlog_is_counted_less_often() {
        let counts = |waiting: u64| {
            let state = OutboxState::default();
            let looks = 100;
            let counts = (0..looks).filter(|_| {
                let due = state.carried(&name()).is_none();
                if due {
                    state.counted(&name(), waiting);
                }
                due
            });
            counts.count()
        };
        assert_eq!((counts(0), counts(99_999)), (100, 100));
        assert_eq!((counts(1_000_000), counts(100_000_000)), (10, 4));
        let state = OutboxState::default();
        state.counted(&name(), 500_000);
        state.went(&name(), 100);
        state.went(&name(), -7);
        assert_eq!(state.carried(&name()), Some(499_907));
    }
}
