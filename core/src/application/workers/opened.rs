//! Segments that a worker opened and has not settled yet. Where the database is away they stay open until its next step: their
//! writer, this process, lives, so that nobody else takes them over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::SegmentId;

/// What a worker left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// A pack, with its size; 0 if nothing was written to it. Leaves may have been pointed there.
    Pack(u64),
    /// A single. If its leaf was pointed there, it is no longer open.
    Single,
}

/// What one worker has open.
#[derive(Default)]
pub(super) struct Opened(Mutex<HashMap<SegmentId, Left>>);

impl Opened {
    fn all(&self) -> MutexGuard<'_, HashMap<SegmentId, Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment is about to be opened.
    pub(super) fn note(&self, segment: SegmentId, kind: SegmentKind) {
        let left = match kind {
            SegmentKind::Pack => Left::Pack(0),
            SegmentKind::Single => Left::Single,
        };
        self.all().insert(segment, left);
    }

    /// A pack holds so many bytes.
    pub(super) fn pack_has(&self, segment: SegmentId, size: u64) {
        self.all().insert(segment, Left::Pack(size));
    }

    /// A segment is sealed or condemned.
    pub(super) fn settled(&self, segment: SegmentId) {
        self.all().remove(&segment);
    }

    /// What is open.
    pub(super) fn left(&self) -> Vec<(SegmentId, Left)> {
        self.all().iter().map(|(segment, left)| (*segment, *left)).collect()
    }
}
