//! A backfill: what is upstream and not here is fetched, round after round, until a round finds nothing new.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::step::{Finding, PAGE, PassStep, Place, STEP, Stepped, name};
use crate::application::error::Error;
use crate::application::ports::upstream::{UpstreamError, UpstreamLine, UpstreamListed};
use crate::application::upstream::Beyond;
use crate::application::upstream::flight::{FetchFailure, FetchOutcome};
use crate::domain::address::Key;

/// Objects that are fetched at the same time.
const CONCURRENT: usize = 32;

/// Objects of which a step with a pace fetches at most.
const PACED: u32 = 64;

/// Rounds of one backfill: clients that keep writing to the upstream do not keep it up for ever.
const ROUNDS_MAX: u64 = 10;

/// What a backfill has done so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    round: u64,
    /// Objects looked at in this round.
    objects: u64,
    /// Those of them that were here, or were removed here.
    here: u64,
    /// Fetched, in all rounds.
    fetched: u64,
    bytes: u64,
    /// Fetched in this round.
    new: u64,
    /// Of this round.
    failed: u64,
    /// How many were proved by what.
    proved: std::collections::BTreeMap<String, u64>,
    findings: Vec<Finding>,
    clean: Option<bool>,
}

pub(super) async fn step(step: &PassStep<'_>, mut report: Report) -> Result<Stepped<Report>, UpstreamError> {
    let target = &step.binding.target;
    let paced = target.requests_per_second.is_some() || target.bytes_per_second.is_some();
    let page = step.list(step.place.after.clone(), if paced { PACED } else { PAGE }).await?;
    if report.round == 0 {
        report.round = 1;
    }
    let mut requests = 1;
    let listed: Vec<UpstreamListed> = page
        .lines
        .into_iter()
        .filter_map(|line| match line {
            UpstreamLine::Object(object) => Some(object),
            UpstreamLine::Prefix(_) => None,
        })
        .collect();
    for key in &page.unusable {
        report.failed += 1;
        name(&mut report.findings, key, "cannot_move", "the key is longer than 1,024 bytes, or not text");
    }
    let keys: Vec<Key> = listed.iter().map(|object| object.key.clone()).collect();
    let hidden = step.store.metadata.hidden(step.space.id, &keys).await.map_err(here)?;
    let hidden: HashSet<Key> = hidden.into_iter().collect();
    let missing: Vec<Key> = keys.iter().filter(|key| !hidden.contains(*key)).cloned().collect();

    let mut settled: HashSet<Key> = hidden;
    report.here += settled.len() as u64;
    report.objects += settled.len() as u64;
    let (before, mut bytes) = (report.fetched, 0);
    let pulls = futures::stream::iter(missing).map(|key| {
        let (space, link) = (step.space.clone(), step.link.clone());
        let beyond = Beyond { space, key: key.clone(), link, as_version: false };
        async move { (key, step.store.pull(&beyond).await) }
    });
    let mut pulls = pulls.buffer_unordered(CONCURRENT);
    // What is not done by the end of the step goes on by itself; the next step finds it, or waits for it.
    let mut outage = None;
    while let Ok(Some((key, outcome))) = tokio::time::timeout(
        STEP.saturating_sub(step.started.elapsed()).max(Duration::from_millis(1)),
        pulls.next(),
    )
    .await
    {
        requests += 1;
        report.objects += 1;
        match outcome {
            FetchOutcome::Kept(size, proof) => {
                report.fetched += 1;
                report.new += 1;
                report.bytes = report.bytes.saturating_add(size);
                bytes += size;
                *report.proved.entry(proof.to_owned()).or_default() += 1;
            }
            FetchOutcome::Absent | FetchOutcome::Overtaken => report.here += 1,
            FetchOutcome::Failed(FetchFailure::Upstream(error)) if error.is_outage() => {
                report.objects -= 1;
                outage = Some(error);
                break;
            }
            FetchOutcome::Failed(FetchFailure::Here(Error::Full | Error::Busy | Error::Unavailable)) => {
                report.objects -= 1;
                outage = Some(UpstreamError::Away("this store takes nothing just now".to_owned()));
                break;
            }
            FetchOutcome::Failed(failure) => {
                report.failed += 1;
                name(&mut report.findings, key.as_str(), "not_fetched", failure.to_string());
            }
        }
        settled.insert(key);
        if step.is_over() {
            break;
        }
    }
    drop(pulls);
    // Everything up to here is done.
    let done = keys.iter().take_while(|key| settled.contains(*key)).count();
    let undone = settled.len().saturating_sub(done) as u64;
    // Those behind the first gap are looked at again.
    report.objects = report.objects.saturating_sub(undone);
    if let Some(outage) = outage
        && done == 0
        && report.fetched == before
    {
        return Err(outage);
    }
    let whole = done == keys.len();
    let after = if done == 0 {
        step.place.after.clone()
    } else {
        keys.get(done - 1).map(|key| key.as_str().to_owned())
    };
    let items = report.fetched - before;
    let place = match (whole, page.next) {
        (true, None) => next_round(&mut report),
        _ => Some(Place { after }),
    };
    Ok(Stepped { report, place, items, requests, bytes })
}

/// Another round, if this one has fetched anything.
fn next_round(report: &mut Report) -> Option<Place> {
    if report.new == 0 || report.round >= ROUNDS_MAX {
        report.clean = Some(report.failed == 0);
        return None;
    }
    let next = Report {
        round: report.round + 1,
        objects: 0,
        here: 0,
        new: 0,
        failed: 0,
        findings: Vec::new(),
        ..report.clone()
    };
    *report = next;
    Some(Place::default())
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` passes it
fn here(error: crate::application::ports::metadata::MetadataError) -> UpstreamError {
    UpstreamError::Away(format!("this store's database: {error}"))
}
