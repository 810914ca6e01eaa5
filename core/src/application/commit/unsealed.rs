//! Packs whose commit failed. Nothing more is written to them, and their rows are still open: until they are sealed, garbage
//! collection leaves them alone.

use std::time::Duration;

use tokio::sync::mpsc;

use super::pending::{BATCH_MAX, Pending};
use crate::application::ports::metadata::Mutation;
use crate::domain::blob::SegmentId;

/// How long after a failure they are sealed, unless a batch comes before.
const AGAIN: Duration = Duration::from_secs(5);

/// Packs that are still to be sealed, each with its size. Where the answer to a commit got lost they may be sealed already: then
/// it is refused, which does no harm.
#[derive(Default)]
pub(super) struct Unsealed(Vec<(SegmentId, u64)>);

/// The pack that a mutation seals.
pub(super) fn seal_of(mutation: &Mutation) -> Option<(SegmentId, u64)> {
    match mutation {
        Mutation::SealPack(pack, size) => Some((*pack, *size)),
        _ => None,
    }
}

impl Unsealed {
    /// The next batch, or an empty one when it is time to seal what is left; `None` once there are no more.
    pub(super) async fn or_next(&self, batches: &mut mpsc::Receiver<Vec<Pending>>) -> Option<Vec<Pending>> {
        if self.0.is_empty() {
            return batches.recv().await;
        }
        match tokio::time::timeout(AGAIN, batches.recv()).await {
            Ok(batch) => batch,
            Err(_) => Some(Vec::new()),
        }
    }

    /// What seals them, as much as goes along with a batch.
    pub(super) fn take(&mut self) -> Vec<Pending> {
        let some = self.0.drain(..self.0.len().min(BATCH_MAX));
        some.map(|(pack, size)| Pending::without_caller(Mutation::SealPack(pack, size))).collect()
    }

    /// The commit that would have sealed these failed.
    pub(super) fn keep(&mut self, packs: impl IntoIterator<Item = (SegmentId, u64)>) {
        self.0.extend(packs);
    }
}
