//! Transactions, and trying them again.

use std::time::Duration;

use sqlx::postgres::Postgres;

use super::dialect::Sql;
use super::fault::Fault;
use super::patience::patiently;
use super::sqlite::{Kept, SqliteTransaction};
use super::statement::{KeptRows, Manner, On, POSTGRES_ROWS, Row, SQLITE_ROWS, Statement, portions};
use crate::application::ports::metadata::MetadataError;
use crate::infrastructure::watch::{self, DurableStep};

/// A transaction, rolled back unless committed.
pub(crate) enum Transaction {
    Sqlite(SqliteTransaction),
    Postgres(sqlx::Transaction<'static, Postgres>, Manner),
}

impl Transaction {
    fn on(&mut self) -> On<'_> {
        // On SQLite no change of another transaction comes between the statements of this one.
        if !self.sees_only_its_own() {
            watch::point();
        }
        match self {
            Self::Sqlite(tx) => On::Sqlite(tx),
            Self::Postgres(tx, manner) => On::Postgres(tx, *manner),
        }
    }

    /// A statement inside the transaction.
    pub(crate) fn query(&mut self, sql: Sql) -> Statement<'_> {
        Statement::new(self.on(), sql)
    }

    /// A statement whose fragment `rows` is a list of `rows` times `columns` values.
    pub(crate) fn query_rows(&mut self, sql: Sql, rows: usize, columns: usize) -> Statement<'_> {
        Statement::with_rows(self.on(), sql, rows, columns)
    }

    /// A statement whose fragment `list` is a list of `values` values, bound behind `fixed` others.
    pub(crate) fn query_list(&mut self, sql: Sql, fixed: usize, values: usize) -> Statement<'_> {
        Statement::with_list(self.on(), sql, fixed, values)
    }

    /// The rows of a statement that were kept.
    pub(crate) async fn rows(&mut self, kept: KeptRows) -> Result<Vec<Row>, Fault> {
        match (kept, self) {
            (KeptRows::There(rows), _) => Ok(rows),
            (KeptRows::Waiting(slot), Self::Sqlite(tx)) => {
                Ok(tx.take(slot).await?.into_iter().map(Row::Sqlite).collect())
            }
            (KeptRows::Waiting(_), Self::Postgres(..)) => Err(Fault::failed("rows are kept elsewhere")),
        }
    }

    /// Cuts what multi-row statements are to carry into their portions. A portion has a power of two of rows,
    /// so that few different texts are in use and all of them stay prepared.
    pub(crate) fn portions<'r, T>(&self, rows: &'r [T]) -> impl Iterator<Item = &'r [T]> + use<'r, T> {
        portions(rows, if matches!(self, Self::Sqlite(_)) { SQLITE_ROWS } else { POSTGRES_ROWS })
    }

    /// Whether no other transaction can change anything while this one lasts.
    pub(crate) fn sees_only_its_own(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Makes it durable. With the rows that were kept until now: for those nobody waits once more.
    pub(crate) async fn commit(self) -> Result<Committed, Fault> {
        let step = |step| watch::step(&step).map_err(|cut| MetadataError::Unavailable(cut.to_string()));
        step(DurableStep::Commit)?;
        let kept = match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx, manner) => {
                patiently(manner.patience, tx.commit()).await?;
                Kept::default()
            }
        };
        step(DurableStep::Committed)?;
        Ok(Committed(kept))
    }
}

/// What is left of a transaction that was committed.
pub(crate) struct Committed(Kept);

impl Committed {
    /// The rows of a statement that were kept.
    pub(crate) fn rows(&mut self, kept: KeptRows) -> Vec<Row> {
        match kept {
            KeptRows::There(rows) => rows,
            KeptRows::Waiting(slot) => self.0.take(slot).into_iter().map(Row::Sqlite).collect(),
        }
    }
}

/// Tries a transaction again that collided with another, a bounded number of times, or found no room where some was kept
/// back. Evaluates to
/// `Result<T, Fault>`, where the last expression of the body is the `T`.
///
/// A macro, since a closure that borrows its surroundings cannot promise a future that is `Send` for every
/// lifetime of the transaction.
macro_rules! transaction {
    ($database:expr, |$tx:ident| $body:expr) => {{
        let mut attempts = 0_u32;
        loop {
            let attempt = async {
                #[allow(unused_mut)]
                let mut $tx = $database.begin().await?;
                let value = $body;
                $tx.commit().await?;
                Ok::<_, $crate::infrastructure::metadata::session::fault::Fault>(value)
            };
            match attempt.await {
                Err($crate::infrastructure::metadata::session::fault::Fault::Collision(_))
                    if attempts < $crate::infrastructure::metadata::session::transaction::ATTEMPTS_MAX =>
                {
                    attempts += 1;
                    $crate::infrastructure::metadata::session::transaction::pause(attempts).await;
                }
                Err(fault) if $database.makes_room(&fault).await => {}
                result => break result,
            }
        }
    }};
}

pub(crate) use transaction;

/// How often a transaction that collides is tried again.
pub(crate) const ATTEMPTS_MAX: u32 = 12;

/// A short, growing, uneven rest, so that transactions that collided do not collide again.
pub(crate) async fn pause(attempt: u32) {
    watch::collided();
    let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    let millis = (1_u64 << attempt.min(7)) * (128 + spread) / 256;
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
