//! What upkeep finds to do, what it has done, and what it could not do: garbage, moves, scrubbing, validation.

use uuid::Uuid;

use super::content::StagedLeaf;
use super::segments::LeafRecord;
use crate::domain::blob::{BlobId, Location};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

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
