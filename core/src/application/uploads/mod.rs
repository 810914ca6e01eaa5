//! Uploads in parts, the same for both fronts.

mod lifecycle;
mod parts;

pub use parts::CopyPartRequest;

use std::sync::Arc;

use crate::application::entered::{Entered, Wish};
use crate::application::error::{Error, Result};
use crate::application::objects::list::Cursor;
use crate::application::ports::metadata::SpaceRef;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::checksum::{ChecksumAlgorithm, ChecksumKind, ExpectedChecksum};
use crate::domain::multipart::{Part, PartClaim, Upload, UploadId};
use crate::domain::object::Attributes;
use crate::domain::precondition::Preconditions;
use crate::domain::principal::Principal;
use crate::domain::space::SettingsRevision;
use crate::domain::space::{Space, SpaceId};

/// What an upload will write.
#[derive(Clone, Debug)]
pub struct UploadRequest {
    /// The space or bucket.
    pub place: SpaceRef,
    /// The key.
    pub key: Option<Key>,
    /// What the object will carry.
    pub attributes: Attributes,
    /// The checksum that the parts will carry.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// Which upload a request means. S3 names bucket and key with it, and they must be the upload's own.
#[derive(Clone, Debug)]
pub struct UploadRef {
    /// The upload.
    pub id: UploadId,
    /// Its place and key, where the client names them.
    pub at: Option<(SpaceRef, Key)>,
}

/// What completes an upload.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// The parts the object consists of, in ascending order; `None` for all that have arrived.
    pub claims: Option<Arc<[PartClaim]>>,
    /// The whole object's size as the client expects it.
    pub expected_size: Option<u64>,
    /// The kind of the whole object's checksum as the client expects it.
    pub expected_kind: Option<ChecksumKind>,
    /// The whole object's checksum as the client expects it.
    pub expected: Option<ExpectedChecksum>,
    /// Whether each part must be named with its checksum if the upload declared composite ones, as S3 has it.
    pub checksums_required: bool,
    /// What must hold of the key's current version.
    pub preconditions: Preconditions,
}

/// A page of an upload's parts.
#[derive(Clone, Debug)]
pub struct PartsPage {
    /// The upload.
    pub upload: Upload,
    /// Its parts, ascending.
    pub parts: Vec<Part>,
    /// Whether more follow.
    pub more: bool,
}

/// Which uploads to list.
#[derive(Clone, Debug)]
pub struct ListUploadsRequest {
    /// The space or bucket.
    pub place: SpaceRef,
    /// Only keys that begin with this.
    pub prefix: String,
    /// Rolls keys up, as in object listings.
    pub delimiter: Option<String>,
    /// Where to begin; [`Cursor::Version`] holds an upload's id here.
    pub after: Option<Cursor>,
    /// At most this many uploads and common prefixes together; capped at 1000.
    pub limit: u32,
}

/// A page of uploads under way.
#[derive(Clone, Debug)]
pub struct UploadsPage {
    /// Uploads, by key, then by age.
    pub uploads: Vec<Upload>,
    /// Keys rolled up.
    pub prefixes: Vec<String>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Cursor>,
    /// The space, if it exists already.
    pub space: Option<Space>,
}

impl Store {
    /// The upload, if `who` may do `action` to it, and the bucket it was reached through.
    async fn find_upload(
        &self,
        who: &Principal,
        action: Action,
        reference: &UploadRef,
    ) -> Result<(Upload, Option<BucketName>)> {
        let named = self.enter_named(who, action, reference).await?;
        let upload = self.metadata.find_upload(reference.id).await?.ok_or(Error::NoSuchUpload)?;
        let space = (&upload.space.address, upload.space.id, upload.space.settings);
        let bucket = self.reach(who, action, named, space, upload.key.as_ref()).await?;
        Ok((upload, bucket))
    }

    /// The place and key that a request names beside its upload, if `who` may do `action` there. Strangers may send what
    /// they may put; to look at an upload or to end it is another action.
    async fn enter_named<'r>(
        &self,
        who: &Principal,
        action: Action,
        reference: &'r UploadRef,
    ) -> Result<Option<(Entered, &'r Key)>> {
        let Some((place, key)) = &reference.at else { return Ok(None) };
        Ok(Some((self.enter(who, Wish::of(action, Some(key)), place).await?, key)))
    }

    /// Lets `who`, who was let into the place that its request names, at an upload or its object; returns the bucket
    /// that it was reached through.
    async fn reach(
        &self,
        who: &Principal,
        action: Action,
        named: Option<(Entered, &Key)>,
        (address, space, settings): (&SpaceAddress, SpaceId, SettingsRevision),
        key: Option<&Key>,
    ) -> Result<Option<BucketName>> {
        match named {
            Some((entered, named)) if entered.address == *address && key == Some(named) => Ok(entered.bucket),
            named => {
                let there = Entered::again(address.clone(), self.settings_at(space, settings).await?);
                there.allow(who, Wish::of(action, key), None).map_err(|refused| match refused {
                    Error::NoSuchObject => Error::NoSuchUpload,
                    refused => refused,
                })?;
                if named.is_some() { Err(Error::NoSuchUpload) } else { Ok(None) }
            }
        }
    }
}
