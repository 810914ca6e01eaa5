//! Whether a step of a worker gets anywhere. A step that hangs must not keep its lease: another process could do the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static UNDER_WAY: Progress;
}

/// What a step has come to so far, as a number that goes up. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Counts what `step` makes here.
    pub(crate) fn of<F: Future>(&self, step: F) -> TaskLocalFuture<Self, F> {
        UNDER_WAY.scope(self.clone(), step)
    }

    /// How much was made.
    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The worker whose step this is got further: bytes were read or written, a transaction began, another store answered. Of no
/// effect anywhere else.
pub(crate) fn made() {
    let _ = UNDER_WAY.try_with(|progress| progress.0.fetch_add(1, Ordering::Relaxed));
}
