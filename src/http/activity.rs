//! Whether a connection is in use: requests under way, and a client that reads its answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether a connection is idle. hyper ends idle connections of HTTP/1 by itself, but not those of HTTP/2, nor those
/// whose client never sends the first line.
pub(super) struct Activity {
    under_way: AtomicUsize,
    since: Mutex<Instant>,
    /// Since when the client reads no bytes.
    blocked: Mutex<Option<Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let (under_way, since) = (AtomicUsize::new(0), Mutex::new(Instant::now()));
        Arc::new(Self { under_way, since, blocked: Mutex::default() })
    }

    /// Whether no request was under way for at least `time`.
    pub(super) fn idle_for(&self, time: Duration) -> bool {
        let since = *lock(&self.since);
        self.under_way.load(Ordering::Acquire) == 0 && since.elapsed() >= time
    }

    /// Since when no request is under way and nothing is left to send.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.under_way.load(Ordering::Acquire) == 0 && lock(&self.blocked).is_none();
        idle.then(|| *lock(&self.since))
    }

    /// Whether the client read no bytes for at least `time`, though there were some to send.
    pub(super) fn blocked_for(&self, time: Duration) -> bool {
        lock(&self.blocked).is_some_and(|since| since.elapsed() >= time)
    }

    /// Notes whether the client reads bytes.
    pub(super) fn note_blocked(&self, blocked: bool) {
        let mut since = lock(&self.blocked);
        match (blocked, *since) {
            (true, None) => *since = Some(Instant::now()),
            (false, Some(_)) => *since = None,
            _ => {}
        }
    }

    pub(super) fn begin(self: Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(self)
    }
}

/// A request counts as under way until this is dropped.
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
