//! `juststorage stuck`: items of background work that failed.

use juststorage_core::application::ports::metadata::Stuck;
use serde_json::{Value, json};

use super::output::{Output, rfc3339, table};
use crate::cli::StuckCommand;
use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::failure::Failure;

/// Most rows shown.
const ROWS_MAX: u32 = 10_000;

/// Lists these items, or makes some of them due.
pub(super) async fn run(
    storage: StorageConfig,
    command: Option<StuckCommand>,
    output: Output,
) -> Result<(), Failure> {
    let parts = Parts::open(storage).await?;
    let result = match command {
        None => list(&parts, output).await,
        Some(StuckCommand::Retry { item, all: _ }) => retry(&parts, item.as_deref(), output).await,
    };
    parts.metadata.close().await;
    result
}

async fn list(parts: &Parts, output: Output) -> Result<(), Failure> {
    let stuck = parts.metadata.stuck(None, ROWS_MAX).await?;
    output.print(&stuck.iter().map(json).collect(), || {
        if stuck.is_empty() {
            return "nothing is stuck".to_owned();
        }
        let row = |stuck: &Stuck| {
            [
                stuck.worker.clone(),
                stuck.item.clone(),
                stuck.failures.to_string(),
                rfc3339(stuck.since),
                rfc3339(stuck.next_at),
                stuck.error.clone(),
            ]
        };
        let rows: Vec<_> = stuck.iter().map(row).collect();
        table(["WORKER", "ITEM", "FAILURES", "SINCE", "NEXT", "ERROR"], &rows)
    })
}

async fn retry(parts: &Parts, item: Option<&str>, output: Output) -> Result<(), Failure> {
    let due = parts.metadata.retry_stuck(item, parts.clock.now()).await?;
    if due == 0 {
        let what = item.map_or_else(|| "nothing is stuck".to_owned(), |item| format!("{item} is not stuck"));
        return Err(Failure::No(what));
    }
    output.print(&json!({ "due": due }), || {
        format!("items that are due now: {due}; a running server tries them within a minute, `gc` at once")
    })
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
