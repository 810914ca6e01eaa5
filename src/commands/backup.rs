//! `juststorage backup`: holds removal while a backup is made.

use std::time::Duration;

use juststorage_core::application::ports::metadata::{Hold, Retained};
use serde_json::{Value, json};
use uuid::Uuid;

use super::output::{Output, rfc3339, table};
use crate::cli::BackupCommand;
use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;

/// Begins, ends or lists holds.
pub(super) async fn run(
    storage: StorageConfig,
    command: BackupCommand,
    output: Output,
) -> Result<(), ExitError> {
    let parts = Parts::open(storage).await?;
    let result = match command {
        BackupCommand::Begin { hold } => begin(&parts, hold, output).await,
        BackupCommand::End { id, all } => end(&parts, id, all, output).await,
        BackupCommand::List => list(&parts, output).await,
    };
    parts.metadata.close().await;
    result
}

async fn begin(parts: &Parts, length: Duration, output: Output) -> Result<(), ExitError> {
    if length.is_zero() {
        return Err(ExitError::No("--hold must be longer than 0s".to_owned()));
    }
    let now = parts.clock.now();
    let hold = Hold { id: Uuid::now_v7(), begun_at: now, expires_at: now.plus(length) };
    parts.metadata.begin_hold(&hold).await?;
    output.print(&json(&hold), || {
        format!(
            "backup {} holds removal until {}. Copy the database first, then the tiers; then:\n\n  \
             juststorage backup end {}",
            hold.id,
            rfc3339(hold.expires_at),
            hold.id
        )
    })
}

async fn end(parts: &Parts, id: Option<Uuid>, all: bool, output: Output) -> Result<(), ExitError> {
    let holds = parts.metadata.holds().await?;
    let ending = match (id, all, &holds[..]) {
        (Some(id), ..) => vec![id],
        (None, true, holds) => holds.iter().map(|hold| hold.id).collect(),
        (None, false, [hold]) => vec![hold.id],
        (None, false, []) => Vec::new(),
        (None, false, _) => {
            return Err(ExitError::No(
                "several backups hold removal: name one (`juststorage backup list`), or end all of them with --all"
                    .to_owned(),
            ));
        }
    };
    let mut ended = Vec::new();
    for id in ending {
        if parts.metadata.end_hold(id).await? {
            ended.push(id);
        }
    }
    if ended.is_empty() && !all {
        return Err(ExitError::No(
            "no such backup holds removal: it has been ended, or its hold has expired; if it expired before the \
             tiers were copied, make the backup again with a longer --hold"
                .to_owned(),
        ));
    }
    output
        .print(&json!({ "ended": ended }), || format!("backups that hold removal no longer: {}", ended.len()))
}

async fn list(parts: &Parts, output: Output) -> Result<(), ExitError> {
    let now = parts.clock.now();
    let mut holds = parts.metadata.holds().await?;
    holds.retain(|hold| hold.expires_at > now);
    let Retained { segments, bytes } = parts.metadata.retained().await?;
    output.print(
        &json!({
            "holds": holds.iter().map(json).collect::<Vec<_>>(),
            "retained": { "segments": segments, "bytes": bytes },
        }),
        || {
            let rows: Vec<_> = holds
                .iter()
                .map(|hold| [hold.id.to_string(), rfc3339(hold.begun_at), rfc3339(hold.expires_at)])
                .collect();
            table(["BACKUP", "BEGUN", "HOLDS UNTIL"], &rows)
                + &format!("data files that nothing names any more and that are kept for now: {segments}")
        },
    )
}

fn json(hold: &Hold) -> Value {
    json!({ "id": hold.id, "begun_at": rfc3339(hold.begun_at), "expires_at": rfc3339(hold.expires_at) })
}
