//! A mirror begins: every key that the upstream may not have as it is here waits to be sent.
//!
//! Changes that are made from then on wait by themselves; this finds those that were made before, or that were dropped.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::sides::{Line, Pair, Sides};
use super::step::{PAGE, PassStep, Place, Stepped, away};
use crate::application::ports::upstream::UpstreamError;
use crate::application::workers::mirror::memory;
use crate::domain::address::Key;
use crate::domain::event::{Facts, TargetName};
use crate::domain::mirror::{Memory, may_differ};
use crate::domain::space::Versioning;

/// Changes that wait, of those that may, beyond which none are added: that many are left to clients.
const FILLED: u64 = 2;

/// What a pass has found so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    /// Keys looked at, on either side.
    keys: u64,
    /// Keys that did not wait to be sent, and do now.
    queued: u64,
    /// Whether every key is sent, as changes had been dropped.
    thorough: Option<bool>,
    clean: Option<bool>,
}

pub(super) async fn step(step: &PassStep<'_>, mut report: Report) -> Result<Stepped<Report>, UpstreamError> {
    let metadata = &step.store.metadata;
    if report.thorough.is_none() {
        let state = metadata.mirror_state(step.space.id, 0).await.map_err(away)?;
        report.thorough = Some(state.dropped > 0);
    }
    let (before, mut requests, mut after) = (report.keys, 0, step.place.after.clone());
    loop {
        if is_full(step).await? {
            let place = Some(Place { after });
            if report.keys == before {
                return Err(UpstreamError::Away(
                    "many changes wait; the pass goes on behind them".to_owned(),
                ));
            }
            return Ok(Stepped { items: report.keys - before, report, place, requests, bytes: 0 });
        }
        let next = page(step, after.clone(), &mut report).await?;
        requests += 1;
        let items = report.keys - before;
        let Some(next) = next else {
            report.clean = Some(true);
            return Ok(Stepped { report, place: None, items, requests, bytes: 0 });
        };
        after = Some(next);
        if step.is_over() || step.binding.target.requests_per_second.is_some() {
            return Ok(Stepped { report, place: Some(Place { after }), items, requests, bytes: 0 });
        }
    }
}

async fn is_full(step: &PassStep<'_>) -> Result<bool, UpstreamError> {
    let name = TargetName::mirror_of(step.space.id);
    let figures = step.store.metadata.outbox_figures().await.map_err(away)?;
    let waiting = figures.iter().find(|figures| figures.name == name).map_or(0, |figures| figures.waiting);
    Ok(waiting >= (step.binding.target.mirror.rows_max / FILLED).max(1))
}

/// Looks at the keys of one page. The last of them; `None` if nothing follows.
async fn page(
    step: &PassStep<'_>,
    after: Option<String>,
    report: &mut Report,
) -> Result<Option<String>, UpstreamError> {
    let metadata = &step.store.metadata;
    let mut sides = Sides::page(step, after.clone()).await?;
    let (unsent, end) = unsent(step, after.as_deref(), sides.end.take()).await?;
    sides.cut(end);
    let keys = sides.keys();
    let known = metadata.mirrored(step.space.id, &keys).await.map_err(away)?;
    let known: HashMap<Key, _> = known.into_iter().collect();
    let thorough = report.thorough.unwrap_or_default();
    let differs = |key: &&Key| {
        let Some(Pair { here, there }) = sides.pairs.get(key.as_str()) else { return false };
        let known = known.get(*key);
        let (fate, edited) = (known.map(|known| known.fate), known.is_some_and(|known| known.edited));
        let memory = known.map_or_else(Memory::default, memory);
        thorough && here.is_some()
            || may_differ(shown(here.as_ref()), shown(there.as_ref()), memory, fate, edited)
    };
    let mut wanted: BTreeSet<Key> = keys.iter().filter(differs).cloned().collect();
    wanted.extend(unsent);
    let wanted: Vec<Key> = wanted.into_iter().collect();
    if !wanted.is_empty() {
        let (facts, now) = (Facts::of_space(&step.space.address), step.store.clock.now());
        let queued = metadata.mirror_again(step.space.id, &facts, &wanted, now).await.map_err(away)?;
        report.queued += queued;
    }
    report.keys += sides.pairs.len() as u64;
    Ok(sides.end)
}

/// Keys behind one of which versions are not upstream as they are here, where both sides keep them; and up to which key the page
/// goes then. Neither listing shows those whose latest version is a delete marker.
async fn unsent(
    step: &PassStep<'_>,
    after: Option<&str>,
    end: Option<String>,
) -> Result<(Vec<Key>, Option<String>), UpstreamError> {
    if step.space.versioning == Versioning::Off || !step.link.keeps_versions().await? {
        return Ok((Vec::new(), end));
    }
    let unsent = step.store.metadata.versions_unsent(step.space.id, after, end.as_deref(), PAGE).await;
    let unsent = unsent.map_err(away)?;
    let cut = (unsent.len() >= PAGE as usize).then(|| unsent.last().map(|key| key.as_str().to_owned()));
    Ok((unsent, cut.flatten().or(end)))
}

fn shown(line: Option<&Line>) -> Option<(&str, u64)> {
    line.map(|(etag, size)| (etag.as_str(), *size))
}
