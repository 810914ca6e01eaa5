//! Spaces whose changes are sent to their upstream: what is remembered of keys there, and what waits.

use async_trait::async_trait;

use super::MetadataError;
use crate::domain::address::Key;
use crate::domain::event::Facts;
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Fate;

/// Mirrors. A space that is bound in the mode `mirror` has a target in the [outbox](super::Outbox), and
/// [`Objects::commit`](super::Objects::commit) keeps one row for each key that was changed since it was last sent.
#[async_trait]
pub trait Mirrors: Send + Sync + 'static {
    /// What is remembered of those of the keys that were fetched, removed, or sent.
    async fn mirrored(&self, space: SpaceId, keys: &[Key]) -> Result<Vec<(Key, MirroredKey)>, MetadataError>;

    /// Remembers of each key what is there and what is about to be sent. What becomes of the key here stays as it is.
    async fn note_mirrored(&self, notes: &[MirrorNote], now: Timestamp) -> Result<(), MetadataError>;

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
