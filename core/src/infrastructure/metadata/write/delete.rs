//! Deletes: of a key, by the space's versioning, and of one version.

use super::batch::{Applied, Batch};
use super::upstreams;
use super::versions::{KeyChange, NewVersion, Versions};
use crate::application::ports::metadata::{
    DeleteObject, MutationOutcome, ObjectAddress, Refusal, VersionRef,
};
use crate::domain::address::{BucketName, Key, SpaceAddress, Tenant};
use crate::domain::limits::Quota;
use crate::domain::object::{Object, ObjectId};
use crate::domain::precondition::Preconditions;
use crate::domain::space::Space;
use crate::domain::versioning::{DeletePlan, Version, plan_delete, plan_removal, successor};
use crate::infrastructure::metadata::session::fault::Fault;

/// The delete of a key.
#[derive(Clone, Copy)]
pub(crate) struct KeyDeletion<'a> {
    pub(crate) address: &'a SpaceAddress,
    pub(crate) key: &'a Key,
    pub(crate) conditions: &'a Preconditions,
    pub(crate) bypass: bool,
    pub(crate) marker_id: ObjectId,
    pub(crate) quota: Option<&'a (Tenant, Quota)>,
}

impl<'a> KeyDeletion<'a> {
    /// The request of a client, if it names a key.
    pub(crate) fn of(delete: &'a DeleteObject) -> Option<Self> {
        let ObjectAddress::Latest(address, key) = &delete.target else { return None };
        Some(Self {
            address,
            key,
            conditions: &delete.preconditions,
            bypass: delete.bypass_governance,
            marker_id: delete.marker_id,
            quota: delete.quota.as_ref(),
        })
    }
}

/// Plans the delete of a key, in a space that has been entered.
pub(crate) async fn delete_key<'a>(
    batch: &mut Batch<'_>,
    versions: &mut Versions<'a>,
    delete: KeyDeletion<'a>,
    space: Option<Space>,
) -> Result<Result<KeyChange, Refusal>, Fault> {
    let KeyDeletion { address, key, conditions, bypass, marker_id, quota } = delete;
    if let Err(refusal) = batch.admit_told(space.as_ref(), Some(key)).await? {
        return Ok(Err(refusal));
    }
    let there = versions.of(address, Some(key));
    let plan = match plan_delete(space.as_ref(), &there, conditions, bypass, batch.now) {
        Ok(plan) => plan,
        Err(denial) => return Ok(Err(denial.into())),
    };
    if let (DeletePlan::Mark { overwrite, hides }, Some(_)) = (&plan, &space)
        && let Err(refusal) = batch.ledger.admit_marker(quota, overwrite.freed(), *hides)
    {
        return Ok(Err(refusal));
    }
    if let Some(space) = &space {
        versions.removes(space, key);
    }
    Ok(Ok(match (plan, space) {
        (DeletePlan::Mark { overwrite, .. }, Some(space)) => {
            let marker = NewVersion::marker(address, space, key, marker_id);
            KeyChange::Marked(versions.replace(batch, marker, &overwrite).await?)
        }
        (DeletePlan::Remove(gone), _) => KeyChange::Removed(versions.remove_latest(address, key, gone)),
        (DeletePlan::Nothing | DeletePlan::Mark { .. }, _) => KeyChange::Nothing,
    }))
}

/// The space of a delete, if there is one and the bucket names it.
pub(crate) async fn entered(
    batch: &mut Batch<'_>,
    bucket: Option<&BucketName>,
    address: &SpaceAddress,
) -> Result<Result<Option<Space>, Refusal>, Fault> {
    let space = batch.space_of(address, bucket).await?;
    let stands = batch.bucket_stands(bucket, space.as_ref().map(|space| space.id)).await?;
    Ok(if stands { Ok(space) } else { Err(Refusal::NoSuchBucket) })
}

/// The delete of one version, by its version id or its id.
pub(crate) async fn delete_version(batch: &mut Batch<'_>, delete: &DeleteObject) -> Result<Applied, Fault> {
    let mut held = None;
    let object = match &delete.target {
        ObjectAddress::Version(address, key, version) => {
            let space = match entered(batch, delete.bucket.as_ref(), address).await? {
                Ok(space) => space,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if let (Some(space), VersionRef::Null) = (&space, version)
                && space.upstream.is_some()
            {
                // What the upstream has is the null version: it goes, too. A pull of it waits for this transaction.
                held = upstreams::hold(batch.tx, &[(space.id, key)], batch.now).await?.pop();
            }
            match (space, version) {
                (None, _) => None,
                (Some(space), VersionRef::Null) => batch.null_version(space.id, key).await?,
                (Some(space), VersionRef::Id(id)) => batch
                    .object(*id)
                    .await?
                    .filter(|object| object.space == space.id && object.key.as_ref() == Some(key)),
            }
        }
        ObjectAddress::Id(id) => {
            let object = batch.object(*id).await?;
            let space = object.as_ref().map(|object| object.space);
            if object.is_some() && !batch.bucket_stands(delete.bucket.as_ref(), space).await? {
                return Ok(Err(Refusal::NoSuchBucket));
            }
            object
        }
        ObjectAddress::Latest(..) => return Err(Fault::failed("the delete of a key is planned with others")),
    };
    let removed = remove(batch, object, &delete.preconditions, delete.bypass_governance).await?;
    if removed.is_err() {
        upstreams::release(batch.tx, held.as_slice()).await?;
    }
    if let (true, Ok(MutationOutcome::Deleted { object: Some(gone), .. })) = (delete.let_go, &removed)
        && let Some(key) = &gone.key
    {
        // It is as if it had never been here.
        upstreams::release(batch.tx, &[(gone.space, key)]).await?;
    }
    Ok(removed)
}

/// Removes one version, if there is one.
pub(crate) async fn remove(
    batch: &mut Batch<'_>,
    object: Option<Object>,
    conditions: &Preconditions,
    bypass: bool,
) -> Result<Applied, Fault> {
    let version = object.as_ref().map(Version::from);
    if let Err(denial) = plan_removal(version.as_ref(), conditions, bypass, batch.now) {
        return Ok(Err(denial.into()));
    }
    if let Some(object) = &object {
        if let Err(refusal) = batch.admit_told_of(object).await? {
            return Ok(Err(refusal));
        }
        let left = match &object.key {
            Some(key) if object.is_latest => batch.newest_beside(object.space, key, object.id).await?,
            _ => None,
        };
        batch.retire(&[object]).await?;
        if let Some(next) = successor(object.is_latest, left) {
            batch.promote(next).await?;
        }
    }
    Ok(Ok(MutationOutcome::Deleted { object: object.map(Box::new), marker_made: false }))
}
