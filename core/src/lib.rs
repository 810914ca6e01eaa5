//! The store itself: domain, use cases, and the infrastructure behind its ports.
//!
//! Arrows point inward: `infrastructure` knows `application`, `application` knows `domain`, `domain` knows
//! nobody. The fronts see `application` and `domain` only.

pub mod application;
pub mod domain;
pub mod infrastructure;
#[cfg(feature = "testing")]
pub mod testing;
