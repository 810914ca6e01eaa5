//! Writers that died, and the word of those that live.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::worker::{Step, Worker};
use crate::application::error::Result;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataError, MetadataStore, SegmentRecord, WriterId};
use crate::application::ports::segments::{SegmentError, SegmentKind};
use crate::application::store::Tiers;

/// How long a writer counts as alive after its last word.
pub const WRITER_LEASE: Duration = Duration::from_secs(60);

/// Repeats that this writer lives.
pub struct Heartbeat {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    writer: WriterId,
    superseded: CancellationToken,
}

impl Heartbeat {
    /// For this process's writer.
    pub fn new(metadata: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>, writer: WriterId) -> Self {
        Self { metadata, clock, writer, superseded: CancellationToken::new() }
    }

    /// Cancels `superseded` when another server has started under this writer's name: this process must end, and give
    /// nothing back, since all of it is the other's now.
    #[must_use]
    pub fn telling(self, superseded: CancellationToken) -> Self {
        Self { superseded, ..self }
    }
}

#[async_trait]
impl Worker for Heartbeat {
    fn name(&self) -> &'static str {
        "heartbeat"
    }

    fn rest(&self) -> Duration {
        WRITER_LEASE / 6
    }

    fn exclusive(&self) -> bool {
        false
    }

    async fn step(&self) -> Result<Step> {
        let now = self.metadata.lease_time(self.clock.now()).await?;
        let said = self.metadata.heartbeat(self.writer, now.plus(WRITER_LEASE)).await;
        if matches!(said, Err(MetadataError::Superseded)) {
            self.superseded.cancel();
        }
        said?;
        Ok(Step::Idle)
    }
}

/// Reclaims what dead writers staged and never committed.
#[derive(Clone)]
pub struct TakeOver {
    metadata: Arc<dyn MetadataStore>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    own: Option<WriterId>,
}

impl TakeOver {
    /// Over the store's parts.
    pub fn new(metadata: Arc<dyn MetadataStore>, tiers: Tiers, clock: Arc<dyn Clock>) -> Self {
        Self { metadata, tiers, clock, own: None }
    }

    /// Never takes over from `own`, this process's writer, though its word may have run out while the machine
    /// slept or its clock jumped: that this is asked shows that it lives.
    #[must_use]
    pub fn sparing(self, own: WriterId) -> Self {
        Self { own: Some(own), ..self }
    }

    /// Takes over from one writer that is known to be dead: at start, this process's own predecessor.
    pub async fn from(&self, writer: WriterId) -> Result<u64> {
        let leftover = self.metadata.take_over(writer).await?;
        for segment in &leftover.segments {
            self.settle(segment).await?;
        }
        let segments = leftover.segments.len() as u64;
        if leftover.writes + segments > 0 {
            tracing::info!(writer = %writer.0, writes = leftover.writes, segments, "took over from a dead writer");
        }
        Ok(leftover.writes + segments)
    }

    /// An open single was never committed: it goes. An open pack stays as far as it was committed.
    async fn settle(&self, segment: &SegmentRecord) -> Result<()> {
        let size = match segment.kind {
            SegmentKind::Single => None,
            SegmentKind::Pack if segment.size == 0 => None,
            SegmentKind::Pack => {
                match self.tiers.of(segment.tier).recover(segment.id, segment.size).await {
                    Ok(size) => Some(size),
                    // What is missing is missing: reads of it fail, `validate` names it, the rest goes on.
                    Err(error @ (SegmentError::Missing(_) | SegmentError::Corrupt { .. })) => {
                        tracing::error!(%error, segment = %segment.id, "pack of a dead writer is damaged");
                        Some(segment.size)
                    }
                    // There is no room for its index. It is whole without: its records say what it holds.
                    Err(error @ SegmentError::Full(_)) => {
                        tracing::warn!(%error, segment = %segment.id, "pack of a dead writer is sealed without an index");
                        Some(segment.size)
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        Ok(self.metadata.settle_segment(segment.id, size).await?)
    }
}

#[async_trait]
impl Worker for TakeOver {
    fn name(&self) -> &'static str {
        "take-over"
    }

    fn rest(&self) -> Duration {
        WRITER_LEASE / 2
    }

    async fn step(&self) -> Result<Step> {
        let now = self.metadata.lease_time(self.clock.now()).await?;
        let mut dead = self.metadata.dead_writers(now).await?;
        dead.retain(|writer| Some(*writer) != self.own);
        for writer in &dead {
            self.from(*writer).await?;
        }
        Ok(if dead.is_empty() { Step::Idle } else { Step::Did(dead.len() as u64) })
    }
}
