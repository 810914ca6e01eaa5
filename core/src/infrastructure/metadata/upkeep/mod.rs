//! Statements of background work.

pub(crate) mod garbage;
pub(crate) mod holds;
pub(crate) mod kept;
pub(crate) mod late;
pub(crate) mod leases;
pub(crate) mod outbox;
pub(crate) mod recount;
pub(crate) mod relocate;
pub(crate) mod replicas;
pub(crate) mod scrub;
pub(crate) mod segments;
pub(crate) mod stuck;
