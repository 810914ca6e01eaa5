//! Which spaces have a policy, so that the others cost nothing.
//!
//! Whatever is decided about a bucket or an object that was looked up goes by the revision of settings that stands
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
    /// Held by whoever reads the list again.
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

    /// Whether a space has a policy.
    pub(crate) async fn has_space(&self, metadata: &dyn MetadataStore, space: &SpaceAddress) -> Result<bool> {
        Ok(self.known(metadata).await?.spaces.contains(space))
    }

    /// A policy was set or removed, and is in the database.
    pub(crate) fn changed(&self) {
        self.0.changes.fetch_add(1, Ordering::AcqRel);
    }

    async fn known(&self, metadata: &dyn MetadataStore) -> Result<Arc<Known>> {
        if let Some(known) = self.0.fresh() {
            return Ok(known);
        }
        let _reading = self.0.reading.lock().await;
        if let Some(known) = self.0.fresh() {
            return Ok(known);
        }
        // Counted before it is read: a change that comes in between is read again.
        let (read_at, changes) = (Instant::now(), self.0.changes.load(Ordering::Acquire));
        let (buckets, spaces) = metadata.policied().await?.into_iter().unzip();
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
