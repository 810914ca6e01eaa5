//! A body being received, cut into chunks. Memory is taken as bytes arrive.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};

use super::body::{Body, Expected, Trailer};
use super::digests::{self, Digests};
use crate::application::buffers::Buffers;
use crate::application::error::{Error, Result};
use crate::application::fairness::{Held, Pool};
use crate::domain::address::Tenant;

/// What a chunk may take without asking for more: with this much, thousands of uploads go on at once.
const CHUNK_BYTES_MIN: usize = 8 << 10;

/// What every body may take: the chunk that is being received, and the one that is being written.
const BODY_BYTES_MIN: usize = 2 * CHUNK_BYTES_MIN;

/// A chunk of known length has all of its memory at once when a quarter of that memory is filled: it would double it, and copy
/// what is there, again and again. So a chunk never takes more than this many times what has come of it.
const COME_SHARE: usize = 4;

/// Bytes of a body in their order. Their memory is accounted for until this is dropped.
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    /// What they take beyond [`CHUNK_BYTES_MIN`].
    pub(super) memory: Option<Held>,
}

/// Where a body's memory comes from.
struct BodyMemory {
    pool: Pool,
    tenant: Option<Tenant>,
    /// [`BODY_BYTES_MIN`], once the first byte has arrived.
    base: Option<Held>,
}

/// A body being received.
pub(super) struct BodyReader {
    stream: BoxStream<'static, Result<Bytes>>,
    length: Option<u64>,
    expected: Expected,
    trailer: Option<Trailer>,
    bytes_max: u64,
    received: u64,
    /// What came with the last frame beyond what was asked for.
    rest: Bytes,
    ended: bool,
    /// None: its memory is not accounted for.
    room: Option<BodyMemory>,
    /// Where large chunks are gathered; the smallest first.
    buffers: Vec<Arc<Buffers>>,
}

/// What was gathered for a chunk.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    /// Where its memory is from.
    home: Option<Arc<Buffers>>,
}

impl Gathered {
    /// Takes memory for `capacity` bytes in all, from `home` if there is one.
    fn grow(&mut self, capacity: usize, home: Option<Arc<Buffers>>) {
        match home {
            None => self.bytes.reserve_exact(capacity - self.bytes.len()),
            Some(home) => {
                let mut buffer = home.take();
                buffer.extend_from_slice(&self.bytes);
                let before = std::mem::replace(self, Self { bytes: buffer, home: Some(home) });
                // Whose memory may be lent to others.
                drop(before.freeze());
            }
        }
    }

    fn freeze(self) -> Bytes {
        match self.home {
            Some(home) => home.lend(self.bytes),
            None => self.bytes.into(),
        }
    }
}

impl BodyReader {
    pub(super) fn new(body: Body, bytes_max: u64) -> Self {
        let Body { stream, length, expected, trailer } = body;
        let (received, rest, ended, room, buffers) = (0, Bytes::new(), false, None, Vec::new());
        Self { stream, length, expected, trailer, bytes_max, received, rest, ended, room, buffers }
    }

    /// Gathers large chunks in buffers of these, the smallest first.
    pub(super) fn gathering_in(self, buffers: &[Arc<Buffers>]) -> Self {
        Self { buffers: buffers.to_vec(), ..self }
    }

    /// Takes its memory from `pool`, out of `tenant`'s share.
    pub(super) fn within(self, pool: Pool, tenant: Tenant) -> Self {
        Self { room: Some(BodyMemory { pool, tenant: Some(tenant), base: None }), ..self }
    }

    /// As declared.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether every byte has been returned by [`Self::next`], as far as is known without waiting.
    pub(super) fn is_at_its_end(&self) -> bool {
        self.rest.is_empty() && (self.ended || self.length == Some(self.received))
    }

    /// The next bytes: `max` of them; or fewer at the end, and where memory is short; none behind the end. A single
    /// frame of fitting size is passed on without a copy.
    pub(super) async fn next(&mut self, max: usize) -> Result<Chunk> {
        let mut gathered = Gathered::default();
        let mut memory = None;
        loop {
            let frame =
                if self.rest.is_empty() { self.frame().await? } else { Some(std::mem::take(&mut self.rest)) };
            let Some(mut frame) = frame else { return Ok(Chunk { bytes: gathered.freeze(), memory }) };
            self.settle_in().await?;
            let there = gathered.bytes.len();
            if frame.len() > max - there {
                self.rest = frame.split_off(max - there);
            }
            let last = self.length == Some(self.received) && self.rest.is_empty();
            if there == 0 && (frame.len() == max || last) {
                // It is there already: what is not left for it is only not accounted for.
                self.try_hold(&mut memory, frame.len());
                return Ok(Chunk { bytes: frame, memory });
            }
            if there + frame.len() > gathered.bytes.capacity()
                && !self.make_room(&mut gathered, &mut memory, frame.len(), max)
            {
                if there == 0 {
                    return Ok(Chunk { bytes: frame, memory });
                }
                // Kept for the next chunk. What was split off behind it is part of the same bytes.
                self.rest = if self.rest.is_empty() { frame } else { joined(&frame, &self.rest) };
                return Ok(Chunk { bytes: gathered.freeze(), memory });
            }
            gathered.bytes.extend_from_slice(&frame);
            if gathered.bytes.len() == max {
                return Ok(Chunk { bytes: gathered.freeze(), memory });
            }
        }
    }

    /// Makes room for `more` bytes of a chunk of at most `max`; `false` where memory is short.
    fn make_room(&self, gathered: &mut Gathered, memory: &mut Option<Held>, more: usize, max: usize) -> bool {
        let needed = gathered.bytes.len() + more;
        let most = max.min(needed.saturating_add(self.left()));
        let doubled = needed.max(2 * gathered.bytes.capacity()).max(CHUNK_BYTES_MIN).min(most);
        let lent = |capacity: usize| {
            // A buffer that would be used by less than half is not worth its memory.
            let fits = |home: &&Arc<Buffers>| (capacity..2 * capacity).contains(&home.size());
            let home = self.buffers.iter().find(fits).cloned();
            (home.as_ref().map_or(capacity, |home| home.size()), home)
        };
        let has_come = |(capacity, _): &(usize, _)| needed >= capacity / COME_SHARE && self.length.is_some();
        let whole = Some(lent(most)).filter(has_come);
        for (capacity, home) in whole.into_iter().chain([lent(doubled)]) {
            if self.try_hold(memory, capacity) {
                gathered.grow(capacity, home);
                return true;
            }
        }
        false
    }

    /// How many bytes are still to be returned, as declared.
    fn left(&self) -> usize {
        self.length.map_or(usize::MAX, |length| {
            let coming = length.saturating_sub(self.received);
            usize::try_from(coming).unwrap_or(usize::MAX).saturating_add(self.rest.len())
        })
    }

    /// Takes what every body may take, with its first byte. Waits for its turn.
    async fn settle_in(&mut self) -> Result<()> {
        let Some(BodyMemory { pool, tenant, base: base @ None }) = &mut self.room else { return Ok(()) };
        let whole = self.length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        *base = Some(pool.take(tenant, whole.min(BODY_BYTES_MIN)).await?);
        Ok(())
    }

    /// Whether a chunk may take `bytes` in all: the first of them are settled, more must be there for the asking.
    fn try_hold(&self, memory: &mut Option<Held>, bytes: usize) -> bool {
        let Some(BodyMemory { pool, tenant, .. }) = &self.room else { return true };
        let held = memory.as_ref().map_or(0, Held::amount);
        let Some(more) = bytes.checked_sub(CHUNK_BYTES_MIN + held).filter(|more| *more > 0) else {
            return true;
        };
        let Some(taken) = pool.try_take(tenant, more) else { return false };
        match memory {
            Some(memory) => memory.join(taken),
            None => *memory = Some(taken),
        }
        true
    }

    async fn frame(&mut self) -> Result<Option<Bytes>> {
        while !self.ended {
            match self.stream.next().await {
                None => self.ended = true,
                Some(frame) => {
                    let frame = frame?;
                    self.received += frame.len() as u64;
                    if self.received > self.bytes_max {
                        return Err(Error::BodyTooLarge { max: self.bytes_max });
                    }
                    if self.length.is_some_and(|length| self.received > length) {
                        return Err(Error::DigestMismatch("Content-Length"));
                    }
                    if !frame.is_empty() {
                        return Ok(Some(frame));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Ends the body: its length and every digest must be what was declared. The stream is read to its very
    /// end, for what proves a body (a signature, a trailer) may come behind its last byte. Returns the memory that
    /// every body takes, for as long as its last bytes are kept.
    pub(super) async fn finish(mut self, digests: Digests) -> Result<(digests::Taken, Option<Held>)> {
        if !self.rest.is_empty() || self.frame().await?.is_some() {
            return Err(Error::DigestMismatch("Content-Length"));
        }
        if let Some(expected) = self.length.filter(|length| *length != self.received) {
            return Err(Error::BodyTooShort { expected, received: self.received });
        }
        let declared = match self.trailer {
            Some(trailer) => trailer()?.or(self.expected.checksum),
            None => self.expected.checksum,
        };
        let taken = digests.finish();
        if self.expected.sha256.is_some_and(|expected| expected != taken.hash) {
            return Err(Error::DigestMismatch("SHA-256"));
        }
        if self.expected.md5.is_some_and(|expected| taken.md5 != Some(expected)) {
            return Err(Error::DigestMismatch("MD5"));
        }
        if declared.is_some_and(|declared| {
            taken.checksum.as_ref().map(|c| (c.algorithm, &c.value))
                != Some((declared.algorithm, &declared.value))
        }) {
            return Err(Error::DigestMismatch("checksum"));
        }
        Ok((taken, self.room.and_then(|room| room.base)))
    }
}

fn joined(one: &[u8], other: &[u8]) -> Bytes {
    [one, other].concat().into()
}
