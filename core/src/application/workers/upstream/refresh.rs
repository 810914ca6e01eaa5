//! A refresh: the clients of a space have used the upstream, and come again. What is here and was replaced there is let go, so that it
//! is read through again; what cannot be decided is named.
//!
//! In the mode `observe` alone: there no client reads or writes here meanwhile.

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::sides::{Line, Sides, side};
use super::step::{Finding, PassStep, Place, Stepped, away, name};
use crate::application::error::Error;
use crate::application::ports::metadata::{
    DeleteObject, MirroredKey, Mutation, ObjectAddress, SpaceRef, VersionRef,
};
use crate::application::ports::upstream::UpstreamError;
use crate::application::upstream::kept;
use crate::application::workers::mirror::memory;
use crate::domain::address::Key;
use crate::domain::event::Cause;
use crate::domain::mirror::again::{Known, Verdict, judge};
use crate::domain::object::ObjectId;
use crate::domain::precondition::Preconditions;
use crate::domain::space::Versioning;
use crate::domain::upstream::Mode;

/// Keys that are settled at the same time.
const CONCURRENT: usize = 16;

/// What a refresh has come to so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    /// Keys looked at, on either side.
    keys: u64,
    /// Copies that were let go, as the upstream has another object.
    replaced: u64,
    /// Keys that are not hidden any more: they were removed on both sides, and the upstream has another object since.
    returned: u64,
    /// Copies of what the upstream has removed: let go where `remove` says so.
    removed: u64,
    /// Whether they are.
    remove: bool,
    found: u64,
    findings: Vec<Finding>,
    clean: Option<bool>,
}

pub(super) async fn step(step: &PassStep<'_>, mut report: Report) -> Result<Stepped<Report>, UpstreamError> {
    if step.binding.mode != Mode::Observe {
        report.found += 1;
        name(&mut report.findings, "", "given_up", "the mode is not observe any more");
        report.clean = Some(false);
        return Ok(Stepped { report, place: None, items: 0, requests: 0, bytes: 0 });
    }
    let (mut items, mut requests, mut after) = (0, 0, step.place.after.clone());
    loop {
        let sides = Sides::page(step, after).await?;
        requests += 1;
        items += sides.pairs.len() as u64;
        report.keys += sides.pairs.len() as u64;
        let keys = sides.keys();
        let known = step.store.metadata.mirrored(step.space.id, &keys).await.map_err(away)?;
        let known: std::collections::HashMap<Key, MirroredKey> = known.into_iter().collect();
        let doubtful = keys.into_iter().filter(|key| {
            let Some(pair) = sides.pairs.get(key.as_str()) else { return false };
            let verdict = judged(step, known.get(key), (pair.here.as_ref(), pair.there.as_ref()), false);
            verdict != Verdict::Current
        });
        let doubtful: Vec<Key> = doubtful.collect();
        requests += doubtful.len() as u64;
        let remove = report.remove;
        let settled = futures::stream::iter(doubtful)
            .map(|key| async move { settle(step, &key, remove).await.map(|verdict| (key, verdict)) });
        let settled: Vec<Result<(Key, Verdict), UpstreamError>> =
            settled.buffered(CONCURRENT).collect().await;
        for settled in settled {
            let (key, verdict) = settled?;
            let finding = match verdict {
                Verdict::Current => None,
                Verdict::Replaced => {
                    report.replaced += 1;
                    None
                }
                Verdict::Returned => {
                    report.returned += 1;
                    None
                }
                Verdict::Removed => {
                    report.removed += 1;
                    let why = "it was removed upstream, and would show again: a refresh with `remove` removes it here";
                    (!remove).then_some(("removed_there", why))
                }
                Verdict::Undecided(why) => Some(("undecided", why)),
            };
            if let Some((verdict, why)) = finding {
                report.found += 1;
                name(&mut report.findings, key.as_str(), verdict, why);
            }
        }
        after = sides.end;
        let is_over = step.is_over() || step.binding.target.requests_per_second.is_some();
        if after.is_none() {
            report.clean = Some(report.found == 0);
        } else if !is_over {
            continue;
        }
        let place = after.map(|after| Place { after: Some(after) });
        return Ok(Stepped { report, place, items, requests, bytes: 0 });
    }
}

fn judged(
    step: &PassStep<'_>,
    known: Option<&MirroredKey>,
    (here, there): (Option<&Line>, Option<&Line>),
    waits: bool,
) -> Verdict {
    let known = known.map_or_else(Known::default, |known| Known {
        fate: Some(known.fate),
        memory: memory(known),
        edited: known.edited,
        waits,
    });
    let known = Known { waits, ..known };
    judge(step.space.versioning != Versioning::Off, side(here), side(there), known)
}

/// Looks at a key by itself, and lets go what is to go.
async fn settle(step: &PassStep<'_>, key: &Key, remove: bool) -> Result<Verdict, UpstreamError> {
    let (metadata, space) = (&step.store.metadata, &step.space);
    let place = SpaceRef::Space(space.address.clone());
    let known = metadata.mirrored(space.id, std::slice::from_ref(key)).await.map_err(away)?.pop();
    let known = known.map(|(_, known)| known);
    let waits = metadata.mirror_waiting(space.id, std::slice::from_ref(key)).await.map_err(away)?;
    let there = step.link.head(key).await?;
    let there = there.map(|said| (kept::etag(&said).as_str().to_owned(), said.size));
    let latest = metadata.latest(&place, key).await.map_err(away)?.map(|found| found.object);
    let id = latest.as_ref().map(|object| object.id);
    let here = latest.filter(|object| !object.is_delete_marker());
    let here = here.map(|object| (object.etag.as_str().to_owned(), object.size()));
    let verdict = judged(step, known.as_ref(), (here.as_ref(), there.as_ref()), !waits.is_empty());
    match (verdict, id) {
        (Verdict::Replaced, Some(id)) => let_go(step, key, id).await?,
        (Verdict::Removed, Some(id)) if remove => let_go(step, key, id).await?,
        (Verdict::Returned, None) => metadata.unhide(space.id, key).await.map_err(away)?,
        _ => {}
    }
    Ok(verdict)
}

/// The version goes, if it is still there, and the key is read through again.
async fn let_go(step: &PassStep<'_>, key: &Key, id: ObjectId) -> Result<(), UpstreamError> {
    let delete = DeleteObject {
        target: ObjectAddress::Version(step.space.address.clone(), key.clone(), VersionRef::Id(id)),
        bucket: None,
        marker_id: ObjectId::fresh(step.store.clock.now()),
        preconditions: Preconditions::default(),
        bypass_governance: false,
        quota: None,
        cause: Cause::default(),
        let_go: true,
    };
    match step.store.committer.commit(Mutation::Delete(Box::new(delete))).await {
        Ok(_) | Err(Error::NoSuchObject | Error::NoSuchVersion) => Ok(()),
        Err(error) => Err(UpstreamError::Away(format!("this store: {error}"))),
    }
}
