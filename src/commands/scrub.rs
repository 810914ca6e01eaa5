//! `juststorage scrub`.

use indicatif::{HumanBytes, ProgressBar};
use juststorage_core::application::ports::metadata::ScrubPass;
use juststorage_core::application::validate::Finding;
use juststorage_core::application::workers::Scrubber;
use serde_json::json;
use std::time::Duration;

use super::output::{Output, progress};
use super::validate::{findings_to_json, findings_to_text, verdict};
use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;

/// The result of the pass.
struct Done {
    pass: ScrubPass,
    /// Whether an earlier process, or a server, began it.
    resumed: bool,
    findings: Vec<Finding>,
}

/// Reads every blob. Exits with 1 on a finding.
pub(super) async fn run(storage: StorageConfig, output: Output) -> Result<(), ExitError> {
    let parts = Parts::open(storage).await?;
    let bar = progress();
    let result = scrub(&parts, &bar).await;
    bar.finish_and_clear();
    parts.metadata.close().await;
    let done = result?;
    let pass = &done.pass;
    output.print(
        &json!({
            "pass": pass.number,
            "resumed": done.resumed,
            "checked": { "blobs": pass.blobs, "bytes": pass.bytes },
            "findings": findings_to_json(&done.findings),
        }),
        || describe(&done),
    )?;
    verdict(done.findings.len())
}

async fn scrub(parts: &Parts, bar: &ProgressBar) -> Result<Done, ExitError> {
    let (metadata, tiers, clock) = (&parts.metadata, &parts.tiers, &parts.clock);
    let usage = metadata.usage(None, None).await?;
    let bytes = HumanBytes(usage.iter().map(|usage| usage.physical_bytes).sum());
    let scrubber = Scrubber::new(metadata.clone(), tiers.clone(), clock.clone(), Duration::ZERO);
    let mut pass = scrubber.begin().await?;
    let (number, resumed) = (pass.number, pass.after.is_some());
    let mut findings = Vec::new();
    // A server may work on the same pass, and then begin the next.
    while pass.number == number && pass.finished_at.is_none() {
        bar.set_message(format!("{} blobs ({} of {bytes})", pass.blobs, HumanBytes(pass.bytes)));
        let advanced = scrubber.advance(pass).await?;
        pass = advanced.pass;
        findings.extend(advanced.findings);
    }
    // Earlier findings, of this command and of the server's scrubber.
    let mut after = None;
    loop {
        let page = metadata.quarantined(after, 512).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for leaf in &page {
            let detail = leaf.to_string();
            if findings.iter().all(|finding| finding.detail != detail) {
                findings.push(Finding { code: "blob-quarantined", detail });
            }
        }
    }
    Ok(Done { pass, resumed, findings })
}

fn describe(done: &Done) -> String {
    let Done { pass, resumed, findings } = done;
    let resumed = if *resumed { ", resumed" } else { "" };
    let verdict = if findings.is_empty() { "; nothing is wrong" } else { "" };
    let (number, blobs, bytes) = (pass.number, pass.blobs, HumanBytes(pass.bytes));
    findings_to_text(findings) + &format!("pass {number}{resumed}: read {blobs} blobs ({bytes}){verdict}")
}
