//! The file that says what lies in which slot: a header of 4096 bytes, then 32 bytes for each slot.
//!
//! | at | bytes | header | | at | bytes | entry |
//! |---|---|---|---|---|---|---|
//! | 0 | 8 | `JSTCACHE` | | 0 | 16 | the segment's UUID |
//! | 8 | 4 | version: 1 | | 16 | 4 | the page's number |
//! | 12 | 4 | bytes of a slot | | 20 | 4 | the page's length; 0: the slot is empty |
//! | 16 | 4076 | zero | | 24 | 4 | CRC-32C of the first 24 bytes and of the page |
//! | 4092 | 4 | CRC-32C | | 28 | 4 | CRC-32C of the entry |
//!
//! Integers are little-endian. Nothing here is synced: whatever a power cut mixes up does not match its CRC.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use uuid::Uuid;

use super::super::super::format::{Crc32c, crc32c};
use super::super::page::{PAGE, PageKey};
use super::slots::Content;
use crate::domain::blob::SegmentId;

pub(super) const HEADER: usize = 4096;
pub(super) const ENTRY: usize = 32;

const MAGIC: [u8; 8] = *b"JSTCACHE";
const VERSION: u32 = 1;

/// Entries that are read at a time.
const AT_ONCE: usize = 4096;

pub(super) fn header() -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    #[allow(clippy::cast_possible_truncation, reason = "64 KiB")]
    bytes[12..16].copy_from_slice(&(PAGE as u32).to_le_bytes());
    let sum = crc32c(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The CRC of a page under its name: a page that lies in another one's slot does not match.
pub(super) fn sum_of(key: PageKey, page: &[u8]) -> u32 {
    let mut sum = Crc32c::new();
    sum.update(key.segment.0.as_bytes());
    sum.update(&key.number.to_le_bytes());
    sum.update(&u32::try_from(page.len()).unwrap_or(u32::MAX).to_le_bytes());
    sum.update(page);
    sum.value()
}

fn encode(content: &Content) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..16].copy_from_slice(content.key.segment.0.as_bytes());
    bytes[16..20].copy_from_slice(&content.key.number.to_le_bytes());
    bytes[20..24].copy_from_slice(&content.length.to_le_bytes());
    bytes[24..28].copy_from_slice(&content.sum.to_le_bytes());
    let sum = crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// What an entry says; `None` if its slot is empty or it is damaged.
fn decode(bytes: &[u8; ENTRY]) -> Option<Content> {
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let mut segment = [0; 16];
    segment.copy_from_slice(&bytes[..16]);
    let length = number(20);
    let sound = number(28) == crc32c(&bytes[..28]) && length > 0 && u64::from(length) <= PAGE;
    let key = PageKey { segment: SegmentId(Uuid::from_bytes(segment)), number: number(16) };
    sound.then_some(Content { key, length, sum: number(24) })
}

/// What lies in the first `slots` slots. Writes a new header, and empties all of them, if the file has another one.
pub(super) fn load(file: &File, slots: u32) -> io::Result<Vec<Option<Content>>> {
    let mut found = vec![0; HEADER];
    let known = file.read_exact_at(&mut found, 0).is_ok() && found == header();
    if !known {
        file.set_len(0)?;
        file.write_all_at(&header(), 0)?;
    }
    let slots = slots as usize;
    file.set_len((HEADER + slots * ENTRY) as u64)?;
    let mut contents = Vec::with_capacity(slots);
    let mut bytes = Vec::new();
    while contents.len() < slots {
        let count = AT_ONCE.min(slots - contents.len());
        bytes.resize(count * ENTRY, 0);
        file.read_exact_at(&mut bytes, (HEADER + contents.len() * ENTRY) as u64)?;
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        contents.extend(entries.iter().map(decode));
    }
    Ok(contents)
}

/// Says what lies in `slot`; `None`: nothing.
pub(super) fn store(file: &File, slot: u32, content: Option<&Content>) -> io::Result<()> {
    let entry = content.map_or([0; ENTRY], encode);
    file.write_all_at(&entry, HEADER as u64 + u64::from(slot) * ENTRY as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(number: u32) -> Content {
        let key = PageKey { segment: SegmentId(Uuid::from_u128(5)), number };
        Content { key, length: 100, sum: 77 }
    }

    #[test]
    fn entries_come_back_and_damaged_ones_do_not() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(load(&file, 5).unwrap(), [None; 5]);
        for slot in [0, 2, 4] {
            store(&file, slot, Some(&content(slot))).unwrap();
        }
        store(&file, 0, None).unwrap();
        assert_eq!(load(&file, 5).unwrap(), [None, None, Some(content(2)), None, Some(content(4))]);
        for byte in 0..ENTRY as u64 {
            let at = (HEADER + 2 * ENTRY) as u64 + byte;
            let mut one = [0];
            file.read_exact_at(&mut one, at).unwrap();
            file.write_all_at(&[one[0] ^ 1], at).unwrap();
            assert_eq!(load(&file, 5).unwrap()[2], None, "{byte}");
            file.write_all_at(&one, at).unwrap();
        }
        assert_eq!(load(&file, 3).unwrap(), [None, None, Some(content(2))], "with fewer slots");
        assert_eq!(load(&file, 5).unwrap()[4], None, "which were given up for good");
    }

    #[test]
    fn a_file_of_something_else_is_begun_anew() {
        let file = tempfile::tempfile().unwrap();
        load(&file, 2).unwrap();
        store(&file, 1, Some(&content(1))).unwrap();
        file.write_all_at(b"2", 8).unwrap();
        assert_eq!(load(&file, 2).unwrap(), [None, None]);
        assert_eq!(file.metadata().unwrap().len(), (HEADER + 2 * ENTRY) as u64);
    }

    #[test]
    fn a_sum_is_of_the_name_too() {
        let key = content(1).key;
        assert_eq!(sum_of(key, b"x"), sum_of(key, b"x"));
        assert_ne!(sum_of(key, b"x"), sum_of(PageKey { number: 2, ..key }, b"x"));
    }
}
