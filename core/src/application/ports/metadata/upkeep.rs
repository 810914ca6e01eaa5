//! What upkeep finds to do, what it has done, and what it could not do: garbage, moves, scrubbing, validation.

use async_trait::async_trait;
use uuid::Uuid;

use super::content::StagedLeaf;
use super::{LeafRecord, MetadataError, SegmentRecord};
use crate::domain::blob::{BlobId, Location, SegmentId};
use crate::domain::object::ObjectId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// What background work finds to do: what is deleted, unreferred, on the wrong tier, sparse, or failed.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Removes up to `limit` DELETING rows and makes their blobs candidates. How many.
    async fn purge_deleting(&self, limit: u32) -> Result<u64, MetadataError>;

    /// DELETING rows, in order of id.
    async fn deleting(&self, limit: u32) -> Result<Vec<ObjectId>, MetadataError>;

    /// As [`Self::purge_deleting`], of these rows.
    async fn purge(&self, objects: &[ObjectId]) -> Result<u64, MetadataError>;

    /// Looks at up to `limit` candidates: a blob that nothing refers to goes, a composite's children become
    /// candidates, a segment left without blobs is condemned (a pack only once sealed). A blob still
    /// referred to whose tier no longer fits its objects is queued to move.
    async fn sweep(&self, limit: u32, now: Timestamp) -> Result<Swept, MetadataError>;

    /// Candidates, in order of id.
    async fn candidates(&self, limit: u32) -> Result<Vec<BlobId>, MetadataError>;

    /// As [`Self::sweep`], of these candidates.
    async fn sweep_these(&self, blobs: &[BlobId], now: Timestamp) -> Result<Swept, MetadataError>;

    /// What [`Self::purge_deleting`] and [`Self::sweep`] would remove of the first `limit` DELETING rows and the first
    /// `limit` candidates. Removes nothing.
    async fn garbage(&self, limit: u32) -> Result<Garbage, MetadataError>;

    /// Condemned segments whose files may be removed at `now`, the longest condemned first: those condemned at
    /// `before` or earlier, but none of them while a [`Hold`] lives; and those that no backup of the database can
    /// name, since no blob of theirs was ever committed, always.
    async fn condemned(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// How many segments are condemned and not removed yet, and their bytes.
    async fn retained(&self) -> Result<Retained, MetadataError>;

    /// The files of these condemned segments are gone.
    async fn forget_segments(&self, ids: &[SegmentId]) -> Result<(), MetadataError>;

    /// As [`Self::forget_segments`], of segments that may still come to be, since nothing acknowledged their write: their
    /// names are remembered, and are due at `due_at`.
    async fn forget_for_now(&self, ids: &[SegmentId], due_at: Timestamp) -> Result<(), MetadataError>;

    /// Names that [`Self::forget_for_now`] remembers and that are due at `now`, with their tiers.
    async fn late_segments(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(SegmentId, StorageClass)>, MetadataError>;

    /// Whether [`Self::forget_for_now`] remembers a name.
    async fn is_late(&self, id: SegmentId) -> Result<bool, MetadataError>;

    /// Remembers these names no longer.
    async fn forget_late(&self, ids: &[SegmentId]) -> Result<(), MetadataError>;

    /// Leaves queued to move, that still should.
    async fn moves(&self, limit: u32) -> Result<Vec<Move>, MetadataError>;

    /// Sealed packs in which fewer payload bytes are live than dead, emptiest first. A pack that never lost a
    /// blob is not among them, however much of it is framing.
    async fn sparse_packs(&self, limit: u32) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// Sealed packs of a tier of fewer than `below` bytes, the smallest first. None that is kept.
    async fn small_packs(
        &self,
        tier: StorageClass,
        below: u64,
        limit: u32,
    ) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// Stores a hold: until it expires or is ended no condemned segment is removed, by any process.
    async fn begin_hold(&self, hold: &Hold) -> Result<(), MetadataError>;

    /// Ends a hold. Whether there was one.
    async fn end_hold(&self, id: Uuid) -> Result<bool, MetadataError>;

    /// All holds, the oldest first; those that have expired too, until [`Self::expire_holds`].
    async fn holds(&self) -> Result<Vec<Hold>, MetadataError>;

    /// Removes the holds that have expired at `now`, and returns them.
    async fn expire_holds(&self, now: Timestamp) -> Result<Vec<Hold>, MetadataError>;

    /// The items of one worker that failed and were put aside, or of all workers; in order of worker and item.
    async fn stuck(&self, worker: Option<&str>, limit: u32) -> Result<Vec<Stuck>, MetadataError>;

    /// The same of one worker, of items whose names begin with `prefix`.
    async fn stuck_under(&self, worker: &str, prefix: &str, limit: u32) -> Result<Vec<Stuck>, MetadataError>;

    /// Puts an item aside, or replaces what is known of it.
    async fn put_aside(&self, stuck: &Stuck) -> Result<(), MetadataError>;

    /// These items of a worker succeeded, or are gone.
    async fn clear_stuck(&self, worker: &str, items: &[String]) -> Result<(), MetadataError>;

    /// Makes the items with this name due at `now`, or all items. How many.
    async fn retry_stuck(&self, item: Option<&str>, now: Timestamp) -> Result<u64, MetadataError>;

    /// How many items each worker has put aside. Workers without any are left out.
    async fn count_stuck(&self) -> Result<Vec<(String, u64)>, MetadataError>;

    /// The scrub pass under way, or the last one; `None` if there never was one.
    async fn scrub_pass(&self) -> Result<Option<ScrubPass>, MetadataError>;

    /// Begins a scrub pass at `now` unless one is under way; the pass under way either way.
    async fn begin_scrub(&self, now: Timestamp) -> Result<ScrubPass, MetadataError>;

    /// Takes a pass from `from`, as it was read, to `to`. Whether it did: not if another process took it on
    /// meanwhile, whose progress then counts.
    async fn advance_scrub(&self, from: &ScrubPass, to: &ScrubPass) -> Result<bool, MetadataError>;
}

/// What one sweep of GC's candidates did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Candidates looked at: 0 when the queue is empty.
    pub examined: u64,
    /// Blob rows removed.
    pub blobs: u64,
    /// Their bytes (leaves only).
    pub bytes: u64,
}

/// A leaf that should lie on another tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The leaf.
    pub leaf: LeafRecord,
    /// The tier it should lie on.
    pub to: StorageClass,
}

/// A leaf's bytes were copied; its row should follow if it still lies where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The leaf.
    pub blob: BlobId,
    /// Where it must still lie.
    pub from: Location,
    /// Where its bytes now lie too.
    pub to: StagedLeaf,
}

/// A reading of every leaf of the store: how far it is, or what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPass {
    /// Which pass, from 1.
    pub number: u64,
    /// The last leaf that was read, in order of id; `None` before the first.
    pub after: Option<BlobId>,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it had read every leaf; `None` while it is under way.
    pub finished_at: Option<Timestamp>,
    /// Leaves read so far.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that are damaged, the ones that were known to be among them.
    pub damaged: u64,
}

/// A disagreement that `validate` reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inconsistency {
    /// Which rule, in kebab-case: `usage-mismatch`, `live-bytes-mismatch`, `composite-length`, …
    pub code: &'static str,
    /// What exactly, for people.
    pub detail: String,
}

/// A backup that is being made: no condemned segment is removed meanwhile, so that the backup of the database finds
/// its bytes in the tiers that are copied after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its name.
    pub id: Uuid,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// What garbage collection would remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// DELETING rows or candidates that were looked at: the larger count of the two.
    pub examined: u64,
    /// DELETING rows.
    pub objects: u64,
    /// Blobs that nothing else refers to: leaves and composites.
    pub blobs: u64,
    /// Bytes of the leaves among them.
    pub bytes: u64,
}

/// Segments that nothing names any more and whose files are still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// How many.
    pub segments: u64,
    /// Bytes of their files, as far as they are known.
    pub bytes: u64,
}

/// An item of background work that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The worker.
    pub worker: String,
    /// The item: what it is and its id, such as `segment:0198…`.
    pub item: String,
    /// Why it failed the last time.
    pub error: String,
    /// How often it has failed.
    pub failures: u64,
    /// When it failed first.
    pub since: Timestamp,
    /// When it is tried again.
    pub next_at: Timestamp,
}
