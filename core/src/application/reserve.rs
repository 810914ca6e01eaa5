//! Room that uploads leave free, so that a full disk can be emptied: deletes, garbage collection, compaction and the next
//! start write a little before they give anything back.
//!
//! Each file system is looked at four times a second, and once more by a request that needs room while little is left. Whatever
//! is admitted counts as written, beside what a look finds, until its [`Taken`] is dropped: no look forgets what is on its
//! way. So a burst passes the reserve by no more than the database's log grows for what was not admitted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::application::error::{Error, Result};
use crate::application::metrics;
use crate::application::ports::volume::{DiskRoom, Volume};
use crate::domain::storage_class::StorageClass;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// Most that is kept free unless the operator says otherwise, in bytes; and which part of a small file system.
const BYTES_MAX: u64 = 1 << 30;
const PART: u64 = 20;

/// Room for one more version in the embedded database, in bytes: each page that the version changes goes to
/// the log as a whole. Measured for a put that is alone in its transaction: see `one_version_fits_its_share_of_the_log`.
pub const METADATA_BYTES: u64 = 128 << 10;

/// With less than this left, an admission looks for itself: what grows without asking (the log under background work, files
/// of other programs) counts at once.
const NEAR: u64 = 64 << 20;

/// Bytes that uploads leave free of a file system, if the operator asked for so many.
pub(crate) fn bytes_of(room: DiskRoom, asked: Option<u64>) -> u64 {
    asked.unwrap_or((room.total / PART).min(BYTES_MAX))
}

/// How much room a file system has that something of the store lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeRoom {
    /// The data that lies there: a tier, or the database.
    pub name: &'static str,
    /// Bytes that the store may still write, the reserve included.
    pub free: u64,
    /// Bytes of the whole file system.
    pub total: u64,
    /// Bytes that uploads leave free.
    pub reserve: u64,
    /// Whether uploads are refused.
    pub full: bool,
}

/// The reserve that is kept free, and the room above it. Cheap to clone; all clones count together.
#[derive(Clone, Default)]
pub struct Reserve(Arc<All>);

#[derive(Default)]
struct All {
    /// The hot tier's, the cold tier's, the database's: each may be the same file system as another.
    watched: Vec<Watched>,
    /// One look at a time; a request that finds another looking uses what is known.
    looking: tokio::sync::Mutex<()>,
}

/// One file system.
struct Watched {
    of: Part,
    volume: Arc<dyn Volume>,
    /// As the operator says.
    asked: Option<u64>,
    account: Mutex<Account>,
}

/// The state of a file system, and the bytes admitted to it.
#[derive(Default)]
struct Account {
    /// Bytes that were free above the reserve at the last look; `None` before the first.
    above: Option<u64>,
    /// Bytes ever admitted, and those of them that were written or given up.
    admitted: u64,
    released: u64,
    /// [`Self::released`] when the last look began: what was released since may not have been written when it looked.
    released_then: u64,
    /// Whether it was said that there is too little.
    short: bool,
    /// As the last look found it, and what is kept free of it; `None` before the first.
    seen: Option<(DiskRoom, u64)>,
}

impl Account {
    /// Bytes that may still be admitted; without limit before the first look.
    fn left(&self) -> u64 {
        let under_way = self.admitted - self.released_then;
        self.above.map_or(u64::MAX, |above| above.saturating_sub(under_way))
    }
}

/// Room that was admitted and counts as written until this is dropped, once it is written or will not be.
#[must_use]
#[derive(Default)]
pub(crate) struct Taken {
    reserve: Reserve,
    /// By the place of the file system among those watched.
    bytes: Vec<(usize, u64)>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        for (at, bytes) in &self.bytes {
            if let Some(watched) = self.reserve.0.watched.get(*at) {
                watched.account().released += bytes;
            }
        }
    }
}

/// The parts of the store on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A tier.
    Tier(StorageClass),
    /// The embedded database.
    Database,
}

impl Part {
    /// As metrics and logs call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tier(class) => class.as_str(),
            Self::Database => "database",
        }
    }
}

/// Ends the looking when it is dropped.
pub struct Watching {
    _stop: DropGuard,
}

impl Reserve {
    /// Of these file systems `bytes` are kept free; without a number, the twentieth part, 1 GiB at most. Refuses nothing
    /// before [`Self::watch`].
    pub fn new(parts: Vec<(Part, Arc<dyn Volume>)>, bytes: Option<u64>) -> Self {
        let watched = |(of, volume)| Watched { of, volume, asked: bytes, account: Mutex::default() };
        let watched = parts.into_iter().map(watched).collect();
        Self(Arc::new(All { watched, looking: tokio::sync::Mutex::default() }))
    }

    /// Looks now, and again and again until what it returns is dropped.
    pub async fn watch(&self) -> Watching {
        for watched in &self.0.watched {
            metrics::room(watched.of.as_str(), 0, 0);
        }
        self.look_aside().await;
        let stop = CancellationToken::new();
        let (stopped, reserve) = (stop.clone(), self.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
                reserve.look_aside().await;
            }
        });
        Watching { _stop: stop.drop_guard() }
    }

    /// The file systems as the last look found them.
    pub(crate) fn rooms(&self) -> Vec<VolumeRoom> {
        let seen = |watched: &Watched| {
            let account = watched.account();
            let (DiskRoom { free, total }, reserve) = account.seen?;
            Some(VolumeRoom { name: watched.of.as_str(), free, total, reserve, full: account.short })
        };
        self.0.watched.iter().filter_map(seen).collect()
    }

    /// Looks on a thread that may block, unless another look is under way.
    async fn look_aside(&self) {
        let Ok(_looking) = self.0.looking.try_lock() else { return };
        let reserve = self.clone();
        // It only fails by panicking.
        let _ = tokio::task::spawn_blocking(move || reserve.look()).await;
    }

    /// Blocks.
    fn look(&self) {
        self.0.watched.iter().for_each(Watched::look);
    }

    /// Whether `bytes` more fit on a tier, by what is declared of them: spares a client its upload.
    pub(crate) async fn check(&self, class: StorageClass, bytes: u64) -> Result<()> {
        let wanted = self.wanted(|part| match part {
            Part::Tier(of) if of == class => bytes.max(1),
            Part::Tier(_) => 0,
            Part::Database => METADATA_BYTES,
        });
        self.look_if_near(&wanted).await;
        if wanted.iter().all(|(at, bytes)| self.0.watched[*at].account().left() >= *bytes) {
            Ok(())
        } else {
            Err(Error::Full)
        }
    }

    /// Takes room for `bytes` that are about to be written to a tier.
    pub(crate) async fn take(&self, class: StorageClass, bytes: u64) -> Result<Taken> {
        self.admit(self.wanted(|part| if part == Part::Tier(class) { bytes.max(1) } else { 0 })).await
    }

    /// Takes room for one more version, beside its bytes.
    pub(crate) async fn take_metadata(&self) -> Result<Taken> {
        self.admit(self.wanted(|part| if part == Part::Database { METADATA_BYTES } else { 0 })).await
    }

    /// The file systems of which something is wanted, and how much.
    fn wanted(&self, of: impl Fn(Part) -> u64) -> Vec<(usize, u64)> {
        let parts = self.0.watched.iter().map(|watched| of(watched.of)).enumerate();
        parts.filter(|(_, bytes)| *bytes > 0).collect()
    }

    async fn look_if_near(&self, wanted: &[(usize, u64)]) {
        let near =
            |(at, bytes): &(usize, u64)| self.0.watched[*at].account().left() < bytes.saturating_add(NEAR);
        if wanted.iter().any(near) {
            self.look_aside().await;
        }
    }

    async fn admit(&self, wanted: Vec<(usize, u64)>) -> Result<Taken> {
        self.look_if_near(&wanted).await;
        // Where one of them refuses, the drop gives back what another admitted.
        let mut taken = Taken { reserve: self.clone(), bytes: Vec::with_capacity(wanted.len()) };
        for (at, bytes) in wanted {
            if !self.0.watched[at].admit(bytes) {
                return Err(Error::Full);
            }
            taken.bytes.push((at, bytes));
        }
        Ok(taken)
    }
}

impl Watched {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks.
    fn look(&self) {
        let released = self.account().released;
        if let Some(room) = self.volume.room() {
            self.note(room, released);
        }
    }

    /// `released` is how much was released when the look at `room` began.
    fn note(&self, room: DiskRoom, released: u64) {
        let reserve = bytes_of(room, self.asked);
        let above = room.free.saturating_sub(reserve);
        metrics::room(self.of.as_str(), room.free, reserve);
        let mut account = self.account();
        (account.above, account.released_then) = (Some(above), released);
        account.seen = Some((room, reserve));
        let short = above < METADATA_BYTES;
        if short == std::mem::replace(&mut account.short, short) {
            return;
        }
        drop(account);
        let (volume, free) = (self.of.as_str(), room.free);
        if short {
            tracing::error!(
                volume,
                free,
                reserve,
                "uploads are refused: less is free than the reserve (JUSTSTORAGE_RESERVE_BYTES); deletes and reads go on"
            );
        } else {
            tracing::info!(volume, free, reserve, "there is room for uploads again");
        }
    }

    fn admit(&self, bytes: u64) -> bool {
        let mut account = self.account();
        let fits = account.left() >= bytes;
        if fits {
            account.admitted += bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A file system of 1000 MiB, with so many bytes free.
    struct Fixed(AtomicU64);

    impl Volume for Fixed {
        fn room(&self) -> Option<DiskRoom> {
            Some(DiskRoom { free: self.0.load(Ordering::Relaxed), total: 1000 << 20 })
        }
    }

    fn of(free: u64, bytes: Option<u64>) -> (Reserve, Arc<Fixed>) {
        let volume = Arc::new(Fixed(AtomicU64::new(free)));
        let parts: Vec<(Part, Arc<dyn Volume>)> =
            vec![(Part::Tier(StorageClass::Hot), volume.clone()), (Part::Database, volume.clone())];
        (Reserve::new(parts, bytes), volume)
    }

    /// Admits `count` times `bytes` to the hot tier.
    async fn admitted(reserve: &Reserve, count: usize, bytes: u64) -> Vec<Taken> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(reserve.take(StorageClass::Hot, bytes).await.unwrap());
        }
        all
    }

    #[tokio::test]
    async fn what_is_on_its_way_counts_whatever_a_look_finds() {
        let (reserve, volume) = of(60 << 20, None);
        // Nothing is refused before the first look.
        drop(reserve.take(StorageClass::Hot, 1 << 40).await.unwrap());
        reserve.look();
        // A twentieth is 50 MiB.
        assert!(reserve.check(StorageClass::Hot, 10 << 20).await.is_ok());
        assert!(reserve.check(StorageClass::Hot, (10 << 20) + 1).await.is_err());
        let taken = admitted(&reserve, 10, 1 << 20).await;
        for _ in 0..2 {
            assert!(matches!(reserve.take(StorageClass::Hot, 1).await, Err(Error::Full)));
            // A look finds all 60 MiB free still: nothing of it is written yet.
            reserve.look();
        }
        drop(reserve.take(StorageClass::Cold, 1 << 20).await.expect("another file system"));

        // Half is written, and the database's log has grown by 1 MiB, which no upload had asked for.
        volume.0.store(54 << 20, Ordering::Relaxed);
        drop(taken);
        assert!(reserve.take(StorageClass::Hot, (4 << 20) + 1).await.is_err());
        drop(reserve.take(StorageClass::Hot, 4 << 20).await.unwrap());
    }

    /// What is released while a look is under way may have been written behind its back.
    #[tokio::test]
    async fn what_is_written_during_a_look_is_not_forgotten() {
        let (reserve, volume) = of(60 << 20, None);
        reserve.look();
        let taken = admitted(&reserve, 2, 4 << 20).await;
        let watched = &reserve.0.watched[0];
        let (room, released) = (volume.room().unwrap(), watched.account().released);
        drop(taken);
        watched.note(room, released);
        assert_eq!(watched.account().left(), 2 << 20, "a stale look freed what was written meanwhile");
        watched.look();
        assert_eq!(watched.account().left(), 10 << 20);
    }

    #[tokio::test]
    async fn a_refusal_by_one_file_system_gives_back_what_another_admitted() {
        let (reserve, _) = of((50 << 20) + METADATA_BYTES, None);
        reserve.look();
        let all = reserve.wanted(|part| if part == Part::Database { METADATA_BYTES + 1 } else { 1 });
        assert!(reserve.admit(all).await.is_err());
        reserve.look();
        assert_eq!(reserve.0.watched[0].account().left(), METADATA_BYTES);
    }

    #[tokio::test]
    async fn the_database_has_a_reserve_too() {
        let (reserve, _) = of((5 << 20) + METADATA_BYTES, Some(5 << 20));
        reserve.look();
        let taken = reserve.take_metadata().await.unwrap();
        assert!(reserve.take_metadata().await.is_err());
        drop(taken);
        assert!(reserve.take_metadata().await.is_ok(), "it came to nothing");
        // Even where nothing is to be kept free: what is full is full.
        let (nothing, full) = of(0, Some(0));
        nothing.look();
        assert!(nothing.check(StorageClass::Cold, 0).await.is_err());
        assert!(nothing.check(StorageClass::Hot, 0).await.is_err());
        full.0.store(1 << 20, Ordering::Relaxed);
        assert!(nothing.check(StorageClass::Hot, 1 << 20).await.is_ok());
    }
}
