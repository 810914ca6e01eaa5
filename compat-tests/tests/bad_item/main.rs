//! One bad item, against the real binary: an unreadable segment, or one item of a worker that always fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stuck;
mod unreadable;
