//! Verdicts of lifecycle rules, carried out only if what they were passed on still stands.

use super::batch::{Applied, Batch};
use super::delete::{KeyDeletion, delete_key, remove};
use super::versions::Versions;
use crate::application::ports::metadata::{ExpireObject, Refusal};
use crate::domain::precondition::Preconditions;
use crate::domain::versioning::{Execution, Judged, plan_expire};
use crate::infrastructure::metadata::session::fault::Fault;

pub(crate) async fn expire(batch: &mut Batch<'_>, expire: &ExpireObject) -> Result<Applied, Fault> {
    let found = batch.object(expire.id).await?;
    let Some((object, key)) = found.and_then(|object| object.key.clone().map(|key| (object, key))) else {
        return Ok(Err(Refusal::Changed));
    };
    let judged = Judged {
        has_same_tags: object.tags == expire.tags,
        is_latest: object.is_latest,
        is_delete_marker: object.is_delete_marker(),
        has_others: expire.expiry.asks_for_others()
            && batch.newest_beside(object.space, &key, object.id).await?.is_some(),
    };
    let conditions = Preconditions::default();
    match plan_expire(expire.expiry, judged) {
        Execution::Void => Ok(Err(Refusal::Changed)),
        Execution::RemoveVersion => remove(batch, Some(object), &conditions, false).await,
        Execution::DeleteKey => {
            // The space's settings as they stand, held until the end.
            let Some(space) = batch.space(&object.address).await? else { return Ok(Err(Refusal::Changed)) };
            let address = object.address.clone();
            let mut versions = Versions::of_one(batch, &space, &address, &key, Some(object)).await?;
            let delete = KeyDeletion {
                address: &address,
                key: &key,
                conditions: &conditions,
                bypass: false,
                marker_id: expire.marker_id,
                quota: None,
            };
            let change = delete_key(batch, &mut versions, delete, Some(space)).await?;
            let outcome = versions.apply(batch, vec![change]).await?.pop();
            outcome.ok_or_else(|| Fault::failed("a delete came to nothing"))
        }
    }
}
