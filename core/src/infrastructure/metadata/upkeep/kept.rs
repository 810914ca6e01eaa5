//! Commits counted, so that a database that lost some is told; and what may not be destroyed then.

use crate::application::ports::metadata::{KeptSegment, WriterId};
use crate::application::ports::segments::Mended;
use crate::domain::blob::SegmentId;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};
use crate::infrastructure::metadata::write::tally::condemn_if_empty;

pub(crate) async fn count_commits(db: &Database, writer: WriterId) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("INSERT INTO commit_counts (writer) VALUES ($1) ON CONFLICT (writer) DO NOTHING"))
            .bind(writer.0)
            .execute()
            .await?;
    })
}

pub(crate) async fn commit_counts(db: &Database) -> Result<Vec<(WriterId, u64)>, Fault> {
    db.read(sql!("SELECT writer, commits FROM commit_counts ORDER BY writer"))
        .map(|row| Ok((WriterId(row.get("writer")?), rows::count(row, "commits")?)))
        .await
}

pub(crate) async fn keep_open(db: &Database, now: Timestamp) -> Result<u64, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "INSERT INTO kept_segments (segment_id, kept_at) SELECT g.id, $1 FROM segments g \
             WHERE g.writer IS NOT NULL AND g.state IN (",
            open,
            ", ",
            orphaned,
            ") ON CONFLICT (segment_id) DO NOTHING"
        ))
        .bind(now.millis())
        .execute()
        .await?
    })
}

pub(crate) async fn kept(db: &Database) -> Result<Vec<KeptSegment>, Fault> {
    db.read(sql!(kept, " ORDER BY k.segment_id"))
        .map(|row| {
            let segment = rows::segment(row)?;
            let records = row.get::<Option<i64>>("records")?;
            Ok(KeptSegment {
                segment,
                unknown_records: records.and_then(|records| u64::try_from(records).ok()),
            })
        })
        .await
}

/// Writes down what a kept segment was found to hold; it is no longer kept if the database knows all of it.
pub(crate) async fn looked_at(tx: &mut Transaction, id: SegmentId, mended: &Mended) -> Result<bool, Fault> {
    if mended.unknown_records == 0 {
        no_longer(tx, id).await?;
        return Ok(false);
    }
    let kept = tx
        .query(sql!("UPDATE kept_segments SET records = $2, bytes = $3 WHERE segment_id = $1"))
        .bind(id.0)
        .bind(rows::signed(mended.unknown_records)?)
        .bind(rows::signed(mended.unknown_bytes)?)
        .execute()
        .await?;
    Ok(kept > 0)
}

pub(crate) async fn no_longer(tx: &mut Transaction, id: SegmentId) -> Result<(), Fault> {
    tx.query(sql!("DELETE FROM kept_segments WHERE segment_id = $1")).bind(id.0).execute().await?;
    Ok(())
}

pub(crate) async fn give_up(db: &Database, id: SegmentId, now: Timestamp) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let kept = tx
            .query(sql!("DELETE FROM kept_segments WHERE segment_id = $1 RETURNING bytes"))
            .bind(id.0)
            .find(|row| row.get::<Option<i64>>("bytes"))
            .await?;
        if let Some(bytes) = kept {
            // Of one that was not settled yet the unknown bytes are counted then.
            tx.query(sql!(
                "UPDATE segments SET dead_bytes = dead_bytes + $2 WHERE id = $1 AND state = ",
                sealed
            ))
            .bind(id.0)
            .bind(bytes.unwrap_or_default())
            .execute()
            .await?;
            condemn_if_empty(&mut tx, id, now).await?;
        }
        kept.is_some()
    })
}

/// By the name of its own: no writer registers under it, so that it counts as a dead writer's.
pub(crate) async fn set_aside(db: &Database, id: SegmentId) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("UPDATE segments SET writer = id WHERE id = $1 AND state = ", orphaned))
            .bind(id.0)
            .execute()
            .await?;
    })
}
