//! Spaces whose changes are sent to their upstream.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{mirrored_versions, targets};
use crate::application::ports::metadata::{MirrorNote, MirrorNotes, OutboxTarget};
use crate::domain::address::Key;
use crate::domain::event::{Overflow, TargetKind, TargetName};
use crate::domain::object::Object;
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::{Binding, Fate, Mode};
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// Keys that are sent at once, each by itself.
const CONCURRENCY: u32 = 16;

/// Declares the target of a space that is mirrored, or changes it. In another mode it stays: what waits is still sent.
pub(crate) async fn bind(
    tx: &mut Transaction,
    space: SpaceId,
    binding: &Binding,
    now: Timestamp,
) -> Result<(), Fault> {
    if binding.mode != Mode::Mirror {
        return Ok(());
    }
    let mirror = binding.target.mirror;
    let target = OutboxTarget {
        name: TargetName::mirror_of(space),
        kind: TargetKind::Mirror,
        settings: format!("{{\"concurrency\":{CONCURRENCY}}}"),
        secret: None,
        rows_max: mirror.rows_max,
        overflow: if mirror.refuses() { Overflow::Refuse } else { Overflow::Drop },
        // What is sent is what the key is, so nothing would be sent twice for a purpose.
        keep: Duration::ZERO,
        created_at: now,
    };
    targets::put(tx, &target).await.map(drop)
}

/// Forgets what waits for a space's upstream.
pub(crate) async fn clear(tx: &mut Transaction, space: SpaceId) -> Result<(), Fault> {
    let name = TargetName::mirror_of(space);
    tx.query(sql!("DELETE FROM outbox WHERE coalesced AND target = $1"))
        .bind(name.as_str())
        .execute()
        .await?;
    tx.query(sql!("DELETE FROM outbox_targets WHERE name = $1")).bind(name.as_str()).execute().await?;
    Ok(())
}

/// What an object carries was changed here, while nothing is sent to the upstream.
pub(crate) async fn edited(tx: &mut Transaction, object: &Object) -> Result<(), Fault> {
    let (Some(mode), Some(key)) = (object.upstream, &object.key) else { return Ok(()) };
    if mode == Mode::Mirror {
        return Ok(());
    }
    tx.query(sql!("UPDATE upstream_keys SET edited = TRUE WHERE space_id = $1 AND key = $2"))
        .bind(object.space.0)
        .bind(key.as_str())
        .later()
        .await
}

/// Notes that the upstreams of these spaces were not told of so many changes.
pub(crate) async fn dropped(
    tx: &mut Transaction,
    dropped: &BTreeMap<SpaceId, i64>,
    now: Timestamp,
) -> Result<(), Fault> {
    for (space, changes) in dropped {
        tx.query(sql!("UPDATE upstreams SET dropped = dropped + $2, dropped_at = $3 WHERE space_id = $1"))
            .bind(space.0)
            .bind(*changes)
            .bind(now.millis())
            .later()
            .await?;
    }
    Ok(())
}

/// What was dropped before a moment was made good.
pub(crate) async fn made_good(db: &Database, space: SpaceId, before: Timestamp) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("UPDATE upstreams SET dropped = 0 WHERE space_id = $1 AND dropped_at < $2"))
            .bind(space.0)
            .bind(before.millis())
            .execute()
            .await?;
    })
}

/// Those of the keys that wait to be sent.
pub(crate) async fn waiting(
    tx: &mut Transaction,
    space: SpaceId,
    keys: &[String],
) -> Result<Vec<String>, Fault> {
    let (mut found, target) = (Vec::new(), TargetName::mirror_of(space));
    for portion in tx.portions(keys) {
        let statement = tx.query_list(
            sql!(
                "SELECT key FROM outbox WHERE coalesced AND target = $1 AND space_id = $2 AND key IN (",
                list,
                ")"
            ),
            2,
            portion.len(),
        );
        let statement = statement.bind(target.as_str().to_owned()).bind(space.0);
        found.extend(statement.bind_all(portion.iter().cloned()).map(Row::first::<String>).await?);
    }
    Ok(found)
}

/// Remembers what is there and what is about to be sent. What became of a key here is decided elsewhere: of a key of which
/// nothing became, it was written here.
pub(crate) async fn note(db: &Database, notes: &MirrorNotes, now: Timestamp) -> Result<(), Fault> {
    const COLUMNS: usize = 10;
    // The last note of a key counts; two transactions take the same rows in the same order.
    let last: BTreeMap<(SpaceId, &Key), &MirrorNote> =
        notes.keys.iter().map(|note| ((note.space, &note.key), note)).collect();
    let keys: Vec<&MirrorNote> = last.into_values().collect();
    transaction!(db, |tx| {
        for portion in tx.portions(&keys) {
            let mut statement = tx.query_rows(
                sql!(
                    "INSERT INTO upstream_keys (space_id, key, fate, at, here, there, sending, upload, \
                     changed, changed_at) VALUES ",
                    rows,
                    " ON CONFLICT (space_id, key) DO UPDATE SET there = excluded.there, \
                     sending = excluded.sending, upload = excluded.upload, \
                     here = excluded.here, \
                     changed = COALESCE(excluded.changed, upstream_keys.changed), \
                     changed_at = COALESCE(excluded.changed_at, upstream_keys.changed_at)"
                ),
                portion.len(),
                COLUMNS,
            );
            for note in portion {
                statement = statement
                    .bind(note.space.0)
                    .bind(note.key.as_str().to_owned())
                    .bind(Fate::Brought.code())
                    .bind(now.millis())
                    .bind(note.here.clone())
                    .bind(note.there.clone())
                    .bind(note.sending.clone())
                    .bind(note.upload.clone())
                    .bind(note.changed.clone())
                    .bind(note.changed.as_ref().map(|_| now.millis()));
            }
            statement.execute().await?;
        }
        mirrored_versions::note(&mut tx, &notes.versions).await?;
    })
}
