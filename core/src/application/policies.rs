//! Which spaces have a policy or an upstream, so that the others cost nothing.
//!
//! Decisions about a bucket or an object that was looked up go by the revision of settings that stands
//! beside it, and is never out of date. This here is for requests that are decided before anything is looked up: those
//! without a signature, and those of the native API that write to an address. The whole list is read, and at most
//! twice a second, however many ask: no flood of requests becomes one of statements.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::application::error::Result;
use crate::application::ports::metadata::MetadataStore;
use crate::domain::address::{BucketName, SpaceAddress};

/// How long the list counts: a policy that another server sets is noticed by then.
const REMEMBERED: Duration = Duration::from_millis(500);

/// The list. All clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Policied(Arc<Inner>);

#[derive(Default)]
struct Inner {
    known: RwLock<Option<Arc<Known>>>,
    /// Held by the request that reads the list again.
    reading: tokio::sync::Mutex<()>,
    /// How many policies this process has set or removed: what was read before counts no more.
    changes: AtomicU64,
}

struct Known {
    buckets: HashSet<BucketName>,
    spaces: HashSet<SpaceAddress>,
    read_at: Instant,
    changes: u64,
}

impl Policied {
    /// Whether the space that a bucket names has a policy.
    pub(crate) async fn has_bucket(&self, metadata: &dyn MetadataStore, bucket: &BucketName) -> Result<bool> {
        Ok(self.known(metadata).await?.buckets.contains(bucket))
    }

    /// Whether a space has a policy or an upstream.
    pub(crate) async fn has_space(&self, metadata: &dyn MetadataStore, space: &SpaceAddress) -> Result<bool> {
        Ok(self.known(metadata).await?.spaces.contains(space))
    }

    /// A policy or an upstream was set or removed, and is in the database.
    pub(crate) fn changed(&self) {
        self.0.changes.fetch_add(1, Ordering::AcqRel);
    }

    async fn known(&self, metadata: &dyn MetadataStore) -> Result<Arc<Known>> {
        self.known_by(async { Ok(metadata.noted().await?) }).await
    }

    /// The list. `read` reads it; it is dropped unused while the last list counts.
    async fn known_by(
        &self,
        read: impl Future<Output = Result<Vec<(Option<BucketName>, SpaceAddress)>>>,
    ) -> Result<Arc<Known>> {
        if let Some(known) = self.0.fresh() {
            return Ok(known);
        }
        let _reading = self.0.reading.lock().await;
        if let Some(known) = self.0.fresh() {
            return Ok(known);
        }
        // Counted before it is read: a change that comes in between is read again.
        let (read_at, changes) = (Instant::now(), self.0.changes.load(Ordering::Acquire));
        let (buckets, spaces): (Vec<_>, _) = read.await?.into_iter().unzip();
        let buckets = buckets.into_iter().flatten().collect();
        let known = Arc::new(Known { buckets, spaces, read_at, changes });
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }
}

impl Inner {
    fn fresh(&self) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        known.filter(|known| {
            known.changes == self.changes.load(Ordering::Acquire) && known.read_at.elapsed() < REMEMBERED
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// Asks `list` so often, from so many tasks. Returns how many times it was read, and how long that took.
    async fn flood(list: &Policied, tasks: usize, times: usize) -> (u32, Duration) {
        let (reads, start) = (Arc::new(AtomicU32::new(0)), Instant::now());
        let ask = async |reads: Arc<AtomicU32>| {
            for _ in 0..times {
                let read = async {
                    reads.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok(Vec::new())
                };
                let known = list.known_by(read).await.unwrap();
                assert!(!known.buckets.contains(&BucketName::new("box").unwrap()));
                tokio::task::yield_now().await;
            }
        };
        futures::future::join_all((0..tasks).map(|_| ask(reads.clone()))).await;
        (reads.load(Ordering::Relaxed), start.elapsed())
    }

    /// A flood of requests is no flood of statements: one at first, and two a second.
    #[tokio::test]
    async fn however_many_ask_the_list_is_read_twice_a_second() {
        let list = Policied::default();
        let (reads, took) = flood(&list, 64, 500).await;
        let allowed = 1 + took.as_millis() / REMEMBERED.as_millis();
        assert!(reads >= 1 && u128::from(reads) <= allowed, "{reads} in {took:?}");
    }

    /// What this process changed is read again at once, and only once.
    #[tokio::test]
    async fn a_change_is_read_at_once() {
        let list = Policied::default();
        flood(&list, 1, 1).await;
        list.changed();
        let (reads, took) = flood(&list, 64, 2).await;
        assert!(reads >= 1 && u128::from(reads) <= 1 + took.as_millis() / REMEMBERED.as_millis());
    }
}
