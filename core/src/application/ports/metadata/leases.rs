//! Who lives, and who does which background work.

use async_trait::async_trait;
use uuid::Uuid;

use super::{MetadataError, WriterId};
use crate::domain::timestamp::Timestamp;

/// A server of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its name.
    pub writer: WriterId,
    /// The version of its program; `None` if it did not say.
    pub version: Option<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// Until when its word holds.
    pub alive_until: Timestamp,
    /// Whether it was told to stop.
    pub draining: bool,
    /// Its machine's name.
    pub host: String,
    /// Its data directory there.
    pub path: String,
    /// The work that it does for the whole store at `now`, by its leases.
    pub leases: Vec<String>,
}

impl Replica {
    /// Whether it lives at `now`.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.alive_until > now
    }
}

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

    /// Renews the lease that `holder` took last, while work under it goes on. Whether it could: one that went to another
    /// process meanwhile is not renewed, even if it was given back since.
    async fn renew_lease(&self, name: &str, holder: Uuid, until: Timestamp) -> Result<bool, MetadataError>;

    /// The servers of the store that said that they live, and have not ended: those whose word ran out too, until their
    /// work is taken over. In order of their starts.
    async fn replicas(&self, now: Timestamp) -> Result<Vec<Replica>, MetadataError>;

    /// Says which version of the program `writer` runs.
    async fn introduce(&self, writer: WriterId, version: &str) -> Result<(), MetadataError>;

    /// Says that `writer` was told to stop, until its registration ends.
    async fn drain(&self, writer: WriterId) -> Result<(), MetadataError>;

    /// Gives the lease back, if `holder` has it.
    async fn release_lease(&self, name: &str, holder: Uuid) -> Result<(), MetadataError>;
}
