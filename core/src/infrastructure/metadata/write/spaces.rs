//! Spaces and the buckets that name them.

use super::{settings, uploads};
use crate::application::ports::metadata::{BucketDeletion, Place, Refusal};
use crate::domain::address::{BucketName, SpaceAddress, Tenant, after_prefix};
use crate::domain::space::{Bucket, Space, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::domain::versioning::plan_versioning;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::{Fault, sql};
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

pub(crate) async fn space(db: &Database, place: &Place) -> Result<Option<Space>, Fault> {
    match place {
        Place::Space(address) => {
            db.read(sql!(space, " WHERE s.namespace = $1 AND s.tenant = $2"))
                .bind(address.namespace.as_str())
                .bind(address.tenant.as_str())
                .find(rows::space)
                .await
        }
        Place::Bucket(name) => {
            db.read(sql!(space, " JOIN buckets u ON u.space_id = s.id WHERE u.name = $1"))
                .bind(name.as_str())
                .find(rows::space)
                .await
        }
    }
}

/// The space, whose settings then stay as they are until the end of the transaction: what is decided by
/// them must not be committed after they changed.
pub(crate) async fn lock_space(tx: &mut Transaction, address: &SpaceAddress) -> Result<Option<Space>, Fault> {
    tx.query(sql!(space, " WHERE s.namespace = $1 AND s.tenant = $2", for_share))
        .bind(address.namespace.as_str())
        .bind(address.tenant.as_str())
        .find(rows::space)
        .await
}

/// A bucket with its space; it stays, and its space as it is, until the end of the transaction.
pub(crate) async fn lock_bucket(tx: &mut Transaction, name: &BucketName) -> Result<Option<Bucket>, Fault> {
    tx.query(sql!(bucket, " WHERE u.name = $1", for_share_of_bucket))
        .bind(name.as_str())
        .find(rows::bucket)
        .await
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
        let space = tx
            .query(sql!(space, " WHERE s.namespace = $1 AND s.tenant = $2", for_no_key_update))
            .bind(address.namespace.as_str())
            .bind(address.tenant.as_str())
            .find(rows::space)
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

pub(crate) async fn create_bucket(
    db: &Database,
    name: &BucketName,
    address: &SpaceAddress,
    locking: bool,
    now: Timestamp,
) -> Result<Result<Bucket, Bucket>, Fault> {
    transaction!(db, |tx| {
        if let Some(taken) = find_bucket(&mut tx, name).await? {
            Err(taken)
        } else {
            let mut space = ensure_space(&mut tx, address, now).await?;
            if locking {
                space = settings::lock_space(&mut tx, space).await?;
            }
            tx.query(sql!(
                "INSERT INTO buckets (name, space_id, tenant, created_at) VALUES ($1, $2, $3, $4)"
            ))
            .bind(name.as_str())
            .bind(space.id.0)
            .bind(address.tenant.as_str())
            .bind(now.millis())
            .execute()
            .await?;
            Ok(Bucket { name: name.clone(), space, created_at: now })
        }
    })
}

async fn find_bucket(tx: &mut Transaction, name: &BucketName) -> Result<Option<Bucket>, Fault> {
    tx.query(sql!(bucket, " WHERE u.name = $1")).bind(name.as_str()).find(rows::bucket).await
}

pub(crate) async fn list_buckets(
    db: &Database,
    tenant: Option<&Tenant>,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Bucket>, Fault> {
    // A bucket's name is ASCII: no name begins with the largest character.
    let end = after_prefix(prefix).unwrap_or_else(|| char::MAX.to_string());
    // The name after which the page begins; none is empty.
    let after = after.unwrap_or_default();
    let statement = match tenant {
        Some(tenant) => db
            .read(sql!(
                bucket,
                " WHERE u.name >= $1 AND u.name < $2 AND u.name > $3 AND u.tenant = $5 \
                 ORDER BY u.name LIMIT $4"
            ))
            .bind(prefix)
            .bind(end)
            .bind(after)
            .bind(i64::from(limit))
            .bind(tenant.as_str()),
        None => db
            .read(sql!(
                bucket,
                " WHERE u.name >= $1 AND u.name < $2 AND u.name > $3 ORDER BY u.name LIMIT $4"
            ))
            .bind(prefix)
            .bind(end)
            .bind(after)
            .bind(i64::from(limit)),
    };
    statement.map(rows::bucket).await
}

pub(crate) async fn delete_bucket(db: &Database, name: &BucketName) -> Result<BucketDeletion, Fault> {
    transaction!(db, |tx| {
        // With the bucket's row held, commits through it wait and then find it gone; with the space's, those that
        // do not come through a bucket are there already or come later.
        let space = tx
            .query(sql!(
                "SELECT u.space_id FROM buckets u JOIN spaces s ON s.id = u.space_id WHERE u.name = $1",
                for_update_of_bucket
            ))
            .bind(name.as_str())
            .find(Row::first::<i64>)
            .await?;
        match space {
            None => BucketDeletion::Missing,
            Some(space) if holds_objects(&mut tx, space).await? => BucketDeletion::NotEmpty,
            Some(space) => {
                uploads::abort_all(&mut tx, space).await?;
                tx.query(sql!("DELETE FROM buckets WHERE name = $1")).bind(name.as_str()).execute().await?;
                // Nothing is in it, so nothing in it is locked. The revision never goes back: a document that
                // is remembered somewhere must not come to life again.
                let reset = tx
                    .query(sql!(
                        "UPDATE spaces SET versioning = $2, default_class = $3, object_lock = NULL, \
                         settings = CASE WHEN settings = 0 THEN 0 ELSE settings + 1 END WHERE id = $1 \
                         AND NOT EXISTS (SELECT 1 FROM buckets u WHERE u.space_id = $1)"
                    ))
                    .bind(space)
                    .bind(Versioning::default().code())
                    .bind(StorageClass::default().code())
                    .execute()
                    .await?;
                if reset == 1 {
                    settings::clear(&mut tx, space).await?;
                }
                BucketDeletion::Deleted
            }
        }
    })
}

/// Whether anything is visible in a space. A key with any version has a latest one, so this looks at one
/// index entry and at what has no key; rows that wait for GC are not walked over.
async fn holds_objects(tx: &mut Transaction, space: i64) -> Result<bool, Fault> {
    let keyed = tx
        .query(sql!("SELECT 1 FROM objects WHERE space_id = $1 AND key <> '' AND is_latest = TRUE LIMIT 1"))
        .bind(space)
        .optional()
        .await?;
    if keyed.is_some() {
        return Ok(true);
    }
    let keyless = tx
        .query(sql!(
            "SELECT 1 FROM objects WHERE space_id = $1 AND key = '' AND state = ",
            committed,
            " LIMIT 1"
        ))
        .bind(space)
        .optional()
        .await?;
    Ok(keyless.is_some())
}
