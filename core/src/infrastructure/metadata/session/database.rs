//! Two engines behind one face. [`open`](super::open) opens them, [`statement`](super::statement) runs what they
//! are asked, [`transaction`](super::transaction) makes several statements one.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::ballast::Ballast;
use super::dialect::Sql;
use super::fault::Fault;
use super::fence::Fence;
use super::open;
use super::postgres::{Begin, Connections};
use super::server::Server;
use super::sqlite::{self, Owes, Pool, SqliteTransaction};
use super::statement::{Manner, On, POSTGRES_ROWS, SQLITE_ROWS, Statement, portions};
use super::transaction::Transaction;
use crate::application::ports::metadata::MetadataError;
use crate::infrastructure::watch;

/// The pools of one engine.
#[derive(Clone)]
pub(crate) enum Database {
    /// One writer, so that writers queue here and not in SQLite; readers see the last commit (WAL).
    Sqlite { writer: Pool, readers: Pool, ballast: Arc<Ballast>, fence: Option<Fence> },
    /// One pool for everything.
    Postgres(Server, Option<Fence>),
}

impl Database {
    /// Opens the database that a URL names. Connects once, to find a mistake early.
    pub(crate) async fn connect(url: &str, connections: Connections) -> Result<Self, MetadataError> {
        if url.starts_with("sqlite:") {
            let (writer, readers, ballast) = open::sqlite(url).await?;
            return Ok(Self::Sqlite { writer, readers, ballast: Arc::new(ballast), fence: None });
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Ok(Self::Postgres(open::postgres(url, connections).await?, None));
        }
        Err(MetadataError::Failed("the database URL must begin with sqlite: or postgres:".to_owned()))
    }

    fn on(&self) -> On<'_> {
        watch::point();
        match self {
            Self::Sqlite { readers, .. } => On::SqlitePool(readers),
            Self::Postgres(server, _) => On::PostgresPool(server),
        }
    }

    /// The store that the database holds: a server that holds another is never gone over to.
    pub(crate) fn holds(&self, store: Uuid) {
        if let Self::Postgres(server, _) = self {
            server.holds(store);
        }
    }

    /// A statement that reads, outside any transaction.
    pub(crate) fn read(&self, sql: Sql) -> Statement<'_> {
        Statement::new(self.on(), sql)
    }

    /// The same for a statement whose fragment `list` is a list of `values` values, bound behind `fixed`
    /// others.
    pub(crate) fn read_list(&self, sql: Sql, fixed: usize, values: usize) -> Statement<'_> {
        Statement::with_list(self.on(), sql, fixed, values)
    }

    /// Cuts what one such statement after the other is to ask for into their portions.
    pub(crate) fn portions<'r, T>(&self, rows: &'r [T]) -> impl Iterator<Item = &'r [T]> + use<'r, T> {
        portions(rows, if matches!(self, Self::Sqlite { .. }) { SQLITE_ROWS } else { POSTGRES_ROWS })
    }

    /// How many batches of lookups should be under way at once: more make smaller batches.
    pub(crate) fn lookups_at_once(&self) -> usize {
        match self {
            Self::Sqlite { .. } => 2,
            Self::Postgres(..) => 4,
        }
    }

    /// A transaction that may write. On SQLite it takes the write lock with its first statement: one that began by reading
    /// could not upgrade after another's commit.
    pub(crate) async fn begin(&self) -> Result<Transaction, Fault> {
        let (tx, fence) = match self {
            Self::Sqlite { writer, fence, .. } => {
                let held = writer.acquire().await?;
                (Transaction::Sqlite(SqliteTransaction::begin(held, sqlite::Begin::Write)), fence)
            }
            Self::Postgres(server, fence) => {
                (Transaction::Postgres(server.begin(Begin::Write).await?, Manner::of(server)), fence)
            }
        };
        let Some(fence) = fence else { return Ok(tx) };
        let mut tx = tx;
        // Requests have none, and should not carry the room that it takes.
        Box::pin(fence.check(&mut tx)).await?;
        Ok(tx)
    }

    /// The same database, every transaction of which that may write fails unless `held` is.
    pub(crate) fn fenced(&self, held: Fence) -> Self {
        let mut fenced = self.clone();
        match &mut fenced {
            Self::Sqlite { fence, .. } | Self::Postgres(_, fence) => *fence = Some(held),
        }
        fenced
    }

    /// Whether room was made for what failed with `fault`, so that it should be tried again: on a full disk a delete must
    /// get through, and it writes before it gives back. Uploads never come this far (see `reserve`). A server that may be
    /// gone is looked for.
    pub(crate) async fn makes_room(&self, fault: &Fault) -> bool {
        let (writer, ballast) = match self {
            Self::Sqlite { writer, ballast, .. } => (writer, ballast),
            Self::Postgres(server, _) => {
                server.heard(fault);
                return false;
            }
        };
        let full = match fault {
            Fault::Final(MetadataError::Full(_)) => true,
            // SQLite's error when it cannot extend the log's index.
            Fault::Final(MetadataError::Unavailable(_)) => ballast.is_starved(),
            _ => false,
        };
        if !full || !ballast.release() {
            return false;
        }
        // The log begins anew where it can be folded into the file: then it need not grow. Best effort.
        let _ = checkpoint(writer).await;
        true
    }

    /// A transaction that reads one state of everything, for as long as it takes.
    pub(crate) async fn snapshot(&self) -> Result<Transaction, Fault> {
        const ALL_NIGHT: Duration = Duration::from_hours(24);
        match self {
            Self::Sqlite { readers, .. } => {
                let held = readers.acquire().await?;
                Ok(Transaction::Sqlite(SqliteTransaction::begin(held, sqlite::Begin::Snapshot)))
            }
            Self::Postgres(server, _) => {
                let manner = Manner { patience: ALL_NIGHT, ..Manner::of(server) };
                Ok(Transaction::Postgres(server.begin(Begin::Snapshot).await?, manner))
            }
        }
    }

    /// Finishes what is under way and closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            // The writer last: it is the one that folds the log into the database file.
            Self::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(server, _) => server.close().await,
        }
    }
}

async fn checkpoint(writer: &Pool) -> Result<(), sqlx::Error> {
    let mut held = writer.acquire().await?;
    let folded = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(held.asked(Owes::Answer)?).await;
    held.settled();
    folded.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::super::migrate;
    use super::*;
    use crate::domain::address::{Namespace, SpaceAddress, Tenant};
    use crate::domain::timestamp::Timestamp;
    use crate::infrastructure::metadata::write::spaces;

    /// Had it not taken the write lock when it began, another process's write behind its first look would have undone it:
    /// SQLite refuses to write upon an old state (sqlite.org/rescode.html, `SQLITE_BUSY_SNAPSHOT`).
    #[tokio::test]
    async fn a_transaction_that_began_by_reading_may_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metadata.db");
        let db =
            Database::connect(&format!("sqlite://{}", path.display()), Connections::default()).await.unwrap();
        migrate::migrate(&db).await.unwrap();
        let other = SqliteConnectOptions::new().filename(&path).busy_timeout(Duration::ZERO);
        let mut other = other.connect().await.unwrap();
        let write = || sqlx::query("INSERT INTO leases (name, holder, expires_at) VALUES ('x', x'00', 0)");
        let space = SpaceAddress::new(Namespace::new("n").unwrap(), Tenant::new("t").unwrap());

        let mut tx = db.begin().await.unwrap();
        assert_eq!(spaces::lock_space(&mut tx, &space).await.unwrap(), None);
        let refused = write().execute(&mut other).await.expect_err("it wrote");
        let refused = refused.into_database_error().expect("SQLite's");
        assert_eq!(refused.code().as_deref(), Some("5"), "not for being busy: {refused}");
        spaces::ensure_space(&mut tx, &space, Timestamp(1)).await.unwrap();
        tx.commit().await.unwrap();
        write().execute(&mut other).await.unwrap();
        db.close().await;
    }
}
