//! `juststorage lifecycle`.

use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::application::workers::{LIFECYCLE, LifecycleWorker};
use juststorage_core::domain::lifecycle::Day;
use serde_json::json;
use uuid::Uuid;

use super::lease::under_lease;
use super::output::{Output, progress};
use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;

/// Applies the rules of every space once.
pub(super) async fn run(storage: StorageConfig, day: Day, output: Output) -> Result<(), ExitError> {
    let parts = Parts::open(storage).await?;
    // It stages no bytes, so the writer needs no registration.
    let writer = WriterId(Uuid::new_v4());
    let fenced = parts.metadata.under_lease(LIFECYCLE);
    let worker = LifecycleWorker::new(fenced, parts.clock.clone(), writer, day).at_once();
    let bar = progress();
    let applied = under_lease(&parts, writer, &worker).await;
    bar.finish_and_clear();
    parts.metadata.close().await;
    let applied = applied?;
    output.print(&json!({ "applied": applied }), || match applied {
        Some(applied) => format!("objects, versions and uploads expired or moved: {applied}"),
        None => "left to the running server".to_owned(),
    })
}
