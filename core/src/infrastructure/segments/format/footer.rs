//! The end of a record. Version 2 says more, so that a leaf opens with one read of its end: a footer names its
//! segment, and has room for what an encrypted payload would need.

use uuid::Uuid;

use super::{
    BLOCK_SIZE, Damage, FRAME_SIZE, Version, begin, check, close, crc32c, get, put, table_length, u64_at,
};
use crate::domain::blob::{Hash, SegmentId};

/// Of a record footer of version 2, in bytes.
pub const FOOTER_SIZE: usize = 2 * FRAME_SIZE;

const MAGIC_ONE: [u8; 8] = *b"JSTFOOTR";
pub(in super::super) const MAGIC_TWO: [u8; 8] = *b"JSTFOOT2";

/// Where the fields of an encrypted payload lie: cipher id and two zero bytes, then key id and wrapped key.
const CIPHER: std::ops::Range<usize> = 60..64;
const KEY: std::ops::Range<usize> = 80..124;

/// All that is known of a record only when its payload has passed.
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
    /// To the bytes of version 2, in `segment`.
    pub fn encode(&self, segment: SegmentId) -> [u8; FOOTER_SIZE] {
        let mut frame = begin(MAGIC_TWO);
        self.put(&mut frame);
        put(&mut frame, 64, *segment.0.as_bytes());
        close(frame)
    }

    /// To the bytes of version 1, which are no longer written.
    #[cfg(any(test, feature = "testing"))]
    pub fn encode_one(&self) -> super::Frame {
        let mut frame = begin(MAGIC_ONE);
        self.put(&mut frame);
        close(frame)
    }

    fn put(&self, frame: &mut [u8]) {
        put(frame, 8, self.payload_length.to_le_bytes());
        put(frame, 16, self.hash.0);
        put(frame, 48, self.payload_offset.to_le_bytes());
        put(frame, 56, self.table_crc.to_le_bytes());
    }

    /// From the bytes behind a payload of `payload_length` at `payload_offset` of `segment`, and its table. They are as
    /// many as [`Version::footer_size`] says.
    pub fn decode(
        version: Version,
        frame: &[u8],
        segment: SegmentId,
        payload_offset: u64,
        payload_length: u64,
    ) -> Result<Self, Damage> {
        let footer = match version {
            Version::One => Self::decode_one(frame)?,
            Version::Two => Self::decode_two(frame, segment)?,
        };
        if footer.payload_length == payload_length && footer.payload_offset == payload_offset {
            Ok(footer)
        } else {
            Err(Damage("the record footer belongs to another payload"))
        }
    }

    /// As [`Self::decode`], of whatever version the bytes are, which are as many as the longest footer if there are so many.
    pub fn decode_any(
        bytes: &[u8],
        segment: SegmentId,
        payload_offset: u64,
        payload_length: u64,
    ) -> Result<Self, Damage> {
        let version = if bytes.starts_with(&MAGIC_ONE) { Version::One } else { Version::Two };
        let frame = bytes.get(..version.footer_size()).ok_or(Damage("record footer"))?;
        Self::decode(version, frame, segment, payload_offset, payload_length)
    }

    /// From bytes of version 2 that lie at `offset` of `segment` and should end the record of the payload at
    /// `payload_offset`, whose length they say.
    pub fn decode_end(
        frame: &[u8],
        segment: SegmentId,
        offset: u64,
        payload_offset: u64,
    ) -> Result<Self, Damage> {
        let footer = Self::decode_two(frame, segment)?;
        let ends = offset.checked_sub(payload_offset).is_some_and(|tail| {
            footer.payload_length.checked_add(table_length(footer.payload_length)) == Some(tail)
        });
        if ends && footer.payload_offset == payload_offset {
            Ok(footer)
        } else {
            Err(Damage("the record footer belongs to another payload"))
        }
    }

    fn decode_one(frame: &[u8]) -> Result<Self, Damage> {
        sized(frame, FRAME_SIZE)?;
        check(frame, MAGIC_ONE, "record footer")?;
        Ok(Self::get(frame))
    }

    fn decode_two(frame: &[u8], segment: SegmentId) -> Result<Self, Damage> {
        sized(frame, FOOTER_SIZE)?;
        check(frame, MAGIC_TWO, "record footer")?;
        if SegmentId(Uuid::from_bytes(get(frame, 64))) != segment {
            return Err(Damage("the record footer belongs to another segment"));
        }
        if frame[CIPHER].iter().chain(&frame[KEY]).any(|byte| *byte != 0) {
            return Err(Damage("the payload is encrypted, which this version cannot read"));
        }
        Ok(Self::get(frame))
    }

    fn get(frame: &[u8]) -> Self {
        Self {
            payload_length: u64_at(frame, 8),
            payload_offset: u64_at(frame, 48),
            hash: Hash(get(frame, 16)),
            table_crc: u32::from_le_bytes(get(frame, 56)),
        }
    }
}

/// Refuses what is not as long as a footer.
fn sized(frame: &[u8], size: usize) -> Result<(), Damage> {
    if frame.len() == size { Ok(()) } else { Err(Damage("record footer")) }
}

/// Appends the CRC table of a whole payload to `frames`, then its footer, for a record of `segment`.
pub fn encode_tail(
    frames: &mut Vec<u8>,
    segment: SegmentId,
    payload: &[u8],
    payload_offset: u64,
    hash: Hash,
) {
    let table_at = frames.len();
    for block in payload.chunks(BLOCK_SIZE) {
        frames.extend_from_slice(&crc32c(block).to_le_bytes());
    }
    let table_crc = crc32c(&frames[table_at..]);
    let footer = RecordFooter { payload_length: payload.len() as u64, payload_offset, hash, table_crc };
    frames.extend_from_slice(&footer.encode(segment));
}
