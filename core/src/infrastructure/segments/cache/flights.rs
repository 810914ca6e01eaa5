//! Fetches under way: each page is fetched once at a time, however many ask for it, also if the first of them goes away.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use futures::future::{FutureExt as _, Shared};
use futures::stream::{BoxStream, StreamExt as _};
use tokio::sync::{OwnedMutexGuard, Semaphore, oneshot};

use super::disk::Found;
use super::held::{Held, Place};
use super::page::{PAGE, PageKey, start_of};
use super::source::Source;
use crate::application::metrics::read_cache as meters;
use crate::application::ports::segments::SegmentError;
use crate::domain::blob::SegmentId;

/// Pages of one fetch, at most: 4 MiB.
pub(super) const RUN: usize = 64;

/// How often a page is asked for that gets lost in between.
pub(super) const ATTEMPTS: usize = 4;

/// Fetches at a time. Each ends: the object store has 30 seconds for each answer and for each piece of it.
const FETCHES: usize = 64;

/// How often a fetch begins again where it broke, before it has brought another page.
const RETRIES: u32 = 3;

type Answer = Result<Bytes, SegmentError>;

/// A page on its way. An error of the channel says that its fetch ended without an answer.
pub(super) type Arrival = Shared<oneshot::Receiver<Answer>>;

/// A page that was asked for.
#[derive(Clone)]
pub(super) enum Asked {
    /// In memory.
    Held(Bytes),
    /// Just read from the disk.
    Read(Bytes),
    OnDisk(Found),
    Coming(Arrival),
}

/// What pages are on their way.
#[derive(Debug)]
pub(super) struct Flights {
    held: Arc<Held>,
    coming: Mutex<HashMap<PageKey, Arrival>>,
    turns: Semaphore,
}

impl Flights {
    pub(super) fn new(held: Arc<Held>) -> Arc<Self> {
        Arc::new(Self { held, coming: Mutex::default(), turns: Semaphore::new(FETCHES) })
    }

    /// Where the pages of a segment are. Fetches those that are nowhere, by as few requests as there are gaps, with `line`
    /// for what comes behind the last page. What is on its way already is not asked for again.
    pub(super) fn ask(
        self: &Arc<Self>,
        source: &Arc<dyn Source>,
        segment: SegmentId,
        numbers: RangeInclusive<u32>,
        line: &Line,
    ) -> Vec<Asked> {
        let mut asked = Vec::new();
        let mut runs: Vec<Fetch> = Vec::new();
        let mut coming = self.coming();
        for number in numbers {
            let key = PageKey { segment, number };
            // What is on its way is kept before it is struck off: it is here or there.
            let there = coming.get(&key).cloned().map(Asked::Coming).or_else(|| self.here(key));
            if let Some(there) = there {
                asked.push(there);
                continue;
            }
            let (answer, arrival) = oneshot::channel();
            let arrival = arrival.shared();
            coming.insert(key, arrival.clone());
            asked.push(Asked::Coming(arrival));
            match runs.last_mut() {
                Some(run) if run.next() == number && run.answers.len() < RUN => run.answers.push_back(answer),
                _ => runs.push(Fetch {
                    flights: Arc::clone(self),
                    source: Arc::clone(source),
                    segment,
                    first: number,
                    answers: VecDeque::from([answer]),
                    line: line.clone(),
                }),
            }
        }
        drop(coming);
        for run in runs {
            run.take_off();
        }
        asked
    }

    fn here(&self, key: PageKey) -> Option<Asked> {
        Some(match self.held.look(key)? {
            Place::Memory(page) => Asked::Held(page),
            Place::Disk(found) => Asked::OnDisk(found),
        })
    }

    fn land(&self, key: PageKey) {
        self.coming().remove(&key);
    }

    fn coming(&self) -> MutexGuard<'_, HashMap<PageKey, Arrival>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request for the bytes of a segment up to `until`, of which one fetch after the other takes its part. So a long stretch
/// is one request, and a reader that has begun has its bytes although the segment is removed.
#[derive(Clone)]
pub(super) struct Line {
    open: Arc<tokio::sync::Mutex<Option<Open>>>,
    until: u64,
}

/// An answer under way, at `at` of the segment.
struct Open {
    at: u64,
    /// Came and was not taken yet.
    rest: Bytes,
    stream: BoxStream<'static, Result<Bytes, SegmentError>>,
}

impl Line {
    pub(super) fn until(until: u64) -> Self {
        Self { open: Arc::default(), until }
    }
}

/// Pages that follow each other and are fetched together.
struct Fetch {
    flights: Arc<Flights>,
    source: Arc<dyn Source>,
    segment: SegmentId,
    /// The page that comes next.
    first: u32,
    /// For those who wait for it and for those behind it.
    answers: VecDeque<oneshot::Sender<Answer>>,
    line: Line,
}

impl Fetch {
    /// The page behind the last one.
    fn next(&self) -> u32 {
        self.first.saturating_add(u32::try_from(self.answers.len()).unwrap_or(u32::MAX))
    }

    /// Begins as a task of its own. Fetches of one line follow each other in the order of these calls, whichever task runs
    /// first: each takes its place here.
    fn take_off(self) {
        let mut place = Box::pin(Arc::clone(&self.line.open).lock_owned());
        let first = (&mut place).now_or_never();
        tokio::spawn(async move {
            let open = match first {
                Some(open) => open,
                None => place.await,
            };
            self.fly(open).await;
        });
    }

    async fn fly(mut self, mut open: OwnedMutexGuard<Option<Open>>) {
        let until = self.line.until;
        let flights = Arc::clone(&self.flights);
        let waiting = meters::Counted::waiting();
        // Nobody closes it.
        let _turn = flights.turns.acquire().await;
        drop(waiting);
        let _fetching = meters::Counted::fetching();
        let begin = start_of(self.first);
        let kept = open.take().filter(|open| open.at == begin);
        match self.bring(kept, until).await {
            Ok(rest) => *open = rest.filter(|rest| rest.at < until),
            Err(error) => {
                meters::fetch_failed();
                while let Some(answer) = self.answers.pop_front() {
                    self.answer(answer, Err(error.clone()));
                }
            }
        }
    }

    /// Brings all pages. Returns what is left of the answer that brought the last one.
    async fn bring(&mut self, mut open: Option<Open>, until: u64) -> Result<Option<Open>, SegmentError> {
        let end = start_of(self.next());
        let begun = Instant::now();
        let mut first_byte = Some(begun);
        let mut retries = RETRIES;
        let mut page = Vec::new();
        while !self.answers.is_empty() {
            let at = start_of(self.first) + page.len() as u64;
            let mut line = if let Some(line) = open.take() {
                line
            } else {
                meters::requested();
                let stream = self.source.bytes(self.segment, at..end.max(until)).await?;
                Open { at, rest: Bytes::new(), stream }
            };
            if line.rest.is_empty() {
                match line.stream.next().await {
                    Some(Ok(bytes)) => line.rest = bytes,
                    Some(Err(error)) if retries == 0 => return Err(error),
                    Some(Err(_)) => {
                        retries -= 1;
                        continue;
                    }
                    None => {
                        self.ended(page, at);
                        return Ok(None);
                    }
                }
            }
            if let Some(begun) = first_byte.take() {
                meters::first_byte(begun.elapsed());
            }
            let length = usize::try_from(start_of(self.first + 1) - start_of(self.first)).unwrap_or(0);
            if page.is_empty() {
                page = Vec::with_capacity(length);
            }
            let piece = line.rest.len().min(length - page.len());
            page.extend_from_slice(&line.rest[..piece]);
            line.rest.advance(piece);
            line.at += piece as u64;
            if page.len() == length {
                retries = RETRIES;
                self.arrived(std::mem::take(&mut page));
            }
            open = Some(line);
        }
        // The connection can be used again once the answer's end was seen.
        if let Some(line) = &mut open
            && line.at >= until
        {
            let _ = line.stream.next().now_or_never();
        }
        Ok(open)
    }

    /// The segment ends at `at`: its last page is short, and those behind it are not there.
    fn ended(&mut self, page: Vec<u8>, at: u64) {
        if !page.is_empty() {
            self.arrived(page);
        }
        let (segment, what) = (self.segment, "the object ends too early");
        while let Some(answer) = self.answers.pop_front() {
            self.answer(answer, Err(SegmentError::Corrupt { segment, offset: at, what }));
        }
    }

    fn arrived(&mut self, page: Vec<u8>) {
        if let Some(answer) = self.answers.pop_front() {
            // A short page is not to hold the room of a long one.
            let short = (page.len() as u64) < PAGE / 2;
            let page = if short { Bytes::copy_from_slice(&page) } else { Bytes::from(page) };
            self.flights.held.keep(PageKey { segment: self.segment, number: self.first }, &page);
            self.answer(answer, Ok(page));
        }
    }

    fn answer(&mut self, to: oneshot::Sender<Answer>, answer: Answer) {
        self.flights.land(PageKey { segment: self.segment, number: self.first });
        self.first = self.first.saturating_add(1);
        // Those who asked may have gone.
        let _ = to.send(answer);
    }
}

impl Drop for Fetch {
    /// A fetch that ended without an answer does not stand in the way of the next one.
    fn drop(&mut self) {
        for number in self.first..self.next() {
            self.flights.land(PageKey { segment: self.segment, number });
        }
    }
}

/// What was asked for got lost again and again.
pub(super) fn given_up() -> SegmentError {
    SegmentError::Unavailable {
        action: "read a segment",
        source: Arc::new(io::Error::other("the fetch ended without an answer")),
        advice: "it is tried again",
    }
}
