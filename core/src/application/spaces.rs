//! Buckets, spaces and their figures.

use crate::application::access::authorize;
use crate::application::commit::refused;
use crate::application::entered::Wish;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{BucketDeletion, SpaceRef, SpaceUsage};
use crate::application::store::Store;
use crate::domain::acl::CannedAcl;
use crate::domain::action::Action;
use crate::domain::address::{BucketName, Namespace, SpaceAddress, Tenant};
use crate::domain::object::Tags;
use crate::domain::principal::{Principal, Proof, Right, Tenants};
use crate::domain::settings::{BucketOwnerEnforced, Declared, Setting};
use crate::domain::space::{Bucket, Space};

/// What a new bucket is like.
#[derive(Clone, Debug, Default)]
pub struct NewBucket {
    /// What it is a name for; `None` for the caller's own space of the same namespace.
    pub space: Option<SpaceAddress>,
    /// Whether versions in its space can be locked from the beginning, which takes versioning: that is enabled.
    pub locking: bool,
    /// What it grants to strangers, where ACLs count.
    pub acl: CannedAcl,
    /// Whether it has no ACLs from the beginning, where they count.
    pub owner_enforced: bool,
    /// Its tags, which take the right to administer.
    pub tags: Tags,
}

impl Store {
    /// Makes a bucket.
    pub async fn create_bucket(&self, who: &Principal, name: &BucketName, new: NewBucket) -> Result<Bucket> {
        let NewBucket { space, locking, acl, owner_enforced, tags } = new;
        let address = match space {
            Some(space) => space,
            None => SpaceAddress::new(Namespace::new(name.as_str())?, who.tenant.clone()),
        };
        authorize::check(who, Right::Write, &address, Error::Forbidden(Right::Write))?;
        authorize::refuse_bound(who)?;
        if acl.is_shared() {
            if !self.heeds_acls() {
                return Err(Error::AclsDisabled);
            }
            if owner_enforced {
                return Err(Error::AclShared);
            }
            authorize::check(who, Right::Admin, &address, Error::Forbidden(Right::Admin))?;
        }
        let tags = (!tags.is_empty()).then_some(Setting::Tags(tags));
        if let Some(tags) = &tags {
            tags.validate()?;
            authorize::check(who, Right::Admin, &address, Error::Forbidden(Right::Admin))?;
        }
        let made = self.metadata.create_bucket(name, &address, locking, self.clock.now()).await?;
        let bucket = made.map_err(|taken| Error::BucketExists {
            name: taken.name,
            own: taken.space.address.tenant == address.tenant,
        })?;
        // In transactions of their own: a process that dies in between leaves a private bucket without tags.
        let setting = match (acl.is_shared(), owner_enforced && self.heeds_acls()) {
            (true, _) => Some(Setting::Acl(acl)),
            (false, true) => Some(Setting::Ownership(Declared::Set(BucketOwnerEnforced))),
            (false, false) => None,
        };
        for setting in setting.into_iter().chain(tags) {
            self.metadata.put_setting(&address, Some(name), &setting, None).await?.map_err(refused)?;
        }
        Ok(bucket)
    }

    /// The space that a bucket names, for who may do `action` there.
    pub async fn bucket_for(&self, who: &Principal, action: Action, name: &BucketName) -> Result<Space> {
        let entered = self.enter(who, Wish::of(action, None), &SpaceRef::Bucket(name.clone())).await?;
        entered.space.ok_or(Error::NoSuchBucket)
    }

    /// Refuses a principal that may not know of a bucket's space, whatever it asks for there.
    pub async fn face_bucket(&self, who: &Principal, name: &BucketName, action: Action) -> Result<()> {
        let entered = self.resolve(&SpaceRef::Bucket(name.clone())).await?;
        let faces = who.sees(&entered.address) || entered.settings.policy.is_some();
        if faces { Ok(()) } else { Err(authorize::refuse(action.right())) }
    }

    /// The caller's buckets in order of name, after one: those of its tenant whose namespace it may see.
    pub async fn list_buckets(
        &self,
        who: &Principal,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Bucket>> {
        if who.proof == Proof::Missing {
            return Err(authorize::refuse(Right::Read));
        }
        let tenant = (who.tenants == Tenants::Own).then_some(&who.tenant);
        let mut visible = Vec::new();
        let mut after = after.map(str::to_owned);
        // A key bound to a few namespaces sees few of its tenant's buckets: go on until the page is full.
        loop {
            let page = self.metadata.list_buckets(tenant, prefix, after.as_deref(), limit).await?;
            let full = page.len() >= limit as usize;
            after = page.last().map(|bucket| bucket.name.as_str().to_owned());
            visible.extend(page.into_iter().filter(|bucket| who.sees(&bucket.space.address)));
            if !full || visible.len() >= limit as usize {
                visible.truncate(limit as usize);
                return Ok(visible);
            }
        }
    }

    /// Removes a bucket that holds nothing.
    pub async fn delete_bucket(&self, who: &Principal, name: &BucketName) -> Result<()> {
        let wish = Wish::of(Action::DeleteBucket, None);
        self.enter(who, wish, &SpaceRef::Bucket(name.clone())).await?;
        match self.metadata.delete_bucket(name, self.clock.now()).await? {
            BucketDeletion::Deleted => {
                // A bucket of the same name begins without the policy of this one.
                self.policied.changed();
                Ok(())
            }
            BucketDeletion::Missing => Err(Error::NoSuchBucket),
            BucketDeletion::NotEmpty => Err(Error::BucketNotEmpty),
        }
    }

    /// Logical and physical bytes and objects, by space and class, as far as `who` may see.
    pub async fn usage(
        &self,
        who: &Principal,
        tenant: Option<&Tenant>,
        namespace: Option<&Namespace>,
    ) -> Result<Vec<SpaceUsage>> {
        if !who.rights.has(Right::Read) {
            return Err(Error::Forbidden(Right::Read));
        }
        authorize::refuse_bound(who)?;
        let mut usage = match (tenant, &who.tenants) {
            (Some(asked), _) if !who.reaches(asked) => return Ok(Vec::new()),
            (Some(asked), _) => self.metadata.usage(Some(asked), namespace).await?,
            (None, Tenants::Own) => self.metadata.usage(Some(&who.tenant), namespace).await?,
            (None, Tenants::Any) => self.metadata.usage(None, namespace).await?,
            (None, Tenants::These(tenants)) => {
                let mut all = Vec::new();
                for tenant in tenants {
                    all.extend(self.metadata.usage(Some(tenant), namespace).await?);
                }
                all
            }
        };
        usage.retain(|figures| who.sees(&figures.address));
        Ok(usage)
    }
}
