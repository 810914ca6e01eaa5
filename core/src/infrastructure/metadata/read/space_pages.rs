//! Pages of spaces, with the buckets that name them and their figures.

use std::collections::HashMap;

use super::{rows, spaces, usage};
use crate::application::ports::metadata::{SpaceEntry, SpaceRef};
use crate::domain::address::{SpaceAddress, Tenant, after_prefix};
use crate::domain::space::Space;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;

pub(crate) async fn list(
    db: &Database,
    tenant: Option<&Tenant>,
    prefix: &str,
    after: Option<&SpaceAddress>,
    limit: u32,
) -> Result<Vec<SpaceEntry>, Fault> {
    // A namespace is ASCII: none begins with the largest character.
    let end = after_prefix(prefix).unwrap_or_else(|| char::MAX.to_string());
    // No name is empty.
    let (namespace, behind) =
        after.map_or(("", ""), |after| (after.namespace.as_str(), after.tenant.as_str()));
    let spaces = db
        .read(sql!(
            space,
            " WHERE s.namespace >= $1 AND s.namespace < $2 AND (s.namespace, s.tenant) > ($3, $4) \
             AND (s.tenant = $6 OR $6 IS NULL) ORDER BY s.namespace, s.tenant LIMIT $5"
        ))
        .bind(prefix)
        .bind(end)
        .bind(namespace)
        .bind(behind)
        .bind(i64::from(limit))
        .bind(tenant.map(Tenant::as_str))
        .map(rows::space)
        .await?;
    fill(db, tenant, spaces).await
}

pub(crate) async fn entry(db: &Database, address: &SpaceAddress) -> Result<Option<SpaceEntry>, Fault> {
    let found = spaces::space(db, &SpaceRef::Space(address.clone())).await?;
    Ok(fill(db, Some(&address.tenant), found.into_iter().collect()).await?.pop())
}

/// With their buckets and figures.
async fn fill(db: &Database, tenant: Option<&Tenant>, spaces: Vec<Space>) -> Result<Vec<SpaceEntry>, Fault> {
    let Some((first, last)) = spaces.first().zip(spaces.last()) else { return Ok(Vec::new()) };
    let (first, last) = (first.address.clone(), last.address.clone());
    let named = db
        .read(sql!(
            "SELECT u.name, s.namespace, s.tenant FROM buckets u JOIN spaces s ON s.id = u.space_id \
             WHERE (s.namespace, s.tenant) >= ($1, $2) AND (s.namespace, s.tenant) <= ($3, $4) \
             AND (s.tenant = $5 OR $5 IS NULL) ORDER BY u.name"
        ))
        .bind(first.namespace.as_str())
        .bind(first.tenant.as_str())
        .bind(last.namespace.as_str())
        .bind(last.tenant.as_str())
        .bind(tenant.map(Tenant::as_str))
        .map(rows::named_space)
        .await?;
    let figures = usage::between(db, tenant, &first, &last).await?;
    let mut entries: Vec<_> = spaces
        .into_iter()
        .map(|space| SpaceEntry { space, buckets: Vec::new(), figures: Vec::new() })
        .collect();
    let addresses = entries.iter().map(|entry: &SpaceEntry| entry.space.address.clone());
    let places: HashMap<SpaceAddress, usize> = addresses.zip(0..).collect();
    for (bucket, address) in named {
        if let Some(at) = places.get(&address) {
            entries[*at].buckets.push(bucket);
        }
    }
    for one in figures {
        if let Some(at) = places.get(&one.address) {
            entries[*at].figures.push(one);
        }
    }
    Ok(entries)
}
