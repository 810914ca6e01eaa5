//! Every metric of connections and of bodies that were cut off, in one place.

use metrics::{counter, gauge};

/// A request's body was cut off: `stalled`, or `slow`.
pub(super) fn body_cut(reason: &'static str) {
    counter!("activestorage_bodies_cut_total", "reason" => reason).increment(1);
}

/// An answer was cut off because its client read nothing.
pub(super) fn answer_cut() {
    counter!("activestorage_answers_cut_total").increment(1);
}

/// A request was refused because a tier or the database has no room.
pub(super) fn refused_full() {
    counter!("activestorage_refused_full_total").increment(1);
}

/// The number of open connections.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; connections are few
pub(super) fn connections(open: usize) {
    gauge!("activestorage_connections").set(open as f64);
}

/// A connection was refused: the bound is reached, and none is idle.
pub(super) fn connection_refused() {
    counter!("activestorage_connections_refused_total").increment(1);
}

/// An idle connection was closed to make room for another.
pub(super) fn connection_displaced() {
    counter!("activestorage_connections_displaced_total").increment(1);
}
