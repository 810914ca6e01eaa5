//! Segments and the leaves in them, as those see them who write, move, remove and verify them.

use async_trait::async_trait;

use super::records::{KeptSegment, LeafRecord, Leftover, SegmentRecord, WriterId};
use super::{Inconsistency, MetadataError, PutObject, Relocation};
use crate::application::ports::segments::{Mended, SegmentKind};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::blob::{BlobId, Location, SegmentId};
use crate::domain::object::ObjectId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// Which segments there are, whose they are, and which leaves lie where.
#[async_trait]
pub trait Catalogue: Send + Sync + 'static {
    /// Registers a segment before its file exists, so that no file is ever unaccounted for.
    async fn open_segment(
        &self,
        writer: WriterId,
        id: SegmentId,
        tier: StorageClass,
        kind: SegmentKind,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// As [`Self::open_segment`], of several packs with one transaction.
    async fn open_packs(
        &self,
        writer: WriterId,
        ids: &[SegmentId],
        tier: StorageClass,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// Registers a single segment and, with it, the WRITING row that says who is writing what.
    async fn announce(
        &self,
        writer: WriterId,
        id: ObjectId,
        segment: SegmentId,
        tier: StorageClass,
        space: &SpaceAddress,
        key: Option<&Key>,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// The write came to nothing: its WRITING row goes, its segment is condemned.
    async fn abandon(&self, id: ObjectId, segment: SegmentId) -> Result<(), MetadataError>;

    /// A taken-over segment was mended and sealed, or, with `None`, is to be removed. Of one that is kept and was
    /// found to hold nothing unknown this is forgotten; the unknown bytes of any other count as dead.
    async fn settle_segment(
        &self,
        id: SegmentId,
        mended: Option<Mended>,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// Of these taken-over segments nothing was ever committed: they are to be removed, as by [`Self::settle_segment`] with
    /// `None`, with one transaction.
    async fn settle_unwritten(&self, ids: &[SegmentId], now: Timestamp) -> Result<(), MetadataError>;

    /// Takes over what a dead writer left: removes its WRITING rows and its registration, keeps its open
    /// segments (no process can commit into them any more) and returns them. They are returned again until each is
    /// [`Self::settle_segment`]d.
    async fn take_over(&self, writer: WriterId) -> Result<Leftover, MetadataError>;

    /// As [`Self::take_over`], unless the writer's word holds at `now`: it may have spoken since it was found to be
    /// silent. `None` then.
    async fn take_over_silent(
        &self,
        writer: WriterId,
        now: Timestamp,
    ) -> Result<Option<Leftover>, MetadataError>;

    /// A taken-over segment cannot be mended now: it stays as it is, apart from its writer, who may live again, and is
    /// found by [`Leases::dead_writers`](super::Leases::dead_writers) later.
    async fn set_aside(&self, id: SegmentId) -> Result<(), MetadataError>;

    /// A segment's row.
    async fn find_segment(&self, id: SegmentId) -> Result<Option<SegmentRecord>, MetadataError>;

    /// A page of all segments, in order of id, after one.
    async fn scan_segments(
        &self,
        after: Option<SegmentId>,
        limit: u32,
    ) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// Whether the file of a segment may be removed at once: it has no row, or it is condemned and no backup of
    /// the database can name it.
    async fn is_unnamed(&self, id: SegmentId) -> Result<bool, MetadataError>;

    /// A leaf as it is now. A reader that misses its bytes asks again, since compaction and moves change where they lie.
    async fn find_leaf(&self, blob: BlobId) -> Result<Option<LeafRecord>, MetadataError>;

    /// The leaves in a segment.
    async fn leaves_in(&self, segment: SegmentId, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// A page of all leaves, in order of id, after one.
    async fn scan_leaves(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// Points leaves at their copies, for `writer`; those that moved or went meanwhile are left alone.
    /// Returns whether each was pointed. Segments left without blobs are condemned.
    async fn relocate(
        &self,
        writer: WriterId,
        relocations: Vec<Relocation>,
        now: Timestamp,
    ) -> Result<Vec<bool>, MetadataError>;

    /// Marks a leaf as damaged if it still lies at `at`, so that the next upload of the same bytes replaces it.
    /// A leaf that has moved since is not what was found damaged.
    async fn quarantine(&self, blob: BlobId, at: Location) -> Result<(), MetadataError>;

    /// Takes the mark off a leaf that lies at `at`: its bytes were read and are sound after all, restored from a
    /// backup perhaps.
    async fn release(&self, blob: BlobId, at: Location) -> Result<(), MetadataError>;

    /// A page of the leaves marked as damaged, in order of id, after one.
    async fn quarantined(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// Enters a whole segment that no row names, with an object for each of its leaves: for a store whose
    /// database was lost. All in one transaction, so that the segment is never seen as one that a dead writer
    /// left. Every one of `objects` must bring content staged in this segment. Returns how many objects were
    /// made; `None`, and nothing is changed, if the segment has a row.
    async fn adopt_segment(
        &self,
        segment: SegmentRecord,
        objects: Vec<PutObject>,
        now: Timestamp,
    ) -> Result<Option<u64>, MetadataError>;

    /// From now on the commits of `writer` are counted, if they are not yet.
    async fn count_commits(&self, writer: WriterId) -> Result<(), MetadataError>;

    /// How many transactions with changes or relocations of each counted writer have committed.
    async fn commit_counts(&self) -> Result<Vec<(WriterId, u64)>, MetadataError>;

    /// The database is older than the tiers: keeps every segment that is open, of whichever writer, from being
    /// condemned and compacted. How many.
    async fn keep_open_segments(&self, now: Timestamp) -> Result<u64, MetadataError>;

    /// Segments that are kept, in order of id.
    async fn kept_segments(&self) -> Result<Vec<KeptSegment>, MetadataError>;

    /// A kept segment is kept no longer: its unknown bytes count as dead, and it is condemned at `now` if no blob lies in
    /// it. Whether it was kept.
    async fn give_up_segment(&self, id: SegmentId, now: Timestamp) -> Result<bool, MetadataError>;

    /// Compares maintained figures and redundant columns with what they stand for. Reads everything: for
    /// `validate` only.
    async fn inconsistencies(&self) -> Result<Vec<Inconsistency>, MetadataError>;
}
