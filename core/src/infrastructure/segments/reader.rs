//! Reading stretches of a payload, each block checked before any of its bytes leaves.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use rustix::fs::Advice;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::blocking::{Wait, io_error, joined, read_at, read_error, read_exact_at, read_into};
use super::buffers::Memory;
use super::format::{self, BLOCK, FOOTER_SIZE, RecordFooter, Version};
use super::handles::Handle;
use crate::application::buffers::Buffers;
use crate::application::ports::segments::{ReadRequest, SegmentError, SegmentKind};
use crate::domain::blob::{Hash, SegmentId};

/// Blocks in one chunk of the stream. With one chunk read ahead, a reader holds 1 MiB.
const CHUNK_BLOCKS: u64 = 8;
/// Blocks in the only chunk of a stretch of at most 1 MiB, which has no next one to read ahead. It may begin
/// and end inside of a block.
const ONLY_CHUNK_BLOCKS: u64 = 17;
/// Blocks in one chunk of a reader that came when memory was short: it goes on, only slower.
const CHUNK_BLOCKS_SHORT: u64 = 1;
/// Entries of the CRC table that are held at a time (16 KiB, good for 256 MiB of payload).
const TABLE_ENTRIES: u64 = 4096;
/// Up to so many blocks are read without changing threads if the page cache has them.
const INLINE_BLOCKS: u64 = 2;
/// From so many bytes on the kernel is told to read far ahead.
const SEQUENTIAL: u64 = 2 * 1024 * 1024;

/// A request whose numbers were checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) segment: SegmentId,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) hash: Option<Hash>,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) footer_offset: u64,
}

impl Stretch {
    /// Refuses what lies outside the payload, and what no file could hold.
    pub(super) fn new(request: ReadRequest) -> Result<Self, SegmentError> {
        let ReadRequest { segment, payload_offset: offset, payload_length: length, hash, start, end, .. } =
            request;
        if start > end || end > length {
            return Err(io_error("read outside a payload", ErrorKind::InvalidInput.into()));
        }
        if Version::NEWEST.record_end(offset, length).is_none() {
            return Err(SegmentError::Corrupt { segment, offset, what: "no file can hold the payload" });
        }
        let footer_offset = offset + length + format::table_length(length);
        Ok(Self { segment, offset, length, hash, start, end, footer_offset })
    }

    /// Whether answering takes so little that it may be tried on a thread that serves requests.
    pub(super) fn is_small(&self) -> bool {
        self.length <= BLOCK || self.end.div_ceil(BLOCK) - self.start / BLOCK <= INLINE_BLOCKS
    }
}

/// Why a step did not succeed.
#[derive(Debug)]
pub(super) enum Stop {
    /// The page cache lacks something: try again on a thread that may wait.
    WouldWait,
    /// It cannot succeed.
    Failed(SegmentError),
}

/// How far a reader is.
#[derive(Debug)]
pub(super) struct ReadPosition {
    handle: Arc<Handle>,
    stretch: Stretch,
    /// Inside the payload: all before was served.
    at: u64,
    /// The entries of the CRC table from `table_block` on.
    table: Vec<u8>,
    table_block: u64,
    /// Blocks in one chunk.
    blocks: u64,
    /// Memory for chunks of so many blocks.
    buffers: Arc<Buffers>,
    /// This reader's share of the tier's memory; none if it is small, or came too late.
    share: Option<OwnedSemaphorePermit>,
}

/// The memory that readers of a tier share.
pub(super) fn memory() -> Memory {
    Memory::new(index(CHUNK_BLOCKS_SHORT * BLOCK), index(CHUNK_BLOCKS * BLOCK))
}

impl ReadPosition {
    /// Takes its share of `memory`, if there is one.
    pub(super) fn new(handle: Arc<Handle>, stretch: Stretch, memory: &Memory) -> Self {
        let length = stretch.end - stretch.start;
        let whole = length <= (ONLY_CHUNK_BLOCKS - 1) * BLOCK;
        let needed = if whole { length + BLOCK } else { 2 * CHUNK_BLOCKS * BLOCK };
        let plenty = if whole { ONLY_CHUNK_BLOCKS } else { CHUNK_BLOCKS };
        let share = if stretch.is_small() { None } else { memory.share(needed) };
        let short = share.is_none() && !stretch.is_small();
        let blocks = if short { CHUNK_BLOCKS_SHORT } else { plenty };
        let buffers = memory.buffers(!short);
        Self { handle, stretch, at: stretch.start, table: Vec::new(), table_block: 0, blocks, buffers, share }
    }

    /// Whether the next chunk may be read while the caller is busy with this one.
    fn may_read_ahead(&self) -> bool {
        self.share.is_some()
    }

    /// Whether everything was served.
    fn is_done(&self) -> bool {
        self.at == self.stretch.end
    }

    /// The first chunk; empty only if the stretch is. The footer is checked with it, for a range too: it says
    /// which blob lies here.
    pub(super) fn first(&mut self, wait: Wait) -> Result<Bytes, Stop> {
        let stretch = self.stretch;
        if stretch.length <= BLOCK {
            return self.only_block(wait);
        }
        let mut frame = [0; FOOTER_SIZE];
        let footer = &mut frame[..self.handle.version.footer_size()];
        self.fill(footer, stretch.footer_offset, wait)?;
        self.check_footer(footer)?;
        if self.handle.kind == SegmentKind::Single && stretch.end - stretch.start >= SEQUENTIAL {
            // Advice only: whether it is taken changes nothing but the speed.
            let _ = rustix::fs::fadvise(&self.handle.file, 0, None, Advice::Sequential);
        }
        self.next(wait)
    }

    /// A payload of one block, its table and footer in one read: all of it is checked, whatever is asked for.
    fn only_block(&mut self, wait: Wait) -> Result<Bytes, Stop> {
        let Stretch { offset, start, end, footer_offset, .. } = self.stretch;
        let (length, footer_at) = (index(self.stretch.length), index(footer_offset - offset));
        let bytes = self.take(footer_at + self.handle.version.footer_size(), offset, wait)?;
        let (framed, footer) = bytes.split_at(footer_at);
        let (payload, table) = framed.split_at(length);
        self.check_footer(footer)?;
        self.check_blocks(payload, table, 0)?;
        self.at = end;
        Ok(Bytes::from(bytes).slice(index(start)..index(end)))
    }

    /// The next chunk, as whole blocks from the file, cut to what was asked for.
    fn next(&mut self, wait: Wait) -> Result<Bytes, Stop> {
        if self.is_done() {
            return Ok(Bytes::new());
        }
        let Stretch { offset, length, end, .. } = self.stretch;
        let first = self.at / BLOCK;
        let last = end.div_ceil(BLOCK).min(first + self.blocks);
        let (from, to) = (first * BLOCK, length.min(last * BLOCK));
        let table_at = self.table_from(first, last, wait)?;

        let bytes = self.chunk(index(to - from), offset + from, wait)?;
        self.check_blocks(&bytes, &self.table[table_at..], from)?;
        let until = end.min(to);
        let chunk = bytes.slice(index(self.at - from)..index(until - from));
        self.at = until;
        Ok(chunk)
    }

    /// Makes sure that the entries of blocks `first..last` are held, reading on as far as is useful. Returns
    /// where in the table held the entry of `first` lies.
    fn table_from(&mut self, first: u64, last: u64, wait: Wait) -> Result<usize, Stop> {
        let held = self.table_block..self.table_block + self.table.len() as u64 / 4;
        if !(held.contains(&first) && last <= held.end) {
            let until = self.stretch.end.div_ceil(BLOCK).min(first + TABLE_ENTRIES);
            let table_offset = self.stretch.offset + self.stretch.length;
            self.table = self.take(index((until - first) * 4), table_offset + first * 4, wait)?;
            self.table_block = first;
        }
        Ok(index((first - self.table_block) * 4))
    }

    fn check_footer(&self, footer: &[u8]) -> Result<(), Stop> {
        let Stretch { segment, offset, length, hash, footer_offset, .. } = self.stretch;
        let footer = RecordFooter::decode(self.handle.version, footer, segment, offset, length)
            .map_err(|damage| self.corrupt(footer_offset, damage.0))?;
        match hash {
            Some(hash) if hash != footer.hash => Err(self.corrupt(footer_offset, "another blob lies here")),
            _ => Ok(()),
        }
    }

    /// Checks `blocks`, which lie at `from` inside the payload.
    fn check_blocks(&self, blocks: &[u8], table: &[u8], from: u64) -> Result<(), Stop> {
        format::verify_blocks(blocks, table).map_err(|bad| {
            let offset = self.stretch.offset + from + bad as u64;
            self.corrupt(offset, "a block does not match its checksum")
        })
    }

    fn fill(&self, buffer: &mut [u8], offset: u64, wait: Wait) -> Result<(), Stop> {
        read_exact_at(&self.handle.file, buffer, offset, wait).map_err(|error| self.stop(error, offset, wait))
    }

    fn take(&self, length: usize, offset: u64, wait: Wait) -> Result<Vec<u8>, Stop> {
        read_at(&self.handle.file, length, offset, wait).map_err(|error| self.stop(error, offset, wait))
    }

    /// As [`Self::take`], into memory that is used again if this is one of several chunks.
    fn chunk(&self, length: usize, offset: u64, wait: Wait) -> Result<Bytes, Stop> {
        if wait == Wait::No || self.blocks == ONLY_CHUNK_BLOCKS {
            return self.take(length, offset, wait).map(Bytes::from);
        }
        let bytes = read_into(&self.handle.file, self.buffers.take(), length, offset);
        bytes.map(|bytes| self.buffers.lend(bytes)).map_err(|error| self.stop(error, offset, wait))
    }

    fn stop(&self, error: io::Error, offset: u64, wait: Wait) -> Stop {
        match error.kind() {
            ErrorKind::WouldBlock if wait == Wait::No => Stop::WouldWait,
            ErrorKind::UnexpectedEof => self.corrupt(offset, "the file ends too early"),
            _ => Stop::Failed(read_error(self.stretch.segment, "read a segment", error)),
        }
    }

    fn corrupt(&self, offset: u64, what: &'static str) -> Stop {
        Stop::Failed(SegmentError::Corrupt { segment: self.stretch.segment, offset, what })
    }
}

/// A length that is at most a little over 1 MiB, as an index.
fn index(length: u64) -> usize {
    debug_assert!(length <= (ONLY_CHUNK_BLOCKS + 1) * BLOCK);
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// A patient step's error.
pub(super) fn failure(stop: Stop) -> SegmentError {
    match stop {
        Stop::Failed(error) => error,
        Stop::WouldWait => io_error("read a segment", io::Error::from(ErrorKind::WouldBlock)),
    }
}

type ChunkRead = (ReadPosition, Result<Bytes, SegmentError>);

/// The state of the stream between two chunks.
enum Ahead {
    /// The first chunk, and the cursor behind it.
    Ready(ReadPosition, Bytes),
    /// The cursor behind the last chunk; the next is read once it is asked for.
    Waiting(ReadPosition),
    /// The next chunk is being read.
    Reading(JoinHandle<ChunkRead>),
    /// Nothing is left.
    Done,
}

/// `first`, then the rest of what `cursor` stands for. While the caller is busy with one chunk the next one
/// is read, unless memory is short.
pub(super) fn stream(cursor: ReadPosition, first: Bytes) -> BoxStream<'static, Result<Bytes, SegmentError>> {
    if first.is_empty() {
        return stream::empty().boxed();
    }
    if cursor.is_done() {
        return stream::once(std::future::ready(Ok(first))).boxed();
    }
    stream::try_unfold(Ahead::Ready(cursor, first), |ahead| async {
        let (cursor, chunk) = match ahead {
            Ahead::Done => return Ok(None),
            Ahead::Ready(cursor, chunk) => (cursor, chunk),
            Ahead::Waiting(cursor) => arrived(read_on(cursor)).await?,
            Ahead::Reading(job) => arrived(job).await?,
        };
        let ahead = match cursor {
            cursor if cursor.is_done() => Ahead::Done,
            cursor if cursor.may_read_ahead() => Ahead::Reading(read_on(cursor)),
            cursor => Ahead::Waiting(cursor),
        };
        Ok(Some((chunk, ahead)))
    })
    .boxed()
}

async fn arrived(mut job: JoinHandle<ChunkRead>) -> Result<(ReadPosition, Bytes), SegmentError> {
    let (cursor, chunk) = joined(&mut job).await?;
    Ok((cursor, chunk?))
}

fn read_on(mut cursor: ReadPosition) -> JoinHandle<ChunkRead> {
    tokio::task::spawn_blocking(move || {
        let chunk = cursor.next(Wait::Yes).map_err(failure);
        (cursor, chunk)
    })
}
