//! Rows of segments, of the leaves in them, and of their writers.

use std::fmt;

use uuid::Uuid;

use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{BlobId, Hash, Location, SegmentId};
use crate::domain::space::DedupDomain;
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;

/// A server process (or a long command) that stages bytes. What a dead writer left behind is reclaimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriterId(pub Uuid);

/// A segment as the metadata store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    /// Its name.
    pub id: SegmentId,
    /// Where it lies.
    pub tier: StorageClass,
    /// Its shape.
    pub kind: SegmentKind,
    /// Whether it is being written, whole, or about to be removed.
    pub state: SegmentState,
    /// In bytes: of an open pack as far as committed; 0 for an open single.
    pub size: u64,
    /// Payload bytes in it that a blob refers to: maintained, checked by `validate`.
    pub live_bytes: u64,
}

/// A leaf as `validate`, the mover and compaction see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRecord {
    /// Its row.
    pub id: BlobId,
    /// Where it is stored once.
    pub domain: DedupDomain,
    /// Its SHA-256.
    pub hash: Hash,
    /// Where it lies.
    pub location: Location,
    /// Whether its bytes were found damaged.
    pub quarantined: bool,
}

/// For people: what it is, and where.
impl fmt::Display for LeafRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { tier, segment, offset, length } = &self.location;
        let (hash, tier) = (self.hash, tier.as_str());
        write!(
            f,
            "blob sha256:{hash} of {length} bytes in segment {segment} at byte {offset} on the {tier} tier"
        )
    }
}

/// A segment that is kept although this database may know nothing of what it holds: the database was found to be
/// older than the tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptSegment {
    /// Its row.
    pub segment: SegmentRecord,
    /// Whole records in it that the database does not know; `None` until it was looked at.
    pub unknown_records: Option<u64>,
}

/// What a dead writer left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftover {
    /// Its open segments.
    pub segments: Vec<SegmentRecord>,
    /// Those of them that are kept, whatever they hold.
    pub kept: Vec<SegmentId>,
    /// How many WRITING rows were removed.
    pub writes: u64,
}
