//! The memory that readers of one tier share for their chunks, and its bound.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::application::buffers::Buffers;

/// Most memory of the chunks of all readers of a tier together, in bytes. Those that come when it is taken have
/// small chunks, and none read ahead.
const CHUNKS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The memory of a tier's readers.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    plenty: Arc<Semaphore>,
    small: Arc<Buffers>,
    large: Arc<Buffers>,
}

impl Memory {
    /// For chunks of `small` bytes where memory is short, and of `large` bytes where it is not.
    pub(super) fn new(small: usize, large: usize) -> Self {
        let plenty = Arc::new(Semaphore::new(CHUNKS_BYTES_MAX));
        Self { plenty, small: Buffers::new(small), large: Buffers::new(large) }
    }

    /// A share of what there is for large chunks; none if too much of it is taken.
    pub(super) fn share(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.plenty).try_acquire_many_owned(permits).ok()
    }

    /// Buffers for the small chunks, or for the large ones.
    pub(super) fn buffers(&self, large: bool) -> Arc<Buffers> {
        Arc::clone(if large { &self.large } else { &self.small })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_refused_once_too_much_is_taken() {
        let memory = Memory::new(1, 1);
        let held = memory.share(CHUNKS_BYTES_MAX as u64);
        assert!(held.is_some() && memory.share(1).is_none());
        drop(held);
        assert!(memory.share(1).is_some());
    }
}
