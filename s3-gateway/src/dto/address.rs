//! Buckets, keys, versions and copy sources, as requests name them.

use http::HeaderMap;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::ports::metadata::{SpaceRef, VersionRef};
use juststorage_core::domain::address::{BucketName, Key};
use juststorage_core::domain::object::ObjectId;
use s3s::S3Result;
use s3s::dto::CopySource;

use super::attributes::is_encoded;
use super::fields::text;
use crate::errors::{fail, invalid_argument, not_implemented, translate, wrong_argument};

/// A bucket that a request names. An invalid name is 400 `InvalidBucketName`, as on S3.
pub(crate) fn bucket(name: &str) -> S3Result<BucketName> {
    BucketName::new(name).map_err(|_| {
        fail(http::StatusCode::BAD_REQUEST, "InvalidBucketName", "The specified bucket is not valid.")
    })
}

/// The place of a bucket.
pub(crate) fn place(name: &str) -> S3Result<SpaceRef> {
    Ok(SpaceRef::Bucket(bucket(name)?))
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

const COPY_SOURCE: &str = "x-amz-copy-source";

/// The source of a copy.
pub(crate) struct CopyFrom<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) version: Option<&'a str>,
}

impl CopyFrom<'_> {
    /// The source in core's types.
    pub(crate) fn reference(&self) -> S3Result<ObjectRef> {
        if BucketName::new(self.bucket).is_err() {
            return Err(wrong_argument(COPY_SOURCE, self.bucket, "Invalid copy source bucket name"));
        }
        object(self.bucket, self.key, self.version)
    }
}

/// `x-amz-copy-source`, read like a query, as S3 does: `+` is a blank and `%2B` a plus. s3s keeps the plus, and would
/// copy the wrong object if both exist.
pub(crate) fn copy_source(headers: &HeaderMap) -> S3Result<CopySource> {
    let unreadable =
        || invalid_argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
    let value = text(headers, COPY_SOURCE).ok_or_else(unreadable)?;
    if !is_encoded(value) {
        return Err(wrong_argument(COPY_SOURCE, value, "Invalid copy source encoding"));
    }
    CopySource::parse(&value.replace('+', "%20")).map_err(|_| unreadable())
}

/// The object that a copy source names. Access points and outposts are not offered.
pub(crate) fn source_of(source: &CopySource) -> S3Result<CopyFrom<'_>> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            Ok(CopyFrom { bucket, key, version: version_id.as_deref() })
        }
        _ => Err(not_implemented("Access points as a copy source are not implemented.")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_plus_in_a_copy_source_is_a_blank() {
        for (header, key, version) in [
            ("buck/a+b", "a b", None),
            ("/buck/a%20b", "a b", None),
            ("buck/a%2Bb", "a+b", None),
            ("buck/a%2bb+c%20d%2B", "a+b c d+", None),
            ("buck%2Fa+b?versionId=null", "a b", Some("null")),
        ] {
            let named = copy_source(&crate::dto::headers(&[("x-amz-copy-source", header)])).unwrap();
            let Ok(CopyFrom { bucket: "buck", key: read, version: at }) = source_of(&named) else {
                panic!("{header}")
            };
            assert_eq!((read, at), (key, version), "{header}");
        }
        assert!(copy_source(&HeaderMap::new()).is_err());
        for bad in ["%", "buck/%1", "buck/%zz", "100%/k", "buck/%c3%"] {
            let error = copy_source(&crate::dto::headers(&[("x-amz-copy-source", bad)])).unwrap_err();
            assert_eq!(error.code().as_str(), "InvalidArgument", "{bad}");
        }
        let nowhere = CopyFrom { bucket: "my-buc@k", key: "k", version: None };
        assert_eq!(nowhere.reference().unwrap_err().code().as_str(), "InvalidArgument");
    }

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
