//! Uploads in parts, until they are completed (see `parts`) or aborted.

use std::ops::Bound;

use uuid::Uuid;

use super::database::Database;
use super::dialect::{Fault, after_prefix, sql};
use super::statement::Row;
use super::transaction::{Transaction, transaction};
use super::{garbage, rows, spaces};
use crate::application::ports::metadata::{ListUploadsQuery, Refusal};
use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::blob::BlobId;
use crate::domain::checksum::{ChecksumAlgorithm, ChecksumKind};
use crate::domain::multipart::{Part, PartNumber, Upload, UploadId};
use crate::domain::object::Attributes;
use crate::domain::space::Space;
use crate::domain::storage_class::{ClassName, StorageClass};
use crate::domain::timestamp::Timestamp;

/// What a new upload is made of.
pub(super) struct NewUpload<'a> {
    pub(super) id: UploadId,
    pub(super) space: &'a SpaceAddress,
    pub(super) bucket: Option<&'a BucketName>,
    pub(super) key: Option<&'a Key>,
    pub(super) attributes: &'a Attributes,
    pub(super) checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    pub(super) now: Timestamp,
}

pub(super) async fn create(db: &Database, new: NewUpload<'_>) -> Result<Result<Upload, Refusal>, Fault> {
    transaction!(db, |tx| {
        let stands = match new.bucket {
            Some(bucket) => spaces::bucket_names(&mut tx, bucket, new.space).await?,
            None => true,
        };
        if stands {
            let space = spaces::ensure_space(&mut tx, new.space, new.now).await?;
            if !new.attributes.lock.is_empty() && space.object_lock.is_none() {
                Err(Refusal::NoObjectLock)
            } else {
                insert(&mut tx, &new, &space).await?;
                Ok(Upload {
                    id: new.id,
                    space,
                    key: new.key.cloned(),
                    attributes: new.attributes.clone(),
                    checksum: new.checksum,
                    created_at: new.now,
                })
            }
        } else {
            Err(Refusal::NoSuchBucket)
        }
    })
}

async fn insert(tx: &mut Transaction, new: &NewUpload<'_>, space: &Space) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO uploads (id, space_id, key, class, headers, metadata, tags, object_lock, \
         checksum_algorithm, checksum_kind, created_at, acl, class_name) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    ))
    .bind(new.id.0)
    .bind(space.id.0)
    .bind(new.key.map_or("", Key::as_str))
    .bind(new.attributes.class.map(StorageClass::code))
    .bind(rows::json(&new.attributes.headers)?)
    .bind(rows::json(&new.attributes.metadata)?)
    .bind(rows::json(&new.attributes.tags)?)
    .bind(rows::json(&new.attributes.lock)?)
    .bind(new.checksum.map(|(algorithm, _)| algorithm.as_str()))
    .bind(new.checksum.map(|(_, kind)| kind.as_str()))
    .bind(new.now.millis())
    .bind(new.attributes.acl.code())
    .bind(new.attributes.class_name.map(ClassName::code))
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn find(db: &Database, id: UploadId) -> Result<Option<Upload>, Fault> {
    db.read(sql!(upload, " WHERE u.id = $1")).bind(id.0).find(rows::upload).await
}

/// The upload, which nobody else then changes or ends until the end of the transaction.
pub(super) async fn lock(tx: &mut Transaction, id: UploadId) -> Result<Option<Upload>, Fault> {
    if hold(tx, id).await? { look(tx, id).await } else { Ok(None) }
}

/// Whether there is such an upload, which nobody else then changes or ends until the end of the transaction.
pub(super) async fn hold(tx: &mut Transaction, id: UploadId) -> Result<bool, Fault> {
    let held = tx
        .query(sql!("SELECT u.id FROM uploads u WHERE u.id = $1", for_update))
        .bind(id.0)
        .optional()
        .await?;
    Ok(held.is_some())
}

/// The upload as it is now. All but its space stays so as long as there is one.
pub(super) async fn look(tx: &mut Transaction, id: UploadId) -> Result<Option<Upload>, Fault> {
    tx.query(sql!(upload, " WHERE u.id = $1")).bind(id.0).find(rows::upload).await
}

pub(super) async fn list_parts(
    db: &Database,
    id: UploadId,
    after: Option<PartNumber>,
    limit: u32,
) -> Result<Vec<Part>, Fault> {
    db.read(sql!(part, " WHERE p.upload_id = $1 AND p.number > $2 ORDER BY p.number LIMIT $3"))
        .bind(id.0)
        .bind(after.map_or(0, |number| i64::from(number.get())))
        .bind(i64::from(limit))
        .map(rows::part)
        .await
}

/// All parts, ascending, inside a transaction that holds the upload.
pub(super) async fn all_parts(tx: &mut Transaction, id: UploadId) -> Result<Vec<Part>, Fault> {
    tx.query(sql!(part, " WHERE p.upload_id = $1 ORDER BY p.number")).bind(id.0).map(rows::part).await
}

pub(super) async fn list(db: &Database, query: &ListUploadsQuery) -> Result<Vec<Upload>, Fault> {
    let limit = i64::from(query.limit);
    let mut page = Vec::new();
    // Where the keys begin, and whether that key itself is included.
    let (from, included) = match &query.from {
        Bound::Excluded(key) if key.as_str() >= query.prefix.as_str() => {
            if let Some(upload) = query.from_upload {
                page = rest_of_key(db, query, key, upload).await?;
            }
            (key.as_str(), false)
        }
        Bound::Included(key) if key.as_str() >= query.prefix.as_str() => (key.as_str(), true),
        _ => (query.prefix.as_str(), true),
    };
    let left = limit.saturating_sub(i64::try_from(page.len()).unwrap_or(i64::MAX));
    if left > 0 {
        let end = after_prefix(&query.prefix);
        // Keys of uploads are few: the first key is compared once more instead of in statements of its own.
        let statement = db
            .read(sql!(
                upload,
                " WHERE u.space_id = $1 AND u.key >= $2 AND (u.key > $2 OR $3) \
                 AND (u.key < $4 OR $4 IS NULL) ORDER BY u.key, u.created_at, u.id LIMIT $5"
            ))
            .bind(query.space.0)
            .bind(from)
            .bind(included)
            .bind(end.as_deref())
            .bind(left);
        page.extend(statement.map(rows::upload).await?);
    }
    Ok(page)
}

async fn rest_of_key(
    db: &Database,
    query: &ListUploadsQuery,
    key: &str,
    after: UploadId,
) -> Result<Vec<Upload>, Fault> {
    if !key.starts_with(&query.prefix) {
        return Ok(Vec::new());
    }
    // The upload that the page follows may be gone by now; its id still tells its age, being a UUIDv7.
    let begun = db
        .read(sql!("SELECT created_at FROM uploads WHERE id = $1"))
        .bind(after.0)
        .find(Row::first::<i64>)
        .await?
        .unwrap_or_else(|| age_of(after.0));
    db.read(sql!(
        upload,
        " WHERE u.space_id = $1 AND u.key = $2 AND (u.created_at, u.id) > ($3, $4) \
         ORDER BY u.created_at, u.id LIMIT $5"
    ))
    .bind(query.space.0)
    .bind(key)
    .bind(begun)
    .bind(after.0)
    .bind(i64::from(query.limit))
    .map(rows::upload)
    .await
}

/// The milliseconds in a `UUIDv7` (RFC 9562 section 5.7).
fn age_of(id: Uuid) -> i64 {
    i64::try_from(id.as_u128() >> 80).unwrap_or_default()
}

pub(super) async fn abort(db: &Database, id: UploadId) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let found = lock(&mut tx, id).await?.is_some();
        if found {
            remove(&mut tx, id).await?;
        }
        found
    })
}

/// Ends every upload of a space. They are held first, whole, as whoever completes or aborts one holds it: otherwise
/// each could wait for what the other removes.
pub(super) async fn abort_all(tx: &mut Transaction, space: i64) -> Result<(), Fault> {
    let ids = tx
        .query(sql!("SELECT id FROM uploads WHERE space_id = $1 ORDER BY id", for_update))
        .bind(space)
        .map(Row::first::<Uuid>)
        .await?;
    for id in ids {
        remove(tx, UploadId(id)).await?;
    }
    Ok(())
}

/// Removes an upload and its parts, whose blobs become candidates.
async fn remove(tx: &mut Transaction, id: UploadId) -> Result<(), Fault> {
    let blobs = end(tx, id).await?;
    garbage::suspect(tx, &blobs).await
}

/// Removes an upload and its parts; the blobs that the parts referred to.
pub(super) async fn end(tx: &mut Transaction, id: UploadId) -> Result<Vec<BlobId>, Fault> {
    let blobs = tx
        .query(sql!("DELETE FROM upload_parts WHERE upload_id = $1 RETURNING blob_id"))
        .bind(id.0)
        .map(|row| row.first::<Uuid>().map(BlobId))
        .await?;
    tx.query(sql!("DELETE FROM uploads WHERE id = $1")).bind(id.0).execute().await?;
    Ok(blobs)
}

pub(super) async fn stale(db: &Database, before: Timestamp, limit: u32) -> Result<Vec<UploadId>, Fault> {
    db.read(sql!("SELECT id FROM uploads WHERE created_at < $1 ORDER BY created_at, id LIMIT $2"))
        .bind(before.millis())
        .bind(i64::from(limit))
        .map(|row| row.first::<Uuid>().map(UploadId))
        .await
}
