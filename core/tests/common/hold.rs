//! Holding one of two operations at one of its steps while the other runs.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use juststorage_core::testing::disk::{DurableStep, Watcher};
use tokio::task::JoinHandle;

/// A task that takes no step for so long probably waits for the one that is held.
const QUIET: Duration = Duration::from_millis(40);

/// Nothing may take as long.
const STUCK: Duration = Duration::from_secs(60);

struct Gate {
    /// Steps still to pass before one is held; `None` where none is to be.
    before: Option<u64>,
    held: bool,
    /// When a task took a step last.
    last: Instant,
}

/// Holds the task that takes a certain step.
pub struct Holder {
    gate: Mutex<Gate>,
    changed: Condvar,
    collisions: AtomicU32,
}

impl Holder {
    pub fn new() -> Self {
        let gate = Gate { before: None, held: false, last: Instant::now() };
        Self { gate: Mutex::new(gate), changed: Condvar::new(), collisions: AtomicU32::new(0) }
    }

    /// How many transactions ran into another and began anew.
    pub fn collisions(&self) -> u32 {
        self.collisions.load(Ordering::Relaxed)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(&self, step: u64) {
        let mut gate = self.gate();
        (gate.before, gate.held) = (Some(step), false);
    }

    /// No task is held, nor will be.
    fn open(&self) {
        let mut gate = self.gate();
        (gate.before, gate.held) = (None, false);
        self.changed.notify_all();
    }

    fn holds(&self) -> bool {
        self.gate().held
    }

    fn touch(&self) {
        self.gate().last = Instant::now();
    }

    fn quiet_for(&self) -> Duration {
        self.gate().last.elapsed()
    }

    fn step(&self) {
        let mut gate = self.gate();
        gate.last = Instant::now();
        match gate.before {
            Some(0) => {
                gate.before = None;
                gate.held = true;
                drop(gate);
                // Other work of this thread goes on elsewhere.
                tokio::task::block_in_place(|| {
                    drop(self.changed.wait_while(self.gate(), |gate| gate.held));
                });
            }
            Some(more) => gate.before = Some(more - 1),
            None => {}
        }
    }
}

impl Watcher for Holder {
    fn before(&self, _: &DurableStep<'_>) -> io::Result<u64> {
        self.step();
        Ok(0)
    }

    fn after(&self, _: &DurableStep<'_>, _: u64) {}

    fn point(&self) {
        self.step();
    }

    fn collided(&self) {
        self.collisions.fetch_add(1, Ordering::Relaxed);
    }
}

/// Holds `first` before its step `at` while `second` runs to its end, or until it waits: until it took no step for a
/// while, and `waits` says so, which on a busy machine may not be the same. Whether there is such a step, whether the
/// other got to its end meanwhile, and what became of both.
pub async fn one<T: Send + 'static>(
    holder: &Holder,
    at: u64,
    what: &str,
    first: impl Future<Output = T> + Send + 'static,
    second: impl Future<Output = T> + Send + 'static,
    waits: impl AsyncFn() -> bool,
) -> (bool, bool, [T; 2]) {
    holder.arm(at);
    let first = tokio::spawn(first);
    while !holder.holds() && !first.is_finished() {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let held = holder.holds();
    if !held {
        // Nor is the other to be.
        holder.open();
    }
    holder.touch();
    let second = tokio::spawn(second);
    while held && !second.is_finished() && holder.quiet_for() < STUCK {
        if holder.quiet_for() >= QUIET && waits().await {
            break;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let through = held && second.is_finished();
    holder.open();
    (held, through, [end(what, first).await, end(what, second).await])
}

async fn end<T>(what: &str, task: JoinHandle<T>) -> T {
    let ended = tokio::time::timeout(STUCK, task).await;
    ended.unwrap_or_else(|_| panic!("{what}: no end")).unwrap_or_else(|error| panic!("{what}: {error}"))
}
