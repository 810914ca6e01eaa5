//! Spaces and what is set on them, whether a bucket names them or not.

use std::sync::Arc;

use super::buckets::reader;
use super::{Admin, allow};
use crate::access::administer::{Scope, as_administrator};
use crate::application::commit::refused;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{SpaceEntry, SpaceRef};
use crate::domain::action::Action;
use crate::domain::address::{BucketName, SpaceAddress, Tenant};
use crate::domain::invalid::Invalid;
use crate::domain::object_lock::LockConfig;
use crate::domain::policy::Policy;
use crate::domain::principal::Principal;
use crate::domain::settings::{Setting, SettingKind, SpaceSettings};
use crate::domain::space::Versioning;
use crate::domain::storage_class::StorageClass;

/// A change of what is set on a space.
#[derive(Clone, Debug)]
pub enum SpaceChange {
    /// Whether keys keep versions.
    Versioning(Versioning),
    /// The class of an object whose writer names none.
    DefaultClass(StorageClass),
    /// A document, in the place of the one of its kind.
    Set(Setting),
    /// A policy, as it is written.
    Policy(String),
    /// No document of this kind any more.
    Remove(SettingKind),
    /// That versions can be locked, for good, and what new ones get.
    ObjectLock(LockConfig),
}

impl SpaceChange {
    /// The action that a policy can deny.
    fn action(&self) -> Action {
        match self {
            // The class of new objects is decided like versioning: both are the owner's.
            Self::Versioning(_) | Self::DefaultClass(_) => Action::PutBucketVersioning,
            Self::Set(setting) => setting.kind().set_by(),
            Self::Policy(_) => Action::PutBucketPolicy,
            Self::Remove(kind) => kind.removed_by(),
            Self::ObjectLock(_) => Action::PutBucketObjectLockConfiguration,
        }
    }
}

impl Admin {
    /// The spaces that `who` sees, in order of namespace and tenant, after one; of one tenant, or of all; those whose
    /// namespace begins with `prefix`.
    pub async fn spaces(
        &self,
        who: &Principal,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&SpaceAddress>,
        limit: u32,
    ) -> Result<Vec<SpaceEntry>> {
        let who = reader(who)?;
        let who = match tenant {
            Some(tenant) => match who.confined(tenant) {
                Some(who) => who,
                None => return Ok(Vec::new()),
            },
            None => who,
        };
        let own = (who.tenants == crate::domain::principal::Tenants::Own).then_some(&who.tenant);
        let mut visible: Vec<SpaceEntry> = Vec::new();
        let mut after = after.cloned();
        // One bound to a few namespaces sees few of its tenant's spaces: go on until the page is full.
        loop {
            let page = self.store.metadata.list_spaces(own, prefix, after.as_ref(), limit).await?;
            let full = page.len() >= limit as usize;
            after = page.last().map(|entry| entry.space.address.clone());
            visible.extend(page.into_iter().filter(|entry| who.sees(&entry.space.address)));
            if !full || visible.len() >= limit as usize {
                visible.truncate(limit as usize);
                return Ok(visible);
            }
        }
    }

    /// A space that `who` administers, and what is set on it.
    pub async fn space(
        &self,
        who: &Principal,
        address: &SpaceAddress,
    ) -> Result<(SpaceEntry, Arc<SpaceSettings>)> {
        allow(who, Scope::Space(address), Error::NoSuchSpace)?;
        let entry = self.store.metadata.space_entry(address).await?.ok_or(Error::NoSuchSpace)?;
        let settings = self.store.settings_at(entry.space.id, entry.space.settings).await?;
        Ok((entry, settings))
    }

    /// Changes what is set on a space, which is made if it does not exist.
    pub async fn change_space(
        &self,
        who: &Principal,
        address: &SpaceAddress,
        change: SpaceChange,
    ) -> Result<()> {
        allow(who, Scope::Space(address), Error::NoSuchSpace)?;
        let (who, action) = (as_administrator(who), change.action());
        let store = &self.store;
        store.metadata.make_space(address, store.clock.now()).await?;
        match change {
            SpaceChange::Set(Setting::Notifications(rules)) => {
                store.check_targets(&rules, address).await?;
                let targets = rules.targets();
                store.put_space_setting(&who, address, Setting::Notifications(rules)).await?;
                store.tell_test(address, address.namespace.as_str(), &targets).await
            }
            SpaceChange::Set(setting) => store.put_space_setting(&who, address, setting).await,
            SpaceChange::Remove(kind) => store.delete_space_setting(&who, address, kind).await,
            SpaceChange::Policy(document) => {
                let bucket = self.bucket_of(address, &document).await?;
                store.put_policy(&who, &bucket, &document).await.map(drop)
            }
            SpaceChange::Versioning(versioning) => {
                store.enter_space(&who, action, address).await?;
                let now = store.clock.now();
                store.metadata.set_versioning(address, versioning, now).await?.map_err(refused).map(drop)
            }
            SpaceChange::DefaultClass(class) => {
                store.enter_space(&who, action, address).await?;
                Ok(store.metadata.set_default_class(address, class, store.clock.now()).await.map(drop)?)
            }
            SpaceChange::ObjectLock(config) => {
                store.enter_space(&who, action, address).await?;
                store.metadata.set_object_lock(address, None, config).await?.map_err(refused)
            }
        }
    }

    /// The bucket that a policy's resources name; it names this space.
    async fn bucket_of(&self, address: &SpaceAddress, document: &str) -> Result<BucketName> {
        let policy = Policy::parse(document)?;
        let refuse =
            || Invalid::new("policy", "Policy has invalid resource: no bucket of that name names this space");
        let bucket = BucketName::new(policy.bucket()).map_err(|_| refuse())?;
        let space = self.store.metadata.space(&SpaceRef::Bucket(bucket.clone())).await?;
        if space.is_some_and(|space| space.address == *address) { Ok(bucket) } else { Err(refuse().into()) }
    }
}
