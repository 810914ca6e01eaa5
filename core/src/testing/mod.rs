//! Contract suites of the ports, and what tests of the store need. Feature `testing`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod metadata;
pub mod postgres;
