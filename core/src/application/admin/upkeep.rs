//! Background work: what it did, what waits for it, what it could not do, and what the scrubber found.

use super::history::Minute;
use super::{Admin, allow_operator};
use crate::application::error::{Error, Result};
use crate::application::giving_up::{GivingUp, Unnamed};
use crate::application::ports::metadata::{LeafRecord, Replica, ScrubPass, Stuck, WriterId};
use crate::application::workers::{NAMES, WorkerStatus};
use crate::domain::blob::{BlobId, SegmentId};
use crate::domain::principal::Principal;
use crate::domain::timestamp::Timestamp;

/// Items of a backlog that are counted.
const BACKLOG_MAX: u32 = 1000;

/// Work that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Items.
    pub items: u64,
    /// Whether there are more than were counted.
    pub more: bool,
}

/// One worker: what this process did of its work, and what of it waits in the store.
#[derive(Clone, Debug)]
pub struct WorkerReport {
    /// Its state in this process.
    pub status: WorkerStatus,
    /// Items that it put aside.
    pub stuck: u64,
    /// Items that wait; `None` where the number is unknown.
    pub backlog: Option<Backlog>,
}

/// All workers.
#[derive(Clone, Debug)]
pub struct Workers {
    /// This process.
    pub server: Option<WriterId>,
    /// In the order of [`NAMES`].
    pub workers: Vec<WorkerReport>,
    /// The scrub pass under way, or the last one.
    pub scrub: Option<ScrubPass>,
}

/// The servers of the store.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// This process.
    pub server: Option<WriterId>,
    /// In order of their starts.
    pub replicas: Vec<(Replica, ReplicaState)>,
}

/// What a server of the store is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// It takes requests.
    Serving,
    /// It was told to stop, and finishes requests.
    Draining,
    /// It has not said for too long that it lives: others take its work over.
    Silent,
}

impl ReplicaState {
    fn of(replica: &Replica, now: Timestamp) -> Self {
        match (replica.lives(now), replica.draining) {
            (false, _) => Self::Silent,
            (true, true) => Self::Draining,
            (true, false) => Self::Serving,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Silent => "silent",
        }
    }
}

/// The findings of the scrubber.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The pass under way, or the last one.
    pub pass: Option<ScrubPass>,
    /// A page of the leaves in quarantine, in order of id.
    pub leaves: Vec<LeafRecord>,
}

/// Requests of the last hour.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// This process, which saw them.
    pub server: Option<WriterId>,
    /// Minute by minute, the oldest first.
    pub minutes: Vec<Minute>,
}

impl Admin {
    /// The requests of the last hour that this process answered.
    pub fn traffic(&self, who: &Principal) -> Result<Traffic> {
        allow_operator(who)?;
        Ok(Traffic { server: self.server, minutes: self.history.minutes(self.store.clock.now()) })
    }

    /// The servers of the store.
    pub async fn replicas(&self, who: &Principal) -> Result<Replicas> {
        allow_operator(who)?;
        let metadata = &self.store.metadata;
        let now = metadata.lease_time(self.store.clock.now()).await?;
        let replicas = metadata.replicas(now).await?.into_iter();
        let replicas = replicas.map(|replica| {
            let state = ReplicaState::of(&replica, now);
            (replica, state)
        });
        Ok(Replicas { server: self.server, replicas: replicas.collect() })
    }

    /// The state of this process's workers, and their backlog in the store.
    pub async fn workers(&self, who: &Principal) -> Result<Workers> {
        allow_operator(who)?;
        let metadata = &self.store.metadata;
        let stuck = metadata.count_stuck().await?;
        let mut workers = Vec::with_capacity(NAMES.len());
        for status in self.board.all() {
            let aside = stuck.iter().find(|(name, _)| name == status.name).map_or(0, |(_, count)| *count);
            let backlog = self.backlog(status.name).await?;
            workers.push(WorkerReport { status, stuck: aside, backlog });
        }
        Ok(Workers { server: self.server, workers, scrub: metadata.scrub_pass().await? })
    }

    async fn backlog(&self, worker: &str) -> Result<Option<Backlog>> {
        let metadata = &self.store.metadata;
        let one_more = BACKLOG_MAX + 1;
        let counted = match worker {
            "gc" => metadata.deleting(one_more).await?.len() + metadata.candidates(one_more).await?.len(),
            "mover" => metadata.moves(one_more).await?.len(),
            "compaction" => metadata.sparse_packs(one_more).await?.len(),
            "take-over" => {
                metadata.dead_writers(metadata.lease_time(self.store.clock.now()).await?).await?.len()
            }
            _ => return Ok(None),
        };
        let most = BACKLOG_MAX as usize;
        Ok(Some(Backlog { items: counted.min(most) as u64, more: counted > most }))
    }

    /// Lets a worker of this process take its next step now, whether anything is due or not. Whether it does: not where
    /// another server does this work.
    pub async fn run_worker(&self, who: &Principal, name: &str) -> Result<bool> {
        allow_operator(who)?;
        if !NAMES.contains(&name) {
            return Err(Error::NoSuchWorker);
        }
        if name == "scrub" {
            self.store.metadata.begin_scrub(self.store.clock.now()).await?;
        }
        tracing::info!(worker = name, who = who.name, "worker is to run now");
        Ok(self.board.wake(name, true))
    }

    /// Items that were put aside, of one worker or of all; at most so many.
    pub async fn stuck(&self, who: &Principal, worker: Option<&str>, limit: u32) -> Result<Vec<Stuck>> {
        allow_operator(who)?;
        if worker.is_some_and(|worker| !NAMES.contains(&worker)) {
            return Err(Error::NoSuchWorker);
        }
        Ok(self.store.metadata.stuck(worker, limit).await?)
    }

    /// Makes an item due now, or all of them. How many.
    pub async fn retry_stuck(&self, who: &Principal, item: Option<&str>) -> Result<u64> {
        allow_operator(who)?;
        let due = self.store.metadata.retry_stuck(item, self.store.clock.now()).await?;
        if due == 0 {
            return Err(Error::NoSuchItem);
        }
        for name in NAMES {
            self.board.wake(name, false);
        }
        Ok(due)
    }

    /// The segments that are kept, or one of them, and what of them no object names.
    pub async fn kept(&self, who: &Principal, only: Option<SegmentId>) -> Result<Vec<Unnamed>> {
        allow_operator(who)?;
        let found = self.giving_up().look(only).await?;
        if only.is_some() && found.is_empty() { Err(Error::NoSuchSegment) } else { Ok(found) }
    }

    /// Gives up kept segments, all or one: what no object names in them is garbage. Returns them as they were.
    pub async fn give_up(&self, who: &Principal, only: Option<SegmentId>) -> Result<Vec<Unnamed>> {
        let found = self.kept(who, only).await?;
        if found.is_empty() {
            return Err(Error::NoSuchSegment);
        }
        for unnamed in &found {
            self.giving_up().give_up(unnamed.kept.segment.id, self.store.clock.now()).await?;
        }
        Ok(found)
    }

    fn giving_up(&self) -> GivingUp {
        GivingUp::new(self.store.metadata.clone(), self.store.tiers.clone())
    }

    /// The scrub pass, and the leaves in quarantine after one.
    pub async fn findings(&self, who: &Principal, after: Option<BlobId>, limit: u32) -> Result<Findings> {
        allow_operator(who)?;
        let metadata = &self.store.metadata;
        let pass = metadata.scrub_pass().await?;
        Ok(Findings { pass, leaves: metadata.quarantined(after, limit).await? })
    }
}
