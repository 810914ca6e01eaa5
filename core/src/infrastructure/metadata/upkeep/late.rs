//! Names of segments that may still come to be though they were removed: a write of theirs was never acknowledged.

use crate::domain::blob::SegmentId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::transaction;

pub(crate) async fn remember(db: &Database, ids: &[SegmentId], due_at: Timestamp) -> Result<(), Fault> {
    transaction!(db, |tx| {
        for id in ids {
            tx.query(sql!(
                "INSERT INTO late_segments (id, tier, due_at) SELECT g.id, g.tier, $2 FROM segments g \
                 WHERE g.id = $1 AND g.state = ",
                condemned,
                " ON CONFLICT (id) DO NOTHING"
            ))
            .bind(id.0)
            .bind(due_at.millis())
            .execute()
            .await?;
            tx.query(sql!("DELETE FROM segments WHERE id = $1 AND state = ", condemned))
                .bind(id.0)
                .execute()
                .await?;
        }
    })
}

pub(crate) async fn due(
    db: &Database,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(SegmentId, StorageClass)>, Fault> {
    db.read(sql!("SELECT id, tier FROM late_segments WHERE due_at <= $1 ORDER BY due_at LIMIT $2"))
        .bind(now.millis())
        .bind(i64::from(limit))
        .map(|row| Ok((SegmentId(row.get("id")?), rows::class(row, "tier")?)))
        .await
}

pub(crate) async fn is_remembered(db: &Database, id: SegmentId) -> Result<bool, Fault> {
    let found = db.read(sql!("SELECT 1 FROM late_segments WHERE id = $1")).bind(id.0).optional().await?;
    Ok(found.is_some())
}

pub(crate) async fn forget(db: &Database, ids: &[SegmentId]) -> Result<(), Fault> {
    transaction!(db, |tx| {
        for id in ids {
            tx.query(sql!("DELETE FROM late_segments WHERE id = $1")).bind(id.0).execute().await?;
        }
    })
}
