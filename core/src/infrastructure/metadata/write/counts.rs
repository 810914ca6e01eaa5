//! Commits counted, and fenced to the latest start of their writer.

use uuid::Uuid;

use crate::application::ports::metadata::{MetadataError, WriterId};
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// Counts the transaction under way, if its writer's are counted. Fails if another start of the same writer than the one
/// with `token` was entered: also what brings no bytes is fenced thereby. Comes last in it: the row is held until the end,
/// so that a start is entered before this transaction, which then fails, or after it.
pub(crate) async fn count(tx: &mut Transaction, (writer, token): (WriterId, Uuid)) -> Result<(), Fault> {
    let counted = tx
        .query(sql!(
            "UPDATE commit_counts SET commits = commits + 1 WHERE writer = $1 AND (token IS NULL OR token = $2)"
        ))
        .bind(writer.0)
        .bind(token)
        .execute()
        .await?;
    if counted == 1 {
        return Ok(());
    }
    let row =
        tx.query(sql!("SELECT 1 FROM commit_counts WHERE writer = $1")).bind(writer.0).optional().await?;
    // Without a row they are not counted, and no start of the writer was entered.
    if row.is_none() { Ok(()) } else { Err(MetadataError::Superseded.into()) }
}

/// From now on only the start with `token` commits for `writer`.
pub(crate) async fn only_for(tx: &mut Transaction, writer: WriterId, token: Uuid) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO commit_counts (writer, token) VALUES ($1, $2) \
         ON CONFLICT (writer) DO UPDATE SET token = excluded.token"
    ))
    .bind(writer.0)
    .bind(token)
    .execute()
    .await?;
    Ok(())
}
