//! Where in its directory a tier keeps what.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use uuid::Uuid;

use super::blocking::io_error;
use super::mark;
use crate::application::ports::segments::SegmentError;
use crate::domain::blob::SegmentId;
use crate::domain::identity::TierMark;
use crate::infrastructure::durable;
use crate::infrastructure::sync::atomic::{AtomicBool, Ordering};

/// Of files: the owner writes, its group may read (for backups), others see nothing.
pub(super) const FILE_MODE: u32 = 0o640;

const EXTENSION: &str = "seg";

/// The layout of a tier: singles being written in `staging`, everything else in `segments`, spread over 256
/// shelves by the first byte of its name so that no directory grows without bound.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    tier: &'static str,
    /// What the root must carry, once that is known.
    mark: OnceLock<TierMark>,
    /// Which shelves this process knows to exist durably.
    shelves: [AtomicBool; 256],
}

impl Directory {
    pub(super) fn open(root: PathBuf, tier: &'static str) -> Result<Self, SegmentError> {
        let directory = Self::at(root, tier);
        directory.make_directories()?;
        Ok(directory)
    }

    /// The tier in `root`, of which nothing is made yet.
    pub(super) fn at(root: PathBuf, tier: &'static str) -> Self {
        let shelves = std::array::from_fn(|_| AtomicBool::new(false));
        Self { root, tier, mark: OnceLock::new(), shelves }
    }

    fn make_directories(&self) -> Result<(), SegmentError> {
        durable::create_directory(&self.staging())
            .and_then(|()| durable::create_directory(&self.segments()))
            .map_err(|error| self.error("create the tier's directories", error))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the root itself. Blocks.
    pub(super) fn make_root(&self) -> Result<(), SegmentError> {
        durable::create_directory(&self.root).map_err(|error| self.error("create the tier's root", error))
    }

    /// From now on the root must carry `mark`. Makes the directories in it. Blocks.
    pub(super) fn enter(&self, mark: TierMark) -> Result<(), SegmentError> {
        mark::verify(&self.root, &mark)?;
        // A second entry is by the same mark, or the root would have to carry two.
        let _ = self.mark.set(mark);
        durable::remove_drafts(&self.root.join(mark::NAME))
            .map_err(|error| self.error("tidy the tier's root", error))?;
        self.make_directories()
    }

    /// Fails if the root does not carry the mark that it must. Blocks.
    pub(super) fn identify(&self) -> Result<(), SegmentError> {
        self.mark.get().map_or(Ok(()), |mark| mark::verify(&self.root, mark))
    }

    /// Creates a file in `staging`. If somebody removed that directory, it is made again. Blocks.
    pub(super) fn create_staged(&self, path: &Path) -> io::Result<File> {
        match durable::create_file(path, FILE_MODE) {
            // Not where another root is in this one's place.
            Err(error) if error.kind() == ErrorKind::NotFound && self.identify().is_ok() => {
                durable::create_directory(&self.staging())?;
                durable::create_file(path, FILE_MODE)
            }
            created => created,
        }
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    pub(super) fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    /// Where a single is while it is being written.
    pub(super) fn staged(&self, id: SegmentId) -> PathBuf {
        self.staging().join(id.to_string())
    }

    /// Where every other segment is.
    pub(super) fn settled(&self, id: SegmentId) -> PathBuf {
        let first = id.0.as_bytes()[0];
        self.segments().join(format!("{first:02x}")).join(format!("{id}.{EXTENSION}"))
    }

    /// As [`Self::settled`], and makes sure, durably, that its shelf is there. Blocks.
    pub(super) fn make_room(&self, id: SegmentId) -> io::Result<PathBuf> {
        let path = self.settled(id);
        let known = &self.shelves[usize::from(id.0.as_bytes()[0])];
        if !known.load(Ordering::Acquire) {
            // A new shelf in another root would hide that it is another one.
            self.identify().map_err(io::Error::other)?;
            if let Some(parent) = path.parent() {
                durable::create_directory(parent)?;
            }
            known.store(true, Ordering::Release);
        }
        Ok(path)
    }

    /// Opens a settled segment. Blocks.
    pub(super) fn open_settled(&self, id: SegmentId, writable: bool) -> Result<File, SegmentError> {
        File::options().read(true).write(writable).open(self.settled(id)).map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                SegmentError::Missing(id)
            } else {
                self.error("open a segment", error)
            }
        })
    }

    /// The segment that a file's path names, if it names one.
    pub(super) fn named_by(path: &Path) -> Option<SegmentId> {
        let extension = path.extension().map(|extension| extension == EXTENSION);
        let name = if extension.unwrap_or(true) { path.file_stem()? } else { return None };
        name.to_str().and_then(|name| Uuid::try_parse(name).ok()).map(SegmentId)
    }

    /// Sorts what the operating system said while writing.
    pub(super) fn error(&self, action: &'static str, error: io::Error) -> SegmentError {
        // The tier's own verdict about itself.
        if let Some(verdict) = error.get_ref().and_then(|inner| inner.downcast_ref::<SegmentError>()) {
            return verdict.clone();
        }
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SegmentError::Full(self.tier),
            _ => io_error(action, error),
        }
    }
}
