//! What owners set on spaces: documents, versioning, object lock.
//!
//! Reading takes the right to read, setting the right to administer, and so does bypassing a governance retention. What
//! holds a version (retention, legal hold) is part of the object and is written with the right to write.

use std::sync::Arc;

use crate::application::commit::refused;
use crate::application::entered::{Entered, Wish};
use crate::application::error::{Error, Result};
use crate::application::object_ref::ObjectRef;
use crate::application::ports::metadata::{Found, Refusal, SpaceRef};
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::address::{BucketName, SpaceAddress, Tenant};
use crate::domain::cors::{CorsAnswer, CorsRequest};
use crate::domain::invalid::Invalid;
use crate::domain::object::Object;
use crate::domain::object_lock::LockConfig;
use crate::domain::policy::Policy;
use crate::domain::principal::Principal;
use crate::domain::settings::{Setting, SettingKind, SpaceSettings};
use crate::domain::space::{Space, Versioning};
use crate::domain::timestamp::Timestamp;

/// How often a setting is decided again whose space's settings change meanwhile, before the client is told to try again.
const ATTEMPTS_MAX: usize = 64;

impl Store {
    /// The space that a bucket names, and all that is set on it, for who may do `action` there.
    pub async fn bucket_settings(
        &self,
        who: &Principal,
        action: Action,
        bucket: &BucketName,
    ) -> Result<(Space, Arc<SpaceSettings>)> {
        let entered = self.enter(who, Wish::of(action, None), &SpaceRef::Bucket(bucket.clone())).await?;
        Ok((entered.space.ok_or(Error::NoSuchBucket)?, entered.settings))
    }

    /// Sets a document of a bucket's space.
    pub async fn put_setting(&self, who: &Principal, bucket: &BucketName, setting: Setting) -> Result<()> {
        setting.validate()?;
        self.decide_and_set(who, &SpaceRef::Bucket(bucket.clone()), &setting).await
    }

    /// Sets a document of a space that exists, whether a bucket names it or not.
    pub(crate) async fn put_space_setting(
        &self,
        who: &Principal,
        space: &SpaceAddress,
        setting: Setting,
    ) -> Result<()> {
        setting.validate()?;
        self.decide_and_set(who, &SpaceRef::Space(space.clone()), &setting).await
    }

    /// Removes a document of a space, whether a bucket names it or not; there need be none.
    pub(crate) async fn delete_space_setting(
        &self,
        who: &Principal,
        space: &SpaceAddress,
        kind: SettingKind,
    ) -> Result<()> {
        self.enter_space(who, kind.removed_by(), space).await?;
        let deleted = self.metadata.delete_setting(space, None, kind).await?.map_err(refused);
        self.noted(kind, deleted)
    }

    /// A space that exists, for who may do `action` there, and what is set on it.
    pub(crate) async fn enter_space(
        &self,
        who: &Principal,
        action: Action,
        address: &SpaceAddress,
    ) -> Result<Entered> {
        let space =
            self.metadata.space(&SpaceRef::Space(address.clone())).await?.ok_or(Error::NoSuchSpace)?;
        let settings = self.settings_at(space.id, space.settings).await?;
        let entered = Entered::at(address.clone(), Some(space), None);
        let entered = Entered { settings, acls: self.acls, ..entered };
        entered.allow(who, Wish::of(action, None), None)?;
        Ok(entered)
    }

    /// Decides on what is set as it stands, and sets `setting` only if that still stands then: of two owners' settings at
    /// once, neither is decided without the other.
    async fn decide_and_set(&self, who: &Principal, place: &SpaceRef, setting: &Setting) -> Result<()> {
        let kind = setting.kind();
        for _ in 0..ATTEMPTS_MAX {
            let entered = match place {
                SpaceRef::Bucket(bucket) => self.enter_to_set(who, kind.set_by(), bucket).await?,
                SpaceRef::Space(space) => self.enter_space(who, kind.set_by(), space).await?,
            };
            let bucket = entered.bucket.as_ref();
            self.check_setting(&entered, setting)?;
            let at = entered.space.as_ref().map(|space| space.settings);
            match self.metadata.put_setting(&entered.address, bucket, setting, at).await? {
                Err(Refusal::Changed) => {}
                done => return self.noted(kind, done.map_err(refused)),
            }
        }
        Err(Error::Conflict)
    }

    /// Sets the policy of a bucket's space. Its resources are that bucket's, and the credentials of its tenant that it
    /// names exist. Returns the space.
    pub async fn put_policy(
        &self,
        who: &Principal,
        bucket: &BucketName,
        document: &str,
    ) -> Result<SpaceAddress> {
        let entered = self.enter_to_set(who, Action::PutBucketPolicy, bucket).await?;
        let policy = Policy::parse(document)?;
        if policy.bucket() != bucket.as_str() {
            return Err(
                Invalid::new("policy", "Policy has invalid resource: it is not of this bucket").into()
            );
        }
        self.check_named(&policy, &entered.address.tenant).await?;
        self.decide_and_set(who, &SpaceRef::Bucket(bucket.clone()), &Setting::Policy(Arc::new(policy)))
            .await?;
        Ok(entered.address)
    }

    /// Refuses a policy of a space of this tenant that names a credential which does not exist.
    pub(crate) async fn check_named(&self, policy: &Policy, tenant: &Tenant) -> Result<()> {
        let named = policy.credentials_of(tenant);
        if !named.is_empty() {
            let known = self.metadata.list_credentials(Some(tenant)).await?;
            if let Some(unknown) = named.iter().find(|id| known.iter().all(|known| known.id != **id)) {
                return Err(Invalid::new("policy", format!("Invalid principal in policy: {unknown}")).into());
            }
        }
        Ok(())
    }

    /// Removes a document of a bucket's space; there need be none.
    pub async fn delete_setting(
        &self,
        who: &Principal,
        bucket: &BucketName,
        kind: SettingKind,
    ) -> Result<()> {
        let entered = self.enter_to_set(who, kind.removed_by(), bucket).await?;
        let deleted =
            self.metadata.delete_setting(&entered.address, Some(bucket), kind).await?.map_err(refused);
        self.noted(kind, deleted)
    }

    /// `result` of setting or removing a document of this kind, which is noted.
    pub(crate) fn noted(&self, kind: SettingKind, result: Result<()>) -> Result<()> {
        if kind == SettingKind::Policy {
            self.policied.changed();
        }
        result
    }

    async fn enter_to_set(&self, who: &Principal, action: Action, bucket: &BucketName) -> Result<Entered> {
        self.enter(who, Wish::of(action, None), &SpaceRef::Bucket(bucket.clone())).await
    }

    /// Sets whether a bucket's space keeps versions. `Off` is refused where it once did, and anything but
    /// `Enabled` where versions can be locked.
    pub async fn set_versioning(
        &self,
        who: &Principal,
        bucket: &BucketName,
        versioning: Versioning,
    ) -> Result<Space> {
        let entered = self.enter_to_set(who, Action::PutBucketVersioning, bucket).await?;
        let now = self.clock.now();
        self.metadata.set_versioning(&entered.address, versioning, now).await?.map_err(refused)
    }

    /// Makes the versions of a bucket's space lockable, for good, and sets what new ones get.
    pub async fn set_object_lock(
        &self,
        who: &Principal,
        bucket: &BucketName,
        config: LockConfig,
    ) -> Result<()> {
        let entered = self.enter_to_set(who, Action::PutBucketObjectLockConfiguration, bucket).await?;
        self.metadata.set_object_lock(&entered.address, Some(bucket), config).await?.map_err(refused)
    }

    /// An object of a space whose versions can be locked; what holds it is in it.
    pub async fn lockable(&self, who: &Principal, action: Action, object: &ObjectRef) -> Result<Object> {
        let lockless = match object {
            ObjectRef::Key { place, .. } => {
                let entered = self.resolve(place).await?;
                entered.space.is_some_and(|space| space.object_lock.is_none())
            }
            ObjectRef::Id(_) => false,
        };
        // A missing key is the graver fault, as S3 has it. This also decides whether the caller may know.
        let Found { object, .. } = self.locate_content(who, action, object).await?.found;
        if lockless { Err(Error::NoObjectLock) } else { Ok(object) }
    }

    /// When a lifecycle rule removes an object, and which: for current versions only. Costs no look into the
    /// database unless something is set on the object's space.
    pub async fn expiry(&self, object: &Object) -> Result<Option<(Timestamp, String)>> {
        if object.settings.is_untouched() {
            return Ok(None);
        }
        let settings = self.settings_at(object.space, object.settings).await?;
        let expiry = settings.lifecycle.as_ref().and_then(|lifecycle| lifecycle.expiry(object));
        Ok(expiry.map(|(at, rule)| (at, rule.to_owned())))
    }

    /// What a bucket grants to a page of another origin. No credential is needed: a browser asks this
    /// before it sends credentials.
    pub async fn cors(&self, bucket: &BucketName, request: CorsRequest<'_>) -> Result<CorsAnswer> {
        let Some(space) = self.metadata.space(&SpaceRef::Bucket(bucket.clone())).await? else {
            return Ok(CorsAnswer::NoBucket);
        };
        let settings = self.settings_at(space.id, space.settings).await?;
        Ok(match &settings.cors {
            None => CorsAnswer::NoRules,
            Some(cors) => cors.grant(request).map_or(CorsAnswer::Refused, CorsAnswer::Granted),
        })
    }

    /// What was set on the space of an object when that was looked up, or what has been since.
    pub async fn settings_around(&self, object: &Object) -> Result<Arc<SpaceSettings>> {
        self.settings_at(object.space, object.settings).await
    }
}
