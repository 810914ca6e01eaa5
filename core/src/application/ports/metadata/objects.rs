//! Objects as they are asked for: where, which of them, and what is found.

use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::blob::Extent;
use crate::domain::object::{Object, ObjectId};

/// A place that a client names: a space by its address, or by its bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A space, which its first write creates.
    Space(SpaceAddress),
    /// A bucket, which must exist.
    Bucket(BucketName),
}

/// Which version of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionRef {
    /// The version with this id.
    Id(ObjectId),
    /// The version S3 calls `null`.
    Null,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The latest version of a key.
    Latest(SpaceAddress, Key),
    /// One version of a key.
    Version(SpaceAddress, Key, VersionRef),
    /// The object with this id, whatever its key.
    Id(ObjectId),
}

/// A visible object, and where its bytes lie if it is a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The object.
    pub object: Object,
    /// The whole of its leaf; `None` for a composite (ask [`extents`](super::MetadataStore::extents)) and for markers.
    pub leaf: Option<Extent>,
}
