//! The delivery to one target: page by page, in order per key, at least once.
//!
//! A row is acknowledged after its target has taken it. A row that the target refuses is put aside, and its key with it, while
//! the others go on. A target that takes nothing is left alone, longer and longer; then one row is tried, another one each
//! time, so that no single row keeps it from being seen that the target is back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::pace::Pace;
use super::{Deliveries, NAME};
use crate::application::error::Result;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{Epoch, MetadataStore, OutboxRow, OutboxTarget, Stuck};
use crate::application::ports::sink::{PATIENCE_MAX, Sink, Term, Undelivered};
use crate::application::workers::stuck;
use crate::application::workers::worker::LEASE;
use crate::domain::event::{TargetName, TargetSettings};
use crate::domain::space::SpaceId;

/// Rows of a page.
const PAGE: u32 = 256;

/// Rows that are acknowledged together.
const ACKNOWLEDGED_TOGETHER: usize = 64;

/// How long a delivered row waits for others that are acknowledged with it: a client may wait for its answer.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(20);

/// How often what was put aside is read again: an operator may want it tried.
const REFRESH: Duration = Duration::from_secs(5);

/// Rows of a target that are put aside, at most: one that refuses more of them is left alone, as if it took nothing.
const ASIDE_MAX: u32 = 20_000;

/// How often delivered rows are removed whose time is over.
const PURGE: Duration = Duration::from_secs(30);

/// Delivered rows that are removed at once.
const PURGED_TOGETHER: u32 = 1000;

/// What a pass came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Something was done, and there may be more.
    More,
    /// Nothing waits that is due.
    Nothing,
    /// Another server delivers.
    Elsewhere,
    /// The target takes nothing: it should be left alone for so long.
    Away(Duration),
}

/// What the names of a target's items in `stuck` begin with.
pub(in crate::application) fn items_of(target: &TargetName) -> String {
    format!("event:{target}/")
}

/// A key of a space.
type Place = (SpaceId, String);

/// The delivery to one target by one process.
pub struct Delivery {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    holder: Uuid,
    sink: Arc<dyn Sink>,
    target: OutboxTarget,
    deliveries: Deliveries,
    /// Held while this process delivers.
    epoch: Option<Epoch>,
    /// Until when the lease holds.
    until: watch::Sender<Instant>,
    pace: Pace,
    aside: HashMap<i64, Stuck>,
    aside_max: u32,
    aside_read: Option<Instant>,
    /// Where the round is: it has looked at every row up to this one.
    place: i64,
    /// Keys of rows that the round left.
    held: HashSet<Place>,
    /// Rows put aside that the round has met.
    met: HashSet<i64>,
    /// When delivered rows were last removed.
    purged: Option<Instant>,
}

/// How the delivery of a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Every row was tried.
    Whole,
    /// Not every one.
    Early,
    /// The target is away.
    Away,
    /// Something was not tried, as the target is left alone for so long.
    LeftAlone(Duration),
}

/// What a row that is settled says of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// Nothing, or that it answers.
    Fine,
    /// It takes nothing.
    Away,
    /// It was not asked.
    NotTried(Duration),
}

/// What becomes of one row.
enum RowOutcome {
    Delivered(OutboxRow),
    Undelivered(OutboxRow, Undelivered),
}

impl Delivery {
    /// To a target.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        holder: Uuid,
        sink: Arc<dyn Sink>,
        target: OutboxTarget,
        deliveries: Deliveries,
    ) -> Self {
        Self {
            metadata,
            clock,
            holder,
            sink,
            target,
            deliveries,
            epoch: None,
            until: watch::Sender::new(Instant::now()),
            pace: Pace::default(),
            aside: HashMap::new(),
            aside_max: ASIDE_MAX,
            aside_read: None,
            place: 0,
            held: HashSet::new(),
            met: HashSet::new(),
            purged: None,
        }
    }

    /// With room for this many rows that are put aside.
    #[must_use]
    pub fn with_aside(self, aside_max: u32) -> Self {
        Self { aside_max, ..self }
    }

    pub(super) fn name(&self) -> &str {
        self.target.name.as_str()
    }

    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.metadata.outbox_bell()
    }

    /// Returns once the target answers again that was left alone.
    pub async fn recovered(&self) {
        self.sink.recovered(&self.target.name).await;
    }

    /// Takes over what the operator says of the target now.
    pub(super) fn follow(&mut self, target: OutboxTarget) {
        if self.target != target {
            (self.target, self.pace) = (target, Pace::default());
        }
    }

    /// What the operator says of the target. A kind of its own has settings of its own.
    fn settings(&self) -> TargetSettings {
        serde_json::from_str(&self.target.settings).unwrap_or_default()
    }

    fn lease(&self) -> String {
        format!("{NAME}:{}", self.target.name)
    }

    fn item(&self, row: i64) -> String {
        format!("{}{row}", items_of(&self.target.name))
    }

    /// Delivers a page, if this process may. Begins nothing once `stop` is cancelled.
    pub async fn pass(&mut self, stop: &CancellationToken) -> Result<Passed> {
        let settings = self.settings();
        let Some(epoch) = self.hold().await? else { return Ok(Passed::Elsewhere) };
        // Also of a target that is never idle, is away or is paused.
        self.purge().await?;
        if settings.paused {
            return Ok(Passed::Nothing);
        }
        let term = Term::new(self.until.subscribe(), stop.clone());
        self.read_aside().await?;
        let page = self.metadata.outbox_page(&self.target.name, self.place, PAGE).await?;
        let (ends, last) = (page.len() < PAGE as usize, page.last().map(|row| row.seq));
        let mut queues = self.queues(page);
        if queues.is_empty() {
            return self.go_on(last, ends).await;
        }
        let probes = self.pace.failures() > 0;
        if probes {
            self.keep_one(&mut queues);
        }
        let concurrency = if probes { 1 } else { settings.concurrency.max(1) as usize };
        let ended = self.deliver(queues, epoch, concurrency, &term, stop).await?;
        if ended == Ended::Away {
            self.pace.failed();
            if self.pace.failures() == 1 {
                tracing::warn!(
                    target = self.name(),
                    "event target takes nothing; it is left alone for a while"
                );
            }
            let failures = self.pace.failures();
            self.deliveries.change(&self.target.name, |status| status.failures = failures);
            self.begin_round();
            return Ok(Passed::Away(self.pace.rest()));
        }
        if let Ended::LeftAlone(rest) = ended {
            // It was asked nothing, so it is no longer away than before.
            self.begin_round();
            return Ok(Passed::Away(rest));
        }
        if probes || ended == Ended::Early || !term.lasts(PATIENCE_MAX) {
            // Something of the page may not have been tried.
            self.begin_round();
            return Ok(Passed::More);
        }
        if ends {
            // What was committed meanwhile is found by the next round.
            self.begin_round();
        } else {
            self.place = last.unwrap_or(self.place);
        }
        Ok(Passed::More)
    }

    /// Goes on behind a page of which nothing is due; at the end of what waits the round is over.
    async fn go_on(&mut self, last: Option<i64>, ends: bool) -> Result<Passed> {
        if !ends {
            self.place = last.unwrap_or(self.place);
            return Ok(Passed::More);
        }
        self.forget_gone().await?;
        self.begin_round();
        Ok(Passed::Nothing)
    }

    /// Ends: another process may deliver at once.
    pub(super) async fn end(&mut self) {
        if self.epoch.take().is_some()
            && let Err(error) = self.metadata.release_lease(&self.lease(), self.holder).await
        {
            tracing::warn!(%error, target = self.name(), "lease not given back; it will run out");
        }
        self.deliveries.change(&self.target.name, |status| status.here = false);
    }

    /// Takes or renews the lease. Whoever held it before can acknowledge nothing any more.
    async fn hold(&mut self) -> Result<Option<Epoch>> {
        let asked = Instant::now();
        if self.epoch.is_some() && asked + LEASE * 2 / 3 < *self.until.borrow() {
            return Ok(self.epoch);
        }
        let now = self.metadata.lease_time(self.clock.now()).await?;
        let held = self.metadata.acquire_lease(&self.lease(), self.holder, now, now.plus(LEASE)).await?;
        if !held {
            self.epoch = None;
        } else if self.epoch.is_none() {
            self.epoch = self.metadata.take_over_outbox(&self.target.name).await?;
            (self.pace, self.aside_read) = (Pace::default(), None);
            self.begin_round();
        }
        if held {
            self.until.send_replace(asked + LEASE);
        }
        let here = self.epoch.is_some();
        self.deliveries.change(&self.target.name, |status| status.here = here);
        Ok(self.epoch)
    }

    async fn read_aside(&mut self) -> Result<()> {
        if self.aside_read.is_some_and(|read| read.elapsed() < REFRESH) {
            return Ok(());
        }
        let prefix = items_of(&self.target.name);
        let stuck = self.metadata.stuck_under(NAME, &prefix, self.aside_max).await?;
        let own = stuck.into_iter().filter_map(|stuck| {
            let row = stuck.item.strip_prefix(&prefix)?.parse().ok()?;
            Some((row, stuck))
        });
        self.aside = own.collect();
        self.aside_read = Some(Instant::now());
        Ok(())
    }

    fn begin_round(&mut self) {
        self.place = 0;
        self.held.clear();
        self.met.clear();
    }

    /// The rows of a page that may be delivered, by key, each in its order; the key that was first written to comes first.
    fn queues(&mut self, page: Vec<OutboxRow>) -> Vec<Vec<OutboxRow>> {
        let now = self.clock.now();
        let mut queues: BTreeMap<i64, Vec<OutboxRow>> = BTreeMap::new();
        let mut firsts: HashMap<Place, i64> = HashMap::new();
        for row in page {
            let place = (row.space, row.key.clone());
            if let Some(stuck) = self.aside.get(&row.seq) {
                self.met.insert(row.seq);
                if stuck.next_at > now {
                    self.held.insert(place);
                    continue;
                }
            }
            if self.held.contains(&place) {
                continue;
            }
            let first = *firsts.entry(place).or_insert(row.seq);
            queues.entry(first).or_default().push(row);
        }
        queues.into_values().collect()
    }

    /// Keeps the row that has failed least often of those that are first of their keys.
    fn keep_one(&self, queues: &mut Vec<Vec<OutboxRow>>) {
        let firsts = queues.iter().filter_map(|queue| queue.first());
        let least = firsts.min_by_key(|row| (self.pace.times(row.seq), row.seq)).cloned();
        *queues = least.map(|row| vec![row]).into_iter().collect();
    }

    /// Delivers the queues, several at once, and acknowledges. How it ended.
    async fn deliver(
        &mut self,
        queues: Vec<Vec<OutboxRow>>,
        epoch: Epoch,
        concurrency: usize,
        term: &Term,
        stop: &CancellationToken,
    ) -> Result<Ended> {
        let halted = AtomicBool::new(false);
        let (outcomes, mut came) = mpsc::unbounded_channel();
        let (sink, target) = (self.sink.clone(), self.target.clone());
        let one = |queue: Vec<OutboxRow>| {
            let (sink, target, outcomes, halted) = (&sink, &target, outcomes.clone(), &halted);
            async move {
                for row in queue {
                    if halted.load(Ordering::Acquire) || stop.is_cancelled() || !term.lasts(PATIENCE_MAX) {
                        return;
                    }
                    let delivered = match &row.event {
                        Ok(_) => sink.deliver_within(target, &row, term).await,
                        Err(error) => Err(Undelivered::Refused(error.clone())),
                    };
                    let outcome = match delivered {
                        Ok(()) => RowOutcome::Delivered(row),
                        Err(why) => {
                            if matches!(why, Undelivered::Away(_) | Undelivered::NotTried(_)) {
                                halted.store(true, Ordering::Release);
                            }
                            RowOutcome::Undelivered(row, why)
                        }
                    };
                    let ends = matches!(outcome, RowOutcome::Undelivered(..));
                    if outcomes.send(outcome).is_err() || ends {
                        return;
                    }
                }
            }
        };
        let mut waiting = queues.into_iter();
        let mut under_way: FuturesUnordered<_> = waiting.by_ref().take(concurrency).map(one).collect();
        let (mut delivered, mut due) = (Vec::new(), None);
        let (mut away, mut left_alone) = (false, None);
        let mut renewal = tokio::time::interval(LEASE / 6);
        // What takes longer than this process has is begun anew by the next one.
        let mut over = std::pin::pin!(async {
            stop.cancelled().await;
            tokio::time::sleep(PATIENCE_MAX).await;
        });
        loop {
            let ended = tokio::select! {
                biased;
                Some(outcome) = came.recv() => {
                    match self.settle(outcome, &mut delivered).await? {
                        Settled::Fine => {}
                        Settled::Away => away = true,
                        Settled::NotTried(rest) => left_alone = Some(rest),
                    }
                    false
                }
                next = under_way.next() => {
                    if next.is_some() {
                        under_way.extend(waiting.next().map(one));
                    }
                    next.is_none()
                }
                () = &mut over => true,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => false,
                // What takes long is not taken up by another server meanwhile.
                _ = renewal.tick() => {
                    if self.hold().await? != Some(epoch) {
                        halted.store(true, Ordering::Release);
                    }
                    false
                }
            };
            if due.is_none() && !delivered.is_empty() {
                due = Some(Instant::now() + ACKNOWLEDGED_WITHIN);
            }
            let is_due = ended || due.is_some_and(|due| due <= Instant::now());
            if delivered.len() >= ACKNOWLEDGED_TOGETHER || (is_due && !delivered.is_empty()) {
                due = None;
                self.acknowledge(std::mem::take(&mut delivered), epoch).await?;
                if self.epoch != Some(epoch) {
                    halted.store(true, Ordering::Release);
                }
            }
            if ended {
                let early = halted.load(Ordering::Acquire) || stop.is_cancelled();
                return Ok(if away {
                    Ended::Away
                } else if let Some(rest) = left_alone {
                    Ended::LeftAlone(rest)
                } else if early {
                    Ended::Early
                } else {
                    Ended::Whole
                });
            }
        }
    }

    /// Notes what became of a row. What that says of the target.
    async fn settle(&mut self, outcome: RowOutcome, delivered: &mut Vec<i64>) -> Result<Settled> {
        match outcome {
            RowOutcome::Delivered(row) => {
                self.pace.delivered(row.seq);
                delivered.push(row.seq);
                Ok(Settled::Fine)
            }
            RowOutcome::Undelivered(_, Undelivered::NotTried(rest)) => Ok(Settled::NotTried(rest)),
            RowOutcome::Undelivered(row, why) => {
                metrics::outbox_failed(self.name());
                let text = why.to_string();
                let has_room =
                    self.aside.len() < self.aside_max as usize || self.aside.contains_key(&row.seq);
                let own_fault = match why {
                    Undelivered::Refused(_) if has_room => true,
                    // Noted in either case, so that another row is tried next.
                    Undelivered::Refused(_) | Undelivered::Away(_) | Undelivered::NotTried(_) => {
                        self.pace.is_at_fault(row.seq) && has_room
                    }
                };
                tracing::debug!(target = self.name(), row = row.seq, error = text, "event not delivered");
                self.deliveries.change(&self.target.name, |status| status.last_error = Some(text.clone()));
                if own_fault {
                    self.put_aside(row, &text).await?;
                }
                Ok(if own_fault { Settled::Fine } else { Settled::Away })
            }
        }
    }

    async fn put_aside(&mut self, row: OutboxRow, error: &str) -> Result<()> {
        let item = self.item(row.seq);
        let stuck = stuck::failed(NAME, item, error, self.aside.get(&row.seq), self.clock.now());
        self.metadata.put_aside(&stuck).await?;
        self.held.insert((row.space, row.key));
        self.met.insert(row.seq);
        self.aside.insert(row.seq, stuck);
        Ok(())
    }

    async fn acknowledge(&mut self, rows: Vec<i64>, epoch: Epoch) -> Result<()> {
        let now = self.clock.now();
        let (name, keep) = (&self.target.name, self.target.keep);
        if !self.metadata.acknowledge(name, epoch, &rows, now, keep).await? {
            tracing::warn!(
                target = self.name(),
                "another server delivers now; what was delivered here may come twice"
            );
            self.epoch = None;
            return Ok(());
        }
        metrics::outbox_delivered(name.as_str(), rows.len() as u64);
        self.deliveries.change(name, |status| {
            (status.failures, status.last_error, status.delivered_at) = (0, None, Some(now));
        });
        self.clear_aside(rows).await
    }

    async fn clear_aside(&mut self, rows: impl IntoIterator<Item = i64>) -> Result<()> {
        let gone = rows.into_iter().filter(|row| self.aside.remove(row).is_some());
        let gone: Vec<_> = gone.collect();
        let gone: Vec<_> = gone.into_iter().map(|row| self.item(row)).collect();
        if !gone.is_empty() {
            self.metadata.clear_stuck(NAME, &gone).await?;
        }
        Ok(())
    }

    /// Forgets rows put aside that a whole round has not met: they wait no more.
    async fn forget_gone(&mut self) -> Result<()> {
        let gone: Vec<_> = self.aside.keys().filter(|row| !self.met.contains(row)).copied().collect();
        self.clear_aside(gone).await
    }

    /// Removes delivered rows whose time is over, now and then; at most so many at a time.
    async fn purge(&mut self) -> Result<()> {
        if self.purged.is_some_and(|purged| purged.elapsed() < PURGE) {
            return Ok(());
        }
        let before = self.clock.now().minus(self.target.keep);
        let purged = self.metadata.purge_outbox(&self.target.name, before, PURGED_TOGETHER).await?;
        if purged < u64::from(PURGED_TOGETHER) {
            self.purged = Some(Instant::now());
        }
        Ok(())
    }
}
