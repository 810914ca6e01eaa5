//! Runs workers: one task each, with back-off after failures, leases between replicas, and an end within a
//! second or so of being told.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::board::{Board, Ended};
use super::worker::{WorkDone, Worker, step_under_lease};
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{Leases, MetadataError, MetadataStore};

/// Runs workers until it is shut down.
pub struct Supervisor<M: ?Sized = dyn MetadataStore> {
    metadata: Arc<M>,
    clock: Arc<dyn Clock>,
    holder: Uuid,
    board: Board,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl<M: Leases + ?Sized> Supervisor<M> {
    /// For one process, which holds its leases as `holder`.
    pub fn new(metadata: Arc<M>, clock: Arc<dyn Clock>, holder: Uuid) -> Self {
        let (board, stop, tasks) = (Board::default(), CancellationToken::new(), TaskTracker::new());
        Self { metadata, clock, holder, board, stop, tasks }
    }

    /// Where the workers say what they are doing, and by which they are called.
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Starts a worker. Needs a tokio runtime.
    pub fn start(&self, worker: Arc<dyn Worker>) {
        let (metadata, clock) = (self.metadata.clone(), self.clock.clone());
        let (holder, stop, board) = (self.holder, self.stop.clone(), self.board.clone());
        let bell = board.enter(worker.name(), worker.exclusive());
        self.tasks.spawn(async move {
            let mut failures = 0;
            while !stop.is_cancelled() {
                board.began(worker.name());
                // A step is left to finish; only the rest between steps is cut short.
                let turn = turn(worker.as_ref(), metadata.as_ref(), clock.as_ref(), holder).await;
                failures = if matches!(turn, Turn::Failed(_)) { (failures + 1).min(16) } else { 0 };
                let (ended, rest) = match turn {
                    Turn::Again(items) => (Ended::Did(items), Duration::ZERO),
                    Turn::After(items, rest) => (Ended::Did(items), rest),
                    Turn::Rest => (Ended::Did(0), worker.rest()),
                    Turn::Elsewhere => (Ended::Elsewhere, worker.rest()),
                    Turn::Failed(error) => {
                        let rest = worker.rest().max(Duration::from_secs(1)).saturating_mul(1 << failures);
                        (Ended::Failed(error), rest.min(worker.back_off()))
                    }
                };
                board.ended(worker.name(), ended, clock.now(), rest);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(rest) => {}
                    urgent = bell.heard() => if urgent { worker.hurry() },
                }
            }
            worker.end().await;
            if worker.exclusive()
                && let Err(error) = metadata.release_lease(worker.name(), holder).await
            {
                tracing::warn!(%error, worker = worker.name(), "lease not given back; it will run out");
            }
        });
    }

    /// Lets each worker finish its step, and gives the leases back.
    pub async fn shut_down(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

enum Turn {
    Again(u64),
    After(u64, Duration),
    Rest,
    /// Another process has the lease.
    Elsewhere,
    Failed(String),
}

/// By the time that all who want the lease go by.
async fn acquire(
    worker: &dyn Worker,
    metadata: &(impl Leases + ?Sized),
    clock: &dyn Clock,
    holder: Uuid,
) -> Result<bool, MetadataError> {
    let now = metadata.lease_time(clock.now()).await?;
    metadata.acquire_lease(worker.name(), holder, now, now.plus(worker.lease())).await
}

async fn turn(
    worker: &dyn Worker,
    metadata: &(impl Leases + ?Sized),
    clock: &dyn Clock,
    holder: Uuid,
) -> Turn {
    if worker.exclusive() {
        match acquire(worker, metadata, clock, holder).await {
            Ok(true) => {}
            Ok(false) => return Turn::Elsewhere,
            Err(error) => {
                tracing::warn!(%error, worker = worker.name(), "lease not acquired");
                return Turn::Failed(format!("lease not acquired: {error}"));
            }
        }
    }
    let step = if worker.exclusive() {
        step_under_lease(worker, metadata, clock, holder).await
    } else {
        worker.step().await
    };
    match step {
        Ok(WorkDone::Did(items)) => {
            metrics::worker_step(worker.name(), items);
            Turn::Again(items)
        }
        Ok(WorkDone::Paced(items, rest)) => {
            metrics::worker_step(worker.name(), items);
            Turn::After(items, rest)
        }
        Ok(WorkDone::Idle) => Turn::Rest,
        Err(error) => {
            metrics::worker_failed(worker.name());
            tracing::warn!(%error, worker = worker.name(), "worker step failed; it will be tried again");
            Turn::Failed(error.to_string())
        }
    }
}
