//! How each engine is opened: what it is told about durability, waiting and memory.

use std::str::FromStr;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, Postgres};
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};

use super::dialect::Fault;
use crate::application::ports::metadata::MetadataError;

/// Connections to PostgreSQL at most.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Reading connections to SQLite at least and at most; between, one for each core. More would wait for a core while
/// what they have cached displaces what the others have. The writer is one more.
const SQLITE_READERS_MIN: u32 = 2;
const SQLITE_READERS_MAX: u32 = 16;

/// What all reading connections to SQLite keep of the database, in KiB.
const SQLITE_READERS_KIB: u32 = 32 << 10;

/// How long to wait for a connection before the database counts as unavailable.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long SQLite waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What PostgreSQL is told: a lock or a statement that takes longer is given up.
const LOCK_TIMEOUT: &str = "10s";
const STATEMENT_TIMEOUT: &str = "20s";

/// Prepared statements kept per connection: more than this module has.
const STATEMENTS_KEPT: usize = 256;

/// The writer and the readers of one file.
pub(super) async fn sqlite(url: &str) -> Result<(SqlitePool, SqlitePool), MetadataError> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(MetadataError::Failed("an in-memory SQLite database forgets everything".to_owned()));
    }
    let options = SqliteConnectOptions::from_str(url)
        .map_err(Fault::from)?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS_KEPT)
        .pragma("temp_store", "MEMORY")
        // The page cache of the kernel is behind the connections' own: mapping the file would count it to
        // this process once for every connection, and each change of the mapping interrupts every thread.
        .pragma("mmap_size", "0")
        .pragma("trusted_schema", "OFF");
    // WAL with synchronous=FULL: every commit syncs the log before it returns, so an acknowledged write
    // survives a power cut. A larger log between checkpoints means fewer syncs of the database file.
    let writing = options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-32768")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .thread_name(|_| "metadata-writer".to_owned());
    let cores = u32::try_from(crate::cores()).unwrap_or(u32::MAX);
    let readers = cores.clamp(SQLITE_READERS_MIN, SQLITE_READERS_MAX);
    let reading = options
        .pragma("cache_size", format!("-{}", SQLITE_READERS_KIB / readers))
        .pragma("query_only", "ON")
        .thread_name(|n| format!("metadata-reader-{n}"));
    let pool = |connections| {
        PoolOptions::<Sqlite>::new()
            .max_connections(connections)
            // A file does not go away, and a fresh connection has a cold cache.
            .test_before_acquire(false)
            // SQLite rolls back by itself when a write fails, on a full disk for one
            // (sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction"). sqlx goes on
            // counting that transaction and refuses every later one: such a connection is replaced.
            .before_acquire(|connection, _| {
                let usable = !connection.is_in_transaction();
                Box::pin(async move { Ok(usable) })
            })
            .idle_timeout(None)
            .max_lifetime(None)
    };
    // Whoever waits for the writer may have to wait for another process behind it.
    let writer = pool(1)
        .acquire_timeout(ACQUIRE_TIMEOUT + BUSY_TIMEOUT)
        .connect_with(writing)
        .await
        .map_err(Fault::from)?;
    let readers = pool(readers).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(reading);
    Ok((writer, readers))
}

/// The pool of one server. Connects once.
pub(super) async fn postgres(url: &str) -> Result<PgPool, MetadataError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(Fault::from)?
        .application_name("juststorage")
        .statement_cache_capacity(STATEMENTS_KEPT)
        // Whatever the server's default: an acknowledged write survives a crash of the server.
        .options([
            ("synchronous_commit", "on"),
            ("lock_timeout", LOCK_TIMEOUT),
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", "60s"),
            ("default_transaction_isolation", "read committed"),
        ]);
    let pool = PoolOptions::<Postgres>::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(Fault::from)?;
    Ok(pool)
}
