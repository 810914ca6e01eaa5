//! Spaces whose changes are sent to their upstream: what is remembered of keys there, and what waits.

use async_trait::async_trait;

use super::{Found, MetadataError};
use crate::domain::address::Key;
use crate::domain::event::Facts;
use crate::domain::object::ObjectId;
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Fate;

/// Mirrors. A space that is bound in the mode `mirror` has a target in the [outbox](super::Outbox), and
/// [`Objects::commit`](super::Objects::commit) keeps one row for each key that was changed since it was last sent.
#[async_trait]
pub trait Mirrors: Send + Sync + 'static {
    /// What is remembered of those of the keys that were fetched, removed, or sent.
    async fn mirrored(&self, space: SpaceId, keys: &[Key]) -> Result<Vec<(Key, MirroredKey)>, MetadataError>;

    /// Remembers of each key, and of each version, what is there and what is about to be sent. What becomes of the key here
    /// stays as it is. Of several notes of one, the last counts.
    async fn note_mirrored(&self, notes: &MirrorNotes, now: Timestamp) -> Result<(), MetadataError>;

    /// What is remembered of the versions of a key; up to `limit` that are open.
    async fn mirrored_versions(
        &self,
        space: SpaceId,
        key: &Key,
        limit: u32,
    ) -> Result<MirroredVersions, MetadataError>;

    /// Versions and delete markers of a key behind one of them, or all, in ascending order.
    async fn versions_after(
        &self,
        space: SpaceId,
        key: &Key,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<Found>, MetadataError>;

    /// Versions of a key that were sent and are not here any more, in ascending order.
    async fn versions_gone(
        &self,
        space: SpaceId,
        key: &Key,
        limit: u32,
    ) -> Result<Vec<MirroredVersion>, MetadataError>;

    /// Forgets that versions of a key were sent.
    async fn forget_versions(
        &self,
        space: SpaceId,
        key: &Key,
        versions: &[ObjectId],
    ) -> Result<(), MetadataError>;

    /// Keys between two, of which versions were not sent yet, or were sent and are not here any more; in ascending order.
    async fn versions_unsent(
        &self,
        space: SpaceId,
        after: Option<&str>,
        until: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Key>, MetadataError>;

    /// Those of the keys that wait to be sent.
    async fn mirror_waiting(&self, space: SpaceId, keys: &[Key]) -> Result<Vec<Key>, MetadataError>;

    /// Lets these keys wait to be sent, unless they do. How many did not.
    async fn mirror_again(
        &self,
        space: SpaceId,
        facts: &Facts,
        keys: &[Key],
        now: Timestamp,
    ) -> Result<u64, MetadataError>;

    /// The state of a space's mirror, with up to `limit` keys that somebody else changed upstream, the latest first.
    async fn mirror_state(&self, space: SpaceId, limit: u32) -> Result<MirrorState, MetadataError>;

    /// What was dropped before a moment was made good by a pass over all keys.
    async fn mirror_made_good(&self, space: SpaceId, before: Timestamp) -> Result<(), MetadataError>;
}

/// What is remembered of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredKey {
    /// What became of it.
    pub fate: Fate,
    /// The entity tag that the bytes under `there` have here, where it is another one.
    pub here: Option<String>,
    /// The entity tag of the upstream's object when it was fetched, or before something was sent last.
    pub there: Option<String>,
    /// The entity tag of what was sent since.
    pub sending: Option<String>,
    /// An upload in parts that was begun there, and may be under way.
    pub upload: Option<String>,
    /// Whether what the object carries was changed here while nothing was sent.
    pub edited: bool,
}

/// What is to be remembered of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorNote {
    /// The space.
    pub space: SpaceId,
    /// The key.
    pub key: Key,
    /// The entity tag of the upstream's object as it is.
    pub there: Option<String>,
    /// The entity tag of what is about to be sent.
    pub sending: Option<String>,
    /// The upload in parts by which it is sent.
    pub upload: Option<String>,
    /// The entity tag that the bytes under `there` have here, where it is another one.
    pub here: Option<String>,
    /// The entity tag of an object that somebody else put there, and that is replaced or removed now.
    pub changed: Option<String>,
}

/// What is to be remembered, in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorNotes {
    /// Of keys.
    pub keys: Vec<MirrorNote>,
    /// Of versions.
    pub versions: Vec<VersionNote>,
}

/// What is to be remembered of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNote {
    /// The space.
    pub space: SpaceId,
    /// The key.
    pub key: Key,
    /// The version, and what is remembered of it.
    pub version: MirroredVersion,
}

/// What is remembered of a version that was sent to an upstream that keeps versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredVersion {
    /// The version here.
    pub id: ObjectId,
    /// Its id there, once it is known.
    pub there: Option<String>,
    /// That it is about to be sent: the entity tag that it will have there, as
    /// [`domain::mirror::versions`](crate::domain::mirror::versions) names it.
    pub sending: Option<String>,
    /// The id of what was the latest there before it was sent.
    pub below: Option<String>,
    /// The id under which it was sent before, which is to be removed.
    pub stale: Option<String>,
}

impl MirroredVersion {
    /// One that is there under this id.
    pub fn sent(id: ObjectId, there: Option<String>) -> Self {
        Self { id, there, sending: None, below: None, stale: None }
    }
}

/// What is remembered of the versions of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirroredVersions {
    /// The newest that is there.
    pub newest: Option<MirroredVersion>,
    /// Those of which something is still to be done, in ascending order.
    pub open: Vec<MirroredVersion>,
}

/// The state of a space's mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorState {
    /// Changes that were dropped and not made good yet.
    pub dropped: u64,
    /// When the last of them was.
    pub dropped_at: Timestamp,
    /// Keys that somebody else changed upstream.
    pub changed: u64,
    /// When that was last found.
    pub changed_at: Option<Timestamp>,
    /// Some of them, the latest first.
    pub changed_keys: Vec<(String, Timestamp)>,
}
