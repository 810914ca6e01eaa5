//! The facade that both fronts hold, and what all use cases share.

use std::sync::Arc;

use crate::access::decide::{By, Decision};
use crate::application::absence;
use crate::application::commit::Committer;
use crate::application::error::{Error, Result};
use crate::application::ingest::{Body, Ingest};
use crate::application::limits::{Direction, TenantLimits, quota_exceeded};
use crate::application::object_ref::ObjectRef;
use crate::application::policies::Policied;
use crate::application::pools::{Pools, Room};
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{
    MetadataError, MetadataStore, ObjectAddress, SpaceRef, VersionRef,
};
use crate::application::ports::segments::SegmentError;
use crate::application::settings_cache::SettingsCache;
use crate::application::tiers::Tiers;
use crate::domain::action::Action;
use crate::domain::address::{BucketName, Key, SpaceAddress, Tenant};
use crate::domain::limits::Quota;
use crate::domain::object::Object;
use crate::domain::principal::Principal;
use crate::domain::settings::SpaceSettings;
use crate::domain::space::{DedupScope, SettingsRevision, SpaceId, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::versioning::{KeyVersions, Version, needs_null_version, overwrite};

pub(crate) use crate::application::entered::{Entered, Located, Wish};

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
    /// Whether what ACLs grant to strangers counts.
    pub(crate) acls: bool,
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
            acls: false,
        }
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

    /// Which parts answer just now: the database, the hot tier, the cold tier, each with what is wrong with it. Names no
    /// path and no address: the caller need not be authenticated. A tier without room counts as answering: reads and deletes
    /// still work.
    pub async fn readiness(&self) -> Vec<(&'static str, std::result::Result<(), String>)> {
        let (database, hot, cold) = tokio::join!(
            self.metadata.check(),
            self.tier_readiness(StorageClass::Hot),
            self.tier_readiness(StorageClass::Cold)
        );
        let database = database.map_err(|error| Error::from(error).to_string());
        vec![("database", database), ("hot", hot), ("cold", cold)]
    }

    /// A tier takes bytes, unless it has no room, and has those that it should have.
    async fn tier_readiness(&self, tier: StorageClass) -> std::result::Result<(), String> {
        match self.tiers.of(tier).check().await {
            Ok(()) | Err(SegmentError::Full(_)) => {}
            Err(error) => return Err(reason(error)),
        }
        match absence::check(self.metadata.as_ref(), &self.tiers, tier, None).await {
            Err(error @ Error::TierAbsent { .. }) => Err(error.to_string()),
            // Whether the database answers is asked beside this.
            _ => Ok(()),
        }
    }

    /// The space at `place`, if `who` may do `wish` there. A bucket must exist; a space that does not exist yet has an
    /// address all the same.
    pub(crate) async fn enter(&self, who: &Principal, wish: Wish<'_>, place: &SpaceRef) -> Result<Entered> {
        let mut entered = self.resolve(place).await?;
        entered.as_stranger = entered.allow(who, wish, None)? == By::Acl;
        Ok(entered)
    }

    /// The space at `place`, for any caller: this allows nothing. One that is named by its address is looked up only
    /// where a policy may have something to say.
    pub(crate) async fn resolve(&self, place: &SpaceRef) -> Result<Entered> {
        let (address, space, bucket) = match place {
            SpaceRef::Space(address) => {
                let asked = self.policied.has_space(self.metadata.as_ref(), address).await?;
                let space = if asked { self.metadata.space(place).await? } else { None };
                (address.clone(), space, None)
            }
            SpaceRef::Bucket(name) => {
                let space = self.metadata.space(place).await?.ok_or(Error::NoSuchBucket)?;
                (space.address.clone(), Some(space), Some(name.clone()))
            }
        };
        let settings = match &space {
            Some(space) => self.settings_at(space.id, space.settings).await?,
            None => SpaceSettings::none(),
        };
        Ok(Entered { settings, acls: self.acls, ..Entered::at(address, space, bucket) })
    }

    /// The space of an object that `who` may do `action` to.
    pub async fn space_of(
        &self,
        who: &Principal,
        action: Action,
        object: &ObjectRef,
    ) -> Result<SpaceAddress> {
        Ok(self.locate(who, action, object).await?.found.object.address)
    }

    /// The object that `who` may do `action` to, delete markers included.
    pub(crate) async fn locate(
        &self,
        who: &Principal,
        action: Action,
        object: &ObjectRef,
    ) -> Result<Located> {
        match object {
            ObjectRef::Id(id) => {
                let found = self.metadata.find(&ObjectAddress::Id(*id)).await?.ok_or(Error::NoSuchObject)?;
                let entered = self.around(&found.object, None).await?;
                // An id names a version, and the latest one is the object itself: what denies either denies it.
                let object = &found.object;
                if object.is_latest {
                    entered.allow(who, Wish::of(action, object.key.as_ref()), Some(object))?;
                }
                if object.versioning != Versioning::Off || !object.is_latest {
                    entered.allow(who, Wish::of(action, object.key.as_ref()).version(true), Some(object))?;
                }
                Ok(Located { found, bucket: None })
            }
            ObjectRef::Key { place, key, version: None } => self.locate_latest(who, action, place, key).await,
            ObjectRef::Key { place, key, version: Some(version) } => {
                let entered = self.resolve(place).await?;
                let target = ObjectAddress::Version(entered.address.clone(), key.clone(), *version);
                let wish = Wish::of(action, Some(key)).version(true);
                let Some(found) = self.metadata.find(&target).await? else {
                    return Err(entered.absent(who, wish, Error::NoSuchVersion));
                };
                entered.admit(who, wish, &found.object)?;
                Ok(Located { found, bucket: entered.bucket })
            }
        }
    }

    /// The common case, with one lookup: the row found names its space. A caller that may not have it
    /// takes the same path as one that asks for an absent object, and gets the same answer.
    async fn locate_latest(
        &self,
        who: &Principal,
        action: Action,
        place: &SpaceRef,
        key: &Key,
    ) -> Result<Located> {
        let wish = Wish::of(action, Some(key));
        let bucket = match place {
            SpaceRef::Bucket(name) => Some(name.clone()),
            SpaceRef::Space(_) => None,
        };
        if let Some(found) = self.metadata.latest(place, key).await? {
            let entered = self.around(&found.object, bucket.clone()).await?;
            if let Err(denied) = entered.admit(who, wish, &found.object) {
                // The same statements as for what does not exist, so that their time tells nothing.
                self.resolve(place).await?;
                return Err(denied);
            }
            return Ok(Located { found, bucket });
        }
        let entered = self.resolve(place).await?;
        Err(entered.absent(who, wish, Error::NoSuchObject))
    }

    /// Refuses unless `who`, which was let at `object`, may do all of these to it, too.
    pub(crate) async fn also(
        &self,
        who: &Principal,
        actions: &[Action],
        named: &ObjectRef,
        object: &Object,
    ) -> Result<()> {
        let entered = self.around(object, named.bucket().cloned()).await?;
        for action in actions {
            let wish = Wish::of(*action, object.key.as_ref()).version(named.names_version());
            entered.allow(who, wish, Some(object))?;
        }
        Ok(())
    }

    /// Whether `who` may go round a governance retention of `object`.
    pub(crate) async fn may_bypass(
        &self,
        who: &Principal,
        named: &ObjectRef,
        object: &Object,
    ) -> Result<bool> {
        let entered = self.around(object, named.bucket().cloned()).await?;
        let wish = Wish::of(Action::BypassGovernanceRetention, object.key.as_ref());
        Ok(matches!(entered.decide(who, wish, Some(object)), Decision::Allowed(_)))
    }

    /// The space of an object that was found, as it stood then.
    async fn around(&self, object: &Object, bucket: Option<BucketName>) -> Result<Entered> {
        let settings = self.settings_at(object.space, object.settings).await?;
        let entered = Entered::at(object.address.clone(), None, bucket);
        Ok(Entered { settings, acls: self.acls, ..entered })
    }

    /// What is set on a space.
    pub(crate) async fn settings_at(
        &self,
        space: SpaceId,
        revision: SettingsRevision,
    ) -> Result<Arc<SpaceSettings>> {
        self.settings.at(self.metadata.as_ref(), space, revision).await
    }

    /// As [`Self::locate`], and a delete marker counts as absent.
    pub(crate) async fn locate_content(
        &self,
        who: &Principal,
        action: Action,
        object: &ObjectRef,
    ) -> Result<Located> {
        self.locate(who, action, object).await?.content(object)
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
