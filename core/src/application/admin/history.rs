//! Requests of the last hour, minute by minute, in the memory of one server.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// Minutes that are kept, the current one included.
pub const MINUTES: usize = 60;

/// How many minutes before the current one the oldest is.
const BACK: i64 = 59;

const MINUTE_MILLIS: i64 = 60_000;

/// Upper bounds of the durations that are told apart, in milliseconds; the last count is of those above all of them.
const BOUNDS: [u32; 16] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000];

/// Requests whose answers ended within one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minute {
    /// When it began, or the server within it.
    pub begins_at: Timestamp,
    /// How much of it was seen: less than a minute for the current one, and for the one of the start.
    pub seen: Duration,
    /// How many.
    pub requests: u64,
    /// Those of them that the server failed.
    pub failed: u64,
    /// The time that half of them took no longer than, in milliseconds, about; `None` without any.
    pub median_ms: Option<f64>,
    /// The time that 99 of 100 took no longer than, in milliseconds, about; `None` without any.
    pub p99_ms: Option<f64>,
}

/// The history of a process. All clones are the same.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    started_at: Option<Timestamp>,
    /// By minute, the oldest first; minutes without requests are left out.
    slots: VecDeque<Slot>,
}

struct Slot {
    minute: i64,
    failed: u64,
    counts: [u64; BOUNDS.len() + 1],
}

fn minute_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(MINUTE_MILLIS)
}

impl History {
    /// Begins at `now`: the minutes before were not seen.
    pub fn since(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Kept { started_at: Some(now), slots: VecDeque::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request whose answer ended at `at`.
    pub fn record(&self, at: Timestamp, took: Duration, failed: bool) {
        let mut kept = self.lock();
        let minute = minute_of(at);
        // A clock that was ahead for a while must not keep its minutes for ever.
        if kept.slots.back().is_some_and(|last| last.minute > minute + 1) {
            kept.slots.clear();
        }
        if kept.slots.back().is_none_or(|last| last.minute < minute) {
            kept.slots.push_back(Slot { minute, failed: 0, counts: [0; BOUNDS.len() + 1] });
            if kept.slots.len() > MINUTES {
                kept.slots.pop_front();
            }
        }
        if let Some(slot) = kept.slots.back_mut() {
            let millis = took.as_secs_f64() * 1000.0;
            slot.counts[BOUNDS.partition_point(|bound| f64::from(*bound) < millis)] += 1;
            slot.failed += u64::from(failed);
        }
    }

    /// Every minute of the hour that was seen, the oldest first, those without requests too.
    pub fn minutes(&self, now: Timestamp) -> Vec<Minute> {
        let kept = self.lock();
        let current = minute_of(now);
        let oldest = current - BACK;
        let started_at = kept.started_at.unwrap_or(now);
        let first = minute_of(started_at).clamp(oldest, current);
        (first..=current)
            .map(|minute| {
                let begins_at = Timestamp(minute * MINUTE_MILLIS).max(started_at.min(now));
                let ends_at = Timestamp((minute + 1) * MINUTE_MILLIS).min(now);
                let seen = u64::try_from(ends_at.millis() - begins_at.millis()).unwrap_or_default();
                let slot = kept.slots.iter().find(|slot| slot.minute == minute);
                Minute {
                    begins_at,
                    seen: Duration::from_millis(seen),
                    requests: slot.map_or(0, |slot| slot.counts.iter().sum()),
                    failed: slot.map_or(0, |slot| slot.failed),
                    median_ms: slot.and_then(|slot| slot.quantile(0.5)),
                    p99_ms: slot.and_then(|slot| slot.quantile(0.99)),
                }
            })
            .collect()
    }
}

impl Slot {
    /// As Prometheus reads a histogram: linear within the bounds that the quantile falls between, and the last bound above
    /// all of them.
    #[allow(clippy::cast_precision_loss)] // requests of a minute are far below 2^53
    fn quantile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.counts.iter().sum();
        if all == 0 {
            return None;
        }
        let rank = share * all as f64;
        let (mut below, mut lower) = (0_u64, 0.0);
        for (count, bound) in self.counts.iter().zip(BOUNDS) {
            let upper = f64::from(bound);
            if *count > 0 && (below + count) as f64 >= rank {
                return Some(lower + (upper - lower) * (rank - below as f64) / *count as f64);
            }
            (below, lower) = (below + count, upper);
        }
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(minute: i64, second: i64) -> Timestamp {
        Timestamp(minute * MINUTE_MILLIS + second * 1000)
    }

    const FAST: Duration = Duration::from_millis(3);

    #[test]
    fn an_hour_is_shown_and_no_more() {
        assert_eq!(usize::try_from(BACK).unwrap() + 1, MINUTES);
        let history = History::since(at(1000, 30));
        for minute in 1000..1100 {
            history.record(at(minute, 40), FAST, minute % 2 == 0);
        }
        assert_eq!(history.lock().slots.len(), MINUTES);
        let shown = history.minutes(at(1099, 45));
        assert_eq!(shown.len(), MINUTES);
        assert_eq!((shown[0].begins_at, shown[59].begins_at), (at(1040, 0), at(1099, 0)));
        assert!(shown.iter().all(|minute| minute.requests == 1));
        assert_eq!(shown.iter().map(|minute| minute.failed).sum::<u64>(), 30);
        assert_eq!((shown[58].seen, shown[59].seen), (Duration::from_secs(60), Duration::from_secs(45)));
    }

    #[test]
    fn the_first_minute_begins_with_the_server_and_gaps_are_zeros() {
        let history = History::since(at(1000, 30));
        history.record(at(1000, 50), FAST, false);
        history.record(at(1003, 1), FAST, false);
        let shown = history.minutes(at(1003, 30));
        let counts: Vec<_> = shown.iter().map(|minute| minute.requests).collect();
        assert_eq!(counts, [1, 0, 0, 1]);
        assert_eq!((shown[0].begins_at, shown[0].seen), (at(1000, 30), Duration::from_secs(30)));
        assert_eq!(shown[1].median_ms, None);
    }

    #[test]
    fn quantiles_lie_between_the_bounds_around_them() {
        let history = History::since(at(0, 0));
        for _ in 0..98 {
            history.record(at(0, 1), FAST, false);
        }
        for _ in 0..2 {
            history.record(at(0, 1), Duration::from_secs(400), false);
        }
        let minute = history.minutes(at(0, 2))[0];
        assert!((2.0..=5.0).contains(&minute.median_ms.unwrap()), "{minute:?}");
        assert!((minute.p99_ms.unwrap() - 300_000.0).abs() < 1e-9, "{minute:?}");
    }

    #[test]
    fn a_clock_that_was_ahead_is_forgotten() {
        let history = History::since(at(1000, 0));
        history.record(at(9000, 0), FAST, false);
        history.record(at(1001, 0), FAST, false);
        let shown = history.minutes(at(1001, 10));
        assert_eq!(shown.iter().map(|minute| minute.requests).collect::<Vec<_>>(), [0, 1]);
        // A step of a second back across a minute's end loses nothing.
        history.record(at(1002, 0), FAST, false);
        history.record(at(1001, 59), FAST, false);
        assert_eq!(history.minutes(at(1002, 1)).iter().map(|minute| minute.requests).sum::<u64>(), 3);
        // Nor does a clock before the server's start show anything that was not.
        assert_eq!(history.minutes(at(900, 0)).len(), 1);
    }
}
