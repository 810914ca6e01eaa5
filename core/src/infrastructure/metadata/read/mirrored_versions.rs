//! Versions that were sent to upstreams, and those that were not yet.

use uuid::Uuid;

use super::rows;
use crate::application::ports::metadata::{Found, MirroredVersion, MirroredVersions};
use crate::domain::address::Key;
use crate::domain::object::ObjectId;
use crate::domain::space::SpaceId;
use crate::domain::upstream::Fate;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;

/// What is remembered of the versions of a key.
pub(crate) async fn of_key(
    db: &Database,
    space: SpaceId,
    key: &Key,
    limit: u32,
) -> Result<MirroredVersions, Fault> {
    let newest = db
        .read(sql!(
            "SELECT object_id, there, sending, below, stale FROM upstream_versions \
             WHERE space_id = $1 AND key = $2 AND there IS NOT NULL ORDER BY object_id DESC LIMIT 1"
        ))
        .bind(space.0)
        .bind(key.as_str())
        .find(version)
        .await?;
    let open = db
        .read(sql!(
            "SELECT object_id, there, sending, below, stale FROM upstream_versions \
             WHERE space_id = $1 AND key = $2 AND (sending IS NOT NULL OR stale IS NOT NULL) \
             ORDER BY object_id LIMIT $3"
        ))
        .bind(space.0)
        .bind(key.as_str())
        .bind(i64::from(limit))
        .map(version)
        .await?;
    Ok(MirroredVersions { newest, open })
}

fn version(row: &Row) -> Result<MirroredVersion, Fault> {
    Ok(MirroredVersion {
        id: ObjectId(row.get("object_id")?),
        there: row.get("there")?,
        sending: row.get("sending")?,
        below: row.get("below")?,
        stale: row.get("stale")?,
    })
}

/// Versions of a key behind one of them, in ascending order.
pub(crate) async fn after(
    db: &Database,
    space: SpaceId,
    key: &Key,
    after: Option<ObjectId>,
    limit: u32,
) -> Result<Vec<Found>, Fault> {
    db.read(sql!(
        found,
        " WHERE o.space_id = $1 AND o.key = $2 AND o.id > $3 AND o.state = ",
        committed,
        " ORDER BY o.id LIMIT $4"
    ))
    .bind(space.0)
    .bind(key.as_str())
    .bind(after.map_or(Uuid::nil(), |after| after.0))
    .bind(i64::from(limit))
    .map(rows::found)
    .await
}

/// Versions of a key that were sent and are not here any more, in ascending order.
pub(crate) async fn gone(
    db: &Database,
    space: SpaceId,
    key: &Key,
    limit: u32,
) -> Result<Vec<MirroredVersion>, Fault> {
    db.read(sql!(
        "SELECT v.object_id, v.there, v.sending, v.below, v.stale FROM upstream_versions v \
         WHERE v.space_id = $1 AND v.key = $2 AND v.there IS NOT NULL AND NOT EXISTS (SELECT 1 FROM objects o \
         WHERE o.space_id = v.space_id AND o.key = v.key AND o.id = v.object_id AND o.state = ",
        committed,
        ") ORDER BY v.object_id LIMIT $3"
    ))
    .bind(space.0)
    .bind(key.as_str())
    .bind(i64::from(limit))
    .map(version)
    .await
}

/// Keys of which versions were not sent yet, or were sent and are not here any more. What was fetched is there.
pub(crate) async fn unsent(
    db: &Database,
    space: SpaceId,
    after: Option<&str>,
    until: Option<&str>,
    limit: u32,
) -> Result<Vec<Key>, Fault> {
    // Of a key of which none was sent, each is newer than the smallest id.
    let keys: Vec<String> = db
        .read(sql!(
            "SELECT o.key AS key FROM objects o WHERE o.space_id = $1 AND o.key > $2 AND o.key <> '' \
             AND ($3 OR o.key <= $4) AND o.state = ",
            committed,
            " AND o.id > COALESCE((SELECT v.object_id FROM upstream_versions v WHERE v.space_id = o.space_id \
             AND v.key = o.key AND v.there IS NOT NULL ORDER BY v.object_id DESC LIMIT 1), $5) \
             AND NOT EXISTS (SELECT 1 FROM upstream_keys k WHERE k.space_id = o.space_id AND k.key = o.key \
             AND k.fate = $6 AND k.object_id = o.id) \
             UNION SELECT v.key AS key FROM upstream_versions v WHERE v.space_id = $1 AND v.key > $2 \
             AND ($3 OR v.key <= $4) AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.space_id = v.space_id \
             AND o.key = v.key AND o.id = v.object_id AND o.state = ",
            committed,
            ") ORDER BY key LIMIT $7"
        ))
        .bind(space.0)
        .bind(after.unwrap_or_default())
        .bind(until.is_none())
        .bind(until.unwrap_or_default())
        .bind(Uuid::nil())
        .bind(Fate::Pulled.code())
        .bind(i64::from(limit))
        .map(Row::first)
        .await?;
    let read = |key: String| Key::new(&key).map_err(|_| Fault::failed("a stored key cannot be read"));
    keys.into_iter().map(read).collect()
}
