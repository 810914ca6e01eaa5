//! Mutations on their way through the two stages.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::application::error::{Error, Result};
use crate::application::ingest::{Announced, Payload};
use crate::application::ports::metadata::{Mutation, MutationOutcome, NewContent};
use crate::domain::blob::SegmentId;

/// Requests that may wait for the packer, and as many for each flight; over it they are refused with [`Error::Busy`].
pub(super) const QUEUE_MAX: usize = 4096;

/// Most mutations of one transaction.
pub(super) const BATCH_MAX: usize = 256;

/// A mutation on its way, with what it brings and where its answer goes.
pub(super) struct Pending {
    /// When it was handed in.
    pub(super) queued_at: Instant,
    pub(super) mutation: Mutation,
    pub(super) payload: Option<Payload>,
    pub(super) announced: Option<Announced>,
    pub(super) reply: Option<oneshot::Sender<Result<MutationOutcome>>>,
    /// That its key is under way, where it goes by a flight.
    pub(super) key: Option<Hold>,
}

/// Holds something until it is dropped.
pub(super) struct Hold(Option<Box<dyn FnOnce() + Send>>);

impl Hold {
    /// `end` is called once.
    pub(super) fn until_dropped(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// Where a payload was packed.
pub(super) struct PackedAt {
    pub(super) segment: SegmentId,
    pub(super) offset: u64,
    /// Where the records of the segment end.
    pub(super) segment_size: u64,
}

impl Pending {
    /// A mutation of the packer's own, which brings no bytes and answers no request.
    pub(super) fn without_caller(mutation: Mutation) -> Self {
        Self { queued_at: Instant::now(), mutation, payload: None, announced: None, reply: None, key: None }
    }

    /// Of the payload that it brings; 0 without one.
    pub(super) fn payload_bytes(&self) -> usize {
        self.payload.as_ref().map_or(0, |payload| payload.record.payload.len())
    }

    /// With the place of its payload. One that has none is answered, and is gone.
    pub(super) fn placed(mut self, place: Option<PackedAt>) -> Option<Self> {
        if let (Some(place), Some(NewContent::Staged(staged))) = (place, content_of(&mut self.mutation)) {
            staged.location.segment = place.segment;
            staged.location.offset = place.offset;
            staged.segment_size = place.segment_size;
            return Some(self);
        }
        self.answer(Err(Error::Internal));
        None
    }

    pub(super) fn answer(self, result: Result<MutationOutcome>) {
        if let Some(announced) = self.announced {
            // On a failure the drop abandons it.
            if result.is_ok() {
                announced.committed();
            }
        }
        if let Some(reply) = self.reply {
            // The client may be gone; what was committed stays committed.
            let _ = reply.send(result);
        }
    }
}

/// Packs that were taken over because their writer, this process, was taken for dead: told by the commits that
/// were refused to the packer, which must not go on with them.
#[derive(Clone, Default)]
pub(super) struct LostPacks(Arc<Mutex<HashSet<SegmentId>>>, Arc<AtomicU64>);

impl LostPacks {
    pub(super) fn add(&self, pack: SegmentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pack);
        self.1.fetch_add(1, Ordering::SeqCst);
    }

    /// How often a pack was lost so far.
    pub(super) fn losses(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }

    /// Whether `pack` is lost. Asked once: then it is forgotten.
    pub(super) fn take(&self, pack: SegmentId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&pack)
    }
}

/// The content that a mutation brings, if it is of a kind that brings any.
pub(super) fn content_of(mutation: &mut Mutation) -> Option<&mut NewContent> {
    match mutation {
        Mutation::Put(put) => Some(&mut put.content),
        Mutation::PutPart(part) => Some(&mut part.content),
        Mutation::Delete(_)
        | Mutation::Move(_)
        | Mutation::Expire(_)
        | Mutation::Update(_)
        | Mutation::Complete(_)
        | Mutation::SealPack(..) => None,
    }
}
