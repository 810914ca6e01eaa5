//! What the database says about the store itself: its id, its tiers, its master key, and who writes to it.

use async_trait::async_trait;
use uuid::Uuid;

use super::{MetadataError, WriterId};
use crate::domain::blob::SegmentId;
use crate::domain::identity::{StoreId, TierId};
use crate::domain::incarnation::{Incarnation, LastStart, NotedStart, Whereabouts};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// What the database says about the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRecord {
    /// Its id.
    pub id: StoreId,
    /// The id that the hot tier's root was marked with.
    pub hot: Option<TierId>,
    /// The id that the cold tier's root was marked with.
    pub cold: Option<TierId>,
    /// A constant, sealed with the master key.
    pub sealed: Option<Vec<u8>>,
}

/// Segments of a tier, to find out whether a root is that tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierSample {
    /// Whether the database has any segment there, removed ones included.
    pub known: bool,
    /// Segments into which bytes were committed: all, or as many as were asked for.
    pub segments: Vec<SegmentId>,
}

/// The store's identity. A part of [`MetadataStore`](super::MetadataStore).
#[async_trait]
pub trait IdentityStore {
    /// What the database says about the store. If it says nothing yet, the store is called `fresh`.
    async fn store_record(&self, fresh: StoreId, now: Timestamp) -> Result<StoreRecord, MetadataError>;

    /// The store is called `to`, if it is called `from` and no tier is recorded. Whether it is `to` now.
    async fn adopt_store(&self, from: StoreId, to: StoreId) -> Result<bool, MetadataError>;

    /// Records the id of a tier, unless one is recorded. Returns the one that is.
    async fn record_tier(
        &self,
        class: StorageClass,
        id: TierId,
        now: Timestamp,
    ) -> Result<TierId, MetadataError>;

    /// At most `limit` segments of a tier.
    async fn sample_tier(&self, class: StorageClass, limit: u32) -> Result<TierSample, MetadataError>;

    /// Puts `sealed` in the place of the sealed constant, if that is still `was`. Whether it was.
    async fn seal_store(&self, was: Option<&[u8]>, sealed: &[u8]) -> Result<bool, MetadataError>;

    /// The last start of a server under a writer's name.
    async fn last_start(&self, writer: WriterId) -> Result<Option<LastStart>, MetadataError>;

    /// Enters a start of `writer`, if the last one is still the one with the token `was`. Whether it was.
    ///
    /// From then on this connection writes as that incarnation: once another one of the same writer has been entered,
    /// [`heartbeat`](super::Leases::heartbeat), every commit and relocation, and every registration of a segment fail
    /// with [`MetadataError::Superseded`].
    async fn enter_start(
        &self,
        writer: WriterId,
        was: Option<Uuid>,
        next: Incarnation,
        place: &Whereabouts,
        now: Timestamp,
    ) -> Result<bool, MetadataError>;

    /// The start `token` of `writer` is noted in both tiers since `now`; nothing if another start was entered meanwhile.
    async fn note_start(&self, writer: WriterId, token: Uuid, now: Timestamp) -> Result<(), MetadataError>;

    /// The starts that are noted in the tiers, of writers whose word holds at `now` that they live.
    async fn noted_starts(&self, now: Timestamp) -> Result<Vec<NotedStart>, MetadataError>;

    /// Forgets starts before `before` of writers that do not live.
    async fn forget_starts(&self, before: Timestamp) -> Result<(), MetadataError>;
}
