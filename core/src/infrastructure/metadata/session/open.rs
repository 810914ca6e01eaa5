//! How each engine is opened: what it is told about durability, waiting and memory.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::ballast::Ballast;
use super::fault::Fault;
use super::patience::ACQUIRE_TIMEOUT;
use super::postgres::{self, Connections, hosts};
use super::server::Server;
use super::sqlite::Pool;
use crate::application::ports::metadata::MetadataError;

/// Reading connections to SQLite at least and at most; between, one for each core. More would wait for a core while
/// what they have cached displaces what the others have. The writer is one more.
const SQLITE_READERS_MIN: u32 = 2;
const SQLITE_READERS_MAX: u32 = 16;

/// The page cache of all reading connections to SQLite together, in KiB.
const SQLITE_READERS_KIB: u32 = 32 << 10;

/// How long SQLite waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements kept per connection: more than this module has.
const STATEMENTS_KEPT: usize = 256;

/// The same for SQLite's writer, where statements go together and each choice of them is a text of its own.
const TEXTS_KEPT: usize = 512;

/// The writer and the readers of one file.
pub(crate) async fn sqlite(url: &str) -> Result<(Pool, Pool, Ballast), MetadataError> {
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
    let ballast = Ballast::beside(options.get_filename());
    ballast.make_room_to_open();
    // WAL with synchronous=FULL: every commit syncs the log before it returns, so an acknowledged write
    // survives a power cut. A larger log between checkpoints means fewer syncs of the database file.
    let writing = options
        .clone()
        .statement_cache_capacity(TEXTS_KEPT)
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
    // A wait for the writer may include a wait for another process.
    let writer = Pool::new(writing, 1, ACQUIRE_TIMEOUT + BUSY_TIMEOUT);
    loop {
        match writer.acquire().await.map_err(Fault::from) {
            Ok(_opened) => break,
            // It must be possible to open what is to be emptied.
            Err(Fault::Final(MetadataError::Full(_) | MetadataError::Unavailable(_)))
                if ballast.is_starved() && ballast.release() => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    let readers = Pool::new(reading, readers, ACQUIRE_TIMEOUT);
    Ok((writer, readers, ballast))
}

/// The connections to the primary among the servers that `url` names. Connects once, and finds out what is in between.
pub(crate) async fn postgres(url: &str, connections: Connections) -> Result<Server, MetadataError> {
    let hosts = hosts::of_url(url).map_err(Fault::failed)?;
    let of_ours = |options: PgConnectOptions| {
        options
            .application_name("juststorage")
            // Startup parameters are what poolers refuse; no column is a float.
            .extra_float_digits(None::<i8>)
            .statement_cache_capacity(if connections.prepared { STATEMENTS_KEPT } else { 0 })
    };
    let hosts: Vec<_> = hosts.into_iter().map(of_ours).collect();
    let at = postgres::locate(&hosts).await?;
    let terms = postgres::first(&hosts[at], connections.prepared).await?;
    Ok(Server::new(hosts, at, terms, connections))
}

/// Whether `url` of a server can be read; why not.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    hosts::of_url(url).map(drop)
}
