//! What is fuzzed. A target takes any bytes and must neither panic nor break a promise that it checks itself.
//!
//! `fuzz/` runs them under libFuzzer (`make fuzz`); `tests/corpus.rs` runs the corpus and mutations of it, a minute of
//! them for each target in CI. The corpus is `fuzz/corpus/<target>`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::path::PathBuf;

mod requests;
mod segment;
mod text;
mod tokens;

pub use requests::{native, s3};
pub use segment::segment;
pub use text::text;
pub use tokens::{let_in, tokens};

/// Where a target keeps files: in memory if there is such a place. What survives a power cut is not its question, and
/// every sync that a disk has to answer is a hundred inputs that are not tried.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// A target: any bytes, no panic.
pub type Target = fn(&[u8]);

/// Every target, by the name that it has under `fuzz/`.
pub const TARGETS: [(&str, Target); 5] =
    [("segment", segment), ("text", text), ("tokens", tokens), ("s3", s3), ("native", native)];
