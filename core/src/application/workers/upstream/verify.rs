//! A comparison of both sides as they are now: entity tags and sizes of every key.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::evidence::{Compared, Evidence};
use super::mirrored;
use super::step::{Finding, PAGE, Place, Step, Stepped, name};
use crate::application::ports::metadata::{ListQuery, MetadataError};
use crate::application::ports::upstream::{UpstreamError, UpstreamLine, UpstreamObject};
use crate::application::upstream::kept;
use crate::domain::address::Key;
use crate::domain::space::Versioning;
use crate::domain::upstream::Fate;
use crate::domain::upstream::compare::{Side, Verdict, judge};

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
    /// What only the signed report tells.
    evidence: Evidence,
}

pub(super) async fn step(step: &Step<'_>, mut report: Report) -> Result<Stepped<Report>, UpstreamError> {
    let (mut items, mut requests, mut after) = (0, 0, step.place.after.clone());
    let mut list = report.evidence.resume(&step.binding.target)?;
    loop {
        let at = Step {
            place: Place { after: after.clone() },
            link: step.link.clone(),
            space: step.space.clone(),
            ..*step
        };
        let (more, compared) = page(&at, &mut report, &mut list).await?;
        items += compared;
        requests += 1;
        let Some(next) = more else {
            mirrored::note_dropped(step, &mut report.found, &mut report.findings).await?;
            report.clean = Some(report.found == 0);
            report.evidence.finish(list, report.matched);
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

/// What both sides have under a key: entity tag and size.
#[derive(Default)]
struct Pair {
    here: Option<(String, u64)>,
    there: Option<(String, u64)>,
}

/// Compares the keys of one page. The last of them, `None` if nothing follows; and how many there were.
async fn page(
    step: &Step<'_>,
    report: &mut Report,
    list: &mut Compared,
) -> Result<(Option<String>, u64), UpstreamError> {
    let after = step.place.after.clone();
    let page = step.list(PAGE).await?;
    let mut both: BTreeMap<String, Pair> = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in page.lines {
        let UpstreamLine::Object(object) = line else { continue };
        if last.as_deref().is_some_and(|last| object.key.as_str() <= last) {
            return Err(UpstreamError::Unusable(
                "it does not list its keys in the order of their bytes".to_owned(),
            ));
        }
        last = Some(object.key.as_str().to_owned());
        let said = UpstreamObject { etag: object.etag, ..UpstreamObject::default() };
        let there = (kept::etag(&said).as_str().to_owned(), object.size);
        both.entry(object.key.as_str().to_owned()).or_default().there = Some(there);
    }
    let query = ListQuery {
        space: step.space.id,
        prefix: String::new(),
        from: after.map_or(Bound::Unbounded, Bound::Excluded),
        from_version: None,
        versions: false,
        versioned: step.space.versioning != Versioning::Off,
        keyless: false,
        limit: PAGE,
    };
    let here = step.store.metadata.list_latest(&query).await.map_err(away)?;
    // Each side is known up to its last line only, unless nothing follows it.
    let far_end = page.next.is_some().then(|| last.clone()).flatten();
    let near_end =
        (here.len() >= PAGE as usize).then(|| here.last().map(|line| line.key.as_str().to_owned())).flatten();
    let end = [far_end, near_end].into_iter().flatten().min();
    for line in here {
        let here = (line.etag.as_str().to_owned(), line.size);
        both.entry(line.key.as_str().to_owned()).or_default().here = Some(here);
    }
    if let Some(end) = &end {
        both.retain(|key, _| key <= end);
    }
    for key in page.unusable.iter().filter(|key| end.as_ref().is_none_or(|end| *key <= end)) {
        report.only_upstream += 1;
        report.found += 1;
        name(&mut report.findings, key, "only_upstream", "the key is longer than 1,024 bytes, or not text");
    }
    let keys: Vec<Key> = both.keys().filter_map(|key| Key::new(key).ok()).collect();
    let fates = step.store.metadata.fates(step.space.id, &keys).await.map_err(away)?;
    let fates: HashMap<String, (Fate, Option<String>)> =
        fates.into_iter().map(|(key, fate, proof)| (key.as_str().to_owned(), (fate, proof))).collect();
    let sent = mirrored::Sent::of(step, &keys).await?;
    let mode = step.binding.mode;
    mode.as_str().clone_into(&mut report.mode);
    for (key, Pair { here, there }) in &both {
        let (fate, proof) =
            fates.get(key).map_or((None, None), |(fate, proof)| (Some(*fate), proof.as_ref()));
        let there = sent.as_here(key, here.as_ref(), there.as_ref());
        let verdict = judge(mode, side(here.as_ref()), side(there), fate);
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
    Ok((end, both.len() as u64))
}

fn side(side: Option<&(String, u64)>) -> Option<Side<'_>> {
    side.map(|(etag, size)| Side { etag, size: *size })
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` passes it
fn away(error: MetadataError) -> UpstreamError {
    UpstreamError::Away(format!("this store's database: {error}"))
}
