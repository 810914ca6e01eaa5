//! Room that uploads leave free, so that a full disk can be emptied: deletes, garbage collection, compaction and the next
//! start write a little before they give anything back.
//!
//! Each file system is looked at four times a second. Between two looks every admitted byte counts as written, so a burst
//! passes the reserve by no more than the bodies in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::application::error::{Error, Result};
use crate::application::metrics;
use crate::application::ports::volume::{Room, Volume};
use crate::domain::storage_class::StorageClass;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// Most that is kept free unless the operator says otherwise, in bytes; and which part of a small file system.
const BYTES_MAX: u64 = 1 << 30;
const PART: u64 = 20;

/// What the database is taken to need for one more version, in bytes: a few pages, in its log and in its file.
const METADATA_BYTES: u64 = 32 << 10;

/// What is kept free, and whether there is more. Cheap to clone; all clones count together.
#[derive(Clone, Default)]
pub struct Reserve {
    /// The hot tier's, the cold tier's, the database's: each may be the same file system as another.
    watched: Arc<Vec<Watched>>,
}

/// One file system.
struct Watched {
    of: Part,
    volume: Arc<dyn Volume>,
    /// As the operator says.
    asked: Option<u64>,
    /// What may still be written until the next look.
    left: AtomicU64,
    /// Whether it was said that there is too little.
    short: AtomicBool,
}

/// What of the store lies on a file system.
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
        let watched = |(of, volume)| Watched {
            of,
            volume,
            asked: bytes,
            left: AtomicU64::new(u64::MAX),
            short: AtomicBool::new(false),
        };
        Self { watched: Arc::new(parts.into_iter().map(watched).collect()) }
    }

    /// Looks now, and again and again until what it returns is dropped.
    pub async fn watch(&self) -> Watching {
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

    async fn look_aside(&self) {
        let reserve = self.clone();
        // It only fails by panicking.
        let _ = tokio::task::spawn_blocking(move || reserve.look()).await;
    }

    /// Blocks.
    fn look(&self) {
        for watched in self.watched.iter() {
            let Some(room) = watched.volume.room() else { continue };
            watched.note(room);
        }
    }

    /// Whether `bytes` more fit on a tier, by what is declared of them: spares a client its upload.
    pub(crate) fn check(&self, class: StorageClass, bytes: u64) -> Result<()> {
        self.each(class, |watched, tier| watched.has(if tier { bytes } else { METADATA_BYTES }))
    }

    /// Takes room for `bytes` that are about to be written to a tier.
    pub(crate) fn take(&self, class: StorageClass, bytes: u64) -> Result<()> {
        self.each(class, |watched, tier| !tier || watched.take(bytes))
    }

    /// Takes room for one more version, which brings no bytes.
    pub(crate) fn take_metadata(&self) -> Result<()> {
        let mut database = self.watched.iter().filter(|watched| watched.of == Part::Database);
        if database.all(|watched| watched.take(METADATA_BYTES)) { Ok(()) } else { Err(Error::Full) }
    }

    /// Asks the tier's file system (with `true`) and the database's.
    fn each(&self, class: StorageClass, fits: impl Fn(&Watched, bool) -> bool) -> Result<()> {
        let concerned = self.watched.iter().filter(|watched| match watched.of {
            Part::Tier(of) => of == class,
            Part::Database => true,
        });
        for watched in concerned {
            if !fits(watched, matches!(watched.of, Part::Tier(_))) {
                return Err(Error::Full);
            }
        }
        Ok(())
    }
}

impl Watched {
    fn note(&self, room: Room) {
        let reserve = self.asked.unwrap_or((room.total / PART).min(BYTES_MAX));
        let left = room.free.saturating_sub(reserve);
        self.left.store(left, Ordering::Relaxed);
        metrics::room(self.of.as_str(), room.free, reserve);
        let short = left < METADATA_BYTES;
        if short != self.short.swap(short, Ordering::Relaxed) {
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
    }

    fn has(&self, bytes: u64) -> bool {
        self.left.load(Ordering::Relaxed) >= bytes.max(1)
    }

    fn take(&self, bytes: u64) -> bool {
        let take = |left: u64| match left {
            // Nothing is known of this one.
            u64::MAX => Some(left),
            _ => left.checked_sub(bytes.max(1)),
        };
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A file system of 1000 MiB, with so many bytes free.
    struct Fixed(AtomicU64);

    impl Volume for Fixed {
        fn room(&self) -> Option<Room> {
            Some(Room { free: self.0.load(Ordering::Relaxed), total: 1000 << 20 })
        }
    }

    fn of(free: u64, bytes: Option<u64>) -> (Reserve, Arc<Fixed>) {
        let volume = Arc::new(Fixed(AtomicU64::new(free)));
        let parts: Vec<(Part, Arc<dyn Volume>)> =
            vec![(Part::Tier(StorageClass::Hot), volume.clone()), (Part::Database, volume.clone())];
        (Reserve::new(parts, bytes), volume)
    }

    #[test]
    fn a_burst_between_two_looks_does_not_pass_the_reserve() {
        let (reserve, volume) = of(60 << 20, None);
        // Nothing is refused before the first look.
        assert!(reserve.take(StorageClass::Hot, 1 << 40).is_ok());
        reserve.look();
        // A twentieth is 50 MiB.
        assert!(reserve.check(StorageClass::Hot, 10 << 20).is_ok());
        assert!(reserve.check(StorageClass::Hot, (10 << 20) + 1).is_err());
        for _ in 0..10 {
            reserve.take(StorageClass::Hot, 1 << 20).unwrap();
        }
        assert!(matches!(reserve.take(StorageClass::Hot, 1), Err(Error::Full)));
        assert!(reserve.take(StorageClass::Cold, 1 << 20).is_ok(), "another file system");
        volume.0.store(55 << 20, Ordering::Relaxed);
        reserve.look();
        assert!(reserve.take(StorageClass::Hot, 5 << 20).is_ok());
        assert!(reserve.take(StorageClass::Hot, 1).is_err());
    }

    #[test]
    fn the_database_has_a_reserve_too() {
        let (reserve, volume) = of((5 << 20) + METADATA_BYTES, Some(5 << 20));
        reserve.look();
        assert!(reserve.take_metadata().is_ok());
        assert!(reserve.take_metadata().is_err());
        // Even where nothing is to be kept free: what is full is full.
        let (nothing, full) = of(0, Some(0));
        nothing.look();
        assert!(nothing.check(StorageClass::Cold, 0).is_err());
        full.0.store(1 << 20, Ordering::Relaxed);
        nothing.look();
        assert!(nothing.check(StorageClass::Hot, 1 << 20).is_ok());
        volume.0.store(0, Ordering::Relaxed);
    }
}
