//! Backups: what holds removal, and what removal would take.

use std::time::Duration;

use uuid::Uuid;

use super::{Admin, allow_operator};
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{Garbage, Hold, Retained};
use crate::domain::invalid::Invalid;
use crate::domain::principal::Principal;

/// Longest time that a backup may hold removal.
const HOLD_MAX: Duration = Duration::from_hours(30 * 24);

/// Items of a kind that a look at garbage counts.
const GARBAGE_MAX: u32 = 10_000;

/// The garbage that a collection would remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collectable {
    /// Deleted objects and blobs that nothing names any more.
    pub garbage: Garbage,
    /// Data files of which nothing is named any more: their bytes are freed once the retention has passed and no backup
    /// holds them.
    pub retained: Retained,
    /// Whether there is more garbage than was counted.
    pub more: bool,
    /// Backups that hold removal.
    pub holds: usize,
}

impl Admin {
    /// The backups that hold removal, the oldest first.
    pub async fn holds(&self, who: &Principal) -> Result<Vec<Hold>> {
        allow_operator(who)?;
        let now = self.store.clock.now();
        let mut holds = self.store.metadata.holds().await?;
        holds.retain(|hold| hold.expires_at > now);
        Ok(holds)
    }

    /// Lets a backup hold removal for `length` at most.
    pub async fn begin_hold(&self, who: &Principal, length: Duration) -> Result<Hold> {
        allow_operator(who)?;
        if length.is_zero() || length > HOLD_MAX {
            return Err(Invalid::new("hold_seconds", "must be 1 to 2592000 (30 days)").into());
        }
        let now = self.store.clock.now();
        let hold = Hold { id: Uuid::now_v7(), begun_at: now, expires_at: now.plus(length) };
        self.store.metadata.begin_hold(&hold).await?;
        tracing::info!(hold = %hold.id, who = who.name, "a backup holds removal");
        Ok(hold)
    }

    /// Ends a backup's hold.
    pub async fn end_hold(&self, who: &Principal, id: Uuid) -> Result<()> {
        allow_operator(who)?;
        if !self.store.metadata.end_hold(id).await? {
            return Err(Error::NoSuchHold);
        }
        tracing::info!(hold = %id, who = who.name, "a backup holds removal no longer");
        Ok(())
    }

    /// Looks at what garbage collection would remove, and removes nothing.
    pub async fn collectable(&self, who: &Principal) -> Result<Collectable> {
        let holds = self.holds(who).await?.len();
        let metadata = &self.store.metadata;
        let garbage = metadata.garbage(GARBAGE_MAX).await?;
        let more = garbage.examined >= u64::from(GARBAGE_MAX);
        Ok(Collectable { garbage, retained: metadata.retained().await?, more, holds })
    }
}
