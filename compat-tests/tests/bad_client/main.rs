//! One bad client, against the real binary: other tenants do not notice. Each scenario prints its figure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod completion;
mod early_bodies;
mod neighbour;
mod refused_uploads;
mod slow_uploads;
mod stalled_streams;
