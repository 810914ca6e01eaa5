//! The use cases of the store, and the ports they need.

pub mod error;
pub mod ports;
