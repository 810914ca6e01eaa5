//! Who lives, and who does which background work.

use async_trait::async_trait;
use uuid::Uuid;

use super::{MetadataError, WriterId};
use crate::domain::timestamp::Timestamp;

/// Who lives, and who does which background work.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Says that `writer` lives until `until`. To be said before it opens its first segment: one that has open
    /// segments and never said so counts as dead. [`MetadataError::Superseded`] if another server has started under
    /// this name since.
    async fn heartbeat(&self, writer: WriterId, until: Timestamp) -> Result<(), MetadataError>;

    /// Writers whose word has run out at `now`.
    async fn dead_writers(&self, now: Timestamp) -> Result<Vec<WriterId>, MetadataError>;

    /// The time that leases and the words of writers go by. Where machines share the database it is the database's clock,
    /// so that theirs need not agree; otherwise it is `own`, the caller's. Read just before the call that it is passed to: it may only
    /// be earlier than that call, so that no lease is taken too soon.
    async fn lease_time(&self, own: Timestamp) -> Result<Timestamp, MetadataError>;

    /// Takes or renews the lease `name` for `holder` until `until`, unless another holds it at `now`.
    async fn acquire_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, MetadataError>;

    /// Gives the lease back, if `holder` has it.
    async fn release_lease(&self, name: &str, holder: Uuid) -> Result<(), MetadataError>;
}
