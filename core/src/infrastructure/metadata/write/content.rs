//! Where the bytes of a new object or part come from: deduplication, copies, slices.

use uuid::Uuid;

use super::batch::Batch;
use super::extents;
use super::known::Resident;
use super::residents::{Newcomer, claim};
use crate::application::ports::metadata::{NewContent, Refusal, StagedLeaf};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{BlobId, SegmentId};
use crate::domain::naming::{ContentName, Layout, PartCount};
use crate::domain::object::{Content, ObjectId};
use crate::domain::placement::takes_over;
use crate::domain::range::Span;
use crate::domain::space::{DedupDomain, SpaceId};
use crate::domain::storage_class::StorageClass;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// Content that was found fit, before anything is written.
pub(crate) enum CheckedContent<'a> {
    Staged(&'a StagedLeaf),
    Existing(Content),
    Slice(Content, Span),
}

impl CheckedContent<'_> {
    /// In bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Staged(leaf) => leaf.location.length,
            Self::Existing(content) => content.size,
            Self::Slice(_, span) => span.length(),
        }
    }

    /// Of how many stretches of leaves it consists.
    pub(crate) async fn pieces(&self, tx: &mut Transaction) -> Result<u64, Fault> {
        match self {
            Self::Staged(_) => Ok(1),
            Self::Existing(content) => extents::pieces_of(tx, content, Span::whole(content.size)).await,
            Self::Slice(content, span) => extents::pieces_of(tx, content, *span).await,
        }
    }
}

/// Content as it now lies in the store.
pub(crate) struct Placed {
    pub(crate) content: Content,
    /// The single segment that turned out to be a duplicate.
    pub(crate) dropped: Option<SegmentId>,
    /// A leaf's tier, where it is known without asking.
    tier: Option<StorageClass>,
}

impl Placed {
    /// Content that was there, or made, without new bytes.
    pub(crate) fn of(content: Content) -> Self {
        Self { content, dropped: None, tier: None }
    }
}

/// Makes sure that the content can be had: the last thing that may refuse a change.
pub(crate) async fn check<'a>(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    content: &'a NewContent,
) -> Result<Result<CheckedContent<'a>, Refusal>, Fault> {
    match content {
        NewContent::Staged(leaf) => {
            let ours = batch.fence(leaf.location.segment, leaf.kind, leaf.segment_size).await?;
            Ok(if ours { Ok(CheckedContent::Staged(leaf)) } else { Err(Refusal::SegmentLost) })
        }
        NewContent::Existing(blob) => {
            Ok(existing(batch, domain, *blob).await?.map(CheckedContent::Existing).ok_or(Refusal::SourceGone))
        }
        NewContent::Slice(blob, span) => {
            let Some(content) = existing(batch, domain, *blob).await? else {
                return Ok(Err(Refusal::SourceGone));
            };
            if *span == Span::whole(content.size) {
                return Ok(Ok(CheckedContent::Existing(content)));
            }
            if span.start >= span.end || span.end > content.size {
                return Err(Fault::failed("a slice must lie inside its blob"));
            }
            Ok(Ok(CheckedContent::Slice(content, *span)))
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
        .query(sql!("SELECT ", content, " FROM blobs b WHERE b.id = $1 AND b.domain = $2", for_key_share))
        .bind(blob.0)
        .bind(domain.as_str())
        .find(|row| rows::content(row, blob))
        .await
}

/// Holds the content of an object, so that its leaves move before or after this transaction, and not meanwhile.
pub(crate) async fn hold(batch: &mut Batch<'_>, blob: BlobId) -> Result<(), Fault> {
    if !batch.tx.sees_only_its_own() {
        batch
            .tx
            .query(sql!("SELECT b.id FROM blobs b WHERE b.id = $1", for_key_share))
            .bind(blob.0)
            .optional()
            .await?;
    }
    Ok(())
}

/// Writes down what [`check`] found fit.
pub(crate) async fn place(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    space: SpaceId,
    source: CheckedContent<'_>,
) -> Result<Placed, Fault> {
    let placed = place_all(batch, vec![(domain, space, source)]).await?.pop();
    placed.ok_or_else(|| Fault::failed("content was not placed"))
}

/// Writes down much that [`check`] found fit.
pub(crate) async fn place_all(
    batch: &mut Batch<'_>,
    sources: Vec<(&DedupDomain, SpaceId, CheckedContent<'_>)>,
) -> Result<Vec<Placed>, Fault> {
    let mut newcomers = Vec::with_capacity(sources.len());
    for (domain, space, source) in &sources {
        if let CheckedContent::Staged(leaf) = source {
            let fresh = ObjectId::fresh(batch.now).0;
            newcomers.push(Newcomer { fresh, domain, space: *space, leaf });
        }
    }
    let mut residents = claim(batch, &newcomers).await?;
    let mut newcomers = newcomers.into_iter();
    let mut placed = Vec::with_capacity(sources.len());
    for (domain, space, source) in sources {
        placed.push(match source {
            CheckedContent::Staged(_) => {
                let new = newcomers.next().ok_or_else(|| Fault::failed("a staged leaf was lost"))?;
                match residents.remove(&new.fresh) {
                    None => settle_new(batch, &new)?,
                    Some(resident) => {
                        let (duplicate, now) = settle_duplicate(batch, &new, resident).await?;
                        for other in
                            residents.values_mut().filter(|other| other.content.blob == now.content.blob)
                        {
                            other.clone_from(&now);
                        }
                        duplicate
                    }
                }
            }
            CheckedContent::Existing(content) => Placed::of(content),
            CheckedContent::Slice(source, span) => {
                let name = ContentName::slice(source.name, span);
                // A stretch counts as one part, as its extents are numbered.
                let (content, is_new) =
                    place_composite(batch, domain, space, name, PartCount(1), span.length()).await?;
                if is_new {
                    extents::slice(batch.tx, content.blob, &source, span).await?;
                }
                Placed::of(content)
            }
        });
    }
    Ok(placed)
}

fn settle_new(batch: &mut Batch<'_>, new: &Newcomer<'_>) -> Result<Placed, Fault> {
    let location = new.leaf.location;
    batch.tally.placed(new.space, location.tier, location.segment, location.length)?;
    Ok(Placed { content: new.content(new.fresh), dropped: None, tier: Some(location.tier) })
}

/// What a leaf that its domain has already comes to, and what becomes of the blob that was there.
async fn settle_duplicate(
    batch: &mut Batch<'_>,
    new: &Newcomer<'_>,
    old: Resident,
) -> Result<(Placed, Resident), Fault> {
    let (leaf, location, content) = (new.leaf, new.leaf.location, old.content);
    if content.size != location.length {
        return Err(another_size(content.blob.0));
    }
    // The bytes of a blob in pieces lie on the tiers of its leaves, and it is those that are quarantined.
    let tier = match (old.segment, old.tier) {
        (Some(segment), None) => Some(batch.tier(segment).await?),
        (_, known) => known,
    };
    if let (Some(segment), Some(tier)) = (old.segment, tier)
        && takes_over(location.tier, tier, old.quarantined)
    {
        batch
            .tx
            .query(sql!(
                "UPDATE blobs SET segment_id = $2, seg_offset = $3, quarantined = FALSE WHERE id = $1"
            ))
            .bind(content.blob.0)
            .bind(location.segment.0)
            .bind(rows::signed(location.offset)?)
            .later()
            .await?;
        batch.tally.removed(old.space, tier, segment, location.length, batch.now)?;
        batch.tally.placed(old.space, location.tier, location.segment, location.length)?;
        let placed = Placed { content, dropped: None, tier: Some(location.tier) };
        let (segment, tier) = (Some(location.segment), Some(location.tier));
        return Ok((placed, Resident { segment, tier, quarantined: false, ..old }));
    }
    let mut dropped = None;
    if leaf.kind == SegmentKind::Single {
        batch
            .tx
            .query(sql!("UPDATE segments SET state = ", condemned, " WHERE id = $1 AND state = ", sealed))
            .bind(location.segment.0)
            .later()
            .await?;
        dropped = Some(location.segment);
    } else {
        batch.tally.wasted(location.segment, location.length)?;
    }
    Ok((Placed { content, dropped, tier }, old))
}

/// The content of this name, if the domain has it. GC then leaves it alone until the end of the transaction.
pub(crate) async fn named(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    name: ContentName,
    size: u64,
) -> Result<Option<Content>, Fault> {
    let found = batch
        .tx
        .query(sql!(
            "SELECT b.id, ",
            content,
            " FROM blobs b WHERE b.domain = $1 AND b.hash = $2 AND b.parts = $3",
            for_key_share
        ))
        .bind(domain.as_str())
        .bind(&name.digest().0[..])
        .bind(i64::from(name.count()))
        .find(|row| rows::content(row, BlobId(row.get("id")?)))
        .await?;
    match found {
        Some(other) if other.size != size => Err(another_size(other.blob.0)),
        found => Ok(found),
    }
}

fn another_size(blob: Uuid) -> Fault {
    Fault::failed(format!("blob {blob} and new content of another size share a hash"))
}

/// The content of this name, made in pieces if the domain has none. Whether it is new: then its extents are to be written.
pub(crate) async fn place_composite(
    batch: &mut Batch<'_>,
    domain: &DedupDomain,
    space: SpaceId,
    name: ContentName,
    parts: PartCount,
    size: u64,
) -> Result<(Content, bool), Fault> {
    let fresh = BlobId(ObjectId::fresh(batch.now).0);
    let row = batch
        .tx
        .query(sql!(
            "INSERT INTO blobs (id, domain, hash, parts, part_count, size, space_id, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (domain, hash, parts) DO UPDATE SET size = blobs.size RETURNING id, hash, parts, \
             segment_id IS NULL AS in_pieces, COALESCE(part_count, parts) AS part_count, size"
        ))
        .bind(fresh.0)
        .bind(domain.as_str())
        .bind(&name.digest().0[..])
        .bind(i64::from(name.count()))
        .bind(i64::from(parts.0))
        .bind(rows::signed(size)?)
        .bind(space.0)
        .bind(batch.now.millis())
        .one()
        .await?;
    let content = rows::content(&row, BlobId(row.get("id")?))?;
    if content.size != size {
        return Err(another_size(content.blob.0));
    }
    Ok((content, content.blob == fresh))
}

/// Queues the leaves of an object's content that do not lie where its class asks for; whether they should
/// move is for the mover to find out, which sees all objects.
pub(crate) async fn suspect_tier(
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
pub(crate) async fn suspect_blob_tier(
    batch: &mut Batch<'_>,
    content: &Content,
    class: StorageClass,
) -> Result<(), Fault> {
    let statement = match content.layout {
        Layout::Leaf => sql!(
            "INSERT INTO move_candidates (blob_id) SELECT b.id FROM blobs b \
             JOIN segments g ON g.id = b.segment_id WHERE b.id = $1 AND g.tier <> $2 \
             ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
        ),
        Layout::Pieces => sql!(
            "INSERT INTO move_candidates (blob_id) SELECT DISTINCT e.child_id FROM extents e \
             JOIN blobs b ON b.id = e.child_id JOIN segments g ON g.id = b.segment_id \
             WHERE e.parent_id = $1 AND g.tier <> $2 ORDER BY e.child_id \
             ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
        ),
    };
    batch.tx.query(statement).bind(content.blob.0).bind(class.code()).execute().await?;
    Ok(())
}
