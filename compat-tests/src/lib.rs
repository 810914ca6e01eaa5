//! The harness of the tests that drive the real binary through real clients.
//!
//! A test asks for a [`Server`]: the `juststorage` binary in a process of its own, over a data directory of its
//! own and one of the two databases. Everything that a test starts ends with the value that stands for it,
//! after a panic too. The tests themselves are in `tests/`, one file for each client or concern.

// A harness that cannot do its work has nothing better to do than to say so and stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on stops where it stands"
)]

pub mod binary;
pub mod both;
pub mod clock;
pub mod content;
pub mod database;
pub mod disk;
pub mod line;
pub mod linear;
pub mod native;
pub mod other_store;
pub mod pooler;
pub mod python;
pub mod raw;
pub mod s3;
pub mod server;
pub mod service;
pub mod skipped;
mod suite;
pub mod tls;
pub mod tools;
pub mod wait;

pub use content::Content;
pub use database::Database;
pub use juststorage_core::testing::ports;
pub use juststorage_core::testing::postgres::Cluster;
pub use other_store::OtherStore;
pub use server::{Options, Server};
