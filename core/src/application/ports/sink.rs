//! Who takes what the outbox holds.

use async_trait::async_trait;

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

    /// These are all targets: what is kept for others, such as connections, may go.
    fn keep(&self, _: &[TargetName]) {}
}

/// The longest that a delivery takes: well within a lease, so that two processes do not deliver at once.
pub const PATIENCE_MAX: std::time::Duration = crate::domain::event::WEBHOOK_PATIENCE_MAX;

/// Why a row was not delivered. Texts are for operators, and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The target refuses this row; it may take others. The row is put aside, and with it its key.
    #[error("{0}")]
    Refused(String),
    /// The target takes nothing just now: it is left alone for a while.
    #[error("{0}")]
    Away(String),
}
