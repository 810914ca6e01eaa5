//! Reading a leaf by its pages. Each block is checked against the CRC that the segment has for it before any of its bytes
//! leaves; what does not match is fetched once more from the object store before it counts as damage.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};

use super::super::format::{self, BLOCK, FOOTER_SIZE, RecordFooter};
use super::super::reader::Stretch;
use super::flights::{Asked, Line, RUN};
use super::page::{PageKey, cut, joined, pages_of, start_of};
use super::pages::{Got, Pages, Reading};
use super::source::Source;
use crate::application::metrics::read_cache as meters;
use crate::application::ports::segments::SegmentError;

/// Entries of the CRC table that are held at a time (16 KiB, good for 256 MiB of payload).
const TABLE_ENTRIES: u64 = 4096;

/// Pages between the last block and the end of a leaf that are fetched too, rather than asking twice.
const GAP: u32 = 2;

/// Pages of the disk that are read at a time.
const DISK_RUN: usize = 8;

/// Pages of a long stretch that are asked for at first. Each further request is twice as long.
const FIRST_RUN: usize = 8;

/// Readers up to which a long stretch is one request, of which as much is read as there is room for. With more of them each
/// request is short, so that there are no more connections than fetches.
const LINES: usize = 64;

type Chunks = BoxStream<'static, Result<Bytes, SegmentError>>;

pub(super) async fn read(
    cache: Arc<Pages>,
    source: Arc<dyn Source>,
    stretch: Stretch,
) -> Result<Chunks, SegmentError> {
    if stretch.length <= BLOCK {
        let bytes = Leaf { cache, source, stretch }.one_block().await?;
        return Ok(if bytes.is_empty() { stream::empty().boxed() } else { once(bytes) });
    }
    let Some(mut position) = Position::open(Leaf { cache, source, stretch }).await? else {
        return Ok(stream::empty().boxed());
    };
    // An answer that is an error is one before its first byte.
    let chunk = position.next().await?;
    let rest = stream::try_unfold(position, |mut position| async {
        if position.block >= position.until {
            return Ok(None);
        }
        let chunk = position.next().await?;
        Ok(Some((chunk, position)))
    });
    Ok(once(chunk).chain(rest).boxed())
}

fn once(bytes: Bytes) -> Chunks {
    stream::once(std::future::ready(Ok(bytes))).boxed()
}

/// A leaf that is read.
struct Leaf {
    cache: Arc<Pages>,
    source: Arc<dyn Source>,
    stretch: Stretch,
}

impl Leaf {
    /// A payload of one block, its table and footer: all of it is checked, whatever is asked for.
    async fn one_block(&self) -> Result<Bytes, SegmentError> {
        let Stretch { segment, offset, length, start, end, footer_offset, .. } = self.stretch;
        let range = offset..footer_offset + FOOTER_SIZE as u64;
        let (length, footer_at) = (index(length), index(footer_offset - offset));
        let checked = |bytes: &Bytes| {
            let (framed, footer) = bytes.split_at_checked(footer_at).ok_or_else(|| self.too_short(offset))?;
            self.check_footer(footer)?;
            self.check_block(0, &framed[..length], &framed[length..])
        };
        let got = self.cache.bytes(&self.source, segment, range.clone()).await?;
        let bytes = match checked(&got.bytes) {
            Ok(()) => got.bytes,
            Err(_) => self.again(&got, range, checked).await?,
        };
        Ok(bytes.slice(index(start)..index(end)))
    }

    /// Fetches a range anew, what is cached of it did not pass `check`. It counts as damage of the segment only if it does
    /// not pass then either; what is damaged does not stay in the cache.
    async fn again(
        &self,
        bad: &Got,
        range: Range<u64>,
        check: impl Fn(&Bytes) -> Result<(), SegmentError>,
    ) -> Result<Bytes, SegmentError> {
        let segment = self.stretch.segment;
        let numbers = pages_of(segment, range.start, range.end - range.start)?;
        if bad.cached {
            meters::damaged();
            tracing::warn!(%segment, at = range.start, "the read cache does not match the segment; it is fetched again");
        }
        self.cache.drop_pages(segment, numbers.clone());
        let got = self.cache.bytes(&self.source, segment, range.clone()).await?;
        if check(&got.bytes).is_ok() {
            return Ok(got.bytes);
        }
        self.cache.drop_pages(segment, numbers);
        // From the store itself: a page of an open pack, as it was before it grew, may have been on its way to the disk.
        meters::requested();
        let mut stream = self.source.bytes(segment, range).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        let bytes = Bytes::from(bytes);
        check(&bytes)?;
        Ok(bytes)
    }

    fn check_footer(&self, footer: &[u8]) -> Result<(), SegmentError> {
        let Stretch { segment, offset, length, hash, footer_offset, .. } = self.stretch;
        let corrupt = |what| SegmentError::Corrupt { segment, offset: footer_offset, what };
        let footer = &footer[..footer.len().min(FOOTER_SIZE)];
        let found =
            RecordFooter::decode_any(footer, segment, offset, length).map_err(|damage| corrupt(damage.0))?;
        match hash {
            Some(hash) if hash != found.hash => Err(corrupt("another blob lies here")),
            _ => Ok(()),
        }
    }

    /// Checks a block, `entries` being the CRC table from it on.
    fn check_block(&self, block: u64, bytes: &[u8], entries: &[u8]) -> Result<(), SegmentError> {
        format::verify_blocks(bytes, entries).map_err(|bad| SegmentError::Corrupt {
            segment: self.stretch.segment,
            offset: self.stretch.offset + block * BLOCK + bad as u64,
            what: "a block does not match its checksum",
        })
    }

    fn too_short(&self, offset: u64) -> SegmentError {
        let segment = self.stretch.segment;
        SegmentError::Corrupt { segment, offset, what: "the object ends too early" }
    }

    /// Where a block lies in its segment.
    fn block(&self, number: u64) -> Range<u64> {
        let Stretch { offset, length, .. } = self.stretch;
        offset + number * BLOCK..offset + length.min((number + 1) * BLOCK)
    }

    /// Where the entries of the CRC table from block `first` on lie: as many of them as are held at a time.
    fn entries(&self, first: u64) -> Range<u64> {
        let Stretch { offset, length, end, .. } = self.stretch;
        let until = end.div_ceil(BLOCK).min(first + TABLE_ENTRIES).max(first);
        let table = offset + length;
        table + first * 4..table + until * 4
    }

    /// The footer, and the entries of the CRC table from block `first` on.
    async fn open(&self, first: u64) -> Result<Bytes, SegmentError> {
        let Stretch { segment, footer_offset, .. } = self.stretch;
        let footer = footer_offset..footer_offset + FOOTER_SIZE as u64;
        let check = |bytes: &Bytes| self.check_footer(bytes);
        let got = self.cache.bytes(&self.source, segment, footer.clone()).await?;
        if check(&got.bytes).is_err() {
            self.again(&got, footer, check).await?;
        }
        self.table(first).await
    }

    async fn table(&self, first: u64) -> Result<Bytes, SegmentError> {
        let range = self.entries(first);
        let length = range.end - range.start;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let at = range.start;
        let got = self.cache.bytes(&self.source, self.stretch.segment, range).await?;
        if (got.bytes.len() as u64) < length {
            return Err(self.too_short(at));
        }
        // Not as a part of its page, which is larger.
        Ok(Bytes::copy_from_slice(&got.bytes))
    }
}

/// How far a reader of a leaf of several blocks is.
struct Position {
    leaf: Leaf,
    /// The block that comes next, and the one behind the last.
    block: u64,
    until: u64,
    /// The entries of the CRC table from block `table_block` on.
    table: Bytes,
    table_block: u64,
    line: Line,
    /// Pages that were asked for, from `front` on.
    asked: VecDeque<Asked>,
    front: u32,
    /// The last page that is needed.
    last: u32,
    /// The page that was taken last, which the next block may begin in.
    held: Option<(u32, Bytes, bool)>,
    /// Pages to ask for at a time, as long as there is room for so many.
    run: usize,
    _reading: Reading,
}

impl Position {
    /// Checks the footer, and begins to fetch. `None` if nothing is asked for.
    async fn open(leaf: Leaf) -> Result<Option<Self>, SegmentError> {
        let Stretch { segment, start, end, footer_offset, .. } = leaf.stretch;
        if start == end {
            leaf.open(start / BLOCK).await?;
            return Ok(None);
        }
        let reading = Reading::begin(&leaf.cache);
        let (block, until) = (start / BLOCK, end.div_ceil(BLOCK));
        let begin = leaf.block(block).start;
        let pages = pages_of(segment, begin, leaf.block(until - 1).end - begin)?;
        // What lies near the end of a leaf that is not large is fetched with that end, by one request.
        let whole = pages_of(segment, begin, footer_offset + FOOTER_SIZE as u64 - begin)?;
        let gap = whole.end() - pages.end();
        let at_once = gap <= GAP && count(&whole) <= leaf.cache.run();
        let line = Line::until(start_of(if at_once { *whole.end() } else { *pages.end() } + 1));
        let (front, last) = (*pages.start(), *pages.end());
        let table_block = block;
        let (asked, held, run) = (VecDeque::new(), None, FIRST_RUN);
        let table = Bytes::new();
        let mut position = Self {
            leaf,
            block,
            until,
            table,
            table_block,
            line,
            asked,
            front,
            last,
            held,
            run,
            _reading: reading,
        };
        if at_once {
            let asked = position.leaf.cache.ask(&position.leaf.source, segment, whole, Some(&position.line));
            position.asked = asked.into_iter().take(count(&pages)).collect();
        } else {
            position.ask_ahead();
        }
        position.table = position.leaf.open(block).await?;
        Ok(Some(position))
    }

    /// Asks for the next pages, if those that were asked for come to an end.
    fn ask_ahead(&mut self) {
        let run = self.run.min(self.leaf.cache.run());
        // Where room is short, a page is asked for when it is needed.
        if !self.asked.is_empty() && (run == 1 || self.asked.len() * 2 > run) {
            return;
        }
        let next = self.front.saturating_add(u32::try_from(self.asked.len()).unwrap_or(u32::MAX));
        if next > self.last {
            return;
        }
        let last = next.saturating_add(u32::try_from(run - 1).unwrap_or(0)).min(self.last);
        // With many readers, no request is longer than what is fetched of it at once.
        let many = self.leaf.cache.readers() > LINES;
        let line = if many { None } else { Some(&self.line) };
        let (source, segment) = (&self.leaf.source, self.leaf.stretch.segment);
        self.asked.extend(self.leaf.cache.ask(source, segment, next..=last, line));
        self.run = (self.run * 2).min(RUN);
    }

    /// The next block, checked and cut to what is asked for.
    async fn next(&mut self) -> Result<Bytes, SegmentError> {
        let range = self.leaf.block(self.block);
        let held = self.table.len() as u64 / 4;
        if self.block >= self.table_block + held {
            self.table = self.leaf.table(self.block).await?;
            self.table_block = self.block;
        }
        let got = self.bytes(range.clone()).await?;
        let entries = &self.table[index((self.block - self.table_block) * 4)..];
        let bytes = match self.check(&range, &got.bytes, entries) {
            Ok(()) => got.bytes,
            Err(_) => self.again(&got, &range).await?,
        };
        let at = self.block * BLOCK;
        let Stretch { start, end, .. } = self.leaf.stretch;
        self.block += 1;
        let within = |wanted: u64| index(wanted.saturating_sub(at)).min(bytes.len());
        Ok(bytes.slice(within(start)..within(end)))
    }

    fn check(&self, range: &Range<u64>, bytes: &Bytes, entries: &[u8]) -> Result<(), SegmentError> {
        if (bytes.len() as u64) < range.end - range.start {
            return Err(self.leaf.too_short(range.start));
        }
        self.leaf.check_block(self.block, bytes, entries)
    }

    /// The block again, and its entry of the table: either may be damaged.
    async fn again(&mut self, bad: &Got, range: &Range<u64>) -> Result<Bytes, SegmentError> {
        let segment = self.leaf.stretch.segment;
        let entries = self.leaf.entries(self.block);
        self.leaf.cache.drop_pages(segment, pages_of(segment, entries.start, 4)?);
        self.table = self.leaf.table(self.block).await?;
        self.table_block = self.block;
        self.held = None;
        let table = self.table.clone();
        let this = &*self;
        this.leaf.again(bad, range.clone(), |bytes| this.check(range, bytes, &table)).await
    }

    /// The bytes of a block.
    async fn bytes(&mut self, range: Range<u64>) -> Result<Got, SegmentError> {
        let numbers = pages_of(self.leaf.stretch.segment, range.start, range.end - range.start)?;
        let mut pieces = Vec::with_capacity(count(&numbers));
        let mut any_cached = false;
        for number in numbers {
            let (page, cached) = self.page(number).await?;
            any_cached |= cached;
            pieces.push(cut(number, &page, &range));
        }
        Ok(Got { bytes: joined(pieces), cached: any_cached })
    }

    /// A page, and whether it was in the cache.
    async fn page(&mut self, number: u32) -> Result<(Bytes, bool), SegmentError> {
        if let Some((held, page, cached)) = &self.held
            && *held == number
        {
            return Ok((page.clone(), *cached));
        }
        self.ask_ahead();
        let key = PageKey { segment: self.leaf.stretch.segment, number };
        let ahead = if self.front == number { self.asked.pop_front() } else { None };
        let (cache, source) = (&self.leaf.cache, &self.leaf.source);
        let asked = match ahead {
            Some(Asked::OnDisk(found)) => {
                self.front += 1;
                let run: Vec<_> = std::iter::once(found)
                    .chain(self.asked.iter().map_while(|asked| match asked {
                        Asked::OnDisk(found) => Some(*found),
                        _ => None,
                    }))
                    .take(DISK_RUN)
                    .collect();
                let mut read = cache.held.read_disk(run).await.into_iter();
                let first = read.next().flatten();
                for (asked, page) in self.asked.iter_mut().zip(read) {
                    if let Some(page) = page {
                        *asked = Asked::Read(page);
                    }
                }
                match first {
                    Some(page) => Asked::Read(page),
                    None => cache.ask_one(source, key)?,
                }
            }
            Some(asked) => {
                self.front += 1;
                asked
            }
            None => cache.ask_one(source, key)?,
        };
        let (page, cached) = cache.take(source, key, asked).await?;
        self.held = Some((number, page.clone(), cached));
        Ok((page, cached))
    }
}

fn count(numbers: &RangeInclusive<u32>) -> usize {
    usize::try_from(numbers.end() - numbers.start()).unwrap_or(usize::MAX).saturating_add(1)
}

/// A length that is small enough for memory: of a block, of a part of the table.
fn index(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
