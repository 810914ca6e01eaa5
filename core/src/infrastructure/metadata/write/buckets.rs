//! Buckets: names of spaces, made and removed.

use super::spaces::ensure_space;
use super::{settings, uploads};
use crate::application::ports::metadata::{BucketDeletion, NewSpace};
use crate::domain::address::{BucketName, SpaceAddress};
use crate::domain::space::{Bucket, Space, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Mode;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

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
            Ok(name_space(&mut tx, name, space, now).await?)
        }
    })
}

pub(crate) async fn declare_bucket(
    db: &Database,
    name: &BucketName,
    address: &SpaceAddress,
    new: &NewSpace,
    now: Timestamp,
) -> Result<Result<Bucket, Bucket>, Fault> {
    transaction!(db, |tx| {
        if let Some(taken) = find_bucket(&mut tx, name).await? {
            Err(taken)
        } else {
            let space = ensure_space(&mut tx, address, now).await?;
            let space = settings::begin_with(&mut tx, space, new).await?;
            Ok(name_space(&mut tx, name, space, now).await?)
        }
    })
}

async fn name_space(
    tx: &mut Transaction,
    name: &BucketName,
    space: Space,
    now: Timestamp,
) -> Result<Bucket, Fault> {
    tx.query(sql!("INSERT INTO buckets (name, space_id, tenant, created_at) VALUES ($1, $2, $3, $4)"))
        .bind(name.as_str())
        .bind(space.id.0)
        .bind(space.address.tenant.as_str())
        .bind(now.millis())
        .execute()
        .await?;
    Ok(Bucket { name: name.clone(), space, created_at: now })
}

async fn find_bucket(tx: &mut Transaction, name: &BucketName) -> Result<Option<Bucket>, Fault> {
    tx.query(sql!(bucket, " WHERE u.name = $1")).bind(name.as_str()).find(rows::bucket).await
}

pub(crate) async fn delete_bucket(db: &Database, name: &BucketName) -> Result<BucketDeletion, Fault> {
    transaction!(db, |tx| {
        // With the bucket's row held, commits through it wait and then find it gone; with the space's, those that
        // do not come through a bucket are there already or come later.
        let space = tx
            .query(sql!(
                "SELECT u.space_id, s.upstream FROM buckets u JOIN spaces s ON s.id = u.space_id WHERE u.name = $1",
                for_update_of_bucket
            ))
            .bind(name.as_str())
            .find(|row| Ok((row.get::<i64>("space_id")?, Mode::from_code(row.get("upstream")?).flatten())))
            .await?;
        match space {
            None => BucketDeletion::Missing,
            // What the upstream holds is seen through the bucket.
            Some((_, Some(mode))) if mode.reads_through() => BucketDeletion::NotEmpty,
            Some((space, _)) if holds_objects(&mut tx, space).await? => BucketDeletion::NotEmpty,
            Some((space, _)) => {
                uploads::abort_all(&mut tx, space).await?;
                tx.query(sql!("DELETE FROM buckets WHERE name = $1")).bind(name.as_str()).execute().await?;
                // Nothing is in it, so nothing in it is locked. The revision never goes back: a document that
                // is remembered somewhere must not come to life again.
                let reset = tx
                    .query(sql!(
                        "UPDATE spaces SET versioning = $2, default_class = $3, object_lock = NULL, upstream = 0, \
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
