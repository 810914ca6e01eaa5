//! All workers of a store, in one list. A new worker is added here, and its author says in `core/tests/stuck.rs` which item of
//! its work may fail and what happens to the others.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::lifecycle::NAME as LIFECYCLE;
use super::rewrite::{COMPACTION, MOVER};
use super::{
    Compactor, Deliveries, GarbageCollector, Heartbeat, LifecycleWorker, Mover, Neighbours, OutboxWorker,
    Rewriter, Scrubber, Sinks, TakeOver, UploadExpiry, Worker,
};
use crate::application::live::LiveReplicas;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, WriterId};
use crate::application::tiers::Tiers;
use crate::domain::lifecycle::Day;

/// The names of all workers, in the order of [`WorkerSetup::workers`].
pub const NAMES: [&str; 12] = [
    "heartbeat",
    "neighbours",
    "take-over",
    "gc",
    "mover",
    "compaction",
    "upload-expiry",
    "lifecycle",
    "scrub",
    "outbox",
    "upstream",
    "clients",
];

/// What the workers of one process work on, and how.
pub struct WorkerSetup {
    /// The metadata store.
    pub metadata: Arc<dyn MetadataStore>,
    /// The tiers.
    pub tiers: Tiers,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// This process's writer, which must be registered.
    pub writer: WriterId,
    /// Told when another server took this process's place.
    pub superseded: CancellationToken,
    /// Where the servers that live are counted.
    pub others: LiveReplicas,
    /// How long a segment that nothing names any more is kept.
    pub retention: Duration,
    /// Age at which an unfinished upload is aborted.
    pub upload_expiry: Duration,
    /// A day of lifecycle rules.
    pub day: Day,
    /// How long after the begin of a scrub pass the next one begins.
    pub scrub_every: Duration,
    /// Who delivers what the outbox holds.
    pub sinks: Sinks,
    /// Where it is noted how the deliveries go.
    pub deliveries: Deliveries,
}

impl WorkerSetup {
    /// Every worker.
    pub fn workers(&self) -> Vec<Arc<dyn Worker>> {
        let (metadata, tiers, clock, writer) = (&self.metadata, &self.tiers, &self.clock, self.writer);
        // What a worker changes is changed under its lease alone.
        let under = |name| self.metadata.under_lease(name);
        let rewriter = |name| {
            Rewriter::new(metadata.clone(), tiers.clone(), clock.clone(), writer).fenced_by(under(name))
        };
        let heartbeat = Heartbeat::new(metadata.clone(), clock.clone(), writer);
        vec![
            Arc::new(heartbeat.telling(self.superseded.clone()).counting(self.others.clone())),
            Arc::new(Neighbours::new(metadata.clone(), tiers.clone(), clock.clone(), writer)),
            Arc::new(TakeOver::new(under("take-over"), tiers.clone(), clock.clone()).sparing(writer)),
            Arc::new(GarbageCollector::new(under("gc"), tiers.clone(), clock.clone(), self.retention)),
            Arc::new(Mover(rewriter(MOVER))),
            Arc::new(Compactor(rewriter(COMPACTION))),
            Arc::new(UploadExpiry::new(under("upload-expiry"), clock.clone(), self.upload_expiry)),
            Arc::new(LifecycleWorker::new(under(LIFECYCLE), clock.clone(), writer, self.day)),
            Arc::new(
                Scrubber::new(under("scrub"), tiers.clone(), clock.clone(), self.scrub_every).trusting(),
            ),
            Arc::new(OutboxWorker::new(
                metadata.clone(),
                clock.clone(),
                writer.0,
                self.sinks.clone(),
                self.deliveries.clone(),
            )),
        ]
    }
}
