//! Verdicts of lifecycle rules, carried out only if what they were passed on still stands.

use super::batch::Batch;
use super::commit::Applied;
use super::delete::{hide, remove};
use super::dialect::{Fault, sql};
use crate::application::ports::metadata::{ExpireObject, Expiry, Refusal};
use crate::domain::address::Key;
use crate::domain::object::ObjectId;
use crate::domain::space::SpaceId;

pub(super) async fn expire(batch: &mut Batch<'_>, expire: &ExpireObject) -> Result<Applied, Fault> {
    let found = batch.object(expire.id).await?.filter(|object| object.tags == expire.tags);
    let Some((object, key)) = found.and_then(|object| object.key.clone().map(|key| (object, key))) else {
        return Ok(Err(Refusal::Changed));
    };
    let stands = match expire.expiry {
        Expiry::Current => object.is_latest && !object.is_delete_marker(),
        Expiry::Noncurrent => !object.is_latest,
        Expiry::LoneMarker => {
            object.is_latest
                && object.is_delete_marker()
                && !has_other_versions(batch, object.space, &key, object.id).await?
        }
    };
    if !stands {
        return Ok(Err(Refusal::Changed));
    }
    if expire.expiry != Expiry::Current {
        return remove(batch, Some(object), false).await;
    }
    // The space's settings as they stand, held until the end.
    let Some(space) = batch.space(&object.address).await? else { return Ok(Err(Refusal::Changed)) };
    hide(batch, &space, Some(object), &key, expire.marker_id, false, None).await
}

async fn has_other_versions(
    batch: &mut Batch<'_>,
    space: SpaceId,
    key: &Key,
    id: ObjectId,
) -> Result<bool, Fault> {
    let other = batch
        .tx
        .query(sql!(
            "SELECT 1 FROM objects WHERE space_id = $1 AND key = $2 AND id <> $3 AND state = 2 LIMIT 1"
        ))
        .bind(space.0)
        .bind(key.as_str())
        .bind(id.0)
        .optional()
        .await?;
    Ok(other.is_some())
}
