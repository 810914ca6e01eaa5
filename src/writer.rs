//! The writer id of a data directory, which only one of its copies may use.

use std::time::Duration;

use juststorage_core::application::ports::clock::Clock;
use juststorage_core::application::ports::metadata::{MetadataError, MetadataStore, WriterId};
use juststorage_core::application::tiers::Tiers;
use juststorage_core::application::workers::neighbours::{self, Apart};
use juststorage_core::domain::incarnation::{self, Incarnation, LastStart, Standing, Whereabouts};
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::domain::timestamp::Timestamp;
use uuid::Uuid;

use crate::config::StorageConfig;
use crate::config::names;
use crate::data_dir::DataDir;
use crate::exit_error::ExitError;

/// Interval at which a server checks whether another one's lease has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Starts of writers that never returned are deleted after this time.
const FORGET_AFTER: Duration = Duration::from_hours(24 * 90);

/// Claims the directory's writer for this start: directory and database both store the start's incarnation. For the
/// directory's only server. Refuses a copy of a directory whose writer has started elsewhere since, or is alive.
///
/// The directory is updated first: a server that dies between the two leaves a directory that is ahead, which does
/// not count as a copy.
pub async fn claim(
    metadata: &dyn MetadataStore,
    tiers: &Tiers,
    clock: &dyn Clock,
    data_dir: &DataDir,
    storage: &StorageConfig,
) -> Result<WriterId, ExitError> {
    let (writer, held) = data_dir.writer()?;
    let place = data_dir.whereabouts()?;
    let mut first_word = None;
    let last = loop {
        let last = metadata.last_start(writer).await?;
        let now = metadata.lease_time(clock.now()).await?;
        match judge(held, last.as_ref(), &place, storage, now) {
            Standing::Own => break last,
            Standing::Copy => return Err(copy(data_dir, last.as_ref())),
            Standing::Await(until) => {
                if *first_word.get_or_insert(until) < until {
                    return Err(in_use(data_dir, last.as_ref()));
                }
                tracing::warn!(
                    directory = %data_dir.path().display(),
                    "the server of this data directory may be running elsewhere: waiting until its lease ends"
                );
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    };
    refuse_apart(metadata, tiers, Some(writer), storage, clock.now()).await?;
    let known = last.as_ref().map_or(Incarnation::NONE, |last| last.incarnation);
    let ahead = if held.generation > known.generation { held } else { known };
    let mut next = ahead.next(Uuid::new_v4());
    if let Err(error) = data_dir.keep_incarnation(writer, next) {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if !matches!(error.kind(), StorageFull | QuotaExceeded) {
            return Err(ExitError::unable(format!("keep {}", data_dir.writer_file().display()), error));
        }
        // A full disk must not keep a server from starting and making room.
        tracing::warn!(%error, "the data directory is full: this start cannot be distinguished from the last one");
        next = held;
    }
    if next == Incarnation::NONE {
        return Ok(writer);
    }
    let was = last.as_ref().map(|last| last.incarnation.token);
    if !metadata.enter_start(writer, was, next, &place, clock.now()).await? {
        return Err(copy(data_dir, metadata.last_start(writer).await?.as_ref()));
    }
    if let Err(error) = metadata.forget_starts(clock.now().minus(FORGET_AFTER)).await {
        tracing::warn!(%error, "old starts of servers could not be deleted");
    }
    Ok(writer)
}

/// Refuses tiers that are not those to which the servers of this store that live write: copies, whose marks are the same.
pub async fn refuse_apart(
    metadata: &dyn MetadataStore,
    tiers: &Tiers,
    own: Option<WriterId>,
    storage: &StorageConfig,
    now: Timestamp,
) -> Result<(), ExitError> {
    if storage.database.is_embedded() {
        // A copy of it is a store of its own.
        return Ok(());
    }
    let now = metadata.lease_time(now).await?;
    let apart = neighbours::apart(metadata, tiers, own, now).await?;
    let Some(Apart { class, start }) = apart.first() else { return Ok(()) };
    let (path, setting) = match class {
        StorageClass::Hot => (&storage.hot, names::HOT_URL),
        StorageClass::Cold => (&storage.cold, names::COLD_URL),
    };
    Err(ExitError::Unable(format!(
        "the {} tier in {} is a copy: the server that runs in {} on the machine {:?} writes to another directory. Neither \
         would read what the other one stores. Give this process that server's directory ({setting}), or stop that server \
         for good and wait for 15 seconds",
        class.as_str(),
        path,
        start.place.path,
        start.place.host
    )))
}

/// Refuses a command in a copy of a data directory whose server has started or runs elsewhere.
pub async fn refuse_copy(
    metadata: &dyn MetadataStore,
    data_dir: &DataDir,
    storage: &StorageConfig,
    now: Timestamp,
) -> Result<(), ExitError> {
    let Some((writer, _)) = data_dir.known_writer()? else { return Ok(()) };
    let last = metadata.last_start(writer).await?;
    // Read last: a server that starts meanwhile puts the directory ahead, never behind.
    let Some((_, held)) = data_dir.known_writer()? else { return Ok(()) };
    let now = metadata.lease_time(now).await?;
    match judge(held, last.as_ref(), &data_dir.whereabouts()?, storage, now) {
        Standing::Own => Ok(()),
        Standing::Copy => Err(copy(data_dir, last.as_ref())),
        // A server that runs in this directory, on another machine, has proved that it is no copy.
        Standing::Await(_) if data_dir.try_hold()?.is_none() => Ok(()),
        Standing::Await(_) => Err(in_use(data_dir, last.as_ref())),
    }
}

/// Whether this process is no longer the writer, because a server started from a copy of its directory has taken its
/// place and everything that was begun under the writer id.
pub async fn is_superseded(metadata: &dyn MetadataStore, writer: WriterId, now: Timestamp) -> bool {
    let Ok(until) = metadata.lease_time(now).await else { return false };
    matches!(metadata.heartbeat(writer, until).await, Err(MetadataError::Superseded))
}

fn judge(
    held: Incarnation,
    last: Option<&LastStart>,
    place: &Whereabouts,
    storage: &StorageConfig,
    now: Timestamp,
) -> Standing {
    match incarnation::judge(held, last, place, now) {
        // A copy of an embedded database is a store of its own: its writer id is not used by another server.
        Standing::Await(_) if storage.database.is_embedded() => Standing::Own,
        standing => standing,
    }
}

fn copy(data_dir: &DataDir, last: Option<&LastStart>) -> ExitError {
    ExitError::Unable(format!(
        "the data directory {} is a copy, or was restored from a backup: its writer has started since{}. Two servers that \
         write under one name would take each other's uploads for garbage. {}",
        data_dir.path().display(),
        elsewhere(last),
        resolve(data_dir)
    ))
}

fn in_use(data_dir: &DataDir, last: Option<&LastStart>) -> ExitError {
    ExitError::Unable(format!(
        "the data directory {} is a copy of one whose server is running{}, or has ended less than 15 seconds ago. {}",
        data_dir.path().display(),
        elsewhere(last),
        resolve(data_dir)
    ))
}

/// The remedy. The store cannot distinguish a copy of the tiers from the tiers.
fn resolve(data_dir: &DataDir) -> String {
    format!(
        "If this server is to run beside the other one, give it that one's tiers (JUSTSTORAGE_HOT_URL, \
         JUSTSTORAGE_COLD_URL), never copies of them; if it is to run in the other one's place, stop that one for good. \
         Then remove {} and start again: this server gets a name of its own",
        data_dir.writer_file().display()
    )
}

fn elsewhere(last: Option<&LastStart>) -> String {
    last.map_or_else(String::new, |last| {
        format!(" in {} on the machine {:?}", last.place.path, last.place.host)
    })
}
