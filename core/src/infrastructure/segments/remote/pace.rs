//! How fast background work may ask an object store: each request costs money, and the line is shared with requests of clients.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use tokio::time::Instant;

use crate::application::ports::segments::SegmentError;
use crate::application::progress;
use crate::domain::pace::Pace;

/// What background work on one tier may ask of its object store in a second, on one server. 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpkeepPace {
    /// Requests, of whatever kind.
    pub requests_per_second: u64,
    /// Bytes that are read.
    pub bytes_per_second: u64,
}

/// Slows the background work of a tier down to its pace.
#[derive(Debug)]
pub(super) struct Upkeep {
    pace: UpkeepPace,
    since: Instant,
    requests: Mutex<Pace>,
    bytes: Mutex<Pace>,
}

impl Upkeep {
    pub(super) fn new(pace: UpkeepPace) -> Self {
        Self { pace, since: Instant::now(), requests: Mutex::default(), bytes: Mutex::default() }
    }

    /// Before so many requests: waits until those before them are paid for.
    pub(super) async fn requests(&self, count: u64) {
        self.take(&self.requests, count, self.pace.requests_per_second).await;
    }

    /// For so many bytes, which are read or about to be.
    pub(super) async fn bytes(&self, count: u64) {
        self.take(&self.bytes, count, self.pace.bytes_per_second).await;
    }

    async fn take(&self, taken: &Mutex<Pace>, count: u64, per_second: u64) {
        if per_second == 0 {
            return;
        }
        let now = self.since.elapsed();
        let wait = taken.lock().unwrap_or_else(PoisonError::into_inner).take(count, per_second, now);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
            progress::made();
        }
    }
}

/// What is read, as fast as `upkeep` lets it be.
pub(super) fn slowed(
    upkeep: Arc<Upkeep>,
    bytes: BoxStream<'static, Result<Bytes, SegmentError>>,
) -> BoxStream<'static, Result<Bytes, SegmentError>> {
    let chunks = bytes.then(move |chunk| {
        let upkeep = Arc::clone(&upkeep);
        async move {
            if let Ok(chunk) = &chunk {
                upkeep.bytes(chunk.len() as u64).await;
            }
            chunk
        }
    });
    chunks.boxed()
}
