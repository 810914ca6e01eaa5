//! Turns: how many requests are worked on at once, and whose is next.
//!
//! A machine does a bounded number of things at a time; whoever sends the most requests would have most of
//! them. Here every tenant that waits has a queue of its own, and a turn that becomes free goes to the next
//! tenant in the round, not to the next request. A tenant that asks for little therefore waits for one turn
//! to become free, however many requests of another tenant wait before it. (Fair queueing by round robin, as
//! Nagle has it in RFC 970.) And while several tenants ask, none holds more than its share of the turns: what
//! one of them has under way is what the others' requests compete with once they have their turn.
//!
//! A tenant that is alone may have all turns: nobody waits for the sake of somebody who is not there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::{Error, Result};
use super::metrics;
use crate::domain::address::Tenant;

/// Requests of one tenant that may wait for their turn.
const WAITING_MAX: usize = 4096;

/// A tenant's share of the turns while it is not alone is one in so many.
const SHARES: usize = 8;

/// How long a tenant that asked counts as being there.
const PRESENT: Duration = Duration::from_secs(1);

/// Hands out turns. All clones are the same.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<Round>>);

struct Round {
    turns: usize,
    taken: usize,
    /// Of those taken, each tenant's, where it has any.
    held: HashMap<Tenant, usize>,
    /// Tenants with somebody in their queue, the next one first.
    next: VecDeque<Tenant>,
    waiting: HashMap<Tenant, VecDeque<oneshot::Sender<Turn>>>,
    /// Who asked last, and when.
    last: Option<(Tenant, Instant)>,
    /// When anybody else asked last.
    other_at: Option<Instant>,
}

/// A turn, handed on when dropped.
pub(super) struct Turn(Option<(Turns, Tenant)>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((turns, tenant)) = self.0.take() {
            turns.lock().give_back(&tenant);
            turns.hand_out();
        }
    }
}

impl Round {
    fn note(&mut self, tenant: &Tenant, now: Instant) {
        match &mut self.last {
            Some((last, at)) if last == tenant => *at = now,
            Some((_, at)) => {
                self.other_at = Some(*at);
                self.last = Some((tenant.clone(), now));
            }
            None => self.last = Some((tenant.clone(), now)),
        }
    }

    /// How many turns one tenant may have just now.
    fn share(&self, now: Instant) -> usize {
        let crowded = self.other_at.is_some_and(|at| now.saturating_duration_since(at) < PRESENT);
        if crowded { (self.turns / SHARES).max(1) } else { self.turns }
    }

    fn may_begin(&self, tenant: &Tenant, now: Instant) -> bool {
        self.taken < self.turns && self.held.get(tenant).is_none_or(|held| *held < self.share(now))
    }

    fn begin(&mut self, tenant: &Tenant) {
        self.taken += 1;
        match self.held.get_mut(tenant) {
            Some(held) => *held += 1,
            None => {
                self.held.insert(tenant.clone(), 1);
            }
        }
    }

    fn give_back(&mut self, tenant: &Tenant) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(held) = self.held.get_mut(tenant) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(tenant);
            }
        }
    }

    /// Who is next, if anybody is who may begin. Its turn counts as taken.
    fn next(&mut self, now: Instant) -> Option<(Tenant, oneshot::Sender<Turn>)> {
        for _ in 0..self.next.len() {
            let tenant = self.next.pop_front()?;
            if !self.may_begin(&tenant, now) {
                self.next.push_back(tenant);
                continue;
            }
            let Some(queue) = self.waiting.get_mut(&tenant) else { continue };
            let waiting = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&tenant);
            } else {
                self.next.push_back(tenant.clone());
            }
            if let Some(waiting) = waiting {
                self.begin(&tenant);
                return Some((tenant, waiting));
            }
        }
        None
    }
}

impl Turns {
    /// So many at once.
    pub(super) fn new(turns: usize) -> Self {
        Self(Arc::new(Mutex::new(Round {
            turns,
            taken: 0,
            held: HashMap::new(),
            next: VecDeque::new(),
            waiting: HashMap::new(),
            last: None,
            other_at: None,
        })))
    }

    /// A turn for `tenant`, when it is its turn.
    pub(super) async fn take(&self, tenant: &Tenant) -> Result<Turn> {
        let wait = {
            let now = Instant::now();
            let mut round = self.lock();
            round.note(tenant, now);
            if !round.waiting.contains_key(tenant) && round.may_begin(tenant, now) {
                round.begin(tenant);
                return Ok(Turn(Some((self.clone(), tenant.clone()))));
            }
            let round = &mut *round;
            let queue = round.waiting.entry(tenant.clone()).or_default();
            if queue.len() >= WAITING_MAX {
                metrics::refused_busy();
                return Err(Error::Busy);
            }
            if queue.is_empty() {
                round.next.push_back(tenant.clone());
            }
            let (turn, wait) = oneshot::channel();
            queue.push_back(turn);
            wait
        };
        metrics::turn_awaited();
        // There may be one by now: those whose share grew again are not told of it.
        self.hand_out();
        wait.await.map_err(|_| Error::Internal)
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out the turns that are free, not under the lock: a turn that is not wanted comes back.
    fn hand_out(&self) {
        loop {
            let Some((tenant, waiting)) = self.lock().next(Instant::now()) else { return };
            if let Err(mut turn) = waiting.send(Turn(Some((self.clone(), tenant.clone())))) {
                // It does not wait any more: its client went away.
                turn.0 = None;
                self.lock().give_back(&tenant);
            }
        }
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

    /// Whoever goes away while waiting, or with a turn not yet taken, keeps nobody from theirs.
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

    /// Whoever is alone may have all; whoever is not keeps to its share, and leaves the rest free.
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
}
