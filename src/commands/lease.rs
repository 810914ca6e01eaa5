//! Work that one process of the store does at a time.

use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::application::workers::{WorkDone, Worker, step_under_lease};

use crate::compose::Parts;
use crate::exit_error::ExitError;

/// Runs `worker` until it finds nothing more, unless a server holds its lease: two processes would copy the same
/// blobs twice.
pub(super) async fn under_lease(
    parts: &Parts,
    writer: WriterId,
    worker: &dyn Worker,
) -> Result<Option<u64>, ExitError> {
    let mut total = 0;
    let result = loop {
        let now = parts.metadata.lease_time(parts.clock.now()).await?;
        if !parts.metadata.acquire_lease(worker.name(), writer.0, now, now.plus(worker.lease())).await? {
            return Ok((total > 0).then_some(total));
        }
        let (metadata, clock) = (parts.metadata.as_ref(), parts.clock.as_ref());
        match step_under_lease(worker, metadata, clock, writer.0).await {
            Ok(WorkDone::Did(items) | WorkDone::Paced(items, _)) => total += items,
            Ok(WorkDone::Idle) => break Ok(Some(total)),
            Err(error) => break Err(error),
        }
    };
    parts.metadata.release_lease(worker.name(), writer.0).await?;
    Ok(result?)
}
