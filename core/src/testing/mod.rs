//! For tests only (feature `testing`): a contract suite per port, and wrappers that fail on demand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

pub mod bucket;
pub mod disk;
pub mod faulty;
pub mod local;
pub mod metadata;
pub mod ports;
pub mod postgres;
pub mod secrets;
pub mod segments;
pub mod upstream;
