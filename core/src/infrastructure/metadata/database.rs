//! Two engines behind one face: pools, transactions, statements, rows.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _, Decode, Encode, Row as _, Type};

use super::dialect::{Fault, Sql};
use super::page;
use crate::application::ports::metadata::MetadataError;
use crate::infrastructure::watch::{self, Step};

/// Connections to PostgreSQL at most.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Reading connections to SQLite at most. The writer is one more.
const SQLITE_READERS: u32 = 4;

/// How long to wait for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long SQLite waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What PostgreSQL is told: a lock or a statement that takes longer is given up.
const LOCK_TIMEOUT: &str = "10s";
const STATEMENT_TIMEOUT: &str = "20s";

/// How long any answer of PostgreSQL may take: a machine that vanished does not say so.
const PATIENCE: Duration = Duration::from_secs(25);

/// Prepared statements kept per connection: more than this module has.
const STATEMENTS_KEPT: usize = 256;

/// Rows of one statement at most, measured best for each engine.
const SQLITE_ROWS: usize = 32;
const POSTGRES_ROWS: usize = 64;

/// A value that both engines can be given.
pub(super) trait Value<'q>:
    Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres> + Send + 'q
{
}

impl<'q, T> Value<'q> for T where
    T: Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres> + Send + 'q
{
}

/// A value that can be read from both engines' rows, and out of a page (see [`Row::Paged`]).
pub(super) trait Field:
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
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
    /// One of many that SQLite put into one value: every row of a result crosses a thread, which for a page
    /// of a listing costs several times what finding it does.
    Paged(page::Paged),
}

impl Row {
    /// The value of a column.
    pub(super) fn get<T: Field>(&self, column: &str) -> Result<T, Fault> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
            Self::Paged(row) => row.get(column),
        }
    }

    /// The value of the first column.
    pub(super) fn first<T: Field>(&self) -> Result<T, Fault> {
        self.at(0)
    }

    /// The value of a column by its place.
    pub(super) fn at<T: Field>(&self, column: usize) -> Result<T, Fault> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
            Self::Paged(row) => row.at(column),
        }
    }
}

/// The rows of a page, as the engine gives them.
pub(super) enum Page {
    /// All as one JSON array of arrays.
    Text(String),
    /// One by one.
    Rows(Vec<Row>),
}

/// The pools of one engine.
#[derive(Clone)]
pub(super) enum Database {
    /// One writer, so that writers queue here and not in SQLite; readers see the last commit (WAL).
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    /// One pool for everything.
    Postgres(PgPool),
}

impl Database {
    /// Opens the database that a URL names. Connects once, to find a mistake early.
    pub(super) async fn connect(url: &str) -> Result<Self, MetadataError> {
        if url.starts_with("sqlite:") {
            return Self::open_sqlite(url).await;
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Self::open_postgres(url).await;
        }
        Err(MetadataError::Failed("the database URL must begin with sqlite: or postgres:".to_owned()))
    }

    async fn open_sqlite(url: &str) -> Result<Self, MetadataError> {
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
        let reading = options
            .pragma("cache_size", "-8192")
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
        let readers = pool(SQLITE_READERS).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(reading);
        Ok(Self::Sqlite { writer, readers })
    }

    async fn open_postgres(url: &str) -> Result<Self, MetadataError> {
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
        Ok(Self::Postgres(pool))
    }

    /// A statement that reads, outside any transaction.
    pub(super) fn read(&self, sql: Sql) -> Statement<'_> {
        watch::point();
        match self {
            Self::Sqlite { readers, .. } => Statement::new(On::SqlitePool(readers), sql),
            Self::Postgres(pool) => Statement::new(On::PostgresPool(pool), sql),
        }
    }

    /// The same for a statement whose fragment `list` is a list of `values` values, bound behind `fixed`
    /// others.
    pub(super) fn read_list(&self, sql: Sql, fixed: usize, values: usize) -> Statement<'_> {
        match self {
            Self::Sqlite { readers, .. } => {
                Statement::with_text(On::SqlitePool(readers), with_list(sql.sqlite, fixed, values))
            }
            Self::Postgres(pool) => {
                Statement::with_text(On::PostgresPool(pool), with_list(sql.postgres, fixed, values))
            }
        }
    }

    /// Cuts what one such statement after the other is to ask for into their portions.
    pub(super) fn portions<'r, T>(&self, rows: &'r [T]) -> impl Iterator<Item = &'r [T]> + use<'r, T> {
        portions(rows, if matches!(self, Self::Sqlite { .. }) { SQLITE_ROWS } else { POSTGRES_ROWS })
    }

    /// How many batches of lookups should be under way at once: more make smaller batches.
    pub(super) fn lookups_at_once(&self) -> usize {
        match self {
            Self::Sqlite { .. } => 2,
            Self::Postgres(_) => 4,
        }
    }

    /// A transaction that may write. On SQLite it takes the write lock at once: one that began by reading
    /// could not upgrade after another's commit.
    pub(super) async fn begin(&self) -> Result<Transaction, Fault> {
        match self {
            Self::Sqlite { writer, .. } => {
                Ok(Transaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?))
            }
            Self::Postgres(pool) => {
                Ok(Transaction::Postgres(patiently(PATIENCE, pool.begin()).await?, PATIENCE))
            }
        }
    }

    /// A transaction that reads one state of everything, for as long as it takes.
    pub(super) async fn snapshot(&self) -> Result<Transaction, Fault> {
        const ALL_NIGHT: Duration = Duration::from_hours(24);
        match self {
            Self::Sqlite { readers, .. } => Ok(Transaction::Sqlite(readers.begin().await?)),
            Self::Postgres(pool) => {
                let mut tx =
                    pool.begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
                Ok(Transaction::Postgres(tx, ALL_NIGHT))
            }
        }
    }

    /// Prepares a statement without running it.
    #[cfg(feature = "testing")]
    pub(super) async fn prepare(&self, sqlite: String, postgres: String) -> Result<(), String> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        let prepared = match self {
            Self::Sqlite { writer, .. } => {
                writer.prepare(AssertSqlSafe(sqlite).into_sql_str()).await.map(drop)
            }
            Self::Postgres(pool) => pool.prepare(AssertSqlSafe(postgres).into_sql_str()).await.map(drop),
        };
        prepared.map_err(|error| error.to_string())
    }

    /// What this engine was told about durability and references, as it says itself.
    #[cfg(feature = "testing")]
    pub(super) async fn promises(&self) -> Vec<(&'static str, String)> {
        const SQLITE: [&str; 3] = ["synchronous", "journal_mode", "foreign_keys"];
        const POSTGRES: [&str; 2] = ["synchronous_commit", "transaction_isolation"];
        let mut promises = Vec::new();
        match self {
            Self::Sqlite { writer, .. } => {
                for name in SQLITE {
                    // Numbers and words alike, as text.
                    let text = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
                    let value: Result<String, _> =
                        sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(writer).await;
                    promises.push((name, value.unwrap_or_else(|error| error.to_string())));
                }
            }
            Self::Postgres(pool) => {
                for name in POSTGRES {
                    let value: Result<String, _> =
                        sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(pool).await;
                    promises.push((name, value.unwrap_or_else(|error| error.to_string())));
                }
            }
        }
        promises
    }

    /// How the engine would run a statement, whatever its values: the lines of its plan.
    #[cfg(feature = "testing")]
    pub(super) async fn plan(&self, sqlite: String, postgres: String) -> Result<Vec<String>, sqlx::Error> {
        use sqlx::Executor as _;
        match self {
            Self::Sqlite { writer, .. } => {
                let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sqlite}"));
                let rows = sqlx::query(explain).fetch_all(writer).await?;
                rows.iter().map(|row| row.try_get("detail")).collect()
            }
            Self::Postgres(pool) => {
                let values = (1..=64).take_while(|n| postgres.contains(&format!("${n}"))).count();
                let values = vec!["NULL"; values].join(", ");
                let mut tx = pool.begin().await?;
                // Tables of a test are small, and then a scan is best: what is asked is whether there is
                // another way.
                tx.execute("SET LOCAL enable_seqscan = off").await?;
                tx.execute("SET LOCAL plan_cache_mode = force_generic_plan").await?;
                tx.execute(AssertSqlSafe(format!("PREPARE planned AS {postgres}"))).await?;
                let call = if values.is_empty() { String::new() } else { format!("({values})") };
                let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE planned{call}"));
                let rows = sqlx::query(explain).persistent(false).fetch_all(&mut *tx).await?;
                tx.execute("DEALLOCATE planned").await?;
                rows.iter().map(|row| row.try_get(0)).collect()
            }
        }
    }

    /// Finishes what is under way and closes every connection.
    pub(super) async fn close(&self) {
        match self {
            // The writer last: it is the one that folds the log into the database file.
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction, rolled back unless committed.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>, Duration),
}

impl Transaction {
    /// A statement inside the transaction.
    pub(super) fn query(&mut self, sql: Sql) -> Statement<'_> {
        self.announce();
        match self {
            Self::Sqlite(tx) => Statement::new(On::Sqlite(tx), sql),
            Self::Postgres(tx, patience) => Statement::new(On::Postgres(tx, *patience), sql),
        }
    }

    /// A statement whose fragment `rows` is a list of `rows` times `columns` values.
    pub(super) fn query_rows(&mut self, sql: Sql, rows: usize, columns: usize) -> Statement<'_> {
        self.query_filled(sql, |text| with_rows(text, rows, columns))
    }

    /// A statement whose fragment `list` is a list of `values` values, bound behind `fixed` others.
    pub(super) fn query_list(&mut self, sql: Sql, fixed: usize, values: usize) -> Statement<'_> {
        self.query_filled(sql, |text| with_list(text, fixed, values))
    }

    /// On SQLite nobody else's changes come between the statements of a transaction.
    fn announce(&self) {
        if !self.sees_only_its_own() {
            watch::point();
        }
    }

    fn query_filled(&mut self, sql: Sql, fill: impl Fn(&str) -> Arc<str>) -> Statement<'_> {
        self.announce();
        match self {
            Self::Sqlite(tx) => Statement::with_text(On::Sqlite(tx), fill(sql.sqlite)),
            Self::Postgres(tx, patience) => {
                Statement::with_text(On::Postgres(tx, *patience), fill(sql.postgres))
            }
        }
    }

    /// Cuts what multi-row statements are to carry into their portions. A portion has a power of two of rows,
    /// so that few different texts are in use and all of them stay prepared.
    pub(super) fn portions<'r, T>(&self, rows: &'r [T]) -> impl Iterator<Item = &'r [T]> + use<'r, T> {
        portions(rows, if matches!(self, Self::Sqlite(_)) { SQLITE_ROWS } else { POSTGRES_ROWS })
    }

    /// Whether no other transaction can change anything while this one lasts.
    pub(super) fn sees_only_its_own(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Makes it durable.
    pub(super) async fn commit(self) -> Result<(), Fault> {
        let step = |step| watch::step(&step).map_err(|cut| MetadataError::Unavailable(cut.to_string()));
        step(Step::Commit)?;
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx, patience) => patiently(patience, tx.commit()).await?,
        }
        Ok(step(Step::Committed)?)
    }
}

/// Portions of `most` rows, a power of two, and of smaller powers of two at the end.
fn portions<T>(mut rows: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = most.min(1 << rows.len().checked_ilog2()?);
        let (portion, rest) = rows.split_at(size);
        rows = rest;
        Some(portion)
    })
}

/// `INSERT … VALUES {rows} …` with its placeholders numbered.
pub(super) fn with_rows(text: &str, rows: usize, columns: usize) -> Arc<str> {
    use std::fmt::Write as _;
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
fn with_list(text: &str, fixed: usize, values: usize) -> Arc<str> {
    use std::fmt::Write as _;
    let mut list = String::new();
    for value in 0..values {
        let comma = if value == 0 { "" } else { ", " };
        let _ = write!(list, "{comma}${}", fixed + value + 1);
    }
    text.replace("{list}", &list).into()
}

/// Where a statement runs.
enum On<'c> {
    SqlitePool(&'c SqlitePool),
    Sqlite(&'c mut sqlx::SqliteConnection),
    PostgresPool(&'c PgPool),
    Postgres(&'c mut sqlx::PgConnection, Duration),
}

/// A statement with its values, about to run.
pub(super) struct Statement<'c>(Bound<'c>);

enum Bound<'c> {
    Sqlite(SqliteOn<'c>, Query<'static, Sqlite, SqliteArguments>),
    Postgres(PostgresOn<'c>, Query<'static, Postgres, PgArguments>, Duration),
}

enum SqliteOn<'c> {
    Pool(&'c SqlitePool),
    One(&'c mut sqlx::SqliteConnection),
}

enum PostgresOn<'c> {
    Pool(&'c PgPool),
    One(&'c mut sqlx::PgConnection),
}

/// Runs a query wherever it should run.
macro_rules! run {
    ($statement:expr, $method:ident) => {
        match $statement.0 {
            Bound::Sqlite(SqliteOn::Pool(on), query) => query.$method(on).await.map_err(Fault::from)?.into(),
            Bound::Sqlite(SqliteOn::One(on), query) => query.$method(on).await.map_err(Fault::from)?.into(),
            Bound::Postgres(PostgresOn::Pool(on), query, patience) => {
                patiently(patience, query.$method(on)).await?.into()
            }
            Bound::Postgres(PostgresOn::One(on), query, patience) => {
                patiently(patience, query.$method(on)).await?.into()
            }
        }
    };
}

impl<'c> Statement<'c> {
    fn new(on: On<'c>, sql: Sql) -> Self {
        Self(match on {
            On::SqlitePool(pool) => Bound::Sqlite(SqliteOn::Pool(pool), sqlx::query(sql.sqlite)),
            On::Sqlite(one) => Bound::Sqlite(SqliteOn::One(one), sqlx::query(sql.sqlite)),
            On::PostgresPool(pool) => {
                Bound::Postgres(PostgresOn::Pool(pool), sqlx::query(sql.postgres), PATIENCE)
            }
            On::Postgres(one, patience) => {
                Bound::Postgres(PostgresOn::One(one), sqlx::query(sql.postgres), patience)
            }
        })
    }

    /// Only for texts that [`with_rows`] or [`with_list`] made of a [`Sql`]: no value is ever part of one.
    fn with_text(on: On<'c>, text: Arc<str>) -> Self {
        Self(match on {
            On::SqlitePool(pool) => Bound::Sqlite(SqliteOn::Pool(pool), sqlx::query(AssertSqlSafe(text))),
            On::Sqlite(one) => Bound::Sqlite(SqliteOn::One(one), sqlx::query(AssertSqlSafe(text))),
            On::PostgresPool(pool) => {
                Bound::Postgres(PostgresOn::Pool(pool), sqlx::query(AssertSqlSafe(text)), PATIENCE)
            }
            On::Postgres(one, patience) => {
                Bound::Postgres(PostgresOn::One(one), sqlx::query(AssertSqlSafe(text)), patience)
            }
        })
    }

    /// The next value.
    pub(super) fn bind<'q>(self, value: impl Value<'q>) -> Self {
        Self(match self.0 {
            Bound::Sqlite(on, query) => Bound::Sqlite(on, query.bind(value)),
            Bound::Postgres(on, query, patience) => Bound::Postgres(on, query.bind(value), patience),
        })
    }

    /// The next values.
    pub(super) fn bind_all<'q>(self, values: impl IntoIterator<Item = impl Value<'q>>) -> Self {
        values.into_iter().fold(self, Self::bind)
    }

    /// Runs it; how many rows it changed.
    pub(super) async fn execute(self) -> Result<u64, Fault> {
        let affected: Affected = run!(self, execute);
        Ok(affected.0)
    }

    /// Every row.
    pub(super) async fn all(self) -> Result<Vec<Row>, Fault> {
        let rows: Rows = run!(self, fetch_all);
        Ok(rows.0)
    }

    /// Every row of a statement that is made of `page_of_objects` or `page_of_keys`, a select and `end_of_page`.
    pub(super) async fn paged(self) -> Result<Vec<Row>, Fault> {
        match &self.0 {
            Bound::Sqlite(..) => {
                let page = self.one().await?;
                page::rows_of(page.at::<Option<String>>(0)?.as_deref(), &page.at::<String>(1)?)
            }
            Bound::Postgres(..) => self.all().await,
        }
    }

    /// The rows of a statement that is made of `page_of_latest`, a select and `end_of_page`.
    pub(super) async fn page(self) -> Result<Page, Fault> {
        Ok(match &self.0 {
            Bound::Sqlite(..) => Page::Text(self.one().await?.first()?),
            Bound::Postgres(..) => Page::Rows(self.all().await?),
        })
    }

    /// The first row, if there is one.
    pub(super) async fn optional(self) -> Result<Option<Row>, Fault> {
        let row: OptionalRow = run!(self, fetch_optional);
        Ok(row.0)
    }

    /// The first row, of a statement that always has one.
    pub(super) async fn one(self) -> Result<Row, Fault> {
        self.optional().await?.ok_or_else(|| Fault::failed("a statement that always has a row had none"))
    }

    /// Every row, read by `map`.
    pub(super) async fn map<T>(self, map: impl Fn(&Row) -> Result<T, Fault> + Send) -> Result<Vec<T>, Fault> {
        self.all().await?.iter().map(map).collect()
    }

    /// The first row, if there is one, read by `map`.
    pub(super) async fn find<T>(
        self,
        map: impl Fn(&Row) -> Result<T, Fault> + Send,
    ) -> Result<Option<T>, Fault> {
        self.optional().await?.as_ref().map(map).transpose()
    }
}

/// Gives up on an answer that does not come.
async fn patiently<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> Result<T, Fault> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(MetadataError::Unavailable("the database did not answer in time".to_owned()).into()),
    }
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

/// Tries a transaction again that collided with another, a bounded number of times. Evaluates to
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
                Ok::<_, $crate::infrastructure::metadata::dialect::Fault>(value)
            };
            match attempt.await {
                Err($crate::infrastructure::metadata::dialect::Fault::Collision(_))
                    if attempts < $crate::infrastructure::metadata::database::ATTEMPTS_MAX =>
                {
                    attempts += 1;
                    $crate::infrastructure::metadata::database::pause(attempts).await;
                }
                result => break result,
            }
        }
    }};
}

pub(super) use transaction;

/// How often a transaction that collides is tried again.
pub(super) const ATTEMPTS_MAX: u32 = 12;

/// A short, growing, uneven rest, so that those who collided do not meet again.
pub(super) async fn pause(attempt: u32) {
    let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    let millis = (1_u64 << attempt.min(7)) * (128 + spread) / 256;
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
