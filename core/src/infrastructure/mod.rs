//! Implementations of the ports: databases, files, clocks. Only the composition root and tests name it.

pub mod clock;
pub mod durable;
pub mod metadata;
pub mod notify;
pub mod outbound;
pub mod segments;
pub(crate) mod sync;
pub mod trust;
pub mod upstream;
pub mod volume;
pub mod watch;
