//! Parts of uploads, and the objects they make.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::batch::Batch;
use super::commit::Applied;
use super::content::{self, Placed};
use super::dialect::{Fault, sql};
use super::put::{NewVersion, publish, refuse_lock};
use super::refusals::refuse;
use super::{extents, garbage, rows, uploads};
use crate::application::ports::metadata::{CompleteUpload, Outcome, PutPart, Refusal};
use crate::domain::blob::{BlobId, ContentHash};
use crate::domain::checksum::{Checksum, of_completion};
use crate::domain::multipart::{Part, etag_of_parts, select_parts};
use crate::domain::object::Content;
use crate::domain::range::Span;

pub(super) async fn put_part(batch: &mut Batch<'_>, put: &PutPart) -> Result<Applied, Fault> {
    let Some(upload) = uploads::lock(batch.tx, put.upload).await? else {
        return Ok(Err(Refusal::NoSuchUpload));
    };
    let source = match content::check(batch, &put.domain, &put.content).await? {
        Ok(source) => source,
        Err(refusal) => return Ok(Err(refusal)),
    };
    batch.unannounce(put.announced).await?;
    let Placed { content, dropped, .. } = content::place(batch, &put.domain, upload.space.id, source).await?;
    let replaced = batch
        .tx
        .query(sql!("SELECT blob_id FROM upload_parts WHERE upload_id = $1 AND number = $2"))
        .bind(put.upload.0)
        .bind(i64::from(put.number.get()))
        .find(|row| row.first::<Uuid>().map(BlobId))
        .await?;
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
        .execute()
        .await?;
    if let Some(replaced) = replaced.filter(|blob| *blob != content.blob) {
        garbage::suspect(batch.tx, &[replaced]).await?;
    }
    let part = Part {
        number: put.number,
        blob: content.blob,
        content: content.hash,
        size: content.size,
        etag: put.etag.clone(),
        md5: put.md5,
        checksum: put.checksum.clone(),
        created_at: batch.now,
    };
    Ok(Ok(Outcome::Part { part: Box::new(part), dropped }))
}

pub(super) async fn complete(batch: &mut Batch<'_>, complete: &CompleteUpload) -> Result<Applied, Fault> {
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
    if !uploads::hold(batch.tx, complete.upload).await? {
        return Ok(Err(Refusal::NoSuchUpload));
    }
    let all = uploads::all_parts(batch.tx, complete.upload).await?;
    let parts = match select_parts(&all, &complete.claims) {
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
    if let Some(refusal) = refuse(&complete.preconditions, latest.as_ref()) {
        return Ok(Err(refusal));
    }
    let (key, attributes) = (upload.key.as_ref(), &upload.attributes);
    if let Some(refusal) = refuse_lock(batch, Some(&space), latest.as_ref(), key, attributes).await? {
        return Ok(Err(refusal));
    }

    let size = parts.iter().map(|part| part.size).sum();
    let replaced = latest.as_ref().and_then(|latest| latest.makes_way(space.versioning));
    let quota = complete.quota.as_ref().map(|(_, quota)| quota);
    if let Err(refusal) = batch.ledger.admit(&space.address.tenant, quota, size, replaced) {
        return Ok(Err(refusal));
    }

    let hashes: Vec<_> = parts.iter().map(|part| part.content).collect();
    let hash = ContentHash::of_parts(&hashes);
    let mut pieces = Vec::with_capacity(parts.len());
    for (number, part) in (1..).zip(&parts) {
        let content = Content { blob: part.blob, hash: part.content, size: part.size };
        pieces.extend(extents::pieces_of(batch, number, &content, Span::whole(part.size)).await?);
    }
    let (content, is_new) =
        content::place_composite(batch, &complete.domain, space.id, hash, size, &pieces).await?;
    keep_checksums(batch, content.blob, &parts).await?;
    let mut suspects: BTreeSet<_> = uploads::end(batch.tx, complete.upload).await?.into_iter().collect();
    if is_new {
        // These were just referred to; every other part's blob may have lost its last reference.
        for piece in &pieces {
            suspects.remove(&piece.child);
        }
    }
    garbage::suspect(batch.tx, &suspects.into_iter().collect::<Vec<_>>()).await?;
    let new = NewVersion {
        key: upload.key.as_ref(),
        id: complete.id,
        etag: etag_of_parts(&parts, hash),
        attributes: &upload.attributes,
        checksum,
        completes: Some(upload.id),
        latest,
    };
    let object = publish(batch, &space, new, &Placed::of(content)).await?;
    Ok(Ok(Outcome::Object { object: Box::new(object), dropped: None }))
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
        .execute()
        .await?;
    Ok(())
}
