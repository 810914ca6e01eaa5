//! Follows a JWK set that an identity provider publishes: it is fetched at a regular pace, and out of turn when a token
//! names a key that is not in it, so that tokens of a key that was just made are let in.
//!
//! One task fetches. A request that wants newer keys asks that task and waits for it no longer than a fetch may take.
//! Requests cannot make it fetch oftener than the pace allows, since every client can send a token that names a made-up key.

use std::convert::Infallible;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::jwks::JwtKeys;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::key_set::KeySetSource;

/// How often a published set is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySetPace {
    /// Time between two fetches.
    pub every: Duration,
    /// Least time between two fetches: after one that failed, and when tokens name keys that are not known.
    pub least: Duration,
    /// How long one fetch may take.
    pub timeout: Duration,
}

/// How fetching stands.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// Fetches that ended, well or not.
    ended: u64,
    /// Those that brought a usable set.
    succeeded: u64,
    /// When the last one ended; `None` while one is under way.
    idle_since: Option<Instant>,
}

/// The state that requests share with the task that fetches.
pub(super) struct Published {
    pace: KeySetPace,
    progress: watch::Sender<Progress>,
    wanted: Notify,
}

impl Published {
    pub(super) fn new(pace: KeySetPace) -> Self {
        Self { pace, progress: watch::Sender::default(), wanted: Notify::new() }
    }

    /// Whether no set has been fetched yet.
    pub(super) fn is_missing(&self) -> bool {
        self.progress.borrow().succeeded == 0
    }

    /// Waits until the first fetch has ended, well or not.
    pub(super) async fn first(&self) {
        // It cannot be closed: this holds the sender.
        let _ = self.progress.subscribe().wait_for(|progress| progress.ended > 0).await;
    }

    /// Has the set fetched again if the pace allows, or waits for the fetch under way. `false`: nothing is newer.
    pub(super) async fn renewed(&self) -> bool {
        let mut progress = self.progress.subscribe();
        let before = *progress.borrow_and_update();
        match before.idle_since {
            Some(since) if since.elapsed() < self.pace.least => return false,
            Some(_) => self.wanted.notify_one(),
            None => {}
        }
        let ended = progress.wait_for(|now| now.ended > before.ended);
        // The task might be gone, at the end of the process.
        timeout(self.pace.timeout, ended).await.is_ok()
    }

    /// Fetches for ever, and hands every usable set to `replace`.
    pub(super) async fn follow(
        &self,
        source: &dyn KeySetSource,
        replace: &(dyn Fn(JwtKeys) + Sync),
        clock: &dyn Clock,
    ) -> Infallible {
        let mut known: Option<String> = None;
        let mut complaint = None;
        loop {
            self.progress.send_modify(|progress| progress.idle_since = None);
            // This fetch serves every request made by now.
            let _ = self.wanted.notified().now_or_never();
            let outcome = self.fetch(source, known.as_deref()).await;
            let succeeded = outcome.is_ok();
            metrics::key_set_fetched(succeeded, clock.now());
            match outcome {
                Ok(None) => {}
                Ok(Some((json, keys))) => {
                    tracing::info!(keys = keys.len(), "JWK set fetched");
                    replace(keys);
                    known = Some(json);
                }
                // Said once, and not with every attempt.
                Err(error) if complaint.as_ref() == Some(&error) => {}
                Err(error) => {
                    tracing::error!(error, "JWK set not fetched; the last good keys stay in force");
                    complaint = Some(error);
                }
            }
            if succeeded && complaint.take().is_some() {
                tracing::info!("JWK set is fetched again");
            }
            self.progress.send_modify(|progress| {
                progress.ended += 1;
                progress.succeeded += u64::from(succeeded);
                progress.idle_since = Some(Instant::now());
            });
            sleep(self.pace.least).await;
            if succeeded {
                let turn = sleep(self.pace.every.saturating_sub(self.pace.least));
                tokio::select! {
                    () = turn => {}
                    () = self.wanted.notified() => {}
                }
            }
        }
    }

    /// A set that differs from `known`, as text and as keys.
    async fn fetch(
        &self,
        source: &dyn KeySetSource,
        known: Option<&str>,
    ) -> Result<Option<(String, JwtKeys)>, String> {
        let late = |_| format!("no answer within {:?}", self.pace.timeout);
        let json = timeout(self.pace.timeout, source.fetch()).await.map_err(late)??;
        if known == Some(json.as_str()) {
            return Ok(None);
        }
        let keys = JwtKeys::of_jwks(&json).map_err(|invalid| invalid.to_string())?;
        Ok(Some((json, keys)))
    }
}

#[cfg(test)]
mod tests;
