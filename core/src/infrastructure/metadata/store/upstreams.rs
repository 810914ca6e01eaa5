//! The port of spaces that are bound to an upstream.

use async_trait::async_trait;

use super::Answer;
use crate::application::ports::metadata::{BoundSpace, PassKind, Refusal, UpstreamPass, Upstreams};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::space::{SettingsRevision, Space, SpaceId};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::clients::Seen;
use crate::domain::upstream::{Binding, Fate};
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::upstreams as known;
use crate::infrastructure::metadata::write::{upstream_clients, upstreams};

#[async_trait]
impl Upstreams for SqlMetadata {
    async fn bound(&self, after: Option<&SpaceAddress>, limit: u32) -> Answer<Vec<BoundSpace>> {
        Ok(known::bound(&self.db, after, limit).await?)
    }

    async fn bind_upstream(
        &self,
        space: &SpaceAddress,
        binding: &Binding,
        at: Option<SettingsRevision>,
        passes: &[PassKind],
        now: Timestamp,
    ) -> Answer<Result<Space, Refusal>> {
        Ok(upstreams::bind(&self.db, space, binding, (at, passes), now).await?)
    }

    async fn unbind_upstream(
        &self,
        space: &SpaceAddress,
        at: SettingsRevision,
    ) -> Answer<Result<Space, Refusal>> {
        Ok(upstreams::unbind(&self.db, space, at).await?)
    }

    async fn reseal_upstream(&self, space: SpaceId, was: &[u8], sealed: &[u8]) -> Answer<bool> {
        Ok(upstreams::reseal(&self.db, space, was, sealed).await?)
    }

    async fn fate(&self, space: SpaceId, key: &Key) -> Answer<Option<Fate>> {
        Ok(known::fate_of(&self.db, space, key).await?)
    }

    async fn fates(&self, space: SpaceId, keys: &[Key]) -> Answer<Vec<(Key, Fate, Option<String>)>> {
        Ok(known::fates(&self.db, space, keys).await?)
    }

    async fn hidden(&self, space: SpaceId, keys: &[Key]) -> Answer<Vec<Key>> {
        Ok(known::hidden(&self.db, space, keys).await?)
    }

    async fn owned(&self, space: SpaceId, after: &str, until: &str, limit: u32) -> Answer<Vec<String>> {
        Ok(known::owned(&self.db, space, after, until, limit).await?)
    }

    async fn remembers(&self, space: SpaceId) -> Answer<bool> {
        Ok(known::remembers(&self.db, space).await?)
    }

    async fn unhide(&self, space: SpaceId, key: &Key) -> Answer<()> {
        Ok(upstreams::unhide(&self.db, space, key).await?)
    }

    async fn note_clients(&self, space: SpaceId, seen: Vec<Seen>) -> Answer<()> {
        Ok(upstream_clients::note(&self.db, space, seen).await?)
    }

    async fn clients(&self, space: SpaceId) -> Answer<Vec<Seen>> {
        Ok(upstream_clients::all(&self.db, space).await?)
    }

    async fn passes(&self, space: SpaceId) -> Answer<Vec<UpstreamPass>> {
        Ok(known::passes(&self.db, space).await?)
    }

    async fn passes_under_way(&self, limit: u32) -> Answer<Vec<(SpaceAddress, UpstreamPass)>> {
        Ok(known::under_way(&self.db, limit).await?)
    }

    async fn begin_pass(&self, pass: &UpstreamPass) -> Answer<()> {
        Ok(upstreams::begin_pass(&self.db, pass).await?)
    }

    async fn save_pass(&self, pass: &UpstreamPass) -> Answer<bool> {
        Ok(upstreams::save_pass(&self.db, pass).await?)
    }

    async fn end_passes(&self, space: SpaceId) -> Answer<u64> {
        Ok(upstreams::end_passes(&self.db, space).await?)
    }
}
