//! The store's id, its tiers, its sealed constant, and the starts of its writers.

use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::metadata::{IdentityStore, MetadataError, StoreRecord, TierSample, WriterId};
use crate::domain::identity::{StoreId, TierId};
use crate::domain::incarnation::{Incarnation, LastStart, NotedStart, Whereabouts};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::{rows, sample};
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::transaction;
use crate::infrastructure::metadata::write::counts;

type Answer<T> = Result<T, MetadataError>;

#[async_trait]
impl IdentityStore for SqlMetadata {
    async fn store_record(&self, fresh: StoreId, now: Timestamp) -> Answer<StoreRecord> {
        let record = record(&self.db, fresh, now).await?;
        self.db.holds(record.id.0);
        Ok(record)
    }

    async fn adopt_store(&self, from: StoreId, to: StoreId) -> Answer<bool> {
        let adopted = adopt(&self.db, from, to).await?;
        if adopted {
            self.db.holds(to.0);
        }
        Ok(adopted)
    }

    async fn record_tier(&self, class: StorageClass, id: TierId, now: Timestamp) -> Answer<TierId> {
        Ok(record_tier(&self.db, class, id, now).await?)
    }

    async fn sample_tier(&self, class: StorageClass, limit: u32) -> Answer<TierSample> {
        Ok(sample::sample(&self.db, class, limit).await?)
    }

    async fn seal_store(&self, was: Option<&[u8]>, sealed: &[u8]) -> Answer<bool> {
        Ok(seal(&self.db, was, sealed).await?)
    }

    async fn last_start(&self, writer: WriterId) -> Answer<Option<LastStart>> {
        Ok(last_start(&self.db, writer).await?)
    }

    async fn enter_start(
        &self,
        writer: WriterId,
        was: Option<Uuid>,
        next: Incarnation,
        place: &Whereabouts,
        now: Timestamp,
    ) -> Answer<bool> {
        // A start that could keep nothing new goes on as the last one, and writes nothing here either.
        let entered = if was == Some(next.token) {
            last_start(&self.db, writer).await?.is_some_and(|last| last.incarnation == next)
        } else {
            enter_start(&self.db, writer, was, next, place, now).await?
        };
        if entered {
            self.writes_as.set(writer, next.token);
        }
        Ok(entered)
    }

    async fn note_start(&self, writer: WriterId, token: Uuid, now: Timestamp) -> Answer<()> {
        Ok(note_start(&self.db, writer, token, now).await?)
    }

    async fn noted_starts(&self, now: Timestamp) -> Answer<Vec<NotedStart>> {
        Ok(noted_starts(&self.db, now).await?)
    }

    async fn forget_starts(&self, before: Timestamp) -> Answer<()> {
        Ok(forget_starts(&self.db, before).await?)
    }
}

async fn record(db: &Database, fresh: StoreId, now: Timestamp) -> Result<StoreRecord, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "INSERT INTO store (one, id, created_at) VALUES (1, $1, $2) ON CONFLICT (one) DO NOTHING"
        ))
        .bind(fresh.0)
        .bind(now.millis())
        .execute()
        .await?;
        let row = tx
            .query(sql!(
                "SELECT id, sealed, (SELECT t.id FROM store_tiers t WHERE t.tier = ",
                hot,
                ") AS hot, (SELECT t.id FROM store_tiers t WHERE t.tier = ",
                cold,
                ") AS cold FROM store"
            ))
            .one()
            .await?;
        StoreRecord {
            id: StoreId(row.get("id")?),
            hot: row.get::<Option<Uuid>>("hot")?.map(TierId),
            cold: row.get::<Option<Uuid>>("cold")?.map(TierId),
            sealed: row.get("sealed")?,
        }
    })
}

async fn adopt(db: &Database, from: StoreId, to: StoreId) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("UPDATE store SET id = $2 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM store_tiers)"))
            .bind(from.0)
            .bind(to.0)
            .execute()
            .await?;
        tx.query(sql!("SELECT 1 FROM store WHERE id = $1")).bind(to.0).optional().await?.is_some()
    })
}

async fn record_tier(
    db: &Database,
    class: StorageClass,
    id: TierId,
    now: Timestamp,
) -> Result<TierId, Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "INSERT INTO store_tiers (tier, id, recorded_at) VALUES ($1, $2, $3) \
             ON CONFLICT (tier) DO NOTHING"
        ))
        .bind(class.code())
        .bind(id.0)
        .bind(now.millis())
        .execute()
        .await?;
        let row =
            tx.query(sql!("SELECT id FROM store_tiers WHERE tier = $1")).bind(class.code()).one().await?;
        TierId(row.first()?)
    })
}

async fn seal(db: &Database, was: Option<&[u8]>, sealed: &[u8]) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let changed = match was {
            Some(was) => {
                tx.query(sql!("UPDATE store SET sealed = $2 WHERE sealed = $1"))
                    .bind(was)
                    .bind(sealed)
                    .execute()
                    .await?
            }
            None => {
                tx.query(sql!("UPDATE store SET sealed = $1 WHERE sealed IS NULL"))
                    .bind(sealed)
                    .execute()
                    .await?
            }
        };
        changed == 1
    })
}

async fn last_start(db: &Database, writer: WriterId) -> Result<Option<LastStart>, Fault> {
    db.read(sql!(
        "SELECT i.generation, i.token, i.host, i.boot, i.device, i.inode, i.path, w.expires_at \
         FROM incarnations i LEFT JOIN writers w ON w.id = i.writer WHERE i.writer = $1"
    ))
    .bind(writer.0)
    .find(|row| {
        Ok(LastStart {
            incarnation: Incarnation {
                generation: rows::count(row, "generation")?,
                token: row.get("token")?,
            },
            place: place(row)?,
            alive_until: row.get::<Option<i64>>("expires_at")?.map(Timestamp),
        })
    })
    .await
}

fn place(row: &Row) -> Result<Whereabouts, Fault> {
    let bits = |column| row.get::<i64>(column).map(i64::cast_unsigned);
    Ok(Whereabouts {
        host: row.get("host")?,
        boot: row.get("boot")?,
        device: bits("device")?,
        inode: bits("inode")?,
        path: row.get("path")?,
    })
}

async fn note_start(db: &Database, writer: WriterId, token: Uuid, now: Timestamp) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!("UPDATE incarnations SET noted_at = $3 WHERE writer = $1 AND token = $2"))
            .bind(writer.0)
            .bind(token)
            .bind(now.millis())
            .execute()
            .await?;
    })
}

async fn noted_starts(db: &Database, now: Timestamp) -> Result<Vec<NotedStart>, Fault> {
    db.read(sql!(
        "SELECT i.writer, i.token, i.host, i.boot, i.device, i.inode, i.path, i.noted_at \
         FROM writers w JOIN incarnations i ON i.writer = w.id \
         WHERE w.expires_at > $1 AND i.noted_at IS NOT NULL ORDER BY i.writer"
    ))
    .bind(now.millis())
    .map(|row| {
        Ok(NotedStart {
            writer: row.get("writer")?,
            token: row.get("token")?,
            noted_at: Timestamp(row.get("noted_at")?),
            place: place(row)?,
        })
    })
    .await
}

async fn enter_start(
    db: &Database,
    writer: WriterId,
    was: Option<Uuid>,
    next: Incarnation,
    place: &Whereabouts,
    now: Timestamp,
) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        // No start has the nil token, so that a row that should not be there is left alone.
        let entered = tx
            .query(sql!(
                "INSERT INTO incarnations (writer, generation, token, host, boot, device, inode, path, started_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (writer) DO UPDATE SET generation = excluded.generation, token = excluded.token, \
                 host = excluded.host, boot = excluded.boot, device = excluded.device, inode = excluded.inode, \
                 path = excluded.path, started_at = excluded.started_at, noted_at = NULL \
                 WHERE incarnations.token = $10"
            ))
            .bind(writer.0)
            .bind(rows::signed(next.generation)?)
            .bind(next.token)
            .bind(place.host.as_str())
            .bind(place.boot.as_str())
            .bind(place.device.cast_signed())
            .bind(place.inode.cast_signed())
            .bind(place.path.as_str())
            .bind(now.millis())
            .bind(was.unwrap_or_else(Uuid::nil))
            .execute()
            .await?;
        if entered == 1 {
            counts::only_for(&mut tx, writer, next.token).await?;
        }
        entered == 1
    })
}

async fn forget_starts(db: &Database, before: Timestamp) -> Result<(), Fault> {
    transaction!(db, |tx| {
        tx.query(sql!(
            "DELETE FROM incarnations WHERE started_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM writers w WHERE w.id = incarnations.writer)"
        ))
        .bind(before.millis())
        .execute()
        .await?;
    })
}
