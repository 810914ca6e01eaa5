//! PostgreSQL as it may be away: a pool, and whether asking it is worth the wait.
//!
//! A connection that cannot be had is waited for, so that a restart of the server under load costs time and no
//! errors. After one such wait in vain, every other request would wait as long, for the whole
//! outage: so one probe then asks the server repeatedly, and requests are refused at once until it answers.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::{FutureExt as _, TryFutureExt as _, ready};
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPool, Postgres};

use super::fault::Fault;
use super::patience::{ACQUIRE_TIMEOUT, PATIENCE, patiently};
use super::postgres;
use crate::application::ports::metadata::MetadataError;

/// Between two questions of the probe: how much later than the server itself it may be noticed to be back.
const PROBE_REST: Duration = Duration::from_millis(200);

/// Every request is let through.
const OPEN: u8 = 0;
/// So it is, and the probe is about to find out whether it should be.
const SUSPECTED: u8 = 1;
/// Only the probe is let through.
const SHUT: u8 = 2;

/// The connections to one server.
#[derive(Clone)]
pub(crate) struct Server {
    /// For what is in no hurry, and finds out by itself.
    pub(crate) pool: PgPool,
    /// Whether connections share server sessions, so that a statement needs a transaction for its settings.
    pub(crate) shared: bool,
    /// Whether statements are prepared by name.
    pub(crate) prepared: bool,
    gate: Arc<AtomicU8>,
}

impl Server {
    pub(crate) fn new(pool: PgPool, shared: bool, prepared: bool) -> Self {
        Self { pool, shared, prepared, gate: Arc::default() }
    }

    /// A transaction that `begin` begins.
    pub(crate) fn begin(
        &self,
        begin: &'static str,
    ) -> impl Future<Output = Result<sqlx::Transaction<'static, Postgres>, Fault>> + Send {
        self.ask(PATIENCE, self.pool.begin_with(begin))
    }

    /// Waits for an answer that takes a connection of the pool's, unless the server is known to be away.
    ///
    /// Of combinators, since a future that others are made of should be as large as what it waits for and not twice.
    pub(crate) fn ask<'s, T: Send + 's>(
        &'s self,
        patience: Duration,
        answer: impl Future<Output = Result<T, sqlx::Error>> + Send + 's,
    ) -> impl Future<Output = Result<T, Fault>> + Send + 's {
        let heard = |answer: Result<T, sqlx::Error>| {
            // The wait for a connection was in vain: no server, or all connections in use for so long.
            if matches!(answer, Err(sqlx::Error::PoolTimedOut)) {
                self.suspect();
            }
            answer
        };
        ready(self.admit()).and_then(move |()| patiently(patience, answer.map(heard)))
    }

    fn admit(&self) -> Result<(), Fault> {
        if self.gate.load(Ordering::Acquire) == SHUT {
            return Err(MetadataError::Unavailable("the database is away".to_owned()).into());
        }
        Ok(())
    }

    fn suspect(&self) {
        let first = self.gate.compare_exchange(OPEN, SUSPECTED, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            tokio::spawn(probe(Arc::downgrade(&self.gate), self.pool.connect_options()));
        }
    }
}

/// Asks until there is an answer, or until the last user of the pool is gone.
async fn probe(gate: Weak<AtomicU8>, options: Arc<PgConnectOptions>) {
    loop {
        let away = why_away(&options).await;
        let answers = away.is_none();
        let Some(gate) = gate.upgrade() else { return };
        match (answers, gate.swap(if answers { OPEN } else { SHUT }, Ordering::AcqRel)) {
            (true, SHUT) => tracing::info!("the database is back"),
            (false, SUSPECTED) => {
                let why = away.unwrap_or_default();
                tracing::error!(why, "the database is away: requests are refused until it answers again");
            }
            _ => {}
        }
        drop(gate);
        if answers {
            return;
        }
        tokio::time::sleep(PROBE_REST).await;
    }
}

/// Why the server cannot be connected to, within the time in which the pool would have to; `None` if it can.
async fn why_away(options: &PgConnectOptions) -> Option<String> {
    let error = match tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => {
            // Whether it goes with a good-bye or without does not matter.
            let _ = connection.close().await;
            return None;
        }
        Ok(Err(error)) => error,
        Err(_) => return Some("no answer in time".to_owned()),
    };
    // It is there and refuses this connection (too many of them, for one), unless it says that it starts or ends.
    if let sqlx::Error::Database(refused) = &error
        && refused.code().is_none_or(|code| !code.starts_with("57P"))
    {
        return None;
    }
    Some(MetadataError::from(postgres::unreached(options, error)).to_string())
}
