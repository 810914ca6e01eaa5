//! Places and objects as they are asked for.

use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::object::ObjectId;

/// A place that a client names: a space by its address, or by its bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpaceRef {
    /// A space, which its first write creates.
    Space(SpaceAddress),
    /// A bucket, which must exist.
    Bucket(BucketName),
}

/// Which version of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VersionRef {
    /// The version with this id.
    Id(ObjectId),
    /// The version S3 calls `null`.
    Null,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectAddress {
    /// The latest version of a key.
    Latest(SpaceAddress, Key),
    /// One version of a key.
    Version(SpaceAddress, Key, VersionRef),
    /// The object with this id, whatever its key.
    Id(ObjectId),
}
