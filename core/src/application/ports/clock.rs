//! Time, as a port, so that tests can move it.

use crate::domain::timestamp::Timestamp;

/// Tells the time. Core asks nothing else what time it is.
pub trait Clock: Send + Sync + 'static {
    /// Now. May go backwards, as machines' clocks do.
    fn now(&self) -> Timestamp;
}
