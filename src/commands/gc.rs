//! `juststorage gc`.

use indicatif::ProgressBar;
use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::application::workers::worker::run_dry;
use juststorage_core::application::workers::{Collection, Freeing, Heartbeat, TakeOver, Worker as _};
use serde_json::json;
use uuid::Uuid;

use super::lease::under_lease;
use super::output::{Output, progress};
use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;

/// The work that was done.
#[derive(Default)]
struct Done {
    taken_over: u64,
    /// `None`: a running server does this work.
    moved: Option<u64>,
    compacted: Option<u64>,
    collected: u64,
}

/// Reclaims everything that can be reclaimed now. `JUSTSTORAGE_RETENTION` holds here too.
pub(super) async fn run(storage: StorageConfig, output: Output) -> Result<(), ExitError> {
    let parts = Parts::open(storage).await?;
    // Its own writer: were this process to die, servers would clean up behind it as behind any other.
    let writer = WriterId(Uuid::new_v4());
    let bar = progress();
    let result = while_alive(&parts, writer, collect(&parts, writer, &bar)).await;
    bar.finish_and_clear();
    let given_up = take_over(&parts).from(writer).await;
    parts.metadata.close().await;
    let done = result?;
    given_up?;
    output.print(
        &json!({
            "taken_over": done.taken_over,
            "moved": done.moved,
            "compacted": done.compacted,
            "collected": done.collected,
        }),
        || describe(&done),
    )
}

fn describe(done: &Done) -> String {
    let work = |items: Option<u64>| match items {
        Some(items) => items.to_string(),
        None => "left to the running server".to_owned(),
    };
    format!(
        "dead writers taken over: {}\nblobs moved between tiers: {}\nblobs moved out of sparse packs: {}\n\
         rows and files collected: {}",
        done.taken_over,
        work(done.moved),
        work(done.compacted),
        done.collected
    )
}

fn take_over(parts: &Parts) -> TakeOver {
    TakeOver::new(parts.metadata.clone(), parts.tiers.clone(), parts.clock.clone())
}

/// Does `work`, and sends heartbeats of `writer` meanwhile.
async fn while_alive<T>(
    parts: &Parts,
    writer: WriterId,
    work: impl Future<Output = Result<T, ExitError>>,
) -> Result<T, ExitError> {
    let heartbeat = Heartbeat::new(parts.metadata.clone(), parts.clock.clone(), writer);
    heartbeat.step().await?;
    let beats = async {
        loop {
            tokio::time::sleep(heartbeat.rest()).await;
            if let Err(error) = heartbeat.step().await {
                tracing::warn!(%error, "heartbeat failed; it will be tried again");
            }
        }
    };
    tokio::select! {
        result = work => result,
        () = beats => Err(ExitError::Unable("the heartbeat ended".to_owned())),
    }
}

/// Repeats all kinds of work until a round finds nothing, because each kind creates work for another.
async fn collect(parts: &Parts, writer: WriterId, bar: &ProgressBar) -> Result<Done, ExitError> {
    let retention = parts.storage().retention;
    let collection = Collection::new(&parts.metadata, &parts.tiers, &parts.clock, writer, retention)
        .under_leases(parts.metadata.as_ref());
    let mut done = Done { taken_over: succeed(parts, &collection).await?, ..Done::default() };
    loop {
        let mut found = run_dry(&take_over(parts)).await?;
        done.taken_over += found;
        for work in collection.round() {
            let did = match work {
                Freeing::Collect(collector) => Some(run_dry(collector).await?),
                Freeing::Move(_) | Freeing::Compact(_) => {
                    unless_full(under_lease(parts, writer, work.worker()).await)?
                }
            };
            match work {
                Freeing::Collect(_) => done.collected += did.unwrap_or(0),
                Freeing::Move(_) => done.moved = add(done.moved, did),
                Freeing::Compact(_) => done.compacted = add(done.compacted, did),
            }
            found += did.unwrap_or(0);
        }
        bar.set_message(format!("{} rows and files collected", done.collected));
        if found == 0 {
            return Ok(done);
        }
    }
}

/// Copying needs room before it frees any. If there is none, only the work that frees room at once goes on.
fn unless_full(done: Result<Option<u64>, ExitError>) -> Result<Option<u64>, ExitError> {
    match done {
        Err(ExitError::Full) => {
            tracing::warn!("no room to move or compact blobs: delete objects, then run gc again");
            Ok(Some(0))
        }
        done => done,
    }
}

/// Takes over at once from this directory's server if it is gone: its free lock shows that, some seconds before
/// its word runs out.
async fn succeed(parts: &Parts, collection: &Collection) -> Result<u64, ExitError> {
    let Some((gone, _)) = parts.data_dir.known_writer()? else { return Ok(0) };
    let Some(_held) = parts.data_dir.try_hold()? else { return Ok(0) };
    for work in collection.round() {
        parts.metadata.release_lease(work.worker().name(), gone.0).await?;
    }
    Ok(take_over(parts).from(gone).await?)
}

fn add(so_far: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (so_far, more) {
        (Some(so_far), Some(more)) => Some(so_far + more),
        (one, other) => one.or(other),
    }
}
