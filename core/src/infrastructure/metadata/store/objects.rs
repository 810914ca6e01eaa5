//! The ports of objects and uploads.

use async_trait::async_trait;

use super::Answer;
use crate::application::ports::metadata::{
    Draft, Found, ListQuery, ListUploadsQuery, Mutation, MutationOutcome, ObjectAddress, Objects, Refusal,
    SpaceRef, Uploads, WriterId,
};
use crate::domain::address::{BucketName, Key, SpaceAddress, Tenant};
use crate::domain::blob::{BlobId, Extent};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::domain::completion::Completed;
use crate::domain::idempotency::{First, IdempotencyKey};
use crate::domain::multipart::{Part, PartNumber, Upload, UploadId, UploadParts};
use crate::domain::object::{Attributes, Listed, Object};
use crate::domain::range::Span;
use crate::domain::space::DedupDomain;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::objects;
use crate::infrastructure::metadata::write::uploads::NewUpload;
use crate::infrastructure::metadata::write::{commit, completions, drafts, once, uploads};

#[async_trait]
impl Objects for SqlMetadata {
    async fn commit(
        &self,
        writer: WriterId,
        batch: Vec<Mutation>,
        now: Timestamp,
    ) -> Answer<Vec<Result<MutationOutcome, Refusal>>> {
        let writer = (writer, self.writes_as.token(writer));
        Ok(commit::commit(&self.db, &self.outbox, writer, &batch, now).await?)
    }

    async fn find(&self, target: &ObjectAddress) -> Answer<Option<Found>> {
        match target {
            ObjectAddress::Latest(space, key) => self.latest(&SpaceRef::Space(space.clone()), key).await,
            ObjectAddress::Version(space, key, version) => {
                Ok(objects::find_version(&self.db, space, key, *version).await?)
            }
            ObjectAddress::Id(id) => Ok(objects::find_by_id(&self.db, *id).await?),
        }
    }

    async fn latest(&self, place: &SpaceRef, key: &Key) -> Answer<Option<Found>> {
        self.lookups.latest(place, key).await
    }

    async fn extents(&self, blob: BlobId, span: Span) -> Answer<Vec<Extent>> {
        Ok(objects::extents(&self.db, blob, span).await?)
    }

    async fn part_span(&self, blob: BlobId, number: u32) -> Answer<Option<(Span, u32)>> {
        Ok(objects::part_span(&self.db, blob, number).await?)
    }

    async fn part_sizes(&self, blob: BlobId, after: u32, limit: u32) -> Answer<Vec<(u32, u64)>> {
        Ok(objects::part_sizes(&self.db, blob, after, limit).await?)
    }

    async fn part_checksums(&self, blob: BlobId, algorithm: ChecksumAlgorithm) -> Answer<Vec<Checksum>> {
        Ok(objects::part_checksums(&self.db, blob, algorithm).await?)
    }

    async fn idempotent(&self, tenant: &Tenant, key: &IdempotencyKey) -> Answer<Option<First>> {
        Ok(once::find(&self.db, tenant, key).await?)
    }

    async fn forget_idempotent(&self, until: Timestamp, limit: u32) -> Answer<u64> {
        Ok(once::forget(&self.db, until, limit).await?)
    }

    async fn list(&self, query: &ListQuery) -> Answer<Vec<Object>> {
        Ok(objects::list(&self.db, query).await?)
    }

    async fn list_latest(&self, query: &ListQuery) -> Answer<Vec<Listed>> {
        Ok(objects::list_latest(&self.db, query).await?)
    }

    async fn walk(&self, query: &ListQuery, delimiter: &str) -> Answer<Vec<String>> {
        Ok(objects::walk(&self.db, query, delimiter).await?)
    }
}

#[async_trait]
impl Uploads for SqlMetadata {
    async fn create_upload(
        &self,
        id: UploadId,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        key: Option<&Key>,
        attributes: &Attributes,
        checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
        now: Timestamp,
    ) -> Answer<Result<Upload, Refusal>> {
        let new = NewUpload { id, space, bucket, key, attributes, checksum, now };
        Ok(uploads::create(&self.db, new).await?)
    }

    async fn find_upload(&self, id: UploadId) -> Answer<Option<Upload>> {
        Ok(uploads::find(&self.db, id).await?)
    }

    async fn completed_by(&self, id: UploadId) -> Answer<Option<Object>> {
        Ok(objects::completed_by(&self.db, id).await?)
    }

    async fn completion(&self, id: UploadId) -> Answer<Option<Completed>> {
        Ok(completions::find(&self.db, id).await?)
    }

    async fn upload_parts(&self, id: UploadId) -> Answer<Option<UploadParts>> {
        Ok(uploads::parts(&self.db, id).await?)
    }

    async fn draft_composite(
        &self,
        id: UploadId,
        domain: &DedupDomain,
        read: &UploadParts,
        parts: &[Part],
        now: Timestamp,
    ) -> Answer<Option<Draft>> {
        Ok(drafts::write(&self.db, id, domain, read, parts, now).await?)
    }

    async fn list_parts(&self, id: UploadId, after: Option<PartNumber>, limit: u32) -> Answer<Vec<Part>> {
        Ok(uploads::list_parts(&self.db, id, after, limit).await?)
    }

    async fn list_uploads(&self, query: &ListUploadsQuery) -> Answer<Vec<Upload>> {
        Ok(uploads::list(&self.db, query).await?)
    }

    async fn upload_bytes(&self, ids: &[UploadId]) -> Answer<Vec<(UploadId, u64)>> {
        Ok(uploads::bytes(&self.db, ids).await?)
    }

    async fn abort_upload(&self, id: UploadId) -> Answer<bool> {
        Ok(uploads::abort(&self.db, id).await?)
    }

    async fn stale_uploads(&self, before: Timestamp, limit: u32) -> Answer<Vec<UploadId>> {
        Ok(uploads::stale(&self.db, before, limit).await?)
    }
}
