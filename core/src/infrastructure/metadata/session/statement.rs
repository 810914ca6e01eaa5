//! Statements of either engine: their values, how they run, and the rows that come back.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Encode, Row as _, SqlSafeStr as _, SqlStr, Type};

use super::dialect::Sql;
use super::fault::Fault;
use super::page;
use super::patience::{PATIENCE, patiently};
use super::postgres::Begin;
use super::server::Server;
use super::sqlite::{Answer, Owes, Pool, Slot, SqliteTransaction, Unexpected, Want};

/// Rows of one statement at most, measured best for each engine.
pub(crate) const SQLITE_ROWS: usize = 32;
pub(crate) const POSTGRES_ROWS: usize = 64;

/// A value that both engines can be given.
pub(crate) trait Value<'q>:
    Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres> + Send + 'q
{
}

impl<'q, T> Value<'q> for T where
    T: Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres> + Send + 'q
{
}

/// A value that can be read from both engines' rows, and out of a page (see [`Row::Paged`]).
pub(crate) trait Field:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres> + page::FromPage
{
}

impl<T> Field for T where
    T: for<'r> Decode<'r, Sqlite>
        + Type<Sqlite>
        + for<'r> Decode<'r, Postgres>
        + Type<Postgres>
        + page::FromPage
{
}

/// A row of either engine.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
    /// One of many that SQLite put into one value: every row of a result crosses a thread, which for a page
    /// of a listing costs several times what finding it does.
    Paged(page::Paged),
}

impl Row {
    /// The value of a column.
    pub(crate) fn get<T: Field>(&self, column: &str) -> Result<T, Fault> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
            Self::Paged(row) => row.get(column),
        }
    }

    /// The value of the first column.
    pub(crate) fn first<T: Field>(&self) -> Result<T, Fault> {
        self.at(0)
    }

    /// The value of a column by its place.
    pub(crate) fn at<T: Field>(&self, column: usize) -> Result<T, Fault> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
            Self::Paged(row) => row.at(column),
        }
    }
}

/// The rows of a page, as the engine gives them.
pub(crate) enum PageRows {
    /// All as one JSON array.
    Text(String),
    /// One by one.
    Rows(Vec<Row>),
}

/// How PostgreSQL is asked.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// How long an answer may take.
    pub(crate) patience: Duration,
    /// Whether statements are prepared by name and kept.
    pub(crate) prepared: bool,
}

impl Manner {
    /// As a server is usually asked.
    pub(crate) fn of(server: &Server) -> Self {
        Self { patience: PATIENCE, prepared: server.prepared }
    }
}

/// Where a statement runs. PostgreSQL's answer is waited for no longer than is said in a transaction, and than
/// [`PATIENCE`] outside of one.
pub(crate) enum On<'c> {
    SqlitePool(&'c Pool),
    Sqlite(&'c mut SqliteTransaction),
    PostgresPool(&'c Server),
    Postgres(&'c mut sqlx::PgConnection, Manner),
}

impl On<'_> {
    /// A statement in the words of this engine.
    fn words(&self, sql: Sql) -> &'static str {
        match self {
            Self::SqlitePool(_) | Self::Sqlite(_) => sql.sqlite,
            Self::PostgresPool(_) | Self::Postgres(..) => sql.postgres,
        }
    }
}

/// A statement with its values, about to run.
pub(crate) struct Statement<'c>(Bound<'c>);

enum Bound<'c> {
    SqlitePool(&'c Pool, Query<'static, Sqlite, SqliteArguments>),
    /// Its text and values are with those that wait in the transaction.
    Sqlite(&'c mut SqliteTransaction),
    Postgres(PostgresOn<'c>, Query<'static, Postgres, PgArguments>, Duration),
}

enum PostgresOn<'c> {
    Pool(&'c Server),
    One(&'c mut sqlx::PgConnection),
}

/// Runs a query wherever it should run.
macro_rules! run {
    ($statement:expr, $method:ident, $want:ident) => {
        match $statement.0 {
            Bound::SqlitePool(on, query) => {
                let mut held = on.acquire().await?;
                let answer = query.$method(held.asked(Owes::Answer)?).await;
                held.settled();
                answer?.into()
            }
            Bound::Sqlite(on) => on.ask(Want::$want).await?.into(),
            Bound::Postgres(PostgresOn::Pool(on), query, patience) if on.shared => {
                // Boxed, so that the direct path carries none of it.
                Box::pin(async move {
                    let mut tx = on.begin(Begin::Write).await?;
                    let answer = patiently(patience, query.$method(&mut *tx)).await?;
                    patiently(patience, tx.commit()).await?;
                    Ok::<_, Fault>(answer)
                })
                .await?
                .into()
            }
            Bound::Postgres(PostgresOn::Pool(on), query, patience) => {
                on.ask(patience, async { query.$method(&mut *on.connection().await?).await }).await?.into()
            }
            Bound::Postgres(PostgresOn::One(on), query, patience) => {
                patiently(patience, query.$method(on)).await?.into()
            }
        }
    };
}

impl<'c> Statement<'c> {
    /// As it stands.
    pub(crate) fn new(on: On<'c>, sql: Sql) -> Self {
        let text = on.words(sql).into_sql_str();
        Self::of(on, text)
    }

    /// With its fragment `rows` filled in: as many rows of so many columns.
    pub(crate) fn with_rows(on: On<'c>, sql: Sql, rows: usize, columns: usize) -> Self {
        let text = AssertSqlSafe(numbered_rows(on.words(sql), rows, columns)).into_sql_str();
        Self::of(on, text)
    }

    /// With its fragment `list` filled in: as many values, bound behind `fixed` others.
    pub(crate) fn with_list(on: On<'c>, sql: Sql, fixed: usize, values: usize) -> Self {
        let text = AssertSqlSafe(numbered_list(on.words(sql), fixed, values)).into_sql_str();
        Self::of(on, text)
    }

    /// No value is ever part of a text: it is a [`Sql`]'s, with numbered placeholders at most.
    fn of(on: On<'c>, text: SqlStr) -> Self {
        Self(match on {
            On::SqlitePool(pool) => Bound::SqlitePool(pool, sqlx::query(text)),
            On::Sqlite(transaction) => {
                transaction.statement(text.as_str());
                Bound::Sqlite(transaction)
            }
            On::PostgresPool(server) => {
                let query = sqlx::query(text).persistent(server.prepared);
                Bound::Postgres(PostgresOn::Pool(server), query, PATIENCE)
            }
            On::Postgres(one, Manner { patience, prepared }) => {
                Bound::Postgres(PostgresOn::One(one), sqlx::query(text).persistent(prepared), patience)
            }
        })
    }

    /// The next value.
    pub(crate) fn bind<'q>(self, value: impl Value<'q>) -> Self {
        Self(match self.0 {
            Bound::SqlitePool(on, query) => Bound::SqlitePool(on, query.bind(value)),
            Bound::Sqlite(on) => {
                on.bind(value);
                Bound::Sqlite(on)
            }
            Bound::Postgres(on, query, patience) => Bound::Postgres(on, query.bind(value), patience),
        })
    }

    /// The next values.
    pub(crate) fn bind_all<'q>(self, values: impl IntoIterator<Item = impl Value<'q>>) -> Self {
        values.into_iter().fold(self, Self::bind)
    }

    /// Runs it; how many rows it changed.
    pub(crate) async fn execute(self) -> Result<u64, Fault> {
        let affected: Affected = run!(self, execute, Count);
        Ok(affected.0)
    }

    /// Runs it at some time before the transaction is committed, and before the next statement of the transaction whose answer
    /// is waited for. On SQLite it goes there together with that one.
    pub(crate) async fn later(self) -> Result<(), Fault> {
        self.later_if(None).await
    }

    /// The same for a statement that changes `rows` rows, or the transaction fails with what `otherwise` says of the number
    /// that it did change.
    pub(crate) async fn later_changing(
        self,
        rows: u64,
        otherwise: impl FnOnce(u64) -> Fault + Send + 'static,
    ) -> Result<(), Fault> {
        self.later_if(Some((rows, Box::new(otherwise)))).await
    }

    async fn later_if(self, expected: Option<(u64, Unexpected)>) -> Result<(), Fault> {
        if let Bound::Sqlite(on) = self.0 {
            return on.later(expected).await;
        }
        let changed = self.execute().await?;
        match expected {
            Some((rows, otherwise)) if rows != changed => Err(otherwise(changed)),
            _ => Ok(()),
        }
    }

    /// Runs it as [`Self::later`] does. Its rows are kept until [`Transaction::rows`] takes them.
    ///
    /// [`Transaction::rows`]: super::transaction::Transaction::rows
    pub(crate) async fn kept(self) -> Result<KeptRows, Fault> {
        match self.0 {
            Bound::Sqlite(on) => Ok(KeptRows::Waiting(on.keep().await?)),
            _ => Ok(KeptRows::There(self.all().await?)),
        }
    }

    /// Every row.
    pub(crate) async fn all(self) -> Result<Vec<Row>, Fault> {
        let rows: Rows = run!(self, fetch_all, Rows);
        Ok(rows.0)
    }

    /// Every row of a statement that is made of `page_of_objects`, a select and `end_of_page`.
    pub(crate) async fn paged(self) -> Result<Vec<Row>, Fault> {
        match &self.0 {
            Bound::SqlitePool(..) | Bound::Sqlite(_) => {
                let page = self.one_of_many().await?;
                let rows = page::rows_of(page.at::<Option<String>>(0)?.as_deref(), &page.at::<String>(1)?)?;
                Ok(rows.into_iter().map(Row::Paged).collect())
            }
            Bound::Postgres(..) => self.all().await,
        }
    }

    /// The rows of a statement that is made of `page_of_latest` or `page_of_keys`, a select and `end_of_page`.
    pub(crate) async fn page(self) -> Result<PageRows, Fault> {
        Ok(match &self.0 {
            Bound::SqlitePool(..) | Bound::Sqlite(_) => PageRows::Text(self.one_of_many().await?.first()?),
            Bound::Postgres(..) => PageRows::Rows(self.all().await?),
        })
    }

    /// The first row, if there is one.
    pub(crate) async fn optional(self) -> Result<Option<Row>, Fault> {
        let row: OptionalRow = run!(self, fetch_optional, FirstRow);
        Ok(row.0)
    }

    /// The first row, of a statement that always has one.
    pub(crate) async fn one(self) -> Result<Row, Fault> {
        self.optional().await?.ok_or_else(no_row)
    }

    /// The same of a statement that puts many rows into one. SQLite's thread has a page of memory to free when it has answered:
    /// the connection serves another request once that is done, as that one would wait for it.
    async fn one_of_many(self) -> Result<Row, Fault> {
        let Bound::SqlitePool(pool, query) = self.0 else { return self.one().await };
        let mut held = pool.acquire().await?;
        let row = query.fetch_optional(held.asked(Owes::Answer)?).await?;
        row.map(Row::Sqlite).ok_or_else(no_row)
    }

    /// Every row, read by `map`.
    pub(crate) async fn map<T>(self, map: impl Fn(&Row) -> Result<T, Fault> + Send) -> Result<Vec<T>, Fault> {
        self.all().await?.iter().map(map).collect()
    }

    /// The first row, if there is one, read by `map`.
    pub(crate) async fn find<T>(
        self,
        map: impl Fn(&Row) -> Result<T, Fault> + Send,
    ) -> Result<Option<T>, Fault> {
        self.optional().await?.as_ref().map(map).transpose()
    }
}

fn no_row() -> Fault {
    Fault::failed("a statement that always has a row had none")
}

/// Rows that are taken later.
pub(crate) enum KeptRows {
    Waiting(Slot),
    There(Vec<Row>),
}

struct Affected(u64);
struct Rows(Vec<Row>);
struct OptionalRow(Option<Row>);

impl From<sqlx::sqlite::SqliteQueryResult> for Affected {
    fn from(result: sqlx::sqlite::SqliteQueryResult) -> Self {
        Self(result.rows_affected())
    }
}

impl From<sqlx::postgres::PgQueryResult> for Affected {
    fn from(result: sqlx::postgres::PgQueryResult) -> Self {
        Self(result.rows_affected())
    }
}

impl From<Answer> for Affected {
    fn from(answer: Answer) -> Self {
        Self(answer.changed)
    }
}

impl From<Answer> for Rows {
    fn from(answer: Answer) -> Self {
        answer.rows.into()
    }
}

impl From<Answer> for OptionalRow {
    fn from(answer: Answer) -> Self {
        answer.rows.into_iter().next().into()
    }
}

impl From<Vec<SqliteRow>> for Rows {
    fn from(rows: Vec<SqliteRow>) -> Self {
        Self(rows.into_iter().map(Row::Sqlite).collect())
    }
}

impl From<Vec<PgRow>> for Rows {
    fn from(rows: Vec<PgRow>) -> Self {
        Self(rows.into_iter().map(Row::Postgres).collect())
    }
}

impl From<Option<SqliteRow>> for OptionalRow {
    fn from(row: Option<SqliteRow>) -> Self {
        Self(row.map(Row::Sqlite))
    }
}

impl From<Option<PgRow>> for OptionalRow {
    fn from(row: Option<PgRow>) -> Self {
        Self(row.map(Row::Postgres))
    }
}

/// Portions of `most` rows, a power of two, and of smaller powers of two at the end.
pub(crate) fn portions<T>(mut rows: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = most.min(1 << rows.len().checked_ilog2()?);
        let (portion, rest) = rows.split_at(size);
        rows = rest;
        Some(portion)
    })
}

/// `INSERT … VALUES {rows} …` with its placeholders numbered.
fn numbered_rows(text: &str, rows: usize, columns: usize) -> Arc<str> {
    let mut list = String::new();
    for row in 0..rows {
        list.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            let _ = write!(list, "{comma}${}", row * columns + column + 1);
        }
        list.push(')');
    }
    text.replace("{rows}", &list).into()
}

/// `… IN ({list})` with its placeholders numbered behind `fixed` others.
fn numbered_list(text: &str, fixed: usize, values: usize) -> Arc<str> {
    let mut list = String::new();
    for value in 0..values {
        let comma = if value == 0 { "" } else { ", " };
        let _ = write!(list, "{comma}${}", fixed + value + 1);
    }
    text.replace("{list}", &list).into()
}
