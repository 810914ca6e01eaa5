//! A survey: what is upstream, what moves and what does not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::step::{Finding, PAGE, PassStep, Place, Stepped, name};
use crate::application::ports::upstream::{UpstreamError, UpstreamFacts, UpstreamLine};
use crate::domain::upstream::proof::part_count;

/// Bounds of the sizes that are told apart, in bytes, and what they are called.
const SIZES: [(u64, &str); 6] = [
    (4 << 10, "up_to_4KiB"),
    (64 << 10, "up_to_64KiB"),
    (1 << 20, "up_to_1MiB"),
    (64 << 20, "up_to_64MiB"),
    (1 << 30, "up_to_1GiB"),
    (u64::MAX, "larger"),
];

/// What a survey has found so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    objects: u64,
    bytes: u64,
    sizes: BTreeMap<String, u64>,
    classes: BTreeMap<String, u64>,
    /// Objects that were uploaded in parts.
    multipart: u64,
    /// What is set on the bucket there.
    settings: BTreeMap<String, String>,
    /// What moves by itself.
    moves: Vec<String>,
    /// What does not, and has to be set here or decided.
    stays: Vec<String>,
    /// Keys that cannot move.
    found: u64,
    findings: Vec<Finding>,
}

pub(super) async fn step(step: &PassStep<'_>, mut report: Report) -> Result<Stepped<Report>, UpstreamError> {
    if report.settings.is_empty() {
        note(&step.link.facts().await?, &mut report);
    }
    let page = step.list(step.place.after.clone(), PAGE).await?;
    let mut last = step.place.after.clone();
    let items = page.lines.len() as u64;
    for key in &page.unusable {
        report.found += 1;
        name(&mut report.findings, key, "cannot_move", "the key is longer than 1,024 bytes, or not text");
    }
    for line in page.lines {
        let UpstreamLine::Object(object) = line else { continue };
        report.objects += 1;
        report.bytes = report.bytes.saturating_add(object.size);
        let size = SIZES.iter().find(|(most, _)| object.size <= *most).map_or("larger", |(_, size)| size);
        *report.sizes.entry(size.to_owned()).or_default() += 1;
        let class = object.class.as_deref().unwrap_or("STANDARD");
        *report.classes.entry(class.to_owned()).or_default() += 1;
        report.multipart += u64::from(part_count(&object.etag).is_some());
        if matches!(class, "GLACIER" | "DEEP_ARCHIVE") {
            report.found += 1;
            let why = "it is archived: restore it there first";
            name(&mut report.findings, object.key.as_str(), "cannot_move", why);
        }
        last = Some(object.key.as_str().to_owned());
    }
    let place = page.next.map(|_| Place { after: last });
    Ok(Stepped { report, place, items, requests: 1, bytes: 0 })
}

/// What is set on the bucket there, and what becomes of it.
fn note(facts: &UpstreamFacts, report: &mut Report) {
    let settings = &mut report.settings;
    let versioning = facts.versioning.as_deref().unwrap_or("Off");
    settings.insert("versioning".to_owned(), versioning.to_owned());
    settings.insert("encryption".to_owned(), facts.encryption.clone().unwrap_or_else(|| "none".to_owned()));
    let moves = "bytes, entity tags, Last-Modified, headers, user metadata, tags and storage classes of the latest version";
    report.moves.push(moves.to_owned());
    let mut stays = Vec::new();
    if facts.versioning.is_some() {
        stays.push(
            "versions behind the latest, and delete markers: copy them before you leave the upstream"
                .to_owned(),
        );
    }
    for (there, what, how) in [
        (facts.object_lock, "object_lock", "object lock: enable it here, then locks move with their objects"),
        (facts.policy, "policy", "the bucket's policy: set one here (docs/policies.md)"),
        (facts.shared_acl, "acl", "the bucket's ACL: grant by a policy here"),
        (facts.lifecycle, "lifecycle", "lifecycle rules: set them here"),
        (facts.cors, "cors", "CORS rules: set them here"),
        (facts.notifications, "notifications", "notifications: set them here"),
    ] {
        settings.insert(what.to_owned(), if there { "set" } else { "none" }.to_owned());
        if there {
            stays.push(how.to_owned());
        }
    }
    if facts.encryption.as_deref().is_some_and(|algorithm| algorithm.starts_with("aws:kms")) {
        stays.push("entity tags of objects that a key service encrypts say nothing of their bytes: they are read twice".to_owned());
    }
    stays.push("parts of uploads in parts: an object comes as one piece, under its entity tag".to_owned());
    stays.extend(facts.unknown.iter().map(|unknown| format!("not found out: {unknown}")));
    report.stays = stays;
}
