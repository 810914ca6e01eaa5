//! Bringing the schema up to date.

use sqlx::migrate::{MigrateError, Migrator};

use super::database::Database;
use super::dialect::Fault;
use crate::application::ports::metadata::MetadataError;

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// How many steps were taken: 0 if the schema was up to date.
    pub applied: u64,
    /// The schema's version now.
    pub version: i64,
}

pub(super) async fn migrate(db: &Database) -> Result<MigrationReport, Fault> {
    let (before, after) = match db {
        Database::Sqlite { writer, .. } => {
            // The migrator does not lock on SQLite; the write lock of one transaction around it does.
            let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
            let before = sqlite_version(&mut tx).await?;
            juststorage_migrations::sqlite().run(&mut *tx).await.map_err(fault)?;
            let after = sqlite_version(&mut tx).await?;
            tx.commit().await?;
            (before, after)
        }
        Database::Postgres(server) => {
            // The migrator's lock is the session's, and stays with it after a failure: the session then ends.
            let mut connection = server.pool.acquire().await?.detach();
            let result = on_postgres(&mut connection, &juststorage_migrations::postgres()).await;
            let closed = sqlx::Connection::close(connection).await;
            let versions = result?;
            closed?;
            versions
        }
    };
    let applied = juststorage_migrations::versions().filter(|version| before < *version && *version <= after);
    Ok(MigrationReport { applied: applied.count() as u64, version: after })
}

/// The schema's version, 0 for an empty database. Changes nothing.
pub(super) async fn version(db: &Database) -> Result<i64, Fault> {
    match db {
        Database::Sqlite { writer, .. } => sqlite_version(&mut *writer.acquire().await?).await,
        Database::Postgres(server) => postgres_version(&mut *server.pool.acquire().await?).await,
    }
}

/// The schema's version, 0 for an empty database.
async fn sqlite_version(connection: &mut sqlx::SqliteConnection) -> Result<i64, Fault> {
    let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if known == 0 {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await?)
}

async fn on_postgres(connection: &mut sqlx::PgConnection, migrator: &Migrator) -> Result<(i64, i64), Fault> {
    // Waiting for another process's migration, and a long migration itself, are no reason to give up.
    sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
    sqlx::query("SET lock_timeout = 0").execute(&mut *connection).await?;
    let before = postgres_version(connection).await?;
    migrator.run(&mut *connection).await.map_err(fault)?;
    Ok((before, postgres_version(connection).await?))
}

async fn postgres_version(connection: &mut sqlx::PgConnection) -> Result<i64, Fault> {
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !known {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await?)
}

fn fault(error: MigrateError) -> Fault {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => match Fault::from(error) {
            Fault::Collision(what) => Fault::failed(what),
            fault @ Fault::Final(_) => fault,
        },
        MigrateError::VersionMissing(found) => {
            MetadataError::NewerSchema { found, known: juststorage_migrations::newest() }.into()
        }
        other => Fault::failed(other.to_string()),
    }
}
