//! The port of spaces whose changes are sent to their upstream.

use async_trait::async_trait;

use super::Answer;
use crate::application::ports::metadata::{
    Found, MirrorNotes, MirrorState, MirroredKey, MirroredVersion, MirroredVersions, Mirrors,
};
use crate::domain::address::Key;
use crate::domain::event::Facts;
use crate::domain::object::ObjectId;
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::{mirrored_versions as sent, mirrors as known};
use crate::infrastructure::metadata::write::{mirrored_versions, mirrors, outbox};

#[async_trait]
impl Mirrors for SqlMetadata {
    async fn mirrored(&self, space: SpaceId, keys: &[Key]) -> Answer<Vec<(Key, MirroredKey)>> {
        Ok(known::of_keys(&self.db, space, keys).await?)
    }

    async fn note_mirrored(&self, notes: &MirrorNotes, now: Timestamp) -> Answer<()> {
        Ok(mirrors::note(&self.db, notes, now).await?)
    }

    async fn mirrored_versions(&self, space: SpaceId, key: &Key, limit: u32) -> Answer<MirroredVersions> {
        Ok(sent::of_key(&self.db, space, key, limit).await?)
    }

    async fn versions_after(
        &self,
        space: SpaceId,
        key: &Key,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Answer<Vec<Found>> {
        Ok(sent::after(&self.db, space, key, after, limit).await?)
    }

    async fn versions_gone(&self, space: SpaceId, key: &Key, limit: u32) -> Answer<Vec<MirroredVersion>> {
        Ok(sent::gone(&self.db, space, key, limit).await?)
    }

    async fn forget_versions(&self, space: SpaceId, key: &Key, versions: &[ObjectId]) -> Answer<()> {
        Ok(mirrored_versions::forget(&self.db, space, key, versions).await?)
    }

    async fn versions_unsent(
        &self,
        space: SpaceId,
        after: Option<&str>,
        until: Option<&str>,
        limit: u32,
    ) -> Answer<Vec<Key>> {
        Ok(sent::unsent(&self.db, space, after, until, limit).await?)
    }

    async fn mirror_waiting(&self, space: SpaceId, keys: &[Key]) -> Answer<Vec<Key>> {
        Ok(known::waiting(&self.db, space, keys).await?)
    }

    async fn mirror_again(&self, space: SpaceId, facts: &Facts, keys: &[Key], now: Timestamp) -> Answer<u64> {
        let (told, rows) = outbox::tell_again(&self.db, space, facts, keys, now).await?;
        self.outbox.committed(told);
        Ok(rows)
    }

    async fn mirror_state(&self, space: SpaceId, limit: u32) -> Answer<MirrorState> {
        Ok(known::state(&self.db, space, limit).await?)
    }

    async fn mirror_made_good(&self, space: SpaceId, before: Timestamp) -> Answer<()> {
        Ok(mirrors::made_good(&self.db, space, before).await?)
    }
}
