//! What commits know of the outbox: who is to be told of a space's changes, and how much waits for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::sync::Cache;
use tokio::sync::watch;

use super::settings;
use crate::application::ports::metadata::{OutboxFigures, OutboxTarget};
use crate::domain::event::{Overflow, Routes, TargetName};
use crate::domain::settings::{SettingKind, SpaceSettings};
use crate::domain::space::{SettingsRevision, SpaceId};
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// Spaces whose routes are remembered.
const REMEMBERED_MAX: u64 = 4096;

/// What commits of this process know of the outbox. All clones are the same.
#[derive(Clone)]
pub(crate) struct OutboxState {
    pub(super) routes: Cache<SpaceId, (SettingsRevision, Arc<Routes>)>,
    rooms: Arc<Mutex<HashMap<TargetName, OutboxRoom>>>,
    bell: Arc<watch::Sender<u64>>,
}

/// How many rows wait for a target, as far as this process knows, and how many may.
#[derive(Clone, Copy)]
struct OutboxRoom {
    waiting: u64,
    rows_max: u64,
    overflow: Overflow,
}

impl Default for OutboxState {
    fn default() -> Self {
        let bell = Arc::new(watch::Sender::new(0));
        Self { routes: Cache::new(REMEMBERED_MAX), rooms: Arc::default(), bell }
    }
}

impl OutboxState {
    fn rooms(&self) -> MutexGuard<'_, HashMap<TargetName, OutboxRoom>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of another row for this target, if there is no room for it beside `more`.
    pub(super) fn overflow(&self, target: &TargetName, more: u64) -> Option<Overflow> {
        let room = self.rooms().get(target).copied()?;
        (room.waiting + more >= room.rows_max).then_some(room.overflow)
    }

    /// Takes over figures that were just read.
    pub(crate) fn read(&self, targets: &[OutboxTarget], figures: &[OutboxFigures]) {
        let mut rooms = self.rooms();
        rooms.clear();
        for (target, figures) in targets.iter().zip(figures) {
            let OutboxTarget { rows_max, overflow, .. } = *target;
            rooms.insert(target.name.clone(), OutboxRoom { waiting: figures.waiting, rows_max, overflow });
        }
    }

    /// Rows went, or came back (less than none).
    pub(crate) fn went(&self, target: &TargetName, rows: i64) {
        if let Some(room) = self.rooms().get_mut(target) {
            room.waiting = room.waiting.saturating_add_signed(-rows);
        }
    }

    /// What a transaction wrote is committed.
    pub(crate) fn committed(&self, told: ToldRows) {
        if told.0.is_empty() {
            return;
        }
        for (target, rows) in told.0 {
            self.went(&target, -rows);
        }
        self.bell.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// See [`Outbox::outbox_bell`](crate::application::ports::metadata::Outbox::outbox_bell).
    pub(crate) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// The routes of a space whose settings are at `revision`. Costs nothing where none were ever set, and no statement unless
    /// they have changed since this process last asked.
    pub(crate) async fn routes(
        &self,
        tx: &mut Transaction,
        space: SpaceId,
        revision: SettingsRevision,
    ) -> Result<Option<Arc<Routes>>, Fault> {
        if revision.is_untouched() {
            return Ok(None);
        }
        let known = self.routes.get(&space).filter(|(known, _)| *known == revision);
        let routes = if let Some((_, routes)) = known {
            routes
        } else {
            let routes = Arc::new(Routes::of(read(tx, space).await?.notifications.as_ref()));
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

/// How many rows more wait for each target than before a transaction.
#[derive(Default)]
pub(crate) struct ToldRows(pub(super) BTreeMap<TargetName, i64>);
