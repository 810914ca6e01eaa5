//! The state of every operation.

use juststorage_core::application::store::Store;

use crate::location::Locations;

/// The state of every operation.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) region: String,
    pub(crate) locations: Locations,
}
