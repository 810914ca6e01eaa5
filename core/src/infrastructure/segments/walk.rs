//! Looking at a segment without the metadata store: through its index, or record by record. And mending a
//! pack whose writer died. Everything here blocks.

use std::io::ErrorKind;

use super::blocking::{Wait, read_error, read_exact_at};
use super::directory::Directory;
use super::format::{
    self, Damage, FOOTER_MAGIC, FOOTER_SIZE, FRAME, FRAME_SIZE, Frame, RECORD_MAGIC, RecordFooter,
    RecordHeader, SegmentHeader, Trailer, Version,
};
use super::handles::Handle;
use super::pack::write_index;
use crate::application::ports::segments::{FoundRecord, Mended, Salvaged, SegmentError};
use crate::infrastructure::durable;

/// Bytes read at a time where much is passed by.
const STEP: u64 = 256 * 1024;

/// Records, and, unless they end where they should, where they end and why.
type Walked = (Vec<FoundRecord>, Option<(u64, Damage)>);

/// A segment's file, and its size when it was opened.
struct Look<'a> {
    handle: &'a Handle,
    size: u64,
}

/// The blobs in a segment: from its index, or from its records if it has no valid one.
///
/// A tail that is no record is taken for the torn end of a pack that was not sealed. If there is a record
/// behind it, it is damage instead, and told.
pub(super) fn inspect(_: &Directory, handle: &Handle) -> Result<Vec<FoundRecord>, SegmentError> {
    list(handle)
}

/// As [`inspect`].
pub(super) fn list(handle: &Handle) -> Result<Vec<FoundRecord>, SegmentError> {
    let look = Look::new(handle)?;
    if let Some((_, records)) = look.index()? {
        return Ok(records);
    }
    let (records, end) = look.walk(look.first_record(), look.size)?;
    let Some((end, damage)) = end else { return Ok(records) };
    match look.next_record(end + 1)? {
        None => Ok(records),
        Some(_) => Err(look.corrupt(end, damage)),
    }
}

/// Seals a segment with every whole record in it, those behind `committed` too. What lies before must be nothing but
/// records. Less than a header cannot have been committed: it stands for nothing.
///
/// Records behind `committed` are usually those of a batch that was never acknowledged; but if the database is older than
/// the tier, they are acknowledged ones. Either way they stay: only what is behind the last of them is cut. Between them
/// may lie one that is not whole, since the pages of an unsynced batch arrive in any order.
pub(super) fn recover(
    directory: &Directory,
    handle: &Handle,
    committed: u64,
) -> Result<Mended, SegmentError> {
    let look = Look::new(handle)?;
    let committed = committed.max(look.first_record());
    if look.size < committed {
        return Err(look.corrupt(look.size, Damage("the file is shorter than what was committed")));
    }
    if let Some((trailer, records)) = look.index()?
        && (trailer.index_offset >= committed || look.size == committed)
    {
        return Ok(mended(look.size, committed, &records));
    }
    let (mut records, end) = look.walk(look.first_record(), committed)?;
    if let Some((end, damage)) = end {
        return Err(look.corrupt(end, damage));
    }
    records.extend(look.whole_records(committed)?);
    let end = records.last().and_then(|last| look.record_end(last)).unwrap_or(committed);
    let seal = || {
        durable::cut_file(&handle.file, end)?;
        write_index(&handle.file, handle.id, &records, end)
    };
    let size = seal().map_err(|error| directory.error("recover a pack", error))?;
    Ok(mended(size, committed, &records))
}

/// The records found in a segment of `size` bytes.
pub(super) fn mended(size: u64, committed: u64, records: &[FoundRecord]) -> Mended {
    let unknown = records.iter().filter(|record| record.offset >= committed);
    Mended {
        size,
        unknown_records: unknown.clone().count() as u64,
        unknown_bytes: unknown.map(|record| record.length).sum(),
    }
}

/// The records of a segment, a pack without an index being cut behind its last whole record and sealed. Between its records
/// may lie something else: a damaged one, or one that the pages of an unsynced batch left incomplete.
pub(super) fn salvage(directory: &Directory, handle: &Handle) -> Result<Salvaged, SegmentError> {
    let look = Look::new(handle)?;
    let first = look.first_record();
    if let Some((_, records)) = look.index()? {
        let holes = look.holes(&records);
        return Ok(Salvaged { records, size: look.size, holes });
    }
    let records = look.whole_records(first)?;
    let mut cut = first.min(look.size);
    if let Some(last) = records.last() {
        cut = look.record_end(last).unwrap_or(look.size);
    } else if let Some(begun) = look.next_record(first + 1)? {
        // Nothing could be kept, so nothing is cut either.
        return Err(look.corrupt(begun, Damage("no record of the segment is whole")));
    }
    let seal = || {
        durable::cut_file(&handle.file, cut)?;
        write_index(&handle.file, handle.id, &records, cut)
    };
    let size = seal().map_err(|error| directory.error("seal a segment", error))?;
    let holes = look.holes(&records);
    Ok(Salvaged { records, size, holes })
}

/// As [`salvage`], of a segment that cannot be changed.
pub(super) fn survey(handle: &Handle) -> Result<Salvaged, SegmentError> {
    let look = Look::new(handle)?;
    let from = look.first_record();
    let records = look.whole_records(from)?;
    if records.is_empty()
        && let Some(begun) = look.next_record(from)?
    {
        return Err(look.corrupt(begun, Damage("no record of the segment is whole")));
    }
    let holes = look.holes(&records);
    Ok(Salvaged { records, size: look.size, holes })
}

/// Where no record of `records` is, before the last of them, in a segment whose first one should begin at `first`.
pub(super) fn holes(version: Version, first: u64, records: &[FoundRecord]) -> Vec<(u64, u64)> {
    let mut holes = Vec::new();
    let mut end = first;
    for record in records {
        let begin = record.offset.saturating_sub(FRAME);
        if begin > end {
            holes.push((end, begin - end));
        }
        end = version.record_end(record.offset, record.length).unwrap_or(begin);
    }
    holes
}

impl<'a> Look<'a> {
    fn new(handle: &'a Handle) -> Result<Self, SegmentError> {
        let size = handle.file.metadata();
        let size = size.map_err(|error| read_error(handle.id, "look at a segment", error))?.len();
        Ok(Self { handle, size })
    }

    fn first_record(&self) -> u64 {
        let Handle { version, kind, id, .. } = *self.handle;
        SegmentHeader { version, kind, id }.first_record()
    }

    fn version(&self) -> Version {
        self.handle.version
    }

    /// Where the record of a payload ends.
    fn record_end(&self, record: &FoundRecord) -> Option<u64> {
        self.version().record_end(record.offset, record.length)
    }

    fn holes(&self, records: &[FoundRecord]) -> Vec<(u64, u64)> {
        holes(self.version(), self.first_record(), records)
    }

    /// The trailer and the index, if both are whole.
    fn index(&self) -> Result<Option<(Trailer, Vec<FoundRecord>)>, SegmentError> {
        let Some(trailer_at) = self.size.checked_sub(FRAME) else { return Ok(None) };
        let Ok(trailer) = Trailer::decode(&self.frame(trailer_at)?, self.handle.id, self.size) else {
            return Ok(None);
        };
        // The trailer is known to fit the file, so its index is no longer than what is on the disk.
        let Ok(length) = usize::try_from(trailer_at - trailer.index_offset) else { return Ok(None) };
        let mut index = vec![0; length];
        self.fill(&mut index, trailer.index_offset)?;
        Ok(format::decode_index(self.version(), &index, &trailer).ok().map(|records| (trailer, records)))
    }

    /// The records from `from` on, which should end at `limit`. Frames and tables are checked, payloads are not: that is a reader's and the scrubber's part.
    fn walk(&self, from: u64, limit: u64) -> Result<Walked, SegmentError> {
        let mut at = from;
        let mut records = Vec::new();
        while at != limit {
            match self.record(at, limit)? {
                Ok(record) => {
                    // Checked by `record` not to overflow.
                    at = self.record_end(&record).unwrap_or(limit);
                    records.push(record);
                }
                Err(damage) => return Ok((records, Some((at, damage)))),
            }
        }
        Ok((records, None))
    }

    /// All whole records from `from` on, with or without something else between them.
    fn whole_records(&self, from: u64) -> Result<Vec<FoundRecord>, SegmentError> {
        let (mut records, mut end) = self.walk(from, self.size)?;
        while let Some((at, _)) = end {
            let Some(next) = self.next_record(at + 1)? else { break };
            let (more, then) = self.walk(next, self.size)?;
            records.extend(more);
            end = then;
        }
        Ok(records)
    }

    /// The record at `at`, if there is a whole one before `limit`.
    fn record(&self, at: u64, limit: u64) -> Result<Result<FoundRecord, Damage>, SegmentError> {
        const CUT: Damage = Damage("a record is cut short");
        if at.checked_add(FRAME).is_none_or(|payload| payload > limit) {
            return Ok(Err(CUT));
        }
        let header = match RecordHeader::decode(&self.frame(at)?, self.handle.id, at) {
            Ok(header) => header,
            Err(damage) => return Ok(Err(damage)),
        };
        let (offset, version) = (at + FRAME, self.version());
        let length = match (header.payload_length, version) {
            (Some(length), _) => length,
            (None, Version::One) => return Ok(Err(CUT)),
            (None, Version::Two) => match self.length_of(offset, limit)? {
                Some(length) => length,
                None => return Ok(Err(CUT)),
            },
        };
        let (Some(footer_at), Some(end)) =
            (version.footer_offset(offset, length), version.record_end(offset, length))
        else {
            return Ok(Err(CUT));
        };
        if end > limit {
            return Ok(Err(CUT));
        }
        let mut frame = [0; FOOTER_SIZE];
        let frame = &mut frame[..version.footer_size()];
        self.fill(frame, footer_at)?;
        let footer = match RecordFooter::decode(version, frame, self.handle.id, offset, length) {
            Ok(footer) => footer,
            Err(damage) => return Ok(Err(damage)),
        };
        if self.crc(offset + length, footer_at)? != footer.table_crc {
            return Ok(Err(Damage("a table of checksums does not match its own")));
        }
        Ok(Ok(FoundRecord { domain: header.domain, hash: footer.hash, offset, length }))
    }

    /// The length of the payload at `offset`, of which the record's header does not know it: its footer does, which lies
    /// before index and trailer if these are whole, or else somewhere before `limit`.
    fn length_of(&self, offset: u64, limit: u64) -> Result<Option<u64>, SegmentError> {
        const SIZE: u64 = FOOTER_SIZE as u64;
        // Behind a single's footer come one entry and the trailer.
        let usual = self.size.checked_sub(2 * FRAME + SIZE).filter(|at| *at >= offset && *at + SIZE <= limit);
        if let Some(at) = usual {
            let mut frame = [0; FOOTER_SIZE];
            self.fill(&mut frame, at)?;
            if let Ok(footer) = RecordFooter::decode_end(&frame, self.handle.id, at, offset) {
                return Ok(Some(footer.payload_length));
            }
        }
        let mut found = None;
        self.find(offset, limit, &FOOTER_MAGIC, FOOTER_SIZE, |frame, at| {
            found = RecordFooter::decode_end(frame, self.handle.id, at, offset).ok();
            found.is_some()
        })?;
        Ok(found.map(|footer| footer.payload_length))
    }

    /// Where the next valid record header is, from `from` on.
    fn next_record(&self, from: u64) -> Result<Option<u64>, SegmentError> {
        self.find(from, self.size, &RECORD_MAGIC, FRAME_SIZE, |frame, offset| {
            let header = frame.first_chunk().map(|frame| RecordHeader::decode(frame, self.handle.id, offset));
            matches!(header, Some(Ok(_)))
        })
    }

    /// Where the next `size` bytes that begin with `magic` and that `is_it` recognizes are, in `from..to`.
    fn find(
        &self,
        from: u64,
        to: u64,
        magic: &[u8],
        size: usize,
        mut is_it: impl FnMut(&[u8], u64) -> bool,
    ) -> Result<Option<u64>, SegmentError> {
        let mut at = from;
        while at.saturating_add(size as u64) <= to {
            // A frame across two steps is found in the second, which begins where it could.
            let piece = self.piece(at, to)?;
            for (start, frame) in piece.windows(size).enumerate() {
                let offset = at + start as u64;
                if frame.starts_with(magic) && is_it(frame, offset) {
                    return Ok(Some(offset));
                }
            }
            at += (piece.len() - (size - 1)) as u64;
        }
        Ok(None)
    }

    /// CRC-32C of the bytes in `from..to`, which lie inside the file.
    fn crc(&self, from: u64, to: u64) -> Result<u32, SegmentError> {
        let mut digest = format::Crc32c::new();
        let mut at = from;
        while at < to {
            let piece = self.piece(at, to)?;
            digest.update(&piece);
            at += piece.len() as u64;
        }
        Ok(digest.value())
    }

    fn piece(&self, from: u64, to: u64) -> Result<Vec<u8>, SegmentError> {
        let length = usize::try_from((to - from).min(STEP)).unwrap_or(FRAME_SIZE);
        let mut piece = vec![0; length];
        self.fill(&mut piece, from)?;
        Ok(piece)
    }

    fn frame(&self, at: u64) -> Result<Frame, SegmentError> {
        let mut frame = [0; FRAME_SIZE];
        self.fill(&mut frame, at)?;
        Ok(frame)
    }

    fn fill(&self, buffer: &mut [u8], at: u64) -> Result<(), SegmentError> {
        read_exact_at(&self.handle.file, buffer, at, Wait::Yes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => self.corrupt(at, Damage("the file ends too early")),
            _ => read_error(self.handle.id, "look at a segment", error),
        })
    }

    fn corrupt(&self, offset: u64, damage: Damage) -> SegmentError {
        SegmentError::Corrupt { segment: self.handle.id, offset, what: damage.0 }
    }
}
