//! The bytes of a segment. Pure: slices in, values out, no I/O. `docs/format.md` describes the same format
//! for people; the two change together, and [`VERSION`] with them.
//!
//! Every frame (segment header, record header, record footer, index entry, trailer) is 64 bytes, integers
//! are little-endian, and every frame but the index entry begins with 8 magic bytes and ends with the CRC-32C
//! of the 60 bytes before. Whatever was read from a disk may be anything: decoding never panics and never
//! allocates by a length that it has read.

use crc_fast::CrcAlgorithm;
use uuid::Uuid;

use crate::application::ports::segments::{DomainTag, FoundRecord, SegmentKind};
use crate::domain::blob::{Hash, SegmentId};

/// The version of the format that this program writes, and the only one it reads.
pub const VERSION: u16 = 1;
/// Of every frame, in bytes.
pub const FRAME_SIZE: usize = 64;
/// [`FRAME_SIZE`] as an offset.
pub const FRAME: u64 = FRAME_SIZE as u64;
/// Of payload, in bytes, that one CRC covers.
pub const BLOCK_SIZE: usize = 64 * 1024;
/// [`BLOCK_SIZE`] as an offset.
pub const BLOCK: u64 = BLOCK_SIZE as u64;
/// Of the first record in a pack: right behind the segment header.
pub const PACK_FIRST_RECORD: u64 = FRAME;
/// Of the payload in a single: a page of its own, so that its blocks are made of whole pages.
pub const SINGLE_PAYLOAD: u64 = 4096;

const SEGMENT_MAGIC: [u8; 8] = *b"JSTSEGMT";
pub(super) const RECORD_MAGIC: [u8; 8] = *b"JSTRECRD";
const FOOTER_MAGIC: [u8; 8] = *b"JSTFOOTR";
const TRAILER_MAGIC: [u8; 8] = *b"JSTTRAIL";
const CRC_AT: usize = FRAME_SIZE - 4;

/// One frame.
pub type Frame = [u8; FRAME_SIZE];

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage(pub &'static str);

/// CRC-32C (Castagnoli; "CRC-32/ISCSI" in the catalogue) of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    low32(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// CRC-32C of bytes that come in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(crc_fast::Digest);

impl Crc32c {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The CRC of all bytes so far.
    pub fn value(&self) -> u32 {
        low32(self.0.finalize())
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// A 32-bit CRC out of the 64 bits that the crate answers for every width.
#[allow(clippy::cast_possible_truncation, reason = "the upper half of a 32-bit CRC is zero")]
fn low32(crc: u64) -> u32 {
    crc as u32
}

/// The length of the CRC table behind a payload, in bytes.
pub fn table_length(payload_length: u64) -> u64 {
    payload_length.div_ceil(BLOCK) * 4
}

/// Where what belongs to a payload ends: its CRC table, then its footer. `None` if no file can be that long.
pub fn record_end(payload_offset: u64, payload_length: u64) -> Option<u64> {
    // Offsets in files are signed.
    footer_offset(payload_offset, payload_length)?
        .checked_add(FRAME)
        .filter(|end| i64::try_from(*end).is_ok())
}

/// Where the footer of a payload begins.
pub fn footer_offset(payload_offset: u64, payload_length: u64) -> Option<u64> {
    payload_offset.checked_add(payload_length)?.checked_add(table_length(payload_length))
}

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// One blob or many.
    pub kind: SegmentKind,
    /// The segment's own name, so that a file under a wrong name is noticed.
    pub id: SegmentId,
}

impl SegmentHeader {
    /// Where the header of the first record begins.
    pub fn first_record(&self) -> u64 {
        match self.kind {
            SegmentKind::Pack => PACK_FIRST_RECORD,
            SegmentKind::Single => SINGLE_PAYLOAD - FRAME,
        }
    }

    /// To bytes.
    pub fn encode(&self) -> Frame {
        let mut frame = begin(SEGMENT_MAGIC);
        put(&mut frame, 8, VERSION.to_le_bytes());
        put(&mut frame, 10, [kind_code(self.kind)]);
        put(&mut frame, 16, *self.id.0.as_bytes());
        put(&mut frame, 32, self.first_record().to_le_bytes());
        close(frame)
    }

    /// From bytes.
    pub fn decode(frame: &Frame) -> Result<Self, Damage> {
        check(frame, SEGMENT_MAGIC, "segment header")?;
        if u16::from_le_bytes(get(frame, 8)) != VERSION {
            return Err(Damage("the segment's format version is unknown"));
        }
        let kind = match frame[10] {
            1 => SegmentKind::Single,
            2 => SegmentKind::Pack,
            _ => return Err(Damage("the segment's kind is unknown")),
        };
        let header = Self { kind, id: SegmentId(Uuid::from_bytes(get(frame, 16))) };
        if u64_at(frame, 32) == header.first_record() {
            Ok(header)
        } else {
            Err(Damage("the first record lies elsewhere"))
        }
    }
}

fn kind_code(kind: SegmentKind) -> u8 {
    match kind {
        SegmentKind::Single => 1,
        SegmentKind::Pack => 2,
    }
}

/// What a record begins with. It names its segment and its own place, so that no payload can pose as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// The segment it lies in.
    pub segment: SegmentId,
    /// Of this header's first byte, from the segment's beginning.
    pub offset: u64,
    /// Of the domain the blob belongs to.
    pub domain: DomainTag,
    /// Of the payload, in bytes.
    pub payload_length: u64,
}

impl RecordHeader {
    /// To bytes.
    pub fn encode(&self) -> Frame {
        let mut frame = begin(RECORD_MAGIC);
        put(&mut frame, 8, self.payload_length.to_le_bytes());
        put(&mut frame, 16, self.domain);
        put(&mut frame, 32, *self.segment.0.as_bytes());
        put(&mut frame, 48, self.offset.to_le_bytes());
        close(frame)
    }

    /// From bytes that lie at `offset` of `segment`.
    pub fn decode(frame: &Frame, segment: SegmentId, offset: u64) -> Result<Self, Damage> {
        check(frame, RECORD_MAGIC, "record header")?;
        let header = Self {
            segment: SegmentId(Uuid::from_bytes(get(frame, 32))),
            offset: u64_at(frame, 48),
            domain: get(frame, 16),
            payload_length: u64_at(frame, 8),
        };
        if header.segment == segment && header.offset == offset {
            Ok(header)
        } else {
            Err(Damage("the record header belongs elsewhere"))
        }
    }
}

/// What a record ends with: all that is known only when the payload has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFooter {
    /// Of the payload, in bytes.
    pub payload_length: u64,
    /// Of the payload's first byte, from the segment's beginning.
    pub payload_offset: u64,
    /// The payload's SHA-256.
    pub hash: Hash,
    /// CRC-32C of the CRC table.
    pub table_crc: u32,
}

impl RecordFooter {
    /// To bytes.
    pub fn encode(&self) -> Frame {
        let mut frame = begin(FOOTER_MAGIC);
        put(&mut frame, 8, self.payload_length.to_le_bytes());
        put(&mut frame, 16, self.hash.0);
        put(&mut frame, 48, self.payload_offset.to_le_bytes());
        put(&mut frame, 56, self.table_crc.to_le_bytes());
        close(frame)
    }

    /// From the bytes behind a payload of `payload_length` at `payload_offset`, and its table.
    pub fn decode(frame: &Frame, payload_offset: u64, payload_length: u64) -> Result<Self, Damage> {
        check(frame, FOOTER_MAGIC, "record footer")?;
        let footer = Self {
            payload_length: u64_at(frame, 8),
            payload_offset: u64_at(frame, 48),
            hash: Hash(get(frame, 16)),
            table_crc: u32::from_le_bytes(get(frame, 56)),
        };
        if footer.payload_length == payload_length && footer.payload_offset == payload_offset {
            Ok(footer)
        } else {
            Err(Damage("the record footer belongs to another payload"))
        }
    }
}

/// What a sealed segment ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The segment it ends.
    pub segment: SegmentId,
    /// How many records the index names.
    pub entries: u64,
    /// Where the index begins, and the records end.
    pub index_offset: u64,
    /// CRC-32C of the index.
    pub index_crc: u32,
}

impl Trailer {
    /// To bytes.
    pub fn encode(&self) -> Frame {
        let mut frame = begin(TRAILER_MAGIC);
        put(&mut frame, 8, self.entries.to_le_bytes());
        put(&mut frame, 16, *self.segment.0.as_bytes());
        put(&mut frame, 32, self.index_offset.to_le_bytes());
        put(&mut frame, 56, self.index_crc.to_le_bytes());
        close(frame)
    }

    /// From the last bytes of a file of `file_size` bytes that should be `segment`. The index that it
    /// declares is known to fit the file exactly.
    pub fn decode(frame: &Frame, segment: SegmentId, file_size: u64) -> Result<Self, Damage> {
        check(frame, TRAILER_MAGIC, "trailer")?;
        let trailer = Self {
            segment: SegmentId(Uuid::from_bytes(get(frame, 16))),
            entries: u64_at(frame, 8),
            index_offset: u64_at(frame, 32),
            index_crc: u32::from_le_bytes(get(frame, 56)),
        };
        let end = trailer
            .entries
            .checked_mul(FRAME)
            .and_then(|index| index.checked_add(trailer.index_offset))
            .and_then(|index_end| index_end.checked_add(FRAME));
        if trailer.segment == segment && end == Some(file_size) {
            Ok(trailer)
        } else {
            Err(Damage("the trailer belongs elsewhere"))
        }
    }
}

/// The index of `records` and the trailer behind it, for a segment whose records end at `index_offset`.
pub fn encode_index(segment: SegmentId, records: &[FoundRecord], index_offset: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((records.len() + 1) * FRAME_SIZE);
    for record in records {
        bytes.extend_from_slice(&record.domain);
        bytes.extend_from_slice(&record.hash.0);
        bytes.extend_from_slice(&record.offset.to_le_bytes());
        bytes.extend_from_slice(&record.length.to_le_bytes());
    }
    let index_crc = crc32c(&bytes);
    let trailer = Trailer { segment, entries: records.len() as u64, index_offset, index_crc };
    bytes.extend_from_slice(&trailer.encode());
    bytes
}

/// Reads the index that `trailer` describes.
pub fn decode_index(index: &[u8], trailer: &Trailer) -> Result<Vec<FoundRecord>, Damage> {
    let (entries, rest) = index.as_chunks::<FRAME_SIZE>();
    if !rest.is_empty() || entries.len() as u64 != trailer.entries || crc32c(index) != trailer.index_crc {
        return Err(Damage("the index does not match its checksum"));
    }
    let mut end = 0;
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        let record = FoundRecord {
            domain: get(entry, 0),
            hash: Hash(get(entry, 16)),
            offset: u64_at(entry, 48),
            length: u64_at(entry, 56),
        };
        if record.offset < end {
            return Err(Damage("the index is out of order"));
        }
        end = match record_end(record.offset, record.length) {
            Some(end) if end <= trailer.index_offset => end,
            _ => return Err(Damage("the index names a record beyond the records")),
        };
        records.push(record);
    }
    Ok(records)
}

/// Computes the CRC table of a payload while it passes by.
#[derive(Debug)]
pub struct BlockSums {
    table: Vec<u8>,
    open: Crc32c,
    filled: usize,
}

impl BlockSums {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self { table: Vec::new(), open: Crc32c::new(), filled: 0 }
    }

    /// Takes in the next bytes of the payload.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK_SIZE - self.filled));
            bytes = rest;
            if piece.len() == BLOCK_SIZE {
                self.table.extend_from_slice(&crc32c(piece).to_le_bytes());
                continue;
            }
            self.open.update(piece);
            self.filled += piece.len();
            if self.filled == BLOCK_SIZE {
                self.close_block();
            }
        }
    }

    /// The whole table.
    pub fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.close_block();
        }
        self.table
    }

    fn close_block(&mut self) {
        self.table.extend_from_slice(&self.open.value().to_le_bytes());
        self.open = Crc32c::new();
        self.filled = 0;
    }
}

impl Default for BlockSums {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks `blocks`, whole blocks of a payload (its last one may be short), against their part of the CRC
/// table. Fails with the offset inside `blocks` of the first bad one.
pub fn verify_blocks(blocks: &[u8], table: &[u8]) -> Result<(), usize> {
    let (sums, _) = table.as_chunks::<4>();
    for (number, block) in blocks.chunks(BLOCK_SIZE).enumerate() {
        if sums.get(number).is_none_or(|sum| u32::from_le_bytes(*sum) != crc32c(block)) {
            return Err(number * BLOCK_SIZE);
        }
    }
    Ok(())
}

/// Appends the CRC table of a whole payload to `frames`, then its footer.
pub fn encode_tail(frames: &mut Vec<u8>, payload: &[u8], payload_offset: u64, hash: Hash) {
    let table_at = frames.len();
    for block in payload.chunks(BLOCK_SIZE) {
        frames.extend_from_slice(&crc32c(block).to_le_bytes());
    }
    let table_crc = crc32c(&frames[table_at..]);
    let footer = RecordFooter { payload_length: payload.len() as u64, payload_offset, hash, table_crc };
    frames.extend_from_slice(&footer.encode());
}

fn begin(magic: [u8; 8]) -> Frame {
    let mut frame = [0; FRAME_SIZE];
    put(&mut frame, 0, magic);
    frame
}

fn close(mut frame: Frame) -> Frame {
    let crc = crc32c(&frame[..CRC_AT]);
    put(&mut frame, CRC_AT, crc.to_le_bytes());
    frame
}

fn check(frame: &Frame, magic: [u8; 8], what: &'static str) -> Result<(), Damage> {
    if get::<8>(frame, 0) == magic && u32::from_le_bytes(get(frame, CRC_AT)) == crc32c(&frame[..CRC_AT]) {
        Ok(())
    } else {
        Err(Damage(what))
    }
}

fn put<const N: usize>(frame: &mut Frame, at: usize, bytes: [u8; N]) {
    frame[at..at + N].copy_from_slice(&bytes);
}

fn get<const N: usize>(frame: &Frame, at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&frame[at..at + N]);
    bytes
}

fn u64_at(frame: &Frame, at: usize) -> u64 {
    u64::from_le_bytes(get(frame, at))
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
