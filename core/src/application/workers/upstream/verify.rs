//! A comparison of both sides as they are now: entity tags and sizes of every key.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::again::{self, Again};
use super::evidence::{Compared, Evidence};
use super::sides::{Pair, Sides, side};
use super::step::{Finding, NAMED_MAX, PassStep, Place, Stepped, away, name};
use super::{history, mirrored};
use crate::application::ports::upstream::UpstreamError;
use crate::domain::address::Key;
use crate::domain::upstream::Fate;
use crate::domain::upstream::compare::{Verdict, judge};

/// What a comparison has found so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    matched: u64,
    differ: u64,
    only_upstream: u64,
    only_here: u64,
    /// Replaced or removed here since, as it should be.
    replaced_here: u64,
    removed_here: u64,
    bytes: u64,
    /// How many of those that matched were fetched, and were proved then by what.
    proved: BTreeMap<String, u64>,
    /// Wait to be sent to the upstream.
    waiting: u64,
    /// The mode in which it was compared.
    mode: String,
    found: u64,
    findings: Vec<Finding>,
    clean: Option<bool>,
    /// Of versions, where they are compared; that comes when all keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<history::Report>,
    /// What only the signed report tells.
    evidence: Evidence,
}

pub(super) async fn step(step: &PassStep<'_>, mut report: Report) -> Result<Stepped<Report>, UpstreamError> {
    let (mut items, mut requests, mut after) = (0, 0, step.place.after.clone());
    let mut list = report.evidence.resume(&step.binding.target)?;
    if report.versions.is_some() {
        return versions(step, report, list).await;
    }
    loop {
        let compared = page(step, after, &mut report, &mut list).await?;
        items += compared.keys;
        requests += compared.requests;
        let Some(next) = compared.end else {
            if history::are_compared(step).await? {
                report.versions = Some(history::Report::default());
                report.evidence.pause(&list);
                return Ok(Stepped { report, place: Some(Place::default()), items, requests, bytes: 0 });
            }
            finish(step, &mut report, list).await?;
            return Ok(Stepped { report, place: None, items, requests, bytes: 0 });
        };
        after = Some(next);
        let paced = step.binding.target.requests_per_second.is_some();
        if step.is_over() || paced {
            report.evidence.pause(&list);
            return Ok(Stepped { report, place: Some(Place { after }), items, requests, bytes: 0 });
        }
    }
}

/// Compares versions, once all keys are.
async fn versions(
    step: &PassStep<'_>,
    mut report: Report,
    list: Compared,
) -> Result<Stepped<Report>, UpstreamError> {
    let (mut items, mut requests, mut after) = (0, 0, step.place.after.clone());
    let mut found = report.versions.take().unwrap_or_default();
    loop {
        let findings = (&mut report.found, &mut report.findings);
        let page = history::page(step, after, &mut found, findings).await?;
        items += page.items;
        requests += page.requests;
        let is_over = step.is_over() || step.binding.target.requests_per_second.is_some();
        after = page.end;
        if after.is_some() && !is_over {
            continue;
        }
        report.versions = Some(found);
        let place = after.map(|after| Place { after: Some(after) });
        if place.is_none() {
            finish(step, &mut report, list).await?;
        }
        return Ok(Stepped { report, place, items, requests, bytes: 0 });
    }
}

/// Everything is compared.
async fn finish(step: &PassStep<'_>, report: &mut Report, list: Compared) -> Result<(), UpstreamError> {
    mirrored::note_dropped(step, &mut report.found, &mut report.findings).await?;
    report.clean = Some(report.found == 0);
    report.evidence.finish(list, report.matched);
    Ok(())
}

/// What was compared of one page.
struct Page {
    /// Its last key; `None` if nothing follows.
    end: Option<String>,
    keys: u64,
    /// How many requests the upstream was asked.
    requests: u64,
}

/// Compares the keys of one page behind `after`.
async fn page(
    step: &PassStep<'_>,
    after: Option<String>,
    report: &mut Report,
    list: &mut Compared,
) -> Result<Page, UpstreamError> {
    let sides = Sides::page(step, after).await?;
    for key in &sides.unusable {
        report.only_upstream += 1;
        report.found += 1;
        name(&mut report.findings, key, "only_upstream", "the key is longer than 1,024 bytes, or not text");
    }
    let keys = sides.keys();
    let fates = step.store.metadata.fates(step.space.id, &keys).await.map_err(away)?;
    let fates: HashMap<String, (Fate, Option<String>)> =
        fates.into_iter().map(|(key, fate, proof)| (key.as_str().to_owned(), (fate, proof))).collect();
    let sent = mirrored::Sent::of(step, &keys).await?;
    let mode = step.binding.mode;
    mode.as_str().clone_into(&mut report.mode);
    let first = |key: &str, Pair { here, there }: &Pair| {
        let fate = sent.fate_of(step, key, fates.get(key).map(|(fate, _)| *fate), here.as_ref());
        judge(mode, side(here.as_ref()), side(sent.as_here(key, here.as_ref(), there.as_ref())), fate)
    };
    let doubtful =
        sides.pairs.iter().filter(|(key, pair)| !sent.waits(key) && first(key, pair).finding(mode).is_some());
    let left = NAMED_MAX.saturating_sub(usize::try_from(report.found).unwrap_or(usize::MAX));
    let doubtful: Vec<Key> = doubtful.filter_map(|(key, _)| Key::new(key).ok()).take(left).collect();
    let (again, looks) = again::look(step, doubtful).await?;
    for (key, pair) in &sides.pairs {
        let proof = fates.get(key).and_then(|(_, proof)| proof.as_ref());
        let (verdict, here) = match again.get(key) {
            None => (first(key, pair), &pair.here),
            // It was removed everywhere meanwhile.
            Some(Again::Is(Pair { here: None, there: None }, _)) => continue,
            Some(Again::Is(Pair { here, there }, fate)) => {
                (judge(mode, side(here.as_ref()), side(there.as_ref()), *fate), here)
            }
            Some(Again::Waits) => {
                report.waiting += 1;
                continue;
            }
        };
        if verdict != Verdict::Matched && sent.waits(key) {
            report.waiting += 1;
            continue;
        }
        match verdict {
            Verdict::Matched => {
                report.matched += 1;
                if let Some((etag, size)) = here {
                    report.bytes = report.bytes.saturating_add(*size);
                    list.add(key, *size, etag);
                }
                if let Some(proof) = proof {
                    *report.proved.entry(proof.clone()).or_default() += 1;
                    report.evidence.proved(key, proof);
                }
            }
            Verdict::Differ(_) => report.differ += 1,
            Verdict::OnlyUpstream(_) => report.only_upstream += 1,
            Verdict::OnlyHere => report.only_here += 1,
            Verdict::ReplacedHere => report.replaced_here += 1,
            Verdict::RemovedHere => report.removed_here += 1,
        }
        if let Some((finding, why)) = verdict.finding(mode) {
            report.found += 1;
            report.evidence.found(verdict);
            name(&mut report.findings, key, finding, why);
        }
    }
    Ok(Page { end: sides.end, keys: sides.pairs.len() as u64, requests: 1 + looks })
}
