//! How many requests of a tenant are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The count.
#[derive(Default)]
pub(super) struct UnderWay(Arc<AtomicU64>);

/// A request counts as under way until this is dropped.
pub(super) struct Admission(Arc<AtomicU64>);

impl UnderWay {
    /// Counts one more, and says how many others there are.
    pub(super) fn enter(&self) -> (Admission, u64) {
        let others = self.0.fetch_add(1, Ordering::AcqRel);
        (Admission(self.0.clone()), others)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
