//! Shares of what is scarce: turns to be worked on, memory for bodies, open segment files.
//!
//! A machine has a bounded amount of each; the tenant that sends the most requests would take most of it. So
//! every tenant that waits has a queue of its own, and an amount that becomes free goes to the next tenant in
//! the round, not to the next request. A tenant that asks for little therefore waits for one amount to become
//! free, however many requests of another tenant wait before it. (Fair queueing by round robin, as Nagle has it
//! in RFC 970.) And while several tenants ask, none holds more than its share: what one of them holds is what
//! the others' requests compete with.
//!
//! A tenant that is alone may have more, up to [`Shares::alone`]. The rest is kept for the next tenant, where
//! what is held comes back only as fast as a client sends or reads.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::{Error, Result};
use super::metrics;
use crate::domain::address::Tenant;

/// Requests of one tenant that may wait.
const WAITING_MAX: usize = 4096;

/// How long a tenant that asked counts as being there.
const PRESENT: Duration = Duration::from_secs(1);

/// How an amount is shared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// All that there is.
    pub(crate) total: usize,
    /// The most that a tenant holds while no other asks.
    pub(crate) alone: usize,
    /// The most that a tenant holds while another asks.
    pub(crate) crowded: usize,
    /// How long a request waits before it is refused as [`Error::Busy`]; `None`: until its client gives up.
    pub(crate) patience: Option<Duration>,
    /// What it is, in metrics.
    pub(crate) name: &'static str,
}

/// Who holds a share: a tenant, or all requests together that prove none.
type Holder = Option<Tenant>;

/// Hands out amounts of one scarce thing. All clones are the same.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    shares: Shares,
    round: Mutex<Round>,
}

#[derive(Default)]
struct Round {
    taken: usize,
    /// Of what is taken, each holder's, where it has any.
    held: HashMap<Holder, usize>,
    /// Holders with a non-empty queue, the next one first.
    next: VecDeque<Holder>,
    waiting: HashMap<Holder, VecDeque<(usize, oneshot::Sender<Held>)>>,
    /// Who asked last, and when.
    last: Option<(Holder, Instant)>,
    /// When another holder asked last.
    other_at: Option<Instant>,
}

/// An amount that is held. It comes back when this is dropped.
pub(crate) struct Held(Option<(Pool, Holder, usize)>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((pool, holder, amount)) = self.0.take() {
            pool.lock().give_back(&holder, amount);
            pool.hand_out();
        }
    }
}

impl Held {
    /// How much it is.
    pub(crate) fn amount(&self) -> usize {
        self.0.as_ref().map_or(0, |(.., amount)| *amount)
    }

    /// Holds what `other` held, too. Both must be of one pool and holder.
    pub(crate) fn join(&mut self, mut other: Self) {
        match (&mut self.0, other.0.take()) {
            (Some((.., amount)), Some((.., more))) => *amount += more,
            (own @ None, other) => *own = other,
            (Some(_), None) => {}
        }
    }
}

impl Round {
    fn note(&mut self, holder: &Holder, now: Instant) {
        match &mut self.last {
            Some((last, at)) if last == holder => *at = now,
            Some((_, at)) => {
                self.other_at = Some(*at);
                self.last = Some((holder.clone(), now));
            }
            None => self.last = Some((holder.clone(), now)),
        }
    }

    fn is_crowded(&self, now: Instant) -> bool {
        self.other_at.is_some_and(|at| now.saturating_duration_since(at) < PRESENT)
    }

    fn held_by(&self, holder: &Holder) -> usize {
        self.held.get(holder).copied().unwrap_or_default()
    }

    fn may_take(&self, shares: &Shares, holder: &Holder, amount: usize, now: Instant) -> bool {
        let share = if self.is_crowded(now) { shares.crowded } else { shares.alone };
        self.taken + amount <= shares.total && self.held_by(holder) + amount <= share
    }

    fn take(&mut self, holder: &Holder, amount: usize) {
        self.taken += amount;
        match self.held.get_mut(holder) {
            Some(held) => *held += amount,
            None => {
                self.held.insert(holder.clone(), amount);
            }
        }
    }

    fn give_back(&mut self, holder: &Holder, amount: usize) {
        self.taken = self.taken.saturating_sub(amount);
        if let Some(held) = self.held.get_mut(holder) {
            *held = held.saturating_sub(amount);
            if *held == 0 {
                self.held.remove(holder);
            }
        }
    }

    /// The next waiting holder whose amount is free, if there is one. It counts as taken.
    fn next(&mut self, shares: &Shares, now: Instant) -> Option<(Holder, usize, oneshot::Sender<Held>)> {
        for _ in 0..self.next.len() {
            let holder = self.next.pop_front()?;
            let Some(queue) = self.waiting.get_mut(&holder) else { continue };
            while queue.front().is_some_and(|(_, waiting)| waiting.is_closed()) {
                queue.pop_front();
            }
            let Some(amount) = queue.front().map(|(amount, _)| *amount) else {
                self.waiting.remove(&holder);
                continue;
            };
            if !self.may_take(shares, &holder, amount, now) {
                self.next.push_back(holder);
                continue;
            }
            let waiting = self.waiting.get_mut(&holder).and_then(VecDeque::pop_front);
            if self.waiting.get(&holder).is_some_and(VecDeque::is_empty) {
                self.waiting.remove(&holder);
            } else {
                self.next.push_back(holder.clone());
            }
            if let Some((amount, waiting)) = waiting {
                self.take(&holder, amount);
                return Some((holder, amount, waiting));
            }
        }
        None
    }
}

impl Pool {
    /// Of what `shares` says.
    pub(crate) fn new(shares: Shares) -> Self {
        Self(Arc::new(Inner { shares, round: Mutex::default() }))
    }

    /// `amount` for `holder`, when it is its turn. Amounts that are held by one request must be taken at once, or in
    /// small steps: a holder that waits for more is refused after [`Shares::patience`].
    pub(crate) async fn take(&self, holder: &Holder, amount: usize) -> Result<Held> {
        let wait = {
            let now = Instant::now();
            let mut round = self.lock();
            round.note(holder, now);
            if !round.waiting.contains_key(holder) && round.may_take(&self.0.shares, holder, amount, now) {
                round.take(holder, amount);
                return Ok(self.held(holder, amount));
            }
            let round = &mut *round;
            let queue = round.waiting.entry(holder.clone()).or_default();
            if queue.len() >= WAITING_MAX {
                // Those that gave up stand there until their turn comes.
                queue.retain(|(_, waiting)| !waiting.is_closed());
            }
            if queue.len() >= WAITING_MAX {
                return Err(self.refused());
            }
            if queue.is_empty() {
                round.next.push_back(holder.clone());
            }
            let (held, wait) = oneshot::channel();
            queue.push_back((amount, held));
            wait
        };
        metrics::awaited(self.0.shares.name);
        // Look again: a share may have grown without waking its waiters.
        self.hand_out();
        let held = match self.0.shares.patience {
            None => wait.await,
            Some(patience) => match tokio::time::timeout(patience, wait).await {
                Ok(held) => held,
                Err(_) => return Err(self.refused()),
            },
        };
        held.map_err(|_| Error::Internal)
    }

    /// `amount` for `holder` if it is there for the asking: half of everything is left to those that [`Self::take`]
    /// the little that they need, and no one goes before those that wait.
    pub(crate) fn try_take(&self, holder: &Holder, amount: usize) -> Option<Held> {
        let now = Instant::now();
        let mut round = self.lock();
        round.note(holder, now);
        let Shares { total, crowded, .. } = self.0.shares;
        let share = if round.is_crowded(now) { crowded / 2 } else { total / 2 };
        let free = round.taken + amount <= total / 2 && round.held_by(holder) + amount <= share;
        if !free || !round.next.is_empty() {
            return None;
        }
        round.take(holder, amount);
        Some(self.held(holder, amount))
    }

    /// What is held by now.
    pub(crate) fn taken(&self) -> usize {
        self.lock().taken
    }

    fn held(&self, holder: &Holder, amount: usize) -> Held {
        Held(Some((self.clone(), holder.clone(), amount)))
    }

    fn refused(&self) -> Error {
        metrics::refused_busy();
        metrics::refused(self.0.shares.name);
        Error::Busy
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.0.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out what is free, not under the lock: what is not wanted comes back.
    fn hand_out(&self) {
        loop {
            let Some((holder, amount, waiting)) = self.lock().next(&self.0.shares, Instant::now()) else {
                return;
            };
            if let Err(mut held) = waiting.send(self.held(&holder, amount)) {
                // It does not wait any more: its client went away.
                held.0 = None;
                self.lock().give_back(&holder, amount);
            }
        }
    }
}

/// A tenant's share of the turns while it is not alone is one in so many.
const TURN_SHARES: usize = 8;

/// Turns: how many requests are worked on at once, and whose is next. A tenant that is alone may have all of them:
/// they come back by themselves.
#[derive(Clone)]
pub(super) struct Turns(Pool);

/// A turn, handed on when dropped.
pub(super) struct Turn(#[allow(dead_code)] Held); // held, never read

impl Turns {
    /// So many at once.
    pub(super) fn new(turns: usize) -> Self {
        let crowded = (turns / TURN_SHARES).max(1);
        Self(Pool::new(Shares { total: turns, alone: turns, crowded, patience: None, name: "turns" }))
    }

    /// A turn for `tenant`, when it is its turn.
    pub(super) async fn take(&self, tenant: &Tenant) -> Result<Turn> {
        self.0.take(&Some(tenant.clone()), 1).await.map(Turn)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::task::Poll;

    use futures::poll;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    /// One tenant's queue does not stand before another's.
    #[tokio::test]
    async fn turns_go_round_the_tenants() {
        let turns = Turns::new(1);
        let first = turns.take(&tenant("loud")).await.unwrap();
        let loud = tenant("loud");
        let mut crowd: Vec<_> = (0..5).map(|_| Box::pin(turns.take(&loud))).collect();
        for waiting in &mut crowd {
            assert!(matches!(poll!(waiting), Poll::Pending));
        }
        let quiet = tenant("quiet");
        let mut one = Box::pin(turns.take(&quiet));
        assert!(matches!(poll!(&mut one), Poll::Pending));
        drop(first);
        let Poll::Ready(Ok(second)) = poll!(&mut crowd[0]) else { panic!("the first of the crowd is next") };
        assert!(matches!(poll!(&mut one), Poll::Pending));
        drop(second);
        let Poll::Ready(Ok(third)) = poll!(&mut one) else { panic!("then it is the quiet one's turn") };
        drop(third);
        assert!(matches!(poll!(&mut crowd[1]), Poll::Ready(Ok(_))));
    }

    /// A waiter that goes away, also with a turn not yet taken, delays no other.
    #[tokio::test]
    async fn no_turn_is_lost() {
        let turns = Turns::new(1);
        let (a, b) = (tenant("a"), tenant("b"));
        let held = turns.take(&a).await.unwrap();
        let mut gone = Box::pin(turns.take(&a));
        let mut late = Box::pin(turns.take(&b));
        let mut last = Box::pin(turns.take(&a));
        for waiting in [&mut gone, &mut late, &mut last] {
            assert!(matches!(poll!(waiting), Poll::Pending));
        }
        drop(gone);
        drop(held);
        // It was handed to `late`, which goes away before it looks.
        drop(late);
        assert!(matches!(poll!(&mut last), Poll::Ready(Ok(_))));
        drop(last);
        assert!(matches!(poll!(Box::pin(turns.take(&b))), Poll::Ready(Ok(_))));
    }

    /// A single holder may have all; among several, each keeps to its share and leaves the rest free.
    #[tokio::test]
    async fn a_crowd_keeps_to_its_share() {
        let turns = Turns::new(16);
        let (loud, quiet) = (tenant("loud"), tenant("quiet"));
        let mut all = Vec::new();
        for _ in 0..16 {
            all.push(turns.take(&loud).await.unwrap());
        }
        let mut one = Box::pin(turns.take(&quiet));
        assert!(matches!(poll!(&mut one), Poll::Pending));
        let mut more: Vec<_> = (0..4).map(|_| Box::pin(turns.take(&loud))).collect();
        for waiting in &mut more {
            assert!(matches!(poll!(waiting), Poll::Pending));
        }
        all.pop();
        let Poll::Ready(Ok(_one)) = poll!(&mut one) else { panic!("the quiet one's turn") };
        // Fourteen are more than two: what it gives back stays free.
        all.truncate(2);
        assert!(matches!(poll!(&mut more[0]), Poll::Pending));
        let mut others = Vec::new();
        for _ in 0..2 {
            others.push(turns.take(&tenant("another")).await.unwrap());
        }
        all.truncate(1);
        let Poll::Ready(Ok(_second)) = poll!(&mut more[0]) else { panic!("its share is two") };
        assert!(matches!(poll!(&mut more[1]), Poll::Pending));
        drop(others);
    }

    fn memory(total: usize) -> Pool {
        let patience = Some(Duration::from_secs(5));
        Pool::new(Shares { total, alone: total - total / 8, crowded: total / 4, patience, name: "memory" })
    }

    /// A tenant that holds all that it may leaves room for the next one, and hears after seconds that it is too much.
    #[tokio::test(start_paused = true)]
    async fn something_is_left_for_the_next_tenant() {
        let pool = memory(64);
        let (slow, other) = (Some(tenant("slow")), Some(tenant("other")));
        let mut held = Vec::new();
        for _ in 0..56 {
            held.push(pool.take(&slow, 1).await.unwrap());
        }
        assert!(matches!(pool.take(&slow, 1).await, Err(Error::Busy)));
        let theirs = pool.take(&other, 8).await.unwrap();
        assert!(matches!(pool.take(&other, 1).await, Err(Error::Busy)), "nothing is left");
        held.truncate(20);
        drop(theirs);
        assert!(matches!(pool.take(&slow, 1).await, Err(Error::Busy)), "20 are more than a quarter");
        assert!(pool.take(&other, 16).await.is_ok());
        drop(held);
        assert_eq!(pool.taken(), 0);
    }

    /// More than a body must have is given out of one half only, and never before those that wait.
    #[tokio::test]
    async fn what_is_not_needed_waits_for_nobody() {
        let pool = memory(64);
        let tenant = Some(tenant("one"));
        let mut half = pool.try_take(&tenant, 32).unwrap();
        assert!(pool.try_take(&tenant, 1).is_none());
        let more = pool.take(&tenant, 4).await.unwrap();
        half.join(more);
        assert_eq!((half.amount(), pool.taken()), (36, 36));
        drop(half);
        assert_eq!(pool.taken(), 0);
    }
}
