//! Blobs without references are removed; leaves on the wrong tier move.
//!
//! Both work from queues that commits fill, so they cost what was changed, never what is stored. A row of a
//! queue is held before it is judged and removed; a commit that queues the same blob again waits for that
//! and then queues it afresh, so that no change between judgement and removal is lost.

use uuid::Uuid;

use crate::application::ports::metadata::{Garbage, Move, Swept};
use crate::domain::blob::{BlobId, Location, SegmentId};
use crate::domain::object::ObjectId;
use crate::domain::placement::tier_of;
use crate::domain::space::SpaceId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};
use crate::infrastructure::metadata::write::candidates::suspect;
use crate::infrastructure::metadata::write::completions;
use crate::infrastructure::metadata::write::tally::Tally;

/// Removes DELETING rows; their blobs become candidates.
pub(crate) async fn purge(db: &Database, limit: u32) -> Result<u64, Fault> {
    transaction!(db, |tx| {
        let purged = tx
            .query(sql!(
                "DELETE FROM objects WHERE id IN (SELECT id FROM objects WHERE state = ",
                deleting,
                " ORDER BY id LIMIT $1",
                for_update_skip_locked,
                ") AND state = ",
                deleting,
                " RETURNING blob_id, space_id, class, upload_id"
            ))
            .bind(i64::from(limit))
            .map(purged)
            .await?;
        settle_purged(&mut tx, &purged).await?
    })
}

/// DELETING rows.
pub(crate) async fn deleting(db: &Database, limit: u32) -> Result<Vec<ObjectId>, Fault> {
    db.read(sql!("SELECT id FROM objects WHERE state = ", deleting, " ORDER BY id LIMIT $1"))
        .bind(i64::from(limit))
        .map(|row| row.first().map(ObjectId))
        .await
}

/// As [`purge`], of these rows.
pub(crate) async fn purge_these(db: &Database, objects: &[ObjectId]) -> Result<u64, Fault> {
    transaction!(db, |tx| {
        let mut all = Vec::with_capacity(objects.len());
        for object in objects {
            let gone = tx
                .query(sql!(
                    "DELETE FROM objects WHERE id = $1 AND state = ",
                    deleting,
                    " RETURNING blob_id, space_id, class, upload_id"
                ))
                .bind(object.0)
                .map(purged)
                .await?;
            all.extend(gone);
        }
        settle_purged(&mut tx, &all).await?
    })
}

type Purged = (Option<BlobId>, SpaceId, StorageClass, Option<Uuid>);

fn purged(row: &Row) -> Result<Purged, Fault> {
    let blob = row.get::<Option<Uuid>>("blob_id")?.map(BlobId);
    let upload = row.get::<Option<Uuid>>("upload_id")?;
    Ok((blob, SpaceId(row.get("space_id")?), rows::class(row, "class")?, upload))
}

async fn settle_purged(tx: &mut Transaction, purged: &[Purged]) -> Result<u64, Fault> {
    let uploads: Vec<_> = purged.iter().filter_map(|(.., upload)| *upload).collect();
    completions::forget(tx, &uploads).await?;
    let blobs: Vec<_> = purged.iter().filter_map(|(blob, ..)| *blob).collect();
    suspect(tx, &blobs).await?;
    let mut tally = Tally::default();
    for (_, space, class, _) in purged {
        tally.purged(*space, *class);
    }
    tally.write(tx).await?;
    Ok(purged.len() as u64)
}

/// Judges candidates: unreferenced ones go.
pub(crate) async fn sweep(db: &Database, limit: u32, now: Timestamp) -> Result<Swept, Fault> {
    transaction!(db, |tx| {
        let candidates = tx
            .query(sql!(
                "SELECT blob_id FROM gc_candidates ORDER BY blob_id LIMIT $1",
                for_update_skip_locked
            ))
            .bind(i64::from(limit))
            .map(|row| row.first().map(BlobId))
            .await?;
        judge_all(&mut tx, &candidates, now).await?
    })
}

/// Candidates.
pub(crate) async fn candidates(db: &Database, limit: u32) -> Result<Vec<BlobId>, Fault> {
    db.read(sql!("SELECT blob_id FROM gc_candidates ORDER BY blob_id LIMIT $1"))
        .bind(i64::from(limit))
        .map(|row| row.first().map(BlobId))
        .await
}

/// The garbage that [`purge`] and [`sweep`] would remove: a leaf goes with the composites that are alone in naming it.
pub(crate) async fn garbage(db: &Database, limit: u32) -> Result<Garbage, Fault> {
    let row = db
        .read(sql!(
            "WITH dying AS (SELECT id, blob_id FROM objects WHERE state = ",
            deleting,
            " ORDER BY id LIMIT $1), \
             waiting AS (SELECT blob_id FROM gc_candidates ORDER BY blob_id LIMIT $1), \
             suspects AS (SELECT blob_id FROM dying WHERE blob_id IS NOT NULL UNION SELECT blob_id FROM waiting), \
             unnamed AS (SELECT b.id FROM blobs b \
             WHERE b.id IN (SELECT blob_id FROM suspects UNION SELECT e.child_id FROM suspects s \
             CROSS JOIN extents e WHERE e.parent_id = s.blob_id) \
             AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.blob_id = b.id AND o.state <> ",
            deleting,
            ") AND NOT EXISTS (SELECT 1 FROM upload_parts p WHERE p.blob_id = b.id) \
             AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.draft_id = b.id)), \
             gone AS (SELECT b.id, b.size, b.segment_id FROM blobs b JOIN unnamed n ON n.id = b.id \
             WHERE NOT EXISTS (SELECT 1 FROM extents e WHERE e.child_id = b.id \
             AND NOT EXISTS (SELECT 1 FROM unnamed p WHERE p.id = e.parent_id))) \
             SELECT (SELECT COUNT(*) FROM dying) AS objects, (SELECT COUNT(*) FROM waiting) AS waiting, \
             COUNT(*) AS blobs, \
             CAST(COALESCE(SUM(CASE WHEN segment_id IS NOT NULL THEN size ELSE 0 END), 0) AS BIGINT) AS bytes FROM gone"
        ))
        .bind(i64::from(limit))
        .one()
        .await?;
    let objects = rows::count(&row, "objects")?;
    Ok(Garbage {
        examined: objects.max(rows::count(&row, "waiting")?),
        objects,
        blobs: rows::count(&row, "blobs")?,
        bytes: rows::count(&row, "bytes")?,
    })
}

/// As [`sweep`], of these candidates.
pub(crate) async fn sweep_these(db: &Database, blobs: &[BlobId], now: Timestamp) -> Result<Swept, Fault> {
    transaction!(db, |tx| {
        let mut candidates = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let held = tx
                .query(sql!("SELECT blob_id FROM gc_candidates WHERE blob_id = $1", for_update_skip_locked))
                .bind(blob.0)
                .optional()
                .await?;
            candidates.extend(held.is_some().then_some(*blob));
        }
        judge_all(&mut tx, &candidates, now).await?
    })
}

async fn judge_all(tx: &mut Transaction, candidates: &[BlobId], now: Timestamp) -> Result<Swept, Fault> {
    let mut sweep = Sweep { now, ..Sweep::default() };
    for blob in candidates {
        if sweep.pieces >= PIECES_AT_ONCE {
            // The rest waits for the next transaction: who wants to commit comes between.
            break;
        }
        sweep.judge(tx, *blob).await?;
    }
    let Sweep { swept, tally, children, .. } = sweep;
    suspect(tx, &children).await?;
    tally.write(tx).await?;
    Ok(swept)
}

/// Extents of composites that one transaction removes at most: a composite of more goes in several.
const PIECES_AT_ONCE: usize = 1000;

/// The domain of a composite that goes in several transactions begins so. No upload, copy or completion finds it there.
pub(crate) const GOING: &str = "going:";

#[derive(Default)]
struct Sweep {
    swept: Swept,
    tally: Tally,
    /// Extents removed so far.
    pieces: usize,
    /// Children of composites that went.
    children: Vec<BlobId>,
    now: Timestamp,
}

impl Sweep {
    async fn judge(&mut self, tx: &mut Transaction, blob: BlobId) -> Result<(), Fault> {
        // A transaction that holds the blob's row may be about to refer to it: another time.
        let held = tx
            .query(sql!("SELECT size, segment_id, space_id FROM blobs WHERE id = $1", for_update_skip_locked))
            .bind(blob.0)
            .optional()
            .await?;
        let Some(row) = held else {
            let exists =
                tx.query(sql!("SELECT 1 FROM blobs WHERE id = $1")).bind(blob.0).optional().await?.is_some();
            if !exists {
                self.swept.examined += 1;
                forget_candidate(tx, blob).await?;
            }
            return Ok(());
        };
        self.swept.examined += 1;
        let size = rows::count(&row, "size")?;
        // While the row is locked no new reference can be made, and this statement sees every existing one: the
        // foreign keys would refuse otherwise.
        let referred = tx
            .query(sql!(
                "SELECT 1 WHERE EXISTS (SELECT 1 FROM objects o WHERE o.blob_id = $1) \
                 OR EXISTS (SELECT 1 FROM extents e WHERE e.child_id = $1) \
                 OR EXISTS (SELECT 1 FROM upload_parts p WHERE p.blob_id = $1) \
                 OR EXISTS (SELECT 1 FROM uploads u WHERE u.draft_id = $1)"
            ))
            .bind(blob.0)
            .optional()
            .await?
            .is_some();
        let segment = row.get::<Option<Uuid>>("segment_id")?.map(SegmentId);
        if referred {
            match segment {
                Some(segment) => queue_move(tx, blob, segment).await?,
                None => suspect_children(tx, blob).await?,
            }
            return forget_candidate(tx, blob).await;
        }
        if segment.is_none() {
            if !self.remove_pieces(tx, blob).await? {
                // It stays a candidate.
                return Ok(());
            }
            tx.query(sql!("DELETE FROM part_checksums WHERE blob_id = $1")).bind(blob.0).execute().await?;
        }
        tx.query(sql!("DELETE FROM move_candidates WHERE blob_id = $1")).bind(blob.0).execute().await?;
        tx.query(sql!("DELETE FROM blobs WHERE id = $1")).bind(blob.0).execute().await?;
        self.swept.blobs += 1;
        if let Some(segment) = segment {
            let tier = tier(tx, segment).await?;
            self.swept.bytes += size;
            self.tally.removed(SpaceId(row.get("space_id")?), tier, segment, size, self.now)?;
        }
        forget_candidate(tx, blob).await
    }
}

impl Sweep {
    /// Removes extents of a composite that nothing refers to, from its end, as many as this transaction may still remove;
    /// what they name become candidates. Whether none is left. If some are, the composite leaves its domain, so that
    /// nothing can refer to it again.
    async fn remove_pieces(&mut self, tx: &mut Transaction, blob: BlobId) -> Result<bool, Fault> {
        let most = PIECES_AT_ONCE.saturating_sub(self.pieces);
        let gone = tx
            .query(sql!(
                "DELETE FROM extents WHERE parent_id = $1 AND (start, part) IN (SELECT e.start, e.part \
                 FROM extents e WHERE e.parent_id = $1 ORDER BY e.start DESC, e.part DESC LIMIT $2) \
                 RETURNING child_id"
            ))
            .bind(blob.0)
            .bind(rows::signed(most as u64)?)
            .map(|row| row.first().map(BlobId))
            .await?;
        self.pieces += gone.len();
        let all = gone.len() < most;
        self.children.extend(gone);
        if all {
            return Ok(true);
        }
        let left = tx
            .query(sql!("SELECT 1 FROM extents WHERE parent_id = $1 LIMIT 1"))
            .bind(blob.0)
            .optional()
            .await?;
        if left.is_some() {
            tx.query(sql!("UPDATE blobs SET domain = $2 WHERE id = $1"))
                .bind(blob.0)
                .bind(format!("{GOING}{}", blob.0))
                .execute()
                .await?;
        }
        Ok(left.is_none())
    }
}

async fn forget_candidate(tx: &mut Transaction, blob: BlobId) -> Result<(), Fault> {
    tx.query(sql!("DELETE FROM gc_candidates WHERE blob_id = $1")).bind(blob.0).execute().await?;
    Ok(())
}

/// Makes the children of a composite GC's candidates.
async fn suspect_children(tx: &mut Transaction, parent: BlobId) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO gc_candidates (blob_id) SELECT DISTINCT e.child_id FROM extents e \
         WHERE e.parent_id = $1 ORDER BY e.child_id \
         ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
    ))
    .bind(parent.0)
    .execute()
    .await?;
    Ok(())
}

async fn tier(tx: &mut Transaction, segment: SegmentId) -> Result<StorageClass, Fault> {
    let row = tx.query(sql!("SELECT tier FROM segments WHERE id = $1")).bind(segment.0).one().await?;
    rows::class(&row, "tier")
}

/// The tier that a leaf belongs on, by the classes that visible objects ask of it, by themselves or as composites.
async fn wanted(tx: &mut Transaction, blob: BlobId) -> Result<Option<StorageClass>, Fault> {
    let classes = tx
        .query(sql!(
            "SELECT o.class FROM objects o WHERE o.blob_id = $1 AND o.state = ",
            committed,
            " UNION SELECT o.class FROM extents e JOIN objects o ON o.blob_id = e.parent_id \
             WHERE e.child_id = $1 AND o.state = ",
            committed
        ))
        .bind(blob.0)
        .map(|row| rows::class(row, "class"))
        .await?;
    Ok(tier_of(classes))
}

async fn queue_move(tx: &mut Transaction, blob: BlobId, segment: SegmentId) -> Result<(), Fault> {
    let (wanted, actual) = (wanted(tx, blob).await?, tier(tx, segment).await?);
    if wanted.is_some_and(|wanted| wanted != actual) {
        enqueue_move(tx, blob).await?;
    }
    Ok(())
}

async fn enqueue_move(tx: &mut Transaction, blob: BlobId) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO move_candidates (blob_id) VALUES ($1) \
         ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
    ))
    .bind(blob.0)
    .execute()
    .await?;
    Ok(())
}

/// Leaves queued to move that still should; others leave the queue.
pub(crate) async fn moves(db: &Database, limit: u32) -> Result<Vec<Move>, Fault> {
    transaction!(db, |tx| {
        let mut moves: Vec<Move> = Vec::new();
        let mut after = Uuid::nil();
        // A page of the queue may hold nothing but leaves that may stay: then the next one is looked at.
        while moves.is_empty() {
            let page = tx
                .query(sql!(
                    "SELECT blob_id FROM move_candidates WHERE blob_id > $1 ORDER BY blob_id LIMIT $2",
                    for_update_skip_locked
                ))
                .bind(after)
                .bind(i64::from(limit))
                .map(Row::first::<Uuid>)
                .await?;
            let Some(last) = page.last() else { break };
            after = *last;
            for blob in page {
                match still_to_move(&mut tx, BlobId(blob)).await? {
                    Some(to_move) => moves.push(to_move),
                    None => forget_move(&mut tx, BlobId(blob)).await?,
                }
            }
        }
        moves
    })
}

async fn still_to_move(tx: &mut Transaction, blob: BlobId) -> Result<Option<Move>, Fault> {
    let leaf = tx.query(sql!(leaf, " WHERE b.id = $1")).bind(blob.0).find(rows::leaf).await?;
    // Damaged bytes cannot be copied; the upload that replaces them brings them to its own tier.
    let Some(leaf) = leaf.filter(|leaf| !leaf.quarantined) else { return Ok(None) };
    let to = wanted(tx, blob).await?.filter(|wanted| *wanted != leaf.location.tier);
    Ok(to.map(|to| Move { leaf, to }))
}

async fn forget_move(tx: &mut Transaction, blob: BlobId) -> Result<(), Fault> {
    tx.query(sql!("DELETE FROM move_candidates WHERE blob_id = $1")).bind(blob.0).execute().await?;
    Ok(())
}

/// After a leaf was pointed elsewhere: it leaves the queue, unless its objects changed their minds again. With
/// another tier it may even have to enter it.
pub(crate) async fn settle_move(tx: &mut Transaction, blob: BlobId, tier_changed: bool) -> Result<(), Fault> {
    let queued = tx
        .query(sql!("SELECT blob_id FROM move_candidates WHERE blob_id = $1", for_update))
        .bind(blob.0)
        .optional()
        .await?;
    if queued.is_none() && !tier_changed {
        return Ok(());
    }
    match still_to_move(tx, blob).await? {
        None if queued.is_some() => forget_move(tx, blob).await,
        Some(_) if queued.is_none() => enqueue_move(tx, blob).await,
        _ => Ok(()),
    }
}

pub(crate) async fn quarantine(db: &Database, blob: BlobId, at: Location) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "UPDATE blobs SET quarantined = TRUE WHERE id = $1 AND segment_id = $2 AND seg_offset = $3"
        ))
        .bind(blob.0)
        .bind(at.segment.0)
        .bind(rows::signed(at.offset)?)
        .execute()
        .await?;
    })
}
