//! Uploads in parts, until they are completed (see `parts`) or aborted.

use std::ops::Bound;

use uuid::Uuid;

use super::tally::Tally;
use super::{candidates, spaces};
use crate::application::ports::metadata::{ListUploadsQuery, Refusal};
use crate::domain::address::{BucketName, Key, SpaceAddress, after_prefix};
use crate::domain::blob::BlobId;
use crate::domain::checksum::{ChecksumAlgorithm, ChecksumKind};
use crate::domain::multipart::{Part, PartNumber, Upload, UploadId, UploadParts};
use crate::domain::naming::Layout;
use crate::domain::object::Attributes;
use crate::domain::space::{Space, SpaceId};
use crate::domain::storage_class::{ClassName, StorageClass};
use crate::domain::timestamp::Timestamp;
use crate::domain::versioning::check_lock_asked;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// The facts of a new upload.
pub(crate) struct NewUpload<'a> {
    pub(crate) id: UploadId,
    pub(crate) space: &'a SpaceAddress,
    pub(crate) bucket: Option<&'a BucketName>,
    pub(crate) key: Option<&'a Key>,
    pub(crate) attributes: &'a Attributes,
    pub(crate) checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    pub(crate) now: Timestamp,
}

pub(crate) async fn create(db: &Database, new: NewUpload<'_>) -> Result<Result<Upload, Refusal>, Fault> {
    transaction!(db, |tx| {
        let stands = match new.bucket {
            Some(bucket) => spaces::bucket_names(&mut tx, bucket, new.space).await?,
            None => true,
        };
        if stands {
            let space = spaces::ensure_space(&mut tx, new.space, new.now).await?;
            if let Err(denial) = check_lock_asked(Some(&space), &new.attributes.lock) {
                Err(denial.into())
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

pub(crate) async fn find(db: &Database, id: UploadId) -> Result<Option<Upload>, Fault> {
    db.read(sql!(upload, " WHERE u.id = $1")).bind(id.0).find(rows::upload).await
}

/// The upload, locked: no other transaction changes or ends it until this one has ended.
pub(crate) async fn lock(tx: &mut Transaction, id: UploadId) -> Result<Option<Upload>, Fault> {
    if hold(tx, id).await?.is_some() { look(tx, id).await } else { Ok(None) }
}

/// The counts of an upload's parts.
pub(crate) struct Counts {
    /// The extents that an object of all of them would have.
    pub(crate) pieces: u64,
    /// How often they have changed.
    pub(crate) revision: u64,
}

/// The counts of an upload, if there is one. It is locked: no other transaction changes or ends it until this one has ended.
pub(crate) async fn hold(tx: &mut Transaction, id: UploadId) -> Result<Option<Counts>, Fault> {
    tx.query(sql!("SELECT u.pieces, u.revision FROM uploads u WHERE u.id = $1", for_update))
        .bind(id.0)
        .find(|row| {
            // Less than nothing if a release that does not count replaced parts.
            let pieces = u64::try_from(row.get::<i64>("pieces")?).unwrap_or_default();
            Ok(Counts { pieces, revision: rows::count(row, "revision")? })
        })
        .await
}

/// Counts a part of `pieces` that took the place of one of `replaced`, inside a transaction that holds the upload.
pub(crate) async fn count_part(
    tx: &mut Transaction,
    id: UploadId,
    pieces: u64,
    replaced: u64,
) -> Result<(), Fault> {
    tx.query(sql!("UPDATE uploads SET pieces = pieces + $2, revision = revision + 1 WHERE id = $1"))
        .bind(id.0)
        .bind(rows::signed(pieces)? - rows::signed(replaced)?)
        .execute()
        .await?;
    Ok(())
}

/// All parts of an upload. The revision is read first: if a part lands behind it, the upload is at a later one.
pub(crate) async fn parts(db: &Database, id: UploadId) -> Result<Option<UploadParts>, Fault> {
    let revision = db
        .read(sql!("SELECT u.revision FROM uploads u WHERE u.id = $1"))
        .bind(id.0)
        .find(|row| rows::count(row, "revision"))
        .await?;
    let Some(revision) = revision else { return Ok(None) };
    let parts =
        db.read(sql!(part, " WHERE p.upload_id = $1 ORDER BY p.number")).bind(id.0).map(rows::part).await?;
    // Those that were sent are one piece each.
    let copied = parts.iter().any(|part| part.layout == Layout::Pieces);
    let pieces = if copied {
        db.read(sql!(pieces_of_parts)).bind(id.0).map(pieces_of_part).await?
    } else {
        Vec::new()
    };
    Ok(Some(UploadParts { revision, parts, pieces: pieces.into_iter().collect() }))
}

fn pieces_of_part(row: &Row) -> Result<(PartNumber, u64), Fault> {
    let number: i16 = row.get("number")?;
    let number = PartNumber::new(i64::from(number)).map_err(|invalid| Fault::failed(invalid.to_string()))?;
    Ok((number, rows::count(row, "pieces")?))
}

/// The upload as it is now. All but its space stays so as long as there is one.
pub(crate) async fn look(tx: &mut Transaction, id: UploadId) -> Result<Option<Upload>, Fault> {
    tx.query(sql!(upload, " WHERE u.id = $1")).bind(id.0).find(rows::upload).await
}

pub(crate) async fn list_parts(
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

pub(crate) async fn list(db: &Database, query: &ListUploadsQuery) -> Result<Vec<Upload>, Fault> {
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

/// The bytes of the parts of uploads that have any.
pub(crate) async fn bytes(db: &Database, ids: &[UploadId]) -> Result<Vec<(UploadId, u64)>, Fault> {
    let mut found = Vec::with_capacity(ids.len());
    for portion in db.portions(ids) {
        let statement = db.read_list(
            sql!(
                "SELECT upload_id, CAST(SUM(size) AS BIGINT) AS bytes FROM upload_parts WHERE upload_id IN (",
                list,
                ") GROUP BY upload_id"
            ),
            0,
            portion.len(),
        );
        let statement = statement.bind_all(portion.iter().map(|id| id.0));
        found.extend(
            statement.map(|row| Ok((UploadId(row.get("upload_id")?), rows::count(row, "bytes")?))).await?,
        );
    }
    Ok(found)
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

pub(crate) async fn abort(db: &Database, id: UploadId) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        match lock(&mut tx, id).await? {
            Some(upload) => {
                let mut tally = Tally::default();
                remove(&mut tx, id, upload.space.id, upload.attributes.class, &mut tally).await?;
                tally.write(&mut tx).await?;
                true
            }
            None => false,
        }
    })
}

/// Ends every upload of a space. They are locked first, all of them, as a completion or an abort locks one: otherwise
/// each could wait for what the other removes.
pub(crate) async fn abort_all(tx: &mut Transaction, space: i64) -> Result<(), Fault> {
    let uploads = tx
        .query(sql!("SELECT id, class FROM uploads WHERE space_id = $1 ORDER BY id", for_update))
        .bind(space)
        .map(|row| {
            let class = row.get::<Option<i16>>("class")?.and_then(StorageClass::from_code);
            Ok((UploadId(row.get("id")?), class))
        })
        .await?;
    let mut tally = Tally::default();
    for (id, class) in uploads {
        remove(tx, id, SpaceId(space), class, &mut tally).await?;
    }
    tally.write(tx).await
}

/// Removes an upload and its parts, whose blobs become candidates.
async fn remove(
    tx: &mut Transaction,
    id: UploadId,
    space: SpaceId,
    class: Option<StorageClass>,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let bytes = tx
        .query(sql!(
            "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes FROM upload_parts WHERE upload_id = $1"
        ))
        .bind(id.0)
        .one()
        .await?;
    tally.parts_gone(space, class, rows::count(&bytes, "bytes")?)?;
    suspect_parts(tx, id).await?;
    end(tx, id, None).await
}

/// The blobs of all parts of an upload may lose their last reference.
pub(crate) async fn suspect_parts(tx: &mut Transaction, id: UploadId) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO gc_candidates (blob_id) SELECT DISTINCT p.blob_id FROM upload_parts p \
         WHERE p.upload_id = $1 ORDER BY p.blob_id \
         ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
    ))
    .bind(id.0)
    .execute()
    .await?;
    Ok(())
}

/// The same for those that were copied from composites; an object refers to the leaves of the others by now.
pub(crate) async fn suspect_copied_parts(tx: &mut Transaction, id: UploadId) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO gc_candidates (blob_id) SELECT DISTINCT p.blob_id FROM upload_parts p \
         JOIN blobs b ON b.id = p.blob_id WHERE p.upload_id = $1 AND b.segment_id IS NULL ORDER BY p.blob_id \
         ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
    ))
    .bind(id.0)
    .execute()
    .await?;
    Ok(())
}

/// Removes some parts of an upload, by their numbers.
pub(crate) async fn drop_parts(
    tx: &mut Transaction,
    id: UploadId,
    numbers: &[PartNumber],
) -> Result<(), Fault> {
    for portion in tx.portions(numbers) {
        let statement = tx.query_list(
            sql!("DELETE FROM upload_parts WHERE upload_id = $1 AND number IN (", list, ")"),
            1,
            portion.len(),
        );
        let numbers = portion.iter().map(|number| i64::from(number.get()));
        statement.bind(id.0).bind_all(numbers).execute().await?;
    }
    Ok(())
}

/// Removes an upload and its parts; `taken` is the composite that they became.
pub(crate) async fn end(tx: &mut Transaction, id: UploadId, taken: Option<BlobId>) -> Result<(), Fault> {
    release_draft(tx, id, taken).await?;
    tx.query(sql!("DELETE FROM upload_parts WHERE upload_id = $1")).bind(id.0).execute().await?;
    tx.query(sql!("DELETE FROM uploads WHERE id = $1")).bind(id.0).execute().await?;
    Ok(())
}

pub(crate) async fn stale(db: &Database, before: Timestamp, limit: u32) -> Result<Vec<UploadId>, Fault> {
    db.read(sql!("SELECT id FROM uploads WHERE created_at < $1 ORDER BY created_at, id LIMIT $2"))
        .bind(before.millis())
        .bind(i64::from(limit))
        .map(|row| row.first::<Uuid>().map(UploadId))
        .await
}

/// The draft of an upload that the transaction holds.
pub(crate) async fn draft_of(tx: &mut Transaction, id: UploadId) -> Result<Option<BlobId>, Fault> {
    let draft =
        tx.query(sql!("SELECT draft_id FROM uploads WHERE id = $1")).bind(id.0).find(draft_id).await?;
    Ok(draft.flatten())
}

fn draft_id(row: &Row) -> Result<Option<BlobId>, Fault> {
    Ok(row.get::<Option<Uuid>>("draft_id")?.map(BlobId))
}

/// Ends an upload's hold on its draft: unless the draft became `taken`, it is GC's.
async fn release_draft(tx: &mut Transaction, id: UploadId, taken: Option<BlobId>) -> Result<(), Fault> {
    match draft_of(tx, id).await? {
        Some(draft) if Some(draft) != taken => candidates::suspect(tx, &[draft]).await,
        _ => Ok(()),
    }
}
