//! Settings of spaces: documents, object lock, and how far lifecycle rules have been applied.

use std::sync::Arc;

use super::{spaces, targets};
use crate::application::ports::metadata::{LifecyclePass, MetadataError, NewSpace, Refusal};
use crate::domain::address::{BucketName, SpaceAddress};
use crate::domain::invalid::Invalid;
use crate::domain::object_lock::LockConfig;
use crate::domain::settings::{Setting, SettingKind, SpaceSettings};
use crate::domain::space::SettingsRevision;
use crate::domain::space::{Space, SpaceId, Versioning};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Mode;
use crate::domain::versioning::check_lockable;
use crate::infrastructure::metadata::read::{rows, upstreams};
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// Sets a document, or removes the one of a kind.
pub(crate) async fn write(
    db: &Database,
    address: &SpaceAddress,
    bucket: Option<&BucketName>,
    kind: SettingKind,
    setting: Option<&Setting>,
    at: Option<SettingsRevision>,
) -> Result<Result<(), Refusal>, Fault> {
    let document = setting.map(Setting::to_document).transpose().map_err(|e| Fault::failed(e.to_string()))?;
    let named_targets = setting.map(Setting::targets).unwrap_or_default();
    transaction!(db, |tx| {
        match named(&mut tx, address, bucket).await? {
            None => Err(Refusal::NoSuchBucket),
            Some(space) if at.is_some_and(|at| at != space.settings) => Err(Refusal::Changed),
            Some(_) if !targets::hold_targets(&mut tx, &named_targets).await? => Err(no_such_target()),
            Some(space) => {
                // Lock the space's row first: a transaction that writes another document of it waits here.
                tx.query(sql!("UPDATE spaces SET settings = settings + 1 WHERE id = $1"))
                    .bind(space.id.0)
                    .execute()
                    .await?;
                targets::name_targets(&mut tx, space.id, kind, &named_targets).await?;
                match &document {
                    Some(document) => put_document(&mut tx, space.id, kind, document).await?,
                    None => {
                        tx.query(sql!("DELETE FROM space_settings WHERE space_id = $1 AND kind = $2"))
                            .bind(space.id.0)
                            .bind(kind.code())
                            .execute()
                            .await?;
                    }
                }
                Ok(())
            }
        }
    })
}

fn no_such_target() -> Refusal {
    Invalid::new("arn", "no target of this name is declared").into()
}

async fn put_document(
    tx: &mut Transaction,
    space: SpaceId,
    kind: SettingKind,
    document: &str,
) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO space_settings (space_id, kind, document) VALUES ($1, $2, $3) \
         ON CONFLICT (space_id, kind) DO UPDATE SET document = excluded.document"
    ))
    .bind(space.0)
    .bind(kind.code())
    .bind(document)
    .execute()
    .await?;
    Ok(())
}

/// The space, if the bucket names it, or if none is asked for.
async fn named(
    tx: &mut Transaction,
    address: &SpaceAddress,
    bucket: Option<&BucketName>,
) -> Result<Option<Space>, Fault> {
    let named = match bucket {
        Some(bucket) => {
            tx.query(sql!("SELECT u.space_id FROM buckets u WHERE u.name = $1", for_key_share))
                .bind(bucket.as_str())
                .find(Row::first::<i64>)
                .await?
        }
        None => None,
    };
    let space = tx
        .query(sql!(space, " WHERE s.namespace = $1 AND s.tenant = $2", for_update))
        .bind(address.namespace.as_str())
        .bind(address.tenant.as_str())
        .find(rows::space)
        .await?;
    Ok(space.filter(|space| bucket.is_none() || named == Some(space.id.0)))
}

pub(crate) async fn read(db: &Database, space: SpaceId) -> Result<(SettingsRevision, SpaceSettings), Fault> {
    // One statement, so that the documents are of the revision that stands beside them.
    let read = db
        .read(sql!(
            "SELECT s.settings, s.upstream, t.kind, t.document, v.document AS binding, v.secret FROM spaces s \
             LEFT JOIN space_settings t ON t.space_id = s.id LEFT JOIN upstreams v ON v.space_id = s.id \
             WHERE s.id = $1"
        ))
        .bind(space.0)
        .map(|row| {
            let revision = SettingsRevision(row.get("settings")?);
            let mode = Mode::from_code(row.get("upstream")?).flatten();
            let upstream = mode.map(|mode| upstreams::binding(row, mode)).transpose()?;
            let Some(kind) = row.get::<Option<i16>>("kind")? else { return Ok((revision, upstream, None)) };
            Ok((revision, upstream, Some(setting(space, kind, &row.get::<String>("document")?)?)))
        })
        .await?;
    let first = read.first();
    let revision = first.map_or(SettingsRevision::default(), |(revision, ..)| *revision);
    let upstream = first.and_then(|(_, upstream, _)| upstream.clone()).map(Arc::new);
    let settings: SpaceSettings = read.into_iter().filter_map(|(.., setting)| setting).collect();
    Ok((revision, SpaceSettings { upstream, ..settings }))
}

/// Every bucket whose space has a policy, and that space; and every space that has an upstream, without a bucket.
pub(crate) async fn noted(db: &Database) -> Result<Vec<(Option<BucketName>, SpaceAddress)>, Fault> {
    db.read(sql!(
        "SELECT u.name, s.namespace, s.tenant FROM space_settings t JOIN spaces s ON s.id = t.space_id \
         JOIN buckets u ON u.space_id = s.id WHERE t.kind = $1 \
         UNION ALL SELECT '' AS name, s.namespace, s.tenant FROM upstreams v JOIN spaces s ON s.id = v.space_id"
    ))
    .bind(SettingKind::Policy.code())
    .map(|row| {
        let bucket = match row.get::<String>("name")?.as_str() {
            "" => None,
            _ => Some(rows::named_space(row)?.0),
        };
        Ok((bucket, rows::address(row)?))
    })
    .await
}

pub(crate) fn setting(space: SpaceId, kind: i16, document: &str) -> Result<Setting, Fault> {
    let corrupt = |column| {
        Fault::Final(MetadataError::Corrupt {
            table: "space_settings",
            column,
            row: format!("{}/{kind}", space.0),
        })
    };
    let kind = SettingKind::from_code(kind).ok_or_else(|| corrupt("kind"))?;
    Setting::from_document(kind, document).map_err(|_| corrupt("document"))
}

/// Removes every document of a space whose last name is gone.
pub(crate) async fn clear(tx: &mut Transaction, space: i64) -> Result<(), Fault> {
    tx.query(sql!("DELETE FROM space_settings WHERE space_id = $1")).bind(space).execute().await?;
    tx.query(sql!("DELETE FROM lifecycle_passes WHERE space_id = $1")).bind(space).execute().await?;
    // What waits for their targets is told all the same: it happened.
    tx.query(sql!("DELETE FROM outbox_routes WHERE space_id = $1")).bind(space).execute().await?;
    super::upstreams::clear(tx, space).await
}

pub(crate) async fn set_object_lock(
    db: &Database,
    address: &SpaceAddress,
    bucket: Option<&BucketName>,
    config: LockConfig,
) -> Result<Result<(), Refusal>, Fault> {
    transaction!(db, |tx| {
        match named(&mut tx, address, bucket).await? {
            None => Err(Refusal::NoSuchBucket),
            Some(space) => match check_lockable(&space) {
                Ok(()) => {
                    write_lock(&mut tx, space.id, config).await?;
                    Ok(())
                }
                Err(denial) => Err(denial.into()),
            },
        }
    })
}

/// Sets on a space what a declaration of its first bucket says, unless something was set on it before.
pub(crate) async fn begin_with(tx: &mut Transaction, space: Space, new: &NewSpace) -> Result<Space, Fault> {
    if !space.is_unset() {
        return Ok(space);
    }
    let mut space = space;
    space.versioning = new.versioning.unwrap_or(space.versioning);
    space.default_class = new.default_class.unwrap_or(space.default_class);
    let settings = i64::from(!new.documents.is_empty());
    tx.query(sql!("UPDATE spaces SET versioning = $2, default_class = $3, settings = $4 WHERE id = $1"))
        .bind(space.id.0)
        .bind(space.versioning.code())
        .bind(space.default_class.code())
        .bind(settings)
        .execute()
        .await?;
    space.settings = SettingsRevision(settings);
    for setting in &new.documents {
        let document = setting.to_document().map_err(|error| Fault::failed(error.to_string()))?;
        targets::name_targets(tx, space.id, setting.kind(), &setting.targets()).await?;
        put_document(tx, space.id, setting.kind(), &document).await?;
    }
    match new.object_lock {
        Some(_) => lock_space(tx, Space { object_lock: new.object_lock, ..space }).await,
        None => Ok(space),
    }
}

/// Makes a space one whose versions can be locked, with versioning enabled.
pub(crate) async fn lock_space(tx: &mut Transaction, space: Space) -> Result<Space, Fault> {
    let config = space.object_lock.unwrap_or_default();
    write_lock(tx, space.id, config).await?;
    Ok(Space { versioning: Versioning::Enabled, object_lock: Some(config), ..space })
}

async fn write_lock(tx: &mut Transaction, space: SpaceId, config: LockConfig) -> Result<(), Fault> {
    let document = serde_json::to_string(&config).map_err(|error| Fault::failed(error.to_string()))?;
    tx.query(sql!("UPDATE spaces SET object_lock = $2, versioning = $3 WHERE id = $1"))
        .bind(space.0)
        .bind(document)
        .bind(Versioning::Enabled.code())
        .execute()
        .await?;
    Ok(())
}

/// A space, and its pass or why its rules cannot be read.
pub(crate) type DueSpace = (SpaceAddress, Result<LifecyclePass, MetadataError>);

pub(crate) async fn next_lifecycle(
    db: &Database,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<DueSpace>, Fault> {
    db.read(sql!(
        "SELECT s.id, s.namespace, s.tenant, s.versioning, s.default_class, s.settings, s.object_lock, s.upstream, \
         s.created_at, t.document, p.revision, p.begun_at, p.place FROM space_settings t \
         JOIN spaces s ON s.id = t.space_id LEFT JOIN lifecycle_passes p ON p.space_id = s.id \
         WHERE t.kind = $3 AND (p.space_id IS NULL OR p.place IS NOT NULL OR p.begun_at < $1 \
         OR p.revision <> s.settings) ORDER BY COALESCE(p.touched_at, 0), s.id LIMIT $2"
    ))
    .bind(before.millis())
    .bind(i64::from(limit))
    .bind(SettingKind::Lifecycle.code())
    .map(|row| {
        let space = rows::space(row)?;
        let address = space.address.clone();
        Ok((address, pass(row, space).map_err(MetadataError::from)))
    })
    .await
}

fn pass(row: &Row, space: Space) -> Result<LifecyclePass, Fault> {
    let document = row.get::<String>("document")?;
    let Setting::Lifecycle(lifecycle) = setting(space.id, SettingKind::Lifecycle.code(), &document)? else {
        return Err(Fault::failed("a lifecycle document is none"));
    };
    // A pass that applied other rules begins anew.
    let under_way = row.get::<Option<i64>>("revision")? == Some(space.settings.0);
    let place = row.get::<Option<String>>("place")?.filter(|_| under_way);
    let begun_at = row.get::<Option<i64>>("begun_at")?.filter(|_| place.is_some());
    Ok(LifecyclePass {
        lifecycle,
        revision: space.settings,
        begun_at: Timestamp(begun_at.unwrap_or_default()),
        place,
        space,
    })
}

pub(crate) async fn save_lifecycle(db: &Database, pass: &LifecyclePass, now: Timestamp) -> Result<(), Fault> {
    transaction!(db, |tx| {
        // A space that lost its rules meanwhile keeps no pass.
        let stands = spaces::lock_space(&mut tx, &pass.space.address)
            .await?
            .is_some_and(|space| space.id == pass.space.id);
        if stands {
            tx.query(sql!(
                "INSERT INTO lifecycle_passes (space_id, revision, begun_at, touched_at, place) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (space_id) DO UPDATE SET \
                 revision = excluded.revision, begun_at = excluded.begun_at, \
                 touched_at = excluded.touched_at, place = excluded.place"
            ))
            .bind(pass.space.id.0)
            .bind(pass.revision.0)
            .bind(pass.begun_at.millis())
            .bind(now.millis())
            .bind(pass.place.as_deref())
            .execute()
            .await?;
        }
    })
}
