//! A space: one (namespace, tenant) pair with its settings.

use super::address::{BucketName, SpaceAddress, Tenant};
use super::object_lock::LockConfig;
use super::storage_class::StorageClass;
use super::timestamp::Timestamp;
use super::upstream::Mode;

/// A space's number in this store's database. Never leaves the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(pub i64);

/// How often a space's settings have changed: 0 if nothing was ever set, so that nothing need be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingsRevision(pub i64);

impl SettingsRevision {
    /// Whether nothing was ever set.
    pub fn is_untouched(self) -> bool {
        self.0 == 0
    }
}

/// Whether a key keeps its earlier versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// Never enabled: an overwrite or delete retires what was there.
    #[default]
    Off,
    /// Every write makes a version; a delete makes a delete marker.
    Enabled,
    /// Was enabled once: new writes replace only the null version.
    Suspended,
}

impl Versioning {
    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Off => 0,
            Self::Enabled => 1,
            Self::Suspended => 2,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Off, Self::Enabled, Self::Suspended].into_iter().find(|v| v.code() == code)
    }
}

/// A space as the metadata store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Its number.
    pub id: SpaceId,
    /// Its address.
    pub address: SpaceAddress,
    /// Whether keys keep versions.
    pub versioning: Versioning,
    /// The class of an object whose writer names none.
    pub default_class: StorageClass,
    /// Whether its versions can be locked, and what new ones get; `None` if they cannot.
    pub object_lock: Option<LockConfig>,
    /// How often its settings have changed.
    pub settings: SettingsRevision,
    /// How far it has left its upstream, if it has one.
    pub upstream: Option<Mode>,
    /// When the first write made it.
    pub created_at: Timestamp,
}

impl Space {
    /// Whether it keeps and locks versions as a space does that a write has just made: not at all.
    pub fn is_as_made(&self) -> bool {
        self.versioning == Versioning::default() && self.object_lock.is_none()
    }

    /// Whether nothing was ever set on it: only then does a declaration of its first bucket set something.
    pub fn is_unset(&self) -> bool {
        self.is_as_made() && self.default_class == StorageClass::default() && self.settings.is_untouched()
    }
}

/// An S3 bucket: a name for a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The name, unique across the store.
    pub name: BucketName,
    /// The space it names.
    pub space: Space,
    /// When the name was made.
    pub created_at: Timestamp,
}

/// How far identical content is stored once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DedupScope {
    /// Within one space.
    Space,
    /// Across the spaces of one tenant: the default.
    #[default]
    Tenant,
    /// Across the whole store, tenants included: the operator's explicit choice.
    Store,
}

impl DedupScope {
    /// The domain in which content of `space` is stored once. Two spaces share bytes only if equal.
    pub fn domain(self, space: &SpaceAddress) -> DedupDomain {
        match self {
            Self::Space => DedupDomain(format!("s:{space}")),
            Self::Tenant => DedupDomain::of_tenant(&space.tenant),
            Self::Store => DedupDomain("*".to_owned()),
        }
    }
}

/// The name of a set of spaces inside which a blob is stored once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DedupDomain(pub String);

impl DedupDomain {
    fn of_tenant(tenant: &Tenant) -> Self {
        Self(format!("t:{tenant}"))
    }

    /// The short form kept in segments: the first 16 bytes of the SHA-256 of the name.
    pub fn tag(&self) -> [u8; 16] {
        let mut tag = [0; 16];
        tag.copy_from_slice(&super::blob::Hash::of(self.0.as_bytes()).0[..16]);
        tag
    }

    /// The text kept beside each blob.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
