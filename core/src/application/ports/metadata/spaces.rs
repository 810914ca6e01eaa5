//! Spaces: their figures, their buckets' end, and the passes of lifecycle rules through them.

use crate::domain::address::SpaceAddress;
use crate::domain::lifecycle::Lifecycle;
use crate::domain::settings::SettingsRevision;
use crate::domain::space::Space;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

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
