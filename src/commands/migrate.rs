//! `juststorage migrate`.

use serde_json::json;

use super::output::Output;
use crate::compose;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;

/// Updates the schema.
pub(super) async fn run(storage: &StorageConfig, output: Output) -> Result<(), ExitError> {
    let done = compose::migrate(storage).await?;
    let database = storage.database.to_string();
    output.print(&json!({ "database": database, "applied": done.applied, "version": done.version }), || {
        match done.applied {
            0 => format!("{database} is up to date (schema version {})", done.version),
            applied => format!("{database}: {applied} steps taken, now schema version {}", done.version),
        }
    })
}
