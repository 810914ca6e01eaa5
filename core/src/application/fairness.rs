//! Turns: how many requests are worked on at once, and whose is next.
//!
//! A machine does a bounded number of things at a time; whoever sends the most requests would have most of
//! them. Here every tenant that waits has a queue of its own, and a turn that becomes free goes to the next
//! tenant in the round, not to the next request. A tenant that asks for little therefore waits for one turn
//! to become free, however many requests of another tenant wait before it. (Fair queueing by round robin, as
//! Nagle has it in RFC 970.)
//!
//! While fewer requests are under way than there are turns, nobody waits and nothing is queued.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::error::{Error, Result};
use super::metrics;
use crate::domain::address::Tenant;

/// Requests of one tenant that may wait for their turn.
const WAITING_MAX: usize = 4096;

/// Hands out turns. All clones are the same.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<Round>>);

struct Round {
    free: usize,
    /// Tenants with somebody in their queue, the next one first.
    next: VecDeque<Tenant>,
    waiting: HashMap<Tenant, VecDeque<oneshot::Sender<Turn>>>,
}

/// A turn, handed on when dropped.
pub(super) struct Turn(Option<Turns>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.hand_on();
        }
    }
}

impl Turns {
    /// So many at once.
    pub(super) fn new(turns: usize) -> Self {
        Self(Arc::new(Mutex::new(Round { free: turns, next: VecDeque::new(), waiting: HashMap::new() })))
    }

    /// A turn for `tenant`, when it is its turn.
    pub(super) async fn take(&self, tenant: &Tenant) -> Result<Turn> {
        let wait = {
            let mut round = self.lock();
            if round.free > 0 {
                round.free -= 1;
                return Ok(Turn(Some(self.clone())));
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
        wait.await.map_err(|_| Error::Internal)
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_on(&self) {
        let mut turn = Turn(Some(self.clone()));
        loop {
            let Some(waiting) = self.next() else {
                // Not handed on: nobody waits.
                turn.0 = None;
                return;
            };
            match waiting.send(turn) {
                Ok(()) => return,
                // It does not wait any more: its client went away.
                Err(returned) => turn = returned,
            }
        }
    }

    /// Who is next. If nobody is, the turn is free.
    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut round = self.lock();
        let round = &mut *round;
        while let Some(tenant) = round.next.pop_front() {
            let Some(queue) = round.waiting.get_mut(&tenant) else { continue };
            let waiting = queue.pop_front();
            if queue.is_empty() {
                round.waiting.remove(&tenant);
            } else {
                round.next.push_back(tenant);
            }
            if waiting.is_some() {
                return waiting;
            }
        }
        round.free += 1;
        None
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
}
