//! The registration of a large write, undone when the write comes to nothing.

use std::sync::Arc;

use crate::application::ports::metadata::MetadataStore;
use crate::domain::blob::SegmentId;
use crate::domain::object::ObjectId;

/// A WRITING row and its segment. Dropped without [`Self::committed`], the write is abandoned: also when the
/// client's connection, and with it the request's future, is gone.
///
/// Abandoning is safe when the commit's fate is unknown: it touches only a row that is still WRITING and a
/// segment that is still open, and the commit ends both states in its transaction.
pub struct Announced {
    metadata: Arc<dyn MetadataStore>,
    id: ObjectId,
    segment: SegmentId,
    pending: bool,
}

impl Announced {
    pub(super) fn new(metadata: Arc<dyn MetadataStore>, id: ObjectId, segment: SegmentId) -> Self {
        Self { metadata, id, segment, pending: true }
    }

    /// The WRITING row's id.
    pub(crate) fn id(&self) -> ObjectId {
        self.id
    }

    /// The write was committed: there is nothing to abandon.
    pub(crate) fn committed(mut self) {
        self.pending = false;
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if !self.pending {
            return;
        }
        let (metadata, id, segment) = (self.metadata.clone(), self.id, self.segment);
        // Outside a runtime the process is ending; take-over at the next start finds the row.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = metadata.abandon(id, segment).await {
                tracing::warn!(%error, %segment, "write could not be abandoned; take-over will find it");
            }
        });
    }
}
