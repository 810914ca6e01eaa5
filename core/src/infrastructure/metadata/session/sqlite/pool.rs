//! A bounded number of connections to one file.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The code of "cannot rollback - no transaction is active": `SQLITE_ERROR` (sqlite.org/rescode.html).
const NO_TRANSACTION: &str = "1";

/// Between two tries to open a file that is locked.
const BUSY_REST: Duration = Duration::from_millis(20);

/// `SQLITE_BUSY` in the low byte of the code.
fn is_busy(code: Option<&str>) -> bool {
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}

/// Connections that are opened when they are needed, and stay open.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    options: SqliteConnectOptions,
    most: u32,
    /// How long a connection is waited for.
    patience: Duration,
    /// The one that was used last is used next: its cache is warm.
    idle: Mutex<Vec<SqliteConnection>>,
    free: Arc<Semaphore>,
}

impl Pool {
    /// Of `most` connections.
    pub(crate) fn new(options: SqliteConnectOptions, most: u32, patience: Duration) -> Self {
        let free = Arc::new(Semaphore::new(most as usize));
        Self(Arc::new(Shared { options, most, patience, idle: Mutex::default(), free }))
    }

    /// A connection, for as long as it is held. Those who wait get one in the order in which they came.
    pub(crate) async fn acquire(&self) -> Result<Held, sqlx::Error> {
        let free = self.0.free.clone();
        let permit = match free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(self.0.patience, free.acquire_owned())
                .await
                .map_err(|_| sqlx::Error::PoolTimedOut)?
                .map_err(|_| sqlx::Error::PoolClosed)?,
        };
        let idle = self.0.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.0.connect().await?,
        };
        let (pool, connection, permit) = (self.0.clone(), Some(connection), Some(permit));
        Ok(Held { connection, owes: Owes::Nothing, pool, permit })
    }

    /// Waits for those that are held, and closes every connection. Then none can be had any more.
    pub(crate) async fn close(&self) {
        // As those who wait came before, they are served before.
        let all = self.0.free.acquire_many(self.0.most).await;
        self.0.free.close();
        drop(all);
        let idle = std::mem::take(&mut *self.0.idle());
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a connection to the database was not closed in order");
            }
        }
    }
}

impl Shared {
    /// Opens one. Of several that open a new file at once only one can make it a file with a log, and the others are told that
    /// it is locked, whatever they said about waiting (sqlite.org/wal.html): they try again.
    async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.options.connect().await {
                Err(sqlx::Error::Database(error))
                    if is_busy(error.code().as_deref()) && Instant::now() < deadline =>
                {
                    tokio::time::sleep(BUSY_REST).await;
                }
                opened => return opened,
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has to be done before a connection may serve somebody else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owes {
    Nothing,
    /// Something was asked and not waited for to its end.
    Answer,
    /// A transaction was begun and not ended.
    Rollback,
}

/// A connection that is held.
pub(crate) struct Held {
    connection: Option<SqliteConnection>,
    owes: Owes,
    pool: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// The connection, to be asked something. Until [`Self::settled`] is called it owes what is said.
    pub(crate) fn asked(&mut self, owes: Owes) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.owes = owes;
        self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// What it was asked is answered.
    pub(crate) fn settled(&mut self) {
        self.owes = Owes::Nothing;
    }

    /// It is not to be used again: another one takes its place.
    pub(crate) fn discard(mut self) {
        self.connection = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let (owes, pool) = (self.owes, self.pool.clone());
        if owes == Owes::Nothing {
            pool.idle().push(connection);
            return;
        }
        // Without a runtime it is closed, which ends what it was about.
        let Ok(runtime) = Handle::try_current() else { return };
        let permit = self.permit.take();
        runtime.spawn(async move {
            let settled = match owes {
                Owes::Rollback => sqlx::query("ROLLBACK").execute(&mut connection).await.map(drop),
                Owes::Nothing | Owes::Answer => connection.ping().await,
            };
            match settled {
                Ok(()) => pool.idle().push(connection),
                // SQLite has rolled back by itself, on a full disk for one (sqlite.org/lang_transaction.html, "Response To
                // Errors Within A Transaction"), or the transaction was committed while nobody waited for it: it is in none.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_TRANSACTION) => {
                    pool.idle().push(connection);
                }
                Err(error) => tracing::debug!(%error, "a connection to the database is replaced"),
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::str::FromStr as _;

    use super::*;

    fn pool(folder: &tempfile::TempDir, most: u32, patience: Duration) -> Pool {
        let url = format!("sqlite://{}/a.db", folder.path().display());
        let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
        Pool::new(options, most, patience)
    }

    async fn count(held: &mut Held) -> i64 {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM t").fetch_one(held.asked(Owes::Answer).unwrap());
        let count = count.await.unwrap();
        held.settled();
        count
    }

    #[tokio::test]
    async fn a_transaction_that_is_left_is_rolled_back_before_the_next_one_begins() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder, 1, Duration::from_secs(30));
        let mut held = pool.acquire().await.unwrap();
        let connection = held.asked(Owes::Rollback).unwrap();
        sqlx::raw_sql("CREATE TABLE t (a); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
            .execute(connection)
            .await
            .unwrap();
        drop(held);
        let mut held = pool.acquire().await.unwrap();
        assert_eq!(count(&mut held).await, 0);
        let other = sqlx::raw_sql("BEGIN IMMEDIATE; INSERT INTO t VALUES (2); COMMIT");
        other.execute(held.asked(Owes::Rollback).unwrap()).await.unwrap();
        held.settled();
        assert_eq!(count(&mut held).await, 1);
        drop(held);
        pool.close().await;
    }

    #[tokio::test]
    async fn a_connection_that_is_in_no_transaction_after_all_is_used_again_and_a_discarded_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder, 1, Duration::from_secs(30));
        let mut held = pool.acquire().await.unwrap();
        let connection = held.asked(Owes::Rollback).unwrap();
        sqlx::raw_sql("CREATE TEMP TABLE t (a)").execute(connection).await.unwrap();
        drop(held);
        let mut held = pool.acquire().await.unwrap();
        assert_eq!(count(&mut held).await, 0, "it is the same connection");
        held.discard();
        let mut held = pool.acquire().await.unwrap();
        let gone = sqlx::query("SELECT * FROM t");
        gone.fetch_all(held.asked(Owes::Answer).unwrap()).await.unwrap_err();
    }

    /// While another process makes the file one with a log, or recovers it, it is locked for whoever opens it.
    #[tokio::test]
    async fn a_file_that_is_locked_is_opened_once_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let other = pool(&folder, 1, Duration::from_secs(30));
        let mut held = other.acquire().await.unwrap();
        let exclusive = sqlx::raw_sql("BEGIN EXCLUSIVE; CREATE TABLE t (a)");
        exclusive.execute(held.asked(Owes::Rollback).unwrap()).await.unwrap();
        let open = |patience| {
            let url = format!("sqlite://{}/a.db", folder.path().display());
            let options = SqliteConnectOptions::from_str(&url).unwrap().busy_timeout(Duration::ZERO);
            Pool::new(options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal), 1, patience)
        };
        let refused = open(Duration::ZERO).acquire().await.err().unwrap();
        let code = refused.as_database_error().and_then(|error| error.code().map(String::from));
        assert!(is_busy(code.as_deref()), "{refused:?}");
        let patient = open(Duration::from_secs(60));
        let opening = tokio::spawn(async move { patient.acquire().await.map(drop) });
        sqlx::query("COMMIT").execute(held.asked(Owes::Rollback).unwrap()).await.unwrap();
        held.settled();
        opening.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn no_more_than_its_number_are_open_and_none_once_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder, 2, Duration::ZERO);
        let (one, two) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
        assert!(matches!(pool.acquire().await.err(), Some(sqlx::Error::PoolTimedOut)));
        drop(one);
        drop(pool.acquire().await.unwrap());
        let closing = tokio::spawn({
            let pool = pool.clone();
            async move { pool.close().await }
        });
        drop(two);
        closing.await.unwrap();
        assert!(matches!(pool.acquire().await.err(), Some(sqlx::Error::PoolClosed)));
    }
}
