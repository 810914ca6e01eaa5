//! The machine's clock.

use std::time::SystemTime;

use crate::application::ports::clock::Clock;
use crate::domain::timestamp::Timestamp;

/// The time of day as the operating system tells it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}
