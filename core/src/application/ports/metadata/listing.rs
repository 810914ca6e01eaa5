//! Pages: which objects, or uploads, and from where.

use std::ops::Bound;

use crate::domain::multipart::UploadId;
use crate::domain::object::ObjectId;
use crate::domain::space::SpaceId;

/// What a listing yields, and from where.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Of this space.
    pub space: SpaceId,
    /// Keys that begin with this; with the empty prefix and `keyless`, keyless objects come first.
    pub prefix: String,
    /// Only keys on this side.
    pub from: Bound<String>,
    /// With `versions`: after this version of the key that `from` excludes, older ones of that key come
    /// first (`from` must be `Excluded` then). For keyless objects: after this id, with `from` excluding "".
    pub from_version: Option<ObjectId>,
    /// All versions and delete markers, newest first within a key; otherwise latest versions only, without
    /// keys whose latest version is a marker.
    pub versions: bool,
    /// Whether old versions and delete markers may lie between what a listing without `versions` shows: the
    /// space has versioning, or had. It changes how they are passed over and nothing of the answer.
    pub versioned: bool,
    /// Keyless objects too.
    pub keyless: bool,
    /// At most this many.
    pub limit: u32,
}

/// Which uploads to list: ordered by key, then by age.
#[derive(Clone, Debug)]
pub struct ListUploadsQuery {
    /// Of this space.
    pub space: SpaceId,
    /// Keys that begin with this.
    pub prefix: String,
    /// Only keys on this side.
    pub from: Bound<String>,
    /// Uploads of the key that `from` excludes which come after this one, first.
    pub from_upload: Option<UploadId>,
    /// At most this many.
    pub limit: u32,
}
