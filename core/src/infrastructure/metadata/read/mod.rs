//! Reads.

#[cfg(feature = "testing")]
pub(crate) mod inspect;
pub(crate) mod lookups;
pub(crate) mod mirrored_versions;
pub(crate) mod mirrors;
pub(crate) mod objects;
pub(crate) mod rows;
pub(crate) mod sample;
pub(crate) mod space_pages;
pub(crate) mod spaces;
pub(crate) mod upstreams;
pub(crate) mod usage;
pub(crate) mod validate;
