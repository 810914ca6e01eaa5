//! Locks and atomics of what threads do with one another's segments, in one place, so that loom can put its own
//! there (feature `loom`, for tests alone) and lead the code through every order in which threads can come.
//!
//! What is taken from here is used only inside a function or two; locks of the rest of the crate are tokio's, or
//! guard a map and nothing else.

#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(feature = "loom")]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
