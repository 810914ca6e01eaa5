//! Which program this is: its version, and the commit that it was built from.

use time::OffsetDateTime;

/// The version, as `Cargo.toml` has it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit's hash in full; `None` if the build did not know it.
pub fn commit() -> Option<&'static str> {
    Some(env!("BUILD_COMMIT")).filter(|commit| !commit.is_empty())
}

/// The day of the commit in UTC, as `2026-11-29`; `None` if the build did not know it.
pub fn date() -> Option<String> {
    let seconds = env!("BUILD_DATE").parse().ok()?;
    Some(OffsetDateTime::from_unix_timestamp(seconds).ok()?.date().to_string())
}
