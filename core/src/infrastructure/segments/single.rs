//! Writing one large blob into a file of its own.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::blocking::{SLICES_MAX, blocking, joined, write_all_at};
use super::directory::Directory;
use super::format::{
    self, BlockSums, FRAME_SIZE, RecordFooter, RecordHeader, SINGLE_PAYLOAD, SegmentHeader, Version,
};
use super::pack::poisoned;
use crate::application::ports::segments::{DomainTag, FoundRecord, SegmentError, SegmentKind, SingleWriter};
use crate::domain::blob::{Hash, SegmentId};
use crate::infrastructure::durable;
use crate::infrastructure::sync::atomic::{AtomicBool, Ordering};

/// Smaller pieces are gathered to so many bytes for one trip to a thread that may block. Larger ones come from a
/// caller that has gathered already, within a bound of its own for all uploads together.
const GATHER: usize = 32 * 1024;
/// Every so many bytes a sync is begun beside the writing, so that the last one has little left to do and an
/// upload cannot fill the memory of the machine with dirty pages. (Measured on ext4 with 256 MiB: the last sync
/// took 20 ms instead of 165 ms, the whole a third less.)
const WRITEBACK: u64 = 32 * 1024 * 1024;

/// How far the file is. The default is that of a file with its beginning and nothing behind it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The beginning of the file, until it is written.
    head: Option<Vec<u8>>,
    sums: BlockSums,
    /// Payload bytes written.
    length: u64,
}

/// Where [`Progress`] is.
#[derive(Debug)]
enum Work {
    Idle(Box<Progress>),
    Writing(JoinHandle<io::Result<Box<Progress>>>),
    Failed,
}

/// A single being written.
#[derive(Debug)]
pub(super) struct LocalSingle {
    id: SegmentId,
    domain: DomainTag,
    directory: Arc<Directory>,
    file: Arc<File>,
    _staged: Staged,
    gathered: Vec<Bytes>,
    gathered_length: usize,
    work: Work,
    /// A sync begun beside the writing.
    writeback: Option<JoinHandle<io::Result<()>>>,
    /// Payload bytes that were written when it began.
    writeback_length: u64,
}

impl LocalSingle {
    /// Creates the staged file. Blocks.
    pub(super) fn create(
        directory: Arc<Directory>,
        id: SegmentId,
        domain: DomainTag,
    ) -> Result<Self, SegmentError> {
        directory.still_here()?;
        let path = directory.staged(id);
        let file =
            directory.create_staged(&path).map_err(|error| directory.error("stage a segment", error))?;
        Ok(Self {
            id,
            domain,
            directory,
            file: Arc::new(file),
            _staged: Staged(path),
            gathered: Vec::new(),
            gathered_length: 0,
            work: Work::Idle(Box::new(Progress::new(id, domain))),
            writeback: None,
            writeback_length: 0,
        })
    }

    /// Waits for the write under way.
    async fn settle(&mut self) -> Result<(), SegmentError> {
        match &mut self.work {
            Work::Idle(_) => Ok(()),
            Work::Failed => Err(poisoned()),
            Work::Writing(job) => {
                // The job stays in place while this waits, so that a caller may stop waiting and come again.
                let done = joined(job).await;
                self.work = Work::Failed;
                let progress = done?.map_err(|error| self.directory.error("write a segment", error))?;
                self.work = Work::Idle(progress);
                Ok(())
            }
        }
    }

    /// Waits for the sync under way. The kernel tells its error once, so it counts.
    async fn settle_writeback(&mut self) -> Result<(), SegmentError> {
        let Some(job) = &mut self.writeback else { return Ok(()) };
        let done = joined(job).await;
        self.writeback = None;
        let synced =
            done.and_then(|done| done.map_err(|error| self.directory.error("sync a segment", error)));
        if synced.is_err() {
            self.work = Work::Failed;
        }
        synced
    }

    /// Begins a sync beside the writing if enough was written since the last one began.
    async fn sync_behind(&mut self) -> Result<(), SegmentError> {
        let Work::Idle(progress) = &self.work else { return Ok(()) };
        let length = progress.length;
        if length - self.writeback_length >= WRITEBACK {
            self.settle_writeback().await?;
            let file = Arc::clone(&self.file);
            self.writeback = Some(tokio::task::spawn_blocking(move || durable::sync_file(&file)));
            self.writeback_length = length;
        }
        Ok(())
    }

    /// Waits until nothing is under way, and takes what was reached. What follows is the writer's last
    /// step, or puts something back.
    async fn take_progress(&mut self) -> Result<Box<Progress>, SegmentError> {
        self.settle().await?;
        self.sync_behind().await?;
        match mem::replace(&mut self.work, Work::Failed) {
            Work::Idle(progress) => Ok(progress),
            Work::Writing(_) | Work::Failed => Err(poisoned()),
        }
    }
}

#[async_trait]
impl SingleWriter for LocalSingle {
    fn id(&self) -> SegmentId {
        self.id
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), SegmentError> {
        if matches!(self.work, Work::Failed) {
            return Err(poisoned());
        }
        self.gathered_length += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_length >= GATHER || self.gathered.len() >= SLICES_MAX {
            let progress = self.take_progress().await?;
            let (file, pieces) = (Arc::clone(&self.file), mem::take(&mut self.gathered));
            self.gathered_length = 0;
            self.work = Work::Writing(tokio::task::spawn_blocking(move || progress.write(&file, &pieces)));
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>, hash: Hash) -> Result<(u64, u64), SegmentError> {
        let progress = self.take_progress().await?;
        self.settle_writeback().await?;
        let abandoned = Arc::new(AtomicBool::new(false));
        let guard = Abandon(Arc::clone(&abandoned));
        let single = *self;
        let size = blocking(move || {
            single.directory.still_here()?;
            let size = single
                .seal(progress, hash, &abandoned)
                .map_err(|error| single.directory.error("seal a segment", error))?;
            single.directory.still_named(&single.file, &single.directory.settled(single.id))?;
            Ok(size)
        })
        .await?;
        drop(guard);
        Ok((SINGLE_PAYLOAD, size))
    }
}

impl LocalSingle {
    /// Writes the rest, frames it, and gives the file its name. Blocks.
    pub(super) fn seal(
        &self,
        progress: Box<Progress>,
        hash: Hash,
        abandoned: &AtomicBool,
    ) -> io::Result<u64> {
        let Progress { sums, length, .. } = *progress.write(&self.file, &self.gathered)?;
        let tail = tail(self.id, self.domain, sums.finish(), length, hash).ok_or(ErrorKind::FileTooLarge)?;
        write_all_at(&self.file, &mut [IoSlice::new(&tail)], SINGLE_PAYLOAD + length)?;
        let settled = self.directory.make_room(self.id)?;
        durable::publish(&self.file, &self.directory.staged(self.id), &settled)?;
        if abandoned.load(Ordering::SeqCst) {
            // The caller that gave up may have deleted the segment before it got this name.
            durable::remove_file(&settled)?;
        }
        Ok(SINGLE_PAYLOAD + length + tail.len() as u64)
    }
}

/// The bytes of a single before its payload.
pub(super) fn head(id: SegmentId, domain: DomainTag) -> Vec<u8> {
    let header = SegmentHeader::new(SegmentKind::Single, id);
    let offset = header.first_record();
    // The payload is still to come, and how long it is.
    let record = RecordHeader { segment: id, offset, domain, payload_length: None };
    let mut head = header.encode().to_vec();
    head.resize(index(offset), 0);
    head.extend_from_slice(&record.encode());
    debug_assert_eq!(head.len() as u64, SINGLE_PAYLOAD);
    head
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(FRAME_SIZE)
}

/// The bytes of a single behind a payload of `length` bytes whose CRC table is `table`. `None` if no file can be that
/// long.
pub(super) fn tail(
    id: SegmentId,
    domain: DomainTag,
    table: Vec<u8>,
    length: u64,
    hash: Hash,
) -> Option<Vec<u8>> {
    let mut tail = table;
    let footer = RecordFooter {
        payload_length: length,
        payload_offset: SINGLE_PAYLOAD,
        hash,
        table_crc: format::crc32c(&tail),
    };
    tail.extend_from_slice(&footer.encode(id));
    let end = Version::NEWEST.record_end(SINGLE_PAYLOAD, length)?;
    let record = FoundRecord { domain, hash, offset: SINGLE_PAYLOAD, length };
    tail.extend_from_slice(&format::encode_index(id, &[record], end));
    Some(tail)
}

impl Progress {
    fn new(id: SegmentId, domain: DomainTag) -> Self {
        Self { head: Some(head(id, domain)), sums: BlockSums::new(), length: 0 }
    }

    /// Writes `pieces` behind what is there, front to back. Blocks.
    fn write(mut self: Box<Self>, file: &File, pieces: &[Bytes]) -> io::Result<Box<Self>> {
        let head = self.head.take();
        let at = if head.is_some() { 0 } else { SINGLE_PAYLOAD + self.length };
        let payload = pieces.iter().map(Bytes::as_ref);
        let mut slices: Vec<_> = head.as_deref().into_iter().chain(payload).map(IoSlice::new).collect();
        write_all_at(file, &mut slices, at)?;
        for piece in pieces {
            self.sums.update(piece);
            self.length += piece.len() as u64;
        }
        Ok(self)
    }
}

/// Tells the thread that seals, by being dropped early, that no caller waits for it.
pub(super) struct Abandon(pub(super) Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Removes the staged file when dropped, if it still has that name. Best effort: what stays after a crash is
/// removed with its WRITING row.
#[derive(Debug)]
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        let path = mem::take(&mut self.0);
        let remove = move || drop(durable::remove_file(&path));
        // Unlinking a large file takes a while: not on a thread that serves requests.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
