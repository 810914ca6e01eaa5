//! The facade that both fronts hold, and what all use cases share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::application::absence;
use crate::application::commit::Committer;
use crate::application::error::{Error, Result};
use crate::application::ingest::{Body, Ingest};
use crate::application::limits::{Direction, TenantLimits, quota_exceeded};
use crate::application::metrics::QuotasShown;
use crate::application::policies::Policied;
use crate::application::pools::{Pools, Room};
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataError, MetadataStore, ObjectAddress, VersionRef};
use crate::application::ports::segments::SegmentError;
use crate::application::repeats::UnderWay;
use crate::application::settings_cache::SettingsCache;
use crate::application::tiers::Tiers;
use crate::application::upstream::{Links, UpstreamSetup};
use crate::domain::address::{Key, SpaceAddress, Tenant};
use crate::domain::limits::Quota;
use crate::domain::principal::Principal;
use crate::domain::space::DedupScope;
use crate::domain::storage_class::StorageClass;
use crate::domain::versioning::{KeyVersions, Version, needs_null_version, overwrite};

/// The store: every use case of both fronts is a method of this.
///
/// Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) tiers: Tiers,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) committer: Committer,
    pub(crate) ingest: Ingest,
    pub(crate) pools: Pools,
    pub(crate) dedup: DedupScope,
    pub(crate) limits: TenantLimits,
    pub(crate) settings: SettingsCache,
    pub(crate) policied: Policied,
    pub(crate) quotas_shown: QuotasShown,
    /// Whether what ACLs grant to strangers counts.
    pub(crate) acls: bool,
    /// Requests under way that have an idempotency key.
    pub(crate) once: UnderWay,
    /// The upstreams of spaces that have one.
    pub(crate) links: Links,
    /// Whether this server was told to stop.
    draining: Arc<AtomicBool>,
}

impl Store {
    /// A store over its parts. `committer` and `ingest` must be over the same metadata and tiers.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        committer: Committer,
        ingest: Ingest,
        dedup: DedupScope,
    ) -> Self {
        let (limits, settings) = (TenantLimits::none(), SettingsCache::default());
        let (pools, policied) = (ingest.pools().clone(), Policied::default());
        Self {
            metadata,
            tiers,
            clock,
            committer,
            ingest,
            pools,
            dedup,
            limits,
            settings,
            policied,
            quotas_shown: QuotasShown::default(),
            acls: false,
            once: UnderWay::default(),
            links: Links::default(),
            draining: Arc::default(),
        }
    }

    /// This server was told to stop: [`readiness`](Self::readiness) says so from now on, requests go on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Memory for a body that a front gathers, out of the share of `tenant`, or of the tenant that the request counts
    /// against.
    pub fn room(&self, tenant: Option<Tenant>) -> Room {
        self.pools.room(tenant)
    }

    /// Keeps tenants to their limits.
    #[must_use]
    pub fn with_limits(self, limits: TenantLimits) -> Self {
        Self { limits, ..self }
    }

    /// Lets what owners grant to strangers by ACLs count, if `acls`; otherwise ACLs grant nothing.
    #[must_use]
    pub fn with_acls(self, acls: bool) -> Self {
        Self { acls, ..self }
    }

    /// Connects the upstreams of spaces by `setup`.
    #[must_use]
    pub fn with_upstreams(self, setup: UpstreamSetup) -> Self {
        Self { links: Links::new(Some(setup)), ..self }
    }

    /// Whether a request that names `store` as one that it came through was made by this store itself, about one of its
    /// spaces' upstreams.
    pub fn has_been_asked(&self, store: &str) -> bool {
        self.links.is_own(store)
    }

    /// Lets a request of `who` begin, once it has proved itself and before anything is done for it. See
    /// [`TenantLimits::admit`].
    pub async fn admit(&self, who: &Principal) -> Result<()> {
        self.limits.admit(who).await
    }

    /// What is left of the quota of a space's tenant must hold `size` more bytes under `key`. Saves a client
    /// its upload; decides nothing. Returns the quota for the commit, which decides.
    pub(crate) async fn check_quota(
        &self,
        address: &SpaceAddress,
        key: Option<&Key>,
        size: Option<u64>,
    ) -> Result<Option<Quota>> {
        let Some(quota) = self.limits.quota(&address.tenant).await? else { return Ok(None) };
        let held = self.metadata.holdings(&address.tenant).await?;
        if let Err(part) = quota.admit(held, size.unwrap_or(0), None) {
            // What it replaces may make room.
            let replaced = match key {
                Some(key) => self.freed_by_overwrite(address, key).await?,
                None => None,
            };
            if replaced.is_none() || quota.admit(held, size.unwrap_or(0), replaced).is_err() {
                return Err(quota_exceeded(part));
            }
        }
        Ok(Some(quota))
    }

    /// The bytes that a new version of a key would free as things are; `None` if every version stays.
    async fn freed_by_overwrite(&self, address: &SpaceAddress, key: &Key) -> Result<Option<u64>> {
        let target = ObjectAddress::Latest(address.clone(), key.clone());
        let Some(latest) = self.metadata.find(&target).await? else { return Ok(None) };
        let (versioning, latest) = (latest.object.versioning, Version::from(&latest.object));
        let null_behind = if needs_null_version(versioning, Some(&latest)) {
            let target = ObjectAddress::Version(address.clone(), key.clone(), VersionRef::Null);
            self.metadata.find(&target).await?.map(|found| Version::from(&found.object))
        } else {
            None
        };
        Ok(overwrite(versioning, &KeyVersions::new(Some(latest), null_behind)).freed())
    }

    /// `body`, no faster than `who`'s tenant may send.
    pub(crate) async fn paced(&self, who: &Principal, body: Body) -> Result<Body> {
        let stream = self.limits.paced(&who.tenant, body.stream, Direction::Up).await?;
        Ok(Body { stream, ..body })
    }

    /// Which parts answer just now: the database, the hot tier, the cold tier, each with what is wrong with it; and this
    /// server, once it was told to stop. Names no
    /// path and no address: the caller need not be authenticated. A tier without room counts as answering: reads and deletes
    /// still work.
    pub async fn readiness(&self) -> Vec<(&'static str, std::result::Result<(), String>)> {
        let (database, hot, cold) = tokio::join!(
            self.metadata.check(),
            self.tier_readiness(StorageClass::Hot),
            self.tier_readiness(StorageClass::Cold)
        );
        let database = database.map_err(|error| Error::from(error).to_string());
        let mut parts = vec![("database", database), ("hot", hot), ("cold", cold)];
        if self.draining.load(Ordering::Relaxed) {
            parts.push(("server", Err("it was told to stop".to_owned())));
        }
        parts
    }

    /// A tier takes bytes, unless it has no room, and has those that it should have.
    async fn tier_readiness(&self, tier: StorageClass) -> std::result::Result<(), String> {
        match self.tiers.of(tier).check().await {
            Ok(()) | Err(SegmentError::Full(_)) => {}
            Err(error) => return Err(reason(error)),
        }
        if self.tiers.of(tier).verifies_itself() {
            // No part of an object store is unmounted, and looking for its objects costs requests.
            return Ok(());
        }
        match absence::check(self.metadata.as_ref(), &self.tiers, tier, None).await {
            Err(error @ Error::TierAbsent { .. }) => Err(error.to_string()),
            // Whether the database answers is asked beside this.
            _ => Ok(()),
        }
    }
}

/// What is wrong with a tier: what the operator should do, where that is known.
fn reason(error: SegmentError) -> String {
    let advice = match &error {
        SegmentError::Unavailable { advice, .. } => Some(*advice),
        _ => None,
    };
    let sorted = Error::from(error);
    advice.map_or_else(|| sorted.to_string(), |advice| format!("{sorted}: {advice}"))
}

/// The port's failures, sorted by what the caller should do. The cause is logged here, once.
impl From<MetadataError> for Error {
    fn from(error: MetadataError) -> Self {
        match &error {
            MetadataError::Unavailable(_) => {
                tracing::warn!(%error, "metadata store unavailable");
                Self::Unavailable
            }
            MetadataError::Contended(_) => {
                tracing::warn!(%error, "metadata transaction contended");
                Self::Conflict
            }
            MetadataError::Superseded => {
                tracing::error!(%error, "another server has started from a copy of this server's data directory");
                Self::Unavailable
            }
            MetadataError::LeaseLost(_) => {
                tracing::warn!(%error, "this server was paused, or a step took longer than its lease");
                Self::Unavailable
            }
            MetadataError::Full(_) => {
                tracing::error!(%error, "metadata store full");
                Self::Full
            }
            MetadataError::Corrupt { .. } | MetadataError::NewerSchema { .. } | MetadataError::Failed(_) => {
                tracing::error!(%error, "metadata store failed");
                Self::Internal
            }
        }
    }
}

impl From<SegmentError> for Error {
    fn from(error: SegmentError) -> Self {
        match &error {
            SegmentError::Full(_) => {
                tracing::error!(%error, "tier full");
                Self::Full
            }
            SegmentError::Corrupt { .. } | SegmentError::Missing(_) => {
                tracing::error!(%error, "stored bytes damaged");
                Self::Corrupt
            }
            SegmentError::Unreadable { .. } => {
                tracing::error!(%error, "stored bytes unreadable");
                Self::Unreadable
            }
            SegmentError::Unavailable { .. } => {
                tracing::error!(%error, "tier unavailable");
                Self::Unavailable
            }
            SegmentError::Io { .. } => {
                tracing::error!(%error, "tier failed");
                Self::Internal
            }
        }
    }
}
