//! The servers of the store, as they are known to each other.

use std::collections::HashMap;

use uuid::Uuid;

use crate::application::ports::metadata::{Replica, WriterId};
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::transaction;

pub(crate) async fn replicas(db: &Database, now: Timestamp) -> Result<Vec<Replica>, Fault> {
    let held = db
        .read(sql!("SELECT name, holder FROM leases WHERE expires_at > $1 ORDER BY name"))
        .bind(now.millis())
        .map(|row| Ok((row.get::<Uuid>("holder")?, row.get::<String>("name")?)))
        .await?;
    let mut leases: HashMap<Uuid, Vec<String>> = HashMap::new();
    for (holder, name) in held {
        leases.entry(holder).or_default().push(name);
    }
    // A command that writes is registered too, and is no start of a server.
    let mut replicas = db
        .read(sql!(
            "SELECT w.id, w.expires_at, w.draining, i.version, i.started_at, i.host, i.path \
             FROM writers w JOIN incarnations i ON i.writer = w.id ORDER BY i.started_at, w.id"
        ))
        .map(|row| {
            Ok(Replica {
                writer: WriterId(row.get("id")?),
                version: row.get("version")?,
                started_at: Timestamp(row.get("started_at")?),
                alive_until: Timestamp(row.get("expires_at")?),
                draining: row.get("draining")?,
                host: row.get("host")?,
                path: row.get("path")?,
                leases: Vec::new(),
            })
        })
        .await?;
    for replica in &mut replicas {
        replica.leases = leases.remove(&replica.writer.0).unwrap_or_default();
    }
    Ok(replicas)
}

pub(crate) async fn introduce(db: &Database, writer: WriterId, version: &str) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("UPDATE incarnations SET version = $2 WHERE writer = $1"))
            .bind(writer.0)
            .bind(version)
            .execute()
            .await?;
    })
}

pub(crate) async fn drain(db: &Database, writer: WriterId) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("UPDATE writers SET draining = TRUE WHERE id = $1")).bind(writer.0).execute().await?;
    })
}
