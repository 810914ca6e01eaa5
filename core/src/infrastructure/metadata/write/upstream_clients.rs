//! Clients of spaces that have an upstream: counted, and read.

use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::clients::{Client, Counts, Rows, Seen};
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// Of a row that is counted on.
const COLUMNS: usize = 10;

fn client(row: &Row) -> Result<Client, Fault> {
    Ok(Client { who: row.get("who")?, agent: row.get("agent")? })
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Counts requests of clients, where the space still has an upstream.
pub(crate) async fn note(db: &Database, space: SpaceId, seen: Vec<Seen>) -> Result<(), Fault> {
    transaction!(db, |tx| {
        // Holds the binding: what forgets it removes these rows, too.
        let bound: Vec<i64> = tx
            .query(sql!("SELECT space_id FROM upstreams WHERE space_id = $1", for_share))
            .bind(space.0)
            .map(Row::first)
            .await?;
        if !bound.is_empty() {
            let known: Vec<Client> = tx
                .query(sql!("SELECT who, agent FROM upstream_clients WHERE space_id = $1"))
                .bind(space.0)
                .map(client)
                .await?;
            let mut rows = Rows::beside(known);
            for one in &seen {
                rows.note(one);
            }
            put(&mut tx, space, &rows.counted()).await?;
        }
    })
}

async fn put(tx: &mut Transaction, space: SpaceId, rows: &[Seen]) -> Result<(), Fault> {
    for portion in tx.portions(rows) {
        let statement = tx.query_rows(
            sql!(
                "INSERT INTO upstream_clients \
                 (space_id, who, agent, first_at, last_at, local, upstream, pulled, changes, other) VALUES ",
                rows,
                " ON CONFLICT (space_id, who, agent) DO UPDATE SET \
                 last_at = CASE WHEN upstream_clients.last_at > excluded.last_at THEN upstream_clients.last_at \
                 ELSE excluded.last_at END, local = upstream_clients.local + excluded.local, \
                 upstream = upstream_clients.upstream + excluded.upstream, \
                 pulled = upstream_clients.pulled + excluded.pulled, \
                 changes = upstream_clients.changes + excluded.changes, \
                 other = upstream_clients.other + excluded.other"
            ),
            portion.len(),
            COLUMNS,
        );
        let bound = portion.iter().fold(statement, |statement, row| {
            let Seen { client, first_at, last_at, counts } = row;
            statement
                .bind(space.0)
                .bind(client.who.clone())
                .bind(client.agent.clone())
                .bind(first_at.millis())
                .bind(last_at.millis())
                .bind(number(counts.local))
                .bind(number(counts.upstream))
                .bind(number(counts.pulled))
                .bind(number(counts.changes))
                .bind(number(counts.other))
        });
        bound.execute().await?;
    }
    Ok(())
}

/// The clients of a space, the one that was seen last first.
pub(crate) async fn all(db: &Database, space: SpaceId) -> Result<Vec<Seen>, Fault> {
    db.read(sql!(
        "SELECT who, agent, first_at, last_at, local, upstream, pulled, changes, other FROM upstream_clients \
         WHERE space_id = $1 ORDER BY last_at DESC, who, agent"
    ))
    .bind(space.0)
    .map(|row| {
        let count = |name| Ok::<_, Fault>(u64::try_from(row.get::<i64>(name)?).unwrap_or_default());
        Ok(Seen {
            client: client(row)?,
            first_at: Timestamp(row.get("first_at")?),
            last_at: Timestamp(row.get("last_at")?),
            counts: Counts {
                local: count("local")?,
                upstream: count("upstream")?,
                pulled: count("pulled")?,
                changes: count("changes")?,
                other: count("other")?,
            },
        })
    })
    .await
}
