//! Room beside an embedded database that no other program can take: a file of real blocks.
//!
//! A delete writes before it gives back, and so does an open: on a disk without a free byte neither could. When SQLite
//! finds no room, a piece of the file is given up and the transaction tried again. Once there is room the file is made
//! whole again; until then no upload is let in.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FallocateFlags;

use crate::application::ports::volume::{DiskRoom, Volume};
use crate::infrastructure::volume::room;

/// Its size, in bytes: on a small file system a part of the whole.
const BYTES_MAX: u64 = 16 << 20;
const PART: u64 = 32;

/// It is given up in so many pieces, in bytes at least, so that there is some left for the next time.
const PIECES: u64 = 16;
const PIECE_MIN: u64 = 128 << 10;

/// Less is not enough to open a database with: its log and that one's index are made then.
const STARVED: u64 = 128 << 10;

/// The file, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
    /// Whether it was said that it cannot be made.
    failed: AtomicBool,
}

impl Ballast {
    /// Beside the database file `database`.
    pub(crate) fn beside(database: &Path) -> Self {
        let mut name = database.file_name().unwrap_or_default().to_os_string();
        name.push("-reserve");
        Self { path: database.with_file_name(name), failed: AtomicBool::new(false) }
    }

    fn room(&self) -> io::Result<DiskRoom> {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => room(parent),
            _ => room(Path::new(".")),
        }
    }

    fn length(&self) -> u64 {
        self.path.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Whether there is too little room to do anything.
    pub(crate) fn is_starved(&self) -> bool {
        self.room().is_ok_and(|room| room.free < STARVED)
    }

    /// Gives up a piece. Whether there was one.
    pub(crate) fn release(&self) -> bool {
        let length = self.length();
        if length == 0 {
            return false;
        }
        let piece = (length / PIECES).max(PIECE_MIN);
        let cut = OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|file| file.set_len(length.saturating_sub(piece)));
        match cut {
            Ok(()) => {
                let left = length.saturating_sub(piece);
                tracing::error!(
                    left,
                    "the disk of the database is full: room was taken from {}; free some, or delete objects",
                    self.path.display()
                );
                true
            }
            Err(error) => {
                tracing::error!(%error, "cannot release the room kept for a full disk: {}", self.path.display());
                false
            }
        }
    }

    /// Gives up as much as opening the database takes, if there is no other room.
    pub(crate) fn make_room_to_open(&self) {
        while self.is_starved() && self.release() {}
    }

    /// Makes the file whole if there is room for it and as much again. Whether it is whole; also if it cannot be made at
    /// all for another reason, which is said once.
    fn keep(&self, room: DiskRoom) -> bool {
        // Whole blocks.
        let wanted = (room.total / PART).min(BYTES_MAX) & !4095;
        let length = self.length();
        if length >= wanted {
            return true;
        }
        if room.free < (wanted - length).saturating_add(wanted).saturating_add(STARVED) {
            return false;
        }
        match self.fill(length, wanted) {
            Ok(()) => true,
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => false,
            Err(error) => {
                if !self.failed.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "no room can be kept back for a full disk: {}", self.path.display());
                }
                true
            }
        }
    }

    fn fill(&self, from: u64, to: u64) -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        let filled = match rustix::fs::fallocate(&file, FallocateFlags::empty(), from, to - from) {
            Ok(()) => Ok(()),
            // Not everywhere can blocks be had without writing them.
            Err(rustix::io::Errno::OPNOTSUPP) => write_noise(&file, to - from),
            Err(error) => Err(error.into()),
        };
        if filled.is_err() {
            // The blocks filled so far are given back: half a reserve is none.
            let _ = file.set_len(from);
        }
        filled.and_then(|()| file.sync_all())
    }
}

/// Bytes that no file system stores in less room than they have.
fn write_noise(mut file: &File, mut length: u64) -> io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    while length > 0 {
        getrandom::fill(&mut chunk).map_err(io::Error::other)?;
        let size = length.min(chunk.len() as u64);
        file.write_all(&chunk[..usize::try_from(size).unwrap_or(chunk.len())])?;
        length -= size;
    }
    Ok(())
}

/// The database's file system: without room for anything new while the file beside it is not whole.
impl Volume for Ballast {
    fn room(&self) -> Option<DiskRoom> {
        let room = Ballast::room(self).ok()?;
        let free = if self.keep(room) { room.free } else { 0 };
        Some(DiskRoom { free, ..room })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn it_is_of_real_blocks_given_up_piece_by_piece_and_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::beside(&folder.path().join("metadata.db"));
        assert!(!ballast.release(), "there is nothing to give up");
        let room = DiskRoom { free: 1 << 30, total: 64 << 20 };
        assert!(ballast.keep(room));
        let file = folder.path().join("metadata.db-reserve");
        let blocks = || file.metadata().unwrap().blocks() * 512;
        assert_eq!(ballast.length(), 2 << 20);
        assert!(blocks() >= 2 << 20, "{} bytes of blocks", blocks());
        let mut pieces = 0;
        while ballast.release() {
            pieces += 1;
        }
        assert_eq!((pieces, ballast.length()), (16, 0));
        assert!(!ballast.keep(DiskRoom { free: 4 << 20, ..room }), "it would take the last room");
        assert!(ballast.keep(room));
        assert_eq!(ballast.length(), 2 << 20);
    }

    #[test]
    fn noise_fills_blocks_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("noise")).unwrap();
        write_noise(&file, 100_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 100_000);
    }
}
