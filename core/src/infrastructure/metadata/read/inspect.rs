//! Questions of tests to an engine: whether it understands a statement, how it would run it, its settings.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, SqlSafeStr as _};

use crate::application::ports::metadata::MetadataError;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::postgres::Begin;
use crate::infrastructure::metadata::session::sqlite::Owes;

impl Database {
    /// Prepares a statement without running it.
    pub(crate) async fn prepare(&self, sqlite: String, postgres: String) -> Result<(), String> {
        let prepared = async {
            match self {
                Self::Sqlite { writer, .. } => {
                    let mut held = writer.acquire().await?;
                    held.asked(Owes::Answer)?.prepare(AssertSqlSafe(sqlite).into_sql_str()).await?;
                }
                Self::Postgres(server, _) => {
                    let mut connection = server.connection().await?;
                    (&mut *connection).prepare(AssertSqlSafe(postgres).into_sql_str()).await?;
                }
            }
            Ok::<_, sqlx::Error>(())
        };
        let prepared = prepared.await;
        prepared.map_err(|error| error.to_string())
    }

    /// This engine's settings of durability and references, as it says itself.
    pub(crate) async fn promises(&self) -> Vec<(&'static str, String)> {
        const SQLITE: [&str; 3] = ["synchronous", "journal_mode", "foreign_keys"];
        const POSTGRES: [&str; 2] = ["synchronous_commit", "transaction_isolation"];
        let mut promises = Vec::new();
        match self {
            Self::Sqlite { writer, .. } => {
                let mut held = match writer.acquire().await {
                    Ok(held) => held,
                    Err(error) => return vec![("connect", error.to_string())],
                };
                for name in SQLITE {
                    // Numbers and words alike, as text.
                    let text = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
                    let value: Result<String, _> = match held.asked(Owes::Answer) {
                        Ok(connection) => sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(connection).await,
                        Err(error) => Err(error),
                    };
                    promises.push((name, value.unwrap_or_else(|error| error.to_string())));
                }
            }
            Self::Postgres(server, _) => {
                // Inside of what every write begins with, by a session that was told otherwise.
                let mut tx = match server.begin(Begin::Write).await {
                    Ok(tx) => tx,
                    Err(fault) => return vec![("begin", MetadataError::from(fault).to_string())],
                };
                for name in POSTGRES {
                    let value: Result<String, _> =
                        sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut *tx).await;
                    promises.push((name, value.unwrap_or_else(|error| error.to_string())));
                }
            }
        }
        promises
    }

    /// Whether a transaction of this database waits for a lock of another. On SQLite none ever does.
    pub(crate) async fn lock_waits(&self) -> Result<bool, sqlx::Error> {
        const WAITING: &str = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock')";
        match self {
            Self::Sqlite { .. } => Ok(false),
            Self::Postgres(server, _) => {
                sqlx::query_scalar(WAITING).fetch_one(&mut *server.connection().await?).await
            }
        }
    }

    /// How the engine would run a statement, whatever its values: the lines of its plan.
    pub(crate) async fn plan(&self, sqlite: String, postgres: String) -> Result<Vec<String>, sqlx::Error> {
        match self {
            Self::Sqlite { writer, .. } => {
                let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sqlite}"));
                let rows =
                    sqlx::query(explain).fetch_all(writer.acquire().await?.asked(Owes::Answer)?).await?;
                rows.iter().map(|row| row.try_get("detail")).collect()
            }
            Self::Postgres(server, _) => {
                let values = (1..=64).take_while(|n| postgres.contains(&format!("${n}"))).count();
                let values = vec!["NULL"; values].join(", ");
                let mut connection = server.connection().await?;
                let mut tx = connection.begin().await?;
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
}
