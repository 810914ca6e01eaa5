//! Background work. Each worker is its work alone; the supervisor owns loops, leases, back-off and the end.

mod board;
mod clients;
pub mod collect;
pub mod collection;
pub mod compact;
pub mod lifecycle;
pub(in crate::application) mod mirror;
pub mod neighbours;
mod opened;
pub mod outbox;
pub mod rewrite;
pub mod scrub;
pub(crate) mod stuck;
pub mod supervisor;
pub mod takeover;
pub mod upkeep;
pub mod uploads;
mod upstream;
pub mod worker;

pub use board::{Board, WorkerState, WorkerStatus};
pub use clients::ClientsWorker;
pub use collect::GarbageCollector;
pub use collection::{Collection, Freeing};
pub use compact::Compactor;
pub use lifecycle::{LifecycleWorker, NAME as LIFECYCLE};
pub use mirror::MirrorSink;
pub use neighbours::Neighbours;
pub use outbox::{Deliveries, OutboxWorker, Sinks, TargetStatus};
pub use rewrite::{Mover, Rewriter};
pub use scrub::Scrubber;
pub use supervisor::Supervisor;
pub use takeover::{Heartbeat, TakeOver, WRITER_LEASE};
pub use upkeep::{NAMES, WorkerSetup};
pub use uploads::UploadExpiry;
pub use upstream::UpstreamWorker;
pub use worker::{LEASE, WorkDone, Worker, step_under_lease};
