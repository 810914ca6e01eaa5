//! The port of spaces whose changes are sent to their upstream.

use async_trait::async_trait;

use super::Answer;
use crate::application::ports::metadata::{MirrorNote, MirrorState, MirroredKey, Mirrors};
use crate::domain::address::Key;
use crate::domain::event::Facts;
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::mirrors as known;
use crate::infrastructure::metadata::write::{mirrors, outbox};

#[async_trait]
impl Mirrors for SqlMetadata {
    async fn mirrored(&self, space: SpaceId, keys: &[Key]) -> Answer<Vec<(Key, MirroredKey)>> {
        Ok(known::of_keys(&self.db, space, keys).await?)
    }

    async fn note_mirrored(&self, notes: &[MirrorNote], now: Timestamp) -> Answer<()> {
        Ok(mirrors::note(&self.db, notes, now).await?)
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
