//! What is remembered of versions that are sent to upstreams.

use std::collections::BTreeMap;

use crate::application::ports::metadata::VersionNote;
use crate::domain::address::Key;
use crate::domain::object::ObjectId;
use crate::domain::space::SpaceId;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// Remembers of versions what is there and what is about to be sent.
pub(crate) async fn note(tx: &mut Transaction, notes: &[VersionNote]) -> Result<(), Fault> {
    const COLUMNS: usize = 7;
    // As those of keys: the last note counts, in one order for every transaction.
    let last: BTreeMap<(SpaceId, &Key, ObjectId), &VersionNote> =
        notes.iter().map(|note| ((note.space, &note.key, note.version.id), note)).collect();
    let notes: Vec<&VersionNote> = last.into_values().collect();
    for portion in tx.portions(&notes) {
        let mut statement = tx.query_rows(
            sql!(
                "INSERT INTO upstream_versions (space_id, key, object_id, there, sending, below, stale) VALUES ",
                rows,
                " ON CONFLICT (space_id, key, object_id) DO UPDATE SET there = excluded.there, \
                 sending = excluded.sending, below = excluded.below, stale = excluded.stale"
            ),
            portion.len(),
            COLUMNS,
        );
        for note in portion {
            let version = &note.version;
            statement = statement
                .bind(note.space.0)
                .bind(note.key.as_str().to_owned())
                .bind(version.id.0)
                .bind(version.there.clone())
                .bind(version.sending.clone())
                .bind(version.below.clone())
                .bind(version.stale.clone());
        }
        statement.execute().await?;
    }
    Ok(())
}

/// Forgets that versions of a key were sent.
pub(crate) async fn forget(
    db: &Database,
    space: SpaceId,
    key: &Key,
    versions: &[ObjectId],
) -> Result<(), Fault> {
    transaction!(db, |tx| {
        for portion in tx.portions(versions) {
            tx.query_list(
                sql!(
                    "DELETE FROM upstream_versions WHERE space_id = $1 AND key = $2 AND object_id IN (",
                    list,
                    ")"
                ),
                2,
                portion.len(),
            )
            .bind(space.0)
            .bind(key.as_str().to_owned())
            .bind_all(portion.iter().map(|id| id.0))
            .execute()
            .await?;
        }
    })
}
