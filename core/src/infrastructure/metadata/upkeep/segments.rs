//! Segments and their writers.

use uuid::Uuid;

use super::kept;
use crate::application::ports::metadata::{LeafRecord, Leftover, SegmentRecord, WriterId};
use crate::application::ports::segments::{Mended, SegmentKind};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::blob::{BlobId, SegmentId};
use crate::domain::object::ObjectId;
use crate::domain::placement::is_sparse;
use crate::domain::retention::{NEVER_NAMED, condemned_since};
use crate::domain::space::Versioning;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};
use crate::infrastructure::metadata::write::segments::{register, superseded_unless};
use crate::infrastructure::metadata::write::spaces;
use crate::infrastructure::metadata::write::tally::condemn_if_empty;

/// Fails if another start of the same writer than the one with `token` was entered.
pub(crate) async fn heartbeat(
    db: &Database,
    writer: WriterId,
    token: Uuid,
    until: Timestamp,
) -> Result<(), Fault> {
    transaction!(db, |tx| {
        let said = tx
            .query(sql!(
                "INSERT INTO writers (id, expires_at) SELECT $1, $2 WHERE NOT EXISTS \
                 (SELECT 1 FROM incarnations i WHERE i.writer = $1 AND i.token <> $3) \
                 ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at"
            ))
            .bind(writer.0)
            .bind(until.millis())
            .bind(token)
            .execute()
            .await?;
        superseded_unless(said == 1)?;
    })
}

/// Also those whose segments were taken over and not settled: the process that did so may have died itself.
pub(crate) async fn dead_writers(db: &Database, now: Timestamp) -> Result<Vec<WriterId>, Fault> {
    db.read(sql!(
        "SELECT w.id FROM writers w WHERE w.expires_at <= $1 \
         UNION SELECT g.writer FROM segments g WHERE g.writer IS NOT NULL \
         AND (g.state = ",
        orphaned,
        " OR NOT EXISTS (SELECT 1 FROM writers w WHERE w.id = g.writer))"
    ))
    .bind(now.millis())
    .map(|row| row.first().map(WriterId))
    .await
}

/// `None` if the writer's word holds at the time `unless`. Its row is locked first: a word that comes at the same time is
/// heard before this, or registers the writer anew after it.
pub(crate) async fn take_over(
    db: &Database,
    writer: WriterId,
    unless: Option<Timestamp>,
) -> Result<Option<Leftover>, Fault> {
    transaction!(db, |tx| {
        if let Some(now) = unless {
            let until = tx
                .query(sql!("SELECT w.expires_at FROM writers w WHERE w.id = $1", for_update))
                .bind(writer.0)
                .find(Row::first::<i64>)
                .await?;
            if until.is_some_and(|until| until > now.millis()) {
                return Ok(None);
            }
        }
        // From here on its commits find no open segment of theirs; one under way ends first.
        tx.query(sql!("UPDATE segments SET state = ", orphaned, " WHERE writer = $1 AND state = ", open))
            .bind(writer.0)
            .execute()
            .await?;
        let removed = tx
            .query(sql!("DELETE FROM objects WHERE writer = $1 AND state = ", writing))
            .bind(writer.0)
            .execute()
            .await?;
        tx.query(sql!("DELETE FROM writers WHERE id = $1")).bind(writer.0).execute().await?;
        let segments = tx
            .query(sql!(segment, " WHERE g.writer = $1 AND g.state = ", orphaned, " ORDER BY g.id"))
            .bind(writer.0)
            .map(rows::segment)
            .await?;
        let kept = tx
            .query(sql!(
                "SELECT k.segment_id FROM kept_segments k JOIN segments g ON g.id = k.segment_id \
                 WHERE g.writer = $1 AND g.state = ",
                orphaned
            ))
            .bind(writer.0)
            .map(|row| row.first().map(SegmentId))
            .await?;
        Some(Leftover { segments, kept, writes: removed })
    })
}

pub(crate) async fn settle(
    db: &Database,
    id: SegmentId,
    mended: Option<Mended>,
    now: Timestamp,
) -> Result<(), Fault> {
    transaction!(db, |tx| {
        if let Some(mended) = &mended {
            let kept = kept::looked_at(&mut tx, id, mended).await?;
            let dead = if kept { 0 } else { mended.unknown_bytes };
            tx.query(sql!(
                "UPDATE segments SET state = ",
                sealed,
                ", writer = NULL, size = $2, dead_bytes = dead_bytes + $3 \
                 WHERE id = $1 AND state = ",
                orphaned
            ))
            .bind(id.0)
            .bind(rows::signed(mended.size)?)
            .bind(rows::signed(dead)?)
            .execute()
            .await?;
            condemn_if_empty(&mut tx, id, now).await?;
        } else {
            unwritten(&mut tx, id, now).await?;
        }
    })
}

pub(crate) async fn settle_unwritten(db: &Database, ids: &[SegmentId], now: Timestamp) -> Result<(), Fault> {
    transaction!(db, |tx| {
        for id in ids {
            unwritten(&mut tx, *id, now).await?;
        }
    })
}

/// Condemns a segment, unless a blob lies in it.
async fn unwritten(tx: &mut Transaction, id: SegmentId, now: Timestamp) -> Result<(), Fault> {
    kept::no_longer(tx, id).await?;
    let size = tx
        .query(sql!("SELECT g.size FROM segments g WHERE g.id = $1", for_update))
        .bind(id.0)
        .find(|row| rows::count(row, "size"))
        .await?;
    condemn_unused(tx, id, condemned_since(size.unwrap_or_default(), now)).await
}

/// Condemns an open or orphaned segment, unless a blob lies in it.
async fn condemn_unused(tx: &mut Transaction, id: SegmentId, since: Timestamp) -> Result<(), Fault> {
    tx.query(sql!(
        "UPDATE segments SET state = ",
        condemned,
        ", writer = NULL, condemned_at = $2 WHERE id = $1 AND state IN (",
        open,
        ", ",
        orphaned,
        ") \
         AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.segment_id = $1)"
    ))
    .bind(id.0)
    .bind(since.millis())
    .execute()
    .await?;
    Ok(())
}

pub(crate) async fn open(
    db: &Database,
    (writer, token): (WriterId, Uuid),
    id: SegmentId,
    tier: StorageClass,
    kind: SegmentKind,
    now: Timestamp,
) -> Result<(), Fault> {
    transaction!(db, |tx| register(&mut tx, (writer, token), id, tier, kind, now).await?)
}

pub(crate) async fn open_packs(
    db: &Database,
    (writer, token): (WriterId, Uuid),
    ids: &[SegmentId],
    tier: StorageClass,
    now: Timestamp,
) -> Result<(), Fault> {
    transaction!(db, |tx| {
        for id in ids {
            register(&mut tx, (writer, token), *id, tier, SegmentKind::Pack, now).await?;
        }
    })
}

/// The segment that a writer is about to write, and its tier.
pub(crate) struct Announcement<'a> {
    pub(crate) writer: WriterId,
    /// Of the start of the writer that this process is.
    pub(crate) token: Uuid,
    pub(crate) id: ObjectId,
    pub(crate) segment: SegmentId,
    pub(crate) tier: StorageClass,
    pub(crate) space: &'a SpaceAddress,
    pub(crate) key: Option<&'a Key>,
    pub(crate) now: Timestamp,
}

pub(crate) async fn announce(db: &Database, new: Announcement<'_>) -> Result<(), Fault> {
    transaction!(db, |tx| {
        register(&mut tx, (new.writer, new.token), new.segment, new.tier, SegmentKind::Single, new.now)
            .await?;
        let space = spaces::ensure_space(&mut tx, new.space, new.now).await?;
        tx.query(sql!(
            "INSERT INTO objects (space_id, key, id, state, is_latest, is_null_version, size, etag, class, \
             writer, segment_id, created_at) VALUES ($1, $2, $3, ",
            writing,
            ", FALSE, $4, 0, '', $5, $6, $7, $8)"
        ))
        .bind(space.id.0)
        .bind(new.key.map_or("", Key::as_str))
        .bind(new.id.0)
        .bind(space.versioning != Versioning::Enabled)
        .bind(new.tier.code())
        .bind(new.writer.0)
        .bind(new.segment.0)
        .bind(new.now.millis())
        .execute()
        .await?;
    })
}

pub(crate) async fn abandon(db: &Database, id: ObjectId, segment: SegmentId) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("DELETE FROM objects WHERE id = $1 AND state = ", writing))
            .bind(id.0)
            .execute()
            .await?;
        // It is open still only if nothing was committed into it.
        condemn_unused(&mut tx, segment, NEVER_NAMED).await?;
    })
}

/// The statement that chooses also looks for holds: one that is stored before it keeps everything that it would choose.
pub(crate) async fn condemned(
    db: &Database,
    before: Timestamp,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<SegmentRecord>, Fault> {
    db.read(sql!(
        segment,
        " WHERE g.state = ",
        condemned,
        " AND g.condemned_at <= CASE WHEN EXISTS (SELECT 1 FROM backup_holds h \
         WHERE h.expires_at > $2) THEN 0 ELSE $1 END ORDER BY g.condemned_at, g.id LIMIT $3"
    ))
    .bind(before.millis())
    .bind(now.millis())
    .bind(i64::from(limit))
    .map(rows::segment)
    .await
}

pub(crate) async fn is_unnamed(db: &Database, id: SegmentId) -> Result<bool, Fault> {
    let named = db
        .read(sql!(
            "SELECT 1 FROM segments g WHERE g.id = $1 AND (g.state <> ",
            condemned,
            " OR g.condemned_at <> 0)"
        ))
        .bind(id.0)
        .optional()
        .await?;
    Ok(named.is_none())
}

pub(crate) async fn forget(db: &Database, ids: &[SegmentId]) -> Result<(), Fault> {
    transaction!(db, |tx| {
        for id in ids {
            tx.query(sql!("DELETE FROM segments WHERE id = $1 AND state = ", condemned))
                .bind(id.0)
                .execute()
                .await?;
        }
    })
}

/// The sparsest packs first; whether one is sparse enough is for the domain to say.
pub(crate) async fn sparse_packs(db: &Database, limit: u32) -> Result<Vec<SegmentRecord>, Fault> {
    let packs = db
        .read(sql!(
            segment_with_dead_bytes,
            " WHERE g.kind = ",
            pack,
            " AND g.state = ",
            sealed,
            " AND NOT EXISTS (SELECT 1 FROM kept_segments k WHERE k.segment_id = g.id) ORDER BY ",
            live_share,
            ", g.id LIMIT $1"
        ))
        .bind(i64::from(limit))
        .map(|row| Ok((rows::segment(row)?, rows::count(row, "dead_bytes")?)))
        .await?;
    let sparse = packs.into_iter().filter(|(pack, dead_bytes)| is_sparse(pack.live_bytes, *dead_bytes));
    Ok(sparse.map(|(pack, _)| pack).collect())
}

pub(crate) async fn small_packs(
    db: &Database,
    tier: StorageClass,
    below: u64,
    limit: u32,
) -> Result<Vec<SegmentRecord>, Fault> {
    db.read(sql!(
        segment,
        " WHERE g.tier = $1 AND g.kind = ",
        pack,
        " AND g.state = ",
        sealed,
        " AND g.size < $2 AND NOT EXISTS (SELECT 1 FROM kept_segments k WHERE k.segment_id = g.id) \
         ORDER BY g.size, g.id LIMIT $3"
    ))
    .bind(tier.code())
    .bind(rows::signed(below)?)
    .bind(i64::from(limit))
    .map(rows::segment)
    .await
}

pub(crate) async fn leaves_in(
    db: &Database,
    segment: SegmentId,
    limit: u32,
) -> Result<Vec<LeafRecord>, Fault> {
    db.read(sql!(leaf, " WHERE b.segment_id = $1 ORDER BY b.seg_offset, b.id LIMIT $2"))
        .bind(segment.0)
        .bind(i64::from(limit))
        .map(rows::leaf)
        .await
}

pub(crate) async fn find(db: &Database, id: SegmentId) -> Result<Option<SegmentRecord>, Fault> {
    db.read(sql!(segment, " WHERE g.id = $1")).bind(id.0).find(rows::segment).await
}

pub(crate) async fn scan(
    db: &Database,
    after: Option<SegmentId>,
    limit: u32,
) -> Result<Vec<SegmentRecord>, Fault> {
    // No segment has the nil id.
    db.read(sql!(segment, " WHERE g.id > $1 ORDER BY g.id LIMIT $2"))
        .bind(after.map_or(Uuid::nil(), |id| id.0))
        .bind(i64::from(limit))
        .map(rows::segment)
        .await
}

pub(crate) async fn find_leaf(db: &Database, blob: BlobId) -> Result<Option<LeafRecord>, Fault> {
    db.read(sql!(leaf, " WHERE b.id = $1")).bind(blob.0).find(rows::leaf).await
}

pub(crate) async fn scan_leaves(
    db: &Database,
    after: Option<BlobId>,
    limit: u32,
) -> Result<Vec<LeafRecord>, Fault> {
    db.read(sql!(leaf, " WHERE b.id > $1 ORDER BY b.id LIMIT $2"))
        .bind(after.map_or(Uuid::nil(), |id| id.0))
        .bind(i64::from(limit))
        .map(rows::leaf)
        .await
}
