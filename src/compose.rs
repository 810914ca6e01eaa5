//! The composition root: the only place that chooses what stands behind a port.

use std::sync::Arc;

use juststorage_core::application::access::MasterKeys;
use juststorage_core::application::commit::{Committer, CommitterTasks, RunsOn};
use juststorage_core::application::identity::{self, IdentityError};
use juststorage_core::application::ingest::Ingest;
use juststorage_core::application::pools::Pools;
use juststorage_core::application::ports::clock::Clock;
use juststorage_core::application::ports::metadata::{
    IdentityStore as _, MetadataError, MetadataStore, WriterId,
};
use juststorage_core::application::ports::segments::SegmentStore;
use juststorage_core::application::ports::volume::Volume;
use juststorage_core::application::reserve::{Part, Reserve};
use juststorage_core::application::store::Store;
use juststorage_core::application::tiers::Tiers;
use juststorage_core::application::upstream::UpstreamSetup;
use juststorage_core::domain::identity::{Mismatch, Purpose, StoreId, TierId, TierMark};
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::infrastructure::clock::SystemClock;
use juststorage_core::infrastructure::metadata::{MigrationReport, SqlMetadata};
use juststorage_core::infrastructure::segments::{LocalSegments, ReadCache, mark_text};
use juststorage_core::infrastructure::upstream::S3Connector;
use juststorage_core::infrastructure::volume::DirectoryVolume;
use uuid::Uuid;

use crate::config::names;
use crate::config::{ConfigError, StorageConfig, TierUrl};
use crate::data_dir::DataDir;
use crate::exit_error::ExitError;
use crate::writer;

/// The parts of a store, ready for its use cases.
pub struct Parts {
    /// The database, with the current schema.
    pub metadata: Arc<dyn MetadataStore>,
    /// The tiers, which belong to it.
    pub tiers: Tiers,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Free space that uploads leave; nothing is refused before it is watched.
    pub reserve: Reserve,
    /// The storage settings.
    pub data_dir: DataDir,
    /// Whether a server has marked both tiers.
    tiers_in_use: bool,
    storage: StorageConfig,
}

impl Parts {
    /// Opens the parts of an existing store, for a command that reads its tiers. Creates nothing.
    pub async fn open(storage: StorageConfig) -> Result<Self, ExitError> {
        let parts = Self::open_known(storage).await?;
        if parts.tiers_in_use {
            return Ok(parts);
        }
        parts.metadata.close().await;
        Err(ExitError::Unable(
            "no server has used the tiers of this store yet: `juststorage serve` creates them".to_owned(),
        ))
    }

    /// As [`Self::open`], also if no server has used the store yet.
    pub async fn open_known(storage: StorageConfig) -> Result<Self, ExitError> {
        Self::open_in(DataDir::at(&storage.data_dir), storage, Purpose::Command).await
    }

    /// As [`Self::open`], for a purpose, with a data directory that exists as far as the purpose needs it.
    pub async fn open_in(
        data_dir: DataDir,
        storage: StorageConfig,
        purpose: Purpose,
    ) -> Result<Self, ExitError> {
        let cache = if purpose == Purpose::Serve { cache(&storage)? } else { None };
        let tiers = tiers(&storage, cache.as_ref())?;
        let (metadata, _) = open_metadata(&storage, purpose, &tiers).await?;
        let reserve = reserve(&metadata, &storage);
        let metadata: Arc<dyn MetadataStore> = Arc::new(metadata);
        let clock = Arc::new(SystemClock);
        let established = async {
            let established = identity::establish(metadata.as_ref(), &tiers, purpose, clock.now()).await;
            let established = established.map_err(|error| describe(&storage, error))?;
            if purpose != Purpose::Serve {
                writer::refuse_copy(metadata.as_ref(), &data_dir, &storage, clock.now()).await?;
                let own = data_dir.known_writer()?.map(|(writer, _)| writer);
                writer::refuse_apart(metadata.as_ref(), &tiers, own, &storage, clock.now()).await?;
            }
            Ok::<_, ExitError>(established)
        };
        match established.await {
            Ok(established) => {
                let tiers_in_use = established.tiers_in_use;
                Ok(Self { metadata, tiers, clock, reserve, data_dir, tiers_in_use, storage })
            }
            Err(failure) => {
                metadata.close().await;
                Err(failure)
            }
        }
    }

    /// The storage settings.
    pub fn storage(&self) -> &StorageConfig {
        &self.storage
    }

    /// What connects the upstreams of spaces.
    pub async fn upstreams(&self, keys: MasterKeys) -> Result<UpstreamSetup, ExitError> {
        let record = self.metadata.store_record(StoreId(Uuid::new_v4()), self.clock.now()).await?;
        let connector = Arc::new(S3Connector::new(record.id));
        Ok(UpstreamSetup { connector, keys, own: record.id })
    }

    /// The store, writing as `writer`, which must be registered before anything is written.
    /// It draws from `pools`.
    pub fn store(&self, writer: WriterId, pools: Pools) -> (Store, CommitterTasks) {
        let (metadata, tiers, clock) = (self.metadata.clone(), self.tiers.clone(), self.clock.clone());
        // A server's answers come out of sockets, which the workers of the runtime wait for.
        let commits_on = if self.storage.database.is_embedded() { RunsOn::Thread } else { RunsOn::Task };
        let on = (RunsOn::Thread, commits_on);
        let (committer, tasks) =
            Committer::start_on(on, metadata.clone(), tiers.clone(), clock.clone(), writer);
        let ingest = Ingest::new(metadata.clone(), tiers.clone(), clock.clone(), writer)
            .with_reserve(self.reserve.clone())
            .with_pools(pools);
        (Store::new(metadata, tiers, clock, committer, ingest, self.storage.dedup), tasks)
    }
}

/// Updates the schema of `database`, creates the store if there is none, and closes the connection. Returns the
/// changes.
pub async fn migrate(storage: &StorageConfig) -> Result<Migrated, ExitError> {
    if storage.database.is_embedded() {
        DataDir::make(&storage.data_dir)?;
    }
    let (metadata, report) = open_metadata(storage, Purpose::Serve, &tiers(storage, None)?).await?;
    let named = metadata.store_record(StoreId(Uuid::new_v4()), SystemClock.now()).await;
    metadata.close().await;
    named?;
    Ok(Migrated { applied: report.applied, version: report.version })
}

/// The result of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Applied migrations: 0 if the schema was current.
    pub applied: u64,
    /// The schema's version after it.
    pub version: i64,
}

/// Connects to the database and updates its schema. Creates a database only for a purpose that creates a store, and
/// not if the tiers show that there was one.
async fn open_metadata(
    storage: &StorageConfig,
    purpose: Purpose,
    tiers: &Tiers,
) -> Result<(SqlMetadata, MigrationReport), ExitError> {
    let url = &storage.database;
    let within = |error: MetadataError| match ExitError::from(error) {
        ExitError::Unable(why) => ExitError::Unable(format!("{url}: {why}")),
        other => other,
    };
    let in_use = async || identity::is_in_use(tiers).await.map_err(|error| describe(storage, error));
    if purpose == Purpose::Rebuild {
        if !in_use().await? {
            return Err(nothing_to_rebuild(storage));
        }
        DataDir::make(&storage.data_dir)?;
    }
    if let Some(file) = SqlMetadata::file(url.reveal())
        && !file
            .try_exists()
            .map_err(|error| ExitError::unable(format!("look at {}", file.display()), error))?
    {
        match purpose {
            Purpose::Command => return Err(no_store(storage)),
            Purpose::Serve if in_use().await? => return Err(lost_database(storage)),
            Purpose::Serve | Purpose::Rebuild => {}
        }
    }
    let metadata = SqlMetadata::connect_with(url.reveal(), storage.connections).await.map_err(within)?;
    let metadata = metadata.with_its_own_clock();
    let migrated = async {
        if purpose == Purpose::Command && metadata.schema_version().await.map_err(within)? == 0 {
            return Err(no_store(storage));
        }
        metadata.migrate().await.map_err(within)
    };
    match migrated.await {
        Ok(report) => Ok((metadata, report)),
        Err(failure) => {
            metadata.close().await;
            Err(failure)
        }
    }
}

/// Watches the file systems of both tiers, and of the database if it is a file of this machine.
fn reserve(metadata: &SqlMetadata, storage: &StorageConfig) -> Reserve {
    let tiers = [(StorageClass::Hot, &storage.hot), (StorageClass::Cold, &storage.cold)];
    let mut parts: Vec<(Part, Arc<dyn Volume>)> = Vec::new();
    for (class, url) in tiers {
        // The room of an object store is not watched: it refuses writes when it has none.
        if let TierUrl::Directory(path) = url {
            parts.push((Part::Tier(class), Arc::new(DirectoryVolume(path.clone()))));
        }
    }
    parts.extend(metadata.volume().map(|volume| (Part::Database, volume)));
    Reserve::new(parts, storage.reserve)
}

fn no_store(storage: &StorageConfig) -> ExitError {
    ExitError::Unable(format!(
        "there is no store in {}: check DATABASE_URL and JUSTSTORAGE_DATA_DIR ({}); a new store is made by `juststorage \
         serve` or `juststorage migrate` alone",
        storage.database,
        storage.data_dir.display()
    ))
}

fn lost_database(storage: &StorageConfig) -> ExitError {
    let (hot, cold) = (&storage.hot, &storage.cold);
    ExitError::Unable(format!(
        "there is no database in {}, and the tiers in {hot} and {cold} hold a store: check DATABASE_URL; if the database \
         is lost, restore it from its backup, or run `juststorage validate --rebuild`",
        storage.database
    ))
}

fn nothing_to_rebuild(storage: &StorageConfig) -> ExitError {
    let (hot, cold) = (&storage.hot, &storage.cold);
    ExitError::Unable(format!(
        "there is nothing to rebuild a store of: neither {hot} nor {cold} holds a segment. Check JUSTSTORAGE_DATA_DIR, \
         JUSTSTORAGE_HOT_URL and JUSTSTORAGE_COLD_URL, and that their volumes are mounted"
    ))
}

/// Names both sides and the remedy.
fn describe(storage: &StorageConfig, error: IdentityError) -> ExitError {
    let (store, class, why) = match error {
        IdentityError::Mismatch { store, class, why } => (store, class, why),
        IdentityError::Metadata(error) => return error.into(),
        IdentityError::Tier { class, error } => {
            let (name, root) = (class.as_str(), tier_url(storage, class));
            let settings = root.settings_to_check(setting_of(class), &error);
            return ExitError::unable(format!("open the {name} tier in {root} (check {settings})"), error);
        }
    };
    let (name, root) = (class.as_str(), tier_url(storage, class));
    let setting = setting_of(class);
    let mark = match &why {
        Mismatch::NoMark(mark) => Some(*mark),
        Mismatch::Absent { .. } => Some(TierMark { store, tier: TierId(Uuid::new_v4()), class }),
        _ => None,
    };
    let advice = match &why {
        Mismatch::OtherStore { .. } | Mismatch::UnknownSegments => {
            "If the database is lost, restore it from its backup, or run `juststorage validate --rebuild` with an empty \
             one"
        }
        Mismatch::OtherTier { .. } => "Servers of one store share the directory of each tier",
        Mismatch::OtherClass(_) => "Check that the two tiers have directories of their own",
        _ => "Check that the tier's volume is mounted",
    };
    let anyway = mark.map_or_else(String::new, |mark| {
        let (file, text) = (root.beside("juststorage-tier.json"), mark_text(&mark));
        let text = text.trim_end();
        format!(". If this is the tier, restored from a backup without its mark, write into {file}: {text}")
    });
    ExitError::Unable(format!(
        "the database {} (store {store}) and the {name} tier in {} do not belong together: {why}. Nothing was changed. Check \
         DATABASE_URL, JUSTSTORAGE_DATA_DIR and {setting}. {advice}{anyway}",
        storage.database, root
    ))
}

fn setting_of(class: StorageClass) -> &'static str {
    match class {
        StorageClass::Hot => names::HOT_URL,
        StorageClass::Cold => names::COLD_URL,
    }
}

fn tier_url(storage: &StorageConfig, class: StorageClass) -> &TierUrl {
    match class {
        StorageClass::Hot => &storage.hot,
        StorageClass::Cold => &storage.cold,
    }
}

/// The tiers. Nothing is read from them before the store's identity is checked.
fn tiers(storage: &StorageConfig, cache: Option<&ReadCache>) -> Result<Tiers, ExitError> {
    let tier = |class| tier(storage, class, cache);
    Ok(Tiers { hot: tier(StorageClass::Hot)?, cold: tier(StorageClass::Cold)? })
}

/// The cache of what is read from object stores, for a server. Commands read each byte once, and the cache is the server's.
fn cache(storage: &StorageConfig) -> Result<Option<ReadCache>, ExitError> {
    if storage.cache_bytes == 0 || !storage.has_object_store() {
        return Ok(None);
    }
    let opened = ReadCache::open(storage.cache_dir(), storage.cache_bytes, storage.reserve);
    let setting = names::CACHE_BYTES;
    let advice = |why: String| format!("{why}; mend that, or set {setting}=0 to do without a cache");
    Ok(Some(opened.map_err(|why| ExitError::unable("open the read cache", advice(why)))?))
}

fn tier(
    storage: &StorageConfig,
    class: StorageClass,
    cache: Option<&ReadCache>,
) -> Result<Arc<dyn SegmentStore>, ExitError> {
    let name = class.as_str();
    match tier_url(storage, class) {
        TierUrl::Directory(path) => Ok(Arc::new(LocalSegments::at(path.clone(), name))),
        TierUrl::ObjectStore(url) => {
            let opened = url.open(name, storage.data_dir.join("spool"));
            let tier = opened.map_err(|reason| ConfigError::new(setting_of(class), reason))?;
            let tier = tier.paced(storage.upkeep);
            Ok(match cache {
                Some(cache) => Arc::new(tier.with_cache(cache.clone())),
                None => Arc::new(tier),
            })
        }
    }
}
