//! The port of segments and leaves.

use async_trait::async_trait;

use super::Answer;
use crate::application::ports::metadata::{
    Catalogue, Inconsistency, KeptSegment, LeafRecord, Leftover, PutObject, Relocation, SegmentRecord,
    WriterId,
};
use crate::application::ports::segments::{Mended, SegmentKind};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::blob::{BlobId, Location, SegmentId};
use crate::domain::object::ObjectId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::validate;
use crate::infrastructure::metadata::upkeep::segments::Announcement;
use crate::infrastructure::metadata::upkeep::{garbage, kept, relocate, scrub, segments};
use crate::infrastructure::metadata::write::adopt;

#[async_trait]
impl Catalogue for SqlMetadata {
    async fn open_segment(
        &self,
        writer: WriterId,
        id: SegmentId,
        tier: StorageClass,
        kind: SegmentKind,
        now: Timestamp,
    ) -> Answer<()> {
        Ok(segments::open(&self.db, (writer, self.writes_as.token(writer)), id, tier, kind, now).await?)
    }

    async fn open_packs(
        &self,
        writer: WriterId,
        ids: &[SegmentId],
        tier: StorageClass,
        now: Timestamp,
    ) -> Answer<()> {
        Ok(segments::open_packs(&self.db, (writer, self.writes_as.token(writer)), ids, tier, now).await?)
    }

    async fn announce(
        &self,
        writer: WriterId,
        id: ObjectId,
        segment: SegmentId,
        tier: StorageClass,
        space: &SpaceAddress,
        key: Option<&Key>,
        now: Timestamp,
    ) -> Answer<()> {
        let token = self.writes_as.token(writer);
        let new = Announcement { writer, token, id, segment, tier, space, key, now };
        Ok(segments::announce(&self.db, new).await?)
    }

    async fn abandon(&self, id: ObjectId, segment: SegmentId) -> Answer<()> {
        Ok(segments::abandon(&self.db, id, segment).await?)
    }

    async fn settle_segment(&self, id: SegmentId, mended: Option<Mended>, now: Timestamp) -> Answer<()> {
        Ok(segments::settle(&self.db, id, mended, now).await?)
    }

    async fn settle_unwritten(&self, ids: &[SegmentId], now: Timestamp) -> Answer<()> {
        Ok(segments::settle_unwritten(&self.db, ids, now).await?)
    }

    async fn take_over(&self, writer: WriterId) -> Answer<Leftover> {
        Ok(segments::take_over(&self.db, writer, None).await?.unwrap_or_default())
    }

    async fn take_over_silent(&self, writer: WriterId, now: Timestamp) -> Answer<Option<Leftover>> {
        Ok(segments::take_over(&self.db, writer, Some(now)).await?)
    }

    async fn set_aside(&self, id: SegmentId) -> Answer<()> {
        Ok(kept::set_aside(&self.db, id).await?)
    }

    async fn find_segment(&self, id: SegmentId) -> Answer<Option<SegmentRecord>> {
        Ok(segments::find(&self.db, id).await?)
    }

    async fn scan_segments(&self, after: Option<SegmentId>, limit: u32) -> Answer<Vec<SegmentRecord>> {
        Ok(segments::scan(&self.db, after, limit).await?)
    }

    async fn is_unnamed(&self, id: SegmentId) -> Answer<bool> {
        Ok(segments::is_unnamed(&self.db, id).await?)
    }

    async fn find_leaf(&self, blob: BlobId) -> Answer<Option<LeafRecord>> {
        Ok(segments::find_leaf(&self.db, blob).await?)
    }

    async fn leaves_in(&self, segment: SegmentId, limit: u32) -> Answer<Vec<LeafRecord>> {
        Ok(segments::leaves_in(&self.db, segment, limit).await?)
    }

    async fn scan_leaves(&self, after: Option<BlobId>, limit: u32) -> Answer<Vec<LeafRecord>> {
        Ok(segments::scan_leaves(&self.db, after, limit).await?)
    }

    async fn relocate(
        &self,
        writer: WriterId,
        relocations: Vec<Relocation>,
        now: Timestamp,
    ) -> Answer<Vec<bool>> {
        let writer = (writer, self.writes_as.token(writer));
        Ok(relocate::relocate(&self.db, writer, &relocations, now).await?)
    }

    async fn quarantine(&self, blob: BlobId, at: Location) -> Answer<()> {
        Ok(garbage::quarantine(&self.db, blob, at).await?)
    }

    async fn release(&self, blob: BlobId, at: Location) -> Answer<()> {
        Ok(scrub::release(&self.db, blob, at).await?)
    }

    async fn quarantined(&self, after: Option<BlobId>, limit: u32) -> Answer<Vec<LeafRecord>> {
        Ok(scrub::quarantined(&self.db, after, limit).await?)
    }

    async fn adopt_segment(
        &self,
        segment: SegmentRecord,
        objects: Vec<PutObject>,
        now: Timestamp,
    ) -> Answer<Option<u64>> {
        Ok(adopt::adopt(&self.db, segment, objects, now).await?)
    }

    async fn count_commits(&self, writer: WriterId) -> Answer<()> {
        Ok(kept::count_commits(&self.db, writer).await?)
    }

    async fn commit_counts(&self) -> Answer<Vec<(WriterId, u64)>> {
        Ok(kept::commit_counts(&self.db).await?)
    }

    async fn keep_open_segments(&self, now: Timestamp) -> Answer<u64> {
        Ok(kept::keep_open(&self.db, now).await?)
    }

    async fn kept_segments(&self) -> Answer<Vec<KeptSegment>> {
        Ok(kept::kept(&self.db).await?)
    }

    async fn give_up_segment(&self, id: SegmentId, now: Timestamp) -> Answer<bool> {
        Ok(kept::give_up(&self.db, id, now).await?)
    }

    async fn inconsistencies(&self) -> Answer<Vec<Inconsistency>> {
        Ok(validate::inconsistencies(&self.db).await?)
    }
}
