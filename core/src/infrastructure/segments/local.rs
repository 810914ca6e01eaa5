//! A tier in a local directory.

use std::fs::ReadDir;
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use uuid::Uuid;

use super::blocking::{Wait, blocking};
use super::buffers::Memory;
use super::directory::Directory;
use super::handles::{Handle, Handles};
use super::mark;
use super::notes;
use super::pack::LocalPack;
use super::reader::{self, ReadPosition, Stop, Stretch};
use super::single::LocalSingle;
use super::walk;

use crate::application::ports::segments::{
    DomainTag, FoundRecord, Mended, PackWriter, Presence, ReadRequest, Salvaged, SegmentError, SegmentStore,
    SingleWriter,
};
use crate::domain::blob::SegmentId;
use crate::domain::identity::TierMark;
use crate::infrastructure::durable;

/// Between two notes of how many commits are durable: a writer that is killed may leave one that is so much older.
const NOTE_PACE: Duration = Duration::from_millis(20);

/// Names listed by one trip to a thread that may block.
const LISTED_AT_ONCE: usize = 512;

/// A tier in a directory of a file system that keeps its word about `fdatasync` and about syncing directories
/// (ext4, XFS, ZFS, btrfs, and network file systems that do).
///
/// Several processes may use one directory: names are never given twice, and no process writes to a segment that
/// another one began, except to recover it after its writer is known to be dead.
#[derive(Debug)]
pub struct LocalSegments {
    directory: Arc<Directory>,
    handles: Arc<Handles>,
    /// The memory that all readers share.
    memory: Memory,
}

impl LocalSegments {
    /// Opens the tier in `root`, which is created, durably, if it is missing. `tier` is its name in errors.
    /// Blocks: meant for start-up.
    pub fn open(root: PathBuf, tier: &'static str) -> Result<Self, SegmentError> {
        let directory = Arc::new(Directory::open(root, tier)?);
        Ok(Self { directory, handles: Arc::default(), memory: reader::memory() })
    }

    /// The tier in `root`, which is looked at and made only when the tier is entered.
    pub fn at(root: PathBuf, tier: &'static str) -> Self {
        Self {
            directory: Arc::new(Directory::at(root, tier)),
            handles: Arc::default(),
            memory: reader::memory(),
        }
    }

    /// Runs `job` with a freshly opened segment on a thread that may block.
    async fn with_segment<T: Send + 'static>(
        &self,
        id: SegmentId,
        writable: bool,
        job: impl FnOnce(&Directory, &Handle) -> Result<T, SegmentError> + Send + 'static,
    ) -> Result<T, SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || job(&directory, &Handle::open(&directory, id, writable)?)).await
    }
}

#[async_trait]
impl SegmentStore for LocalSegments {
    async fn create_pack(&self, id: SegmentId) -> Result<Box<dyn PackWriter>, SegmentError> {
        let directory = Arc::clone(&self.directory);
        Ok(Box::new(blocking(move || LocalPack::create(directory, id)).await?))
    }

    /// `expected` is not used: room reserved for what a client only announced would be a way to fill a disk,
    /// and delayed allocation lays out a stream as well as a reservation does.
    async fn create_single(
        &self,
        id: SegmentId,
        domain: DomainTag,
        _expected: Option<u64>,
    ) -> Result<Box<dyn SingleWriter>, SegmentError> {
        let directory = Arc::clone(&self.directory);
        Ok(Box::new(blocking(move || LocalSingle::create(directory, id, domain)).await?))
    }

    async fn read(
        &self,
        request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, SegmentError>>, SegmentError> {
        let stretch = Stretch::new(request)?;
        let kept = self.handles.get(request.segment);
        if let Some(handle) = kept.as_ref().filter(|_| stretch.is_small()) {
            let mut cursor = ReadPosition::new(Arc::clone(handle), stretch, &self.memory);
            match cursor.first(Wait::No) {
                Ok(chunk) => return Ok(reader::stream(cursor, chunk)),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::WouldWait) => {}
            }
        }
        let (directory, handles) = (Arc::clone(&self.directory), Arc::clone(&self.handles));
        let memory = self.memory.clone();
        blocking(move || {
            let handle = kept.map_or_else(|| handles.open(&directory, request.segment), Ok)?;
            let mut cursor = ReadPosition::new(handle, stretch, &memory);
            let chunk = cursor.first(Wait::Yes).map_err(reader::failure)?;
            Ok(reader::stream(cursor, chunk))
        })
        .await
    }

    /// That the names are gone is durable when this returns: the row that would remove a file which a power cut
    /// brought back is forgotten next. Also if they were gone already: the process that removed them may have died then.
    async fn delete(&self, id: SegmentId) -> Result<(), SegmentError> {
        let (directory, handles) = (Arc::clone(&self.directory), Arc::clone(&self.handles));
        blocking(move || remove(&directory, &handles, id)).await
    }

    async fn recover(&self, id: SegmentId, committed: u64) -> Result<Mended, SegmentError> {
        self.with_segment(id, true, move |directory, handle| walk::recover(directory, handle, committed))
            .await
    }

    async fn salvage(&self, id: SegmentId) -> Result<Salvaged, SegmentError> {
        self.with_segment(id, true, walk::salvage).await
    }

    async fn inspect(&self, id: SegmentId) -> Result<Vec<FoundRecord>, SegmentError> {
        self.with_segment(id, false, walk::inspect).await
    }

    /// Files that no segment could be named like are passed over. A single that is finished meanwhile may be
    /// named twice; none is missed.
    async fn list(&self) -> Result<BoxStream<'static, Result<SegmentId, SegmentError>>, SegmentError> {
        let directory = Arc::clone(&self.directory);
        let listing = blocking(move || Listing::begin(directory)).await?;
        let pages = stream::try_unfold(Some(listing), |listing| async {
            let Some(mut listing) = listing else { return Ok(None) };
            blocking(move || {
                let page = listing.page()?;
                let rest = (page.len() == LISTED_AT_ONCE).then_some(listing);
                Ok(Some((page, rest)))
            })
            .await
        });
        Ok(pages.flat_map(|page| stream::iter(flatten(page))).boxed())
    }

    async fn mark(&self) -> Result<Option<TierMark>, SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || mark::read(directory.root())).await
    }

    async fn set_mark(&self, mark: &TierMark) -> Result<TierMark, SegmentError> {
        let (directory, mark) = (Arc::clone(&self.directory), *mark);
        blocking(move || {
            directory.make_root()?;
            mark::write(directory.root(), &mark)
        })
        .await
    }

    async fn probe(&self, ids: Vec<SegmentId>) -> Result<Vec<Presence>, SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || {
            let look = |id| match Handle::open(&directory, id, false) {
                Ok(_) | Err(SegmentError::Corrupt { .. }) => Ok(Presence::Present),
                Err(SegmentError::Missing(_)) => Ok(Presence::Absent),
                Err(SegmentError::Unreadable { .. }) => Ok(Presence::Unreadable),
                Err(error) => Err(error),
            };
            ids.into_iter().map(look).collect()
        })
        .await
    }

    async fn enter(&self, mark: &TierMark) -> Result<(), SegmentError> {
        let (directory, mark) = (Arc::clone(&self.directory), *mark);
        blocking(move || directory.enter(mark)).await
    }

    async fn identify(&self) -> Result<(), SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || directory.identify()).await
    }

    async fn note_commits(&self, writer: Uuid, commits: u64) -> Result<(), SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || notes::write(&directory, writer, commits)).await
    }

    fn note_pace(&self) -> Duration {
        NOTE_PACE
    }

    async fn commit_notes(&self) -> Result<Vec<(Uuid, u64)>, SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || notes::read(&directory)).await
    }

    async fn note_server(&self, writer: Uuid, token: Uuid) -> Result<(), SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || notes::write_server(&directory, writer, token)).await
    }

    async fn server_note(&self, writer: Uuid) -> Result<Option<Uuid>, SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || notes::read_server(&directory, writer)).await
    }

    /// Writes, syncs and removes a small file.
    async fn check(&self) -> Result<(), SegmentError> {
        let directory = Arc::clone(&self.directory);
        blocking(move || {
            directory.identify()?;
            let path = directory.staging().join(format!(".check-{}", uuid::Uuid::new_v4()));
            let written = directory
                .create_staged(&path)
                .and_then(|mut file| file.write_all(&[0; 4096]).and_then(|()| durable::sync_file(&file)));
            let removed = gone(durable::remove_file(&path));
            written.and(removed).map_err(|error| directory.error("write a file to check the tier", error))
        })
        .await
    }
}

/// Removes every file of a segment, durably. Blocks.
pub(super) fn remove(directory: &Directory, handles: &Handles, id: SegmentId) -> Result<(), SegmentError> {
    let paths = [directory.staged(id), directory.settled(id)];
    let removed = paths.each_ref().map(|path| durable::remove_file(path));
    handles.forget(id);
    if removed.iter().all(|result| result.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound)) {
        // Not where another root is in this one's place: the file would be back with the right one.
        directory.identify()?;
    }
    for result in removed {
        gone(result).map_err(|error| directory.error("remove a segment", error))?;
    }
    for path in &paths {
        // Of a directory with nothing to write this costs next to nothing.
        gone(path.parent().map_or(Ok(()), durable::sync_directory))
            .map_err(|error| directory.error("remove a segment", error))?;
    }
    Ok(())
}

/// A removal that has nothing to remove has succeeded.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn flatten(page: Result<Vec<SegmentId>, SegmentError>) -> Vec<Result<SegmentId, SegmentError>> {
    match page {
        Ok(ids) => ids.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// A walk over the tier's directories: staging, then shelf by shelf, so that a single that gets its final name
/// meanwhile is met at least once.
struct Listing {
    directory: Arc<Directory>,
    /// `None` once it is through.
    staging: Option<ReadDir>,
    /// Read only after `staging` is through.
    shelves: Option<ReadDir>,
    shelf: Option<ReadDir>,
}

impl Listing {
    fn begin(directory: Arc<Directory>) -> Result<Self, SegmentError> {
        // A tier that was never used has no directories yet.
        let read = |path: PathBuf| match std::fs::read_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| directory.error("list the tier", error)),
        };
        let (staging, shelves) = (read(directory.staging())?, read(directory.segments())?);
        Ok(Self { directory, staging, shelves, shelf: None })
    }

    /// The next names; fewer than [`LISTED_AT_ONCE`] only at the end.
    fn page(&mut self) -> Result<Vec<SegmentId>, SegmentError> {
        let mut page = Vec::new();
        while page.len() < LISTED_AT_ONCE {
            match self.next() {
                Ok(Some(id)) => page.push(id),
                Ok(None) => break,
                Err(error) => return Err(self.directory.error("list the tier", error)),
            }
        }
        Ok(page)
    }

    fn next(&mut self) -> io::Result<Option<SegmentId>> {
        loop {
            let entry = match self.staging.as_mut().and_then(Iterator::next) {
                Some(entry) => Some(entry),
                None => self.shelf.as_mut().and_then(Iterator::next),
            };
            if let Some(entry) = entry {
                if let Some(id) = Directory::named_by(&entry?.path()) {
                    return Ok(Some(id));
                }
                continue;
            }
            let Some(found) = self.shelves.as_mut().and_then(Iterator::next) else { return Ok(None) };
            let found = found?;
            self.shelf =
                if found.file_type()?.is_dir() { Some(std::fs::read_dir(found.path())?) } else { None };
        }
    }
}
