//! Uploads in parts, until they are completed or aborted. Parts and completions are changes of a batch: see [`Objects::commit`](super::Objects::commit).

use async_trait::async_trait;

use super::{Draft, ListUploadsQuery, MetadataError, Refusal};
use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::checksum::{ChecksumAlgorithm, ChecksumKind};
use crate::domain::completion::Completed;
use crate::domain::multipart::{Part, PartNumber, Upload, UploadId, UploadParts};
use crate::domain::object::{Attributes, Object};
use crate::domain::space::DedupDomain;
use crate::domain::timestamp::Timestamp;

/// Uploads in parts, until they are completed or aborted. Parts and completions are changes of a batch: see [`Objects::commit`](super::Objects::commit).
#[async_trait]
pub trait Uploads: Send + Sync + 'static {
    /// Begins an upload; its space is made if it does not exist.
    /// `Err(Refusal::NoSuchBucket)` if `bucket` no longer names the space.
    async fn create_upload(
        &self,
        id: UploadId,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        key: Option<&Key>,
        attributes: &Attributes,
        checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
        now: Timestamp,
    ) -> Result<Result<Upload, Refusal>, MetadataError>;

    /// The upload, if it is under way.
    async fn find_upload(&self, id: UploadId) -> Result<Option<Upload>, MetadataError>;

    /// The latest object that completed this upload, so that a repeated completion is answered alike.
    async fn completed_by(&self, id: UploadId) -> Result<Option<Object>, MetadataError>;

    /// What an upload was completed of, for as long as there is its object. `None` for one that was completed before
    /// this was remembered.
    async fn completion(&self, id: UploadId) -> Result<Option<Completed>, MetadataError>;

    /// All parts of an upload under way, for a completion of them.
    async fn upload_parts(&self, id: UploadId) -> Result<Option<UploadParts>, MetadataError>;

    /// Writes the stretches of a composite of `parts`, which are some of `read`, in portions of which each is a
    /// transaction of its own: other writes go on between them. The upload refers to the draft until it ends, and has one
    /// at most: of two completions that draft at once, the later one goes on. `None` if the upload is gone, its parts have
    /// changed, or another draft took the place of this one.
    async fn draft_composite(
        &self,
        id: UploadId,
        domain: &DedupDomain,
        read: &UploadParts,
        parts: &[Part],
        now: Timestamp,
    ) -> Result<Option<Draft>, MetadataError>;

    /// An upload's parts after a number, ascending.
    async fn list_parts(
        &self,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<Part>, MetadataError>;

    /// A page of the uploads under way in a space.
    async fn list_uploads(&self, query: &ListUploadsQuery) -> Result<Vec<Upload>, MetadataError>;

    /// The bytes of the stored parts of those of `uploads` that have any.
    async fn upload_bytes(&self, uploads: &[UploadId]) -> Result<Vec<(UploadId, u64)>, MetadataError>;

    /// Ends an upload; its parts' blobs become GC's candidates. Whether there was one.
    async fn abort_upload(&self, id: UploadId) -> Result<bool, MetadataError>;

    /// Uploads begun before a moment, oldest first.
    async fn stale_uploads(&self, before: Timestamp, limit: u32) -> Result<Vec<UploadId>, MetadataError>;
}
