//! How fast background work may ask an upstream: the one account that a backfill, a comparison and the mirror take from.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::pace::Pace;
use crate::domain::upstream::Target;

/// How far work may be ahead of its pace, so that short requests do not wait one by one.
const AHEAD: Duration = Duration::from_millis(250);

/// What background work has taken of an upstream's requests and bytes.
pub(crate) struct Pacer {
    requests_per_second: Option<u64>,
    bytes_per_second: Option<u64>,
    begun: Instant,
    /// Of requests and of bytes.
    taken: Mutex<[Pace; 2]>,
}

impl Pacer {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            requests_per_second: target.requests_per_second.map(u64::from),
            bytes_per_second: target.bytes_per_second,
            begun: Instant::now(),
            taken: Mutex::default(),
        }
    }

    /// Takes what a request is about to cost. How long it has to wait for those that took before it.
    pub(crate) fn take(&self, requests: u64, bytes: u64) -> Duration {
        self.charge(requests, bytes, Duration::ZERO).0.saturating_sub(AHEAD)
    }

    /// Takes what work has cost that took so long. How long to rest before there is more of it.
    pub(crate) fn took(&self, requests: u64, bytes: u64, took: Duration) -> Duration {
        self.charge(requests, bytes, took).1
    }

    /// Takes from both accounts, as of a moment so long ago. How far they are ahead of their pace, before and then.
    fn charge(&self, requests: u64, bytes: u64, ago: Duration) -> (Duration, Duration) {
        let now = self.begun.elapsed();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let each = [(requests, self.requests_per_second), (bytes, self.bytes_per_second)];
        let (mut before, mut then) = (Duration::ZERO, Duration::ZERO);
        for (pace, (amount, per_second)) in taken.iter_mut().zip(each) {
            let Some(per_second) = per_second else { continue };
            before = before.max(pace.ahead(now));
            pace.take(amount, per_second, now.saturating_sub(ago));
            then = then.max(pace.ahead(now));
        }
        (before, then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::upstream::{Addressing, MirrorSettings};

    fn pacer(requests_per_second: Option<u32>, bytes_per_second: Option<u64>) -> Pacer {
        Pacer::of(&Target {
            endpoint: "http://old".into(),
            bucket: "b".into(),
            prefix: String::new(),
            region: "us-east-1".into(),
            addressing: Addressing::Path,
            access_key: "k".into(),
            allow_private: false,
            requests_per_second,
            bytes_per_second,
            mirror: MirrorSettings::default(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn work_keeps_to_the_pace_of_its_target() {
        tokio::time::advance(Duration::from_secs(1)).await;
        let took = Duration::from_millis(500);
        assert_eq!(pacer(None, None).took(1000, 1 << 30, took), Duration::ZERO);
        for (requests, bytes, rest) in [(300, 0, 2500), (10, 0, 0), (1, 4000, 3500)] {
            let pacer = pacer(Some(100), Some(1000));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(pacer.took(requests, bytes, took), Duration::from_millis(rest), "{requests} {bytes}");
        }
    }

    /// Whoever comes later waits for those before it, whatever they do: one account is kept for all.
    #[tokio::test(start_paused = true)]
    async fn requests_wait_for_those_before_them() {
        let pacer = pacer(Some(10), Some(1000));
        let waits: Vec<_> = (0..5).map(|_| pacer.take(1, 0).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 50, 150]);
        pacer.take(0, 10_000);
        assert_eq!(pacer.take(1, 0), Duration::from_millis(9750));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(pacer.take(1, 1), Duration::ZERO);
        assert_eq!(pacer.took(0, 5000, Duration::ZERO), Duration::from_millis(5001));
    }
}
