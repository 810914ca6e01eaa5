//! How far the scrubber is, and what it found.

use uuid::Uuid;

use crate::application::ports::metadata::{LeafRecord, ScrubPass};
use crate::domain::blob::{BlobId, Location};
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::transaction;
use crate::infrastructure::metadata::write::candidates;

/// The name of the one row.
const NAME: &str = "leaves";

fn read(row: &Row) -> Result<ScrubPass, Fault> {
    let after: Uuid = row.get("after_blob")?;
    Ok(ScrubPass {
        number: rows::count(row, "pass")?,
        after: (!after.is_nil()).then_some(BlobId(after)),
        begun_at: Timestamp(row.get("begun_at")?),
        finished_at: row.get::<Option<i64>>("finished_at")?.map(Timestamp),
        blobs: rows::count(row, "blobs")?,
        bytes: rows::count(row, "bytes")?,
        damaged: rows::count(row, "damaged")?,
    })
}

fn nil_or(after: Option<BlobId>) -> Uuid {
    after.map_or(Uuid::nil(), |after| after.0)
}

pub(crate) async fn pass(db: &Database) -> Result<Option<ScrubPass>, Fault> {
    db.read(sql!(
        "SELECT pass, after_blob, begun_at, finished_at, blobs, bytes, damaged FROM scrub WHERE name = $1"
    ))
    .bind(NAME)
    .find(read)
    .await
}

pub(crate) async fn begin(db: &Database, now: Timestamp) -> Result<ScrubPass, Fault> {
    transaction!(db, |tx| {
        // Of a pass under way nothing is changed.
        tx.query(sql!(
            "INSERT INTO scrub (name, pass, after_blob, begun_at) VALUES ($1, 1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET pass = scrub.pass + 1, after_blob = excluded.after_blob, \
             begun_at = excluded.begun_at, finished_at = NULL, blobs = 0, bytes = 0, damaged = 0 \
             WHERE scrub.finished_at IS NOT NULL"
        ))
        .bind(NAME)
        .bind(Uuid::nil())
        .bind(now.millis())
        .execute()
        .await?;
        let row = tx
            .query(sql!(
                "SELECT pass, after_blob, begun_at, finished_at, blobs, bytes, damaged \
                 FROM scrub WHERE name = $1"
            ))
            .bind(NAME)
            .one()
            .await?;
        read(&row)?
    })
}

pub(crate) async fn advance(db: &Database, from: &ScrubPass, to: &ScrubPass) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let advanced = tx
            .query(sql!(
                "UPDATE scrub SET after_blob = $4, finished_at = $5, blobs = $6, bytes = $7, damaged = $8 \
                 WHERE name = $1 AND pass = $2 AND after_blob = $3 AND finished_at IS NULL"
            ))
            .bind(NAME)
            .bind(rows::signed(from.number)?)
            .bind(nil_or(from.after))
            .bind(nil_or(to.after))
            .bind(to.finished_at.map(Timestamp::millis))
            .bind(rows::signed(to.blobs)?)
            .bind(rows::signed(to.bytes)?)
            .bind(rows::signed(to.damaged)?)
            .execute()
            .await?;
        advanced == 1
    })
}

pub(crate) async fn release(db: &Database, blob: BlobId, at: Location) -> Result<(), Fault> {
    transaction!(db, |tx| {
        let released = tx
            .query(sql!(
                "UPDATE blobs SET quarantined = FALSE \
                 WHERE id = $1 AND segment_id = $2 AND seg_offset = $3 AND quarantined"
            ))
            .bind(blob.0)
            .bind(at.segment.0)
            .bind(rows::signed(at.offset)?)
            .execute()
            .await?;
        if released == 1 {
            // While it was marked it was not moved: whether it should be is looked at again.
            candidates::suspect(&mut tx, &[blob]).await?;
        }
    })
}

pub(crate) async fn quarantined(
    db: &Database,
    after: Option<BlobId>,
    limit: u32,
) -> Result<Vec<LeafRecord>, Fault> {
    db.read(sql!(leaf, " WHERE b.quarantined AND b.id > $1 ORDER BY b.id LIMIT $2"))
        .bind(nil_or(after))
        .bind(i64::from(limit))
        .map(rows::leaf)
        .await
}
