//! Bytes that a change brings, or takes from where they are.

use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{BlobId, Hash, Location};
use crate::domain::range::Span;

/// Bytes that this writer staged and made durable, not yet referred to by anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedLeaf {
    /// Their SHA-256.
    pub hash: Hash,
    /// Where they lie.
    pub location: Location,
    /// What they lie in: a single is sealed by the commit, a pack grows with it.
    pub kind: SegmentKind,
    /// The segment's size in bytes, the leaf and its framing included, from which nothing is cut.
    pub segment_size: u64,
}

/// Where the bytes of a new object or part come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewContent {
    /// Bytes that were just staged. If the domain holds the same bytes already, the staged ones are
    /// dropped and the outcome says so; if what it holds is quarantined, these take its place.
    Staged(StagedLeaf),
    /// A blob of the same domain: a copy. Refused with [`SourceGone`](super::Refusal::SourceGone) if GC took it meanwhile.
    Existing(BlobId),
    /// A stretch of a blob of the same domain: a part copied by range. Becomes a composite whose content
    /// hash derives from the blob's hash and the span.
    Slice(BlobId, Span),
}
