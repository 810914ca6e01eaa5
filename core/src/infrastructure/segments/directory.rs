//! Where in its directory a tier keeps what.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use super::blocking::{io_error, read_error};
use super::mark;
use crate::application::ports::segments::SegmentError;
use crate::domain::blob::SegmentId;
use crate::domain::identity::TierMark;
use crate::infrastructure::durable;
use crate::infrastructure::sync::atomic::{AtomicBool, Ordering};

const EXTENSION: &str = "seg";

/// The directories in a root.
pub(super) const COMMITS: &str = "commits";
pub(super) const SERVERS: &str = "servers";
const STAGING: &str = "staging";
const SEGMENTS: &str = "segments";

/// The layout of a tier: singles being written in `staging`, everything else in `segments`, spread over 256
/// shelves by the first byte of its name so that no directory grows without bound. Notes about commits are in `commits`.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    tier: &'static str,
    /// The mark that the root must carry, once that is known.
    mark: OnceLock<TierMark>,
    /// The root as it was opened: another one at its path is another file system, mounted or no longer mounted there.
    opened: OnceLock<FileIdentity>,
    /// Which shelves this process knows to exist durably.
    shelves: [AtomicBool; 256],
}

impl Directory {
    pub(super) fn open(root: PathBuf, tier: &'static str) -> Result<Self, SegmentError> {
        let directory = Self::at(root, tier);
        directory.make_root()?;
        directory.make_directories()?;
        Ok(directory)
    }

    /// The tier in `root`, of which nothing is made yet.
    pub(super) fn at(root: PathBuf, tier: &'static str) -> Self {
        let shelves = std::array::from_fn(|_| AtomicBool::new(false));
        Self { root, tier, mark: OnceLock::new(), opened: OnceLock::new(), shelves }
    }

    /// Notes which directory the root is, and makes the ones in it.
    fn make_directories(&self) -> Result<(), SegmentError> {
        let made = std::fs::metadata(&self.root).and_then(|root| {
            // The first is the one that was opened.
            let _ = self.opened.set(FileIdentity::of(&root));
            self.make_below(&[STAGING])?;
            self.make_below(&[SEGMENTS])
        });
        made.map_err(|error| self.error("create the tier's directories", error))
    }

    /// Makes the directory at `names`, one below the other, in the root, durably. Blocks.
    ///
    /// It is made in the directory that was opened, or that carries the mark, and in no other. So each step goes by an
    /// open directory and not by a path: what a path names may change after any check.
    pub(super) fn make_below(&self, names: &[&str]) -> io::Result<()> {
        let mut at = File::open(&self.root)?;
        let held = FileIdentity::of(&at.metadata()?);
        if self.opened.get().is_some_and(|opened| *opened != held) {
            // Mounted again it may be another device: then its mark counts.
            self.identify().map_err(io::Error::other)?;
            if FileIdentity::of(&std::fs::metadata(&self.root)?) != held {
                return Err(ErrorKind::NotFound.into());
            }
        }
        let mut path = self.root.clone();
        let Some((last, above)) = names.split_last() else { return Ok(()) };
        for name in above {
            // The directories above were durable when the tier was opened, unless they were removed since.
            at = match durable::open_directory_in(&at, name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    durable::create_directory_in(&at, &path, name)?
                }
                opened => opened?,
            };
            path.push(name);
        }
        durable::create_directory_in(&at, &path, last).map(drop)
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

    /// Fails if the root does not carry the mark that it must; where none is known, if it is not the directory that was
    /// opened. Blocks.
    pub(super) fn identify(&self) -> Result<(), SegmentError> {
        match (self.mark.get(), self.opened.get()) {
            (Some(mark), _) => mark::verify(&self.root, mark),
            (None, None) => Ok(()),
            (None, Some(_)) if self.is_where_it_was() => Ok(()),
            (None, Some(_)) => Err(self.vanished("the tier's root is not the directory that was opened")),
        }
    }

    fn is_where_it_was(&self) -> bool {
        std::fs::metadata(&self.root).is_ok_and(|root| self.opened.get() == Some(&FileIdentity::of(&root)))
    }

    /// Creates a file in `staging`. If that directory was removed, it is made again. Blocks.
    pub(super) fn create_staged(&self, path: &Path) -> io::Result<File> {
        match durable::create_file(path, durable::FILE_MODE) {
            // Not where another root is in this one's place.
            Err(error) if error.kind() == ErrorKind::NotFound && self.identify().is_ok() => {
                self.make_below(&[STAGING])?;
                durable::create_file(path, durable::FILE_MODE)
            }
            created => created,
        }
    }

    /// Fails unless the root is still the directory that was opened. Nothing is made in a directory that a file system
    /// was mounted over, or was unmounted from: bytes there are out of sight once that is undone. Blocks.
    pub(super) fn still_here(&self) -> Result<(), SegmentError> {
        // Mounted again it may be another device: then its mark counts.
        if self.is_where_it_was() { Ok(()) } else { self.identify() }
    }

    /// Fails unless `path` still names `file`, which was just made durable. Blocks.
    pub(super) fn still_named(&self, file: &File, path: &Path) -> Result<(), SegmentError> {
        let opened = file.metadata().map_err(|error| self.error("look at a segment", error))?;
        match std::fs::metadata(path) {
            Ok(named) if opened.nlink() > 0 && FileIdentity::of(&named) == FileIdentity::of(&opened) => {
                Ok(())
            }
            Ok(_) => Err(self.vanished("the segment's name stands for another file")),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(self.vanished("the segment's file was removed"))
            }
            Err(error) => Err(self.error("look at a segment", error)),
        }
    }

    /// The written bytes are not where they would be looked for.
    fn vanished(&self, what: &'static str) -> SegmentError {
        let source =
            Arc::new(io::Error::other(format!("{what} ({} tier, {})", self.tier, self.root.display())));
        let advice = "was the tier unmounted, or a directory in it removed? Put it back, and restart the server if it \
                      stays like this";
        SegmentError::Unavailable { action: "write to a segment", source, advice }
    }

    pub(super) fn commit_notes(&self) -> PathBuf {
        self.root.join(COMMITS)
    }

    pub(super) fn server_notes(&self) -> PathBuf {
        self.root.join(SERVERS)
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    pub(super) fn segments(&self) -> PathBuf {
        self.root.join(SEGMENTS)
    }

    /// Where a single is while it is being written.
    pub(super) fn staged(&self, id: SegmentId) -> PathBuf {
        self.staging().join(id.to_string())
    }

    /// Where every other segment is.
    pub(super) fn settled(&self, id: SegmentId) -> PathBuf {
        self.segments().join(shelf_of(id)).join(format!("{id}.{EXTENSION}"))
    }

    /// As [`Self::settled`], and makes sure, durably, that its shelf is there. Blocks.
    pub(super) fn make_room(&self, id: SegmentId) -> io::Result<PathBuf> {
        let path = self.settled(id);
        let known = &self.shelves[usize::from(id.0.as_bytes()[0])];
        // It may have been removed since: the next segment makes it again.
        let shelf = path.parent().filter(|shelf| !known.load(Ordering::Acquire) || !shelf.is_dir());
        if shelf.is_some() {
            self.make_below(&[SEGMENTS, &shelf_of(id)])?;
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
                read_error(id, "open a segment", error)
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

/// The name of the shelf that a segment stands on.
fn shelf_of(id: SegmentId) -> String {
    format!("{:02x}", id.0.as_bytes()[0])
}

/// Which file or directory it is, whatever its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic;

    use super::*;
    use crate::infrastructure::watch::{DurableStep, Watch, Watcher};

    /// Puts an empty directory in a root's place just before a directory is made in the root.
    struct Unmounts {
        root: PathBuf,
        done: atomic::AtomicBool,
    }

    impl Watcher for Unmounts {
        fn before(&self, step: &DurableStep<'_>) -> io::Result<u64> {
            let inside = matches!(step, DurableStep::CreateDirectory(path) if path.starts_with(&self.root));
            if inside && !self.done.swap(true, atomic::Ordering::SeqCst) {
                std::fs::rename(&self.root, self.root.with_extension("away"))?;
                std::fs::create_dir(&self.root)?;
            }
            Ok(0)
        }

        fn after(&self, _step: &DurableStep<'_>, _number: u64) {}
    }

    /// A root that goes away at the worst moment: nothing is made in the directory that is in its place.
    #[test]
    fn nothing_is_made_in_another_root() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let make: [fn(&Directory); 4] = [
            |directory| drop(super::super::notes::write(directory, Uuid::nil(), 1)),
            |directory| drop(super::super::notes::write_server(directory, Uuid::nil(), Uuid::nil())),
            |directory| drop(directory.make_room(SegmentId(Uuid::nil()))),
            |directory| {
                std::fs::remove_dir(directory.staging()).unwrap();
                drop(directory.create_staged(&directory.staged(SegmentId(Uuid::nil()))));
            },
        ];
        for (case, make) in make.into_iter().enumerate() {
            let place = tempfile::tempdir().unwrap();
            let root = place.path().join("root");
            let directory = Directory::open(root.clone(), "hot").unwrap();
            let unmounts = Arc::new(Unmounts { root: root.clone(), done: false.into() });
            let watch = Watch::begin(unmounts.clone());
            make(&directory);
            drop(watch);
            assert!(unmounts.done.load(atomic::Ordering::SeqCst), "{case}: no directory was made");
            assert_eq!(
                std::fs::read_dir(&root).unwrap().count(),
                0,
                "{case}: something was made in the other root"
            );
        }
    }
}
