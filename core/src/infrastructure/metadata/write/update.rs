//! Changes of what an object carries, in place.

use super::batch::{Applied, Batch};
use super::{content, mirrors};
use crate::application::ports::metadata::{MutationOutcome, Refusal, UpdateObject};
use crate::domain::patch::{Amendment, Kept, plan_update};
use crate::domain::storage_class::ClassName;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;

pub(crate) async fn update(batch: &mut Batch<'_>, update: &UpdateObject) -> Result<Applied, Fault> {
    // A delete marker carries nothing that could be changed.
    let found = batch.object(update.id).await?.filter(|object| !object.is_delete_marker());
    let Some(before) = found else { return Ok(Err(Refusal::NoSuchObject)) };
    if let Err(refusal) = batch.admit_told_of(&before).await? {
        return Ok(Err(refusal));
    }
    let lockable = match update.lock {
        Some(_) => batch.space(&before.address).await?.is_some_and(|space| space.object_lock.is_some()),
        None => false,
    };
    let change = Amendment { class: update.class, attributes: update.attributes.as_ref(), lock: update.lock };
    let after = match plan_update(&before, change, &update.preconditions, lockable, batch.now) {
        Ok(after) => after,
        Err(Kept::Denied(denial)) => return Ok(Err(denial.into())),
        Err(Kept::Invalid(invalid)) => return Ok(Err(invalid.into())),
    };
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
    mirrors::edited(batch.tx, &after).await?;
    Ok(Ok(MutationOutcome::Object { object: Box::new(after), dropped: None }))
}
