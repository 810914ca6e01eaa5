//! What owners set on spaces: documents, versioning, object lock.
//!
//! Reading takes [`Right::Read`], setting [`Right::Admin`], and so does bypassing a governance retention. What
//! holds a version (retention, legal hold) is part of the object and is written with [`Right::Write`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::application::commit::refused;
use crate::application::error::{Error, Result};
use crate::application::objects::ObjectRef;
use crate::application::ports::metadata::{Found, Place};
use crate::application::store::{Entered, Store};
use crate::domain::address::BucketName;
use crate::domain::cors::{CorsAnswer, CorsRequest};
use crate::domain::object::Object;
use crate::domain::object_lock::LockConfig;
use crate::domain::principal::{Principal, Right};
use crate::domain::settings::{Setting, SettingKind, SettingsRevision, SpaceSettings};
use crate::domain::space::{Space, SpaceId, Versioning};
use crate::domain::timestamp::Timestamp;

/// Spaces whose documents are remembered.
const REMEMBERED_MAX: usize = 1024;

/// Documents by space and revision. A space's row tells its revision with every request, so what is
/// remembered is never out of date, on whichever server it was changed.
#[derive(Clone, Default)]
pub(crate) struct SettingsCache(Arc<Mutex<HashMap<SpaceId, Remembered>>>);

type Remembered = (SettingsRevision, Arc<SpaceSettings>);

impl SettingsCache {
    fn get(&self, space: SpaceId, revision: SettingsRevision) -> Option<Arc<SpaceSettings>> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is newer was read after this request found the space: better still.
        remembered.get(&space).filter(|(known, _)| *known >= revision).map(|(_, settings)| settings.clone())
    }

    fn put(&self, space: SpaceId, revision: SettingsRevision, settings: Arc<SpaceSettings>) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX && !remembered.contains_key(&space) {
            remembered.clear();
        }
        let entry = remembered.entry(space).or_insert_with(|| (revision, settings.clone()));
        if entry.0 < revision {
            *entry = (revision, settings);
        }
    }
}

impl Store {
    /// The space that a bucket names, and all that is set on it.
    pub async fn bucket_settings(
        &self,
        who: &Principal,
        bucket: &BucketName,
    ) -> Result<(Space, Arc<SpaceSettings>)> {
        let space = self.head_bucket(who, bucket).await?;
        let settings = self.settings_at(space.id, space.settings).await?;
        Ok((space, settings))
    }

    /// Sets a document of a bucket's space.
    pub async fn put_setting(&self, who: &Principal, bucket: &BucketName, setting: Setting) -> Result<()> {
        setting.validate()?;
        let entered = self.enter_to_set(who, bucket).await?;
        self.check_setting(&entered, &setting).await?;
        self.metadata.put_setting(&entered.address, bucket, &setting).await?.map_err(refused)
    }

    /// Removes a document of a bucket's space; there need be none.
    pub async fn delete_setting(
        &self,
        who: &Principal,
        bucket: &BucketName,
        kind: SettingKind,
    ) -> Result<()> {
        let entered = self.enter_to_set(who, bucket).await?;
        self.metadata.delete_setting(&entered.address, bucket, kind).await?.map_err(refused)
    }

    async fn enter_to_set(&self, who: &Principal, bucket: &BucketName) -> Result<Entered> {
        self.enter(who, Right::Admin, &Place::Bucket(bucket.clone())).await
    }

    /// Sets whether a bucket's space keeps versions. `Off` is refused where it once did, and anything but
    /// `Enabled` where versions can be locked.
    pub async fn set_versioning(
        &self,
        who: &Principal,
        bucket: &BucketName,
        versioning: Versioning,
    ) -> Result<Space> {
        let entered = self.enter_to_set(who, bucket).await?;
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
        let entered = self.enter_to_set(who, bucket).await?;
        self.metadata.set_object_lock(&entered.address, bucket, config).await?.map_err(refused)
    }

    /// An object of a space whose versions can be locked; what holds it is in it.
    pub async fn lockable(&self, who: &Principal, object: &ObjectRef) -> Result<Object> {
        if let ObjectRef::Key { place, .. } = object {
            let entered = self.enter(who, Right::Read, place).await?;
            if entered.space.is_some_and(|space| space.object_lock.is_none()) {
                return Err(Error::NoObjectLock);
            }
        }
        let Found { object, .. } = self.locate_content(who, Right::Read, object).await?.found;
        Ok(object)
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

    /// What a bucket grants to a page of another origin. Nobody needs to prove anything: a browser asks this
    /// before it sends credentials.
    pub async fn cors(&self, bucket: &BucketName, request: CorsRequest<'_>) -> Result<CorsAnswer> {
        let Some(space) = self.metadata.space(&Place::Bucket(bucket.clone())).await? else {
            return Ok(CorsAnswer::NoBucket);
        };
        let settings = self.settings_at(space.id, space.settings).await?;
        Ok(match &settings.cors {
            None => CorsAnswer::NoRules,
            Some(cors) => cors.grant(request).map_or(CorsAnswer::Refused, CorsAnswer::Granted),
        })
    }

    /// What is set on a place; nothing where it was reached without a bucket.
    pub(crate) async fn settings_of(&self, entered: &Entered) -> Result<Arc<SpaceSettings>> {
        match &entered.space {
            Some(space) => self.settings_at(space.id, space.settings).await,
            None => Ok(Arc::default()),
        }
    }

    async fn settings_at(&self, space: SpaceId, revision: SettingsRevision) -> Result<Arc<SpaceSettings>> {
        if revision.is_untouched() {
            return Ok(Arc::default());
        }
        if let Some(remembered) = self.settings.get(space, revision) {
            return Ok(remembered);
        }
        let (revision, settings) = self.metadata.settings(space).await?;
        let settings = Arc::new(settings);
        self.settings.put(space, revision, settings.clone());
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_revision_is_never_replaced_by_an_older_one() {
        let cache = SettingsCache::default();
        let (space, of) = (SpaceId(1), |n| (SettingsRevision(n), Arc::new(SpaceSettings::default())));
        let (two, second) = of(2);
        cache.put(space, two, second.clone());
        let (one, first) = of(1);
        cache.put(space, one, first);
        assert!(Arc::ptr_eq(&cache.get(space, one).unwrap_or_default(), &second));
        assert!(cache.get(space, SettingsRevision(3)).is_none());
    }
}
