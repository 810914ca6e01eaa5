//! Buckets, keys, versions and copy sources, as requests name them.

use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::ports::metadata::{Place, VersionRef};
use juststorage_core::domain::address::{BucketName, Key};
use juststorage_core::domain::object::ObjectId;
use s3s::S3Result;
use s3s::dto::CopySource;

use crate::errors::{fail, not_implemented, translate, wrong_argument};

/// A bucket that a request names. A name that no bucket can have names none: 404, as S3 answers a name it
/// does not hold.
pub(crate) fn bucket(name: &str) -> S3Result<BucketName> {
    BucketName::new(name).map_err(|_| {
        fail(http::StatusCode::BAD_REQUEST, "InvalidBucketName", "The specified bucket is not valid.")
    })
}

/// The place that a bucket is.
pub(crate) fn place(name: &str) -> S3Result<Place> {
    Ok(Place::Bucket(bucket(name)?))
}

/// A key.
pub(crate) fn key(text: &str) -> S3Result<Key> {
    Key::new(text).map_err(|invalid| translate(invalid.into()))
}

/// A version id: a UUID, or `null`.
pub(crate) fn version(text: &str) -> S3Result<VersionRef> {
    if text == "null" {
        return Ok(VersionRef::Null);
    }
    ObjectId::parse(text)
        .map(VersionRef::Id)
        .map_err(|_| wrong_argument("versionId", text, "Invalid version id specified"))
}

/// An object that a request names.
pub(crate) fn object(bucket: &str, key: &str, version: Option<&str>) -> S3Result<ObjectRef> {
    Ok(ObjectRef::Key {
        place: place(bucket)?,
        key: self::key(key)?,
        version: version.map(self::version).transpose()?,
    })
}

/// The source of a copy.
pub(crate) struct Source<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) version: Option<&'a str>,
}

impl Source<'_> {
    /// As the core names it.
    pub(crate) fn reference(&self) -> S3Result<ObjectRef> {
        object(self.bucket, self.key, self.version)
    }
}

/// `x-amz-copy-source`. Access points and outposts are not offered.
pub(crate) fn copy_source(source: &CopySource) -> S3Result<Source<'_>> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            Ok(Source { bucket, key, version: version_id.as_deref() })
        }
        _ => Err(not_implemented("Access points as a copy source are not implemented.")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_uuids_or_null() {
        assert_eq!(version("null").unwrap(), VersionRef::Null);
        assert!(matches!(version("0190b2f0-0000-7000-8000-000000000000").unwrap(), VersionRef::Id(_)));
        assert_eq!(version("3HL4kqtJlcpXroDTDmJ").unwrap_err().code().as_str(), "InvalidArgument");
    }

    #[test]
    fn keys_are_refused_with_codes_of_s3() {
        assert_eq!(key("a\0b").unwrap_err().code().as_str(), "InvalidArgument");
        assert_eq!(key(&"k".repeat(1025)).unwrap_err().code().as_str(), "KeyTooLongError");
        assert_eq!(bucket("No_Such").unwrap_err().code().as_str(), "InvalidBucketName");
    }
}
