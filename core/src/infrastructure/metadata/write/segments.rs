//! Segments that a writer opens and commits into.

use uuid::Uuid;

use crate::application::ports::metadata::{MetadataError, WriterId};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::SegmentId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// Fails unless this is the writer's latest start.
pub(crate) fn superseded_unless(own: bool) -> Result<(), Fault> {
    if own { Ok(()) } else { Err(MetadataError::Superseded.into()) }
}

/// Makes sure that a segment is still this writer's to commit into; a single is whole thereby.
pub(crate) async fn fence(
    tx: &mut Transaction,
    writer: WriterId,
    segment: SegmentId,
    kind: SegmentKind,
    size: u64,
) -> Result<bool, Fault> {
    let statement = match kind {
        SegmentKind::Single => sql!(
            "UPDATE segments SET state = ",
            sealed,
            ", writer = NULL, size = $3 \
             WHERE id = $1 AND writer = $2 AND state = ",
            open,
            " AND kind = ",
            single
        ),
        SegmentKind::Pack => sql!(
            "UPDATE segments SET size = CASE WHEN size < $3 THEN $3 ELSE size END \
             WHERE id = $1 AND writer = $2 AND state = ",
            open,
            " AND kind = ",
            pack
        ),
    };
    let fenced =
        tx.query(statement).bind(segment.0).bind(writer.0).bind(rows::signed(size)?).execute().await?;
    Ok(fenced == 1)
}

/// Enters a segment as open. Fails if another start of the same writer than the one with `token` was entered.
pub(crate) async fn register(
    tx: &mut Transaction,
    (writer, token): (WriterId, Uuid),
    id: SegmentId,
    tier: StorageClass,
    kind: SegmentKind,
    now: Timestamp,
) -> Result<(), Fault> {
    let entered = tx
        .query(sql!(
            "INSERT INTO segments (id, tier, kind, state, writer, created_at) SELECT $1, $2, $3, ",
            open,
            ", $4, $5 \
             WHERE NOT EXISTS (SELECT 1 FROM incarnations i WHERE i.writer = $4 AND i.token <> $6)"
        ))
        .bind(id.0)
        .bind(tier.code())
        .bind(rows::kind_code(kind))
        .bind(writer.0)
        .bind(now.millis())
        .bind(token)
        .execute()
        .await?;
    superseded_unless(entered == 1)
}
