//! The bytes of a segment. Pure: slices in, values out, no I/O. `docs/format.md` describes the same format
//! for people; the two change together, and [`Version`] with them.
//!
//! Every frame (segment header, record header, record footer of version 1, index entry, trailer) is 64 bytes, a record
//! footer of version 2 is 128 bytes. Integers are little-endian, and every frame but the index entry begins with 8 magic
//! bytes and ends with the CRC-32C of the bytes before. Bytes from a disk may be anything: decoding never
//! panics and never allocates by a length that it has read.

mod footer;
mod sums;

use uuid::Uuid;

use crate::application::ports::segments::{DomainTag, FoundRecord, SegmentKind};
use crate::domain::blob::{Hash, SegmentId};

pub(super) use footer::MAGIC_TWO as FOOTER_MAGIC;
pub use footer::{FOOTER_SIZE, RecordFooter, encode_tail};
pub use sums::{BlockSums, Crc32c, crc32c, table_length, verify_blocks};

/// A version of the format. Every version that was ever written is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Written until November 2026: headers of a single are written last, and footers do not name their segment.
    One,
    /// Written front to back.
    Two,
}

impl Version {
    /// The one that new segments have.
    pub const NEWEST: Self = Self::Two;

    /// Of this version, a record's footer in bytes.
    pub const fn footer_size(self) -> usize {
        match self {
            Self::One => FRAME_SIZE,
            Self::Two => FOOTER_SIZE,
        }
    }

    /// Where the footer of a payload begins.
    pub fn footer_offset(self, payload_offset: u64, payload_length: u64) -> Option<u64> {
        payload_offset.checked_add(payload_length)?.checked_add(table_length(payload_length))
    }

    /// Where what belongs to a payload ends: its CRC table, then its footer. `None` if no file can be that long.
    pub fn record_end(self, payload_offset: u64, payload_length: u64) -> Option<u64> {
        // Offsets in files are signed.
        self.footer_offset(payload_offset, payload_length)?
            .checked_add(self.footer_size() as u64)
            .filter(|end| i64::try_from(*end).is_ok())
    }

    fn number(self) -> u16 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}
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
const TRAILER_MAGIC: [u8; 8] = *b"JSTTRAIL";

/// One frame.
pub type Frame = [u8; FRAME_SIZE];

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage(pub &'static str);

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Of the whole segment.
    pub version: Version,
    /// One blob or many.
    pub kind: SegmentKind,
    /// The segment's own name, so that a file under a wrong name is noticed.
    pub id: SegmentId,
}

impl SegmentHeader {
    /// Of a new segment.
    pub fn new(kind: SegmentKind, id: SegmentId) -> Self {
        Self { version: Version::NEWEST, kind, id }
    }

    /// Where the header of the first record begins.
    pub fn first_record(&self) -> u64 {
        match self.kind {
            SegmentKind::Pack => PACK_FIRST_RECORD,
            SegmentKind::Single => SINGLE_PAYLOAD - FRAME,
        }
    }

    /// To bytes.
    pub fn encode(&self) -> Frame {
        let mut frame: Frame = begin(SEGMENT_MAGIC);
        put(&mut frame, 8, self.version.number().to_le_bytes());
        put(&mut frame, 10, [kind_code(self.kind)]);
        put(&mut frame, 16, *self.id.0.as_bytes());
        put(&mut frame, 32, self.first_record().to_le_bytes());
        close(frame)
    }

    /// From bytes.
    pub fn decode(frame: &Frame) -> Result<Self, Damage> {
        check(frame, SEGMENT_MAGIC, "segment header")?;
        let version = match u16::from_le_bytes(get(frame, 8)) {
            1 => Version::One,
            2 => Version::Two,
            _ => return Err(Damage("the segment's format version is unknown")),
        };
        let kind = match frame[10] {
            1 => SegmentKind::Single,
            2 => SegmentKind::Pack,
            _ => return Err(Damage("the segment's kind is unknown")),
        };
        let header = Self { version, kind, id: SegmentId(Uuid::from_bytes(get(frame, 16))) };
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

/// The beginning of a record. It names its segment and its own place, so that no payload can pose as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// The segment it lies in.
    pub segment: SegmentId,
    /// Of this header's first byte, from the segment's beginning.
    pub offset: u64,
    /// Of the domain the blob belongs to.
    pub domain: DomainTag,
    /// Of the payload, in bytes; `None` if the header was written before that was known, as in a single of version 2:
    /// the footer says it.
    pub payload_length: Option<u64>,
}

/// Stands for a length that was not known yet.
const LENGTH_UNKNOWN: u64 = u64::MAX;

impl RecordHeader {
    /// To bytes.
    pub fn encode(&self) -> Frame {
        let mut frame: Frame = begin(RECORD_MAGIC);
        put(&mut frame, 8, self.payload_length.unwrap_or(LENGTH_UNKNOWN).to_le_bytes());
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
            payload_length: Some(u64_at(frame, 8)).filter(|length| *length != LENGTH_UNKNOWN),
        };
        if header.segment == segment && header.offset == offset {
            Ok(header)
        } else {
            Err(Damage("the record header belongs elsewhere"))
        }
    }
}

/// The end of a sealed segment.
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
        let mut frame: Frame = begin(TRAILER_MAGIC);
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

/// Reads the index that `trailer` describes, of a segment of `version`.
pub fn decode_index(version: Version, index: &[u8], trailer: &Trailer) -> Result<Vec<FoundRecord>, Damage> {
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
        end = match version.record_end(record.offset, record.length) {
            Some(end) if end <= trailer.index_offset => end,
            _ => return Err(Damage("the index names a record beyond the records")),
        };
        records.push(record);
    }
    Ok(records)
}

/// `N` bytes that begin with `magic`.
fn begin<const N: usize>(magic: [u8; 8]) -> [u8; N] {
    let mut frame = [0; N];
    put(&mut frame, 0, magic);
    frame
}

/// With its CRC in its last four bytes.
fn close<const N: usize>(mut frame: [u8; N]) -> [u8; N] {
    let crc = crc32c(&frame[..N - 4]);
    put(&mut frame, N - 4, crc.to_le_bytes());
    frame
}

fn check(frame: &[u8], magic: [u8; 8], what: &'static str) -> Result<(), Damage> {
    match frame.split_last_chunk::<4>() {
        Some((before, crc)) if before.starts_with(&magic) && u32::from_le_bytes(*crc) == crc32c(before) => {
            Ok(())
        }
        _ => Err(Damage(what)),
    }
}

fn put<const N: usize>(frame: &mut [u8], at: usize, bytes: [u8; N]) {
    frame[at..at + N].copy_from_slice(&bytes);
}

fn get<const N: usize>(frame: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&frame[at..at + N]);
    bytes
}

fn u64_at(frame: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(frame, at))
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
