//! Where the bytes of a new object or part come from: deduplication, copies, slices.

use uuid::Uuid;

use super::commit::Batch;
use super::dialect::{Fault, sql};
use super::extents::{self, Piece};
use super::rows;
use crate::application::ports::metadata::{NewContent, Refusal, StagedLeaf};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{BlobId, ContentHash, SegmentId};
use crate::domain::object::{Content, ObjectId};
use crate::domain::range::Span;
use crate::domain::space::{DedupDomain, SpaceId};
use crate::domain::storage_class::StorageClass;

/// Content that was found fit, before anything is written.
pub(super) enum Source<'a> {
    Staged(&'a StagedLeaf),
    Existing(Content),
    Slice(Content, Span),
}

/// Content as it now lies in the store.
pub(super) struct Placed {
    pub(super) content: Content,
    /// The single segment that turned out to be a duplicate.
    pub(super) dropped: Option<SegmentId>,
    /// A leaf's tier, where it is known without asking.
    tier: Option<StorageClass>,
}

impl Placed {
    /// Content that was there, or made, without new bytes.
    pub(super) fn of(content: Content) -> Self {
        Self { content, dropped: None, tier: None }
    }
}

/// Makes sure that the content can be had: the last thing that may refuse a change.
pub(super) async fn check<'a>(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    content: &'a NewContent,
) -> Result<Result<Source<'a>, Refusal>, Fault> {
    match content {
        NewContent::Staged(leaf) => {
            let ours = batch.fence(leaf.location.segment, leaf.kind, leaf.segment_size).await?;
            Ok(if ours { Ok(Source::Staged(leaf)) } else { Err(Refusal::SegmentLost) })
        }
        NewContent::Existing(blob) => {
            Ok(existing(batch, domain, *blob).await?.map(Source::Existing).ok_or(Refusal::SourceGone))
        }
        NewContent::Slice(blob, span) => {
            let Some(content) = existing(batch, domain, *blob).await? else {
                return Ok(Err(Refusal::SourceGone));
            };
            if *span == Span::whole(content.size) {
                return Ok(Ok(Source::Existing(content)));
            }
            if span.start >= span.end || span.end > content.size {
                return Err(Fault::failed("a slice must lie inside its blob"));
            }
            Ok(Ok(Source::Slice(content, *span)))
        }
    }
}

/// A blob of a domain, which GC then leaves alone until the end of the transaction.
async fn existing(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    blob: BlobId,
) -> Result<Option<Content>, Fault> {
    batch
        .tx
        .query(sql!("SELECT hash, parts, size FROM blobs WHERE id = $1 AND domain = $2", for_key_share))
        .bind(blob.0)
        .bind(domain.as_str())
        .find(|row| Ok(Content { blob, hash: rows::content_hash(row)?, size: rows::count(row, "size")? }))
        .await
}

/// Writes down what [`check`] found fit.
pub(super) async fn place(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    space: SpaceId,
    source: Source<'_>,
) -> Result<Placed, Fault> {
    match source {
        Source::Staged(leaf) => place_staged(batch, domain, space, leaf).await,
        Source::Existing(content) => Ok(Placed::of(content)),
        Source::Slice(source, span) => {
            let hash = ContentHash::slice(source.hash, span);
            let pieces = extents::pieces_of(batch, 1, &source, span).await?;
            let (content, _) = place_composite(batch, domain, space, hash, span.length(), &pieces).await?;
            Ok(Placed::of(content))
        }
    }
}

async fn place_staged(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    space: SpaceId,
    leaf: &StagedLeaf,
) -> Result<Placed, Fault> {
    let fresh = ObjectId::fresh(batch.now).0;
    let location = leaf.location;
    let size = rows::signed(location.length)?;
    // The update changes nothing: it holds the row, so that GC cannot take it before this commits.
    let row = batch
        .tx
        .query(sql!(
            "INSERT INTO blobs (id, domain, hash, parts, size, segment_id, seg_offset, space_id, created_at) \
             VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8) \
             ON CONFLICT (domain, hash, parts) DO UPDATE SET size = blobs.size \
             RETURNING id, size, segment_id, quarantined, space_id"
        ))
        .bind(fresh)
        .bind(domain.as_str())
        .bind(&leaf.hash.0[..])
        .bind(size)
        .bind(location.segment.0)
        .bind(rows::signed(location.offset)?)
        .bind(space.0)
        .bind(batch.now.millis())
        .one()
        .await?;
    let blob: Uuid = row.get("id")?;
    let content = Content { blob: BlobId(blob), hash: ContentHash::Leaf(leaf.hash), size: location.length };
    if blob == fresh {
        batch.tally.placed(space, location.tier, location.segment, location.length)?;
        return Ok(Placed { content, dropped: None, tier: Some(location.tier) });
    }
    if row.get::<i64>("size")? != size {
        return Err(Fault::failed(format!("blob {blob} and new content of another size share a hash")));
    }
    let old = SegmentId(row.get("segment_id")?);
    let tier = batch.tier(old).await?;
    // Damaged bytes are replaced; and bytes that have just been written to a hotter tier save a move.
    if row.get::<bool>("quarantined")? || tier < location.tier {
        batch
            .tx
            .query(sql!(
                "UPDATE blobs SET segment_id = $2, seg_offset = $3, quarantined = FALSE WHERE id = $1"
            ))
            .bind(blob)
            .bind(location.segment.0)
            .bind(rows::signed(location.offset)?)
            .execute()
            .await?;
        let first = SpaceId(row.get("space_id")?);
        batch.tally.removed(first, tier, old, location.length)?;
        batch.tally.placed(first, location.tier, location.segment, location.length)?;
        return Ok(Placed { content, dropped: None, tier: Some(location.tier) });
    }
    let mut dropped = None;
    if leaf.kind == SegmentKind::Single {
        batch
            .tx
            .query(sql!("UPDATE segments SET state = 3 WHERE id = $1 AND state = 2"))
            .bind(location.segment.0)
            .execute()
            .await?;
        dropped = Some(location.segment);
    } else {
        batch.tally.wasted(location.segment, location.length)?;
    }
    Ok(Placed { content, dropped, tier: Some(tier) })
}

/// The composite of this name, made of `pieces` if the domain has none. Whether it is new.
pub(super) async fn place_composite(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    space: SpaceId,
    hash: ContentHash,
    size: u64,
    pieces: &[Piece],
) -> Result<(Content, bool), Fault> {
    let fresh = ObjectId::fresh(batch.now).0;
    let row = batch
        .tx
        .query(sql!(
            "INSERT INTO blobs (id, domain, hash, parts, size, space_id, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (domain, hash, parts) DO UPDATE SET size = blobs.size RETURNING id, size"
        ))
        .bind(fresh)
        .bind(domain.as_str())
        .bind(&hash.hash().0[..])
        .bind(i64::from(hash.parts()))
        .bind(rows::signed(size)?)
        .bind(space.0)
        .bind(batch.now.millis())
        .one()
        .await?;
    let blob: Uuid = row.get("id")?;
    if rows::count(&row, "size")? != size {
        return Err(Fault::failed(format!("blob {blob} and new content of another size share a hash")));
    }
    let content = Content { blob: BlobId(blob), hash, size };
    if blob == fresh {
        extents::write(batch.tx, content.blob, pieces).await?;
    }
    Ok((content, blob == fresh))
}

/// Queues the leaves of an object's content that do not lie where its class asks for; whether they should
/// move is for the mover to find out, which sees all objects.
pub(super) async fn suspect_tier(
    batch: &mut Batch<'_>,
    placed: &Placed,
    class: StorageClass,
) -> Result<(), Fault> {
    if placed.tier == Some(class) {
        return Ok(());
    }
    suspect_blob_tier(batch, &placed.content, class).await
}

/// The same for content whose tier is not known.
pub(super) async fn suspect_blob_tier(
    batch: &mut Batch<'_>,
    content: &Content,
    class: StorageClass,
) -> Result<(), Fault> {
    let statement = match content.hash {
        ContentHash::Leaf(_) => sql!(
            "INSERT INTO move_candidates (blob_id) SELECT b.id FROM blobs b \
             JOIN segments g ON g.id = b.segment_id WHERE b.id = $1 AND g.tier <> $2 \
             ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
        ),
        ContentHash::Composite(..) => sql!(
            "INSERT INTO move_candidates (blob_id) SELECT DISTINCT e.child_id FROM extents e \
             JOIN blobs b ON b.id = e.child_id JOIN segments g ON g.id = b.segment_id \
             WHERE e.parent_id = $1 AND g.tier <> $2 ORDER BY e.child_id \
             ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
        ),
    };
    batch.tx.query(statement).bind(content.blob.0).bind(class.code()).execute().await?;
    Ok(())
}
