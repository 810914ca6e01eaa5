//! The outbox: its targets, and what becomes of rows once they are written.

use std::time::Duration;

use crate::application::ports::metadata::{
    Epoch, MetadataError, OutboxRow, OutboxTarget, Replay, ReplayFrom, TargetRemoval,
};
use crate::domain::address::SpaceAddress;
use crate::domain::event::{EventKind, Facts, Overflow, TargetKind, TargetName};
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};
use crate::infrastructure::metadata::write::targets;

fn target(row: &Row) -> Result<OutboxTarget, Fault> {
    let name = TargetName::stored(row.get("name")?);
    let corrupt = |column| MetadataError::Corrupt { table: "outbox_targets", column, row: name.to_string() };
    Ok(OutboxTarget {
        kind: TargetKind::from_code(row.get("kind")?).ok_or_else(|| corrupt("kind"))?,
        overflow: Overflow::from_code(row.get("overflow")?).ok_or_else(|| corrupt("overflow"))?,
        settings: row.get("settings")?,
        secret: row.get("secret")?,
        rows_max: rows::count(row, "rows_max")?,
        keep: Duration::from_millis(rows::count(row, "keep_ms")?),
        created_at: Timestamp(row.get("created_at")?),
        name,
    })
}

pub(crate) async fn all(db: &Database) -> Result<Vec<OutboxTarget>, Fault> {
    db.read(sql!(
        "SELECT name, kind, settings, secret, rows_max, overflow, keep_ms, created_at FROM outbox_targets \
         ORDER BY name"
    ))
    .map(target)
    .await
}

pub(crate) async fn put(db: &Database, target: &OutboxTarget) -> Result<bool, Fault> {
    transaction!(db, |tx| targets::put(&mut tx, target).await?)
}

pub(crate) async fn remove(db: &Database, name: &TargetName, discard: bool) -> Result<TargetRemoval, Fault> {
    transaction!(db, |tx| {
        // Held, so that no space names it from now on and no commit writes a row for it.
        let there = tx
            .query(sql!("SELECT 1 FROM outbox_targets WHERE name = $1", for_update))
            .bind(name.as_str())
            .optional()
            .await?;
        let spaces = count(
            &tx.query(sql!("SELECT COUNT(*) AS n FROM outbox_routes WHERE target = $1"))
                .bind(name.as_str())
                .one()
                .await?,
        )?;
        let waiting = count(
            &tx.query(sql!("SELECT COUNT(*) AS n FROM outbox WHERE target = $1 AND delivered_at IS NULL"))
                .bind(name.as_str())
                .one()
                .await?,
        )?;
        if there.is_none() {
            TargetRemoval::Missing
        } else if spaces > 0 {
            TargetRemoval::Named(spaces)
        } else if waiting > 0 && !discard {
            TargetRemoval::Waiting(waiting)
        } else {
            tx.query(sql!("DELETE FROM outbox WHERE target = $1 AND delivered_at IS NULL"))
                .bind(name.as_str())
                .execute()
                .await?;
            tx.query(sql!("DELETE FROM outbox WHERE target = $1 AND delivered_at IS NOT NULL"))
                .bind(name.as_str())
                .execute()
                .await?;
            tx.query(sql!("DELETE FROM outbox_targets WHERE name = $1"))
                .bind(name.as_str())
                .execute()
                .await?;
            TargetRemoval::Removed(waiting)
        }
    })
}

fn count(row: &Row) -> Result<u64, Fault> {
    rows::count(row, "n")
}

pub(crate) async fn spaces(db: &Database, name: &TargetName) -> Result<Vec<SpaceAddress>, Fault> {
    db.read(sql!(
        "SELECT DISTINCT s.namespace, s.tenant FROM outbox_routes r JOIN spaces s ON s.id = r.space_id \
         WHERE r.target = $1 ORDER BY s.namespace, s.tenant"
    ))
    .bind(name.as_str())
    .map(rows::address)
    .await
}

pub(crate) async fn take_over(db: &Database, name: &TargetName) -> Result<Option<Epoch>, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("UPDATE outbox_targets SET epoch = epoch + 1 WHERE name = $1 RETURNING epoch"))
            .bind(name.as_str())
            .find(|row| row.first().map(Epoch))
            .await?
    })
}

fn row(row: &Row) -> Result<OutboxRow, Fault> {
    let event =
        EventKind::from_code(row.get("event")?).ok_or_else(|| "an event of a newer release".to_owned());
    let facts = serde_json::from_str::<Facts>(&row.get::<String>("facts")?);
    let facts = facts.map_err(|error| format!("facts that cannot be read: {error}"));
    Ok(OutboxRow {
        seq: row.get("seq")?,
        space: SpaceId(row.get("space_id")?),
        key: row.get("key")?,
        event_id: row.get("event_id")?,
        event: event.and_then(|event| Ok((event, facts?))),
        created_at: Timestamp(row.get("created_at")?),
    })
}

pub(crate) async fn page(
    db: &Database,
    name: &TargetName,
    after: i64,
    limit: u32,
) -> Result<Vec<OutboxRow>, Fault> {
    db.read(sql!(
        "SELECT seq, space_id, key, event, event_id, facts, created_at FROM outbox \
         WHERE target = $1 AND delivered_at IS NULL AND seq > $2 ORDER BY seq LIMIT $3"
    ))
    .bind(name.as_str())
    .bind(after)
    .bind(i64::from(limit))
    .map(row)
    .await
}

/// How many rows were acknowledged; `None` if another process has taken over.
pub(crate) async fn acknowledge(
    db: &Database,
    name: &TargetName,
    epoch: Epoch,
    seqs: &[i64],
    now: Timestamp,
    keep: Duration,
) -> Result<Option<u64>, Fault> {
    transaction!(db, |tx| {
        // Held: who takes over comes before this transaction, which is then refused, or after it.
        let held = tx
            .query(sql!("SELECT epoch FROM outbox_targets WHERE name = $1", for_share))
            .bind(name.as_str())
            .find(|row| row.first().map(Epoch))
            .await?;
        if held == Some(epoch) { Some(settle(&mut tx, name, seqs, now, keep).await?) } else { None }
    })
}

async fn settle(
    tx: &mut Transaction,
    name: &TargetName,
    seqs: &[i64],
    now: Timestamp,
    keep: Duration,
) -> Result<u64, Fault> {
    let mut settled = 0;
    for portion in tx.portions(seqs) {
        let statement = if keep.is_zero() {
            tx.query_list(
                sql!("DELETE FROM outbox WHERE target = $1 AND seq IN (", list, ") AND delivered_at IS NULL"),
                1,
                portion.len(),
            )
            .bind(name.as_str().to_owned())
        } else {
            tx.query_list(
                sql!(
                    "UPDATE outbox SET delivered_at = $2 WHERE target = $1 AND seq IN (",
                    list,
                    ") AND delivered_at IS NULL"
                ),
                2,
                portion.len(),
            )
            .bind(name.as_str().to_owned())
            .bind(now.millis())
        };
        settled += statement.bind_all(portion.iter().copied()).execute().await?;
    }
    Ok(settled)
}

pub(crate) async fn purge(
    db: &Database,
    name: &TargetName,
    before: Timestamp,
    limit: u32,
) -> Result<u64, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE target = $1 \
             AND delivered_at IS NOT NULL AND delivered_at < $2 ORDER BY delivered_at LIMIT $3)"
        ))
        .bind(name.as_str())
        .bind(before.millis())
        .bind(i64::from(limit))
        .execute()
        .await?
    })
}

pub(crate) async fn replay(
    db: &Database,
    name: &TargetName,
    replay: Replay,
    limit: u32,
) -> Result<Vec<i64>, Fault> {
    let (seq, time) = match replay.from {
        ReplayFrom::Sequence(seq) => (seq, i64::MIN),
        ReplayFrom::Time(time) => (i64::MIN, time.millis()),
    };
    transaction!(db, |tx| {
        let mut replayed: Vec<i64> = tx
            .query(sql!(
                "UPDATE outbox SET delivered_at = NULL WHERE seq IN (SELECT seq FROM outbox WHERE target = $1 \
                 AND delivered_at IS NOT NULL AND seq >= $2 AND seq > $3 AND created_at >= $4 \
                 AND delivered_at <= $5 ORDER BY seq LIMIT $6) RETURNING seq"
            ))
            .bind(name.as_str())
            .bind(seq)
            .bind(replay.after)
            .bind(time)
            .bind(replay.delivered_by.millis())
            .bind(i64::from(limit))
            .map(Row::first)
            .await?;
        replayed.sort_unstable();
        replayed
    })
}

/// How many rows wait for a target, `rows_max` and one more at most: a target that is full is full, however much more waits.
pub(crate) async fn count_waiting(db: &Database, name: &TargetName, rows_max: u64) -> Result<u64, Fault> {
    let counted = db
        .read(sql!(
            "SELECT COUNT(*) AS n FROM (SELECT 1 FROM outbox WHERE target = $1 AND delivered_at IS NULL \
             LIMIT $2) AS waiting"
        ))
        .bind(name.as_str())
        .bind(rows::signed(rows_max.saturating_add(1))?)
        .one()
        .await?;
    count(&counted)
}

/// When the oldest of the rows that wait for a target was written.
pub(crate) async fn oldest(db: &Database, name: &TargetName) -> Result<Option<Timestamp>, Fault> {
    db.read(sql!(
        "SELECT created_at FROM outbox WHERE target = $1 AND delivered_at IS NULL ORDER BY seq LIMIT 1"
    ))
    .bind(name.as_str())
    .find(|row| row.first().map(Timestamp))
    .await
}
