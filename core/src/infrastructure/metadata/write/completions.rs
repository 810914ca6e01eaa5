//! The parts of completed uploads, kept as long as their objects.

use uuid::Uuid;

use crate::application::ports::metadata::MetadataError;
use crate::domain::completion::Completed;
use crate::domain::multipart::UploadId;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

pub(crate) async fn find(db: &Database, id: UploadId) -> Result<Option<Completed>, Fault> {
    db.read(sql!("SELECT parts, left_out, conditions FROM completions WHERE upload_id = $1"))
        .bind(id.0)
        .find(|row| {
            let parts = Completed::parts_from_stored(&row.get::<String>("parts")?);
            let corrupt =
                || MetadataError::Corrupt { table: "completions", column: "parts", row: id.to_string() };
            Ok(Completed {
                parts: parts.ok_or_else(corrupt)?,
                left_out: row.get("left_out")?,
                conditions: row.get("conditions")?,
            })
        })
        .await
}

pub(crate) async fn remember(tx: &mut Transaction, id: UploadId, completed: &Completed) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO completions (upload_id, parts, left_out, conditions) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (upload_id) DO NOTHING"
    ))
    .bind(id.0)
    .bind(completed.to_stored())
    .bind(completed.left_out)
    .bind(completed.conditions.clone())
    .execute()
    .await?;
    Ok(())
}

pub(crate) async fn forget(tx: &mut Transaction, uploads: &[Uuid]) -> Result<(), Fault> {
    for portion in tx.portions(uploads) {
        let statement =
            tx.query_list(sql!("DELETE FROM completions WHERE upload_id IN (", list, ")"), 0, portion.len());
        statement.bind_all(portion.iter().copied()).execute().await?;
    }
    Ok(())
}
