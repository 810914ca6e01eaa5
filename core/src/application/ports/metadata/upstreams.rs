//! Spaces that are bound to an upstream: what they are bound to, what became of their keys, and the work over them.

use async_trait::async_trait;

use super::{MetadataError, Refusal};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::space::{SettingsRevision, Space, SpaceId};
use crate::domain::timestamp::Timestamp;
#[cfg(doc)]
use crate::domain::upstream::clients::Rows;
use crate::domain::upstream::clients::Seen;
use crate::domain::upstream::{Binding, Fate};

/// Spaces that are bound to an upstream. What a space is bound to is read with its
/// [settings](super::Spaces::settings).
#[async_trait]
pub trait Upstreams: Send + Sync + 'static {
    /// A page of bound spaces in order of namespace and tenant, after one.
    async fn bound(&self, after: Option<&SpaceAddress>, limit: u32)
    -> Result<Vec<BoundSpace>, MetadataError>;

    /// Binds a space, in place of what it was bound to, and begins passes of these kinds: a mode is not set without the work
    /// that it begins with. Moves the revision of its settings. [`Refusal::NoSuchBucket`] if there is no such space,
    /// [`Refusal::Changed`] if its settings are at another revision than `at`.
    async fn bind_upstream(
        &self,
        space: &SpaceAddress,
        binding: &Binding,
        at: Option<SettingsRevision>,
        passes: &[PassKind],
        now: Timestamp,
    ) -> Result<Result<Space, Refusal>, MetadataError>;

    /// Forgets a space's upstream, what became of its keys, and every pass. Refuses as [`Self::bind_upstream`].
    async fn unbind_upstream(
        &self,
        space: &SpaceAddress,
        at: SettingsRevision,
    ) -> Result<Result<Space, Refusal>, MetadataError>;

    /// Replaces the sealed secret of a space's upstream, if it still is `was`. Whether it was.
    async fn reseal_upstream(&self, space: SpaceId, was: &[u8], sealed: &[u8])
    -> Result<bool, MetadataError>;

    /// What became of a key; `None` if it was only ever written here, or never.
    async fn fate(&self, space: SpaceId, key: &Key) -> Result<Option<Fate>, MetadataError>;

    /// What became of those of the keys that were pulled, removed or replaced, and what proved the bytes of what was pulled.
    async fn fates(
        &self,
        space: SpaceId,
        keys: &[Key],
    ) -> Result<Vec<(Key, Fate, Option<String>)>, MetadataError>;

    /// Those of the keys whose objects upstream are not shown: they have a version here, or were removed here.
    async fn hidden(&self, space: SpaceId, keys: &[Key]) -> Result<Vec<Key>, MetadataError>;

    /// Keys that were removed or replaced here, in order, behind `after` and up to `until`.
    async fn owned(
        &self,
        space: SpaceId,
        after: &str,
        until: &str,
        limit: u32,
    ) -> Result<Vec<String>, MetadataError>;

    /// Whether anything is remembered of the keys of a space: that they were fetched, sent or removed here.
    async fn remembers(&self, space: SpaceId) -> Result<bool, MetadataError>;

    /// Forgets that a key was removed here, if nothing is here: it is read through again.
    async fn unhide(&self, space: SpaceId, key: &Key) -> Result<(), MetadataError>;

    /// Counts requests of clients of a space, on the rows that [`Rows`] says. Nothing where it has no upstream any more.
    async fn note_clients(&self, space: SpaceId, seen: Vec<Seen>) -> Result<(), MetadataError>;

    /// The clients of a space that were seen, the one that was seen last first.
    async fn clients(&self, space: SpaceId) -> Result<Vec<Seen>, MetadataError>;

    /// The last pass of each kind over a space's upstream.
    async fn passes(&self, space: SpaceId) -> Result<Vec<UpstreamPass>, MetadataError>;

    /// Passes that are under way, the longest untouched first.
    async fn passes_under_way(&self, limit: u32) -> Result<Vec<(SpaceAddress, UpstreamPass)>, MetadataError>;

    /// Begins a pass, unless one of its kind is under way by the same revision of the settings.
    async fn begin_pass(&self, pass: &UpstreamPass) -> Result<(), MetadataError>;

    /// Writes down how far a pass has come. Whether it is still the one under way.
    async fn save_pass(&self, pass: &UpstreamPass) -> Result<bool, MetadataError>;

    /// Gives up every pass over a space's upstream that is under way. How many.
    async fn end_passes(&self, space: SpaceId) -> Result<u64, MetadataError>;
}

/// A space and what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundSpace {
    /// The space.
    pub space: Space,
    /// What it is bound to.
    pub binding: Binding,
    /// When that was set.
    pub changed_at: Timestamp,
}

/// The kinds of work over an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassKind {
    /// Counts what is there, and says what moves and what cannot.
    Survey,
    /// Fetches what is not here.
    Backfill,
    /// Compares both sides.
    Verify,
    /// Finds what the upstream does not have as it is here, and lets it wait to be sent.
    Mirror,
    /// Lets go what the upstream has replaced while its clients were there.
    Refresh,
}

impl PassKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Survey, Self::Backfill, Self::Verify, Self::Mirror, Self::Refresh];

    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Survey => 1,
            Self::Backfill => 2,
            Self::Verify => 3,
            Self::Mirror => 4,
            Self::Refresh => 5,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Backfill => "backfill",
            Self::Verify => "verify",
            Self::Mirror => "mirror",
            Self::Refresh => "refresh",
        }
    }
}

/// A pass over an upstream, under way or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamPass {
    /// The space.
    pub space: SpaceId,
    /// What it does.
    pub kind: PassKind,
    /// The revision of the space's settings that it works by.
    pub revision: SettingsRevision,
    /// When it began; also its name.
    pub begun_at: Timestamp,
    /// When it was last written down.
    pub touched_at: Timestamp,
    /// When it was done; `None` while it is under way.
    pub finished_at: Option<Timestamp>,
    /// Where it goes on, as the worker wrote it down.
    pub place: Option<String>,
    /// What it has found, as the worker wrote it down (JSON).
    pub report: String,
}

impl UpstreamPass {
    /// One that begins, by the present settings of a space.
    pub fn new(space: &Space, kind: PassKind, now: Timestamp) -> Self {
        Self {
            space: space.id,
            kind,
            revision: space.settings,
            begun_at: now,
            touched_at: now,
            finished_at: None,
            place: None,
            report: "{}".to_owned(),
        }
    }
}
