//! The ports of spaces and credentials.

use async_trait::async_trait;
use uuid::Uuid;

use super::Answer;
use crate::application::ports::metadata::{
    BucketDeletion, Credential, Credentials, LifecyclePass, NewSpace, Refusal, SpaceEntry, SpaceRef,
    SpaceUsage, Spaces,
};
use crate::domain::address::{BucketName, Namespace, SpaceAddress, Tenant};
use crate::domain::limits::{Holdings, Overrides};
use crate::domain::object_lock::LockConfig;
use crate::domain::settings::{Setting, SettingKind, SpaceSettings};
use crate::domain::space::{Bucket, SettingsRevision, Space, SpaceId, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::{space_pages as pages, spaces as known, usage};
use crate::infrastructure::metadata::write::{buckets, credentials, limits, settings, spaces};

#[async_trait]
impl Spaces for SqlMetadata {
    async fn space(&self, place: &SpaceRef) -> Answer<Option<Space>> {
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

    async fn noted(&self) -> Answer<Vec<(Option<BucketName>, SpaceAddress)>> {
        Ok(settings::noted(&self.db).await?)
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
        Ok(buckets::create_bucket(&self.db, name, space, locking, now).await?)
    }

    async fn declare_bucket(
        &self,
        name: &BucketName,
        space: &SpaceAddress,
        new: &NewSpace,
        now: Timestamp,
    ) -> Answer<Result<Bucket, Bucket>> {
        Ok(buckets::declare_bucket(&self.db, name, space, new, now).await?)
    }

    async fn list_buckets(
        &self,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Answer<Vec<Bucket>> {
        Ok(known::list_buckets(&self.db, tenant, prefix, after, limit).await?)
    }

    async fn delete_bucket(&self, name: &BucketName, _now: Timestamp) -> Answer<BucketDeletion> {
        Ok(buckets::delete_bucket(&self.db, name).await?)
    }

    async fn tenant_limits(&self, tenant: &Tenant) -> Answer<Option<Overrides>> {
        Ok(limits::find(&self.db, tenant).await?)
    }

    async fn list_tenant_limits(&self) -> Answer<Vec<(Tenant, Overrides)>> {
        Ok(limits::list(&self.db).await?)
    }

    async fn set_tenant_limits(
        &self,
        tenant: &Tenant,
        was: &Overrides,
        said: &Overrides,
        now: Timestamp,
    ) -> Answer<bool> {
        Ok(limits::set(&self.db, tenant, was, said, now).await?)
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
impl Credentials for SqlMetadata {
    async fn create_credential(&self, credential: &Credential) -> Answer<()> {
        Ok(credentials::create(&self.db, credential).await?)
    }

    async fn declare_credential(&self, credential: &Credential) -> Answer<bool> {
        Ok(credentials::declare(&self.db, credential).await?)
    }

    async fn restate_credential(&self, credential: &Credential) -> Answer<bool> {
        Ok(credentials::restate(&self.db, credential).await?)
    }

    async fn find_credential(&self, lookup: &str) -> Answer<Option<Credential>> {
        Ok(credentials::find(&self.db, lookup).await?)
    }

    async fn credential(&self, id: Uuid) -> Answer<Option<Credential>> {
        Ok(credentials::by_id(&self.db, id).await?)
    }

    async fn list_credentials(&self, tenant: Option<&Tenant>) -> Answer<Vec<Credential>> {
        Ok(credentials::list(&self.db, tenant).await?)
    }

    async fn ending_credentials(
        &self,
        after: Timestamp,
        by: Timestamp,
        limit: u32,
    ) -> Answer<Vec<Credential>> {
        Ok(credentials::ending(&self.db, after, by, limit).await?)
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
