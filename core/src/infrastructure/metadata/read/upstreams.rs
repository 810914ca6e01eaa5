//! Spaces that are bound to an upstream, looked at.

use crate::application::ports::metadata::{BoundSpace, MetadataError, PassKind, UpstreamPass};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::space::{SettingsRevision, SpaceId};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::{Binding, Fate, Mode};
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;

pub(super) fn fate(row: &Row) -> Result<Fate, Fault> {
    let code: i16 = row.get("fate")?;
    let unknown = || MetadataError::Corrupt { table: "upstream_keys", column: "fate", row: code.to_string() };
    Fate::from_code(code).ok_or_else(|| unknown().into())
}

/// The binding that the columns `binding` and `secret` hold.
pub(crate) fn binding(row: &Row, mode: Mode) -> Result<Binding, Fault> {
    let document: String = row.get("binding")?;
    let unreadable =
        || MetadataError::Corrupt { table: "upstreams", column: "document", row: mode.as_str().to_owned() };
    let target = serde_json::from_str(&document).map_err(|_| Fault::from(unreadable()))?;
    Ok(Binding { mode, target, sealed: row.get("secret")? })
}

/// Spaces that have an upstream, in order of namespace and tenant.
pub(crate) async fn bound(
    db: &Database,
    after: Option<&SpaceAddress>,
    limit: u32,
) -> Result<Vec<BoundSpace>, Fault> {
    let (namespace, tenant) =
        after.map_or(("", ""), |after| (after.namespace.as_str(), after.tenant.as_str()));
    db.read(sql!(
        "SELECT ",
        space_columns,
        ", v.document AS binding, v.secret, v.changed_at FROM upstreams v JOIN spaces s ON s.id = v.space_id \
         WHERE (s.namespace > $1 OR (s.namespace = $1 AND s.tenant > $2)) ORDER BY s.namespace, s.tenant LIMIT $3"
    ))
    .bind(namespace)
    .bind(tenant)
    .bind(i64::from(limit))
    .map(|row| {
        let space = rows::space(row)?;
        let mode = space.upstream.unwrap_or(Mode::Observe);
        let changed_at = Timestamp(row.get("changed_at")?);
        Ok(BoundSpace { binding: binding(row, mode)?, changed_at, space })
    })
    .await
}

/// What became of a key; `None` if it was only ever written here, or never.
pub(crate) async fn fate_of(db: &Database, space: SpaceId, key: &Key) -> Result<Option<Fate>, Fault> {
    db.read(sql!("SELECT fate FROM upstream_keys WHERE space_id = $1 AND key = $2"))
        .bind(space.0)
        .bind(key.as_str())
        .find(fate)
        .await
}

/// Those of the keys of which the upstream's objects are not shown: they have a version here, or were removed here.
pub(crate) async fn hidden(db: &Database, space: SpaceId, keys: &[Key]) -> Result<Vec<Key>, Fault> {
    let mut hidden = Vec::new();
    for portion in db.portions(keys) {
        let names = || portion.iter().map(|key| key.as_str().to_owned());
        let read = |row: &Row| row.first::<String>();
        let here = db
            .read_list(
                sql!(
                    "SELECT key FROM objects WHERE space_id = $1 AND key IN (",
                    list,
                    ") AND key <> '' AND is_latest = TRUE"
                ),
                1,
                portion.len(),
            )
            .bind(space.0)
            .bind_all(names());
        hidden.extend(here.map(read).await?);
        let gone = db
            .read_list(
                sql!(
                    "SELECT key FROM upstream_keys WHERE space_id = $1 AND key IN (",
                    list,
                    ") AND fate = ",
                    owned
                ),
                1,
                portion.len(),
            )
            .bind(space.0)
            .bind_all(names());
        hidden.extend(gone.map(read).await?);
    }
    hidden
        .into_iter()
        .map(|key| Key::new(&key).map_err(|_| Fault::failed("a stored key cannot be read")))
        .collect()
}

/// Keys that were removed or replaced here, between two bounds, the first not among them.
pub(crate) async fn owned(
    db: &Database,
    space: SpaceId,
    after: &str,
    until: &str,
    limit: u32,
) -> Result<Vec<String>, Fault> {
    db.read(sql!(
        "SELECT key FROM upstream_keys WHERE space_id = $1 AND key > $2 AND key <= $3 AND fate = ",
        owned,
        " ORDER BY key LIMIT $4"
    ))
    .bind(space.0)
    .bind(after)
    .bind(until)
    .bind(i64::from(limit))
    .map(Row::first::<String>)
    .await
}

/// Whether anything became of a key of a space.
pub(crate) async fn remembers(db: &Database, space: SpaceId) -> Result<bool, Fault> {
    let some = db
        .read(sql!("SELECT key FROM upstream_keys WHERE space_id = $1 ORDER BY key LIMIT 1"))
        .bind(space.0)
        .find(Row::first::<String>)
        .await?;
    Ok(some.is_some())
}

/// What became of these keys, and what proved the bytes of those that were pulled.
pub(crate) async fn fates(
    db: &Database,
    space: SpaceId,
    keys: &[Key],
) -> Result<Vec<(Key, Fate, Option<String>)>, Fault> {
    let mut found = Vec::new();
    for portion in db.portions(keys) {
        let statement = db
            .read_list(
                sql!(
                    "SELECT key, fate, proof FROM upstream_keys WHERE space_id = $1 AND key IN (",
                    list,
                    ")"
                ),
                1,
                portion.len(),
            )
            .bind(space.0)
            .bind_all(portion.iter().map(|key| key.as_str().to_owned()));
        let read = |row: &Row| {
            let key: String = row.get("key")?;
            let key = Key::new(&key).map_err(|_| Fault::failed("a stored key cannot be read"))?;
            Ok((key, fate(row)?, row.get("proof")?))
        };
        found.extend(statement.map(read).await?);
    }
    Ok(found)
}

fn pass(row: &Row) -> Result<UpstreamPass, Fault> {
    let code: i16 = row.get("kind")?;
    let kind = PassKind::ALL.into_iter().find(|kind| kind.code() == code);
    let unknown =
        || MetadataError::Corrupt { table: "upstream_passes", column: "kind", row: code.to_string() };
    Ok(UpstreamPass {
        space: SpaceId(row.get("space_id")?),
        kind: kind.ok_or_else(|| Fault::from(unknown()))?,
        revision: SettingsRevision(row.get("revision")?),
        begun_at: Timestamp(row.get("begun_at")?),
        touched_at: Timestamp(row.get("touched_at")?),
        finished_at: row.get::<Option<i64>>("finished_at")?.map(Timestamp),
        place: row.get("place")?,
        report: row.get("report")?,
    })
}

/// The passes over a space's upstream.
pub(crate) async fn passes(db: &Database, space: SpaceId) -> Result<Vec<UpstreamPass>, Fault> {
    db.read(sql!(
        "SELECT space_id, kind, revision, begun_at, touched_at, finished_at, place, report FROM upstream_passes \
         WHERE space_id = $1 ORDER BY kind"
    ))
    .bind(space.0)
    .map(pass)
    .await
}

/// The passes that are under way, the longest untouched first.
pub(crate) async fn under_way(db: &Database, limit: u32) -> Result<Vec<(SpaceAddress, UpstreamPass)>, Fault> {
    db.read(sql!(
        "SELECT namespace, tenant, space_id, kind, revision, begun_at, touched_at, finished_at, place, report \
         FROM upstream_passes JOIN spaces ON spaces.id = upstream_passes.space_id \
         WHERE finished_at IS NULL ORDER BY touched_at LIMIT $1"
    ))
    .bind(i64::from(limit))
    .map(|row| Ok((rows::address(row)?, pass(row)?)))
    .await
}
