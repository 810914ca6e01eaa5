//! The memory that readers of one tier share for their chunks, and its bound.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most memory of the chunks of all readers of a tier together, in bytes. Those that come when it is taken have
/// small chunks, and none read ahead.
const CHUNKS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most memory kept for later readers, of each size, in bytes.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

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

/// Buffers of one size, used again.
///
/// A chunk is allocated on a thread that reads and freed on one that serves, and the allocator keeps memory for
/// each thread: with a thousand downloads at once it held twice what was in use.
#[derive(Debug)]
pub(super) struct Buffers {
    size: usize,
    kept: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { size, kept: Mutex::default() })
    }

    /// An empty buffer with room for `size` bytes.
    pub(super) fn take(&self) -> Vec<u8> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Vec::with_capacity(self.size))
    }

    /// `bytes`, whose memory is used again after the last reference to them is gone.
    pub(super) fn lend(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { bytes, home: Arc::clone(self) })
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_BYTES_MAX / self.size {
            kept.push(buffer);
        }
    }
}

/// A buffer that goes home.
struct Lent {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_the_last_reference_is_gone() {
        let buffers = Buffers::new(64);
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"payload");
        let memory = buffer.as_ptr();
        let whole = buffers.lend(buffer);
        let part = whole.slice(3..);
        drop(whole);
        let other = buffers.take();
        assert_ne!(other.as_ptr(), memory, "a part of it is still in use");
        assert_eq!(part, "load");
        drop(part);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len(), again.capacity() >= 64), (memory, 0, true));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let buffers = Buffers::new(KEPT_BYTES_MAX / 2);
        let lent: Vec<_> = (0..5).map(|_| buffers.lend(buffers.take())).collect();
        drop(lent);
        assert_eq!(buffers.kept.lock().unwrap_or_else(PoisonError::into_inner).len(), 2);
    }

    #[test]
    fn a_share_is_refused_once_too_much_is_taken() {
        let memory = Memory::new(1, 1);
        let held = memory.share(CHUNKS_BYTES_MAX as u64);
        assert!(held.is_some() && memory.share(1).is_none());
        drop(held);
        assert!(memory.share(1).is_some());
    }
}
