//! Whether a secret shows in what a test's own process logs, at the level of detail at which it logs most.
//!
//! A suite's server begins to [`Watch`]; the suite hands every secret that it makes to the watch, and
//! when the server goes the whole log since then is searched for each.

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
            // All that the product can be made to say: see its `telemetry`.
            tracing_subscriber::fmt()
                .with_env_filter(format!("{EVERYTHING},s3s::ops::signature=off"))
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
        no_kind_shows(&text, "the log");
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

/// What a process is told by `RUST_LOG` to say all that it can be made to say.
pub const EVERYTHING: &str = "trace,s3s=trace";

/// What stands before a secret of each kind that a request carries, and how many of its characters make it one:
/// fewer are what a test makes up.
const KINDS: [(&str, usize); 4] = [("ignature=", 27), ("js_", 40), ("Bearer ", 20), ("eyJ", 40)];

/// Panics if `text` shows a signature or a token of any kind, also of a client: clients make many that no test sees.
pub fn no_kind_shows(text: &str, place: &str) {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-.%".contains(byte);
    for (lead, length) in KINDS {
        for (at, _) in text.match_indices(lead) {
            let behind = &text.as_bytes()[at + lead.len()..];
            if behind.len() >= length && behind[..length].iter().all(part) {
                none_shows(text, place, &text[at..at + lead.len() + length]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it would show, if it did.
    #[test]
    fn secrets_of_every_kind_are_found() {
        let hex = "0f".repeat(32);
        let shows = |text: String| std::panic::catch_unwind(|| no_kind_shows(&text, "this")).is_err();
        for lead in
            ["X-Amz-Signature=", "&Signature=", ", Signature=", "js-signature=", "js_", "Bearer ", "eyJ"]
        {
            assert!(shows(format!("é uri=/k?{lead}{hex} status=200")), "{lead}");
            assert!(shows(format!("{lead}{hex}")), "{lead}");
            assert!(!shows(format!("uri=/k?{lead}… status=200, {hex}")), "{lead}");
            assert!(!shows(format!("uri=/k?{lead}[redacted]")) && !shows(lead.to_owned()), "{lead}");
        }
    }

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
