//! The port, method by method: each hands over to the file that knows.

use async_trait::async_trait;
use uuid::Uuid;

use super::read::{objects, spaces as pages, usage, validate};
use super::session::database::Database;
use super::upkeep::segments::Announcement;
use super::upkeep::{garbage, holds, kept, leases, relocate, scrub, segments, stuck};
use super::write::uploads::NewUpload;
use super::write::{adopt, commit, completions, credentials, drafts, limits, settings, spaces, uploads};
use super::{LeaseTime, SqlMetadata};
use crate::application::ports::metadata::{
    BucketDeletion, Catalogue, Credential, Credentials, Draft, Found, Hold, Inconsistency, KeptSegment,
    LeafRecord, Leases, Leftover, LifecyclePass, ListQuery, ListUploadsQuery, MetadataError, MetadataStore,
    Move, Mutation, Objects, Outcome, Place, PutObject, Refusal, Relocation, Retained, ScrubPass,
    SegmentRecord, SpaceEntry, SpaceUsage, Spaces, Stuck, Swept, Target, Upkeep, Uploads, WriterId,
};
use crate::application::ports::segments::{Mended, SegmentKind};
use crate::domain::address::{BucketName, Key, Namespace, SpaceAddress, Tenant};
use crate::domain::blob::{BlobId, Extent, Location, SegmentId};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::domain::completion::Completed;
use crate::domain::limits::{Holdings, Overrides};
use crate::domain::multipart::{Part, PartNumber, Upload, UploadId, UploadParts};
use crate::domain::object::{Attributes, Listed, Object, ObjectId};
use crate::domain::object_lock::LockConfig;
use crate::domain::range::Span;
use crate::domain::settings::{Setting, SettingKind, SettingsRevision, SpaceSettings};
use crate::domain::space::{Bucket, DedupDomain, Space, SpaceId, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

type Answer<T> = Result<T, MetadataError>;

#[async_trait]
impl Objects for SqlMetadata {
    async fn commit(
        &self,
        writer: WriterId,
        batch: Vec<Mutation>,
        now: Timestamp,
    ) -> Answer<Vec<Result<Outcome, Refusal>>> {
        let writer = (writer, self.writes_as.token(writer));
        Ok(commit::commit(&self.db, writer, &batch, now).await?)
    }

    async fn find(&self, target: &Target) -> Answer<Option<Found>> {
        match target {
            Target::Latest(space, key) => self.latest(&Place::Space(space.clone()), key).await,
            Target::Version(space, key, version) => {
                Ok(objects::find_version(&self.db, space, key, *version).await?)
            }
            Target::Id(id) => Ok(objects::find_by_id(&self.db, *id).await?),
        }
    }

    async fn latest(&self, place: &Place, key: &Key) -> Answer<Option<Found>> {
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

    async fn abort_upload(&self, id: UploadId) -> Answer<bool> {
        Ok(uploads::abort(&self.db, id).await?)
    }

    async fn stale_uploads(&self, before: Timestamp, limit: u32) -> Answer<Vec<UploadId>> {
        Ok(uploads::stale(&self.db, before, limit).await?)
    }
}

#[async_trait]
impl Spaces for SqlMetadata {
    async fn space(&self, place: &Place) -> Answer<Option<Space>> {
        self.lookups.space(place).await
    }

    async fn make_space(&self, space: &SpaceAddress, now: Timestamp) -> Answer<Space> {
        Ok(spaces::make(&self.db, space, now).await?)
    }

    async fn list_spaces(
        &self,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&SpaceAddress>,
        limit: u32,
    ) -> Answer<Vec<SpaceEntry>> {
        Ok(pages::list(&self.db, tenant, prefix, after, limit).await?)
    }

    async fn space_entry(&self, space: &SpaceAddress) -> Answer<Option<SpaceEntry>> {
        Ok(pages::entry(&self.db, space).await?)
    }

    async fn set_default_class(
        &self,
        space: &SpaceAddress,
        class: StorageClass,
        now: Timestamp,
    ) -> Answer<Space> {
        Ok(spaces::set_default_class(&self.db, space, class, now).await?)
    }

    async fn set_versioning(
        &self,
        space: &SpaceAddress,
        versioning: Versioning,
        now: Timestamp,
    ) -> Answer<Result<Space, Refusal>> {
        Ok(spaces::set_versioning(&self.db, space, versioning, now).await?)
    }

    async fn set_object_lock(
        &self,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        config: LockConfig,
    ) -> Answer<Result<(), Refusal>> {
        Ok(settings::set_object_lock(&self.db, space, bucket, config).await?)
    }

    async fn put_setting(
        &self,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        setting: &Setting,
        at: Option<SettingsRevision>,
    ) -> Answer<Result<(), Refusal>> {
        Ok(settings::write(&self.db, space, bucket, setting.kind(), Some(setting), at).await?)
    }

    async fn delete_setting(
        &self,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        kind: SettingKind,
    ) -> Answer<Result<(), Refusal>> {
        Ok(settings::write(&self.db, space, bucket, kind, None, None).await?)
    }

    async fn settings(&self, space: SpaceId) -> Answer<(SettingsRevision, SpaceSettings)> {
        Ok(settings::read(&self.db, space).await?)
    }

    async fn policied(&self) -> Answer<Vec<(BucketName, SpaceAddress)>> {
        Ok(settings::policied(&self.db).await?)
    }

    async fn next_lifecycle(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Answer<Vec<(SpaceAddress, Answer<LifecyclePass>)>> {
        Ok(settings::next_lifecycle(&self.db, before, limit).await?)
    }

    async fn save_lifecycle(&self, pass: &LifecyclePass, now: Timestamp) -> Answer<()> {
        Ok(settings::save_lifecycle(&self.db, pass, now).await?)
    }

    async fn create_bucket(
        &self,
        name: &BucketName,
        space: &SpaceAddress,
        locking: bool,
        now: Timestamp,
    ) -> Answer<Result<Bucket, Bucket>> {
        Ok(spaces::create_bucket(&self.db, name, space, locking, now).await?)
    }

    async fn list_buckets(
        &self,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Answer<Vec<Bucket>> {
        Ok(spaces::list_buckets(&self.db, tenant, prefix, after, limit).await?)
    }

    async fn delete_bucket(&self, name: &BucketName, _now: Timestamp) -> Answer<BucketDeletion> {
        Ok(spaces::delete_bucket(&self.db, name).await?)
    }

    async fn tenant_limits(&self, tenant: &Tenant) -> Answer<Option<Overrides>> {
        Ok(limits::find(&self.db, tenant).await?)
    }

    async fn list_tenant_limits(&self) -> Answer<Vec<(Tenant, Overrides)>> {
        Ok(limits::list(&self.db).await?)
    }

    async fn set_tenant_limits(&self, tenant: &Tenant, said: &Overrides, now: Timestamp) -> Answer<()> {
        Ok(limits::set(&self.db, tenant, said, now).await?)
    }

    async fn holdings(&self, tenant: &Tenant) -> Answer<Holdings> {
        Ok(limits::holdings(&self.db, tenant).await?)
    }

    async fn usage(&self, tenant: Option<&Tenant>, namespace: Option<&Namespace>) -> Answer<Vec<SpaceUsage>> {
        Ok(usage::usage(&self.db, tenant, namespace).await?)
    }

    async fn writing(&self) -> Answer<Vec<(SpaceAddress, u64)>> {
        Ok(usage::writing(&self.db).await?)
    }
}

#[async_trait]
impl Catalogue for SqlMetadata {
    async fn open_segment(
        &self,
        writer: WriterId,
        id: SegmentId,
        tier: StorageClass,
        kind: SegmentKind,
        now: Timestamp,
    ) -> Answer<()> {
        Ok(segments::open(&self.db, (writer, self.writes_as.token(writer)), id, tier, kind, now).await?)
    }

    async fn announce(
        &self,
        writer: WriterId,
        id: ObjectId,
        segment: SegmentId,
        tier: StorageClass,
        space: &SpaceAddress,
        key: Option<&Key>,
        now: Timestamp,
    ) -> Answer<()> {
        let token = self.writes_as.token(writer);
        let new = Announcement { writer, token, id, segment, tier, space, key, now };
        Ok(segments::announce(&self.db, new).await?)
    }

    async fn abandon(&self, id: ObjectId, segment: SegmentId) -> Answer<()> {
        Ok(segments::abandon(&self.db, id, segment).await?)
    }

    async fn settle_segment(&self, id: SegmentId, mended: Option<Mended>, now: Timestamp) -> Answer<()> {
        Ok(segments::settle(&self.db, id, mended, now).await?)
    }

    async fn take_over(&self, writer: WriterId) -> Answer<Leftover> {
        Ok(segments::take_over(&self.db, writer).await?)
    }

    async fn set_aside(&self, id: SegmentId) -> Answer<()> {
        Ok(kept::set_aside(&self.db, id).await?)
    }

    async fn find_segment(&self, id: SegmentId) -> Answer<Option<SegmentRecord>> {
        Ok(segments::find(&self.db, id).await?)
    }

    async fn scan_segments(&self, after: Option<SegmentId>, limit: u32) -> Answer<Vec<SegmentRecord>> {
        Ok(segments::scan(&self.db, after, limit).await?)
    }

    async fn is_unnamed(&self, id: SegmentId) -> Answer<bool> {
        Ok(segments::is_unnamed(&self.db, id).await?)
    }

    async fn find_leaf(&self, blob: BlobId) -> Answer<Option<LeafRecord>> {
        Ok(segments::find_leaf(&self.db, blob).await?)
    }

    async fn leaves_in(&self, segment: SegmentId, limit: u32) -> Answer<Vec<LeafRecord>> {
        Ok(segments::leaves_in(&self.db, segment, limit).await?)
    }

    async fn scan_leaves(&self, after: Option<BlobId>, limit: u32) -> Answer<Vec<LeafRecord>> {
        Ok(segments::scan_leaves(&self.db, after, limit).await?)
    }

    async fn relocate(
        &self,
        writer: WriterId,
        relocations: Vec<Relocation>,
        now: Timestamp,
    ) -> Answer<Vec<bool>> {
        let writer = (writer, self.writes_as.token(writer));
        Ok(relocate::relocate(&self.db, writer, &relocations, now).await?)
    }

    async fn quarantine(&self, blob: BlobId, at: Location) -> Answer<()> {
        Ok(garbage::quarantine(&self.db, blob, at).await?)
    }

    async fn release(&self, blob: BlobId, at: Location) -> Answer<()> {
        Ok(scrub::release(&self.db, blob, at).await?)
    }

    async fn quarantined(&self, after: Option<BlobId>, limit: u32) -> Answer<Vec<LeafRecord>> {
        Ok(scrub::quarantined(&self.db, after, limit).await?)
    }

    async fn adopt_segment(
        &self,
        segment: SegmentRecord,
        objects: Vec<PutObject>,
        now: Timestamp,
    ) -> Answer<Option<u64>> {
        Ok(adopt::adopt(&self.db, segment, objects, now).await?)
    }

    async fn count_commits(&self, writer: WriterId) -> Answer<()> {
        Ok(kept::count_commits(&self.db, writer).await?)
    }

    async fn commit_counts(&self) -> Answer<Vec<(WriterId, u64)>> {
        Ok(kept::commit_counts(&self.db).await?)
    }

    async fn keep_open_segments(&self, now: Timestamp) -> Answer<u64> {
        Ok(kept::keep_open(&self.db, now).await?)
    }

    async fn kept_segments(&self) -> Answer<Vec<KeptSegment>> {
        Ok(kept::kept(&self.db).await?)
    }

    async fn give_up_segment(&self, id: SegmentId, now: Timestamp) -> Answer<bool> {
        Ok(kept::give_up(&self.db, id, now).await?)
    }

    async fn inconsistencies(&self) -> Answer<Vec<Inconsistency>> {
        Ok(validate::inconsistencies(&self.db).await?)
    }
}

#[async_trait]
impl Upkeep for SqlMetadata {
    async fn purge_deleting(&self, limit: u32) -> Answer<u64> {
        Ok(garbage::purge(&self.db, limit).await?)
    }

    async fn deleting(&self, limit: u32) -> Answer<Vec<ObjectId>> {
        Ok(garbage::deleting(&self.db, limit).await?)
    }

    async fn purge(&self, objects: &[ObjectId]) -> Answer<u64> {
        Ok(garbage::purge_these(&self.db, objects).await?)
    }

    async fn sweep(&self, limit: u32, now: Timestamp) -> Answer<Swept> {
        Ok(garbage::sweep(&self.db, limit, now).await?)
    }

    async fn candidates(&self, limit: u32) -> Answer<Vec<BlobId>> {
        Ok(garbage::candidates(&self.db, limit).await?)
    }

    async fn sweep_these(&self, blobs: &[BlobId], now: Timestamp) -> Answer<Swept> {
        Ok(garbage::sweep_these(&self.db, blobs, now).await?)
    }

    async fn condemned(&self, before: Timestamp, now: Timestamp, limit: u32) -> Answer<Vec<SegmentRecord>> {
        Ok(segments::condemned(&self.db, before, now, limit).await?)
    }

    async fn retained(&self) -> Answer<Retained> {
        Ok(holds::retained(&self.db).await?)
    }

    async fn forget_segments(&self, ids: &[SegmentId]) -> Answer<()> {
        Ok(segments::forget(&self.db, ids).await?)
    }

    async fn moves(&self, limit: u32) -> Answer<Vec<Move>> {
        Ok(garbage::moves(&self.db, limit).await?)
    }

    async fn sparse_packs(&self, limit: u32) -> Answer<Vec<SegmentRecord>> {
        Ok(segments::sparse_packs(&self.db, limit).await?)
    }

    async fn begin_hold(&self, hold: &Hold) -> Answer<()> {
        Ok(holds::begin(&self.db, hold).await?)
    }

    async fn end_hold(&self, id: Uuid) -> Answer<bool> {
        Ok(holds::end(&self.db, id).await?)
    }

    async fn holds(&self) -> Answer<Vec<Hold>> {
        Ok(holds::all(&self.db).await?)
    }

    async fn expire_holds(&self, now: Timestamp) -> Answer<Vec<Hold>> {
        Ok(holds::expire(&self.db, now).await?)
    }

    async fn stuck(&self, worker: Option<&str>, limit: u32) -> Answer<Vec<Stuck>> {
        Ok(stuck::all(&self.db, worker, limit).await?)
    }

    async fn put_aside(&self, stuck: &Stuck) -> Answer<()> {
        Ok(stuck::put(&self.db, stuck).await?)
    }

    async fn clear_stuck(&self, worker: &str, items: &[String]) -> Answer<()> {
        Ok(stuck::clear(&self.db, worker, items).await?)
    }

    async fn retry_stuck(&self, item: Option<&str>, now: Timestamp) -> Answer<u64> {
        Ok(stuck::retry(&self.db, item, now).await?)
    }

    async fn count_stuck(&self) -> Answer<Vec<(String, u64)>> {
        Ok(stuck::count(&self.db).await?)
    }

    async fn scrub_pass(&self) -> Answer<Option<ScrubPass>> {
        Ok(scrub::pass(&self.db).await?)
    }

    async fn begin_scrub(&self, now: Timestamp) -> Answer<ScrubPass> {
        Ok(scrub::begin(&self.db, now).await?)
    }

    async fn advance_scrub(&self, from: &ScrubPass, to: &ScrubPass) -> Answer<bool> {
        Ok(scrub::advance(&self.db, from, to).await?)
    }
}

#[async_trait]
impl Credentials for SqlMetadata {
    async fn create_credential(&self, credential: &Credential) -> Answer<()> {
        Ok(credentials::create(&self.db, credential).await?)
    }

    async fn find_credential(&self, lookup: &str) -> Answer<Option<Credential>> {
        Ok(credentials::find(&self.db, lookup).await?)
    }

    async fn list_credentials(&self, tenant: Option<&Tenant>) -> Answer<Vec<Credential>> {
        Ok(credentials::list(&self.db, tenant).await?)
    }

    async fn revoke_credential(&self, id: Uuid, now: Timestamp) -> Answer<bool> {
        Ok(credentials::revoke(&self.db, id, now).await?)
    }

    async fn rotate_credential(
        &self,
        old: Uuid,
        now: Timestamp,
        ends: Timestamp,
        new: &Credential,
    ) -> Answer<bool> {
        Ok(credentials::rotate(&self.db, old, now, ends, new).await?)
    }

    async fn reseal_credential(&self, id: Uuid, was: &[u8], sealed: &[u8]) -> Answer<bool> {
        Ok(credentials::reseal(&self.db, id, was, sealed).await?)
    }
}

#[async_trait]
impl Leases for SqlMetadata {
    async fn heartbeat(&self, writer: WriterId, until: Timestamp) -> Answer<()> {
        Ok(segments::heartbeat(&self.db, writer, self.writes_as.token(writer), until).await?)
    }

    async fn dead_writers(&self, now: Timestamp) -> Answer<Vec<WriterId>> {
        Ok(segments::dead_writers(&self.db, now).await?)
    }

    async fn lease_time(&self, own: Timestamp) -> Answer<Timestamp> {
        match (self.time, &self.db) {
            (LeaseTime::Database, Database::Postgres(_)) => Ok(leases::time(&self.db).await?),
            (LeaseTime::Passed, _) | (LeaseTime::Database, Database::Sqlite { .. }) => Ok(own),
        }
    }

    async fn acquire_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Answer<bool> {
        Ok(leases::acquire(&self.db, name, holder, now, until).await?)
    }

    async fn release_lease(&self, name: &str, holder: Uuid) -> Answer<()> {
        Ok(leases::release(&self.db, name, holder).await?)
    }
}

#[async_trait]
impl MetadataStore for SqlMetadata {
    async fn check(&self) -> Answer<()> {
        Ok(usage::check(&self.db).await?)
    }

    async fn close(&self) {
        self.db.close().await;
    }
}
