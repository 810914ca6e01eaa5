//! Buffers of one size that are used again, so that the memory of large bodies does not grow with the threads they pass.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Most memory kept for later users, of each size, in bytes.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Buffers of one size, used again.
///
/// A chunk is allocated on one thread and freed on another one, and the allocator keeps memory for each thread: with a
/// thousand downloads at once it held twice what was in use, and one upload of a few chunks took 50 MiB.
#[derive(Debug)]
pub(crate) struct Buffers {
    size: usize,
    kept: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// With room for `size` bytes each.
    pub(crate) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { size, kept: Mutex::default() })
    }

    /// How many bytes each has room for.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// An empty buffer with room for [`Self::size`] bytes.
    pub(crate) fn take(&self) -> Vec<u8> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Vec::with_capacity(self.size))
    }

    /// `bytes`, whose memory is used again after the last reference to them is gone.
    pub(crate) fn lend(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
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
}
