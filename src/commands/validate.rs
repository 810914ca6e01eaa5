//! `juststorage validate`.

use indicatif::HumanBytes;
use juststorage_core::application::rebuild::{Rebuilder, Rebuilt};
use juststorage_core::application::validate::{Finding, Report, Validator};
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::identity::Purpose;
use serde_json::{Value, json};

use super::output::{Output, progress};
use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::data_dir::DataDir;
use crate::exit_error::ExitError;
use crate::serve::home_tenant;

/// Compares metadata with data. Exits with 1 on a finding.
pub(super) async fn run(storage: StorageConfig, output: Output) -> Result<(), ExitError> {
    let parts = Parts::open(storage).await?;
    let result = validate(&parts).await;
    parts.metadata.close().await;
    let report = result?;
    output.print(&to_json(&report), || describe(&report))?;
    verdict(report.findings.len())
}

/// Rebuilds the metadata of a lost database, then validates as [`run`] does.
pub(super) async fn rebuild(
    storage: StorageConfig,
    mut tenants: Vec<Tenant>,
    output: Output,
) -> Result<(), ExitError> {
    tenants.push(home_tenant()?);
    let data_dir = DataDir::at(&storage.data_dir);
    let parts = Parts::open_in(data_dir, storage, Purpose::Rebuild).await?;
    // No server of this directory runs, nor starts before this is done.
    let _held = parts.data_dir.hold()?;
    let result = async {
        let rebuilt = enter_segments(&parts, tenants).await?;
        Ok::<_, ExitError>((rebuilt, validate(&parts).await?))
    };
    let result = result.await;
    parts.metadata.close().await;
    let (rebuilt, report) = result?;
    let mut printed = to_json(&report);
    printed["rebuilt"] = json!({
        "segments": rebuilt.segments,
        "objects": rebuilt.objects,
        "bytes": rebuilt.bytes,
        "known": rebuilt.known,
        "findings": findings_to_json(&rebuilt.findings),
    });
    output.print(&printed, || describe_rebuilt(&rebuilt) + &describe(&report))?;
    verdict(rebuilt.findings.len() + report.findings.len())
}

async fn enter_segments(parts: &Parts, tenants: Vec<Tenant>) -> Result<Rebuilt, ExitError> {
    let bar = progress();
    let rebuilder = Rebuilder::new(parts.metadata.clone(), parts.tiers.clone(), parts.clock.clone(), tenants);
    let result = rebuilder
        .run(&|so_far| {
            let (objects, segments) = (so_far.objects, so_far.segments);
            bar.set_message(format!(
                "{objects} objects ({}) of {segments} segments",
                HumanBytes(so_far.bytes)
            ));
        })
        .await;
    bar.finish_and_clear();
    result?.map_err(|not_empty| ExitError::No(not_empty.to_string()))
}

async fn validate(parts: &Parts) -> Result<Report, ExitError> {
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
    Ok(result?)
}

fn to_json(report: &Report) -> Value {
    let checked = report.checked;
    json!({
        "checked": { "segments": checked.segments, "blobs": checked.blobs, "bytes": checked.bytes },
        "findings": findings_to_json(&report.findings),
    })
}

/// Findings as JSON.
pub(super) fn findings_to_json(findings: &[Finding]) -> Vec<Value> {
    findings.iter().map(|finding| json!({ "code": finding.code, "detail": finding.detail })).collect()
}

/// Findings as text, one per line.
pub(super) fn findings_to_text(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|finding| format!("{}: {}\n", finding.code, finding.detail));
    lines.collect::<Vec<_>>().concat()
}

/// Exit code 1 if there are findings.
pub(super) fn verdict(findings: usize) -> Result<(), ExitError> {
    match findings {
        0 => Ok(()),
        1 => Err(ExitError::No("1 finding".to_owned())),
        many => Err(ExitError::No(format!("{many} findings"))),
    }
}

fn describe_rebuilt(rebuilt: &Rebuilt) -> String {
    let Rebuilt { segments, objects, bytes, known, findings } = rebuilt;
    let known = if *known == 0 { String::new() } else { format!("; {known} were entered before") };
    let bytes = HumanBytes(*bytes);
    findings_to_text(findings)
        + &format!("rebuilt {objects} objects ({bytes}) of {segments} segments{known}\n")
}

fn describe(report: &Report) -> String {
    let checked = report.checked;
    let (bytes, blobs, segments) = (HumanBytes(checked.bytes), checked.blobs, checked.segments);
    let verdict = if report.findings.is_empty() { "; nothing is wrong" } else { "" };
    findings_to_text(&report.findings)
        + &format!("checked {blobs} blobs ({bytes}) and {segments} segments{verdict}")
}
