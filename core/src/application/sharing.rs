//! Strangers at a bucket, and what owners may grant them: by its policy, and by ACLs where the operator lets them count
//! (decision 0013). Only what is reached through a bucket can be shared.

use crate::access::decide::By;
use crate::application::entered::{Entered, Located, Wish};
use crate::application::error::{Error, Result};
use crate::application::object_ref::ObjectRef;
use crate::application::objects::update::Change;
use crate::application::ports::metadata::SpaceRef;
use crate::application::store::Store;
use crate::domain::acl::CannedAcl;
use crate::domain::action::Action;
use crate::domain::address::{BucketName, Tenant};
use crate::domain::patch::AttributesPatch;
use crate::domain::principal::Principal;
use crate::domain::settings::{BucketOwnerEnforced, Declared, Setting};
use crate::domain::space::Space;

impl Store {
    /// Whether what ACLs grant counts.
    pub fn heeds_acls(&self) -> bool {
        self.acls
    }

    /// The principal of a caller without a credential at `bucket`, if anything could be granted to such callers there.
    /// What it takes up counts against the bucket's tenant. Costs no look into the database where nothing is granted,
    /// however many ask.
    pub async fn anonymous(&self, bucket: &BucketName) -> Result<Principal> {
        if !self.lets_strangers_ask(bucket).await? {
            return Err(Error::Unauthenticated("a signature is required"));
        }
        let entered = self.resolve(&SpaceRef::Bucket(bucket.clone())).await?;
        Ok(Principal::anonymous(entered.address.tenant))
    }

    /// Whether a request without a signature is looked at: where ACLs count, and where the bucket has a policy.
    pub async fn lets_strangers_ask(&self, bucket: &BucketName) -> Result<bool> {
        Ok(self.acls || self.policied.has_bucket(self.metadata.as_ref(), bucket).await?)
    }

    /// The space of a bucket, for principals that may list it.
    pub async fn visit_bucket(&self, who: &Principal, name: &BucketName) -> Result<Space> {
        let entered = self.enter(who, Wish::visit(), &SpaceRef::Bucket(name.clone())).await?;
        entered.space.ok_or(Error::NoSuchBucket)
    }

    /// Whose a bucket is, for those to whom it is no secret: who may see it, and to whom something in it may be granted.
    pub async fn owner_of(&self, who: &Principal, name: &BucketName) -> Result<Tenant> {
        let entered = self.resolve(&SpaceRef::Bucket(name.clone())).await?;
        if who.sees(&entered.address) || entered.is_open_to(who) {
            return Ok(entered.address.tenant);
        }
        Err(entered.allow(who, Wish::visit(), None).err().unwrap_or(Error::NoSuchBucket))
    }

    /// Sets the ACL of a bucket. To say that nothing is granted where nothing is takes no more than to know it, as long
    /// as no policy says otherwise.
    pub async fn put_bucket_acl(&self, who: &Principal, name: &BucketName, acl: CannedAcl) -> Result<()> {
        let entered = self.resolve(&SpaceRef::Bucket(name.clone())).await?;
        if !acl.is_shared() && entered.settings.acl == acl && entered.settings.policy.is_none() {
            return entered.allow(who, Wish::of(Action::GetBucketAcl, None), None).map(drop);
        }
        self.put_setting(who, name, Setting::Acl(acl)).await
    }

    /// Sets the ACL of an object, unless it has that one already.
    pub async fn put_object_acl(&self, who: &Principal, object: &ObjectRef, acl: CannedAcl) -> Result<()> {
        if !acl.is_shared() {
            let Located { found, .. } = self.locate_content(who, Action::PutObjectAcl, object).await?;
            if found.object.acl == acl {
                return Ok(());
            }
        }
        let change = Change { attributes: Some(AttributesPatch::acl(acl)), ..Change::default() };
        self.update(who, Action::PutObjectAcl, object, change).await.map(drop)
    }

    /// Why an ACL that cannot be granted is refused in a bucket, or where none is named.
    pub async fn refuse_acl(&self, who: &Principal, bucket: Option<&BucketName>) -> Error {
        let Some(bucket) = bucket else { return Error::AclsDisabled };
        let entered = match self.resolve(&SpaceRef::Bucket(bucket.clone())).await {
            Ok(entered) => entered,
            Err(error) => return error,
        };
        match entered.allow(who, Wish::visit(), None) {
            Ok(By::Rights) if !entered.settings.takes_shared_acls() => Error::AclBlocked,
            // Strangers may know of it, though not what is set on it.
            Ok(_) => Error::AclsDisabled,
            Err(refused) => refused,
        }
    }

    /// Refuses an ACL that would grant what cannot be, or must not be, granted in a place.
    pub(crate) fn check_acl(&self, entered: &Entered, acl: CannedAcl) -> Result<()> {
        if !acl.is_shared() {
            return Ok(());
        }
        // An object that is reached without a bucket is for those with rights only.
        if !self.acls || entered.bucket.is_none() {
            return Err(Error::AclsDisabled);
        }
        match (entered.settings.has_acls(), entered.settings.takes_shared_acls()) {
            (false, _) => Err(Error::AclsDisabled),
            (true, false) => Err(Error::AclBlocked),
            (true, true) => Ok(()),
        }
    }

    /// Refuses a document that contradicts what the space grants.
    pub(crate) fn check_setting(&self, entered: &Entered, setting: &Setting) -> Result<()> {
        match setting {
            Setting::Acl(acl) => self.check_acl(entered, *acl),
            // S3 `PutBucketOwnershipControls`: first the ACL has to be private.
            Setting::Ownership(Declared::Set(BucketOwnerEnforced)) if self.acls => {
                if entered.settings.acl.is_shared() { Err(Error::AclShared) } else { Ok(()) }
            }
            Setting::Policy(policy) if policy.is_public() && !entered.settings.takes_public_policies() => {
                Err(Error::PolicyBlocked)
            }
            _ => Ok(()),
        }
    }
}
