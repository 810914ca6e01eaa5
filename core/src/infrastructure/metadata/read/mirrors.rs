//! What is remembered of keys upstream, and what waits to be sent there.

use super::{rows, upstreams};
use crate::application::ports::metadata::{MirrorState, MirroredKey};
use crate::domain::address::Key;
use crate::domain::event::TargetName;
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;

/// What is remembered of those of the keys that were fetched, removed, or sent.
pub(crate) async fn of_keys(
    db: &Database,
    space: SpaceId,
    keys: &[Key],
) -> Result<Vec<(Key, MirroredKey)>, Fault> {
    let mut found = Vec::new();
    for portion in db.portions(keys) {
        let statement = db
            .read_list(
                sql!(
                    "SELECT key, fate, here, there, sending, upload, edited FROM upstream_keys \
                     WHERE space_id = $1 AND key IN (",
                    list,
                    ")"
                ),
                1,
                portion.len(),
            )
            .bind(space.0)
            .bind_all(portion.iter().map(|key| key.as_str().to_owned()));
        found.extend(statement.map(of_key).await?);
    }
    Ok(found)
}

fn of_key(row: &Row) -> Result<(Key, MirroredKey), Fault> {
    let key: String = row.get("key")?;
    let key = Key::new(&key).map_err(|_| Fault::failed("a stored key cannot be read"))?;
    let remembered = MirroredKey {
        fate: upstreams::fate(row)?,
        here: row.get("here")?,
        there: row.get("there")?,
        sending: row.get("sending")?,
        upload: row.get("upload")?,
        edited: row.get("edited")?,
    };
    Ok((key, remembered))
}

/// Those of the keys that wait to be sent.
pub(crate) async fn waiting(db: &Database, space: SpaceId, keys: &[Key]) -> Result<Vec<Key>, Fault> {
    let (mut found, target) = (Vec::new(), TargetName::mirror_of(space));
    for portion in db.portions(keys) {
        let statement = db
            .read_list(
                sql!(
                    "SELECT key FROM outbox WHERE coalesced AND target = $1 AND space_id = $2 AND key IN (",
                    list,
                    ")"
                ),
                2,
                portion.len(),
            )
            .bind(target.as_str().to_owned())
            .bind(space.0)
            .bind_all(portion.iter().map(|key| key.as_str().to_owned()));
        found.extend(statement.map(Row::first::<String>).await?);
    }
    let read = |key: String| Key::new(&key).map_err(|_| Fault::failed("a stored key cannot be read"));
    found.into_iter().map(read).collect()
}

/// The state of a space's mirror.
pub(crate) async fn state(db: &Database, space: SpaceId, limit: u32) -> Result<MirrorState, Fault> {
    let mut state = db
        .read(sql!(
            "SELECT dropped, dropped_at, (SELECT COUNT(*) FROM upstream_keys WHERE space_id = $1 \
             AND changed IS NOT NULL AND changed_at >= 0) AS changed, (SELECT MAX(changed_at) FROM upstream_keys \
             WHERE space_id = $1 AND changed IS NOT NULL) AS changed_at FROM upstreams WHERE space_id = $1"
        ))
        .bind(space.0)
        .find(|row| {
            Ok(MirrorState {
                dropped: rows::count(row, "dropped")?,
                dropped_at: Timestamp(row.get("dropped_at")?),
                changed: rows::count(row, "changed")?,
                changed_at: row.get::<Option<i64>>("changed_at")?.map(Timestamp),
                changed_keys: Vec::new(),
            })
        })
        .await?
        .unwrap_or_default();
    if state.changed > 0 {
        state.changed_keys = db
            .read(sql!(
                "SELECT key, changed_at FROM upstream_keys WHERE space_id = $1 AND changed IS NOT NULL \
                 ORDER BY changed_at DESC LIMIT $2"
            ))
            .bind(space.0)
            .bind(i64::from(limit))
            .map(|row| Ok((row.get("key")?, Timestamp(row.get("changed_at")?))))
            .await?;
    }
    Ok(state)
}
