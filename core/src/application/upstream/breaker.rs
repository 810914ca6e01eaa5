//! A breaker: an upstream that failed several times in a row is left alone for a while, so that no request waits for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::application::progress;

/// Failures in a row after which it opens.
const FAILURES_MAX: u32 = 5;

/// How long it stays open at first, and at most; twice as long after each further failure.
const OPEN_MIN: Duration = Duration::from_secs(1);
const OPEN_MAX: Duration = Duration::from_secs(30);

/// Closed, or open until a time. The first request after that is let through to try; while it is under way the others are
/// refused.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<BreakerState>,
    /// How often it was open, and closed again.
    closed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct BreakerState {
    failures: u32,
    open_until: Option<Instant>,
    /// Whether a request tries it.
    tried: bool,
}

impl Breaker {
    fn lock(&self) -> std::sync::MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may be made at `now`; if not, how long it is left alone at least.
    pub(super) fn admits(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.lock();
        match state.open_until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                // This one tries; the next one after a while, should it never come back.
                (state.open_until, state.tried) = (Some(now + OPEN_MIN), true);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A request succeeded, or failed for a reason of its own.
    pub(super) fn succeeded(&self) {
        progress::made();
        let before = std::mem::take(&mut *self.lock());
        if before.open_until.is_some() {
            self.closed.send_modify(|times| *times += 1);
        }
    }

    /// Hears from now on when it is closed again.
    pub(super) fn closings(&self) -> watch::Receiver<u64> {
        self.closed.subscribe()
    }

    /// A request found the upstream away. Whether the breaker opened by that.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut state = self.lock();
        // What began before it opened, and fails later, says nothing new: many at once are one failure.
        if state.open_until.is_some() && !std::mem::take(&mut state.tried) {
            return false;
        }
        state.failures = state.failures.saturating_add(1);
        let Some(beyond) = state.failures.checked_sub(FAILURES_MAX) else { return false };
        let wait = OPEN_MIN.saturating_mul(1 << beyond.min(16)).min(OPEN_MAX);
        let was_closed = state.open_until.is_none();
        state.open_until = Some(now + wait);
        was_closed
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        self.lock().open_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_opens_after_several_failures_and_tries_again() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES_MAX {
            assert!(!breaker.failed(start) && breaker.admits(start).is_ok());
        }
        assert!(breaker.failed(start) && breaker.is_open());
        assert_eq!(breaker.admits(start), Err(OPEN_MIN));
        // A hundred requests that were under way do not make it longer.
        for _ in 0..100 {
            assert!(!breaker.failed(start));
        }
        // One tries; the others wait for it.
        let later = start + OPEN_MIN;
        assert_eq!((breaker.admits(later), breaker.admits(later)), (Ok(()), Err(OPEN_MIN)));
        assert!(!breaker.failed(later), "it is open already");
        assert_eq!(breaker.admits(later + OPEN_MIN), Err(OPEN_MIN), "twice as long");
        assert_eq!(breaker.admits(later + 2 * OPEN_MIN), Ok(()));
        let mut closings = breaker.closings();
        breaker.succeeded();
        assert!(breaker.admits(start).is_ok() && !breaker.is_open());
        assert!(closings.has_changed().unwrap(), "who waits for it hears that it is closed");
        closings.mark_unchanged();
        // A success in between starts the count again.
        for _ in 1..FAILURES_MAX {
            breaker.failed(start);
        }
        breaker.succeeded();
        assert!(!breaker.failed(start));
        assert!(!closings.has_changed().unwrap(), "it was not open");
    }
}
