//! Figures for people and metrics.

use super::rows;
use crate::application::ports::metadata::SpaceUsage;
use crate::domain::address::{Namespace, SpaceAddress, Tenant};
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;

pub(crate) async fn usage(
    db: &Database,
    tenant: Option<&Tenant>,
    namespace: Option<&Namespace>,
) -> Result<Vec<SpaceUsage>, Fault> {
    db.read(sql!(
        "SELECT s.namespace, s.tenant, u.class, u.objects, u.logical_bytes, u.physical_bytes, u.deleting, \
         CASE WHEN u.upload_bytes > 0 THEN u.upload_bytes ELSE 0 END AS upload_bytes, \
         CASE WHEN u.markers > 0 THEN u.markers ELSE 0 END AS markers \
         FROM usage u JOIN spaces s ON s.id = u.space_id \
         WHERE (s.tenant = $1 OR $1 IS NULL) AND (s.namespace = $2 OR $2 IS NULL) \
         ORDER BY s.namespace, s.tenant, u.class"
    ))
    .bind(tenant.map(Tenant::as_str))
    .bind(namespace.map(Namespace::as_str))
    .map(figures)
    .await
}

/// Of the spaces from `first` to `last`, in order of namespace and tenant.
pub(crate) async fn between(
    db: &Database,
    tenant: Option<&Tenant>,
    first: &SpaceAddress,
    last: &SpaceAddress,
) -> Result<Vec<SpaceUsage>, Fault> {
    db.read(sql!(
        "SELECT s.namespace, s.tenant, u.class, u.objects, u.logical_bytes, u.physical_bytes, u.deleting, \
         CASE WHEN u.upload_bytes > 0 THEN u.upload_bytes ELSE 0 END AS upload_bytes, \
         CASE WHEN u.markers > 0 THEN u.markers ELSE 0 END AS markers \
         FROM usage u JOIN spaces s ON s.id = u.space_id \
         WHERE (s.namespace, s.tenant) >= ($1, $2) AND (s.namespace, s.tenant) <= ($3, $4) \
         AND (s.tenant = $5 OR $5 IS NULL) ORDER BY s.namespace, s.tenant, u.class"
    ))
    .bind(first.namespace.as_str())
    .bind(first.tenant.as_str())
    .bind(last.namespace.as_str())
    .bind(last.tenant.as_str())
    .bind(tenant.map(Tenant::as_str))
    .map(figures)
    .await
}

fn figures(row: &Row) -> Result<SpaceUsage, Fault> {
    Ok(SpaceUsage {
        address: rows::address(row)?,
        class: rows::class(row, "class")?,
        objects: rows::count(row, "objects")?,
        logical_bytes: rows::count(row, "logical_bytes")?,
        physical_bytes: rows::count(row, "physical_bytes")?,
        upload_bytes: rows::count(row, "upload_bytes")?,
        delete_markers: rows::count(row, "markers")?,
        deleting: rows::count(row, "deleting")?,
    })
}

pub(crate) async fn writing(db: &Database) -> Result<Vec<(SpaceAddress, u64)>, Fault> {
    db.read(sql!(
        "SELECT s.namespace, s.tenant, COUNT(*) AS writes FROM objects o JOIN spaces s ON s.id = o.space_id \
         WHERE o.state = ",
        writing,
        " GROUP BY s.namespace, s.tenant ORDER BY s.namespace, s.tenant"
    ))
    .map(|row| Ok((rows::address(row)?, rows::count(row, "writes")?)))
    .await
}

pub(crate) async fn size(db: &Database) -> Result<u64, Fault> {
    let found = db.read(sql!("SELECT ", database_bytes, " AS bytes", database_pages));
    Ok(found.find(|row| rows::count(row, "bytes")).await?.unwrap_or_default())
}

pub(crate) async fn check(db: &Database) -> Result<(), Fault> {
    db.read(sql!("SELECT COUNT(*) FROM leases")).one().await?;
    Ok(())
}
