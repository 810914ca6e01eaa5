//! PostgreSQL as it may be away, or another server by now: a pool for the primary, and whether asking it is worth the
//! wait.
//!
//! A connection that cannot be had is waited for, so that a restart of the server under load costs time and no
//! errors. After one such wait in vain, every other request would wait as long, for the whole
//! outage: so one seeker then asks every host repeatedly, and requests are refused at once until one of them is the primary.
//! It begins with the first sign that the server is gone, and those who wait go over to the new primary with it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures::future::{FutureExt as _, TryFutureExt as _, ready};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPool, Postgres};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::fault::Fault;
use super::patience::{ACQUIRE_TIMEOUT, PATIENCE, patiently};
use super::postgres::{self, Begin, Connections, Reach, Terms, primary, reach};
use crate::application::metrics;
use crate::application::ports::metadata::MetadataError;

/// Between two questions of the seeker: how much later than the server itself it may be noticed to be back.
const SEEK_REST: Duration = Duration::from_millis(200);

/// Every request is let through.
const OPEN: u8 = 0;
/// So it is, and the seeker is about to find out whether it should be.
const SUSPECTED: u8 = 1;
/// Only the seeker is let through.
const SHUT: u8 = 2;

/// The connections to the primary.
#[derive(Clone)]
pub(crate) struct Server {
    /// Whether connections share server sessions, so that a statement needs a transaction for its settings.
    pub(crate) shared: bool,
    /// Whether statements are prepared by name.
    pub(crate) prepared: bool,
    cluster: Arc<Cluster>,
}

/// The servers, and the one that is used.
struct Cluster {
    hosts: Vec<PgConnectOptions>,
    terms: Terms,
    connections: Connections,
    current: RwLock<Arc<Current>>,
    gate: AtomicU8,
    /// A wait for a connection was in vain: requests are refused until there is a primary.
    in_vain: AtomicBool,
    /// The server said that it takes no writes: no connection to it is used again.
    demoted: AtomicBool,
    /// The newest timeline that was seen.
    timeline: AtomicU32,
    /// The store that the database holds, once it is known.
    store: OnceLock<Uuid>,
}

/// A host with its pool.
struct Current {
    at: usize,
    pool: PgPool,
    /// Cancelled once another one is used.
    left: CancellationToken,
}

impl Server {
    /// Over `hosts`, of which the one at `at` is the primary, as its first connection found.
    pub(crate) fn new(
        hosts: Vec<PgConnectOptions>,
        at: usize,
        terms: Terms,
        connections: Connections,
    ) -> Self {
        let shared = terms.reach == Reach::Shared;
        let cluster = Arc::new_cyclic(|cluster: &Weak<Cluster>| {
            let pool = pool(&hosts[at], cluster.clone(), connections.most);
            Cluster {
                current: RwLock::new(Arc::new(Current { at, pool, left: CancellationToken::new() })),
                gate: AtomicU8::new(OPEN),
                in_vain: AtomicBool::new(false),
                demoted: AtomicBool::new(false),
                timeline: AtomicU32::new(terms.timeline),
                store: OnceLock::new(),
                hosts,
                terms,
                connections,
            }
        });
        Self { shared, prepared: connections.prepared, cluster }
    }

    /// The store that the database holds: a server that holds another one is not gone over to.
    pub(crate) fn holds(&self, store: Uuid) {
        let _ = self.cluster.store.set(store);
    }

    /// A transaction.
    pub(crate) fn begin(
        &self,
        begin: Begin,
    ) -> impl Future<Output = Result<sqlx::Transaction<'static, Postgres>, Fault>> + Send + '_ {
        let begun = async move {
            loop {
                let current = self.cluster.current();
                let begun = Box::pin(current.pool.begin_with(begin.text(self.cluster.terms.reach)));
                // Whoever waits for a connection goes over at once: the pool that was left goes on connecting.
                match current.left.run_until_cancelled(begun).await {
                    None => {}
                    Some(Err(error)) if self.cluster.has_left(&current, &error) => {}
                    Some(begun) => return begun,
                }
            }
        };
        self.ask(PATIENCE, begun)
    }

    /// A connection to the primary. For what is in no hurry, and finds out by itself; others [`ask`](Self::ask).
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        loop {
            let current = self.cluster.current();
            match current.left.run_until_cancelled(Box::pin(current.pool.acquire())).await {
                None => {}
                Some(Err(error)) if self.cluster.has_left(&current, &error) => {}
                Some(acquired) => return acquired,
            }
        }
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
                self.cluster.in_vain.store(true, Ordering::Release);
            }
            answer
        };
        ready(self.admit())
            .and_then(move |()| patiently(patience, answer.map(heard)))
            .inspect_err(|fault| self.heard(fault))
    }

    fn admit(&self) -> Result<(), Fault> {
        if self.cluster.gate.load(Ordering::Acquire) == SHUT {
            return Err(MetadataError::Unavailable("the database is away".to_owned()).into());
        }
        Ok(())
    }

    /// Looks for the primary if `fault` is a sign that it is gone.
    pub(crate) fn heard(&self, fault: &Fault) {
        if fault.is_absence() {
            self.cluster.suspect(matches!(fault, Fault::Demoted(_)));
        }
    }

    /// Finishes what is under way and closes every connection.
    pub(crate) async fn close(&self) {
        self.cluster.current().pool.close().await;
    }
}

impl Cluster {
    fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether `error` came of a pool that was left meanwhile, before anything was asked: the new one is tried.
    fn has_left(&self, tried: &Arc<Current>, error: &sqlx::Error) -> bool {
        let of_connection =
            matches!(error, sqlx::Error::PoolClosed | sqlx::Error::PoolTimedOut | sqlx::Error::Io(_));
        of_connection && !Arc::ptr_eq(&self.current(), tried)
    }

    fn suspect(self: &Arc<Self>, demoted: bool) {
        if demoted {
            self.demoted.store(true, Ordering::Release);
        }
        let first = self.gate.compare_exchange(OPEN, SUSPECTED, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            tokio::spawn(seek(Arc::downgrade(self)));
        }
    }

    /// Uses the host at `at` from now on. Connections to another one end when they are given back.
    fn go_over(self: &Arc<Self>, at: usize) {
        let demoted = self.demoted.swap(false, Ordering::AcqRel);
        let before = self.current();
        if before.at == at && !demoted {
            return;
        }
        let pool = pool(&self.hosts[at], Arc::downgrade(self), self.connections.most);
        let current = Arc::new(Current { at, pool, left: CancellationToken::new() });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        before.left.cancel();
        if before.at != at {
            let (from, to) = (reach::address(&self.hosts[before.at]), reach::address(&self.hosts[at]));
            tracing::warn!(from, to, "the database failed over");
            metrics::database_failover();
        }
        tokio::spawn(async move { before.pool.close().await });
    }

    /// Whether a new connection may be used.
    async fn hold(self: &Arc<Self>, connection: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
        let least = self.timeline.load(Ordering::Acquire);
        match postgres::hold(connection, &self.terms, least).await {
            Ok(timeline) => {
                self.timeline.fetch_max(timeline, Ordering::AcqRel);
                Ok(())
            }
            Err(fault) => {
                if let Fault::Demoted(_) = fault {
                    self.suspect(true);
                }
                Err(sqlx::Error::Configuration(MetadataError::from(fault).to_string().into()))
            }
        }
    }
}

/// A pool of connections to one host, each of which is held to what the first one promised.
fn pool(host: &PgConnectOptions, cluster: Weak<Cluster>, most: u32) -> PgPool {
    PoolOptions::<Postgres>::new()
        .max_connections(most)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            let cluster = cluster.upgrade();
            Box::pin(async move {
                let Some(cluster) = cluster else { return Err(sqlx::Error::PoolClosed) };
                cluster.hold(connection).await
            })
        })
        .connect_lazy_with(host.clone())
}

/// Asks every host until one is the primary, or until the last user of the pool is gone.
async fn seek(cluster: Weak<Cluster>) {
    let begun = Instant::now();
    loop {
        let Some(known) = cluster.upgrade() else { return };
        let verdicts = primary::survey(&known.hosts, known.store.get().copied()).await;
        let least = known.timeline.load(Ordering::Acquire);
        let found = primary::choose(&verdicts, Some(known.current().at), least);
        if let Some(at) = found {
            known.go_over(at);
            known.in_vain.store(false, Ordering::Release);
            if known.gate.swap(OPEN, Ordering::AcqRel) == SHUT {
                metrics::database_away(false);
                tracing::info!(host = reach::address(&known.hosts[at]), "the database is back");
            }
            return;
        }
        // Until then whoever waits for a connection may still get one.
        let given_up = known.in_vain.load(Ordering::Acquire) || begun.elapsed() >= ACQUIRE_TIMEOUT;
        if given_up && known.gate.swap(SHUT, Ordering::AcqRel) == SUSPECTED {
            metrics::database_away(true);
            let why = primary::explain(&known.hosts, &verdicts, least);
            tracing::error!(why, "the database is away: requests are refused until it answers again");
        }
        drop(known);
        tokio::time::sleep(SEEK_REST).await;
    }
}
