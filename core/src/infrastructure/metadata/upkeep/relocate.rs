//! Leaves that were copied elsewhere: by the mover to another tier, by compaction to a fuller pack.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::application::ports::metadata::{Relocation, WriterId};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{BlobId, SegmentId};
use crate::domain::retention::NEVER_NAMED;
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};
use crate::infrastructure::metadata::write::tally::Tally;
use crate::infrastructure::metadata::write::{counts, segments};

pub(crate) async fn relocate(
    db: &Database,
    (writer, token): (WriterId, Uuid),
    relocations: &[Relocation],
    now: Timestamp,
) -> Result<Vec<bool>, Fault> {
    // The size that each target has reached with all of them.
    let mut targets: BTreeMap<SegmentId, (SegmentKind, u64)> = BTreeMap::new();
    for Relocation { to, .. } in relocations {
        let target = targets.entry(to.location.segment).or_insert((to.kind, 0));
        target.1 = target.1.max(to.segment_size);
    }
    transaction!(db, |tx| {
        let mut ours = HashMap::new();
        for (segment, (kind, size)) in &targets {
            ours.insert(*segment, segments::fence(&mut tx, writer, *segment, *kind, *size).await?);
        }
        let mut tally = Tally::default();
        let mut pointed = Vec::with_capacity(relocations.len());
        for relocation in relocations {
            let fenced = ours.get(&relocation.to.location.segment).copied().unwrap_or(false);
            pointed.push(fenced && point(&mut tx, &mut tally, relocation, now).await?);
        }
        tally.write(&mut tx).await?;
        for (segment, (kind, _)) in &targets {
            // A copy without use: the leaf went, or moved elsewhere, meanwhile.
            if *kind == SegmentKind::Single && ours.get(segment) == Some(&true) {
                crate::infrastructure::metadata::write::tally::condemn_if_empty(
                    &mut tx,
                    *segment,
                    NEVER_NAMED,
                )
                .await?;
            }
        }
        counts::count(&mut tx, (writer, token)).await?;
        pointed
    })
}

async fn point(
    tx: &mut Transaction,
    tally: &mut Tally,
    relocation: &Relocation,
    now: Timestamp,
) -> Result<bool, Fault> {
    let Relocation { blob, from, to } = relocation;
    let tier_changed = from.tier != to.location.tier;
    if tier_changed {
        hold_referred(tx, *blob).await?;
    }
    // A copy is made of bytes whose hash was verified: it is sound even if the original was found not to be.
    let row = tx
        .query(sql!(
            "UPDATE blobs SET segment_id = $2, seg_offset = $3, quarantined = FALSE \
             WHERE id = $1 AND segment_id = $4 AND seg_offset = $5 AND hash = $6 AND size = $7 \
             RETURNING space_id"
        ))
        .bind(blob.0)
        .bind(to.location.segment.0)
        .bind(rows::signed(to.location.offset)?)
        .bind(from.segment.0)
        .bind(rows::signed(from.offset)?)
        .bind(&to.hash.0[..])
        .bind(rows::signed(to.location.length)?)
        .optional()
        .await?;
    let Some(row) = row else {
        if to.kind == SegmentKind::Pack {
            tally.wasted(to.location.segment, to.location.length)?;
        }
        return Ok(false);
    };
    let space = SpaceId(row.get("space_id")?);
    tally.removed(space, from.tier, from.segment, from.length, now)?;
    tally.placed(space, to.location.tier, to.location.segment, to.location.length)?;
    super::garbage::settle_move(tx, *blob, tier_changed).await?;
    Ok(true)
}

/// Holds a leaf and the composites it is part of. A transaction that makes an object of one of these, or changes such an object's
/// class, holds its blob while comparing the class with the tier: so either that one sees the new tier, or we see the
/// object. Otherwise neither would, and the leaf would stay on the wrong tier.
async fn hold_referred(tx: &mut Transaction, leaf: BlobId) -> Result<(), Fault> {
    if tx.sees_only_its_own() {
        return Ok(());
    }
    tx.query(sql!(
        "SELECT b.id FROM blobs b WHERE b.id IN (SELECT l.id FROM blobs l WHERE l.id = $1 \
         UNION SELECT e.parent_id FROM extents e WHERE e.child_id = $1) ORDER BY b.id",
        for_update
    ))
    .bind(leaf.0)
    .all()
    .await?;
    Ok(())
}
