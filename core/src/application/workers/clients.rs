//! Writes down, every few seconds, which clients were seen in spaces that have an upstream.

use std::time::Duration;

use async_trait::async_trait;

use super::worker::{WorkDone, Worker};
use crate::application::error::Result;
use crate::application::store::Store;

/// Its name.
const NAME: &str = "clients";

/// How often what was counted is written down.
const EVERY: Duration = Duration::from_secs(5);

/// Writes down which clients were seen by this process.
pub struct ClientsWorker(Store);

impl ClientsWorker {
    /// Of the requests to this store.
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

#[async_trait]
impl Worker for ClientsWorker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rest(&self) -> Duration {
        EVERY
    }

    /// Each process has seen its own.
    fn exclusive(&self) -> bool {
        false
    }

    async fn step(&self) -> Result<WorkDone> {
        self.0.write_clients().await?;
        Ok(WorkDone::Idle)
    }

    async fn end(&self) {
        if let Err(error) = self.0.write_clients().await {
            tracing::warn!(%error, "the clients seen last are not written down");
        }
    }
}
