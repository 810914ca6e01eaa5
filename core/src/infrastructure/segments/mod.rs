//! Segments: their format, and the tiers that hold them.

mod blocking;
mod buffers;
mod cache;
mod directory;
pub mod format;
mod handles;
#[cfg(all(test, feature = "loom"))]
mod interleavings;
mod local;
mod mark;
mod notes;
mod pack;
mod reader;
mod remote;
mod single;
mod walk;

pub use cache::ReadCache;
pub use local::LocalSegments;
pub use mark::text as mark_text;
pub use remote::{ObjectStoreUrl, RemoteSegments, Suspect, UpkeepPace};
