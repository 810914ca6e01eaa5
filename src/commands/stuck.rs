//! `juststorage stuck`: items of background work that failed.

use axum::http::Method;
use indicatif::HumanBytes;
use juststorage_core::application::giving_up::{GivingUp, Unnamed};
use juststorage_core::application::ports::metadata::{SegmentRecord, Stuck};
use juststorage_core::application::ports::segments::FoundRecord;
use juststorage_core::domain::blob::SegmentId;
use serde_json::{Value, json};

use super::output::{Output, cell, rfc3339, table};
use crate::cli::StuckCommand;
use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;
use crate::remote::Remote;

/// Most rows shown.
const ROWS_MAX: u32 = 10_000;

/// Records of a kept segment that are shown to people, and that are listed for programs.
const RECORDS_SHOWN: usize = 20;
const RECORDS_MAX: usize = 10_000;

/// Lists these items, makes some of them due, or gives up kept segments.
pub(super) async fn run(
    storage: StorageConfig,
    command: Option<StuckCommand>,
    output: Output,
) -> Result<(), ExitError> {
    let parts = Parts::open(storage).await?;
    let result = match command {
        None => list(&parts, output).await,
        Some(StuckCommand::Retry { item, all: _ }) => retry(&parts, item.as_deref(), output).await,
        Some(StuckCommand::GiveUp { segment, all: _, yes }) => {
            give_up(&parts, segment.map(SegmentId), yes, output).await
        }
    };
    parts.metadata.close().await;
    result
}

/// As [`run`], on the store of a server.
pub(super) async fn run_remote(
    remote: &Remote,
    command: Option<StuckCommand>,
    output: Output,
) -> Result<(), ExitError> {
    const PATH: &str = "/v1/admin/stuck";
    match command {
        None => {
            let found = remote.get(&format!("{PATH}?limit=1000")).await?;
            let stuck = found["stuck"].as_array().cloned().unwrap_or_default();
            output.print(&Value::Array(stuck.clone()), || listed(&stuck))
        }
        Some(StuckCommand::Retry { item, all }) => {
            let body = json!({ "item": item, "all": all });
            let due = remote.call(Method::POST, &format!("{PATH}/retry"), Some(&body)).await?;
            output.print(&due, || format!("items that are due now: {}; they are tried at once", due["due"]))
        }
        Some(StuckCommand::GiveUp { segment, all, yes }) => {
            let found = if yes {
                let body = json!({ "segment": segment, "all": all });
                remote.call(Method::POST, &format!("{PATH}/give-up"), Some(&body)).await?
            } else {
                remote.get(&format!("{PATH}/kept")).await?
            };
            let wanted = segment.map(|id| id.to_string());
            let mut segments = found["segments"].as_array().cloned().unwrap_or_default();
            segments.retain(|one| wanted.as_deref().is_none_or(|id| one["segment"] == id));
            for one in &mut segments {
                if let Some(members) = one.as_object_mut() {
                    members.retain(|_, value| !value.is_null());
                }
            }
            if segments.is_empty() {
                return Err(ExitError::No(nothing_kept(segment.map(SegmentId))));
            }
            let text = segments.iter().map(describe_kept).collect::<String>() + verdict(yes);
            output.print(&json!({ "given_up": yes, "segments": segments }), || text)
        }
    }
}

/// A kept segment, as a server tells of it.
fn describe_kept(segment: &Value) -> String {
    let (id, tier) = (cell(&segment["segment"]), cell(&segment["tier"]));
    if let Some(error) = segment["error"].as_str() {
        return format!(
            "segment {id} on the {tier} tier cannot be read, so what it holds is unknown: {error}\n"
        );
    }
    let (count, bytes) = (&segment["records"], HumanBytes(segment["bytes"].as_u64().unwrap_or_default()));
    let mut lines =
        format!("segment {id} on the {tier} tier: records that no object names: {count} ({bytes})\n");
    let lost = segment["lost"].as_array().map(Vec::as_slice).unwrap_or_default();
    for record in lost.iter().take(RECORDS_SHOWN) {
        lines.extend(["  sha256 ", &cell(&record["sha256"]), "  ", &record["bytes"].to_string(), " bytes\n"]);
    }
    let shown = lost.len().min(RECORDS_SHOWN) as u64;
    match count.as_u64().map(|count| count.saturating_sub(shown)) {
        Some(more) if more > 0 => lines + &format!("  and {more} more\n"),
        _ => lines,
    }
}

fn nothing_kept(only: Option<SegmentId>) -> String {
    only.map_or_else(|| "no segment is kept".to_owned(), |id| format!("the segment {id} is not kept"))
}

fn verdict(yes: bool) -> &'static str {
    if yes {
        "given up: what no object names in them is garbage now, whose files go once the retention has passed"
    } else {
        "nothing was changed: with --yes these records are given up for good"
    }
}

async fn list(parts: &Parts, output: Output) -> Result<(), ExitError> {
    let stuck = parts.metadata.stuck(None, ROWS_MAX).await?;
    let stuck: Vec<_> = stuck.iter().map(json).collect();
    output.print(&Value::Array(stuck.clone()), || listed(&stuck))
}

fn listed(stuck: &[Value]) -> String {
    if stuck.is_empty() {
        return "nothing is stuck".to_owned();
    }
    let fields = ["worker", "item", "failures", "since", "next_at", "error"];
    let rows: Vec<_> = stuck.iter().map(|one| fields.map(|field| cell(&one[field]))).collect();
    table(["WORKER", "ITEM", "FAILURES", "SINCE", "NEXT", "ERROR"], &rows)
}

async fn retry(parts: &Parts, item: Option<&str>, output: Output) -> Result<(), ExitError> {
    let due = parts.metadata.retry_stuck(item, parts.clock.now()).await?;
    if due == 0 {
        let what = item.map_or_else(|| "nothing is stuck".to_owned(), |item| format!("{item} is not stuck"));
        return Err(ExitError::No(what));
    }
    output.print(&json!({ "due": due }), || {
        format!("items that are due now: {due}; a running server tries them within a minute, `gc` at once")
    })
}

/// Shows the records that would be lost with kept segments; with `yes`, gives them up.
async fn give_up(parts: &Parts, only: Option<SegmentId>, yes: bool, output: Output) -> Result<(), ExitError> {
    let giving_up = GivingUp::new(parts.metadata.clone(), parts.tiers.clone());
    let all = giving_up.look(only).await?;
    if all.is_empty() {
        return Err(ExitError::No(nothing_kept(only)));
    }
    if yes {
        for Unnamed { kept, .. } in &all {
            giving_up.give_up(kept.segment.id, parts.clock.now()).await?;
        }
    }
    let printed = json!({ "given_up": yes, "segments": all.iter().map(unnamed_to_json).collect::<Vec<_>>() });
    output.print(&printed, || all.iter().map(describe_unnamed).collect::<String>() + verdict(yes))
}

fn unnamed_to_json(unnamed: &Unnamed) -> Value {
    let segment = &unnamed.kept.segment;
    let hashes = |records: &[FoundRecord]| {
        let shown = records.iter().take(RECORDS_MAX);
        shown
            .map(|record| json!({ "sha256": record.hash.to_string(), "bytes": record.length }))
            .collect::<Vec<_>>()
    };
    let mut printed = json!({ "segment": segment.id.to_string(), "tier": segment.tier.as_str() });
    match &unnamed.records {
        Ok(records) => {
            printed["records"] = records.len().into();
            printed["bytes"] = bytes_of(records).into();
            printed["lost"] = hashes(records).into();
        }
        Err(error) => printed["error"] = error.to_string().into(),
    }
    printed
}

fn describe_unnamed(unnamed: &Unnamed) -> String {
    let SegmentRecord { id, tier, .. } = unnamed.kept.segment;
    let tier = tier.as_str();
    let records = match &unnamed.records {
        Ok(records) => records,
        Err(error) => {
            return format!(
                "segment {id} on the {tier} tier cannot be read, so what it holds is unknown: {error}\n"
            );
        }
    };
    let (count, bytes) = (records.len(), HumanBytes(bytes_of(records)));
    let mut lines =
        vec![format!("segment {id} on the {tier} tier: records that no object names: {count} ({bytes})\n")];
    let shown = records.iter().take(RECORDS_SHOWN);
    lines.extend(shown.map(|record| format!("  sha256 {}  {} bytes\n", record.hash, record.length)));
    if count > RECORDS_SHOWN {
        lines.push(format!("  and {} more; --json lists {RECORDS_MAX}\n", count - RECORDS_SHOWN));
    }
    lines.concat()
}

fn bytes_of(records: &[FoundRecord]) -> u64 {
    records.iter().map(|record| record.length).sum()
}

fn json(stuck: &Stuck) -> Value {
    json!({
        "worker": stuck.worker,
        "item": stuck.item,
        "error": stuck.error,
        "failures": stuck.failures,
        "since": rfc3339(stuck.since),
        "next_at": rfc3339(stuck.next_at),
    })
}
