//! Uploads that nobody finishes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::worker::{Step, Worker};
use crate::application::error::Result;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::MetadataStore;

/// Aborts uploads that were begun too long ago.
pub struct UploadExpiry {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    age_max: Duration,
}

impl UploadExpiry {
    /// Uploads older than `age_max` are aborted.
    pub fn new(metadata: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>, age_max: Duration) -> Self {
        Self { metadata, clock, age_max }
    }
}

#[async_trait]
impl Worker for UploadExpiry {
    fn name(&self) -> &'static str {
        "upload-expiry"
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn step(&self) -> Result<Step> {
        let before = self.clock.now().minus(self.age_max);
        let stale = self.metadata.stale_uploads(before, 64).await?;
        for upload in &stale {
            self.metadata.abort_upload(*upload).await?;
            tracing::info!(%upload, "abandoned upload aborted");
        }
        Ok(if stale.is_empty() { Step::Idle } else { Step::Did(stale.len() as u64) })
    }
}
