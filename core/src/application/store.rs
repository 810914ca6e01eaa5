//! The facade that both fronts hold, and what all use cases share.

use std::sync::Arc;

use crate::application::access::authorize;
use crate::application::commit::Committer;
use crate::application::error::{Error, Result};
use crate::application::ingest::{Body, Ingest};
use crate::application::limits::{Direction, TenantLimits};
use crate::application::objects::ObjectRef;
use crate::application::pools::{Pools, Room};
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{Found, MetadataError, MetadataStore, Place, Target, VersionRef};
use crate::application::ports::segments::{SegmentError, SegmentStore};
use crate::application::settings::SettingsCache;
use crate::application::{absence, metrics, request};
use crate::domain::address::{BucketName, Key, SpaceAddress, Tenant};
use crate::domain::limits::{Quota, QuotaPart};
use crate::domain::principal::{Principal, Right};
use crate::domain::space::{DedupScope, Space};
use crate::domain::storage_class::StorageClass;
use crate::domain::versioning::{KeyVersions, Version, needs_null_version, overwrite};

/// One segment store for each storage class.
#[derive(Clone)]
pub struct Tiers {
    /// Fast.
    pub hot: Arc<dyn SegmentStore>,
    /// Cheap.
    pub cold: Arc<dyn SegmentStore>,
}

impl Tiers {
    /// The tier of a class.
    pub fn of(&self, class: StorageClass) -> &Arc<dyn SegmentStore> {
        match class {
            StorageClass::Hot => &self.hot,
            StorageClass::Cold => &self.cold,
        }
    }
}

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
        let pools = ingest.pools().clone();
        Self { metadata, tiers, clock, committer, ingest, pools, dedup, limits, settings, acls: false }
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

    /// Lets what owners grant to strangers by ACLs count, if `acls`; otherwise nobody gets anything by them.
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
        let target = Target::Latest(address.clone(), key.clone());
        let Some(latest) = self.metadata.find(&target).await? else { return Ok(None) };
        let (versioning, latest) = (latest.object.versioning, Version::from(&latest.object));
        let null_behind = if needs_null_version(versioning, Some(&latest)) {
            let target = Target::Version(address.clone(), key.clone(), VersionRef::Null);
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
    /// path and no address: anybody may ask. A tier without room answers: it is read, and emptied by those who get through
    /// to it.
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

    /// The space at `place`, if `who` may exercise `right` there. A bucket must exist; a space that does
    /// not exist yet has an address all the same.
    pub(crate) async fn enter(&self, who: &Principal, right: Right, place: &Place) -> Result<Entered> {
        self.enter_shared(who, right, None, place).await
    }

    /// The space at `place`, whoever asks: nobody is let in by this.
    pub(crate) async fn resolve(&self, place: &Place) -> Result<Entered> {
        Ok(match place {
            Place::Space(address) => Entered::at(address.clone()),
            Place::Bucket(name) => {
                let space = self.metadata.space(place).await?.ok_or(Error::NoSuchBucket)?;
                Entered {
                    address: space.address.clone(),
                    space: Some(space),
                    bucket: Some(name.clone()),
                    as_stranger: false,
                }
            }
        })
    }

    /// The space of an object that `who` may exercise `right` on.
    pub async fn space_of(&self, who: &Principal, right: Right, object: &ObjectRef) -> Result<SpaceAddress> {
        Ok(self.locate(who, right, object).await?.found.object.address)
    }

    /// The object that `who` may exercise `right` on, delete markers included.
    pub(crate) async fn locate(&self, who: &Principal, right: Right, object: &ObjectRef) -> Result<Located> {
        match object {
            ObjectRef::Id(id) => {
                let found = self.metadata.find(&Target::Id(*id)).await?.ok_or(Error::NoSuchObject)?;
                authorize::check(who, right, &found.object.address, Error::NoSuchObject)?;
                Ok(Located { found, bucket: None })
            }
            ObjectRef::Key { place, key, version: None } => self.locate_latest(who, right, place, key).await,
            ObjectRef::Key { place, key, version: Some(version) } => {
                let entered = self.enter(who, right, place).await?;
                let target = Target::Version(entered.address, key.clone(), *version);
                let found = self.metadata.find(&target).await?.ok_or(Error::NoSuchVersion)?;
                Ok(Located { found, bucket: entered.bucket })
            }
        }
    }

    /// The common case, with one lookup: what it finds says by itself whose it is. Whoever may not have it
    /// goes the same way as whoever asks for what does not exist, and learns as much.
    async fn locate_latest(
        &self,
        who: &Principal,
        right: Right,
        place: &Place,
        key: &Key,
    ) -> Result<Located> {
        let found =
            self.metadata.latest(place, key).await?.filter(|found| {
                authorize::check(who, right, &found.object.address, Error::NoSuchObject).is_ok()
            });
        let Some(found) = found else {
            self.enter(who, right, place).await?;
            return Err(Error::NoSuchObject);
        };
        let bucket = match place {
            Place::Bucket(name) => Some(name.clone()),
            Place::Space(_) => None,
        };
        Ok(Located { found, bucket })
    }

    /// As [`Self::locate`], and a delete marker counts as absent.
    pub(crate) async fn locate_content(
        &self,
        who: &Principal,
        right: Right,
        object: &ObjectRef,
    ) -> Result<Located> {
        self.locate(who, right, object).await?.content(object)
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

/// The answer to a write for which the quota does not suffice.
pub(crate) fn quota_exceeded(part: QuotaPart) -> Error {
    metrics::limited(match part {
        QuotaPart::Bytes => "quota_bytes",
        QuotaPart::Objects => "quota_objects",
    });
    request::denied("quota");
    Error::QuotaExceeded(part)
}

/// A place that a principal was let into.
pub(crate) struct Entered {
    /// Its address.
    pub(crate) address: SpaceAddress,
    /// The space, where it was looked up.
    pub(crate) space: Option<Space>,
    /// The bucket it was reached through.
    pub(crate) bucket: Option<BucketName>,
    /// Whether it was let in by an ACL and not by its rights.
    pub(crate) as_stranger: bool,
}

impl Entered {
    /// A place that was entered before, by its address.
    pub(crate) fn at(address: SpaceAddress) -> Self {
        Self { address, space: None, bucket: None, as_stranger: false }
    }

    /// Lets in whoever may exercise `right` here, and nobody else. That a bucket exists is no secret, since its name
    /// cannot be taken: a stranger is refused, as on S3, before anything inside is looked at.
    pub(crate) fn authorize(&self, who: &Principal, right: Right) -> Result<()> {
        let hidden = if self.bucket.is_some() { Error::Forbidden(right) } else { Error::NoSuchObject };
        authorize::check(who, right, &self.address, hidden)
    }

    /// The target of a key in this place.
    pub(crate) fn target(&self, key: crate::domain::address::Key, version: Option<VersionRef>) -> Target {
        match version {
            None => Target::Latest(self.address.clone(), key),
            Some(version) => Target::Version(self.address.clone(), key, version),
        }
    }
}

/// An object that a principal was let at.
pub(crate) struct Located {
    /// The object.
    pub(crate) found: Found,
    /// The bucket it was reached through.
    pub(crate) bucket: Option<BucketName>,
}

impl Located {
    /// What `object` led to, unless that is a delete marker, which counts as absent.
    pub(crate) fn content(self, object: &ObjectRef) -> Result<Self> {
        if self.found.object.is_delete_marker() {
            let addressed = matches!(object, ObjectRef::Key { version: Some(_), .. } | ObjectRef::Id(_));
            let marker = &self.found.object;
            let version_id = marker.s3_version_id();
            return Err(Error::DeleteMarker { version_id, addressed, made: marker.created_at });
        }
        Ok(self)
    }
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
                tracing::error!(%error, "this server has lost its place");
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
