//! The pools that requests draw from: memory for bodies that are received, open segment files, and fetches from upstreams.
//!
//! What a request holds here comes back only as fast as its client sends or reads, so that no wait for it may last:
//! after [`WAIT_MAX`] it is answered as busy.

use std::time::Duration;

use super::error::Result;
use super::fairness::{Held, Pool, Shares};
use super::{metrics, request};
use crate::domain::address::Tenant;

/// How long a request waits for its share of a pool.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What bodies in memory may take together, in bytes.
const MEMORY_BYTES_MAX: usize = 32 << 20;

/// Transfers at once, unless there are descriptors for fewer. Each holds up to one chunk of a slow reader's (64 KiB)
/// in memory, beside its descriptor.
const TRANSFERS_MAX: usize = 3072;

/// Objects that are fetched from upstreams at once, unless there are descriptors for fewer: each holds a connection, a
/// segment's file and some chunks in memory.
const PULLS_MAX: usize = 256;

/// The pools of one server. All clones are the same.
#[derive(Clone)]
pub struct Pools {
    /// Bytes of bodies that are being received.
    pub(crate) memory: Pool,
    /// Transfers that hold a segment's file open.
    pub(crate) transfers: Pool,
    /// Objects that are fetched from upstreams.
    pub(crate) pulls: Pool,
}

impl Default for Pools {
    fn default() -> Self {
        Self::new(TRANSFERS_MAX)
    }
}

impl Pools {
    /// Pools of which the one of open files holds `files` at most.
    pub fn new(files: usize) -> Self {
        let shares = |name, total: usize| Shares {
            total,
            alone: (total - total / 8).max(1),
            crowded: (total / 4).max(1),
            patience: Some(WAIT_MAX),
            name,
        };
        Self {
            memory: Pool::new(shares("memory", MEMORY_BYTES_MAX)),
            transfers: Pool::new(shares("transfers", files.clamp(1, TRANSFERS_MAX))),
            pulls: Pool::new(shares("pulls", (files / 8).clamp(8, PULLS_MAX))),
        }
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&self) {
        metrics::held("memory", self.memory.taken());
        metrics::held("transfers", self.transfers.taken());
        metrics::held("pulls", self.pulls.taken());
    }

    /// Room for a body of `tenant` that a front has to gather before it can be understood.
    pub fn room(&self, tenant: Option<Tenant>) -> Room {
        Room { pool: self.memory.clone(), holder: tenant, held: None, bytes: 0 }
    }
}

/// The memory of one body that is gathered as a whole. It grows as bytes arrive.
pub struct Room {
    pool: Pool,
    holder: Option<Tenant>,
    held: Option<Held>,
    /// How much is held.
    bytes: usize,
}

/// The steps in which a body's room grows, in bytes.
const ROOM_STEP: usize = 16 << 10;

impl Room {
    /// Whether `bytes` in all fit into what is held.
    pub fn holds(&self, bytes: usize) -> bool {
        bytes <= self.bytes
    }

    /// Gives back all that is held.
    pub fn clear(&mut self) {
        (self.held, self.bytes) = (None, 0);
    }

    /// Grows to hold `bytes` in all. Waits its turn, and is refused as [`super::error::Error::Busy`] after some seconds.
    pub async fn grow(mut self, bytes: usize) -> Result<Self> {
        if !self.holds(bytes) {
            if self.held.is_none() && self.holder.is_none() {
                // The tenant may be known only by now: a body is read after its request was let in.
                self.holder = request::tenant();
            }
            let more = (bytes - self.bytes).next_multiple_of(ROOM_STEP);
            let held = self.pool.take(&self.holder, more).await?;
            match &mut self.held {
                Some(own) => own.join(held),
                None => self.held = Some(held),
            }
            self.bytes += more;
        }
        Ok(self)
    }
}
