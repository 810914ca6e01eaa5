//! Segments of a tier, to find out whether a root is that tier. Read only until the root is marked, so that no index is
//! kept for it.

use crate::application::ports::metadata::TierSample;
use crate::domain::blob::SegmentId;
use crate::domain::storage_class::StorageClass;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;

/// From both ends, so that neither the oldest nor the newest alone decide.
pub(crate) async fn sample(db: &Database, class: StorageClass, limit: u32) -> Result<TierSample, Fault> {
    let read = |row: &Row| row.first().map(SegmentId);
    let half = i64::from(limit.div_ceil(2));
    let mut segments = db
        .read(sql!(
            "SELECT id FROM segments WHERE tier = $1 AND state IN (",
            open,
            ", ",
            sealed,
            ", ",
            orphaned,
            ") AND size > 0 ORDER BY id LIMIT $2"
        ))
        .bind(class.code())
        .bind(half)
        .map(read)
        .await?;
    let last = db
        .read(sql!(
            "SELECT id FROM segments WHERE tier = $1 AND state IN (",
            open,
            ", ",
            sealed,
            ", ",
            orphaned,
            ") AND size > 0 \
             ORDER BY id DESC LIMIT $2"
        ))
        .bind(class.code())
        .bind(half)
        .map(read)
        .await?;
    segments.extend(last);
    segments.sort_unstable();
    segments.dedup();
    let known = db
        .read(sql!("SELECT 1 FROM segments WHERE tier = $1 LIMIT 1"))
        .bind(class.code())
        .optional()
        .await?
        .is_some();
    Ok(TierSample { known, segments })
}
