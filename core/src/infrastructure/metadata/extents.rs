//! What composites consist of. Their children are always leaves: a composite made of composites takes over
//! their stretches, so that no read ever looks deeper than one level.

use super::batch::Batch;
use super::dialect::{Fault, sql};
use super::rows;
use super::transaction::Transaction;
use crate::domain::blob::{BlobId, ContentHash};
use crate::domain::object::Content;
use crate::domain::range::Span;

/// A stretch of a leaf that belongs to a part of a composite.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) part: u32,
    pub(super) child: BlobId,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The pieces that `span` of a blob contributes to a part: at least one, of length 0 only if the whole part
/// is empty.
pub(super) async fn pieces_of(
    batch: &mut Batch<'_>,
    part: u32,
    content: &Content,
    span: Span,
) -> Result<Vec<Piece>, Fault> {
    if let ContentHash::Leaf(_) = content.hash {
        return Ok(vec![Piece { part, child: content.blob, offset: span.start, length: span.length() }]);
    }
    let stretches = batch
        .tx
        .query(sql!(
            "SELECT e.start, e.child_id, e.child_offset, e.length FROM extents e \
             WHERE e.parent_id = $1 AND e.start <= $3 AND e.start >= \
             (SELECT MAX(f.start) FROM extents f WHERE f.parent_id = $1 AND f.start <= $2) \
             ORDER BY e.start, e.part"
        ))
        .bind(content.blob.0)
        .bind(rows::signed(span.start)?)
        .bind(rows::signed(span.end)?)
        .map(|row| {
            let child = BlobId(row.get("child_id")?);
            let (offset, length) = (rows::count(row, "child_offset")?, rows::count(row, "length")?);
            Ok((rows::count(row, "start")?, Piece { part, child, offset, length }))
        })
        .await?;
    let mut pieces = Vec::with_capacity(stretches.len());
    for (start, piece) in &stretches {
        let (from, to) = (span.start.max(*start), span.end.min(start + piece.length));
        if from < to {
            pieces.push(Piece { offset: piece.offset + (from - start), length: to - from, ..*piece });
        }
    }
    if pieces.is_empty() {
        // An empty part still needs a row of its own, to be found by its number.
        let (_, first) = stretches
            .first()
            .ok_or_else(|| Fault::failed(format!("composite {:?} is empty", content.blob)))?;
        pieces.push(Piece { length: 0, ..*first });
    }
    Ok(pieces)
}

/// Writes a new composite's extents.
pub(super) async fn write(tx: &mut Transaction, parent: BlobId, pieces: &[Piece]) -> Result<(), Fault> {
    const COLUMNS: usize = 6;
    let mut start = 0_u64;
    let mut placed = Vec::with_capacity(pieces.len());
    for piece in pieces {
        placed.push((start, piece));
        start += piece.length;
    }
    for portion in tx.portions(&placed) {
        let mut statement = tx.query_rows(
            sql!(
                "INSERT INTO extents (parent_id, start, part, child_id, child_offset, length) VALUES ",
                rows
            ),
            portion.len(),
            COLUMNS,
        );
        for (start, piece) in portion {
            statement = statement
                .bind(parent.0)
                .bind(rows::signed(*start)?)
                .bind(i64::from(piece.part))
                .bind(piece.child.0)
                .bind(rows::signed(piece.offset)?)
                .bind(rows::signed(piece.length)?);
        }
        statement.execute().await?;
    }
    Ok(())
}
