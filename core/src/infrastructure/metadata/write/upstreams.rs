//! Spaces that are bound to an upstream: the binding, what became of keys, and how far work over it has come.

use super::{mirrors, spaces};
use crate::application::ports::metadata::{PassKind, Pulled, Refusal, UpstreamPass};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::etag::Etag;
use crate::domain::object::ObjectId;
use crate::domain::space::{SettingsRevision, Space, SpaceId};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::{Binding, Fate, Mode};
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::{Row, Statement};
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// Of a row that says of a key that it is owned: space, key, fate and time.
const OWNED_COLUMNS: usize = 4;

fn bind_owned<'s>(statement: Statement<'s>, keys: &[(SpaceId, &Key)], now: Timestamp) -> Statement<'s> {
    keys.iter().fold(statement, |statement, (space, key)| {
        statement.bind(space.0).bind(key.as_str().to_owned()).bind(Fate::Owned.code()).bind(now.millis())
    })
}

/// Holds the places of keys, given in ascending order, that may be removed: a pull of one of them waits for this transaction.
/// Those of which nothing became so far: [`release`] must follow for each that is not owned in the end.
pub(crate) async fn hold<'k>(
    tx: &mut Transaction,
    keys: &[(SpaceId, &'k Key)],
    now: Timestamp,
) -> Result<Vec<(SpaceId, &'k Key)>, Fault> {
    let mut held = Vec::new();
    for portion in tx.portions(keys) {
        let statement = tx.query_rows(
            sql!(
                "INSERT INTO upstream_keys (space_id, key, fate, at) VALUES ",
                rows,
                " ON CONFLICT (space_id, key) DO NOTHING RETURNING key"
            ),
            portion.len(),
            OWNED_COLUMNS,
        );
        let made: Vec<String> = bind_owned(statement, portion, now).map(Row::first).await?;
        held.extend(portion.iter().filter(|(_, key)| made.iter().any(|made| made == key.as_str())));
    }
    Ok(held)
}

/// Of keys that were held nothing became, as before: their removal was refused.
pub(crate) async fn release(tx: &mut Transaction, keys: &[(SpaceId, &Key)]) -> Result<(), Fault> {
    for (space, key) in keys {
        tx.query(sql!("DELETE FROM upstream_keys WHERE space_id = $1 AND key = $2"))
            .bind(space.0)
            .bind(key.as_str())
            .later()
            .await?;
    }
    Ok(())
}

/// These keys, in ascending order, are removed or replaced here: the upstream is not asked for them any more.
pub(crate) async fn own(tx: &mut Transaction, keys: &[(SpaceId, &Key)], now: Timestamp) -> Result<(), Fault> {
    for portion in tx.portions(keys) {
        let statement = tx.query_rows(
            sql!(
                "INSERT INTO upstream_keys (space_id, key, fate, at) VALUES ",
                rows,
                " ON CONFLICT (space_id, key) DO UPDATE SET fate = excluded.fate, object_id = NULL, proof = NULL, \
                 at = excluded.at"
            ),
            portion.len(),
            OWNED_COLUMNS,
        );
        bind_owned(statement, portion, now).later().await?;
    }
    Ok(())
}

/// Forgets that a key was removed here, if nothing is here.
pub(crate) async fn unhide(db: &Database, space: SpaceId, key: &Key) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "DELETE FROM upstream_keys WHERE space_id = $1 AND key = $2 AND fate = ",
            owned,
            " AND NOT EXISTS (SELECT 1 FROM objects WHERE space_id = $1 AND key = $2 AND key <> '' \
             AND is_latest = TRUE)"
        ))
        .bind(space.0)
        .bind(key.as_str())
        .execute()
        .await?;
    })
}

/// A key that a pull takes.
pub(crate) struct Claim<'k> {
    pub(crate) key: &'k Key,
    pub(crate) id: ObjectId,
    pub(crate) etag: &'k Etag,
    pub(crate) pulled: &'k Pulled,
}

/// Pulls take keys, given in ascending order, of which nothing became so far. Which pulls did: another transaction that does
/// the same, or removes a key, is waited for.
pub(crate) async fn claim(
    tx: &mut Transaction,
    space: SpaceId,
    claims: &[Claim<'_>],
    now: Timestamp,
) -> Result<Vec<ObjectId>, Fault> {
    const COLUMNS: usize = 7;
    let mut claimed = Vec::new();
    for portion in tx.portions(claims) {
        let statement = tx.query_rows(
            sql!(
                "INSERT INTO upstream_keys (space_id, key, fate, object_id, proof, at, there) VALUES ",
                rows,
                " ON CONFLICT (space_id, key) DO NOTHING RETURNING object_id"
            ),
            portion.len(),
            COLUMNS,
        );
        let bound = portion.iter().fold(statement, |statement, Claim { key, id, etag, pulled }| {
            statement
                .bind(space.0)
                .bind(key.as_str().to_owned())
                .bind(Fate::Pulled.code())
                .bind(id.0)
                .bind(pulled.proof)
                .bind(now.millis())
                .bind(etag.as_str().to_owned())
        });
        claimed.extend(bound.map(|row| row.first().map(ObjectId)).await?);
    }
    Ok(claimed)
}

/// A pull leaves the key that it took: of that nothing became, as before.
pub(crate) async fn unclaim(
    tx: &mut Transaction,
    space: SpaceId,
    key: &Key,
    id: ObjectId,
) -> Result<(), Fault> {
    tx.query(sql!("DELETE FROM upstream_keys WHERE space_id = $1 AND key = $2 AND object_id = $3"))
        .bind(space.0)
        .bind(key.as_str())
        .bind(id.0)
        .later()
        .await
}

/// Binds a space in place of what it was bound to, and begins passes of these kinds.
pub(crate) async fn bind(
    db: &Database,
    address: &SpaceAddress,
    binding: &Binding,
    (at, passes): (Option<SettingsRevision>, &[PassKind]),
    now: Timestamp,
) -> Result<Result<Space, Refusal>, Fault> {
    let document =
        serde_json::to_string(&binding.target).map_err(|error| Fault::failed(error.to_string()))?;
    transaction!(db, |tx| {
        let space = spaces::held_to_change(&mut tx, address).await?;
        match space {
            None => Err(Refusal::NoSuchBucket),
            Some(space) if at.is_some_and(|at| at != space.settings) => Err(Refusal::Changed),
            Some(space) => {
                tx.query(sql!(
                    "INSERT INTO upstreams (space_id, document, secret, changed_at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (space_id) DO UPDATE SET document = excluded.document, \
                     secret = excluded.secret, changed_at = excluded.changed_at"
                ))
                .bind(space.id.0)
                .bind(document.as_str())
                .bind(binding.sealed.clone())
                .bind(now.millis())
                .execute()
                .await?;
                mirrors::bind(&mut tx, space.id, binding, now).await?;
                set_mode(&mut tx, &space, Some(binding.mode)).await?;
                let space = changed(space, Some(binding.mode));
                for kind in passes {
                    begin(&mut tx, &UpstreamPass::new(&space, *kind, now)).await?;
                }
                Ok(space)
            }
        }
    })
}

/// Forgets a space's upstream and all that is known of it.
pub(crate) async fn unbind(
    db: &Database,
    address: &SpaceAddress,
    at: SettingsRevision,
) -> Result<Result<Space, Refusal>, Fault> {
    transaction!(db, |tx| {
        match spaces::held_to_change(&mut tx, address).await? {
            Some(space) if at == space.settings => {
                clear(&mut tx, space.id.0).await?;
                set_mode(&mut tx, &space, None).await?;
                Ok(changed(space, None))
            }
            _ => Err(Refusal::Changed),
        }
    })
}

/// Removes what is known of a space's upstream.
pub(crate) async fn clear(tx: &mut Transaction, space: i64) -> Result<(), Fault> {
    mirrors::clear(tx, SpaceId(space)).await?;
    tx.query(sql!("DELETE FROM upstreams WHERE space_id = $1")).bind(space).execute().await?;
    tx.query(sql!("DELETE FROM upstream_keys WHERE space_id = $1")).bind(space).execute().await?;
    tx.query(sql!("DELETE FROM upstream_versions WHERE space_id = $1")).bind(space).execute().await?;
    tx.query(sql!("DELETE FROM upstream_passes WHERE space_id = $1")).bind(space).execute().await?;
    tx.query(sql!("DELETE FROM upstream_clients WHERE space_id = $1")).bind(space).execute().await?;
    Ok(())
}

async fn set_mode(tx: &mut Transaction, space: &Space, mode: Option<Mode>) -> Result<(), Fault> {
    tx.query(sql!("UPDATE spaces SET upstream = $2, settings = settings + 1 WHERE id = $1"))
        .bind(space.id.0)
        .bind(mode.map_or(0, Mode::code))
        .execute()
        .await
        .map(drop)
}

fn changed(space: Space, mode: Option<Mode>) -> Space {
    Space { upstream: mode, settings: SettingsRevision(space.settings.0 + 1), ..space }
}

/// Replaces a sealed secret, if it still is `was`.
pub(crate) async fn reseal(db: &Database, space: SpaceId, was: &[u8], sealed: &[u8]) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let resealed = tx
            .query(sql!("UPDATE upstreams SET secret = $3 WHERE space_id = $1 AND secret = $2"))
            .bind(space.0)
            .bind(was.to_vec())
            .bind(sealed.to_vec())
            .execute()
            .await?;
        if resealed == 1 {
            // What is remembered of the space holds the old one.
            tx.query(sql!("UPDATE spaces SET settings = settings + 1 WHERE id = $1"))
                .bind(space.0)
                .execute()
                .await?;
        }
        resealed == 1
    })
}

/// Begins a pass, or leaves the one of its kind that is under way by the same settings. The pass that is under way then.
pub(crate) async fn begin_pass(db: &Database, pass: &UpstreamPass) -> Result<(), Fault> {
    transaction!(db, |tx| {
        begin(&mut tx, pass).await?;
    })
}

async fn begin(tx: &mut Transaction, pass: &UpstreamPass) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO upstream_passes (space_id, kind, revision, begun_at, touched_at, place, report) \
             VALUES ($1, $2, $3, $4, $4, $5, $6) ON CONFLICT (space_id, kind) DO UPDATE SET \
             revision = excluded.revision, begun_at = excluded.begun_at, touched_at = excluded.touched_at, \
             finished_at = NULL, place = excluded.place, report = excluded.report \
             WHERE upstream_passes.finished_at IS NOT NULL OR upstream_passes.revision <> excluded.revision"
    ))
    .bind(pass.space.0)
    .bind(pass.kind.code())
    .bind(pass.revision.0)
    .bind(pass.begun_at.millis())
    .bind(pass.place.as_deref())
    .bind(pass.report.as_str())
    .execute()
    .await
    .map(drop)
}

/// Writes down how far a pass has come, if it is the one that began then.
pub(crate) async fn save_pass(db: &Database, pass: &UpstreamPass) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let saved = tx
            .query(sql!(
                "UPDATE upstream_passes SET touched_at = $4, finished_at = $5, place = $6, report = $7 \
                 WHERE space_id = $1 AND kind = $2 AND begun_at = $3 AND finished_at IS NULL"
            ))
            .bind(pass.space.0)
            .bind(pass.kind.code())
            .bind(pass.begun_at.millis())
            .bind(pass.touched_at.millis())
            .bind(pass.finished_at.map(Timestamp::millis))
            .bind(pass.place.as_deref())
            .bind(pass.report.as_str())
            .execute()
            .await?;
        saved == 1
    })
}

/// Ends every pass over a space's upstream.
pub(crate) async fn end_passes(db: &Database, space: SpaceId) -> Result<u64, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("DELETE FROM upstream_passes WHERE space_id = $1 AND finished_at IS NULL"))
            .bind(space.0)
            .execute()
            .await?
    })
}
