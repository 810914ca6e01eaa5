//! So much per second, and not all at once: the generic cell rate algorithm (ITU-T I.371), which needs one
//! number of memory and no timer.

use std::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// What was taken so far, as the moment up to which it is paid for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Nanoseconds on the caller's clock.
    paid_until: u128,
    taken: u64,
}

impl Pace {
    /// Takes `amount` at `now` if no more than a second's worth of `per_second` is owed already; otherwise takes
    /// nothing and says how long to wait.
    pub fn try_take(&mut self, amount: u64, per_second: u64, now: Duration) -> Result<(), Duration> {
        let (now, cost) = (now.as_nanos(), cost(amount, per_second));
        let start = self.paid_until.max(now);
        // An amount that is worth more than a second alone passes when nothing is owed.
        let owed = (start - now) + cost.min(NANOS);
        if owed > NANOS {
            return Err(duration(owed - NANOS));
        }
        self.paid_until = start + cost;
        Ok(())
    }

    /// Takes `amount` at `now` and says how long to wait before the next is taken: a caller that has it already can
    /// only be slowed down. Every taker waits for those before it, in their order.
    pub fn take(&mut self, amount: u64, per_second: u64, now: Duration) -> Duration {
        let now = now.as_nanos();
        self.taken = self.taken.saturating_add(amount);
        self.paid_until = self.paid_until.max(now) + cost(amount, per_second);
        duration((self.paid_until - now).saturating_sub(NANOS / 4))
    }
}

impl Pace {
    /// How much [`Self::take`] took so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How far ahead of its rate it is at `now`: nothing once that time is over.
    pub fn ahead(&self, now: Duration) -> Duration {
        duration(self.paid_until.saturating_sub(now.as_nanos()))
    }
}

fn cost(amount: u64, per_second: u64) -> u128 {
    u128::from(amount) * NANOS / u128::from(per_second.max(1))
}

fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_at_once_and_then_the_rate() {
        let mut pace = Pace::default();
        let second = Duration::from_secs(1);
        for _ in 0..10 {
            assert_eq!(pace.try_take(1, 10, second), Ok(()));
        }
        assert_eq!(pace.try_take(1, 10, second), Err(Duration::from_millis(100)));
        assert_eq!(pace.try_take(1, 10, second + Duration::from_millis(100)), Ok(()));
        let taken = (0..10_000u64)
            .filter(|at| pace.try_take(1, 10, Duration::from_secs(5) + Duration::from_millis(*at)).is_ok())
            .count();
        assert!((105..=110).contains(&taken), "{taken} in ten seconds at ten a second, and ten at once");
    }

    #[test]
    fn what_was_received_is_paid_for_afterwards() {
        let mut pace = Pace::default();
        let rate = 1 << 20;
        let mut now = Duration::ZERO;
        for _ in 0..40 {
            now += pace.take(512 << 10, rate, now);
        }
        // 20 MiB at 1 MiB a second, less what may be ahead.
        assert!((19.0..=20.0).contains(&now.as_secs_f64()), "{now:?}");
    }
}
