//! Puts: a new version of a key, or an object without one.

use super::batch::Batch;
use super::content::{self, CheckedContent};
use super::limits::Ledger;
use super::once;
use super::versions::{KeyChange, NewVersion, Versions};
use crate::application::ports::metadata::{NewContent, PutObject, Refusal};
use crate::domain::versioning::{plan_pull, plan_put};
use crate::infrastructure::metadata::session::fault::Fault;

/// Plans a put over what is there and planned.
pub(crate) async fn put<'a>(
    batch: &mut Batch<'_>,
    versions: &mut Versions<'a>,
    put: &'a PutObject,
) -> Result<Result<KeyChange, Refusal>, Fault> {
    let space = batch.space(&put.space).await?;
    if !batch.bucket_stands(put.bucket.as_ref(), space.as_ref().map(|space| space.id)).await? {
        return Ok(Err(Refusal::NoSuchBucket));
    }
    if put.pulled.is_none()
        && let Err(refusal) = batch.admit_told(space.as_ref(), put.key.as_ref()).await?
    {
        return Ok(Err(refusal));
    }
    if let Some(once) = &put.once
        && let Err(refusal) = once::decide(batch, once).await?
    {
        return Ok(Err(refusal));
    }
    let there = versions.of(&put.space, put.key.as_ref());
    let plan = match &put.pulled {
        None => plan_put(space.as_ref(), &there, &put.preconditions, &put.attributes.lock, batch.now),
        Some(pulled) => {
            let claimed = versions.is_claimed(put);
            plan_pull(space.as_ref(), &there, pulled.revision, claimed).inspect_err(|_| versions.unclaim(put))
        }
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(denial) => return Ok(Err(denial.into())),
    };
    let source = match admit(batch, put, plan.freed()).await? {
        Ok(source) => source,
        Err(refusal) => {
            versions.unclaim(put);
            return Ok(Err(refusal));
        }
    };
    if let Some(once) = &put.once {
        once::remember(batch, once, put.id).await?;
    }
    let new = NewVersion::of_put(put, space, source);
    Ok(Ok(KeyChange::Put(versions.replace(batch, new, &plan).await?)))
}

/// Whether the tenant may keep the bytes, and they can be had.
async fn admit<'a>(
    batch: &mut Batch<'_>,
    put: &'a PutObject,
    freed: Option<u64>,
) -> Result<Result<CheckedContent<'a>, Refusal>, Fault> {
    let admit = |ledger: &mut Ledger, size| ledger.admit(&put.space.tenant, put.quota.as_ref(), size, freed);
    // Before its segment is fenced: no worker would remove a segment that is whole and holds nothing. (If
    // it is lost after all, the rest of the batch has that much less room, until the client tries again.)
    if let NewContent::Staged(leaf) = &put.content
        && let Err(refusal) = admit(&mut batch.ledger, leaf.location.length)
    {
        return Ok(Err(refusal));
    }
    Ok(match content::check(batch, &put.domain, &put.content).await? {
        Ok(CheckedContent::Staged(leaf)) => Ok(CheckedContent::Staged(leaf)),
        Ok(there) => admit(&mut batch.ledger, there.size()).map(|()| there),
        refused => refused,
    })
}
