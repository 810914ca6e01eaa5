//! Figures that another release may not have maintained, counted again at each start.

use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::transaction;

/// Counts again what open uploads hold and how many delete markers there are. A release that did not count them may
/// have run beside this one, against the same database, while both were being exchanged. Each statement sees one state,
/// and changes the figure by what it is off, so that no writer has to wait.
pub(crate) async fn recount(db: &Database) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "INSERT INTO usage (space_id, class, upload_bytes) \
             SELECT t.space_id, t.class, SUM(t.bytes) FROM (\
             SELECT u.space_id AS space_id, COALESCE(u.class, ",
            hot,
            ") AS class, p.size AS bytes \
             FROM uploads u JOIN upload_parts p ON p.upload_id = u.id \
             UNION ALL SELECT space_id, class, -upload_bytes FROM usage WHERE upload_bytes <> 0) t \
             WHERE TRUE GROUP BY t.space_id, t.class HAVING SUM(t.bytes) <> 0 ORDER BY t.space_id, t.class \
             ON CONFLICT (space_id, class) DO UPDATE SET \
             upload_bytes = usage.upload_bytes + excluded.upload_bytes"
        ))
        .execute()
        .await?;
        tx.query(sql!(
            "INSERT INTO usage (space_id, class, markers) SELECT t.space_id, t.class, SUM(t.markers) FROM (\
             SELECT space_id, class, COUNT(*) AS markers FROM objects WHERE state = ",
            committed,
            " AND blob_id IS NULL \
             GROUP BY space_id, class \
             UNION ALL SELECT space_id, class, -markers FROM usage WHERE markers <> 0) t \
             WHERE TRUE GROUP BY t.space_id, t.class HAVING SUM(t.markers) <> 0 ORDER BY t.space_id, t.class \
             ON CONFLICT (space_id, class) DO UPDATE SET markers = usage.markers + excluded.markers"
        ))
        .execute()
        .await?;
    })
}
