//! Idempotency keys, remembered with the objects that their requests made.

use super::batch::Batch;
use crate::application::ports::metadata::{MetadataError, Refusal};
use crate::domain::address::Tenant;
use crate::domain::blob::Hash;
use crate::domain::idempotency::{First, IdempotencyKey, KEPT, KEYS_MAX, Once, Verdict, judge};
use crate::domain::object::ObjectId;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::transaction;

pub(crate) async fn find(
    db: &Database,
    tenant: &Tenant,
    key: &IdempotencyKey,
) -> Result<Option<First>, Fault> {
    db.read(sql!(
        "SELECT fingerprint, object_id, created_at FROM idempotency_keys WHERE tenant = $1 AND key = $2"
    ))
    .bind(tenant.as_str())
    .bind(key.as_str())
    .find(first)
    .await
}

fn first(row: &Row) -> Result<First, Fault> {
    let fingerprint: Vec<u8> = row.get("fingerprint")?;
    let object = row.get("object_id").map(ObjectId)?;
    let fingerprint = fingerprint.try_into().map_err(|_| MetadataError::Corrupt {
        table: "idempotency_keys",
        column: "fingerprint",
        row: object.to_string(),
    })?;
    Ok(First { fingerprint: Hash(fingerprint), object, at: Timestamp(row.get("created_at")?) })
}

/// Whether a put is the first with its key, and the tenant has room for another key.
pub(crate) async fn decide(batch: &mut Batch<'_>, once: &Once) -> Result<Result<(), Refusal>, Fault> {
    let found = batch
        .tx
        .query(sql!(
            "SELECT fingerprint, object_id, created_at FROM idempotency_keys WHERE tenant = $1 AND key = $2"
        ))
        .bind(once.tenant.as_str())
        .bind(once.key.as_str())
        .find(first)
        .await?;
    match judge(found.as_ref(), &once.fingerprint, batch.now) {
        Verdict::Repeat(object) => return Ok(Err(Refusal::Repeated(object))),
        Verdict::Other => return Ok(Err(Refusal::KeyReused)),
        Verdict::First => {}
    }
    let kept = kept_of(batch, &once.tenant).await?;
    Ok(if kept < KEYS_MAX { Ok(()) } else { Err(Refusal::TooManyKeys) })
}

/// How many keys are remembered of a tenant, counted once for each batch.
async fn kept_of(batch: &mut Batch<'_>, tenant: &Tenant) -> Result<u64, Fault> {
    if let Some(kept) = batch.keys_kept.get(tenant) {
        return Ok(*kept);
    }
    let kept = batch
        .tx
        .query(sql!("SELECT COUNT(*) AS kept FROM idempotency_keys WHERE tenant = $1 AND created_at > $2"))
        .bind(tenant.as_str())
        .bind(batch.now.minus(KEPT).millis())
        .find(|row| rows::count(row, "kept"))
        .await?
        .unwrap_or_default();
    batch.keys_kept.insert(tenant.clone(), kept);
    Ok(kept)
}

/// Remembers the object that a put makes, in the place of a key that is forgotten by now.
pub(crate) async fn remember(batch: &mut Batch<'_>, once: &Once, object: ObjectId) -> Result<(), Fault> {
    let written = batch
        .tx
        .query(sql!(
            "INSERT INTO idempotency_keys (tenant, key, fingerprint, object_id, created_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, key) DO UPDATE SET \
             fingerprint = excluded.fingerprint, object_id = excluded.object_id, \
             created_at = excluded.created_at WHERE idempotency_keys.created_at <= $6"
        ))
        .bind(once.tenant.as_str())
        .bind(once.key.as_str())
        .bind(once.fingerprint.0.to_vec())
        .bind(object.0)
        .bind(batch.now.millis())
        .bind(batch.now.minus(KEPT).millis())
        .execute()
        .await?;
    if written == 1 {
        *batch.keys_kept.entry(once.tenant.clone()).or_default() += 1;
        Ok(())
    } else {
        // On PostgreSQL, after this transaction looked.
        Err(Fault::Collision("another request has taken the idempotency key".to_owned()))
    }
}

/// Forgets keys that were remembered before a moment. How many.
pub(crate) async fn forget(db: &Database, before: Timestamp, limit: u32) -> Result<u64, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "DELETE FROM idempotency_keys WHERE (tenant, key) IN (SELECT tenant, key FROM idempotency_keys \
             WHERE created_at <= $1 ORDER BY created_at LIMIT $2)"
        ))
        .bind(before.millis())
        .bind(i64::from(limit))
        .execute()
        .await?
    })
}
