//! Limits of tenants, enforced.
//!
//! Rates, requests under way and transfers are counted by each server, of its share: what is allowed, divided by the servers
//! that live. Quotas are decided inside the commit's transaction, from the figures that commits maintain. Overrides
//! are read again twice a second for tenants that are active, so that a change is felt everywhere within one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};

use super::error::{Error, Result};
use super::fairness::Turns;
use super::live::LiveReplicas;
use super::ports::metadata::Spaces;
use super::under_way::UnderWay;
use super::{metrics, request};
use crate::domain::address::Tenant;
use crate::domain::limits::{Limits, Quota, QuotaPart};
use crate::domain::pace::Pace;
use crate::domain::principal::Principal;

/// How long a tenant's overrides count as read.
const OVERRIDES_REMEMBERED: Duration = Duration::from_millis(500);

/// Tenants remembered before those that are idle are forgotten.
const TENANTS_REMEMBERED: usize = 10_000;

/// How long a client that has too many requests under way should wait, as nothing says when one ends.
const CONCURRENCY_RETRY: Duration = Duration::from_secs(1);

/// Keeps tenants to their limits. All clones are the same.
#[derive(Clone)]
pub struct TenantLimits(Option<Arc<Inner>>);

struct Inner {
    metadata: Arc<dyn Spaces>,
    defaults: Limits,
    turns: Turns,
    /// The servers among which rates are divided.
    servers: LiveReplicas,
    /// What paces count from.
    epoch: Instant,
    tenants: Mutex<HashMap<Tenant, Arc<TenantState>>>,
}

/// The state of one tenant.
struct TenantState {
    known: Mutex<Known>,
    /// Held by the request that reads the overrides again; others use what is known.
    reading: tokio::sync::Mutex<()>,
    under_way: UnderWay,
    requests: Mutex<Pace>,
    uploads: Mutex<Pace>,
    downloads: Mutex<Pace>,
}

#[derive(Clone, Copy)]
struct Known {
    limits: Limits,
    /// `None`: never yet.
    read_at: Option<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which way bytes go.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    /// From a client.
    Up,
    /// To a client.
    Down,
}

impl TenantLimits {
    /// No limits for any tenant: for commands, and for tests of other things.
    pub fn none() -> Self {
        Self(None)
    }

    /// `defaults` for every tenant of which nothing else is said. `turns` is how many requests are worked on at
    /// once before tenants have to take turns.
    pub fn new(metadata: Arc<dyn Spaces>, defaults: Limits, turns: usize) -> Self {
        Self::among(LiveReplicas::default(), metadata, defaults, turns)
    }

    /// As [`Self::new`], on one of several servers, which let pass what is allowed together.
    pub fn among(servers: LiveReplicas, metadata: Arc<dyn Spaces>, defaults: Limits, turns: usize) -> Self {
        Self(Some(Arc::new(Inner {
            metadata,
            defaults,
            turns: Turns::new(turns),
            servers,
            epoch: Instant::now(),
            tenants: Mutex::default(),
        })))
    }

    /// Lets a request of `who` begin, when it is its tenant's turn; or says when to try again. What it takes up
    /// is held by the request under way, until its end.
    pub async fn admit(&self, who: &Principal) -> Result<()> {
        request::admitted(&who.name, &who.tenant);
        let Some(inner) = &self.0 else { return Ok(()) };
        let (state, limits) = inner.of(&who.tenant).await?;
        let limits = limits.share(inner.servers.get());
        if let Some(rate) = limits.requests_per_second {
            lock(&state.requests)
                .try_take(1, rate, inner.epoch.elapsed())
                .map_err(|wait| limited("request_rate", "requests per second", wait))?;
        }
        let (admission, others) = state.under_way.enter();
        if limits.concurrent_requests.is_some_and(|limit| others >= limit) {
            return Err(limited("concurrent_requests", "requests at the same time", CONCURRENCY_RETRY));
        }
        let turn = inner.turns.take(&who.tenant).await?;
        request::hold(admission);
        request::begin(turn);
        Ok(())
    }

    /// The bytes that transfers of `tenant` were charged so far, up and down, and how far ahead of their rate they are: for
    /// tests.
    #[cfg(feature = "testing")]
    pub fn charged(&self, tenant: &Tenant) -> [(u64, Duration); 2] {
        let Some(inner) = &self.0 else { return [(0, Duration::ZERO); 2] };
        let (state, now) = (inner.state(tenant), inner.epoch.elapsed());
        [&state.uploads, &state.downloads].map(|pace| {
            let pace = lock(pace);
            (pace.taken(), pace.ahead(now))
        })
    }

    /// The limits of tenants without limits of their own.
    pub(crate) fn defaults(&self) -> Limits {
        self.0.as_ref().map(|inner| inner.defaults).unwrap_or_default()
    }

    /// The quota of `tenant`, if it has any.
    pub(crate) async fn quota(&self, tenant: &Tenant) -> Result<Option<Quota>> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let (_, limits) = inner.of(tenant).await?;
        Ok(Some(limits.quota).filter(|quota| !quota.is_unlimited()))
    }

    /// `body`, no faster than its tenant may send or receive.
    pub(crate) async fn paced(
        &self,
        tenant: &Tenant,
        body: BoxStream<'static, Result<Bytes>>,
        direction: Direction,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let Some(inner) = &self.0 else { return Ok(body) };
        let (state, limits) = inner.of(tenant).await?;
        // A limit that is set while a body is under way is not for that one.
        if direction.limit(&limits).is_none() {
            return Ok(body);
        }
        let inner = inner.clone();
        Ok(body
            .then(move |frame| {
                let (state, inner) = (state.clone(), inner.clone());
                async move {
                    if let Ok(bytes) = &frame {
                        inner.slow_down(&state, direction, bytes.len() as u64).await;
                    }
                    frame
                }
            })
            .boxed())
    }
}

impl Direction {
    fn limit(self, limits: &Limits) -> Option<u64> {
        match self {
            Self::Up => limits.upload_bytes_per_second,
            Self::Down => limits.download_bytes_per_second,
        }
    }
}

impl Inner {
    /// The tenant's state and limits, at most [`OVERRIDES_REMEMBERED`] old.
    async fn of(&self, tenant: &Tenant) -> Result<(Arc<TenantState>, Limits)> {
        let state = self.state(tenant);
        let known = *lock(&state.known);
        if known.read_at.is_some_and(|at| at.elapsed() < OVERRIDES_REMEMBERED) {
            return Ok((state, known.limits));
        }
        let reading = match (state.reading.try_lock(), known.read_at) {
            (Ok(reading), _) => reading,
            // Another request is reading them.
            (Err(_), Some(_)) => return Ok((state.clone(), known.limits)),
            // Nothing is known yet: not even one request may pass unseen.
            (Err(_), None) => state.reading.lock().await,
        };
        let again = *lock(&state.known);
        if again.read_at.is_some_and(|at| at.elapsed() < OVERRIDES_REMEMBERED) {
            drop(reading);
            return Ok((state, again.limits));
        }
        let overrides = self.metadata.tenant_limits(tenant).await?;
        let limits = overrides.map_or(self.defaults, |overrides| overrides.over(&self.defaults));
        *lock(&state.known) = Known { limits, read_at: Some(Instant::now()) };
        drop(reading);
        Ok((state, limits))
    }

    fn state(&self, tenant: &Tenant) -> Arc<TenantState> {
        let mut tenants = lock(&self.tenants);
        if let Some(state) = tenants.get(tenant) {
            return state.clone();
        }
        if tenants.len() >= TENANTS_REMEMBERED {
            // Without authentication, clients can invent tenants. At most a second of pacing is forgotten.
            tenants.retain(|_, state| Arc::strong_count(state) > 1);
        }
        let state = Arc::new(TenantState {
            known: Mutex::new(Known { limits: self.defaults, read_at: None }),
            reading: tokio::sync::Mutex::default(),
            under_way: UnderWay::default(),
            requests: Mutex::default(),
            uploads: Mutex::default(),
            downloads: Mutex::default(),
        });
        tenants.insert(tenant.clone(), state.clone());
        state
    }

    async fn slow_down(&self, state: &TenantState, direction: Direction, bytes: u64) {
        // As it stands now: it may have been changed since the body began.
        let limits = lock(&state.known).limits.share(self.servers.get());
        let Some(rate) = direction.limit(&limits) else { return };
        let (pace, name) = match direction {
            Direction::Up => (&state.uploads, "upload"),
            Direction::Down => (&state.downloads, "download"),
        };
        let wait = lock(pace).take(bytes, rate, self.epoch.elapsed());
        if !wait.is_zero() {
            metrics::slowed_down(name, wait);
            tokio::time::sleep(wait).await;
        }
    }
}

fn limited(reason: &'static str, what: &'static str, retry_after: Duration) -> Error {
    metrics::limited(reason);
    request::denied(reason);
    Error::Limited { what, retry_after }
}

/// The answer to a write for which the quota does not suffice.
pub(crate) fn quota_exceeded(part: QuotaPart) -> Error {
    metrics::limited(match part {
        QuotaPart::Bytes => "quota_bytes",
        QuotaPart::Objects => "quota_objects",
    });
    request::denied("quota");
    Error::QuotaExceeded(part)
}
