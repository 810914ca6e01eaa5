//! Changes that are answered only when the upstream has them.

use std::time::Duration;

use tokio::time::Instant;

use crate::application::error::{Error, Result};
use crate::application::metrics;
use crate::application::store::Store;
use crate::domain::address::Key;
use crate::domain::object::Object;
use crate::domain::space::{SettingsRevision, SpaceId};
use crate::domain::upstream::Mode;

/// How often it is looked whether another server has sent a change.
const LOOK: Duration = Duration::from_millis(100);

impl Store {
    /// Waits until the upstream has what was done to an object, if its space is mirrored so. The change is made in either case:
    /// who is answered [`Error::UpstreamLate`] finds it here, and it is still sent.
    pub(crate) async fn sent(&self, object: &Object) -> Result<()> {
        self.sent_key((object.space, object.settings, object.upstream), object.key.as_ref()).await
    }

    /// The same of a key, by the settings of its space.
    pub(crate) async fn sent_key(
        &self,
        (space, revision, upstream): (SpaceId, SettingsRevision, Option<Mode>),
        key: Option<&Key>,
    ) -> Result<()> {
        let (Some(Mode::Mirror), Some(key)) = (upstream, key) else { return Ok(()) };
        let settings = self.settings_at(space, revision).await?;
        let wait = settings.upstream.as_ref().and_then(|binding| binding.target.mirror.wait_seconds);
        let Some(wait) = wait else { return Ok(()) };
        let (began, wait) = (Instant::now(), Duration::from_secs(wait.into()));
        let mut acknowledged = self.metadata.outbox_acknowledged();
        loop {
            acknowledged.mark_unchanged();
            // A row that waits may be of a later change, which is sent with this one.
            if self.metadata.mirror_waiting(space, std::slice::from_ref(key)).await?.is_empty() {
                metrics::upstream_waited("sent", began.elapsed());
                return Ok(());
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                metrics::upstream_waited("late", began.elapsed());
                return Err(Error::UpstreamLate);
            }
            let _ = tokio::time::timeout(left.min(LOOK), acknowledged.changed()).await;
        }
    }
}
