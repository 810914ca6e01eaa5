//! Spaces and the buckets that name them.

use crate::application::ports::metadata::Refusal;
use crate::domain::address::{BucketName, SpaceAddress};
use crate::domain::space::{Bucket, Space, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::domain::versioning::plan_versioning;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::{Row, Statement};
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// The space, whose settings then stay as they are until the end of the transaction: what is decided by
/// them must not be committed after they changed.
pub(crate) async fn lock_space(tx: &mut Transaction, address: &SpaceAddress) -> Result<Option<Space>, Fault> {
    locking_space(tx, address).find(rows::space).await
}

/// The statement of [`lock_space`], whose rows are [`rows::space`].
pub(crate) fn locking_space<'t>(tx: &'t mut Transaction, address: &SpaceAddress) -> Statement<'t> {
    tx.query(sql!(space, " WHERE s.namespace = $1 AND s.tenant = $2", for_share))
        .bind(address.namespace.as_str())
        .bind(address.tenant.as_str())
}

/// The space, for a transaction that changes it: those that are decided by its settings wait until the end.
pub(crate) async fn held_to_change(
    tx: &mut Transaction,
    address: &SpaceAddress,
) -> Result<Option<Space>, Fault> {
    tx.query(sql!(space, " WHERE s.namespace = $1 AND s.tenant = $2", for_no_key_update))
        .bind(address.namespace.as_str())
        .bind(address.tenant.as_str())
        .find(rows::space)
        .await
}

/// A bucket with its space; it stays, and its space as it is, until the end of the transaction.
pub(crate) async fn lock_bucket(tx: &mut Transaction, name: &BucketName) -> Result<Option<Bucket>, Fault> {
    locking_bucket(tx, name).find(rows::bucket).await
}

/// The statement of [`lock_bucket`], whose rows are [`rows::bucket`].
pub(crate) fn locking_bucket<'t>(tx: &'t mut Transaction, name: &BucketName) -> Statement<'t> {
    tx.query(sql!(bucket, " WHERE u.name = $1", for_share_of_bucket)).bind(name.as_str())
}

/// The space, made if it does not exist.
pub(crate) async fn ensure_space(
    tx: &mut Transaction,
    address: &SpaceAddress,
    now: Timestamp,
) -> Result<Space, Fault> {
    if let Some(space) = lock_space(tx, address).await? {
        return Ok(space);
    }
    make_space(tx, address, now).await?;
    lock_space(tx, address).await?.ok_or_else(|| Fault::failed("a space vanished while it was made"))
}

/// Makes the space if it does not exist. One that does is not held.
async fn make_space(tx: &mut Transaction, address: &SpaceAddress, now: Timestamp) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO spaces (namespace, tenant, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT (namespace, tenant) DO NOTHING"
    ))
    .bind(address.namespace.as_str())
    .bind(address.tenant.as_str())
    .bind(now.millis())
    .execute()
    .await
    .map(drop)
}

pub(crate) async fn make(db: &Database, address: &SpaceAddress, now: Timestamp) -> Result<Space, Fault> {
    transaction!(db, |tx| { ensure_space(&mut tx, address, now).await? })
}

pub(crate) async fn set_default_class(
    db: &Database,
    address: &SpaceAddress,
    class: StorageClass,
    now: Timestamp,
) -> Result<Space, Fault> {
    transaction!(db, |tx| {
        make_space(&mut tx, address, now).await?;
        tx.query(sql!("UPDATE spaces SET default_class = $3 WHERE namespace = $1 AND tenant = $2"))
            .bind(address.namespace.as_str())
            .bind(address.tenant.as_str())
            .bind(class.code())
            .execute()
            .await?;
        lock_space(&mut tx, address)
            .await?
            .ok_or_else(|| Fault::failed("a space vanished while it was made"))?
    })
}

pub(crate) async fn set_versioning(
    db: &Database,
    address: &SpaceAddress,
    versioning: Versioning,
    now: Timestamp,
) -> Result<Result<Space, Refusal>, Fault> {
    transaction!(db, |tx| {
        make_space(&mut tx, address, now).await?;
        // Held as the change holds it: what decides stays as it is until the end, and two who change it go one after
        // the other.
        let space = held_to_change(&mut tx, address)
            .await?
            .ok_or_else(|| Fault::failed("a space vanished while it was made"))?;
        match plan_versioning(&space, versioning) {
            Ok(versioning) => {
                tx.query(sql!("UPDATE spaces SET versioning = $2 WHERE id = $1"))
                    .bind(space.id.0)
                    .bind(versioning.code())
                    .execute()
                    .await?;
                Ok(Space { versioning, ..space })
            }
            Err(denial) => Err(denial.into()),
        }
    })
}

/// Whether the bucket names this space; the answer holds until the end of the transaction.
pub(crate) async fn bucket_names(
    tx: &mut Transaction,
    name: &BucketName,
    space: &SpaceAddress,
) -> Result<bool, Fault> {
    let bucket = tx
        .query(sql!("SELECT u.space_id FROM buckets u WHERE u.name = $1", for_key_share))
        .bind(name.as_str())
        .find(Row::first::<i64>)
        .await?;
    match (bucket, lock_space(tx, space).await?) {
        (Some(named), Some(space)) => Ok(named == space.id.0),
        _ => Ok(false),
    }
}
