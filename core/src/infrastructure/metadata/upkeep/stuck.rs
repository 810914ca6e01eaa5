//! Items of background work that failed, and when they are tried again.

use crate::application::ports::metadata::Stuck;
use crate::domain::address::after_prefix;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::transaction;

fn read(row: &Row) -> Result<Stuck, Fault> {
    Ok(Stuck {
        worker: row.get("worker")?,
        item: row.get("item")?,
        error: row.get("error")?,
        failures: rows::count(row, "failures")?,
        since: Timestamp(row.get("since")?),
        next_at: Timestamp(row.get("next_at")?),
    })
}

pub(crate) async fn all(db: &Database, worker: Option<&str>, limit: u32) -> Result<Vec<Stuck>, Fault> {
    let limit = i64::from(limit);
    match worker {
        Some(worker) => {
            db.read(sql!(
                "SELECT worker, item, error, failures, since, next_at FROM stuck \
                 WHERE worker = $1 ORDER BY item LIMIT $2"
            ))
            .bind(worker)
            .bind(limit)
            .map(read)
            .await
        }
        None => {
            db.read(sql!(
                "SELECT worker, item, error, failures, since, next_at FROM stuck \
                 ORDER BY worker, item LIMIT $1"
            ))
            .bind(limit)
            .map(read)
            .await
        }
    }
}

/// The items of a worker whose names begin with `prefix`.
pub(crate) async fn under(
    db: &Database,
    worker: &str,
    prefix: &str,
    limit: u32,
) -> Result<Vec<Stuck>, Fault> {
    let Some(end) = after_prefix(prefix) else { return all(db, Some(worker), limit).await };
    db.read(sql!(
        "SELECT worker, item, error, failures, since, next_at FROM stuck \
         WHERE worker = $1 AND item >= $2 AND item < $3 ORDER BY item LIMIT $4"
    ))
    .bind(worker)
    .bind(prefix)
    .bind(end)
    .bind(i64::from(limit))
    .map(read)
    .await
}

pub(crate) async fn put(db: &Database, stuck: &Stuck) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "INSERT INTO stuck (worker, item, error, failures, since, next_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (worker, item) DO UPDATE SET error = excluded.error, failures = excluded.failures, \
             next_at = excluded.next_at"
        ))
        .bind(stuck.worker.as_str())
        .bind(stuck.item.as_str())
        .bind(stuck.error.as_str())
        .bind(rows::signed(stuck.failures)?)
        .bind(stuck.since.millis())
        .bind(stuck.next_at.millis())
        .execute()
        .await?;
    })
}

pub(crate) async fn clear(db: &Database, worker: &str, items: &[String]) -> Result<(), Fault> {
    transaction!(db, |tx| {
        for item in items {
            tx.query(sql!("DELETE FROM stuck WHERE worker = $1 AND item = $2"))
                .bind(worker)
                .bind(item.as_str())
                .execute()
                .await?;
        }
    })
}

pub(crate) async fn retry(db: &Database, item: Option<&str>, now: Timestamp) -> Result<u64, Fault> {
    transaction!(db, |tx| {
        match item {
            Some(item) => {
                tx.query(sql!("UPDATE stuck SET next_at = $1 WHERE item = $2"))
                    .bind(now.millis())
                    .bind(item)
                    .execute()
                    .await?
            }
            None => tx.query(sql!("UPDATE stuck SET next_at = $1")).bind(now.millis()).execute().await?,
        }
    })
}

pub(crate) async fn count(db: &Database) -> Result<Vec<(String, u64)>, Fault> {
    db.read(sql!("SELECT worker, COUNT(*) AS items FROM stuck GROUP BY worker ORDER BY worker"))
        .map(|row| Ok((row.get("worker")?, rows::count(row, "items")?)))
        .await
}
