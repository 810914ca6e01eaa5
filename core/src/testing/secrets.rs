//! Whether a secret shows in what a test's own process logs, at the level of detail at which it logs most.
//!
//! A suite's server begins to [`Watch`]; whatever the suite makes that nobody may see it hands to the watch, and
//! when the server goes the whole log since then is searched for each. `JUSTSTORAGE_TEST_LOG=off` logs nothing,
//! for measurements.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What the process has logged. Kept to its end: tests run side by side, and each has its own beginning.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn log() -> MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Appender;

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        log().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Watches the log from its beginning to its end, when it panics if a secret shows there.
pub struct Watch {
    from: usize,
    secrets: Mutex<Vec<String>>,
}

impl Watch {
    /// Logs everything from now on, and remembers where it began.
    pub fn begin() -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            if std::env::var("JUSTSTORAGE_TEST_LOG").is_ok_and(|level| level == "off") {
                return;
            }
            // All that the product can be made to say: see its `telemetry`.
            tracing_subscriber::fmt()
                .with_env_filter("trace,s3s::ops::signature=off")
                .with_ansi(false)
                .with_writer(|| Appender)
                .init();
        });
        tracing::trace!("watched");
        Self { from: log().len(), secrets: Mutex::default() }
    }

    /// This must not show.
    pub fn made(&self, secret: &str) {
        assert!(secret.len() >= 16, "too short to tell from what is no secret");
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = log();
        let text = String::from_utf8_lossy(&log[self.from.min(log.len())..]).into_owned();
        drop(log);
        let secrets = std::mem::take(&mut *self.secrets.lock().unwrap_or_else(PoisonError::into_inner));
        for secret in secrets {
            none_shows(&text, "the log", &secret);
        }
    }
}

/// Panics if `secret` shows in `text`, with what stands before it, but not with the secret.
pub fn none_shows(text: &str, place: &str, secret: &str) {
    if let Some(at) = text.find(secret) {
        let from = text[..at].char_indices().rev().nth(300).map_or(0, |(from, _)| from);
        panic!("a secret shows in {place}, behind: {}", &text[from..at]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The search finds what there is to find: otherwise it would prove nothing.
    #[test]
    fn a_logged_secret_is_found() {
        let watch = Watch::begin();
        watch.made("a-secret-of-this-test");
        tracing::trace!(target: "anything", value = "a-secret-of-this-test");
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(watch)));
        assert!(found.is_err());
        let watch = Watch::begin();
        watch.made("a-secret-of-this-test");
    }
}
