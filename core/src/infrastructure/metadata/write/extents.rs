//! The stretches of composites. Their children are always leaves: a composite made of composites takes over
//! their stretches, so that no read ever looks deeper than one level.
//!
//! Stretches are copied inside the database, one statement for all of them: tens of thousands that came and went
//! through this program took seconds, in which every other write waited.

use crate::domain::blob::BlobId;
use crate::domain::multipart::{Part, UploadId};
use crate::domain::naming::Layout;
use crate::domain::object::Content;
use crate::domain::range::Span;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// Of how many stretches of leaves `span` of a blob consists.
pub(crate) async fn pieces_of(tx: &mut Transaction, content: &Content, span: Span) -> Result<u64, Fault> {
    if content.layout == Layout::Leaf {
        return Ok(1);
    }
    let row = tx
        .query(sql!(
            "SELECT COUNT(*) AS pieces FROM extents e WHERE e.parent_id = $1 AND e.start < $3 AND e.start >= \
             (SELECT MAX(f.start) FROM extents f WHERE f.parent_id = $1 AND f.start <= $2)"
        ))
        .bind(content.blob.0)
        .bind(rows::signed(span.start)?)
        .bind(rows::signed(span.end)?)
        .one()
        .await?;
    // An empty part is a stretch, too.
    Ok(rows::count(&row, "pieces")?.max(1))
}

/// Makes `parent` a composite of one part: `span` of another blob, which is not empty.
pub(crate) async fn slice(
    tx: &mut Transaction,
    parent: BlobId,
    source: &Content,
    span: Span,
) -> Result<(), Fault> {
    let (start, end) = (rows::signed(span.start)?, rows::signed(span.end)?);
    if source.layout == Layout::Leaf {
        tx.query(sql!(
            "INSERT INTO extents (parent_id, start, part, child_id, child_offset, length) \
             VALUES ($1, 0, 1, $2, $3, $4)"
        ))
        .bind(parent.0)
        .bind(source.blob.0)
        .bind(start)
        .bind(end - start)
        .execute()
        .await?;
        return Ok(());
    }
    let made = tx
        .query(sql!(
            "INSERT INTO extents (parent_id, start, part, child_id, child_offset, length) \
             SELECT $1, CASE WHEN e.start > $3 THEN e.start - $3 ELSE 0 END, 1, e.child_id, \
             e.child_offset + CASE WHEN e.start < $3 THEN $3 - e.start ELSE 0 END, \
             CASE WHEN e.start + e.length < $4 THEN e.start + e.length ELSE $4 END \
             - CASE WHEN e.start > $3 THEN e.start ELSE $3 END \
             FROM extents e WHERE e.parent_id = $2 AND e.length > 0 AND e.start < $4 \
             AND e.start + e.length > $3 AND e.start >= \
             (SELECT MAX(f.start) FROM extents f WHERE f.parent_id = $2 AND f.start <= $3)"
        ))
        .bind(parent.0)
        .bind(source.blob.0)
        .bind(start)
        .bind(end)
        .execute()
        .await?;
    if made == 0 { Err(Fault::failed(format!("composite {:?} is empty", source.blob))) } else { Ok(()) }
}

/// How far the stretches of a composite are written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Written {
    /// Bytes.
    pub(crate) size: u64,
    /// Parts.
    pub(crate) parts: u32,
}

/// Adds parts of an upload, ascending by number, to a composite of which `written` is there. Parts are numbered anew. One
/// that is empty keeps one stretch of length 0, to be found by its number.
pub(crate) async fn add_parts(
    tx: &mut Transaction,
    parent: BlobId,
    upload: UploadId,
    parts: &[Part],
    mut written: Written,
) -> Result<Written, Fault> {
    for portion in tx.portions(parts) {
        let statement = tx.query_list(
            sql!(
                "INSERT INTO extents (parent_id, start, part, child_id, child_offset, length) \
                 SELECT $1, $3 + q.base + COALESCE(e.start, 0), $4 + q.place, COALESCE(e.child_id, q.blob_id), \
                 COALESCE(e.child_offset, 0), COALESCE(e.length, q.size) \
                 FROM (SELECT p.blob_id, p.size, ROW_NUMBER() OVER (ORDER BY p.number) AS place, \
                 CAST(SUM(p.size) OVER (ORDER BY p.number) - p.size AS BIGINT) AS base \
                 FROM upload_parts p WHERE p.upload_id = $2 AND p.number IN (",
                list,
                ")) q LEFT JOIN extents e ON e.parent_id = q.blob_id AND (e.length > 0 OR q.size = 0)"
            ),
            4,
            portion.len(),
        );
        let numbers = portion.iter().map(|part| i64::from(part.number.get()));
        statement
            .bind(parent.0)
            .bind(upload.0)
            .bind(rows::signed(written.size)?)
            .bind(i64::from(written.parts))
            .bind_all(numbers)
            .execute()
            .await?;
        written.size += portion.iter().map(|part| part.size).sum::<u64>();
        written.parts += u32::try_from(portion.len()).unwrap_or(u32::MAX);
    }
    Ok(written)
}
