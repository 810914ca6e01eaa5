//! Pages on the local disk: one file of slots, one that says what lies in them, and a lock.
//!
//! Both files have their full length from the beginning and take room as slots are filled, so that they never grow beyond
//! what the setting allows, and what a killed process left is used by the next one.

mod index;
mod slots;

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::fs::FallocateFlags;

use self::slots::{Content, Slots};
use super::super::blocking::{Wait, read_at};
use super::page::{PAGE, PageKey};
use crate::application::metrics::read_cache as meters;
use crate::application::reserve;
use crate::domain::blob::SegmentId;
use crate::infrastructure::volume;

/// Bytes that a slot takes in both files.
const SLOT_BYTES: u64 = PAGE + index::ENTRY as u64;

/// How long nothing is written after a write that failed, and between two warnings.
const PAUSE: Duration = Duration::from_secs(30);

/// How long a look at the free room of the disk holds.
const ROOM_HOLDS: Duration = Duration::from_secs(1);

/// Slots that are given back at a time where the disk is short of room: 64 MiB.
const GIVEN_BACK: usize = 1024;

/// Why there is no cache on the disk.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The operator has to change something.
    Setting(String),
    /// The disk cannot just now.
    Disk(io::Error),
}

/// Where a page lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    slot: u32,
    content: Content,
}

impl Found {
    pub(super) fn key(&self) -> PageKey {
        self.content.key
    }
}

/// What came of reading a page.
#[derive(Debug)]
pub(super) enum Read {
    Page(Bytes),
    /// The page cache of the system lacks it: ask again on a thread that may wait.
    WouldWait,
    /// It is not there any more, or not as it was written.
    Lost,
}

#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    pages: File,
    index: File,
    slots: Mutex<Slots>,
    /// The reserve of uploads, if the operator asked for one.
    reserve: Option<u64>,
    /// When the free room was looked at.
    looked: Mutex<Option<Instant>>,
    /// Whether the file system has room for another slot.
    has_room: AtomicBool,
    /// Whether so little is free that some has to be given back.
    is_short: AtomicBool,
    /// Until when nothing is written.
    paused: Mutex<Option<Instant>>,
    /// Whether room can be given back to the file system.
    can_give_back: AtomicBool,
    _lock: File,
}

impl Disk {
    /// A cache of at most `bytes` in `directory`, with what the last process left there. `reserve`: what uploads leave free of
    /// its file system, if the operator asked for so many bytes.
    pub(super) fn open(directory: &Path, bytes: u64, reserve: Option<u64>) -> Result<Self, Refusal> {
        let within = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| refusal(&path, error)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(within(directory))?;
        let file = |name: &str| {
            let path = directory.join(name);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options.open(&path).map_err(within(&path))
        };
        let lock = file("lock")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format!("{} is in use by another process", directory.display());
                return Err(Refusal::Setting(why));
            }
            Err(TryLockError::Error(error)) => return Err(Refusal::Disk(error)),
        }
        let count = bytes.saturating_sub(index::HEADER as u64) / SLOT_BYTES;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let (pages, index) = (file("pages")?, file("index")?);
        let contents = index::load(&index, count).map_err(Refusal::Disk)?;
        pages.set_len(u64::from(count) * PAGE).map_err(Refusal::Disk)?;
        let disk = Self {
            directory: directory.to_owned(),
            pages,
            index,
            slots: Mutex::new(Slots::new(contents)),
            reserve,
            looked: Mutex::default(),
            has_room: AtomicBool::new(true),
            is_short: AtomicBool::new(false),
            paused: Mutex::default(),
            can_give_back: AtomicBool::new(true),
            _lock: lock,
        };
        disk.look_for_room(true);
        disk.show();
        Ok(disk)
    }

    /// Where a page lies; it counts as asked for.
    pub(super) fn find(&self, key: PageKey) -> Option<Found> {
        self.slots().find(key).map(|(slot, content)| Found { slot, content })
    }

    /// Reads and checks a page. One that is damaged is dropped and counted.
    pub(super) fn read(&self, found: &Found, wait: Wait) -> Read {
        let Found { slot, content } = found;
        let read = read_at(&self.pages, content.length as usize, u64::from(*slot) * PAGE, wait);
        match read {
            Ok(page) if index::sum_of(content.key, &page) == content.sum => Read::Page(page.into()),
            // Another page may have taken the slot meanwhile.
            Ok(_) if !self.slots().holds(*slot, content) => Read::Lost,
            Ok(_) => {
                meters::damaged();
                let PageKey { segment, number } = content.key;
                tracing::warn!(
                    %segment, page = number, directory = %self.directory.display(),
                    "an entry of the read cache is damaged; it is fetched again"
                );
                self.drop_page(content.key);
                Read::Lost
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && wait == Wait::No => Read::WouldWait,
            Err(error) => {
                self.failed("read", &error);
                self.drop_page(content.key);
                Read::Lost
            }
        }
    }

    /// Whether a page should be written; it counts as asked for.
    pub(super) fn wants(&self, key: PageKey) -> bool {
        let room = self.has_room.load(Ordering::Relaxed);
        self.slots().wants(key, room) && !self.is_paused()
    }

    /// Writes a page. Blocks; for one caller at a time.
    pub(super) fn write(&self, key: PageKey, page: &[u8]) {
        if self.is_paused() {
            return;
        }
        let room = self.look_for_room(false);
        let mut slots = self.slots();
        // Those who asked at the same time offered it twice.
        let taken = if slots.has(key) { None } else { slots.take(room) };
        drop(slots);
        let Some(taken) = taken else { return };
        if taken.evicted {
            meters::evicted("disk", 1);
        }
        let length = u32::try_from(page.len()).unwrap_or(u32::MAX);
        let content = Content { key, length, sum: index::sum_of(key, page) };
        let write = || {
            // Emptied first: a process that is killed in between leaves no entry of a page that is not there.
            index::store(&self.index, taken.slot, None)?;
            self.pages.write_all_at(page, u64::from(taken.slot) * PAGE)?;
            index::store(&self.index, taken.slot, Some(&content))
        };
        match write() {
            Ok(()) => self.slots().fill(taken.slot, content),
            Err(error) => {
                self.slots().put_back(taken);
                *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
                self.failed("write", &error);
            }
        }
    }

    /// Drops a page.
    pub(super) fn drop_page(&self, key: PageKey) {
        let slot = self.slots().remove(key);
        self.empty(slot);
    }

    /// Drops all pages of `segments`. Blocks.
    pub(super) fn forget(&self, segments: &HashSet<SegmentId>) {
        let slots = self.slots().forget(segments);
        self.empty(slots);
        self.show();
    }

    /// Gives room back if the file system is short of it. Blocks.
    pub(super) fn keep_room(&self) {
        self.look_for_room(true);
        if self.is_short.load(Ordering::Relaxed) && self.can_give_back.load(Ordering::Relaxed) {
            let given = self.slots().give_back(GIVEN_BACK);
            meters::evicted("disk", given.len());
            for slot in &given {
                let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                if let Err(error) = rustix::fs::fallocate(&self.pages, hole, u64::from(*slot) * PAGE, PAGE) {
                    self.can_give_back.store(false, Ordering::Relaxed);
                    tracing::warn!(%error, "the read cache cannot give room back to its file system");
                    break;
                }
            }
            self.empty(given);
        }
        self.show();
    }

    fn empty(&self, slots: impl IntoIterator<Item = u32>) {
        for slot in slots {
            // An entry that stays does no harm: its page may be there, or does not match its CRC.
            let _ = index::store(&self.index, slot, None);
        }
    }

    /// Whether the file system has room for another slot. Twice the reserve of uploads is left free, so that no upload is
    /// refused because of what is cached; a little more before the next slot is filled.
    fn look_for_room(&self, now: bool) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if now || looked.is_none_or(|at| at.elapsed() > ROOM_HOLDS) {
            *looked = Some(Instant::now());
            // What cannot be looked at has none, and gives none back.
            let (left, free) = volume::room(&self.directory)
                .map_or((0, 0), |room| (2 * reserve::bytes_of(room, self.reserve), room.free));
            self.has_room.store(free > left.saturating_add(left / 8), Ordering::Relaxed);
            self.is_short.store(free < left, Ordering::Relaxed);
        }
        self.has_room.load(Ordering::Relaxed)
    }

    fn is_paused(&self) -> bool {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_some_and(|until| until <= Instant::now()) {
            *paused = None;
        }
        paused.is_some()
    }

    fn failed(&self, operation: &'static str, error: &io::Error) {
        meters::disk_failed(operation);
        tracing::warn!(
            %error, operation, directory = %self.directory.display(),
            "the read cache's disk failed; reads go on without it"
        );
    }

    fn show(&self) {
        meters::bytes("disk", self.slots().filled() as u64 * PAGE);
        meters::disk_usable(!self.is_paused());
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an error while opening means: a disk that is full or broken may be well again, anything else is a mistake.
fn refusal(path: &str, error: io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::NotFound
        | ErrorKind::ReadOnlyFilesystem => Refusal::Setting(format!("cannot use {path}: {error}")),
        _ => Refusal::Disk(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> PageKey {
        PageKey { segment: SegmentId(uuid::Uuid::from_u128(3)), number }
    }

    fn read(disk: &Disk, number: u32) -> Option<Bytes> {
        match disk.read(&disk.find(key(number))?, Wait::Yes) {
            Read::Page(page) => Some(page),
            Read::WouldWait | Read::Lost => None,
        }
    }

    /// A page is checked when it is read, and one that does not match is gone.
    #[test]
    fn a_damaged_page_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), 1 << 20, Some(0)).unwrap();
        for number in 0..3 {
            disk.write(key(number), &[7; 1000]);
        }
        assert_eq!(read(&disk, 1).unwrap(), [7; 1000].as_slice());
        disk.pages.write_all_at(&[8], PAGE + 500).unwrap();
        assert_eq!(read(&disk, 1), None);
        assert!(disk.find(key(1)).is_none(), "it would be read again");
        assert_eq!(read(&disk, 2).unwrap(), [7; 1000].as_slice());
        disk.write(key(1), &[7; 1000]);
        assert_eq!(read(&disk, 1).unwrap(), [7; 1000].as_slice());
    }

    /// A page whose slot is taken by another while it is read is no damage.
    #[test]
    fn a_page_that_gave_way_is_lost_and_not_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), 1 << 20, Some(0)).unwrap();
        disk.write(key(1), &[7; 1000]);
        let found = disk.find(key(1)).unwrap();
        disk.drop_page(key(1));
        disk.write(key(2), &[9; 1000]);
        assert!(matches!(disk.read(&found, Wait::Yes), Read::Lost));
        assert_eq!(read(&disk, 2).unwrap(), [9; 1000].as_slice());
    }

    /// After a write that failed nothing is written for a while, and what is there is read.
    #[test]
    fn a_disk_that_fails_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = Disk::open(directory.path(), 1 << 20, Some(0)).unwrap();
        disk.write(key(1), &[7; 1000]);
        let writable =
            std::mem::replace(&mut disk.index, File::open(directory.path().join("index")).unwrap());
        disk.write(key(2), &[7; 1000]);
        assert_eq!(read(&disk, 2), None);
        assert!(disk.is_paused() && !disk.wants(key(2)));
        disk.index = writable;
        disk.write(key(2), &[7; 1000]);
        assert_eq!(read(&disk, 2), None, "it is not written to yet");
        assert_eq!(read(&disk, 1).unwrap(), [7; 1000].as_slice());
        disk.paused = Mutex::default();
        disk.write(key(2), &[7; 1000]);
        assert_eq!(read(&disk, 2).unwrap(), [7; 1000].as_slice());
    }
}
