//! Work that only one process does at a time.

use uuid::Uuid;

use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::transaction;

/// The time of the database's clock. The one place where a statement asks for the time: what machines agree on by leases
/// they cannot agree on by clocks of their own.
pub(crate) async fn time(db: &Database) -> Result<Timestamp, Fault> {
    db.read(sql!("SELECT ", database_now)).one().await?.first().map(Timestamp)
}

/// Takes or renews a lease. Its epoch, if it is `holder`'s now.
pub(crate) async fn acquire(
    db: &Database,
    name: &str,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<i64>, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "INSERT INTO leases (name, holder, expires_at, epoch) VALUES ($1, $2, $4, 1) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, \
             epoch = CASE WHEN leases.holder = excluded.holder AND leases.expires_at > $3 \
             THEN leases.epoch ELSE leases.epoch + 1 END \
             WHERE leases.holder = excluded.holder OR leases.expires_at <= $3 RETURNING epoch"
        ))
        .bind(name)
        .bind(holder)
        .bind(now.millis())
        .bind(until.millis())
        .find(Row::first)
        .await?
    })
}

/// Until `until`, if the lease is still `holder`'s as of `epoch`, even if it ran out: whoever takes it begins another epoch.
pub(crate) async fn renew(
    db: &Database,
    name: &str,
    (holder, epoch): (Uuid, i64),
    until: Timestamp,
) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let renewed = tx
            .query(sql!("UPDATE leases SET expires_at = $4 WHERE name = $1 AND holder = $2 AND epoch = $3"))
            .bind(name)
            .bind(holder)
            .bind(epoch)
            .bind(until.millis())
            .execute()
            .await?;
        renewed == 1
    })
}

/// The row stays: the next epoch must be another one.
pub(crate) async fn release(db: &Database, name: &str, holder: Uuid) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("UPDATE leases SET expires_at = 0, epoch = epoch + 1 WHERE name = $1 AND holder = $2"))
            .bind(name)
            .bind(holder)
            .execute()
            .await?;
    })
}
