//! Leaves that were copied elsewhere: by the mover to another tier, by compaction to a fuller pack.

use std::collections::{BTreeMap, HashMap};

use super::database::Database;
use super::dialect::{Fault, sql};
use super::tally::Tally;
use super::transaction::{Transaction, transaction};
use super::{rows, segments};
use crate::application::ports::metadata::{Relocation, WriterId};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::SegmentId;
use crate::domain::space::SpaceId;

pub(super) async fn relocate(
    db: &Database,
    writer: WriterId,
    relocations: &[Relocation],
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
            pointed.push(fenced && point(&mut tx, &mut tally, relocation).await?);
        }
        tally.write(&mut tx).await?;
        for (segment, (kind, _)) in &targets {
            // A copy that nobody wants: the leaf went, or moved elsewhere, meanwhile.
            if *kind == SegmentKind::Single && ours.get(segment) == Some(&true) {
                super::tally::condemn_if_empty(&mut tx, *segment).await?;
            }
        }
        pointed
    })
}

async fn point(tx: &mut Transaction, tally: &mut Tally, relocation: &Relocation) -> Result<bool, Fault> {
    let Relocation { blob, from, to } = relocation;
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
    tally.removed(space, from.tier, from.segment, from.length)?;
    tally.placed(space, to.location.tier, to.location.segment, to.location.length)?;
    super::garbage::settle_move(tx, *blob).await?;
    Ok(true)
}
