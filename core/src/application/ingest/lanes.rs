//! The MD5s of all bodies that are being received, computed side by side.
//!
//! MD5 is the dearest of the digests and the one that a core cannot speed up for one body alone. Bodies that have
//! bytes waiting share the lanes of a worker: a body that arrives while others are being digested joins them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf as _, Bytes};
use juststorage_md5_lanes::{BLOCK_BYTES, LANES, Md5, update_together};
use tokio::sync::oneshot;

/// How much of each body is digested between two looks at who else waits, in bytes: 60 us for one alone.
const SLICE_BYTES: usize = 32 << 10;

/// Where bodies hand in their bytes. Cheap to clone; clones share their workers.
#[derive(Clone)]
pub(super) struct Lanes(Arc<Shared>);

struct Shared {
    state: Mutex<LaneState>,
    /// The other half of the cores is left to the other digests, which are computed at the same time.
    workers_max: usize,
}

#[derive(Default)]
struct LaneState {
    waiting: VecDeque<Job>,
    workers: usize,
}

struct Job {
    md5: Md5,
    bytes: Bytes,
    done: oneshot::Sender<Md5>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), workers_max: crate::cores().div_ceil(2) }))
    }
}

impl Lanes {
    /// Takes in the next bytes of a body, on a thread that may block.
    pub(super) fn update(&self, md5: Md5, bytes: Bytes) -> oneshot::Receiver<Md5> {
        let (done, updated) = oneshot::channel();
        let more_hands = {
            let mut state = self.lock();
            state.waiting.push_back(Job { md5, bytes, done });
            let more_hands = state.workers < self.0.workers_max;
            state.workers += usize::from(more_hands);
            more_hands
        };
        if more_hands {
            let lanes = self.clone();
            tokio::task::spawn_blocking(move || lanes.work());
        }
        updated
    }

    fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Digests until the queue is empty.
    fn work(&self) {
        let mut jobs = Vec::with_capacity(LANES);
        loop {
            {
                let mut state = self.lock();
                let free = state.waiting.len().min(LANES - jobs.len());
                jobs.extend(state.waiting.drain(..free));
                if jobs.is_empty() {
                    state.workers -= 1;
                    return;
                }
            }
            advance(&mut jobs);
            for job in jobs.extract_if(.., |job| job.bytes.len() < BLOCK_BYTES) {
                let Job { mut md5, bytes, done } = job;
                md5.update(&bytes);
                // The client may be gone.
                let _ = done.send(md5);
            }
        }
    }
}

/// Takes each body a slice further, by whole blocks, so that they stay in step.
fn advance(jobs: &mut [Job]) {
    let shortest = jobs.iter().map(|job| job.bytes.len()).min().unwrap_or(0);
    let slice = shortest.min(SLICE_BYTES) / BLOCK_BYTES * BLOCK_BYTES;
    let mut together: Vec<_> = jobs.iter_mut().map(|job| (&mut job.md5, &job.bytes[..slice])).collect();
    update_together(&mut together);
    for job in jobs {
        job.bytes.advance(slice);
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use md5::Digest as _;

    use super::*;

    /// One worker, so that the bodies do share lanes.
    fn lanes() -> Lanes {
        Lanes(Arc::new(Shared { state: Mutex::default(), workers_max: 1 }))
    }

    fn body(length: usize, first: u8) -> Bytes {
        (0..=250_u8).cycle().take(length).map(|byte| first.wrapping_add(byte)).collect()
    }

    #[tokio::test]
    async fn every_body_gets_its_own_digest() {
        let lanes = lanes();
        let lengths = [0, 1, 63, 64, 65, 40_000, SLICE_BYTES, SLICE_BYTES + 1, 300_000, 7 * SLICE_BYTES - 3];
        let digests = join_all((0..50_u8).map(|number| {
            let lanes = &lanes;
            async move {
                let (mut md5, mut theirs) = (Md5::new(), md5::Md5::new());
                for piece in 0..3_usize {
                    let bytes = body(lengths[(usize::from(number) + 3 * piece) % lengths.len()], number);
                    theirs.update(&bytes);
                    md5 = lanes.update(md5, bytes).await.unwrap();
                }
                (md5.finalize(), <[u8; 16]>::from(theirs.finalize()))
            }
        }))
        .await;
        for (ours, theirs) in digests {
            assert_eq!(ours, theirs);
        }
        let idle = async {
            while lanes.lock().workers > 0 {
                tokio::task::yield_now().await;
            }
        };
        idle.await;
        assert!(lanes.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn a_client_that_left_holds_nobody_up() {
        let lanes = lanes();
        let gone: Vec<_> = (0..8).map(|first| lanes.update(Md5::new(), body(100_000, first))).collect();
        drop(gone);
        let stayed = lanes.update(Md5::new(), body(1000, 9)).await.unwrap();
        assert_eq!(stayed.finalize(), <[u8; 16]>::from(md5::Md5::digest(body(1000, 9))));
    }
}
