//! The store itself: domain, use cases, and the infrastructure behind its ports.
//!
//! Arrows point inward: `infrastructure` knows `application`, `application` knows `access` and `domain`, `access` knows
//! `domain`, `domain` imports neither. The fronts see `application` and `domain` only.

pub mod access;
pub mod application;
pub mod domain;
pub mod infrastructure;
#[cfg(feature = "testing")]
pub mod testing;
mod threads;

/// How many cores this process may use; one, if the system does not say.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
