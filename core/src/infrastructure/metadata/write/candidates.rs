//! Blobs that may have lost their last reference: garbage collection judges them later.

use std::collections::BTreeSet;

use crate::domain::blob::BlobId;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// Makes blobs GC's candidates.
pub(crate) async fn suspect(tx: &mut Transaction, blobs: &[BlobId]) -> Result<(), Fault> {
    let blobs: Vec<_> = blobs.iter().map(|blob| blob.0).collect::<BTreeSet<_>>().into_iter().collect();
    for portion in tx.portions(&blobs) {
        let statement = tx.query_rows(
            sql!(
                "INSERT INTO gc_candidates (blob_id) VALUES ",
                rows,
                " ON CONFLICT (blob_id) DO UPDATE SET blob_id = excluded.blob_id"
            ),
            portion.len(),
            1,
        );
        statement.bind_all(portion.iter().copied()).execute().await?;
    }
    Ok(())
}
