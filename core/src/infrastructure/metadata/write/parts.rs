//! Parts of uploads, and the objects they make.

use std::collections::BTreeSet;

use super::batch::{Applied, Batch};
use super::content::{self, Placed};
use super::extents::{self, Written};
use super::versions::{Bytes, NewVersion, Versions};
use super::{candidates, completions, drafts, uploads};
use crate::application::ports::metadata::{
    CompleteUpload, Draft, MutationOutcome, NewContent, PutPart, Refusal,
};
use crate::domain::blob::BlobId;
use crate::domain::checksum::{Checksum, of_completion};
use crate::domain::completion::Completed;
use crate::domain::multipart::{
    PART_PIECES_MAX, PIECES_MAX, PORTION_PIECES_MAX, Part, UploadId, UploadParts, check_pieces, etag_of_parts,
};
use crate::domain::naming::{ContentName, Layout, PartCount};
use crate::domain::object::Content;
use crate::domain::range::Span;
use crate::domain::space::SpaceId;
use crate::domain::versioning::plan_put;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;

pub(crate) async fn put_part(batch: &mut Batch<'_>, put: &PutPart) -> Result<Applied, Fault> {
    let Some(counts) = uploads::hold(batch.tx, put.upload).await? else {
        return Ok(Err(Refusal::NoSuchUpload));
    };
    let Some(upload) = uploads::look(batch.tx, put.upload).await? else {
        return Ok(Err(Refusal::NoSuchUpload));
    };
    let replaced = replaced_by(batch, put).await?;
    let freed = replaced.as_ref().map_or(0, |content| content.size);
    // Before its segment is fenced, as with a put.
    if let NewContent::Staged(leaf) = &put.content
        && let Err(refusal) = batch.ledger.admit_part(put.quota.as_ref(), leaf.location.length, freed)
    {
        return Ok(Err(refusal));
    }
    let source = match content::check(batch, &put.domain, &put.content).await? {
        Ok(source) => source,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let pieces = source.pieces(batch.tx).await?;
    let pieces_before = match &replaced {
        Some(content) => extents::pieces_of(batch.tx, content, Span::whole(content.size)).await?,
        None => 0,
    };
    let all = counts.pieces.saturating_sub(pieces_before).saturating_add(pieces);
    // What was sent is one piece and never too many: PIECES_MAX is more than the parts that an upload can have.
    if let Err(refusal) = check_pieces(pieces, PART_PIECES_MAX)
        .and_then(|()| if pieces > 1 { check_pieces(all, PIECES_MAX) } else { Ok(()) })
    {
        return Ok(Err(refusal.into()));
    }
    if !matches!(put.content, NewContent::Staged(_))
        && let Err(refusal) = batch.ledger.admit_part(put.quota.as_ref(), source.size(), freed)
    {
        return Ok(Err(refusal));
    }
    batch.unannounce(put.announced).await?;
    let Placed { content, dropped, .. } = content::place(batch, &put.domain, upload.space.id, source).await?;
    batch
        .tx
        .query(sql!(
            "INSERT INTO upload_parts (upload_id, number, blob_id, size, etag, md5, checksum, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (upload_id, number) DO UPDATE SET \
             blob_id = excluded.blob_id, size = excluded.size, etag = excluded.etag, md5 = excluded.md5, \
             checksum = excluded.checksum, created_at = excluded.created_at"
        ))
        .bind(put.upload.0)
        .bind(i64::from(put.number.get()))
        .bind(content.blob.0)
        .bind(rows::signed(content.size)?)
        .bind(put.etag.as_str())
        .bind(put.md5.map(|digest| digest.to_vec()))
        .bind(put.checksum.as_ref().map(Checksum::to_stored))
        .bind(batch.now.millis())
        .later()
        .await?;
    uploads::count_part(batch.tx, put.upload, pieces, pieces_before).await?;
    batch.tally.part_landed(&upload, content.size, freed)?;
    if let Some(replaced) = replaced.filter(|replaced| replaced.blob != content.blob) {
        candidates::suspect(batch.tx, &[replaced.blob]).await?;
    }
    let part = Part {
        number: put.number,
        blob: content.blob,
        name: content.name,
        layout: content.layout,
        size: content.size,
        etag: put.etag.clone(),
        md5: put.md5,
        checksum: put.checksum.clone(),
        created_at: batch.now,
    };
    Ok(Ok(MutationOutcome::Part { part: Box::new(part), dropped }))
}

/// The content of the part that a new one replaces.
async fn replaced_by(batch: &mut Batch<'_>, put: &PutPart) -> Result<Option<Content>, Fault> {
    batch
        .tx
        .query(sql!(part, " WHERE p.upload_id = $1 AND p.number = $2"))
        .bind(put.upload.0)
        .bind(i64::from(put.number.get()))
        .find(|row| rows::content(row, BlobId(row.get("blob_id")?)))
        .await
}

pub(crate) async fn complete(batch: &mut Batch<'_>, complete: &CompleteUpload) -> Result<Applied, Fault> {
    let Some(upload) = uploads::look(batch.tx, complete.upload).await? else {
        return Ok(Err(Refusal::NoSuchUpload));
    };
    // Bucket and space before the upload, as the removal of a bucket takes them: in another order each could wait
    // for the other. Taken through the batch, which holds the space's settings until the end.
    batch.space_of(&upload.space.address, complete.bucket.as_ref()).await?;
    let space = batch.ensure_space(&upload.space.address).await?;
    if !batch.bucket_stands(complete.bucket.as_ref(), Some(space.id)).await? {
        return Ok(Err(Refusal::NoSuchBucket));
    }
    if let Err(refusal) = batch.admit_told(Some(&space), upload.key.as_ref()).await? {
        return Ok(Err(refusal));
    }
    let Some(counts) = uploads::hold(batch.tx, complete.upload).await? else {
        return Ok(Err(Refusal::NoSuchUpload));
    };
    let all = &complete.read;
    if all.revision != counts.revision {
        return Ok(Err(Refusal::Changed));
    }
    let expected = (complete.expected_size, complete.expected_kind);
    let parts = match all.choose(complete.claims.as_deref(), upload.checksum, expected) {
        Ok(parts) => parts,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let sums: Vec<_> = parts.iter().map(|part| (part.checksum.clone(), part.size)).collect();
    let Ok(checksum) = of_completion(upload.checksum, complete.expected.as_ref(), &sums) else {
        return Ok(Err(Refusal::ChecksumMismatch));
    };
    let latest = match &upload.key {
        Some(key) => batch.latest(space.id, key).await?,
        None => None,
    };
    let address = &upload.space.address;
    let mut versions = match &upload.key {
        Some(key) => Versions::of_one(batch, &space, address, key, latest).await?,
        None => Versions::default(),
    };
    let there = versions.of(address, upload.key.as_ref());
    let plan =
        match plan_put(Some(&space), &there, &complete.preconditions, &upload.attributes.lock, batch.now) {
            Ok(plan) => plan,
            Err(denial) => return Ok(Err(denial.into())),
        };

    let size = parts.iter().map(|part| part.size).sum();
    let names: Vec<_> = parts.iter().map(|part| part.name).collect();
    let name = ContentName::of_parts(&names);
    let Some(origin) = origin_of(batch, complete, all, &parts, name, size).await? else {
        return Ok(Err(Refusal::Changed));
    };
    let held = all.parts.iter().map(|part| part.size).sum();
    let quota = complete.quota.as_ref();
    if let Err(refusal) = batch.ledger.admit_completion(quota, held, size, plan.freed()) {
        return Ok(Err(refusal));
    }

    let (content, is_new) = compose(batch, complete, space.id, origin, &parts, name, size).await?;
    batch.tally.parts_gone(upload.space.id, upload.attributes.class, held)?;
    drop_left_out(batch, &all.parts, &parts, complete.upload).await?;
    if is_new {
        uploads::suspect_copied_parts(batch.tx, complete.upload).await?;
    } else {
        uploads::suspect_parts(batch.tx, complete.upload).await?;
    }
    keep_checksums(batch, content.blob, &parts).await?;
    let left_out = parts.len() < all.parts.len();
    let completed = Completed::of(&parts, left_out, &complete.preconditions);
    completions::remember(batch.tx, complete.upload, &completed).await?;
    uploads::end(batch.tx, complete.upload, Some(content.blob)).await?;
    let new = NewVersion {
        address,
        space: Some(space),
        key: upload.key.as_ref(),
        id: complete.id,
        etag: etag_of_parts(&parts, name),
        attributes: Some(&upload.attributes),
        checksum,
        completes: Some(upload.id),
        announced: None,
        pulled: None,
        bytes: Bytes::Placed(content),
    };
    let at = versions.replace(batch, new, &plan).await?;
    let object = versions.write(batch).await?.made(at)?.object.clone();
    Ok(Ok(MutationOutcome::Object { object: Box::new(object), dropped: None }))
}

/// Where the composite of a completion comes from.
enum Origin {
    /// Its stretches are few: they are written, unless the domain has it.
    Written,
    /// The domain has it.
    Found(Content),
    /// It was drafted.
    Drafted(BlobId),
}

/// Where the composite of the chosen parts comes from; `None` if it is too long to be written in one transaction and was not
/// drafted.
async fn origin_of(
    batch: &mut Batch<'_>,
    complete: &CompleteUpload,
    all: &UploadParts,
    parts: &[Part],
    name: ContentName,
    size: u64,
) -> Result<Option<Origin>, Fault> {
    if all.pieces_of(parts) <= PORTION_PIECES_MAX {
        return Ok(Some(Origin::Written));
    }
    if let Some(content) = content::named(batch, &complete.domain, name, size).await? {
        return Ok(Some(Origin::Found(content)));
    }
    match complete.draft {
        Some(Draft { blob, revision })
            if revision == all.revision
                && drafts::stands(batch.tx, complete.upload, blob, name, size).await? =>
        {
            Ok(Some(Origin::Drafted(blob)))
        }
        _ => Ok(None),
    }
}

/// The composite of the chosen parts, and whether it is new.
async fn compose(
    batch: &mut Batch<'_>,
    complete: &CompleteUpload,
    space: SpaceId,
    origin: Origin,
    parts: &[Part],
    name: ContentName,
    size: u64,
) -> Result<(Content, bool), Fault> {
    match origin {
        Origin::Found(content) => Ok((content, false)),
        Origin::Drafted(blob) => {
            drafts::take(batch.tx, blob, space, name).await?;
            let parts = PartCount::of(parts);
            Ok((Content { blob, name, layout: Layout::Pieces, parts, size }, true))
        }
        Origin::Written => {
            let (content, is_new) =
                content::place_composite(batch, &complete.domain, space, name, PartCount::of(parts), size)
                    .await?;
            if is_new {
                let (upload, none) = (complete.upload, Written::default());
                extents::add_parts(batch.tx, content.blob, upload, parts, none).await?;
            }
            Ok((content, is_new))
        }
    }
}

/// Removes the parts that a completion leaves out; their blobs may lose their last reference.
async fn drop_left_out(
    batch: &mut Batch<'_>,
    all: &[Part],
    chosen: &[Part],
    upload: UploadId,
) -> Result<(), Fault> {
    if all.len() == chosen.len() {
        return Ok(());
    }
    let chosen: BTreeSet<_> = chosen.iter().map(|part| part.number).collect();
    let left_out: Vec<_> = all.iter().filter(|part| !chosen.contains(&part.number)).collect();
    let blobs: Vec<_> = left_out.iter().map(|part| part.blob).collect();
    candidates::suspect(batch.tx, &blobs).await?;
    let numbers: Vec<_> = left_out.iter().map(|part| part.number).collect();
    uploads::drop_parts(batch.tx, upload, &numbers).await
}

/// Remembers the parts' checksums, if each has one of the same algorithm.
async fn keep_checksums(batch: &mut Batch<'_>, blob: BlobId, parts: &[Part]) -> Result<(), Fault> {
    let of_parts: Option<Vec<_>> = parts.iter().map(|part| part.checksum.as_ref()).collect();
    let Some(of_parts) = of_parts else { return Ok(()) };
    let Some(algorithm) = of_parts.first().map(|checksum| checksum.algorithm) else { return Ok(()) };
    if of_parts.iter().any(|checksum| checksum.algorithm != algorithm) {
        return Ok(());
    }
    let values: Vec<_> = of_parts.iter().map(|checksum| checksum.value.as_str()).collect();
    batch
        .tx
        .query(sql!(
            "INSERT INTO part_checksums (blob_id, algorithm, checksums) VALUES ($1, $2, $3) \
             ON CONFLICT (blob_id, algorithm) DO NOTHING"
        ))
        .bind(blob.0)
        .bind(algorithm.as_str())
        .bind(values.join(","))
        .later()
        .await?;
    Ok(())
}
