//! Objects: changed, looked up, listed.

use async_trait::async_trait;

use super::{
    ListQuery, MetadataError, Mutation, MutationOutcome, ObjectAddress, Refusal, SpaceRef, WriterId,
};
use crate::domain::address::{Key, Tenant};
use crate::domain::blob::{BlobId, Extent};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm};
use crate::domain::idempotency::{First, IdempotencyKey};
use crate::domain::object::{Listed, Object};
use crate::domain::range::Span;
use crate::domain::timestamp::Timestamp;

/// Objects: every change of them, and every look at them.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// Applies a batch in order, in one durable transaction, for `writer` at `now`. Each mutation is
    /// refused or done on its own; an error means that none was acknowledged.
    async fn commit(
        &self,
        writer: WriterId,
        batch: Vec<Mutation>,
        now: Timestamp,
    ) -> Result<Vec<Result<MutationOutcome, Refusal>>, MetadataError>;

    /// The first request with an idempotency key, if it is remembered, however long ago it was.
    async fn idempotent(&self, tenant: &Tenant, key: &IdempotencyKey)
    -> Result<Option<First>, MetadataError>;

    /// Forgets up to `limit` idempotency keys of requests that were done up to a moment. How many.
    async fn forget_idempotent(&self, until: Timestamp, limit: u32) -> Result<u64, MetadataError>;

    /// The object, if it is visible. Delete markers are found too.
    async fn find(&self, target: &ObjectAddress) -> Result<Option<Found>, MetadataError>;

    /// The latest version of a key, a delete marker too. `None` if the key has none, or if there is no such
    /// place.
    async fn latest(&self, place: &SpaceRef, key: &Key) -> Result<Option<Found>, MetadataError>;

    /// The extents of a composite that cover `span`, in order, clipped to it.
    async fn extents(&self, blob: BlobId, span: Span) -> Result<Vec<Extent>, MetadataError>;

    /// Where part `number` (from 1) lies in a composite, and how many parts there are.
    async fn part_span(&self, blob: BlobId, number: u32) -> Result<Option<(Span, u32)>, MetadataError>;

    /// The parts of a composite behind number `after`, ascending: number and size in bytes.
    async fn part_sizes(
        &self,
        blob: BlobId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<(u32, u64)>, MetadataError>;

    /// The checksums of a composite's parts in order, as they were when an upload made it; none if none was
    /// made with this algorithm.
    async fn part_checksums(
        &self,
        blob: BlobId,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Vec<Checksum>, MetadataError>;

    /// A page of a space, in byte order of keys. Costs the same wherever in the space it begins.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Object>, MetadataError>;

    /// [`Self::list`] of latest versions that have a key (`query` asks for neither `versions` nor `keyless`), and only
    /// what a listing shows of them, which is all in one place.
    async fn list_latest(&self, query: &ListQuery) -> Result<Vec<Listed>, MetadataError>;

    /// The keys at which the lines of a listing begin that rolls keys up at `delimiter`, which is not empty:
    /// the first key that `query` would list (its `from` must be `Included`, and keyless objects are left
    /// out), and, as long as a key holds the delimiter behind the prefix, the first one behind all that are
    /// rolled up with it. Fewer than `limit` as it likes, but none only if there is none. Costs as much as
    /// it yields, however many keys are rolled up.
    async fn walk(&self, query: &ListQuery, delimiter: &str) -> Result<Vec<String>, MetadataError>;
}

/// A visible object, and where its bytes lie if it is a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The object.
    pub object: Object,
    /// The whole of its leaf; `None` for a composite (ask [`extents`](super::Objects::extents)) and for markers.
    pub leaf: Option<Extent>,
}
