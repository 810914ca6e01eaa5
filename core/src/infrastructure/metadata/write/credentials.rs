//! Keys of both fronts.

use uuid::Uuid;

use crate::application::ports::metadata::{Credential, CredentialKind};
use crate::domain::address::Tenant;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows::{self, BOUND};
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

pub(crate) async fn create(db: &Database, credential: &Credential) -> Result<(), Fault> {
    transaction!(db, |tx| insert(&mut tx, credential).await?)
}

pub(crate) async fn declare(db: &Database, credential: &Credential) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let taken = tx
            .query(sql!("SELECT 1 FROM credentials WHERE lookup = $1"))
            .bind(credential.lookup.as_str())
            .optional()
            .await?
            .is_some();
        if !taken {
            // Of two that bring the same, one collides here, looks again and finds it taken.
            insert(&mut tx, credential).await?;
        }
        !taken
    })
}

pub(crate) async fn restate(db: &Database, credential: &Credential) -> Result<bool, Fault> {
    let (namespaces, prefixes) =
        (json(credential.namespaces.as_deref())?, json(credential.prefixes.as_deref())?);
    transaction!(db, |tx| {
        let changed = tx
            .query(sql!(
                "UPDATE credentials SET secret = $3, tenant = $4, namespaces = $5, rights = $6, description = $7, \
                 expires_at = $8, prefixes = $9 WHERE id = $1 AND kind = $2 AND revoked_at IS NULL"
            ))
            .bind(credential.id)
            .bind(kind(credential))
            .bind(credential.secret.as_slice())
            .bind(credential.tenant.as_str())
            .bind(namespaces.as_deref())
            .bind(rights(credential))
            .bind(credential.description.as_str())
            .bind(credential.expires_at.map(Timestamp::millis))
            .bind(prefixes.as_deref())
            .execute()
            .await?;
        changed == 1
    })
}

/// As JSON.
fn json<T: ToString>(names: Option<&[T]>) -> Result<Option<String>, Fault> {
    names
        .map(|names| serde_json::to_string(&names.iter().map(ToString::to_string).collect::<Vec<_>>()))
        .transpose()
        .map_err(|error| Fault::failed(error.to_string()))
}

/// The rights as stored: see [`BOUND`].
fn rights(credential: &Credential) -> String {
    let rights = credential.rights.to_string();
    if credential.prefixes.is_some() { format!("{BOUND}{rights}") } else { rights }
}

fn kind(credential: &Credential) -> i16 {
    match credential.kind {
        CredentialKind::Api => 1,
        CredentialKind::S3 => 2,
    }
}

async fn insert(tx: &mut Transaction, credential: &Credential) -> Result<(), Fault> {
    let (namespaces, prefixes) =
        (json(credential.namespaces.as_deref())?, json(credential.prefixes.as_deref())?);
    tx.query(sql!(
        "INSERT INTO credentials (id, kind, lookup, secret, tenant, namespaces, rights, description, \
         created_at, expires_at, revoked_at, prefixes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    ))
    .bind(credential.id)
    .bind(kind(credential))
    .bind(credential.lookup.as_str())
    .bind(credential.secret.as_slice())
    .bind(credential.tenant.as_str())
    .bind(namespaces.as_deref())
    .bind(rights(credential))
    .bind(credential.description.as_str())
    .bind(credential.created_at.millis())
    .bind(credential.expires_at.map(Timestamp::millis))
    .bind(credential.revoked_at.map(Timestamp::millis))
    .bind(prefixes.as_deref())
    .execute()
    .await?;
    Ok(())
}

pub(crate) async fn find(db: &Database, lookup: &str) -> Result<Option<Credential>, Fault> {
    db.read(sql!(credential, " WHERE lookup = $1")).bind(lookup).find(rows::credential).await
}

pub(crate) async fn by_id(db: &Database, id: Uuid) -> Result<Option<Credential>, Fault> {
    db.read(sql!(credential, " WHERE id = $1")).bind(id).find(rows::credential).await
}

pub(crate) async fn list(db: &Database, tenant: Option<&Tenant>) -> Result<Vec<Credential>, Fault> {
    match tenant {
        Some(tenant) => {
            db.read(sql!(credential, " WHERE tenant = $1 ORDER BY created_at, id"))
                .bind(tenant.as_str())
                .map(rows::credential)
                .await
        }
        None => db.read(sql!(credential, " ORDER BY created_at, id")).map(rows::credential).await,
    }
}

pub(crate) async fn ending(
    db: &Database,
    after: Timestamp,
    by: Timestamp,
    limit: u32,
) -> Result<Vec<Credential>, Fault> {
    db.read(sql!(
        credential,
        " WHERE revoked_at IS NULL AND expires_at > $1 AND expires_at <= $2 ORDER BY expires_at, id LIMIT $3"
    ))
    .bind(after.millis())
    .bind(by.millis())
    .bind(i64::from(limit))
    .map(rows::credential)
    .await
}

pub(crate) async fn revoke(db: &Database, id: Uuid, now: Timestamp) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let revoked = tx
            .query(sql!("UPDATE credentials SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL"))
            .bind(id)
            .bind(now.millis())
            .execute()
            .await?;
        revoked == 1
    })
}

pub(crate) async fn rotate(
    db: &Database,
    old: Uuid,
    now: Timestamp,
    ends: Timestamp,
    new: &Credential,
) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let ended = tx
            .query(sql!(
                "UPDATE credentials SET revoked_at = $2, \
                 expires_at = CASE WHEN expires_at < $3 THEN expires_at ELSE $3 END \
                 WHERE id = $1 AND revoked_at IS NULL"
            ))
            .bind(old)
            .bind((ends <= now).then(|| now.millis()))
            .bind(ends.millis())
            .execute()
            .await?;
        if ended == 1 {
            insert(&mut tx, new).await?;
        }
        ended == 1
    })
}

pub(crate) async fn reseal(db: &Database, id: Uuid, was: &[u8], sealed: &[u8]) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let changed = tx
            .query(sql!("UPDATE credentials SET secret = $3 WHERE id = $1 AND secret = $2"))
            .bind(id)
            .bind(was)
            .bind(sealed)
            .execute()
            .await?;
        changed == 1
    })
}
