//! The tiers of a store.

use std::sync::Arc;

use crate::application::ports::segments::SegmentStore;
use crate::domain::storage_class::StorageClass;

/// One segment store for each storage class.
#[derive(Clone)]
pub struct Tiers {
    /// Fast.
    pub hot: Arc<dyn SegmentStore>,
    /// Cheap.
    pub cold: Arc<dyn SegmentStore>,
}

impl Tiers {
    /// The tier of a class.
    pub fn of(&self, class: StorageClass) -> &Arc<dyn SegmentStore> {
        match class {
            StorageClass::Hot => &self.hot,
            StorageClass::Cold => &self.cold,
        }
    }
}
