//! Commits counted, and fenced to the latest start of their writer.

use uuid::Uuid;

use crate::application::ports::metadata::{MetadataError, WriterId};
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Statement;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// Counts the transaction under way, if its writer's are counted. Fails if another start of the same writer than the one
/// with `token` was entered: also what brings no bytes is fenced thereby. Comes last in it: the row is held until the end,
/// so that a start is entered before this transaction, which then fails, or after it.
pub(crate) async fn count(tx: &mut Transaction, of: (WriterId, Uuid)) -> Result<(), Fault> {
    if counting(tx, of).execute().await? == 1 {
        return Ok(());
    }
    let row = tx.query(sql!("SELECT 1 FROM commit_counts WHERE writer = $1")).bind(of.0.0).optional().await?;
    // Without a row they are not counted, and no start of the writer was entered.
    if row.is_none() { Ok(()) } else { Err(MetadataError::Superseded.into()) }
}

/// The same together with the commit. Fails also if the writer's transactions are not counted.
pub(crate) async fn count_with_commit(tx: &mut Transaction, of: (WriterId, Uuid)) -> Result<(), Fault> {
    let otherwise =
        |_| Fault::Collision("commits of this writer are not counted, or another start's are".to_owned());
    counting(tx, of).later_changing(1, otherwise).await
}

fn counting(tx: &mut Transaction, (writer, token): (WriterId, Uuid)) -> Statement<'_> {
    tx.query(sql!(
        "UPDATE commit_counts SET commits = commits + 1 WHERE writer = $1 AND (token IS NULL OR token = $2)"
    ))
    .bind(writer.0)
    .bind(token)
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
