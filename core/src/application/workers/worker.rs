//! What a worker is.

use std::time::Duration;

use async_trait::async_trait;

use crate::application::error::Result;

/// How long a lease holds unless renewed. Renewed before every step, so a step must be shorter.
pub const LEASE: Duration = Duration::from_secs(60);

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkDone {
    /// This many items; there may be more.
    Did(u64),
    /// This many items; there is more, but others come first: the next step should wait so long.
    Paced(u64, Duration),
    /// There was nothing to do.
    Idle,
}

/// One kind of background work, in steps that are short, idempotent, and left to finish.
#[async_trait]
pub trait Worker: Send + Sync + 'static {
    /// Its name: in metrics, logs and as its lease.
    fn name(&self) -> &'static str;

    /// How long to rest when there is nothing to do.
    fn rest(&self) -> Duration;

    /// Whether only one process of the store may do this at a time.
    fn exclusive(&self) -> bool {
        true
    }

    /// Makes everything due now that would be in time: its next step is asked for.
    fn hurry(&self) {}

    /// Ends what goes on beside the steps. Called once, after the last one.
    async fn end(&self) {}

    /// One unit of work.
    async fn step(&self) -> Result<WorkDone>;
}

/// Steps until there is nothing left to do; for commands. Returns how many items were done.
pub async fn run_dry(worker: &dyn Worker) -> Result<u64> {
    let mut total = 0;
    loop {
        match worker.step().await? {
            WorkDone::Did(items) | WorkDone::Paced(items, _) => total += items,
            WorkDone::Idle => return Ok(total),
        }
    }
}
