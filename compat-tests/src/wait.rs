//! Waiting for something to become true, with an end.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(10);

/// Polls `condition` until it yields a value; panics, naming `what`, when `limit` has passed.
pub async fn until<T>(what: &str, limit: Duration, condition: impl AsyncFnMut() -> Option<T>) -> T {
    within(limit, condition).await.unwrap_or_else(|| panic!("not within {limit:?}: {what}"))
}

/// Polls `condition` until it yields a value; `None` when `limit` has passed.
pub async fn within<T>(limit: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition().await {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(PERIOD).await;
    }
}
