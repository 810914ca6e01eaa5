//! What is fuzzed. A target takes any bytes and must neither panic nor break a promise that it checks itself.
//!
//! `fuzz/` runs them under libFuzzer (nightly, `cargo fuzz run segment`); `tests/corpus.rs` runs the corpus and
//! some thousand mutations of it on stable, in CI. The corpus is `fuzz/corpus/<target>`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod requests;
mod segment;
mod text;
mod tokens;

pub use requests::{native, s3};
pub use segment::segment;
pub use text::text;
pub use tokens::{let_in, tokens};

/// A target: any bytes, no panic.
pub type Target = fn(&[u8]);

/// Every target, by the name that it has under `fuzz/`.
pub const TARGETS: [(&str, Target); 5] =
    [("segment", segment), ("text", text), ("tokens", tokens), ("s3", s3), ("native", native)];
