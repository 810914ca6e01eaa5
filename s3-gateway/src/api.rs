//! What every operation works with.

use juststorage_core::application::store::Store;

use crate::location::Locations;

/// What every operation works with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) region: String,
    pub(crate) locations: Locations,
}
