//! The metadata store on SQLite and PostgreSQL: one logic, two engines.
//!
//! Statements are written once, beside the function that uses them; [`dialect`] holds the little that
//! differs, [`database`] makes one of two drivers. Embedded SQLite serves one machine; any number of
//! processes may share a PostgreSQL.

mod adopt;
mod batch;
mod commit;
mod content;
mod credentials;
mod database;
mod delete;
mod dialect;
mod expire;
mod extents;
mod garbage;
mod identity;
#[cfg(feature = "testing")]
mod inspect;
mod leases;
mod limits;
mod lookups;
mod migrate;
mod objects;
mod open;
mod page;
mod parts;
mod put;
mod refusals;
mod relocate;
mod rows;
mod sample;
mod scrub;
mod segments;
mod server;
mod settings;
mod spaces;
mod statement;
mod store;
mod tally;
mod transaction;
mod update;
mod uploads;
mod usage;
mod validate;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

use crate::application::ports::metadata::{MetadataError, WriterId};
use database::Database;

pub use migrate::MigrationReport;

/// The metadata store.
///
/// Cheap to clone: clones share their connections. When the database goes away its methods fail with
/// [`MetadataError::Unavailable`], and succeed again once it is back.
#[derive(Clone)]
pub struct SqlMetadata {
    db: Database,
    lookups: lookups::Lookups,
    writes_as: WritesAs,
}

/// As which start of a writer this process writes, once it has entered one.
#[derive(Clone, Default)]
struct WritesAs(Arc<Mutex<Option<(WriterId, Uuid)>>>);

impl WritesAs {
    fn set(&self, writer: WriterId, token: Uuid) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((writer, token));
    }

    /// The token of `writer`'s start; nil if this process is none of its servers.
    fn token(&self, writer: WriterId) -> Uuid {
        let entered = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entered.filter(|(of, _)| *of == writer).map_or(Uuid::nil(), |(_, token)| token)
    }
}

impl SqlMetadata {
    /// Connects to `sqlite:///path/to/metadata.db` (made if it does not exist; its directory must) or
    /// `postgres://user:password@host/database`. Does not touch the schema: see [`Self::migrate`].
    pub async fn connect(url: &str) -> Result<Self, MetadataError> {
        let db = Database::connect(url).await?;
        let lookups = lookups::Lookups::start(&db);
        Ok(Self { db, lookups, writes_as: WritesAs::default() })
    }

    /// The file of an embedded database; `None` if `url` names a server.
    pub fn file(url: &str) -> Option<PathBuf> {
        let options = url.starts_with("sqlite:").then(|| url.parse::<SqliteConnectOptions>());
        Some(options?.ok()?.get_filename().to_owned())
    }

    /// The version of the schema; 0 if there is no store in the database.
    pub async fn schema_version(&self) -> Result<i64, MetadataError> {
        Ok(migrate::version(&self.db).await?)
    }

    /// Brings the schema to this program's version, and says what was done. Several processes may do so at
    /// once: one does the work, the others wait.
    ///
    /// Fails with [`MetadataError::NewerSchema`] if a newer program has been here, and changes nothing then.
    pub async fn migrate(&self) -> Result<MigrationReport, MetadataError> {
        Ok(migrate::migrate(&self.db).await?)
    }

    /// The plan of a statement of this module on this engine, for the test that looks at every one of them.
    #[cfg(feature = "testing")]
    pub async fn plan(&self, sqlite: String, postgres: String) -> Result<Vec<String>, String> {
        self.db.plan(sqlite, postgres).await.map_err(|error| error.to_string())
    }

    /// Prepares a statement of this module on this engine, for the test that tries every one of them.
    #[cfg(feature = "testing")]
    pub async fn prepare(&self, sqlite: String, postgres: String) -> Result<(), String> {
        self.db.prepare(sqlite, postgres).await
    }

    /// Whether a transaction waits for a lock of another, for the test that holds one of two.
    #[cfg(feature = "testing")]
    pub async fn lock_waits(&self) -> Result<bool, String> {
        self.db.lock_waits().await.map_err(|error| error.to_string())
    }

    /// What this engine was told about durability and references, for the test that holds it to that.
    #[cfg(feature = "testing")]
    pub async fn promises(&self) -> Vec<(&'static str, String)> {
        self.db.promises().await
    }
}
