//! Work that only one process does at a time.

use uuid::Uuid;

use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::transaction;

/// The time of the database's clock. The one place where a statement asks for the time: what machines agree on by leases
/// they cannot agree on by clocks of their own.
pub(crate) async fn time(db: &Database) -> Result<Timestamp, Fault> {
    db.read(sql!("SELECT ", database_now)).one().await?.first().map(Timestamp)
}

pub(crate) async fn acquire(
    db: &Database,
    name: &str,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let taken = tx
            .query(sql!(
                "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $4) \
                 ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
                 WHERE leases.holder = excluded.holder OR leases.expires_at <= $3"
            ))
            .bind(name)
            .bind(holder)
            .bind(now.millis())
            .bind(until.millis())
            .execute()
            .await?;
        taken == 1
    })
}

pub(crate) async fn release(db: &Database, name: &str, holder: Uuid) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("DELETE FROM leases WHERE name = $1 AND holder = $2"))
            .bind(name)
            .bind(holder)
            .execute()
            .await?;
    })
}
