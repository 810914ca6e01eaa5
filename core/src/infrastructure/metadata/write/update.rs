//! Changes of what an object carries, in place.

use super::batch::Batch;
use super::commit::Applied;
use super::content;
use crate::application::ports::metadata::{Outcome, Refusal, UpdateObject};
use crate::domain::object::Object;
use crate::domain::object_lock::{Locked, ObjectLock};
use crate::domain::storage_class::ClassName;
use crate::domain::versioning::{Version, check_held, check_write};
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::{Fault, sql};

pub(crate) async fn update(batch: &mut Batch<'_>, update: &UpdateObject) -> Result<Applied, Fault> {
    // A delete marker carries nothing that could be changed.
    let found = batch.object(update.id).await?.filter(|object| !object.is_delete_marker());
    let Some(before) = found else { return Ok(Err(Refusal::NoSuchObject)) };
    let version = Version::from(&before);
    if let Err(denial) = check_write(&update.preconditions, Some(&version)) {
        return Ok(Err(denial.into()));
    }
    let lock = match lock_after(batch, update, &before).await? {
        Ok(lock) => lock,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let class = update.class.unwrap_or(before.class);
    let class_name = before.class_name.filter(|name| name.class() == class);
    let mut after = Object { class, class_name, lock, ..before.clone() };
    if let Some(patch) = &update.attributes {
        let attributes = patch.of(&before);
        if let Err(invalid) = attributes.validate() {
            return Ok(Err(invalid.into()));
        }
        after = Object {
            headers: attributes.headers,
            metadata: attributes.metadata,
            tags: attributes.tags,
            acl: attributes.acl,
            ..after
        };
    }
    // A version that is held reads tomorrow as it reads today; tags and ACL are not part of it, as in S3.
    let rewritten = after.headers != before.headers || after.metadata != before.metadata;
    if let Err(denial) = check_held(Some(&version).filter(|_| rewritten), batch.now, false) {
        return Ok(Err(denial.into()));
    }
    batch
        .tx
        .query(sql!(
            "UPDATE objects SET class = $2, headers = $3, metadata = $4, tags = $5, object_lock = $6, \
             acl = $7, class_name = $8 \
             WHERE id = $1 AND state = ",
            committed
        ))
        .bind(after.id.0)
        .bind(after.class.code())
        .bind(rows::json(&after.headers)?)
        .bind(rows::json(&after.metadata)?)
        .bind(rows::json(&after.tags)?)
        .bind(rows::json(&after.lock)?)
        .bind(after.acl.code())
        .bind(after.class_name.map(ClassName::code))
        .execute()
        .await?;
    if let (true, Some(content)) = (after.class != before.class, &after.content) {
        batch.tally.reclassed(&before, after.class)?;
        content::hold(batch, content.blob).await?;
        content::suspect_blob_tier(batch, content, after.class).await?;
    }
    Ok(Ok(Outcome::Object { object: Box::new(after), dropped: None }))
}

/// What holds the version after the change.
async fn lock_after(
    batch: &mut Batch<'_>,
    update: &UpdateObject,
    before: &Object,
) -> Result<Result<ObjectLock, Refusal>, Fault> {
    let Some(change) = update.lock else { return Ok(Ok(before.lock)) };
    let space = batch.space(&before.address).await?;
    if space.is_none_or(|space| space.object_lock.is_none()) {
        return Ok(Err(Refusal::NoObjectLock));
    }
    Ok(before.lock.changed(change, batch.now).map_err(|Locked| Refusal::Locked))
}
