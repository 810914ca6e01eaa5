//! `juststorage validate`.

use indicatif::HumanBytes;
use juststorage_core::application::validate::{Report, Validator};
use serde_json::json;

use super::output::{Output, progress};
use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::failure::Failure;

/// Compares metadata with data. Findings end it with exit code 1.
pub(super) async fn run(storage: StorageConfig, output: Output) -> Result<(), Failure> {
    let parts = Parts::open(storage).await?;
    let bar = progress();
    let validator = Validator::new(parts.metadata.clone(), parts.tiers.clone());
    let result = validator
        .run(&|so_far| {
            bar.set_message(format!(
                "{} blobs ({}), {} segments",
                so_far.blobs,
                HumanBytes(so_far.bytes),
                so_far.segments
            ));
        })
        .await;
    bar.finish_and_clear();
    parts.metadata.close().await;
    let report = result?;
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| json!({ "code": finding.code, "detail": finding.detail }))
        .collect();
    let checked = report.checked;
    output.print(
        &json!({
            "checked": { "segments": checked.segments, "blobs": checked.blobs, "bytes": checked.bytes },
            "findings": findings,
        }),
        || describe(&report),
    )?;
    match report.findings.len() {
        0 => Ok(()),
        1 => Err(Failure::No("1 finding".to_owned())),
        many => Err(Failure::No(format!("{many} findings"))),
    }
}

fn describe(report: &Report) -> String {
    let checked = report.checked;
    let lines = report.findings.iter().map(|finding| format!("{}: {}\n", finding.code, finding.detail));
    let (bytes, blobs, segments) = (HumanBytes(checked.bytes), checked.blobs, checked.segments);
    let verdict = if report.findings.is_empty() { "; nothing is wrong" } else { "" };
    lines.chain([format!("checked {blobs} blobs ({bytes}) and {segments} segments{verdict}")]).collect()
}
