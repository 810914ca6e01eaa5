//! The lease that a worker's transactions are held to.
//!
//! A lease runs out by the database's clock, and a server that was paused does not know: it goes on where it was, when
//! another one does the work. So a lease has an *epoch*, which goes up whenever it changes hands, and every transaction of a
//! worker looks for the one that it was taken with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::dialect::sql;
use super::fault::Fault;
use super::transaction::Transaction;
use crate::application::ports::metadata::MetadataError;
use crate::application::progress;

/// The epoch of each lease that this process took last, by the lease's name. All clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<HashMap<String, (Uuid, i64)>>>);

impl Held {
    /// Notes the epoch with which a lease was taken; `None`: it was not.
    pub(crate) fn note(&self, name: &str, holder: Uuid, epoch: Option<i64>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match epoch {
            Some(epoch) => held.insert(name.to_owned(), (holder, epoch)),
            None => held.remove(name),
        };
    }

    /// The holder and the epoch with which a lease was taken last.
    pub(crate) fn of(&self, name: &str) -> Option<(Uuid, i64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }
}

/// What every transaction of a worker begins with: the lease that it works under must be the one that it was taken as.
#[derive(Clone)]
pub(crate) struct Fence {
    name: &'static str,
    held: Held,
}

impl Fence {
    /// Of the work called `name`.
    pub(crate) fn new(name: &'static str, held: Held) -> Self {
        Self { name, held }
    }

    /// Fails unless the lease is still held as of the epoch that it was taken with. The row is held until the end of the
    /// transaction, so that the lease goes to another process before it, which then fails, or after it.
    pub(crate) async fn check(&self, tx: &mut Transaction) -> Result<(), Fault> {
        let lost = || MetadataError::LeaseLost(self.name);
        let (holder, epoch) = self.held.of(self.name).ok_or_else(lost)?;
        let row = tx
            .query(sql!("SELECT 1 FROM leases WHERE name = $1 AND holder = $2 AND epoch = $3", for_share))
            .bind(self.name)
            .bind(holder)
            .bind(epoch)
            .optional()
            .await?;
        row.map(drop).ok_or_else(lost)?;
        progress::made();
        Ok(())
    }
}
