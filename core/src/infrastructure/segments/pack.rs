//! Writing many small blobs into one file.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use async_trait::async_trait;

use super::blocking::{blocking, io_error, write_all_at, write_zeroes};
use super::directory::Directory;
use super::format::{self, FRAME, PACK_FIRST_RECORD, RecordHeader, SegmentHeader, Version};
use crate::application::ports::segments::{FoundRecord, PackWriter, Record, SegmentError, SegmentKind};
use crate::domain::blob::SegmentId;
use crate::infrastructure::durable;

/// Frames of a batch are gathered in a buffer that is kept for the next batch up to this size.
const FRAMES_KEPT_MAX: usize = 1024 * 1024;

/// Batches up to this size find room that was written before them: the sync of a file that does not grow has to wait for its
/// bytes only, and not for the file system's log, too. Behind larger ones the room would cost more than it spares.
const ROOMY_BATCH_MAX: u64 = 64 * 1024;

/// A small batch that makes the file grow fills it with zeroes up to a multiple of this.
const ROOM: u64 = 256 * 1024;

/// The part of a pack that moves to the thread that writes, and back.
#[derive(Debug)]
struct Pack {
    directory: Arc<Directory>,
    id: SegmentId,
    file: File,
    /// Where its last record ends.
    size: u64,
    /// Where the file ends: what lies between is zeroes.
    room: u64,
    records: Vec<FoundRecord>,
    frames: Vec<u8>,
}

/// A pack being appended to.
#[derive(Debug)]
pub(super) struct LocalPack {
    id: SegmentId,
    size: u64,
    /// Gone while a batch is written. An error, or a caller that stops waiting, leaves it gone: what the file
    /// then ends with is unknown.
    pack: Option<Pack>,
}

impl LocalPack {
    /// Creates the file under its final name, with a header, durably. Blocks.
    pub(super) fn create(directory: Arc<Directory>, id: SegmentId) -> Result<Self, SegmentError> {
        directory.still_here()?;
        let begin = || {
            let path = directory.make_room(id)?;
            let file = durable::create_file(&path, durable::FILE_MODE)?;
            let header = SegmentHeader::new(SegmentKind::Pack, id);
            write_all_at(&file, &mut [IoSlice::new(&header.encode())], 0)?;
            durable::sync_file(&file)?;
            path.parent().map_or(Ok(()), durable::sync_directory)?;
            Ok(file)
        };
        let file = begin().map_err(|error| directory.error("create a pack", error))?;
        let size = PACK_FIRST_RECORD;
        let pack = Pack { directory, id, file, size, room: size, records: Vec::new(), frames: Vec::new() };
        Ok(Self { id, size, pack: Some(pack) })
    }
}

#[async_trait]
impl PackWriter for LocalPack {
    fn id(&self) -> SegmentId {
        self.id
    }

    fn size(&self) -> u64 {
        self.size
    }

    async fn append(&mut self, records: Vec<Record>) -> Result<Vec<u64>, SegmentError> {
        let mut pack = self.pack.take().ok_or_else(poisoned)?;
        let (pack, offsets) = blocking(move || {
            let offsets = pack.append(&records)?;
            Ok((pack, offsets))
        })
        .await?;
        self.size = pack.size;
        self.pack = Some(pack);
        Ok(offsets)
    }

    async fn seal(mut self: Box<Self>) -> Result<u64, SegmentError> {
        let pack = self.pack.take().ok_or_else(poisoned)?;
        blocking(move || pack.seal().map_err(|error| pack.directory.error("seal a pack", error))).await
    }
}

impl Pack {
    fn append(&mut self, records: &[Record]) -> Result<Vec<u64>, SegmentError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let (found, end) = self.write(records).map_err(|error| {
            // Best effort: gives the room back, and spares recovery a torn tail.
            let _ = durable::cut_file(&self.file, self.size);
            self.directory.error("append to a pack", error)
        })?;
        // Bytes in a file that has lost its name are not durable. One look for the whole batch.
        self.directory.still_named(&self.file, &self.directory.settled(self.id))?;
        self.size = end;
        let offsets = found.iter().map(|record| record.offset).collect();
        self.records.extend(found);
        if self.frames.capacity() > FRAMES_KEPT_MAX {
            self.frames = Vec::new();
        }
        Ok(offsets)
    }

    /// Writes `records` behind each other in as few calls as can be and syncs once. The payloads are not
    /// copied: only the frames around them are put together, and lie between them in the list of slices.
    fn write(&mut self, records: &[Record]) -> io::Result<(Vec<FoundRecord>, u64)> {
        let frames = &mut self.frames;
        let Batch { found, payload_at, end } = frame_batch(frames, self.id, self.size, records)?;
        let mut slices = Vec::with_capacity(records.len() * 2 + 1);
        let mut cut_before = 0;
        for (record, &cut) in records.iter().zip(&payload_at) {
            slices.push(IoSlice::new(&frames[cut_before..cut]));
            slices.push(IoSlice::new(&record.payload));
            cut_before = cut;
        }
        slices.push(IoSlice::new(&frames[cut_before..]));
        write_all_at(&self.file, &mut slices, self.size)?;
        let room = room_behind(self.size, end, self.room);
        write_zeroes(&self.file, end, room)?;
        durable::sync_file(&self.file)?;
        self.room = self.room.max(room);
        Ok((found, end))
    }

    /// Puts the index where the records end, and the end of the file behind it.
    fn seal(&self) -> io::Result<u64> {
        if self.room > self.size {
            durable::cut_file(&self.file, self.size)?;
        }
        write_index(&self.file, self.id, &self.records, self.size)
    }
}

/// Where the room behind a batch from `begin` to `end` shall end, in a file that has room up to `room`.
fn room_behind(begin: u64, end: u64, room: u64) -> u64 {
    if end <= room || end - begin > ROOMY_BATCH_MAX { end } else { end.next_multiple_of(ROOM) }
}

/// Records as they follow each other in a pack.
pub(super) struct Batch {
    /// The leaves and their places.
    pub(super) found: Vec<FoundRecord>,
    /// For each, where in the frames its payload comes.
    pub(super) payload_at: Vec<usize>,
    /// Where the last of them ends in the segment.
    pub(super) end: u64,
}

/// Puts into `frames`, which is emptied, all that lies around the payloads of `records`, the first of which begins at `at`
/// of `segment`.
pub(super) fn frame_batch(
    frames: &mut Vec<u8>,
    segment: SegmentId,
    mut at: u64,
    records: &[Record],
) -> io::Result<Batch> {
    frames.clear();
    let mut found = Vec::with_capacity(records.len());
    let mut payload_at = Vec::with_capacity(records.len());
    for Record { domain, hash, payload } in records {
        let length = payload.len() as u64;
        let record = FoundRecord { domain: *domain, hash: *hash, offset: at + FRAME, length };
        let header = RecordHeader { segment, offset: at, domain: *domain, payload_length: Some(length) };
        frames.extend_from_slice(&header.encode());
        payload_at.push(frames.len());
        format::encode_tail(frames, segment, payload, record.offset, *hash);
        let end = Version::NEWEST.record_end(record.offset, length);
        at = end.ok_or(io::ErrorKind::FileTooLarge)?;
        found.push(record);
    }
    Ok(Batch { found, payload_at, end: at })
}

/// Seals a file whose records end at `end`; returns its size. Blocks.
pub(super) fn write_index(file: &File, id: SegmentId, records: &[FoundRecord], end: u64) -> io::Result<u64> {
    let index = format::encode_index(id, records, end);
    write_all_at(file, &mut [IoSlice::new(&index)], end)?;
    durable::sync_file(file)?;
    Ok(end + index.len() as u64)
}

/// The answer of a writer that has failed before.
pub(super) fn poisoned() -> SegmentError {
    io_error("write to a segment", io::Error::other("an earlier write to it failed or was given up"))
}
