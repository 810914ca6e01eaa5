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

/// The statuses by which [`failed`] counts, each from the start.
pub(crate) const FAILURES: [&str; 4] = ["500", "503", "507", "other"];

/// A request was answered with a status of 500 or more. Whether it counts as failed: 501 is about the request, not the
/// store.
pub(super) fn failed(status: u16) -> bool {
    let label = match status {
        501 => return false,
        500 => "500",
        503 => "503",
        507 => "507",
        _ => "other",
    };
    counter!("activestorage_failed_requests_total", "status" => label).increment(1);
    true
}

/// Bytes of a request's body came.
pub(super) fn received(bytes: usize) {
    counter!("activestorage_received_bytes_total").increment(bytes as u64);
}

/// Bytes of an answer's body were given to the connection.
pub(super) fn sent(bytes: usize) {
    counter!("activestorage_sent_bytes_total").increment(bytes as u64);
}

/// When the certificate of the listeners ends, since the epoch; 0 without one, and where it cannot be read.
pub(crate) fn certificate_expires(at: std::time::Duration) {
    gauge!("activestorage_tls_certificate_expires_timestamp_seconds").set(at.as_secs_f64());
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
