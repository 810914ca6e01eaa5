//! Bringing the schema up to date.

use crc_fast::CrcAlgorithm;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, Row as _};

use super::database::Database;
use super::fault::Fault;
use super::postgres::Begin;
use super::sqlite::Owes;
use crate::application::ports::metadata::MetadataError;

/// The result of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// How many steps were taken: 0 if the schema was up to date.
    pub applied: u64,
    /// The schema's version now.
    pub version: i64,
}

pub(crate) async fn migrate(db: &Database) -> Result<MigrationReport, Fault> {
    let (before, after) = match db {
        Database::Sqlite { writer, .. } => {
            let mut held = writer.acquire().await?;
            match on_sqlite(held.asked(Owes::Answer)?).await {
                Ok(versions) => {
                    held.settled();
                    versions
                }
                Err(fault) => {
                    // sqlx counts a transaction that SQLite rolled back by itself as one that is under way.
                    held.discard();
                    return Err(fault);
                }
            }
        }
        Database::Postgres(server, _) => {
            // One transaction around all of it, with a lock that ends with it: the migrator's own belongs to the
            // session, which behind a pooler may be another one when it is to be given back.
            let mut tx = server.begin(Begin::Migration).await?;
            if !server.prepared {
                forget_statements(&mut tx).await?;
            }
            // The migrator asks for its table at every start, and the server would say each time that it is there.
            sqlx::query("SET LOCAL client_min_messages = warning")
                .persistent(false)
                .execute(&mut *tx)
                .await?;
            let mut migrator = juststorage_migrations::postgres();
            migrator.set_locking(false);
            let versions = on_postgres(&mut tx, &migrator).await?;
            if !server.prepared {
                forget_statements(&mut tx).await?;
            }
            tx.commit().await?;
            versions
        }
    };
    let applied = juststorage_migrations::versions().filter(|version| before < *version && *version <= after);
    Ok(MigrationReport { applied: applied.count() as u64, version: after })
}

/// The schema's version, 0 for an empty database. Changes nothing.
pub(crate) async fn version(db: &Database) -> Result<i64, Fault> {
    match db {
        Database::Sqlite { writer, .. } => {
            let mut held = writer.acquire().await?;
            let version = sqlite_version(held.asked(Owes::Answer)?).await?;
            held.settled();
            Ok(version)
        }
        // In a transaction: outside of one, a pooler may answer the two halves of a statement from two server sessions.
        Database::Postgres(server, _) => postgres_version(&mut *server.begin(Begin::Write).await?).await,
    }
}

/// The versions before and after.
async fn on_sqlite(connection: &mut sqlx::SqliteConnection) -> Result<(i64, i64), Fault> {
    // The migrator does not lock on SQLite; the write lock of one transaction around it does. It is one of sqlx's own, since
    // the migrator opens others inside of it.
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let before = sqlite_version(&mut tx).await?;
    juststorage_migrations::sqlite().run(&mut *tx).await.map_err(fault)?;
    let after = sqlite_version(&mut tx).await?;
    tx.commit().await?;
    Ok((before, after))
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
    let name: String = scalar("SELECT current_database()::text", connection).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(lock_of(&name))
        .persistent(false)
        .execute(&mut *connection)
        .await?;
    let before = postgres_version(connection).await?;
    migrator.run(&mut *connection).await.map_err(fault)?;
    Ok((before, postgres_version(connection).await?))
}

/// The migrator prepares by name, and the server session may have statements of those names, another client's or for
/// another one to stumble upon.
async fn forget_statements(connection: &mut sqlx::PgConnection) -> Result<(), Fault> {
    sqlx::raw_sql("DEALLOCATE ALL").execute(connection).await?;
    Ok(())
}

/// The number of the lock on a database's schema: sqlx's own (`sqlx_postgres::migrate::generate_lock_id`), which releases
/// before this one take for the session.
fn lock_of(database: &str) -> i64 {
    let checksum = crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, database.as_bytes());
    i64::try_from(checksum & 0xffff_ffff).unwrap_or_default() * 0x3d32_ad9e
}

/// One value, of a statement that is not prepared by name.
async fn scalar<T>(statement: &'static str, connection: &mut sqlx::PgConnection) -> Result<T, Fault>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    Ok(sqlx::query(statement).persistent(false).fetch_one(connection).await?.try_get(0)?)
}

async fn postgres_version(connection: &mut sqlx::PgConnection) -> Result<i64, Fault> {
    if !scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL", connection).await? {
        return Ok(0);
    }
    scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations", connection).await
}

fn fault(error: MigrateError) -> Fault {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => match Fault::from(error) {
            Fault::Collision(what) => Fault::failed(what),
            fault => fault,
        },
        MigrateError::VersionMissing(found) => {
            MetadataError::NewerSchema { found, known: juststorage_migrations::newest() }.into()
        }
        other => Fault::failed(other.to_string()),
    }
}
