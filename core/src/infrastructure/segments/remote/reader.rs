//! Reading a leaf out of an object store: a small one with one request, a large one with two at the same time, of its end
//! and of the blocks that are asked for. Each block is checked before any of its bytes leaves.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::super::cache::Source;
use super::super::format::{self, BLOCK, FOOTER_SIZE, RecordFooter};
use super::super::reader::Stretch;
use super::bucket::{AT_ONCE, Bucket, corrupt, failed};
use super::pace::Upkeep;
use crate::application::ports::segments::{ReadRequest, SegmentError};
use crate::domain::blob::SegmentId;

/// A leaf of at most so many bytes is fetched whole, whatever is asked for of it.
const WHOLE: u64 = 1024 * 1024;

/// Leaves that are read together lie no further apart, and no longer a stretch is read for them.
const GAP: u64 = 64 * 1024;
const SPAN: u64 = 8 << 20;

/// Bytes of a chunk of a larger one: whole blocks.
const CHUNK: u64 = 4 * BLOCK;

/// How often a broken stream is begun again where it broke, before it has brought another chunk.
const RETRIES: u32 = 3;

#[async_trait]
impl Source for Bucket {
    async fn bytes(&self, segment: SegmentId, range: Range<u64>) -> Result<Chunks, SegmentError> {
        let bytes = self.stream(segment, range).await?;
        Ok(bytes.map_err(|error| failed("read a segment", error)).boxed())
    }
}

type Chunks = BoxStream<'static, Result<Bytes, SegmentError>>;

/// What does not match its checksum is fetched once more before it counts as damaged: the answer may be what was wrong.
pub(super) async fn read(bucket: Arc<Bucket>, stretch: Stretch) -> Result<Chunks, SegmentError> {
    match read_once(bucket.clone(), stretch).await {
        Err(SegmentError::Corrupt { .. }) => read_once(bucket, stretch).await,
        read => read,
    }
}

/// How many requests [`read`] makes, unless an answer breaks off.
pub(super) fn requests(stretch: &Stretch) -> u64 {
    if stretch.length <= WHOLE { 1 } else { 2 }
}

async fn read_once(bucket: Arc<Bucket>, stretch: Stretch) -> Result<Chunks, SegmentError> {
    if stretch.length <= WHOLE { whole(&bucket, stretch).await } else { part(bucket, stretch).await }
}

async fn whole(bucket: &Bucket, stretch: Stretch) -> Result<Chunks, SegmentError> {
    let asked = fetch(bucket, stretch).await?;
    Ok(if asked.is_empty() { stream::empty().boxed() } else { stream::once(async { Ok(asked) }).boxed() })
}

/// What is asked for of a leaf, which is fetched whole.
async fn fetch(bucket: &Bucket, stretch: Stretch) -> Result<Bytes, SegmentError> {
    let Stretch { segment, offset, footer_offset, .. } = stretch;
    let bytes = bucket.range(segment, offset..footer_offset + FOOTER_SIZE as u64).await?;
    checked(&stretch, &bytes)
}

/// What is asked for of a leaf that was fetched whole, with all behind it.
fn checked(stretch: &Stretch, bytes: &Bytes) -> Result<Bytes, SegmentError> {
    let Stretch { segment, offset, start, end, footer_offset, .. } = *stretch;
    let (length, footer_at) = (index(stretch.length), index(footer_offset - offset));
    if bytes.len() < footer_at {
        return Err(corrupt(segment, offset, "the object ends too early"));
    }
    check_footer(stretch, &bytes[footer_at..])?;
    check_blocks(stretch, 0, &bytes[..length], &bytes[length..footer_at])?;
    Ok(bytes.slice(index(start)..index(end)))
}

/// Reads leaves of at most [`WHOLE`] bytes, those of one segment with one request, unless they lie far apart.
pub(super) async fn read_small(
    bucket: &Bucket,
    upkeep: &Upkeep,
    requests: Vec<ReadRequest>,
) -> Vec<Result<Bytes, SegmentError>> {
    let stretches: Vec<_> = requests.into_iter().map(Stretch::new).collect();
    let mut spans: BTreeMap<SegmentId, Vec<Range<u64>>> = BTreeMap::new();
    for stretch in stretches.iter().flatten() {
        let spans = spans.entry(stretch.segment).or_default();
        let (from, to) = (stretch.offset, stretch.footer_offset + FOOTER_SIZE as u64);
        match spans.last_mut() {
            Some(span) if from >= span.start && from <= span.end + GAP && to - span.start <= SPAN => {
                span.end = span.end.max(to);
            }
            _ => spans.push(from..to),
        }
    }
    let spans =
        spans.into_iter().flat_map(|(segment, spans)| spans.into_iter().map(move |span| (segment, span)));
    let fetched: Vec<_> = stream::iter(spans)
        .map(async |(segment, span)| {
            upkeep.requests(1).await;
            upkeep.bytes(span.end - span.start).await;
            let bytes = bucket.range(segment, span.clone()).await;
            (segment, span, bytes)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let look = |stretch: Stretch| {
        let within = |(segment, span, _): &&(SegmentId, Range<u64>, _)| {
            *segment == stretch.segment && span.contains(&stretch.offset)
        };
        let (_, span, bytes) = fetched
            .iter()
            .find(within)
            .ok_or_else(|| corrupt(stretch.segment, stretch.offset, "the leaf lies nowhere"))?;
        let bytes = bytes.as_ref().map_err(Clone::clone)?;
        let end = stretch.footer_offset + FOOTER_SIZE as u64 - span.start;
        let at = index(stretch.offset - span.start).min(bytes.len());
        checked(&stretch, &bytes.slice(at..index(end).clamp(at, bytes.len())))
    };
    let mut read: Vec<_> = stretches.iter().map(|stretch| look(stretch.clone()?)).collect();
    for (answer, stretch) in read.iter_mut().zip(stretches) {
        if let (Err(SegmentError::Corrupt { .. }), Ok(stretch)) = (&answer, stretch) {
            *answer = fetch(bucket, stretch).await;
        }
    }
    read
}

async fn part(bucket: Arc<Bucket>, stretch: Stretch) -> Result<Chunks, SegmentError> {
    let Stretch { segment, offset, length, start, end, footer_offset, .. } = stretch;
    let first = start / BLOCK;
    let until = length.min(end.div_ceil(BLOCK) * BLOCK);
    let table_at = offset + length + first * 4;
    let tail = bucket.range(segment, table_at..footer_offset + FOOTER_SIZE as u64);
    let blocks = async {
        if start == end {
            return Ok(stream::empty().boxed());
        }
        bucket.stream(segment, offset + first * BLOCK..offset + until).await
    };
    let (tail, blocks) = futures::join!(tail, blocks);
    let (mut tail, blocks) = (tail?, blocks?);
    let footer_at = index(footer_offset - table_at);
    if tail.len() < footer_at {
        return Err(corrupt(segment, table_at, "the object ends too early"));
    }
    let footer = tail.split_off(footer_at);
    check_footer(&stretch, &footer)?;
    if start == end {
        return Ok(stream::empty().boxed());
    }
    let mut position = Position {
        bucket,
        stretch,
        table: tail,
        first,
        at: first * BLOCK,
        until,
        blocks,
        read: BytesMut::new(),
        retries: RETRIES,
    };
    // An answer that is an error is one before its first byte.
    let chunk = position.next().await?;
    let rest = stream::try_unfold(position, |mut position| async {
        if position.at >= position.until {
            return Ok(None);
        }
        let chunk = position.next().await?;
        Ok(Some((chunk, position)))
    });
    Ok(stream::once(async { Ok(chunk) }).chain(rest).boxed())
}

/// How far a reader is.
struct Position {
    bucket: Arc<Bucket>,
    stretch: Stretch,
    /// The entries of the CRC table from block `first` on.
    table: Bytes,
    first: u64,
    /// Inside the payload, where a block begins: all before was served.
    at: u64,
    /// Where the last block that is needed ends.
    until: u64,
    blocks: BoxStream<'static, object_store::Result<Bytes>>,
    /// Came and was not served yet.
    read: BytesMut,
    retries: u32,
}

impl Position {
    async fn next(&mut self) -> Result<Bytes, SegmentError> {
        loop {
            match self.try_next().await {
                // As above: the answer may be what was wrong.
                Err(SegmentError::Corrupt { .. }) if self.retries > 0 => {
                    self.retries -= 1;
                    self.read.clear();
                    let rest = self.stretch.offset + self.at..self.stretch.offset + self.until;
                    self.blocks = self.bucket.stream(self.stretch.segment, rest).await?;
                }
                chunk => {
                    self.retries = RETRIES;
                    return chunk;
                }
            }
        }
    }

    async fn try_next(&mut self) -> Result<Bytes, SegmentError> {
        let length = index(CHUNK.min(self.until - self.at));
        while self.read.len() < length {
            match self.blocks.next().await {
                Some(Ok(bytes)) => self.read.extend_from_slice(&bytes),
                None => {
                    let at = self.stretch.offset + self.at;
                    return Err(corrupt(self.stretch.segment, at, "the object ends too early"));
                }
                Some(Err(error)) if self.retries == 0 => return Err(failed("read a segment", error)),
                Some(Err(_)) => {
                    self.retries -= 1;
                    let from = self.at + self.read.len() as u64;
                    let rest = self.stretch.offset + from..self.stretch.offset + self.until;
                    self.blocks = self.bucket.stream(self.stretch.segment, rest).await?;
                }
            }
        }
        let chunk = self.read.split_to(length).freeze();
        let table = &self.table[index((self.at / BLOCK - self.first) * 4)..];
        check_blocks(&self.stretch, self.at, &chunk, table)?;
        let asked = within(self.at, self.stretch.start..self.stretch.end, length);
        self.at += length as u64;
        Ok(chunk.slice(asked))
    }
}

/// The part of `length` bytes at `at` that lies in `asked`.
fn within(at: u64, asked: Range<u64>, length: usize) -> Range<usize> {
    let start = index(asked.start.saturating_sub(at)).min(length);
    start..index(asked.end.saturating_sub(at)).min(length)
}

fn check_footer(stretch: &Stretch, footer: &[u8]) -> Result<(), SegmentError> {
    let Stretch { segment, offset, length, hash, footer_offset, .. } = *stretch;
    let found = RecordFooter::decode_any(footer, segment, offset, length)
        .map_err(|damage| corrupt(segment, footer_offset, damage.0))?;
    match hash {
        Some(hash) if hash != found.hash => Err(corrupt(segment, footer_offset, "another blob lies here")),
        _ => Ok(()),
    }
}

/// Checks `blocks`, which lie at `at` inside the payload.
fn check_blocks(stretch: &Stretch, at: u64, blocks: &[u8], table: &[u8]) -> Result<(), SegmentError> {
    format::verify_blocks(blocks, table).map_err(|bad| {
        let offset = stretch.offset + at + bad as u64;
        corrupt(stretch.segment, offset, "a block does not match its checksum")
    })
}

/// A length that is small enough for memory: of a table, of a chunk, of a small leaf.
fn index(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
