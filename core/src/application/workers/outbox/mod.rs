//! Delivers what the outbox holds: for each target one task of one server, under a lease. A target that is away, slow or
//! refuses something delays no other.

mod delivery;
mod pace;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(in crate::application) use delivery::items_of;
pub use delivery::{Delivery, Passed};

use super::worker::{WorkDone, Worker};
use crate::application::error::Result;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, OutboxFigures, OutboxTarget};
use crate::application::ports::sink::Sink;
use crate::domain::event::{TargetKind, TargetName};
use crate::domain::timestamp::Timestamp;

/// Its name, also that of its items in `stuck`.
pub(in crate::application) const NAME: &str = "outbox";

/// How often targets are looked for, and how much waits for them.
const LOOK: Duration = Duration::from_secs(2);

/// How often rows of other servers are looked for.
const POLL: Duration = Duration::from_secs(1);

/// How often a server looks whether a target's delivery is free.
const AWAIT_LEASE: Duration = Duration::from_secs(5);

/// Who delivers to which kind of target.
#[derive(Clone, Default)]
pub struct Sinks(HashMap<TargetKind, Arc<dyn Sink>>);

impl Sinks {
    /// With this one for targets of a kind. Rows for targets of a kind without one wait.
    #[must_use]
    pub fn with(mut self, kind: TargetKind, sink: Arc<dyn Sink>) -> Self {
        self.0.insert(kind, sink);
        self
    }

    /// The one for targets of a kind.
    pub fn of(&self, kind: TargetKind) -> Option<Arc<dyn Sink>> {
        self.0.get(&kind).cloned()
    }

    /// These are all targets.
    fn keep(&self, targets: &[TargetName]) {
        for sink in self.0.values() {
            sink.keep(targets);
        }
    }
}

/// What this server knows of its deliveries to a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetStatus {
    /// Whether this server delivers.
    pub here: bool,
    /// Failures since the last delivery.
    pub failures: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// When something was last delivered.
    pub delivered_at: Option<Timestamp>,
}

/// What this server knows of its deliveries. All clones are the same.
#[derive(Clone, Default)]
pub struct Deliveries(Arc<Mutex<BTreeMap<TargetName, TargetStatus>>>);

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TargetName, TargetStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of a target.
    pub fn of(&self, target: &TargetName) -> TargetStatus {
        self.lock().get(target).cloned().unwrap_or_default()
    }

    fn change(&self, target: &TargetName, change: impl FnOnce(&mut TargetStatus)) {
        change(self.lock().entry(target.clone()).or_default());
    }

    /// These are all targets.
    fn keep(&self, targets: &[TargetName]) {
        self.lock().retain(|name, _| targets.contains(name));
    }
}

/// Targets that the gauges show.
#[derive(Default)]
struct Shown(BTreeSet<TargetName>);

impl Shown {
    /// What the gauges show from now on: rows and lag of each target. For one that is gone nothing waits, so that no alert is
    /// about it any more.
    fn show(&mut self, figures: &[OutboxFigures], now: Timestamp) -> Vec<(TargetName, u64, Duration)> {
        let there: BTreeSet<_> = figures.iter().map(|figures| figures.name.clone()).collect();
        let gone = self.0.difference(&there).map(|gone| (gone.clone(), 0, Duration::ZERO));
        let there_yet =
            figures.iter().map(|figures| (figures.name.clone(), figures.waiting, figures.lag(now)));
        let shown = gone.chain(there_yet).collect();
        self.0 = there;
        shown
    }
}

/// Keeps a delivery going for each target.
pub struct OutboxWorker {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    holder: Uuid,
    sinks: Sinks,
    deliveries: Deliveries,
    running: Mutex<BTreeMap<TargetName, Running>>,
    /// Targets that the gauges show.
    shown: Mutex<Shown>,
    /// Told when everything is due at once.
    hurry: Arc<Notify>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A delivery that goes on.
struct Running {
    target: watch::Sender<OutboxTarget>,
    stop: CancellationToken,
}

impl OutboxWorker {
    /// For one process, which holds its leases as `holder`.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        holder: Uuid,
        sinks: Sinks,
        deliveries: Deliveries,
    ) -> Self {
        Self {
            metadata,
            clock,
            holder,
            sinks,
            deliveries,
            running: Mutex::default(),
            shown: Mutex::default(),
            hurry: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Begins and ends deliveries, so that there is one for each of these targets.
    fn follow(&self, targets: Vec<OutboxTarget>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|name, running| {
            let stays = targets.iter().any(|target| target.name == *name) && !running.target.is_closed();
            if !stays {
                running.stop.cancel();
            }
            stays
        });
        for target in targets {
            if let Some(running) = running.get(&target.name) {
                running.target.send_if_modified(|known| {
                    let changed = *known != target;
                    *known = target;
                    changed
                });
                continue;
            }
            let Some(sink) = self.sinks.of(target.kind) else { continue };
            metrics::outbox_exists(target.name.as_str());
            let (name, stop) = (target.name.clone(), self.stop.child_token());
            let (sender, follower) = watch::channel(target.clone());
            let delivery = Delivery::new(
                self.metadata.clone(),
                self.clock.clone(),
                self.holder,
                sink,
                target,
                self.deliveries.clone(),
            );
            self.tasks.spawn(deliver(delivery, follower, self.hurry.clone(), stop.clone()));
            running.insert(name, Running { target: sender, stop });
        }
    }
}

/// Delivers until it is stopped.
async fn deliver(
    mut delivery: Delivery,
    mut target: watch::Receiver<OutboxTarget>,
    hurry: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut bell = delivery.bell();
    while !stop.is_cancelled() {
        bell.mark_unchanged();
        let rest = match delivery.pass(&stop).await {
            Ok(Passed::More) => continue,
            Ok(Passed::Nothing) => POLL,
            Ok(Passed::Elsewhere) => AWAIT_LEASE,
            Ok(Passed::Away(rest)) => {
                // Nothing that is committed meanwhile makes the target answer.
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(rest) => {}
                    () = hurry.notified() => {}
                    () = delivery.recovered() => {}
                    changed = target.changed() => if changed.is_err() { break },
                }
                delivery.follow(target.borrow_and_update().clone());
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, target = delivery.name(), "delivery failed; it will be tried again");
                AWAIT_LEASE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(rest) => {}
            _ = bell.changed() => {}
            () = hurry.notified() => {}
            changed = target.changed() => if changed.is_err() { break },
        }
        delivery.follow(target.borrow_and_update().clone());
    }
    delivery.end().await;
}

#[async_trait]
impl Worker for OutboxWorker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rest(&self) -> Duration {
        LOOK
    }

    /// Every target has a lease of its own.
    fn exclusive(&self) -> bool {
        false
    }

    fn hurry(&self) {
        self.hurry.notify_waiters();
    }

    async fn step(&self) -> Result<WorkDone> {
        // First: what counts the rows may take its time, or fail.
        let targets = self.metadata.outbox_targets().await?;
        let names: Vec<_> = targets.iter().map(|target| target.name.clone()).collect();
        self.follow(targets);
        self.sinks.keep(&names);
        self.deliveries.keep(&names);
        let figures = self.metadata.outbox_figures().await?;
        let shown =
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).show(&figures, self.clock.now());
        for (target, rows, lag) in shown {
            metrics::outbox_waiting(target.as_str(), rows, lag);
        }
        Ok(WorkDone::Idle)
    }

    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for OutboxWorker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_waits_for_a_target_that_is_gone() {
        let figures = |name: &str| OutboxFigures {
            name: TargetName::new(name).unwrap(),
            waiting: 7,
            oldest: Some(Timestamp(1000)),
        };
        let (mut shown, now) = (Shown::default(), Timestamp(3500));
        let lag = Duration::from_millis(2500);
        let (one, other) = (figures("one"), figures("other"));
        let both = [(one.name.clone(), 7, lag), (other.name.clone(), 7, lag)];
        assert_eq!(shown.show(&[one.clone(), other.clone()], now), both);
        let left = std::slice::from_ref(&other);
        assert_eq!(shown.show(left, now), [(one.name, 0, Duration::ZERO), both[1].clone()]);
        assert_eq!(shown.show(left, now), both[1..]);
    }
}
