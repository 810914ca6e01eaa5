//! Spaces: their figures, their buckets' end, and the passes of lifecycle rules through them.

use async_trait::async_trait;

use super::{MetadataError, Refusal, SpaceRef};
use crate::domain::address::{BucketName, Namespace, SpaceAddress, Tenant};
use crate::domain::lifecycle::Lifecycle;
use crate::domain::limits::{Holdings, Overrides};
use crate::domain::object_lock::LockConfig;
use crate::domain::settings::{Setting, SettingKind, SpaceSettings};
use crate::domain::space::SettingsRevision;
use crate::domain::space::{Bucket, Space, SpaceId, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// Spaces, the buckets that name them, what their owners have set, and what their tenants may keep and do keep.
#[async_trait]
pub trait Spaces: Send + Sync + 'static {
    /// The space at a place, if it exists.
    async fn space(&self, place: &SpaceRef) -> Result<Option<Space>, MetadataError>;

    /// The space at an address, made if it does not exist.
    async fn make_space(&self, space: &SpaceAddress, now: Timestamp) -> Result<Space, MetadataError>;

    /// A page of spaces in order of namespace and tenant, after one; of one tenant, or of all; those whose namespace
    /// begins with `prefix`.
    async fn list_spaces(
        &self,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&SpaceAddress>,
        limit: u32,
    ) -> Result<Vec<SpaceEntry>, MetadataError>;

    /// One space as a page has it, if it exists.
    async fn space_entry(&self, space: &SpaceAddress) -> Result<Option<SpaceEntry>, MetadataError>;

    /// Sets the class of objects whose writer names none; the space is made if it does not exist.
    async fn set_default_class(
        &self,
        space: &SpaceAddress,
        class: StorageClass,
        now: Timestamp,
    ) -> Result<Space, MetadataError>;

    /// Sets whether a space's keys keep versions; the space is made if it does not exist. What was versioned
    /// once can only be suspended: `Off` means [`Versioning::Suspended`] there. Where versions can be locked,
    /// anything but enabled is [`Refusal::WrongVersioning`].
    async fn set_versioning(
        &self,
        space: &SpaceAddress,
        versioning: Versioning,
        now: Timestamp,
    ) -> Result<Result<Space, Refusal>, MetadataError>;

    /// From now on versions in this space can be locked, and new ones get what `config` says; cannot be
    /// undone. [`Refusal::WrongVersioning`] unless versioning is enabled there, [`Refusal::NoSuchBucket`] if
    /// `bucket` does not name the space, or, where none is named, if there is no such space.
    async fn set_object_lock(
        &self,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        config: LockConfig,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// Sets a document of a space, in place of the one of its kind. [`Refusal::NoSuchBucket`] if `bucket` does
    /// not name the space, or, where none is named, if there is no such space.
    /// [`Refusal::Changed`] if the settings of the space are at another revision than `at`.
    async fn put_setting(
        &self,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        setting: &Setting,
        at: Option<SettingsRevision>,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// Removes a document of a space, if there is one; refuses as [`Self::put_setting`].
    async fn delete_setting(
        &self,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        kind: SettingKind,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// All documents of a space, and the revision that they are of.
    async fn settings(&self, space: SpaceId) -> Result<(SettingsRevision, SpaceSettings), MetadataError>;

    /// Every bucket whose space has a policy, and that space; and every space that has an upstream, without a bucket.
    async fn noted(&self) -> Result<Vec<(Option<BucketName>, SpaceAddress)>, MetadataError>;

    /// The spaces that the lifecycle worker should turn to, the longest untouched first: those with lifecycle
    /// rules, of which a pass is under way, or whose last pass began before `before` or applied other rules. One
    /// whose rules cannot be read has the error in its place.
    async fn next_lifecycle(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(SpaceAddress, Result<LifecyclePass, MetadataError>)>, MetadataError>;

    /// Writes down how far a pass has come.
    async fn save_lifecycle(&self, pass: &LifecyclePass, now: Timestamp) -> Result<(), MetadataError>;

    /// Names a space, made if it does not exist; `Err` in the inner result holds the bucket that has the
    /// name already. `locking` makes a space whose versions can be locked, with versioning enabled.
    async fn create_bucket(
        &self,
        name: &BucketName,
        space: &SpaceAddress,
        locking: bool,
        now: Timestamp,
    ) -> Result<Result<Bucket, Bucket>, MetadataError>;

    /// As [`Self::create_bucket`], with everything set that `new` says, in one transaction: either all of it is there
    /// or nothing is. A space on which something was set before keeps what it has.
    async fn declare_bucket(
        &self,
        name: &BucketName,
        space: &SpaceAddress,
        new: &NewSpace,
        now: Timestamp,
    ) -> Result<Result<Bucket, Bucket>, MetadataError>;

    /// Buckets in order of name; of one tenant, or of all.
    async fn list_buckets(
        &self,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Bucket>, MetadataError>;

    /// Removes a bucket whose space holds nothing; uploads under way there are aborted.
    async fn delete_bucket(&self, name: &BucketName, now: Timestamp)
    -> Result<BucketDeletion, MetadataError>;

    /// What is said about a tenant's limits, if anything ever was.
    async fn tenant_limits(&self, tenant: &Tenant) -> Result<Option<Overrides>, MetadataError>;

    /// All tenants of whose limits something is said, by name.
    async fn list_tenant_limits(&self) -> Result<Vec<(Tenant, Overrides)>, MetadataError>;

    /// Sets a tenant's limits to `said` if they still are `was`; a tenant without any has the defaults. Whether they were.
    async fn set_tenant_limits(
        &self,
        tenant: &Tenant,
        was: &Overrides,
        said: &Overrides,
        now: Timestamp,
    ) -> Result<bool, MetadataError>;

    /// What a tenant keeps, from the maintained figures of its spaces.
    async fn holdings(&self, tenant: &Tenant) -> Result<Holdings, MetadataError>;

    /// The maintained figures, by space and class; of one tenant, one namespace, or all.
    async fn usage(
        &self,
        tenant: Option<&Tenant>,
        namespace: Option<&Namespace>,
    ) -> Result<Vec<SpaceUsage>, MetadataError>;

    /// How many writes are announced and neither committed nor abandoned, by space.
    async fn writing(&self) -> Result<Vec<(SpaceAddress, u64)>, MetadataError>;
}

/// What is set on a space when its first bucket is made; `None` leaves the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewSpace {
    /// Whether keys keep versions.
    pub versioning: Option<Versioning>,
    /// The class of an object whose writer names none.
    pub default_class: Option<StorageClass>,
    /// That versions can be locked, which takes versioning: that is enabled.
    pub object_lock: Option<LockConfig>,
    /// Documents, at most one of a kind.
    pub documents: Vec<Setting>,
}

/// A space, the buckets that name it, and its figures. Each is of its own moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceEntry {
    /// The space.
    pub space: Space,
    /// The buckets that name it, in order of name.
    pub buckets: Vec<BucketName>,
    /// Its figures, by class.
    pub figures: Vec<SpaceUsage>,
}

/// A space's figures, maintained with every commit and checked by `validate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceUsage {
    /// The space.
    pub address: SpaceAddress,
    /// Which class the figures are of.
    pub class: StorageClass,
    /// COMMITTED objects, versions included, delete markers not.
    pub objects: u64,
    /// Their bytes, as clients count them.
    pub logical_bytes: u64,
    /// Bytes of the parts of open uploads.
    pub upload_bytes: u64,
    /// Delete markers.
    pub delete_markers: u64,
    /// Bytes on this class's tier that this space was the first to bring.
    pub physical_bytes: u64,
    /// Objects in state DELETING.
    pub deleting: u64,
}

/// What came of a bucket's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketDeletion {
    /// It is gone. Its space's settings are back to the defaults if no other bucket names it.
    Deleted,
    /// There was none.
    Missing,
    /// Its space holds objects, versions or markers. (Uploads under way do not count: they are aborted.)
    NotEmpty,
}

/// A pass of the lifecycle worker through a space.
#[derive(Clone, Debug, PartialEq)]
pub struct LifecyclePass {
    /// The space.
    pub space: Space,
    /// Its rules.
    pub lifecycle: Lifecycle,
    /// The revision of the settings that the pass applies.
    pub revision: SettingsRevision,
    /// When it began.
    pub begun_at: Timestamp,
    /// Where it goes on, as the worker wrote it down; `None` before its beginning, and to save its end.
    pub place: Option<String>,
}
