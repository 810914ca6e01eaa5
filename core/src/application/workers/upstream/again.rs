//! A key that seems to differ is looked at again, by itself: a client may have changed it between the looks at both sides.

use std::collections::HashMap;

use futures::StreamExt as _;

use super::mirrored::Sent;
use super::sides::Pair;
use super::step::{PassStep, away};
use crate::application::ports::metadata::SpaceRef;
use crate::application::ports::upstream::UpstreamError;
use crate::application::upstream::kept;
use crate::domain::address::Key;
use crate::domain::object::ObjectId;
use crate::domain::upstream::Fate;

/// Looks at one key, at most: who changes it all the time is not waited for.
const LOOKS_MAX: u32 = 5;

/// Keys that are looked at again at the same time.
const CONCURRENT: usize = 32;

/// What both sides have under a key that was looked at by itself.
pub(super) enum Again {
    /// These, and what became of it here.
    Is(Pair, Option<Fate>),
    /// It waits to be sent, or is changed again and again.
    Waits,
}

/// Looks at these keys again. What both sides have under each, and how many requests the upstream was asked.
pub(super) async fn look(
    step: &PassStep<'_>,
    keys: Vec<Key>,
) -> Result<(HashMap<String, Again>, u64), UpstreamError> {
    let looks = futures::stream::iter(keys)
        .map(|key| async move { one(step, &key).await.map(|again| (key.as_str().to_owned(), again)) });
    let looked: Vec<_> = looks.buffer_unordered(CONCURRENT).collect().await;
    let (mut all, mut requests) = (HashMap::with_capacity(looked.len()), 0);
    for looked in looked {
        let (key, (again, asked)) = looked?;
        all.insert(key, again);
        requests += asked;
    }
    Ok((all, requests))
}

/// What both sides have under a key, and how many requests the upstream was asked.
async fn one(step: &PassStep<'_>, key: &Key) -> Result<(Again, u64), UpstreamError> {
    for looks in 0..LOOKS_MAX {
        // In this order: what is here and does not wait had reached the upstream by the time that is asked.
        let before = here(step, key).await?;
        let fate = step.store.metadata.fate(step.space.id, key).await.map_err(away)?;
        let sent = Sent::of(step, std::slice::from_ref(key)).await?;
        if sent.waits(key.as_str()) {
            return Ok((Again::Waits, looks.into()));
        }
        let there = step.link.head(key).await?;
        if here(step, key).await? != before {
            continue;
        }
        let here = before.map(|(_, etag, size)| (etag, size));
        let there = there.map(|said| (kept::etag(&said).as_str().to_owned(), said.size));
        let there = sent.as_here(key.as_str(), here.as_ref(), there.as_ref()).cloned();
        let fate = sent.fate_of(step, key.as_str(), fate, here.as_ref());
        return Ok((Again::Is(Pair { here, there }, fate), u64::from(looks) + 1));
    }
    Ok((Again::Waits, LOOKS_MAX.into()))
}

/// Which version is here under a key, its entity tag, and its size in bytes.
async fn here(step: &PassStep<'_>, key: &Key) -> Result<Option<(ObjectId, String, u64)>, UpstreamError> {
    let place = SpaceRef::Space(step.space.address.clone());
    let found = step.store.metadata.latest(&place, key).await.map_err(away)?;
    let found = found.map(|found| found.object).filter(|object| !object.is_delete_marker());
    Ok(found.map(|object| (object.id, object.etag.as_str().to_owned(), object.size())))
}
