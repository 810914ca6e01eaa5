//! Metrics of the read cache. Its unit is a page, 64 KiB of a segment.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// Makes every series exist, at 0.
pub(super) fn exist() {
    for from in ["memory", "disk"] {
        counter!("activestorage_cache_hits_total", "from" => from).absolute(0);
        counter!("activestorage_cache_evictions_total", "from" => from).absolute(0);
        bytes(from, 0);
    }
    for from in ["memory", "disk", "store"] {
        counter!("activestorage_cache_read_bytes_total", "from" => from).absolute(0);
    }
    for operation in ["open", "read", "write"] {
        counter!("activestorage_cache_disk_failures_total", "operation" => operation).absolute(0);
    }
    for name in [
        "activestorage_cache_misses_total",
        "activestorage_cache_damaged_total",
        "activestorage_cache_fetches_total",
        "activestorage_cache_fetch_failures_total",
        "activestorage_cache_skipped_total",
    ] {
        counter!(name).absolute(0);
    }
    gauge!("activestorage_cache_fetches").set(0.0);
    gauge!("activestorage_cache_fetches_waiting").set(0.0);
    gauge!("activestorage_cache_bytes_max").set(0.0);
    let _ = histogram!("activestorage_cache_fetch_seconds");
    disk_usable(true);
}

/// A page was there, in memory or on the disk.
pub(crate) fn hit(from: &'static str, bytes: usize) {
    counter!("activestorage_cache_hits_total", "from" => from).increment(1);
    counter!("activestorage_cache_read_bytes_total", "from" => from).increment(bytes as u64);
}

/// A page had to come from the object store.
pub(crate) fn missed() {
    counter!("activestorage_cache_misses_total").increment(1);
}

/// Bytes came from the object store.
pub(crate) fn fetched(bytes: usize) {
    counter!("activestorage_cache_read_bytes_total", "from" => "store").increment(bytes as u64);
}

/// A page did not match its checksum, and was dropped.
pub(crate) fn damaged() {
    counter!("activestorage_cache_damaged_total").increment(1);
}

/// Pages gave way to others.
pub(crate) fn evicted(from: &'static str, pages: usize) {
    counter!("activestorage_cache_evictions_total", "from" => from).increment(pages as u64);
}

/// A page was not written to the disk, which was too slow.
pub(crate) fn skipped() {
    counter!("activestorage_cache_skipped_total").increment(1);
}

/// The disk could not do something.
pub(crate) fn disk_failed(operation: &'static str) {
    counter!("activestorage_cache_disk_failures_total", "operation" => operation).increment(1);
    disk_usable(false);
}

/// Whether the disk takes pages.
pub(crate) fn disk_usable(usable: bool) {
    gauge!("activestorage_cache_disk_usable").set(if usable { 1.0 } else { 0.0 });
}

/// What the cache holds.
#[allow(clippy::cast_precision_loss)] // a gauge is a float
pub(crate) fn bytes(of: &'static str, bytes: u64) {
    gauge!("activestorage_cache_bytes", "in" => of).set(bytes as f64);
}

/// What it may take of the disk; 0: there is no cache.
#[allow(clippy::cast_precision_loss)] // a gauge is a float
pub(crate) fn bytes_max(bytes: u64) {
    gauge!("activestorage_cache_bytes_max").set(bytes as f64);
}

/// A range request goes out.
pub(crate) fn requested() {
    counter!("activestorage_cache_fetches_total").increment(1);
}

/// How long the first byte of a fetch took.
pub(crate) fn first_byte(took: Duration) {
    histogram!("activestorage_cache_fetch_seconds").record(took.as_secs_f64());
}

/// A fetch failed.
pub(crate) fn fetch_failed() {
    counter!("activestorage_cache_fetch_failures_total").increment(1);
}

/// One that waits or works, as long as it is there.
pub(crate) struct Counted(&'static str);

impl Counted {
    /// A fetch that waits for its turn.
    pub(crate) fn waiting() -> Self {
        Self::of("activestorage_cache_fetches_waiting")
    }

    /// A fetch under way.
    pub(crate) fn fetching() -> Self {
        Self::of("activestorage_cache_fetches")
    }

    fn of(name: &'static str) -> Self {
        gauge!(name).increment(1.0);
        Self(name)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!(self.0).decrement(1.0);
    }
}
