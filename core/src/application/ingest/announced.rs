//! The registration of a large write, undone when the write comes to nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::application::ports::metadata::Catalogue;
use crate::application::ports::segments::SegmentStore;
use crate::domain::blob::SegmentId;
use crate::domain::object::ObjectId;

/// How long after a failure a write is undone, at first and at last; twice as long after each further one. Without an answer for
/// two hours the next start does it.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_hours(1);

/// A WRITING row and its segment. Dropped without [`Self::committed`], the write is abandoned: also when the
/// client's connection, and with it the request's future, is gone.
///
/// Abandoning is safe when the commit's fate is unknown: it touches only a row that is still WRITING and a
/// segment that is still open, and the commit ends both states in its transaction.
pub struct Announced {
    metadata: Arc<dyn Catalogue>,
    tier: Arc<dyn SegmentStore>,
    id: ObjectId,
    segment: SegmentId,
    pending: bool,
}

impl Announced {
    pub(super) fn new(
        metadata: Arc<dyn Catalogue>,
        tier: Arc<dyn SegmentStore>,
        id: ObjectId,
        segment: SegmentId,
    ) -> Self {
        Self { metadata, tier, id, segment, pending: true }
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
        let (metadata, tier, id, segment) = (self.metadata.clone(), self.tier.clone(), self.id, self.segment);
        // Outside a runtime the process is ending; take-over at the next start finds the row.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let mut rest = AGAIN_MIN;
            while let Err(error) = metadata.abandon(id, segment).await {
                if rest > AGAIN_MAX {
                    tracing::error!(%error, %segment, "failed write was not undone; the next start undoes it");
                    return;
                }
                tracing::warn!(%error, %segment, "failed write was not undone; it will be tried again");
                tokio::time::sleep(rest).await;
                rest *= 2;
            }
            remove_if_nobodys(metadata.as_ref(), tier.as_ref(), segment).await;
        });
    }
}

/// Removes the file of a segment whose row is gone, or is condemned and no backup of the database can name it: nothing
/// refers to it, and nothing will. (One that a backup may name stays for the retention; its file was there before it
/// was condemned, so garbage collection cannot miss it.) Where this
/// writer was taken for dead before it made the file, garbage collection may have looked for it already, found none,
/// and be about to forget the segment: then no other process would remove it.
pub(crate) async fn remove_if_nobodys(
    metadata: &(impl Catalogue + ?Sized),
    tier: &dyn SegmentStore,
    segment: SegmentId,
) {
    let removed = match metadata.is_unnamed(segment).await {
        Ok(false) => return,
        Ok(true) => tier.delete(segment).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = removed {
        tracing::warn!(error, %segment, "segment of a writer taken for dead may be left over; `validate` tells");
    }
}
