//! Moves of an object to another key.

use super::batch::{Applied, Batch};
use super::content;
use super::upstreams;
use super::versions::{Bytes, NewVersion, Touch, Versions, Wanted};
use crate::application::ports::metadata::{MoveObject, MutationOutcome, NewContent, Refusal};
use crate::domain::limits::Departure;
use crate::domain::object::Attributes;
use crate::domain::object_lock::ObjectLock;
use crate::domain::space::Space;
use crate::domain::versioning::{DeletePlan, Version, plan_departure, plan_put, plan_removal};
use crate::infrastructure::metadata::session::fault::Fault;

/// Makes the target and removes or hides the source. It is planned by itself, as its source may be what a change before
/// it in the batch has made.
pub(crate) async fn rename(batch: &mut Batch<'_>, change: &MoveObject) -> Result<Applied, Fault> {
    let source_space = batch.space(&change.from).await?;
    let target_space = batch.space(&change.space).await?;
    let mut wanted = Vec::with_capacity(2);
    if let Some(key) = &change.from_key {
        let touch = Touch::Hold;
        wanted.push(Wanted { space: &change.from, bucket: None, key: Some(key), certain: true, touch });
    }
    let certain = change.preconditions.if_match.is_some();
    let touch = Touch::Nothing;
    wanted.push(Wanted { space: &change.space, bucket: None, key: Some(&change.key), certain, touch });
    let versions = Versions::load(batch, &wanted).await?;
    let held = versions.held().to_vec();
    let applied = moved(batch, change, (source_space, target_space), versions).await?;
    if applied.is_err() {
        upstreams::release(batch.tx, &held).await?;
    }
    Ok(applied)
}

async fn moved<'a>(
    batch: &mut Batch<'_>,
    change: &'a MoveObject,
    (source_space, target_space): (Option<Space>, Option<Space>),
    mut versions: Versions<'a>,
) -> Result<Applied, Fault> {
    for (space, key) in [(&source_space, change.from_key.as_ref()), (&target_space, Some(&change.key))] {
        if let Err(refusal) = batch.admit_told(space.as_ref(), key).await? {
            return Ok(Err(refusal));
        }
    }

    // The source, as it was when access to it was decided.
    let Some(source_space) = source_space else { return Ok(Err(Refusal::NoSuchObject)) };
    let (source, departure) = if let Some(key) = &change.from_key {
        let there = versions.of(&change.from, Some(key));
        if there.latest().is_none_or(|latest| latest.id != change.source) {
            return Ok(Err(Refusal::Changed));
        }
        let plan = plan_departure(&source_space, &there, &change.source_preconditions, batch.now);
        (versions.stored(change.source).cloned(), plan)
    } else {
        let source = batch.object(change.source).await?;
        let version = source.as_ref().map(Version::from);
        let plan = plan_removal(version.as_ref(), &change.source_preconditions, false, batch.now);
        (source, plan.map(|_| DeletePlan::Remove(change.source)))
    };
    let departure = match departure {
        Ok(departure) => departure,
        Err(denial) => return Ok(Err(denial.into())),
    };
    let Some(source) = source else { return Ok(Err(Refusal::NoSuchObject)) };
    let Some(blob) = source.content.map(|content| content.blob) else {
        return Ok(Err(Refusal::NoSuchObject));
    };

    let there = versions.of(&change.space, Some(&change.key));
    let lock = ObjectLock::default();
    let arrival = match plan_put(target_space.as_ref(), &there, &change.preconditions, &lock, batch.now) {
        Ok(arrival) => arrival,
        Err(denial) => return Ok(Err(denial.into())),
    };
    // An object that leaves a tenant makes room in the next batch.
    let leaves = (change.from.tenant == change.space.tenant).then_some(match &departure {
        DeletePlan::Mark { overwrite, .. } => Departure::Hidden(overwrite.freed()),
        DeletePlan::Remove(_) | DeletePlan::Nothing => Departure::Gone,
    });
    let (tenant, quota) = (&change.space.tenant, change.quota.as_ref());
    if let Err(refusal) = batch.ledger.admit_move(tenant, quota, source.size(), arrival.freed(), leaves) {
        return Ok(Err(refusal));
    }
    let existing = NewContent::Existing(blob);
    let bytes = match content::check(batch, &change.domain, &existing).await? {
        Ok(bytes) => bytes,
        Err(refusal) => return Ok(Err(refusal)),
    };

    let attributes = Attributes::carried(&source);
    let target = NewVersion {
        address: &change.space,
        space: target_space,
        key: Some(&change.key),
        id: change.id,
        etag: source.etag.clone(),
        attributes: Some(&attributes),
        checksum: source.checksum.clone(),
        completes: None,
        announced: None,
        pulled: None,
        bytes: Bytes::CheckedContent(&change.domain, bytes),
    };
    let made = versions.replace(batch, target, &arrival).await?;
    if let Some(key) = &change.from_key {
        versions.removes(&source_space, key);
    }
    let marked = match (departure, &change.from_key) {
        (DeletePlan::Mark { overwrite, .. }, Some(key)) => {
            let marker = NewVersion::marker(&change.from, source_space, key, change.marker_id);
            Some(versions.replace(batch, marker, &overwrite).await?)
        }
        (DeletePlan::Remove(gone), Some(key)) => {
            versions.remove_latest(&change.from, key, gone);
            None
        }
        _ => {
            batch.retire(&[&source]).await?;
            None
        }
    };
    let written = versions.write(batch).await?;
    let marker = marked.map(|at| written.made(at)).transpose()?.map(|made| made.object.clone());
    let object = Box::new(written.made(made)?.object.clone());
    let id = marker.as_ref().map(|marker| marker.id);
    Ok(Ok(MutationOutcome::Moved { object, marker: id, left: Box::new(marker.unwrap_or(source)) }))
}
