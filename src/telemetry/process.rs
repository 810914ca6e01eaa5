//! Metrics of the process itself, read from `/proc` for each scrape.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{counter, gauge};

use crate::version;

/// Which program this is, as labels of a gauge that is always 1; `commit` is empty if the build did not know it.
pub(super) fn exist() {
    let commit = version::commit().unwrap_or_default();
    gauge!("activestorage_build_info", "version" => version::VERSION, "commit" => commit).set(1.0);
    measure();
}

/// Brings the figures up to date. Where the system does not tell one of them, it stays as it was.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; memory and counts are far below 2^53
pub(super) fn measure() {
    if let Some(bytes) = resident_bytes() {
        gauge!("activestorage_process_resident_bytes").set(bytes as f64);
    }
    if let Some(times) = times() {
        let millis = u64::try_from(times.used.as_millis()).unwrap_or(u64::MAX);
        counter!("activestorage_process_cpu_milliseconds_total").absolute(millis);
        gauge!("activestorage_process_started_timestamp_seconds").set(times.started.as_secs_f64().round());
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the directory's own.
        gauge!("activestorage_process_open_files").set(open.count().saturating_sub(1) as f64);
    }
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        gauge!("activestorage_process_open_files_max").set(limit as f64);
    }
}

fn resident_bytes() -> Option<u64> {
    let pages = field(&std::fs::read_to_string("/proc/self/statm").ok()?, 1)?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

struct Times {
    /// Of all threads, in the program and in the system for it.
    used: Duration,
    /// Since the epoch.
    started: Duration,
}

fn times() -> Option<Times> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may have blanks.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = rustix::param::clock_ticks_per_second();
    let since_boot = Duration::from_millis(field(fields, 19)? * 1000 / ticks);
    let uptime: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
    let age = Duration::try_from_secs_f64(uptime).ok()?.saturating_sub(since_boot);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Times {
        used: Duration::from_millis((field(fields, 11)? + field(fields, 12)?) * 1000 / ticks),
        started: now.saturating_sub(age),
    })
}

/// The number at a position of a line.
fn field(line: &str, index: usize) -> Option<u64> {
    line.split_ascii_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn figures_are_those_of_this_process() {
        let held = vec![1_u8; 64 << 20];
        let before = resident_bytes().unwrap();
        assert!(before > 64 << 20, "{before}");
        drop(held);
        let first = times().unwrap();
        let mut spun = 0_u64;
        while times().unwrap().used == first.used {
            spun = std::hint::black_box(spun + 1);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        // A test process is minutes old at most; an error of units would be years.
        assert!(
            now.checked_sub(first.started).is_some_and(|age| age < Duration::from_secs(86_400)),
            "{:?}",
            first.started
        );
    }
}
