//! Which object a request means.

use crate::application::ports::metadata::{SpaceRef, VersionRef};
use crate::domain::address::{BucketName, Key};
use crate::domain::object::ObjectId;

/// Which object a request means, as the client addressed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectRef {
    /// A key in a space or bucket: its latest version, or one of its versions.
    Key {
        /// The space or bucket.
        place: SpaceRef,
        /// The key.
        key: Key,
        /// Which version; `None` for the latest.
        version: Option<VersionRef>,
    },
    /// An id, whatever its space: the native API's second way.
    Id(ObjectId),
}

impl ObjectRef {
    /// The latest version of a key.
    pub fn latest(place: SpaceRef, key: Key) -> Self {
        Self::Key { place, key, version: None }
    }

    /// The bucket that it is reached through.
    pub(crate) fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::Key { place: SpaceRef::Bucket(name), .. } => Some(name),
            Self::Key { place: SpaceRef::Space(_), .. } | Self::Id(_) => None,
        }
    }

    /// Whether it names a version of a key.
    pub(crate) fn names_version(&self) -> bool {
        matches!(self, Self::Key { version: Some(_), .. })
    }

    /// Whether it means one object and no other, however often its key is overwritten.
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Id(_) | Self::Key { version: Some(VersionRef::Id(_)), .. } => true,
            Self::Key { version: None | Some(VersionRef::Null), .. } => false,
        }
    }
}
