//! How many servers serve the store just now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::metrics;
use super::ports::metadata::Replica;
use crate::domain::timestamp::Timestamp;

/// Counted with each heartbeat. All clones are the same.
#[derive(Clone, Debug)]
pub struct LiveReplicas(Arc<AtomicU32>);

impl Default for LiveReplicas {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }
}

impl LiveReplicas {
    /// Servers that live and take requests: 1 at least, this one.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed).max(1)
    }

    /// Counts those of `replicas` that live at `now` and were not told to stop.
    pub(crate) fn count<'r>(&self, replicas: impl Iterator<Item = &'r Replica>, now: Timestamp) {
        let (mut serving, mut draining) = (0, 0);
        for replica in replicas.filter(|replica| replica.lives(now)) {
            if replica.draining { draining += 1 } else { serving += 1 }
        }
        metrics::replicas(serving, draining);
        let before = self.0.swap(serving, Ordering::Relaxed);
        if before != serving {
            tracing::info!(before, serving, draining, "servers of the store");
        }
    }
}
