//! New versions of keys, and keyless objects.

use super::commit::{Applied, Batch, held, refuse};
use super::content::{self, Placed};
use super::dialect::{Fault, sql};
use super::rows;
use crate::application::ports::metadata::{Outcome, PutObject, Refusal};
use crate::domain::address::Key;
use crate::domain::checksum::Checksum;
use crate::domain::etag::Etag;
use crate::domain::multipart::UploadId;
use crate::domain::object::{Attributes, Content, Object, ObjectId};
use crate::domain::space::{Space, Versioning};

pub(super) async fn put(batch: &mut Batch<'_>, put: &PutObject) -> Result<Applied, Fault> {
    let space = batch.space(&put.space).await?;
    if !batch.bucket_stands(put.bucket.as_ref(), space.as_ref().map(|space| space.id)).await? {
        return Ok(Err(Refusal::NoSuchBucket));
    }
    let latest = match (&space, &put.key) {
        (Some(space), Some(key)) => batch.latest(space.id, key).await?,
        _ => None,
    };
    if let Some(refusal) = refuse(&put.preconditions, latest.as_ref()) {
        return Ok(Err(refusal));
    }
    if let Some(refusal) =
        refuse_lock(batch, space.as_ref(), latest.as_ref(), put.key.as_ref(), &put.attributes).await?
    {
        return Ok(Err(refusal));
    }
    let source = match content::check(batch, &put.domain, &put.content).await? {
        Ok(source) => source,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let space = batch.ensure_space(&put.space).await?;
    batch.unannounce(put.announced).await?;
    let placed = content::place(batch, &put.domain, space.id, source).await?;
    let new = NewVersion {
        key: put.key.as_ref(),
        id: put.id,
        etag: put.etag.clone(),
        attributes: &put.attributes,
        checksum: put.checksum.clone(),
        completes: None,
    };
    let dropped = placed.dropped;
    let object = publish(batch, &space, latest, new, &placed).await?;
    Ok(Ok(Outcome::Object { object: Box::new(object), dropped }))
}

/// What object lock says against a new version: that it asks for a lock where there are none, or would
/// replace a version that is held.
pub(super) async fn refuse_lock(
    batch: &mut Batch<'_>,
    space: Option<&Space>,
    latest: Option<&Object>,
    key: Option<&Key>,
    attributes: &Attributes,
) -> Result<Option<Refusal>, Fault> {
    match space.filter(|space| space.object_lock.is_some()) {
        None if attributes.lock.is_empty() => Ok(None),
        None => Ok(Some(Refusal::NoObjectLock)),
        Some(space) => {
            let replaced = match key {
                Some(key) => batch.replaced(space, key, latest).await?,
                None => None,
            };
            Ok(held(replaced.as_ref(), batch.now, false))
        }
    }
}

/// What a new version is, beside its bytes.
pub(super) struct NewVersion<'a> {
    pub(super) key: Option<&'a Key>,
    pub(super) id: ObjectId,
    pub(super) etag: Etag,
    pub(super) attributes: &'a Attributes,
    pub(super) checksum: Option<Checksum>,
    pub(super) completes: Option<UploadId>,
}

/// Makes a version the latest of its key, and retires what it replaces.
pub(super) async fn publish(
    batch: &mut Batch<'_>,
    space: &Space,
    latest: Option<Object>,
    new: NewVersion<'_>,
    placed: &Placed,
) -> Result<Object, Fault> {
    let class = new.attributes.class.unwrap_or(space.default_class);
    content::suspect_tier(batch, placed, class).await?;
    let default = space.object_lock.and_then(|config| config.default_retention);
    let lock = new.attributes.lock.or_default(default, batch.now);
    let attributes = Attributes { class: Some(class), lock, ..new.attributes.clone() };
    let new = NewVersion { attributes: &attributes, ..new };
    insert(batch, space, latest, new, Some(placed.content)).await
}

/// A delete marker becomes the latest version of a key.
pub(super) async fn publish_marker(
    batch: &mut Batch<'_>,
    space: &Space,
    latest: Option<Object>,
    key: &Key,
    id: ObjectId,
) -> Result<Object, Fault> {
    let attributes = Attributes { class: Some(space.default_class), ..Attributes::default() };
    let new = NewVersion {
        key: Some(key),
        id,
        // A marker has no bytes and no tag; nothing compares this one.
        etag: Etag::md5(&[0; 16]),
        attributes: &attributes,
        checksum: None,
        completes: None,
    };
    insert(batch, space, latest, new, None).await
}

async fn insert(
    batch: &mut Batch<'_>,
    space: &Space,
    latest: Option<Object>,
    new: NewVersion<'_>,
    content: Option<Content>,
) -> Result<Object, Fault> {
    let id = match new.key {
        Some(key) => {
            let id = batch.next_id(space.id, key, latest.as_ref(), new.id).await?;
            make_way(batch, space, key, latest).await?;
            id
        }
        None => new.id,
    };
    let object = Object {
        id,
        space: space.id,
        address: space.address.clone(),
        versioning: space.versioning,
        settings: space.settings,
        key: new.key.cloned(),
        content,
        etag: new.etag,
        class: new.attributes.class.unwrap_or(space.default_class),
        headers: new.attributes.headers.clone(),
        metadata: new.attributes.metadata.clone(),
        tags: new.attributes.tags.clone(),
        checksum: new.checksum,
        lock: new.attributes.lock,
        is_latest: true,
        is_null_version: space.versioning != Versioning::Enabled,
        created_at: batch.now,
    };
    batch
        .tx
        .query(sql!(
            "INSERT INTO objects (space_id, key, id, state, is_latest, is_null_version, blob_id, size, etag, \
             class, headers, metadata, tags, checksum, upload_id, created_at, object_lock) \
             VALUES ($1, $2, $3, 2, TRUE, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
        ))
        .bind(space.id.0)
        .bind(object.key.as_ref().map_or("", Key::as_str))
        .bind(object.id.0)
        .bind(object.is_null_version)
        .bind(object.content.map(|content| content.blob.0))
        .bind(rows::signed(object.size())?)
        .bind(object.etag.as_str())
        .bind(object.class.code())
        .bind(rows::json(&object.headers)?)
        .bind(rows::json(&object.metadata)?)
        .bind(rows::json(&object.tags)?)
        .bind(object.checksum.as_ref().map(Checksum::to_stored))
        .bind(new.completes.map(|upload| upload.0))
        .bind(object.created_at.millis())
        .bind(rows::json(&object.lock)?)
        .execute()
        .await?;
    batch.tally.committed(&object)?;
    Ok(object)
}

/// What a new latest version of a key does to those before it, by the space's versioning.
async fn make_way(
    batch: &mut Batch<'_>,
    space: &Space,
    key: &Key,
    latest: Option<Object>,
) -> Result<(), Fault> {
    let replaced = batch.replaced(space, key, latest.as_ref()).await?;
    if let Some(replaced) = &replaced {
        batch.retire(replaced).await?;
    }
    match latest {
        Some(latest) if replaced.is_none_or(|replaced| replaced.id != latest.id) => {
            batch.demote(&latest).await
        }
        _ => Ok(()),
    }
}
