//! The ports of background work and leases.

use async_trait::async_trait;
use uuid::Uuid;

use super::Answer;
use crate::application::ports::metadata::{
    Garbage, Hold, Leases, Move, Replica, Retained, ScrubPass, SegmentRecord, Stuck, Swept, Upkeep, WriterId,
};
use crate::domain::blob::{BlobId, SegmentId};
use crate::domain::object::ObjectId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::upkeep::{
    garbage, holds, late, leases, replicas, scrub, segments, stuck,
};
use crate::infrastructure::metadata::{LeaseTime, SqlMetadata};

#[async_trait]
impl Upkeep for SqlMetadata {
    async fn purge_deleting(&self, limit: u32) -> Answer<u64> {
        Ok(garbage::purge(&self.db, limit).await?)
    }

    async fn deleting(&self, limit: u32) -> Answer<Vec<ObjectId>> {
        Ok(garbage::deleting(&self.db, limit).await?)
    }

    async fn purge(&self, objects: &[ObjectId]) -> Answer<u64> {
        Ok(garbage::purge_these(&self.db, objects).await?)
    }

    async fn sweep(&self, limit: u32, now: Timestamp) -> Answer<Swept> {
        Ok(garbage::sweep(&self.db, limit, now).await?)
    }

    async fn candidates(&self, limit: u32) -> Answer<Vec<BlobId>> {
        Ok(garbage::candidates(&self.db, limit).await?)
    }

    async fn garbage(&self, limit: u32) -> Answer<Garbage> {
        Ok(garbage::garbage(&self.db, limit).await?)
    }

    async fn sweep_these(&self, blobs: &[BlobId], now: Timestamp) -> Answer<Swept> {
        Ok(garbage::sweep_these(&self.db, blobs, now).await?)
    }

    async fn condemned(&self, before: Timestamp, now: Timestamp, limit: u32) -> Answer<Vec<SegmentRecord>> {
        Ok(segments::condemned(&self.db, before, now, limit).await?)
    }

    async fn retained(&self) -> Answer<Retained> {
        Ok(holds::retained(&self.db).await?)
    }

    async fn forget_segments(&self, ids: &[SegmentId]) -> Answer<()> {
        Ok(segments::forget(&self.db, ids).await?)
    }

    async fn forget_for_now(&self, ids: &[SegmentId], due_at: Timestamp) -> Answer<()> {
        Ok(late::remember(&self.db, ids, due_at).await?)
    }

    async fn late_segments(&self, now: Timestamp, limit: u32) -> Answer<Vec<(SegmentId, StorageClass)>> {
        Ok(late::due(&self.db, now, limit).await?)
    }

    async fn is_late(&self, id: SegmentId) -> Answer<bool> {
        Ok(late::is_remembered(&self.db, id).await?)
    }

    async fn forget_late(&self, ids: &[SegmentId]) -> Answer<()> {
        Ok(late::forget(&self.db, ids).await?)
    }

    async fn moves(&self, limit: u32) -> Answer<Vec<Move>> {
        Ok(garbage::moves(&self.db, limit).await?)
    }

    async fn sparse_packs(&self, limit: u32) -> Answer<Vec<SegmentRecord>> {
        Ok(segments::sparse_packs(&self.db, limit).await?)
    }

    async fn small_packs(&self, tier: StorageClass, below: u64, limit: u32) -> Answer<Vec<SegmentRecord>> {
        Ok(segments::small_packs(&self.db, tier, below, limit).await?)
    }

    async fn begin_hold(&self, hold: &Hold) -> Answer<()> {
        Ok(holds::begin(&self.db, hold).await?)
    }

    async fn end_hold(&self, id: Uuid) -> Answer<bool> {
        Ok(holds::end(&self.db, id).await?)
    }

    async fn holds(&self) -> Answer<Vec<Hold>> {
        Ok(holds::all(&self.db).await?)
    }

    async fn expire_holds(&self, now: Timestamp) -> Answer<Vec<Hold>> {
        Ok(holds::expire(&self.db, now).await?)
    }

    async fn stuck(&self, worker: Option<&str>, limit: u32) -> Answer<Vec<Stuck>> {
        Ok(stuck::all(&self.db, worker, limit).await?)
    }

    async fn stuck_under(&self, worker: &str, prefix: &str, limit: u32) -> Answer<Vec<Stuck>> {
        Ok(stuck::under(&self.db, worker, prefix, limit).await?)
    }

    async fn put_aside(&self, stuck: &Stuck) -> Answer<()> {
        Ok(stuck::put(&self.db, stuck).await?)
    }

    async fn clear_stuck(&self, worker: &str, items: &[String]) -> Answer<()> {
        Ok(stuck::clear(&self.db, worker, items).await?)
    }

    async fn retry_stuck(&self, item: Option<&str>, now: Timestamp) -> Answer<u64> {
        Ok(stuck::retry(&self.db, item, now).await?)
    }

    async fn count_stuck(&self) -> Answer<Vec<(String, u64)>> {
        Ok(stuck::count(&self.db).await?)
    }

    async fn scrub_pass(&self) -> Answer<Option<ScrubPass>> {
        Ok(scrub::pass(&self.db).await?)
    }

    async fn begin_scrub(&self, now: Timestamp) -> Answer<ScrubPass> {
        Ok(scrub::begin(&self.db, now).await?)
    }

    async fn advance_scrub(&self, from: &ScrubPass, to: &ScrubPass) -> Answer<bool> {
        Ok(scrub::advance(&self.db, from, to).await?)
    }
}

#[async_trait]
impl Leases for SqlMetadata {
    async fn heartbeat(&self, writer: WriterId, until: Timestamp) -> Answer<()> {
        Ok(segments::heartbeat(&self.db, writer, self.writes_as.token(writer), until).await?)
    }

    async fn dead_writers(&self, now: Timestamp) -> Answer<Vec<WriterId>> {
        Ok(segments::dead_writers(&self.db, now).await?)
    }

    async fn lease_time(&self, own: Timestamp) -> Answer<Timestamp> {
        match (self.time, &self.db) {
            (LeaseTime::Database, Database::Postgres(..)) => Ok(leases::time(&self.db).await?),
            (LeaseTime::Passed, _) | (LeaseTime::Database, Database::Sqlite { .. }) => Ok(own),
        }
    }

    async fn acquire_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Answer<bool> {
        let epoch = leases::acquire(&self.db, name, holder, now, until).await?;
        self.held.note(name, holder, epoch);
        Ok(epoch.is_some())
    }

    async fn renew_lease(&self, name: &str, holder: Uuid, until: Timestamp) -> Answer<bool> {
        match self.held.of(name).filter(|held| held.0 == holder) {
            Some(held) => Ok(leases::renew(&self.db, name, held, until).await?),
            None => Ok(false),
        }
    }

    async fn replicas(&self, now: Timestamp) -> Answer<Vec<Replica>> {
        Ok(replicas::replicas(&self.db, now).await?)
    }

    async fn introduce(&self, writer: WriterId, version: &str) -> Answer<()> {
        Ok(replicas::introduce(&self.db, writer, version).await?)
    }

    async fn drain(&self, writer: WriterId) -> Answer<()> {
        Ok(replicas::drain(&self.db, writer).await?)
    }

    async fn release_lease(&self, name: &str, holder: Uuid) -> Answer<()> {
        Ok(leases::release(&self.db, name, holder).await?)
    }
}
