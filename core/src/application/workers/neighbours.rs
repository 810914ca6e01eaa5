//! Whether the servers that share the database share the tiers too.
//!
//! Each start notes itself in both tiers, and says so in the database. A server that lives and whose note is not to be found
//! in a tier writes to another directory than this one: a copy, since its mark is right. It is unknown here which of
//! the two is the copy, so a server that runs only says so; one that starts is refused (see `juststorage`'s `writer`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::worker::{WorkDone, Worker};
use crate::application::error::Result;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, WriterId};
use crate::application::tiers::Tiers;
use crate::domain::incarnation::{self, NotedStart};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// A server that lives and writes to another directory of a tier than this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// Which tier.
    pub class: StorageClass,
    /// The server's start.
    pub start: NotedStart,
}

/// The servers other than `own`'s that live at `now` and write to other directories. A tier that cannot be read says nothing.
pub async fn apart(
    metadata: &dyn MetadataStore,
    tiers: &Tiers,
    own: Option<WriterId>,
    now: Timestamp,
) -> Result<Vec<Apart>> {
    let mut apart = Vec::new();
    let others = metadata.noted_starts(now).await?;
    for start in others.into_iter().filter(|start| own.is_none_or(|own| own.0 != start.writer)) {
        for class in StorageClass::ALL {
            let tier = tiers.of(class);
            // A root that is not mounted lacks all notes.
            if tier.identify().await.is_err() {
                continue;
            }
            if let Ok(seen) = tier.server_note(start.writer).await
                && incarnation::is_apart(&start, seen, now)
            {
                apart.push(Apart { class, start: start.clone() });
            }
        }
    }
    Ok(apart)
}

/// Notes this process's start, and looks for those of the others.
pub struct Neighbours {
    metadata: Arc<dyn MetadataStore>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    writer: WriterId,
    state: Mutex<NeighbourState>,
}

#[derive(Default)]
struct NeighbourState {
    noted: bool,
    /// What was said already.
    told: BTreeSet<(Uuid, StorageClass)>,
}

impl Neighbours {
    /// For this process's writer.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        writer: WriterId,
    ) -> Self {
        Self { metadata, tiers, clock, writer, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, NeighbourState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files come first: a process that reads of them in the database finds them.
    async fn note(&self, now: Timestamp) -> Result<()> {
        let Some(start) = self.metadata.last_start(self.writer).await? else { return Ok(()) };
        let token = start.incarnation.token;
        for class in StorageClass::ALL {
            self.tiers.of(class).note_server(self.writer.0, token).await?;
        }
        self.metadata.note_start(self.writer, token, now).await?;
        self.state().noted = true;
        Ok(())
    }
}

#[async_trait]
impl Worker for Neighbours {
    fn name(&self) -> &'static str {
        "neighbours"
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn exclusive(&self) -> bool {
        false
    }

    async fn step(&self) -> Result<WorkDone> {
        let now = self.metadata.lease_time(self.clock.now()).await?;
        if !self.state().noted {
            self.note(now).await?;
        }
        let apart = apart(self.metadata.as_ref(), &self.tiers, Some(self.writer), now).await?;
        metrics::servers_apart(apart.len());
        let mut state = self.state();
        let found: BTreeSet<_> = apart.iter().map(|apart| (apart.start.writer, apart.class)).collect();
        state.told.retain(|told| found.contains(told));
        for Apart { class, start } in apart {
            if state.told.insert((start.writer, class)) {
                tracing::error!(
                    tier = class.as_str(),
                    machine = start.place.host,
                    directory = start.place.path,
                    "another server of this store writes to another directory of this tier, a copy of it: neither reads what \
                     the other one stores. Stop the one whose directory is the copy, and copy its new segments over"
                );
            }
        }
        Ok(WorkDone::Idle)
    }
}
