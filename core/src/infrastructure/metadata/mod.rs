//! The metadata store on SQLite and PostgreSQL: one logic, two engines.
//!
//! Four rooms: `session` opens the engines and asks them, `write` changes what is stored, `read` looks at it, `upkeep` serves
//! background work; `store` hands each method of the port to its room.
//!
//! Statements are written once, beside the function that uses them; [`dialect`](session::dialect) holds the little that
//! differs, [`database`](session::database) makes one of two drivers. Embedded SQLite serves one machine; any number of
//! processes may share a PostgreSQL.

mod read;
mod session;
mod store;
mod upkeep;
mod write;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

use crate::application::ports::metadata::{MetadataError, WriterId};
use crate::application::ports::volume::Volume;
use session::database::Database;
use session::fence::Held;

pub use session::migrate::MigrationReport;
pub use session::postgres::Connections;

/// The metadata store.
///
/// Cheap to clone: clones share their connections. When the database goes away its methods fail with
/// [`MetadataError::Unavailable`], and succeed again once it is back.
#[derive(Clone)]
pub struct SqlMetadata {
    db: Database,
    lookups: read::lookups::Lookups,
    writes_as: WritesAs,
    outbox: write::routes::OutboxState,
    held: Held,
    time: LeaseTime,
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

/// Whose clock leases go by.
#[derive(Clone, Copy)]
enum LeaseTime {
    /// The caller's, so that a test may move it.
    Passed,
    /// The database's, where it is a server of its own.
    Database,
}

impl SqlMetadata {
    /// Connects to `sqlite:///path/to/metadata.db` (made if it does not exist; its directory must) or
    /// `postgres://user:password@host/database`, with several hosts where one of them is the primary. Does not touch the schema: see [`Self::migrate`].
    pub async fn connect(url: &str) -> Result<Self, MetadataError> {
        Self::connect_with(url, Connections::default()).await
    }

    /// As [`Self::connect`], with as many connections to PostgreSQL as the operator says, and in that manner.
    pub async fn connect_with(url: &str, connections: Connections) -> Result<Self, MetadataError> {
        let db = Database::connect(url, connections).await?;
        let lookups = read::lookups::Lookups::start(&db);
        let outbox = write::routes::OutboxState::default();
        Ok(Self {
            db,
            lookups,
            writes_as: WritesAs::default(),
            outbox,
            held: Held::default(),
            time: LeaseTime::Passed,
        })
    }

    /// Whether a `postgres://` URL, of one host or several, can be read; why not, without the URL, which holds a password.
    pub fn check_url(url: &str) -> Result<(), String> {
        session::open::check_url(url)
    }

    /// The file of an embedded database; `None` if `url` names a server.
    pub fn file(url: &str) -> Option<PathBuf> {
        let options = url.starts_with("sqlite:").then(|| url.parse::<SqliteConnectOptions>());
        Some(options?.ok()?.get_filename().to_owned())
    }

    /// The version of the schema; 0 if there is no store in the database.
    pub async fn schema_version(&self) -> Result<i64, MetadataError> {
        Ok(session::migrate::version(&self.db).await?)
    }

    /// Leases and the words of writers go by the clock of the database where it is a server: machines that share it need not
    /// agree on the time. An embedded database is on this machine, whose clock it is either way.
    #[must_use]
    pub fn with_its_own_clock(self) -> Self {
        Self { time: LeaseTime::Database, ..self }
    }

    /// The file system of an embedded database. While it is looked at, room is kept back there for deletes on a full disk.
    pub fn volume(&self) -> Option<Arc<dyn Volume>> {
        match &self.db {
            Database::Sqlite { ballast, .. } => Some(ballast.clone()),
            Database::Postgres(..) => None,
        }
    }

    /// Brings the schema to this program's version, and says what was done. Several processes may do so at
    /// once: one does the work, the others wait.
    ///
    /// Fails with [`MetadataError::NewerSchema`] if a newer program has been here, and changes nothing then.
    pub async fn migrate(&self) -> Result<MigrationReport, MetadataError> {
        let report = loop {
            match session::migrate::migrate(&self.db).await {
                Err(fault) if self.db.makes_room(&fault).await => {}
                result => break result?,
            }
        };
        // A figure that is off for a while is no reason not to start: a full disk is one that deletes must go on with.
        if let Err(fault) = upkeep::recount::recount(&self.db).await {
            tracing::warn!(?fault, "parts of open uploads and delete markers were not recounted");
        }
        Ok(report)
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

    /// This engine's settings of durability and references, for the test that holds it to that.
    #[cfg(feature = "testing")]
    pub async fn promises(&self) -> Vec<(&'static str, String)> {
        self.db.promises().await
    }
}
