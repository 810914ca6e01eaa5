//! Abandoned uploads.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::stuck::{Shelf, Trouble};
use super::worker::{WorkDone, Worker};
use crate::application::error::Result;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, Objects, Upkeep, Uploads};
use crate::domain::idempotency::KEPT;
use crate::domain::multipart::UploadId;

/// Uploads of one step.
const UPLOADS: u32 = 64;

/// Idempotency keys of one step.
const KEYS: u32 = 1000;

/// Aborts uploads that were begun too long ago, and forgets idempotency keys.
pub struct UploadExpiry<M: ?Sized = dyn MetadataStore> {
    metadata: Arc<M>,
    clock: Arc<dyn Clock>,
    age_max: Duration,
}

impl<M: Uploads + Upkeep + ?Sized> UploadExpiry<M> {
    /// Uploads older than `age_max` are aborted.
    pub fn new(metadata: Arc<M>, clock: Arc<dyn Clock>, age_max: Duration) -> Self {
        Self { metadata, clock, age_max }
    }
}

#[async_trait]
impl<M: Objects + Uploads + Upkeep + ?Sized> Worker for UploadExpiry<M> {
    fn name(&self) -> &'static str {
        "upload-expiry"
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn step(&self) -> Result<WorkDone> {
        let now = self.clock.now();
        let mut shelf = Shelf::open(&self.metadata, self.name(), now).await?;
        let limit = shelf.page(UPLOADS);
        let stale = self.metadata.stale_uploads(now.minus(self.age_max), limit).await?;
        let name = |upload: &UploadId| format!("upload:{upload}");
        if stale.len() < limit as usize {
            shelf.keep_only("upload", &stale.iter().map(name).collect());
        }
        let mut done = 0;
        for upload in stale {
            if shelf.holds(&name(&upload)) {
                continue;
            }
            let aborted = self.metadata.abort_upload(upload).await.map_err(Trouble::from);
            if shelf.settle(name(&upload), aborted).await?.is_some() {
                done += 1;
                tracing::info!(%upload, "abandoned upload aborted");
            }
        }
        done += self.metadata.forget_idempotent(now.minus(KEPT), KEYS).await?;
        let failed = shelf.close(done).await?;
        Ok(if done + failed == 0 { WorkDone::Idle } else { WorkDone::Did(done) })
    }
}
