//! The state of the workers of this process, for the admin API; and a bell that wakes each of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::NAMES;
use crate::domain::timestamp::Timestamp;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkerState {
    /// It has not begun: this process does not run it, or not yet.
    #[default]
    Starting,
    /// It takes a step.
    Running,
    /// It rests until its next step.
    Resting,
    /// Its last step failed; it rests longer and longer.
    Failing,
    /// Another server does this work.
    Elsewhere,
}

impl WorkerState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Resting => "resting",
            Self::Failing => "failing",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// What this process knows of one of its workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name.
    pub name: &'static str,
    /// Whether one server of the store at a time does this work.
    pub exclusive: bool,
    /// What it is doing.
    pub state: WorkerState,
    /// When its last step ended.
    pub last_run_at: Option<Timestamp>,
    /// When its last step ended that did not fail.
    pub last_success_at: Option<Timestamp>,
    /// Why its last step failed, if it did.
    pub last_error: Option<String>,
    /// How many steps have failed in a row.
    pub failures: u64,
    /// Items done since the start.
    pub items: u64,
    /// When it takes its next step.
    pub next_run_at: Option<Timestamp>,
}

/// The board of a process. All clones are the same.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<&'static str, Entry>>>);

#[derive(Default)]
struct Entry {
    status: WorkerStatus,
    bell: Arc<Bell>,
}

/// Ends a worker's rest.
#[derive(Default)]
pub(super) struct Bell {
    rung: Notify,
    urgent: AtomicBool,
}

impl Bell {
    /// Waits until it rings. Whether everything is due then, in time or not.
    pub(super) async fn heard(&self) -> bool {
        self.rung.notified().await;
        self.urgent.swap(false, Ordering::AcqRel)
    }
}

/// What a step came to.
pub(super) enum Ended {
    /// It did so many items.
    Did(u64),
    /// Another server does the work.
    Elsewhere,
    /// It failed.
    Failed(String),
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a worker. Returns its bell.
    pub(super) fn enter(&self, name: &'static str, exclusive: bool) -> Arc<Bell> {
        let mut entries = self.lock();
        let entry = entries.entry(name).or_default();
        entry.status = WorkerStatus { name, exclusive, ..WorkerStatus::default() };
        entry.bell.clone()
    }

    fn change(&self, name: &'static str, change: impl FnOnce(&mut WorkerStatus)) {
        if let Some(entry) = self.lock().get_mut(name) {
            change(&mut entry.status);
        }
    }

    /// A worker begins a step.
    pub(super) fn began(&self, name: &'static str) {
        self.change(name, |status| {
            (status.state, status.next_run_at) = (WorkerState::Running, None);
        });
    }

    /// A step ended at `now`; the next one begins after `rest`.
    pub(super) fn ended(&self, name: &'static str, ended: Ended, now: Timestamp, rest: Duration) {
        self.change(name, |status| {
            status.next_run_at = Some(now.plus(rest));
            match ended {
                Ended::Elsewhere => status.state = WorkerState::Elsewhere,
                Ended::Did(items) => {
                    (status.last_run_at, status.last_success_at) = (Some(now), Some(now));
                    (status.state, status.failures, status.last_error) = (WorkerState::Resting, 0, None);
                    status.items += items;
                }
                Ended::Failed(error) => {
                    (status.state, status.last_run_at) = (WorkerState::Failing, Some(now));
                    (status.failures, status.last_error) = (status.failures + 1, Some(error));
                }
            }
        });
    }

    /// Every worker, in the order of [`NAMES`]; those of another process's making have not begun.
    pub fn all(&self) -> Vec<WorkerStatus> {
        let entries = self.lock();
        let known = |name| entries.get(name).map(|entry| entry.status.clone());
        let missing = |name| WorkerStatus { name, exclusive: true, ..WorkerStatus::default() };
        NAMES.into_iter().map(|name| known(name).unwrap_or_else(|| missing(name))).collect()
    }

    /// Ends a worker's rest; `urgent` makes everything due, in time or not. Whether it takes its next step now: not where
    /// another server does the work.
    pub fn wake(&self, name: &str, urgent: bool) -> bool {
        let entries = self.lock();
        let Some(entry) = entries.get(name) else { return false };
        entry.bell.urgent.fetch_or(urgent, Ordering::AcqRel);
        entry.bell.rung.notify_one();
        entry.status.state != WorkerState::Elsewhere
    }
}
