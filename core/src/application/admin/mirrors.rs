//! The mirrors of spaces: what waits to be sent, and what was found upstream that nobody here has put there.

use std::time::Duration;

use super::Admin;
use crate::application::error::Result;
use crate::application::ports::metadata::{MirrorState, OutboxFigures};
use crate::application::workers::{TargetStatus, outbox};
use crate::domain::event::TargetName;
use crate::domain::space::SpaceId;
use crate::domain::upstream::Mirrored;

/// Keys that are named that somebody else changed upstream.
const NAMED_MAX: u32 = 100;

/// Keys put aside that are counted.
const ASIDE_MAX: u32 = 20_000;

/// What a space's mirror comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorStatus {
    /// Changes that wait to be sent.
    pub waiting: u64,
    /// How long the oldest of them has waited.
    pub lag: Duration,
    /// Keys whose change the upstream refused, which are tried again later.
    pub aside: u64,
    /// Changes that were dropped, and keys that somebody else changed upstream.
    pub state: MirrorState,
    /// What this server knows of its attempts.
    pub sending: TargetStatus,
}

impl Admin {
    /// The mirror of a space that was ever mirrored; with what waits for all targets.
    pub(super) async fn mirror(
        &self,
        space: SpaceId,
        figures: &[OutboxFigures],
    ) -> Result<Option<MirrorStatus>> {
        let (name, metadata) = (TargetName::mirror_of(space), &self.store.metadata);
        let Some(figures) = figures.iter().find(|figures| figures.name == name) else { return Ok(None) };
        let aside = metadata.stuck_under(outbox::NAME, &outbox::items_of(&name), ASIDE_MAX).await?.len();
        Ok(Some(MirrorStatus {
            waiting: figures.waiting,
            lag: figures.lag(self.now()),
            aside: aside as u64,
            state: metadata.mirror_state(space, NAMED_MAX).await?,
            sending: self.deliveries.of(&name),
        }))
    }

    /// What counts of it when a space is to be detached.
    pub(super) async fn mirrored(&self, space: SpaceId) -> Result<Mirrored> {
        let figures = self.store.metadata.outbox_figures().await?;
        Ok(self.mirror(space, &figures).await?.map_or_else(Mirrored::default, |mirror| Mirrored {
            waiting: mirror.waiting,
            dropped: mirror.state.dropped > 0,
            changed_at: mirror.state.changed_at,
        }))
    }
}
