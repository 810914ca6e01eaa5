//! What a worker is.

use std::convert::Infallible;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use crate::application::error::Result;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::Leases;
use crate::application::progress::Progress;

/// How long most leases hold. Short steps, and a dead holder's work waits no longer than this.
pub const LEASE: Duration = Duration::from_secs(60);

/// How long a step may go on without getting anywhere and keep its lease. More than the end of a large write takes, during which
/// nothing tells how far it is.
const NO_PROGRESS: Duration = Duration::from_secs(10 * 60);

/// The longest rest after repeated failures.
const BACK_OFF: Duration = Duration::from_secs(60);

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkDone {
    /// This many items; there may be more.
    Did(u64),
    /// This many items; there is more, but others come first: the next step should wait so long.
    Paced(u64, Duration),
    /// There was nothing to do.
    Idle,
}

/// One kind of background work, in steps that are short, idempotent, and left to finish.
#[async_trait]
pub trait Worker: Send + Sync + 'static {
    /// Its name: in metrics, logs and as its lease.
    fn name(&self) -> &'static str;

    /// How long to rest when there is nothing to do.
    fn rest(&self) -> Duration;

    /// Whether only one process of the store may do this at a time.
    fn exclusive(&self) -> bool {
        true
    }

    /// How long its lease holds unless renewed. It is renewed before every step and during it; what a step changes after another
    /// process took the lease is refused.
    fn lease(&self) -> Duration {
        LEASE
    }

    /// The longest rest after failures.
    fn back_off(&self) -> Duration {
        BACK_OFF
    }

    /// Makes everything due now that would be in time: its next step is asked for.
    fn hurry(&self) {}

    /// Ends what goes on beside the steps. Called once, after the last one.
    async fn end(&self) {}

    /// One unit of work.
    async fn step(&self) -> Result<WorkDone>;
}

/// Takes a step of `worker`, whose lease `holder` has, and renews the lease meanwhile: a step that takes longer than its lease
/// does not lose what it did to another process. One that lost the lease all the same, since its process was paused, goes on
/// to its next change, which is refused. So does one that got nowhere for ten minutes, when it wakes up: its lease runs out, and
/// another process does the work.
pub async fn step_under_lease(
    worker: &dyn Worker,
    metadata: &(impl Leases + ?Sized),
    clock: &dyn Clock,
    holder: Uuid,
) -> Result<WorkDone> {
    let progress = Progress::default();
    // Both at once: the step's transaction may hold the row that is renewed.
    tokio::select! {
        done = progress.of(worker.step()) => done,
        never = keep(worker, metadata, clock, holder, &progress) => match never {},
    }
}

/// Renews the lease of `worker` until it is dropped, as long as its step gets somewhere.
async fn keep(
    worker: &dyn Worker,
    metadata: &(impl Leases + ?Sized),
    clock: &dyn Clock,
    holder: Uuid,
    progress: &Progress,
) -> Infallible {
    let (mut made, mut since) = (progress.so_far(), Instant::now());
    loop {
        tokio::time::sleep(worker.lease() / 3).await;
        if made != progress.so_far() {
            (made, since) = (progress.so_far(), Instant::now());
        } else if since.elapsed() >= NO_PROGRESS {
            metrics::worker_failed(worker.name());
            tracing::error!(
                worker = worker.name(),
                "a step hangs: it got nowhere for {} s and gives its lease up, so that another server does the work",
                since.elapsed().as_secs()
            );
            std::future::pending::<()>().await;
        }
        let renewed = async {
            let now = metadata.lease_time(clock.now()).await?;
            metadata.renew_lease(worker.name(), holder, now.plus(worker.lease())).await
        };
        match renewed.await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(worker = worker.name(), "another server does this work by now");
                std::future::pending::<()>().await;
            }
            Err(error) => {
                tracing::warn!(%error, worker = worker.name(), "lease not renewed; it will be tried again");
            }
        }
    }
}

/// Steps until there is nothing left to do; for commands. Returns how many items were done.
pub async fn run_dry(worker: &dyn Worker) -> Result<u64> {
    let mut total = 0;
    loop {
        match worker.step().await? {
            WorkDone::Did(items) | WorkDone::Paced(items, _) => total += items,
            WorkDone::Idle => return Ok(total),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::sync::watch;

    use super::*;
    use crate::application::ports::metadata::{MetadataError, Replica, WriterId};
    use crate::domain::timestamp::Timestamp;

    /// A database that says of each renewal that it came.
    struct Renewals(watch::Sender<u32>);

    fn not_asked<T>() -> Result<T, MetadataError> {
        Err(MetadataError::Failed("nobody asks this".to_owned()))
    }

    #[async_trait]
    impl Leases for Renewals {
        async fn heartbeat(&self, _: WriterId, _: Timestamp) -> Result<(), MetadataError> {
            not_asked()
        }

        async fn dead_writers(&self, _: Timestamp) -> Result<Vec<WriterId>, MetadataError> {
            not_asked()
        }

        async fn lease_time(&self, own: Timestamp) -> Result<Timestamp, MetadataError> {
            Ok(own)
        }

        async fn acquire_lease(
            &self,
            _: &str,
            _: Uuid,
            _: Timestamp,
            _: Timestamp,
        ) -> Result<bool, MetadataError> {
            not_asked()
        }

        async fn renew_lease(&self, name: &str, _: Uuid, until: Timestamp) -> Result<bool, MetadataError> {
            assert_eq!((name, until), ("slow", Timestamp(7).plus(LEASE)));
            self.0.send_modify(|renewals| *renewals += 1);
            // Even if the database is away for once.
            if *self.0.borrow() == 1 { not_asked() } else { Ok(true) }
        }

        async fn replicas(&self, _: Timestamp) -> Result<Vec<Replica>, MetadataError> {
            not_asked()
        }

        async fn introduce(&self, _: WriterId, _: &str) -> Result<(), MetadataError> {
            not_asked()
        }

        async fn drain(&self, _: WriterId) -> Result<(), MetadataError> {
            not_asked()
        }

        async fn release_lease(&self, _: &str, _: Uuid) -> Result<(), MetadataError> {
            not_asked()
        }
    }

    struct Seven;

    impl Clock for Seven {
        fn now(&self) -> Timestamp {
            Timestamp(7)
        }
    }

    /// A worker whose step ends after several renewals.
    struct Slow(watch::Receiver<u32>);

    #[async_trait]
    impl Worker for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }

        fn rest(&self) -> Duration {
            Duration::ZERO
        }

        async fn step(&self) -> Result<WorkDone> {
            self.0.clone().wait_for(|renewals| *renewals >= 5).await.unwrap();
            Ok(WorkDone::Did(1))
        }
    }

    /// A worker whose step never ends; it gets somewhere now and then, if at all.
    struct Endless(Option<Duration>);

    #[async_trait]
    impl Worker for Endless {
        fn name(&self) -> &'static str {
            "slow"
        }

        fn rest(&self) -> Duration {
            Duration::ZERO
        }

        async fn step(&self) -> Result<WorkDone> {
            let Some(every) = self.0 else { return std::future::pending().await };
            loop {
                tokio::time::sleep(every).await;
                crate::application::progress::made();
            }
        }
    }

    /// How often the lease of a step was renewed within five hours.
    async fn renewals(worker: Endless) -> u32 {
        let leases = Renewals(watch::channel(0).0);
        let step = step_under_lease(&worker, &leases, &Seven, Uuid::nil());
        tokio::time::timeout(Duration::from_hours(5), step).await.unwrap_err();
        *leases.0.borrow()
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_gives_its_lease_up() {
        let in_time = u32::try_from(NO_PROGRESS.as_secs() / (LEASE / 3).as_secs()).unwrap();
        assert_eq!(renewals(Endless(None)).await, in_time - 1, "it hangs from the start");
        let all = renewals(Endless(Some(NO_PROGRESS * 9 / 10))).await;
        assert!(all > 5 * 60 * 2, "slow as it is, it gets somewhere: {all}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_keeps_its_lease_however_long_it_takes() {
        let (sender, receiver) = watch::channel(0);
        let leases = Renewals(sender);
        let done = step_under_lease(&Slow(receiver), &leases, &Seven, Uuid::nil()).await;
        assert_eq!(done.unwrap(), WorkDone::Did(1));
        assert_eq!(*leases.0.borrow(), 5);
    }
}
