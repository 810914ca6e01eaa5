//! Work over whole upstreams: surveys, backfills and comparisons, page by page.
//!
//! How far a pass has come is written down after each step, so that it survives its process, and the pass of another space
//! has its turn between two steps. One server of the store at a time does this work.

mod again;
mod back;
mod backfill;
mod evidence;
mod history;
mod mirrored;
mod refresh;
mod sides;
mod step;
mod survey;
mod verify;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use step::{PassStep, Stepped};

use super::worker::{WorkDone, Worker};
use crate::application::error::{Error, Result};
use crate::application::metrics;
use crate::application::ports::metadata::{MetadataStore, PassKind, SpaceRef, UpstreamPass};
use crate::application::ports::upstream::UpstreamError;
use crate::application::store::Store;
use crate::domain::space::Space;
use crate::domain::upstream::Binding;

/// How long a pass waits whose upstream is away.
const AWAY: Duration = Duration::from_secs(5);

/// Its name, also that of its lease.
const NAME: &str = "upstream";

/// Does the work over upstreams.
pub struct UpstreamWorker {
    store: Store,
    /// Where it is written down how far a pass has come.
    passes: Arc<dyn MetadataStore>,
}

impl UpstreamWorker {
    /// Over a store whose upstreams can be connected.
    pub fn new(store: Store) -> Self {
        let passes = store.metadata.clone();
        Self { store, passes }
    }

    /// Writes down how far a pass has come under its lease alone: a process that was paused does not take the pass back to
    /// where it left it. What it fetches is decided as any other write.
    #[must_use]
    pub fn under_lease(self) -> Self {
        let passes = self.store.metadata.under_lease(NAME);
        Self { passes, ..self }
    }

    async fn pass(
        &self,
        pass: &mut UpstreamPass,
        space: Space,
        binding: &Binding,
    ) -> Result<WorkDone, UpstreamError> {
        let link = self.store.links.of(&space, binding);
        let link = link.map_err(|error| UpstreamError::Unusable(error.to_string()))?;
        let place =
            pass.place.as_deref().and_then(|place| serde_json::from_str(place).ok()).unwrap_or_default();
        let step = PassStep { store: &self.store, space, binding, link, place, started: Instant::now() };
        match pass.kind {
            PassKind::Survey => {
                let stepped = survey::step(&step, read(&pass.report)).await?;
                self.save(pass, &step, stepped)
            }
            PassKind::Backfill => {
                let stepped = backfill::step(&step, read(&pass.report)).await?;
                self.save(pass, &step, stepped)
            }
            PassKind::Mirror => {
                let stepped = back::step(&step, read(&pass.report)).await?;
                if stepped.place.is_none() {
                    // Every key that a change was dropped of before this pass began waits by now.
                    let made_good = self.passes.mirror_made_good(step.space.id, pass.begun_at).await;
                    made_good
                        .map_err(|error| UpstreamError::Away(format!("this store's database: {error}")))?;
                }
                self.save(pass, &step, stepped)
            }
            PassKind::Refresh => {
                let stepped = refresh::step(&step, read(&pass.report)).await?;
                self.save(pass, &step, stepped)
            }
            PassKind::Verify => {
                let stepped = verify::step(&step, read(&pass.report)).await?;
                self.save(pass, &step, stepped)
            }
        }
    }

    fn save<R: Serialize>(
        &self,
        pass: &mut UpstreamPass,
        step: &PassStep<'_>,
        stepped: Stepped<R>,
    ) -> Result<WorkDone, UpstreamError> {
        let json = |error: serde_json::Error| UpstreamError::Unusable(error.to_string());
        let now = self.store.clock.now();
        pass.touched_at = now;
        pass.finished_at = stepped.place.is_none().then_some(now);
        pass.place = stepped.place.map(|place| serde_json::to_string(&place)).transpose().map_err(json)?;
        pass.report = serde_json::to_string(&stepped.report).map_err(json)?;
        metrics::upstream_work(pass.kind.as_str(), stepped.items);
        let rest = step.link.pacer.took(stepped.requests, stepped.bytes, step.started.elapsed());
        Ok(if rest.is_zero() { WorkDone::Did(stepped.items) } else { WorkDone::Paced(stepped.items, rest) })
    }
}

/// A report that this version did not write begins anew.
fn read<R: DeserializeOwned + Default>(report: &str) -> R {
    serde_json::from_str(report).unwrap_or_default()
}

#[async_trait]
impl Worker for UpstreamWorker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rest(&self) -> Duration {
        // An operator waits for what was just begun.
        Duration::from_secs(1)
    }

    async fn step(&self) -> Result<WorkDone> {
        let metadata = &self.store.metadata;
        let Some((address, mut pass)) = metadata.passes_under_way(1).await?.pop() else {
            return Ok(WorkDone::Idle);
        };
        let space = metadata.space(&SpaceRef::Space(address.clone())).await?.ok_or(Error::NoSuchSpace)?;
        let settings = self.store.settings_at(space.id, space.settings).await?;
        let Some(binding) = &settings.upstream else {
            self.passes.end_passes(space.id).await?;
            return Ok(WorkDone::Did(0));
        };
        let done = match self.pass(&mut pass, space, binding).await {
            Ok(done) => done,
            Err(error) => {
                // The others have their turn; this one goes on where it is once the upstream is back.
                tracing::warn!(space = %address, work = pass.kind.as_str(), %error, "work over an upstream waits");
                pass.touched_at = self.store.clock.now();
                WorkDone::Paced(0, AWAY)
            }
        };
        self.passes.save_pass(&pass).await?;
        Ok(done)
    }
}
