//! A whole store in a directory, over SQLite (or another database) and two local tiers: what the fronts' own tests and benches stand on.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::application::access::{Access, AuthMode, MasterKey, RootKey};
use crate::application::commit::{Committer, CommitterTasks};
use crate::application::ingest::Ingest;
use crate::application::limits::TenantLimits;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, WriterId};
use crate::application::store::Store;
use crate::application::tiers::Tiers;
use crate::domain::address::Tenant;
use crate::domain::limits::Limits;
use crate::domain::space::DedupScope;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::segments::LocalSegments;

/// A running store and who may use it, with one writer whose lease never ends.
pub struct Local {
    /// The store, with limits that limit nothing until a tenant is given some.
    pub store: Store,
    /// Its keys.
    pub access: Access,
    /// Its metadata.
    pub metadata: Arc<dyn MetadataStore>,
    /// To be kept for as long as the store is used: what commits ends with it.
    pub tasks: CommitterTasks,
}

impl Local {
    /// The master key, in hexadecimal.
    pub fn master() -> String {
        "a1".repeat(32)
    }

    /// One in `directory`, which the caller keeps and removes.
    pub async fn open(
        directory: &Path,
        clock: Arc<dyn Clock>,
        mode: AuthMode,
        root: Option<RootKey>,
    ) -> Self {
        let url = format!("sqlite://{}", directory.join("metadata.db").display());
        Self::open_on(&url, directory, clock, mode, root).await
    }

    /// The same, over the database at `url`.
    pub async fn open_on(
        url: &str,
        directory: &Path,
        clock: Arc<dyn Clock>,
        mode: AuthMode,
        root: Option<RootKey>,
    ) -> Self {
        let metadata = SqlMetadata::connect(url).await.unwrap();
        metadata.migrate().await.unwrap();
        let metadata: Arc<dyn MetadataStore> = Arc::new(metadata);
        let tier = |name: &'static str| Arc::new(LocalSegments::open(directory.join(name), name).unwrap());
        let tiers = Tiers { hot: tier("hot"), cold: tier("cold") };
        let writer = WriterId(Uuid::new_v4());
        metadata.heartbeat(writer, Timestamp(i64::MAX)).await.unwrap();
        let (committer, tasks) = Committer::start(metadata.clone(), tiers.clone(), clock.clone(), writer);
        let ingest = Ingest::new(metadata.clone(), tiers.clone(), clock.clone(), writer);
        let store = Store::new(metadata.clone(), tiers, clock.clone(), committer, ingest, DedupScope::Tenant);
        let store = store.with_limits(TenantLimits::new(metadata.clone(), Limits::default(), 128));
        let master = MasterKey::from_hex(&Self::master()).unwrap();
        let home = Tenant::new("default").unwrap();
        let access = Access::new(metadata.clone(), clock, master, mode, root, home);
        Self { store, access, metadata, tasks }
    }
}
