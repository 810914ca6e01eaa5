//! Changes of what an object carries, in place.

use super::commit::{Applied, Batch, refuse};
use super::content;
use super::dialect::{Fault, sql};
use super::rows;
use crate::application::ports::metadata::{Outcome, Refusal, UpdateObject};
use crate::domain::object::Object;

pub(super) async fn update(batch: &mut Batch<'_>, update: &UpdateObject) -> Result<Applied, Fault> {
    // A delete marker carries nothing that could be changed.
    let found = batch.object(update.id).await?.filter(|object| !object.is_delete_marker());
    let Some(before) = found else { return Ok(Err(Refusal::NoSuchObject)) };
    if let Some(refusal) = refuse(&update.preconditions, Some(&before)) {
        return Ok(Err(refusal));
    }
    let attributes = update.attributes.clone();
    let after = Object {
        class: update.class.unwrap_or(before.class),
        headers: attributes.as_ref().map_or_else(|| before.headers.clone(), |a| a.headers.clone()),
        metadata: attributes.as_ref().map_or_else(|| before.metadata.clone(), |a| a.metadata.clone()),
        tags: attributes.map_or_else(|| before.tags.clone(), |a| a.tags),
        ..before.clone()
    };
    batch
        .tx
        .query(sql!(
            "UPDATE objects SET class = $2, headers = $3, metadata = $4, tags = $5 WHERE id = $1 AND state = 2"
        ))
        .bind(after.id.0)
        .bind(after.class.code())
        .bind(rows::json(&after.headers)?)
        .bind(rows::json(&after.metadata)?)
        .bind(rows::json(&after.tags)?)
        .execute()
        .await?;
    if let (true, Some(content)) = (after.class != before.class, &after.content) {
        batch.tally.reclassed(&before, after.class)?;
        content::suspect_blob_tier(batch, content, after.class).await?;
    }
    Ok(Ok(Outcome::Object { object: Box::new(after), dropped: None }))
}
