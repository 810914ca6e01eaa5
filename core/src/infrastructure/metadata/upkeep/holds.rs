//! Backups that are being made: while one holds, condemned segments stay.

use uuid::Uuid;

use crate::application::ports::metadata::{Hold, Retained};
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::transaction;

fn read(row: &Row) -> Result<Hold, Fault> {
    Ok(Hold {
        id: row.get("id")?,
        begun_at: Timestamp(row.get("begun_at")?),
        expires_at: Timestamp(row.get("expires_at")?),
    })
}

pub(crate) async fn begin(db: &Database, hold: &Hold) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("INSERT INTO backup_holds (id, begun_at, expires_at) VALUES ($1, $2, $3)"))
            .bind(hold.id)
            .bind(hold.begun_at.millis())
            .bind(hold.expires_at.millis())
            .execute()
            .await?;
    })
}

pub(crate) async fn end(db: &Database, id: Uuid) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("DELETE FROM backup_holds WHERE id = $1")).bind(id).execute().await? == 1
    })
}

pub(crate) async fn all(db: &Database) -> Result<Vec<Hold>, Fault> {
    db.read(sql!("SELECT id, begun_at, expires_at FROM backup_holds ORDER BY begun_at, id")).map(read).await
}

pub(crate) async fn expire(db: &Database, now: Timestamp) -> Result<Vec<Hold>, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("DELETE FROM backup_holds WHERE expires_at <= $1 RETURNING id, begun_at, expires_at"))
            .bind(now.millis())
            .map(read)
            .await?
    })
}

pub(crate) async fn retained(db: &Database) -> Result<Retained, Fault> {
    let row = db
        .read(sql!(
            "SELECT COUNT(*) AS segments, CAST(COALESCE(SUM(g.size), 0) AS BIGINT) AS bytes \
             FROM segments g WHERE g.state = ",
            condemned
        ))
        .one()
        .await?;
    Ok(Retained { segments: rows::count(&row, "segments")?, bytes: rows::count(&row, "bytes")? })
}
