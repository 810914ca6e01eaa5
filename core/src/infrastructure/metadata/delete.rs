//! Deletes: of a key, by the space's versioning, and of one version.

use uuid::Uuid;

use super::batch::Batch;
use super::commit::Applied;
use super::dialect::{Fault, sql};
use super::put;
use super::refusals::{held, refuse_delete, refuse_delete_of_key};
use super::statement::Row;
use crate::application::ports::metadata::{DeleteObject, Outcome, Refusal, Target, VersionRef};
use crate::domain::address::{Key, SpaceAddress, Tenant};
use crate::domain::limits::Quota;
use crate::domain::object::{Object, ObjectId};
use crate::domain::space::{Space, SpaceId, Versioning};

pub(super) async fn delete(batch: &mut Batch<'_>, delete: &DeleteObject) -> Result<Applied, Fault> {
    match &delete.target {
        Target::Latest(address, key) => {
            let space = match named_space(batch, delete, address).await? {
                Ok(space) => space,
                Err(refusal) => return Ok(Err(refusal)),
            };
            delete_latest(batch, delete, space, key).await
        }
        Target::Version(address, key, version) => {
            let object = match named_space(batch, delete, address).await? {
                Ok(None) => None,
                Ok(Some(space)) => match version {
                    VersionRef::Null => batch.null_version(space.id, key).await?,
                    VersionRef::Id(id) => batch
                        .object(*id)
                        .await?
                        .filter(|object| object.space == space.id && object.key.as_ref() == Some(key)),
                },
                Err(refusal) => return Ok(Err(refusal)),
            };
            delete_version(batch, delete, object).await
        }
        Target::Id(id) => {
            let object = batch.object(*id).await?;
            let space = object.as_ref().map(|object| object.space);
            if object.is_some() && !batch.bucket_stands(delete.bucket.as_ref(), space).await? {
                return Ok(Err(Refusal::NoSuchBucket));
            }
            delete_version(batch, delete, object).await
        }
    }
}

/// The target's space, if it exists and the bucket names it.
async fn named_space(
    batch: &mut Batch<'_>,
    delete: &DeleteObject,
    address: &SpaceAddress,
) -> Result<Result<Option<Space>, Refusal>, Fault> {
    let space = batch.space_of(address, delete.bucket.as_ref()).await?;
    let stands = batch.bucket_stands(delete.bucket.as_ref(), space.as_ref().map(|space| space.id)).await?;
    Ok(if stands { Ok(space) } else { Err(Refusal::NoSuchBucket) })
}

fn deleted(object: Option<Object>, marker_made: bool) -> Outcome {
    Outcome::Deleted { object: object.map(Box::new), marker_made }
}

async fn delete_latest(
    batch: &mut Batch<'_>,
    delete: &DeleteObject,
    space: Option<Space>,
    key: &Key,
) -> Result<Applied, Fault> {
    let latest = match &space {
        Some(space) => batch.latest(space.id, key).await?,
        None => None,
    };
    if let Some(refusal) = refuse_delete_of_key(&delete.preconditions, latest.as_ref()) {
        return Ok(Err(refusal));
    }
    let Some(space) = space else { return Ok(Ok(deleted(None, false))) };
    let gone = latest.as_ref().is_none_or(Object::is_delete_marker);
    if gone && !delete.preconditions.is_empty() {
        // The client would delete what it knows. That is gone already, so no marker is made, and no second one.
        return Ok(Ok(deleted(None, false)));
    }
    let quota = delete.quota.as_ref();
    hide(batch, &space, latest, key, delete.marker_id, delete.bypass_governance, quota).await
}

/// Deletes a key whose latest version is `latest`: for good without versioning, by a marker with it.
pub(super) async fn hide(
    batch: &mut Batch<'_>,
    space: &Space,
    latest: Option<Object>,
    key: &Key,
    marker_id: ObjectId,
    bypass: bool,
    quota: Option<&(Tenant, Quota)>,
) -> Result<Applied, Fault> {
    let replaced = batch.replaced(space, key, latest.as_ref()).await?;
    if let Some(refusal) = held(replaced.as_ref(), batch.now, bypass) {
        return Ok(Err(refusal));
    }
    if space.versioning == Versioning::Off {
        if let Some(latest) = &latest {
            batch.retire(&[latest]).await?;
        }
        return Ok(Ok(deleted(latest, false)));
    }
    let hides = latest.as_ref().is_some_and(|latest| !latest.is_delete_marker());
    let makes_way = replaced.as_ref().map(Object::size);
    if let Err(refusal) = batch.ledger.admit_marker(quota, makes_way, hides) {
        return Ok(Err(refusal));
    }
    let marker = put::publish_marker(batch, space, latest, key, marker_id).await?;
    Ok(Ok(deleted(Some(marker), true)))
}

async fn delete_version(
    batch: &mut Batch<'_>,
    delete: &DeleteObject,
    object: Option<Object>,
) -> Result<Applied, Fault> {
    if let Some(refusal) = refuse_delete(&delete.preconditions, object.as_ref()) {
        return Ok(Err(refusal));
    }
    remove(batch, object, delete.bypass_governance).await
}

/// Removes one version, if there is one; the newest that is left becomes the latest.
pub(super) async fn remove(
    batch: &mut Batch<'_>,
    object: Option<Object>,
    bypass: bool,
) -> Result<Applied, Fault> {
    if let Some(refusal) = held(object.as_ref(), batch.now, bypass) {
        return Ok(Err(refusal));
    }
    if let Some(object) = &object {
        batch.retire(&[object]).await?;
        if let (true, Some(key)) = (object.is_latest, &object.key) {
            promote(batch, object.space, key).await?;
        }
    }
    Ok(Ok(deleted(object, false)))
}

/// The newest version that is left becomes the latest.
async fn promote(batch: &mut Batch<'_>, space: SpaceId, key: &Key) -> Result<(), Fault> {
    // Held before it is changed: another transaction may be deleting the very same version.
    let next = batch
        .tx
        .query(sql!(
            "SELECT id FROM objects WHERE space_id = $1 AND key = $2 AND state = 2 ORDER BY id DESC LIMIT 1",
            for_update
        ))
        .bind(space.0)
        .bind(key.as_str())
        .find(Row::first::<Uuid>)
        .await?;
    if let Some(next) = next {
        batch
            .tx
            .query(sql!("UPDATE objects SET is_latest = TRUE WHERE id = $1 AND state = 2"))
            .bind(next)
            .execute()
            .await?;
    }
    Ok(())
}
