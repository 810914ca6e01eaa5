//! Spaces and buckets, looked up.

use crate::application::ports::metadata::SpaceRef;
use crate::domain::address::{Tenant, after_prefix};
use crate::domain::space::{Bucket, Space};
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;

pub(crate) async fn space(db: &Database, place: &SpaceRef) -> Result<Option<Space>, Fault> {
    match place {
        SpaceRef::Space(address) => {
            db.read(sql!(space, " WHERE s.namespace = $1 AND s.tenant = $2"))
                .bind(address.namespace.as_str())
                .bind(address.tenant.as_str())
                .find(rows::space)
                .await
        }
        SpaceRef::Bucket(name) => {
            db.read(sql!(space, " JOIN buckets u ON u.space_id = s.id WHERE u.name = $1"))
                .bind(name.as_str())
                .find(rows::space)
                .await
        }
    }
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
