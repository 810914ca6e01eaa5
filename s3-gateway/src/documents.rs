//! S3's XML documents that come in no request, such as those that another store has exported: read as those of requests, so that
//! what is not understood is refused by its name.

use juststorage_core::domain::lifecycle::Lifecycle;
use juststorage_core::domain::object::Tags;
use juststorage_core::domain::object_lock::LockConfig;
use juststorage_core::domain::space::Versioning;
use s3s::S3Error;
use s3s::dto::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ObjectLockConfiguration, Tagging,
    VersioningConfiguration,
};
use s3s::xml::{Deserialize, Deserializer};

use crate::dto::{attributes, lifecycle};
use crate::operations::documents::{Document, LIFECYCLE, OBJECT_LOCK, TAGGING, VERSIONING};
use crate::ops::object_lock;
use crate::wire;

/// Why a document is refused, for the operator who gave it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl From<S3Error> for Refused {
    fn from(error: S3Error) -> Self {
        Self(error.message().unwrap_or_else(|| error.code().as_str()).to_owned())
    }
}

fn read<T: for<'xml> Deserialize<'xml>>(xml: &[u8], document: &'static Document) -> Result<T, Refused> {
    let malformed = || Refused("it is not such a document".to_owned());
    let plain = wire::plain(xml, document)?;
    let mut deserializer = Deserializer::new(plain.as_bytes());
    let read = T::deserialize(&mut deserializer).map_err(|_| malformed())?;
    deserializer.expect_eof().map_err(|_| malformed())?;
    Ok(read)
}

/// The rules of a `LifecycleConfiguration`.
pub fn lifecycle(xml: &[u8]) -> Result<Lifecycle, Refused> {
    let read: BucketLifecycleConfiguration = read(xml, &LIFECYCLE)?;
    Ok(lifecycle::read(read.rules, None)?)
}

/// What an `ObjectLockConfiguration` sets.
pub fn object_lock(xml: &[u8]) -> Result<LockConfig, Refused> {
    Ok(object_lock::read_config(read::<ObjectLockConfiguration>(xml, &OBJECT_LOCK)?)?)
}

/// The tags of a `Tagging`.
pub fn tags(xml: &[u8]) -> Result<Tags, Refused> {
    Ok(attributes::tag_set(read::<Tagging>(xml, &TAGGING)?.tag_set)?)
}

/// What a `VersioningConfiguration` sets.
pub fn versioning(xml: &[u8]) -> Result<Versioning, Refused> {
    let read: VersioningConfiguration = read(xml, &VERSIONING)?;
    match read.status.as_ref().map(BucketVersioningStatus::as_str) {
        None => Ok(Versioning::Off),
        Some(BucketVersioningStatus::ENABLED) => Ok(Versioning::Enabled),
        Some(BucketVersioningStatus::SUSPENDED) => Ok(Versioning::Suspended),
        Some(_) => Err(Refused("Status must be Enabled or Suspended".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn documents_are_read_as_those_of_requests() {
        let rules = lifecycle(
            b"<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter>\
              <Expiration><Days>7</Days></Expiration></Rule><ExpiryUpdatedAt>2026-01-02T03:04:05Z</ExpiryUpdatedAt>\
              </LifecycleConfiguration>",
        );
        assert_eq!(rules.unwrap().rules.len(), 1);
        let lock = object_lock(
            b"<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><ObjectLockEnabled>Enabled\
              </ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>3</Days></DefaultRetention></Rule>\
              </ObjectLockConfiguration>",
        );
        assert!(lock.unwrap().default_retention.is_some());
        let xml = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
        assert_eq!(tags(xml).unwrap()["a"], "b");
        let xml = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        assert_eq!(versioning(xml), Ok(Versioning::Enabled));
        assert_eq!(versioning(b"<VersioningConfiguration/>"), Ok(Versioning::Off));
        // What is not understood is named.
        let xml = b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><DelMarkerExpiration><Days>1</Days>\
                    </DelMarkerExpiration></Rule></LifecycleConfiguration>";
        assert!(lifecycle(xml).unwrap_err().to_string().contains("delete markers"));
        assert!(versioning(b"<html/>").is_err());
    }
}
