//! Asking for pages: from memory, from the disk, or from where they are fetched.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::flights::{self, Asked, Flights, Line, RUN};
use super::held::Held;
use super::page::{PageKey, cut, joined, pages_of, start_of};
use super::source::Source;
use crate::application::metrics::read_cache as meters;
use crate::application::ports::segments::SegmentError;
use crate::domain::blob::SegmentId;

/// Pages that all readers of long stretches have asked for and not passed on, about: 64 MiB. Each has one at least.
const AHEAD: usize = 1024;

#[derive(Debug)]
pub(super) struct Pages {
    pub(super) held: Arc<Held>,
    flights: Arc<Flights>,
    /// Readers of long stretches.
    readers: AtomicUsize,
}

/// Bytes, and whether any of them were in the cache before they were asked for.
pub(super) struct Got {
    pub(super) bytes: Bytes,
    pub(super) cached: bool,
}

impl Pages {
    pub(super) fn new(held: Arc<Held>) -> Self {
        Self { flights: Flights::new(Arc::clone(&held)), held, readers: AtomicUsize::new(0) }
    }

    /// Where the pages of a segment are. Fetches those that are nowhere, by as few requests as there are gaps. What is on
    /// its way already is waited for and not asked for again.
    pub(super) fn ask(
        &self,
        source: &Arc<dyn Source>,
        segment: SegmentId,
        numbers: RangeInclusive<u32>,
        line: Option<&Line>,
    ) -> Vec<Asked> {
        let end = start_of(numbers.end().saturating_add(1));
        let line = line.cloned().unwrap_or_else(|| Line::until(end));
        self.flights.ask(source, segment, numbers, &line)
    }

    /// Bytes of a segment, or as many of them as there are. Few: they are held at once.
    pub(super) async fn bytes(
        &self,
        source: &Arc<dyn Source>,
        segment: SegmentId,
        range: Range<u64>,
    ) -> Result<Got, SegmentError> {
        let numbers = pages_of(segment, range.start, range.end - range.start)?;
        let asked = self.ask(source, segment, numbers.clone(), None);
        let mut pages = Vec::with_capacity(asked.len());
        let mut any_cached = false;
        for (number, asked) in numbers.zip(asked) {
            let (page, cached) = match self.take(source, PageKey { segment, number }, asked).await {
                Ok(taken) => taken,
                // The segment ends before this page.
                Err(SegmentError::Corrupt { .. }) if !pages.is_empty() => break,
                Err(error) => return Err(error),
            };
            any_cached |= cached;
            pages.push(cut(number, &page, &range));
        }
        Ok(Got { bytes: joined(pages), cached: any_cached })
    }

    /// A page that was asked for, and whether it was in the cache. What got lost meanwhile is asked for again.
    pub(super) async fn take(
        &self,
        source: &Arc<dyn Source>,
        key: PageKey,
        mut asked: Asked,
    ) -> Result<(Bytes, bool), SegmentError> {
        for _ in 0..flights::ATTEMPTS {
            match asked {
                Asked::Held(page) => {
                    meters::hit("memory", page.len());
                    self.held.offer(key, &page);
                    return Ok((page, true));
                }
                Asked::Read(page) => {
                    meters::hit("disk", page.len());
                    return Ok((page, true));
                }
                Asked::OnDisk(found) => {
                    if let Some(page) = self.held.read_disk(vec![found]).await.into_iter().flatten().next() {
                        asked = Asked::Read(page);
                        continue;
                    }
                }
                Asked::Coming(arrival) => {
                    // An error here says that the fetch ended without an answer.
                    if let Ok(arrived) = arrival.await {
                        meters::missed();
                        return arrived.map(|page| (page, false));
                    }
                }
            }
            asked = self.ask_one(source, key)?;
        }
        Err(flights::given_up())
    }

    pub(super) fn ask_one(&self, source: &Arc<dyn Source>, key: PageKey) -> Result<Asked, SegmentError> {
        let mut asked = self.ask(source, key.segment, key.number..=key.number, None);
        asked.pop().ok_or_else(flights::given_up)
    }

    /// Drops pages of which something was not as it should be.
    pub(super) fn drop_pages(&self, segment: SegmentId, numbers: RangeInclusive<u32>) {
        for number in numbers {
            self.held.drop_page(PageKey { segment, number });
        }
    }

    /// Pages that a reader of a long stretch may ask for at a time, with as many readers as there are.
    pub(super) fn run(&self) -> usize {
        (AHEAD / (2 * self.readers().max(1))).clamp(1, RUN)
    }

    /// How many readers of long stretches there are.
    pub(super) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }
}

/// Counts as a reader of a long stretch while it is there.
pub(super) struct Reading(Arc<Pages>);

impl Reading {
    pub(super) fn begin(pages: &Arc<Pages>) -> Self {
        pages.readers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(pages))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}
