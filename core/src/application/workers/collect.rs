//! Garbage collection, in proportion to what was deleted and never to what is stored.
//!
//! Rows go first, durably; files go after: a crash in between leaves condemned segments, which the next step
//! finds by their rows. A blob goes only where nothing refers to it, and foreign keys have the last word.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::worker::{Step, Worker};
use crate::application::error::Result;
use crate::application::metrics;
use crate::application::ports::metadata::MetadataStore;
use crate::application::store::Tiers;

/// Rows of one step: short enough that a foreground commit waiting behind it is not felt.
const ROWS: u32 = 256;

/// Removes what nothing refers to.
pub struct GarbageCollector {
    metadata: Arc<dyn MetadataStore>,
    tiers: Tiers,
}

impl GarbageCollector {
    /// Over the store's parts.
    pub fn new(metadata: Arc<dyn MetadataStore>, tiers: Tiers) -> Self {
        Self { metadata, tiers }
    }

    /// Removes the files of condemned segments, then their rows. How many.
    async fn unlink(&self) -> Result<u64> {
        let condemned = self.metadata.condemned(ROWS).await?;
        for segment in &condemned {
            self.tiers.of(segment.tier).delete(segment.id).await?;
        }
        let ids: Vec<_> = condemned.iter().map(|segment| segment.id).collect();
        if !ids.is_empty() {
            self.metadata.forget_segments(&ids).await?;
        }
        Ok(ids.len() as u64)
    }
}

#[async_trait]
impl Worker for GarbageCollector {
    fn name(&self) -> &'static str {
        "gc"
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn step(&self) -> Result<Step> {
        let purged = self.metadata.purge_deleting(ROWS).await?;
        let swept = self.metadata.sweep(ROWS).await?;
        let unlinked = self.unlink().await?;
        metrics::gc_run(swept.blobs, swept.bytes);
        let did = purged + swept.examined + unlinked;
        if did == 0 {
            return Ok(Step::Idle);
        }
        tracing::debug!(purged, blobs = swept.blobs, bytes = swept.bytes, unlinked, "garbage collected");
        Ok(Step::Did(did))
    }
}
