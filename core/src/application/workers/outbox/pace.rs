//! How long a target is left alone that takes nothing, and which row is tried then.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// The shortest and the longest rest after failures.
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(5 * 60);

/// How often a row may fail before it is taken to be its own fault, if others were delivered since.
const TRIES_MAX: u32 = 3;

/// Rows whose failures are remembered.
const REMEMBERED_MAX: usize = 4096;

/// The failures of a target since it last took something, and of single rows.
#[derive(Default)]
pub(super) struct Pace {
    failures: u32,
    rows: HashMap<i64, RowFailures>,
    delivered: Option<Instant>,
}

struct RowFailures {
    times: u32,
    first: Instant,
}

impl Pace {
    /// Failures since something was last delivered.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Something was delivered.
    pub(super) fn delivered(&mut self, row: i64) {
        self.failures = 0;
        self.rows.remove(&row);
        self.delivered = Some(Instant::now());
    }

    /// The target takes nothing.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// The target did not take a row. Whether that is the row's own fault: it has failed time and again, and others were
    /// taken after its first failure.
    pub(super) fn is_at_fault(&mut self, row: i64) -> bool {
        let now = Instant::now();
        if self.rows.len() >= REMEMBERED_MAX {
            self.rows.clear();
        }
        let of_row = self.rows.entry(row).or_insert(RowFailures { times: 0, first: now });
        of_row.times += 1;
        let others = self.delivered.is_some_and(|delivered| delivered > of_row.first);
        if of_row.times >= TRIES_MAX && others {
            self.rows.remove(&row);
            return true;
        }
        false
    }

    /// How often a row has failed.
    pub(super) fn times(&self, row: i64) -> u32 {
        self.rows.get(&row).map_or(0, |row| row.times)
    }

    /// How long the target is left alone now: twice as long after each failure, give or take a quarter, so that many servers do
    /// not ask a target that comes back all at once.
    pub(super) fn rest(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let rest = REST_MIN.saturating_mul(1 << doublings).min(REST_MAX);
        let spread = u32::from(Uuid::new_v4().as_bytes()[0]);
        rest * 3 / 4 + rest * spread / 512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_doubles_up_to_its_bound() {
        let mut pace = Pace::default();
        for (failures, seconds) in [(1_u32, 1_u64), (2, 2), (5, 16), (40, 300)] {
            while pace.failures() < failures {
                assert!(!pace.is_at_fault(1), "it is the target's fault as long as nothing is taken");
                pace.failed();
            }
            let (least, most) = (Duration::from_secs(seconds) * 3 / 4, Duration::from_secs(seconds) * 5 / 4);
            assert!((least..=most).contains(&pace.rest()), "{failures}: {:?}", pace.rest());
        }
        pace.delivered(2);
        assert_eq!(pace.failures(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_fails_while_others_do_not_is_at_fault_itself() {
        let mut pace = Pace::default();
        let step = || tokio::time::advance(Duration::from_secs(1));
        assert!(!pace.is_at_fault(1));
        step().await;
        pace.delivered(2);
        assert!(!pace.is_at_fault(1));
        step().await;
        assert!(pace.is_at_fault(1));
        assert_eq!(pace.times(1), 0);
    }
}
