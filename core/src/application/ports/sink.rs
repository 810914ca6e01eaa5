//! Who takes what the outbox holds.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::application::ports::metadata::{OutboxRow, OutboxTarget};
use crate::domain::event::TargetName;

/// Delivers rows to the targets of one kind.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Delivers a row. Returns once the target has taken it for good.
    ///
    /// A row may come again, with the same id: after a crash, after an answer that was lost, on request. Of one key each is
    /// delivered before the next one begins. Ends within [`PATIENCE_MAX`].
    async fn deliver(&self, target: &OutboxTarget, row: &OutboxRow) -> Result<(), Undelivered>;

    /// As [`Self::deliver`], for as long as it takes: nothing of it takes effect once `term` has ended.
    async fn deliver_within(
        &self,
        target: &OutboxTarget,
        row: &OutboxRow,
        _: &Term,
    ) -> Result<(), Undelivered> {
        self.deliver(target, row).await
    }

    /// Returns once a target answers again that was left alone when a row was last tried: what waits for it goes at once. Never
    /// where nothing tells that.
    async fn recovered(&self, _: &TargetName) {
        std::future::pending::<()>().await;
    }

    /// These are all targets: what is kept for others, such as connections, may go.
    fn keep(&self, _: &[TargetName]) {}
}

/// As long as this process is the only one that delivers to a target. It is prolonged while deliveries are under way.
#[derive(Clone, Debug)]
pub struct Term {
    until: watch::Receiver<Instant>,
    stop: CancellationToken,
}

impl Term {
    /// One that is prolonged by its sender. Nothing new should begin once `stop` is cancelled.
    pub fn new(until: watch::Receiver<Instant>, stop: CancellationToken) -> Self {
        Self { until, stop }
    }

    /// Waits for so long. Whether all of it has passed: not if the process is to stop.
    pub async fn wait(&self, span: Duration) -> bool {
        span.is_zero() || self.stop.run_until_cancelled(tokio::time::sleep(span)).await.is_some()
    }

    /// Whether it lasts for so much longer, as things are.
    pub fn lasts(&self, span: Duration) -> bool {
        Instant::now() + span < *self.until.borrow()
    }
}

/// The longest that a delivery takes: well within a lease, so that two processes do not deliver at once.
pub const PATIENCE_MAX: Duration = crate::domain::event::WEBHOOK_PATIENCE_MAX;

/// Why a row was not delivered. Texts are for operators, and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The target refuses this row; it may take others. The row is put aside, and with it its key.
    #[error("{0}")]
    Refused(String),
    /// The target takes nothing just now: it is left alone for a while.
    #[error("{0}")]
    Away(String),
    /// Nothing was asked of the target: it failed before, and is left alone for so long. That is no failure of it.
    #[error("it failed several times in a row, and is left alone for a while")]
    NotTried(Duration),
}
