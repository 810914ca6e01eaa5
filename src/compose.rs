//! The composition root: the only place that names infrastructure.

use std::sync::Arc;

use juststorage_core::application::commit::{Committer, CommitterTasks};
use juststorage_core::application::ingest::Ingest;
use juststorage_core::application::ports::clock::Clock;
use juststorage_core::application::ports::metadata::{MetadataError, MetadataStore, WriterId};
use juststorage_core::application::ports::segments::SegmentStore;
use juststorage_core::application::store::{Store, Tiers};
use juststorage_core::infrastructure::clock::SystemClock;
use juststorage_core::infrastructure::metadata::{MigrationReport, SqlMetadata};
use juststorage_core::infrastructure::segments::LocalSegments;

use crate::config::{DatabaseUrl, StorageConfig, TierUrl};
use crate::data_dir::DataDir;
use crate::failure::Failure;

/// The parts of a store, ready for its use cases.
pub struct Parts {
    /// The database, its schema up to date.
    pub metadata: Arc<dyn MetadataStore>,
    /// The tiers.
    pub tiers: Tiers,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is kept beside them.
    pub data_dir: DataDir,
    storage: StorageConfig,
}

impl Parts {
    /// Opens the parts: the data directory is made, the database connected and migrated.
    pub async fn open(storage: StorageConfig) -> Result<Self, Failure> {
        let data_dir = DataDir::open(&storage.data_dir)?;
        Self::open_in(data_dir, storage).await
    }

    /// As [`Self::open`], in a data directory that is open already.
    pub async fn open_in(data_dir: DataDir, storage: StorageConfig) -> Result<Self, Failure> {
        let (metadata, _) = open_metadata(&storage.database).await?;
        let tiers = Tiers { hot: tier(&storage.hot, "hot")?, cold: tier(&storage.cold, "cold")? };
        Ok(Self { metadata: Arc::new(metadata), tiers, clock: Arc::new(SystemClock), data_dir, storage })
    }

    /// The store, writing as `writer`, which must be registered before anything is written.
    pub fn store(&self, writer: WriterId) -> (Store, CommitterTasks) {
        let (metadata, tiers, clock) = (self.metadata.clone(), self.tiers.clone(), self.clock.clone());
        let (committer, tasks) = Committer::start(metadata.clone(), tiers.clone(), clock.clone(), writer);
        let ingest = Ingest::new(metadata.clone(), tiers.clone(), clock.clone(), writer);
        (Store::new(metadata, tiers, clock, committer, ingest, self.storage.dedup), tasks)
    }
}

/// Brings the schema of `database` up to date and ends the connection. What was done.
pub async fn migrate(storage: &StorageConfig) -> Result<Migrated, Failure> {
    if storage.database.is_embedded() {
        DataDir::open(&storage.data_dir)?;
    }
    let (metadata, report) = open_metadata(&storage.database).await?;
    metadata.close().await;
    Ok(Migrated { applied: report.applied, version: report.version })
}

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Steps taken: 0 if the schema was up to date.
    pub applied: u64,
    /// The schema's version now.
    pub version: i64,
}

async fn open_metadata(url: &DatabaseUrl) -> Result<(SqlMetadata, MigrationReport), Failure> {
    let within = |error: MetadataError| match Failure::from(error) {
        Failure::Unable(why) => Failure::Unable(format!("{url}: {why}")),
        other => other,
    };
    let metadata = SqlMetadata::connect(url.reveal()).await.map_err(within)?;
    match metadata.migrate().await {
        Ok(report) => Ok((metadata, report)),
        Err(error) => {
            metadata.close().await;
            Err(within(error))
        }
    }
}

fn tier(url: &TierUrl, name: &'static str) -> Result<Arc<dyn SegmentStore>, Failure> {
    match url {
        TierUrl::Directory(path) => {
            let tier = LocalSegments::open(path.clone(), name).map_err(|error| {
                Failure::unable(format!("open the {name} tier in {}", path.display()), error)
            })?;
            Ok(Arc::new(tier))
        }
    }
}
