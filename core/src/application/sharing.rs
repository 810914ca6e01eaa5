//! What owners grant to strangers by ACLs, where the operator lets them count (decision 0013).
//!
//! Rights come first, and whoever has them is asked nothing more: this is looked at only where they do not
//! suffice. Only what is reached through a bucket can be shared.

use crate::application::access::authorize;
use crate::application::error::{Error, Result};
use crate::application::objects::ObjectRef;
use crate::application::ports::metadata::Place;
use crate::application::request;
use crate::application::store::{Entered, Located, Store};
use crate::domain::acl::{CannedAcl, Permission};
use crate::domain::address::BucketName;
use crate::domain::principal::{Principal, Right};
use crate::domain::settings::{BucketOwnerEnforced, Declared, Setting};
use crate::domain::space::Space;

impl Store {
    /// Whether what ACLs grant counts.
    pub fn heeds_acls(&self) -> bool {
        self.acls
    }

    /// Who asks for something in `bucket` without proving to be anybody. What it takes up counts against the
    /// bucket's tenant.
    pub async fn anonymous(&self, bucket: &BucketName) -> Result<Principal> {
        if !self.acls {
            return Err(Error::Unauthenticated("a signature is required"));
        }
        let entered = self.resolve(&Place::Bucket(bucket.clone())).await?;
        Ok(Principal::anonymous(entered.address.tenant))
    }

    /// The space of a bucket, for those who may read it or are granted to list it.
    pub async fn visit_bucket(&self, who: &Principal, name: &BucketName) -> Result<Space> {
        let place = Place::Bucket(name.clone());
        let entered = self.enter_shared(who, Right::Read, Some(Permission::Read), &place).await?;
        entered.space.ok_or(Error::NoSuchBucket)
    }

    /// As [`Self::enter`], and whoever lacks the right may have been granted `permission` by the bucket's ACL; `None`
    /// for what no ACL grants.
    pub(crate) async fn enter_shared(
        &self,
        who: &Principal,
        right: Right,
        permission: Option<Permission>,
        place: &Place,
    ) -> Result<Entered> {
        let entered = self.resolve(place).await?;
        if self.acls && who.may(right, &entered.address).is_err() {
            let acl = self.acl_of(&entered).await?;
            if permission.is_some_and(|permission| acl.grants(permission, who.as_stranger())) {
                return Ok(Entered { as_stranger: true, ..entered });
            }
            if is_visible(acl, who) {
                return Err(authorize::refuse(right));
            }
        }
        entered.authorize(who, right)?;
        Ok(entered)
    }

    /// As [`Self::locate_content`] with the right to read, and whoever lacks that may have been granted to read
    /// by the object's own ACL.
    pub(crate) async fn locate_readable(&self, who: &Principal, object: &ObjectRef) -> Result<Located> {
        match self.locate_content(who, Right::Read, object).await {
            Err(denied @ Error::Forbidden(_)) if self.acls => self.locate_shared(who, object, denied).await,
            result => result,
        }
    }

    async fn locate_shared(&self, who: &Principal, object: &ObjectRef, denied: Error) -> Result<Located> {
        let ObjectRef::Key { place: place @ Place::Bucket(_), key, version } = object else {
            return Err(denied);
        };
        let entered = self.resolve(place).await?;
        let settings = self.settings_of(&entered).await?;
        if !settings.heeds_acls() {
            return Err(denied);
        }
        let (acl, stranger) = (settings.acl, who.as_stranger());
        let found = self.metadata.find(&entered.target(key.clone(), *version)).await?;
        let granted = match &found {
            Some(found) if !found.object.is_delete_marker() => {
                found.object.acl.grants(Permission::Read, stranger)
            }
            // Whoever may list learns what is not there; to others it is as what they may not read (S3 `GetObject`).
            _ => acl.grants(Permission::Read, stranger),
        };
        if granted {
            request::granted();
            let missing = if version.is_some() { Error::NoSuchVersion } else { Error::NoSuchObject };
            return Located { found: found.ok_or(missing)?, bucket: entered.bucket }.content(object);
        }
        Err(denied)
    }

    /// The ACL of a place itself, as far as it counts.
    async fn acl_of(&self, entered: &Entered) -> Result<CannedAcl> {
        let settings = self.settings_of(entered).await?;
        Ok(if settings.heeds_acls() { settings.acl } else { CannedAcl::Private })
    }

    /// Refuses an ACL that would grant what cannot be, or must not be, granted in a place.
    pub(crate) async fn check_acl(&self, entered: &Entered, acl: CannedAcl) -> Result<()> {
        if !acl.is_shared() {
            return Ok(());
        }
        // An object that is reached without a bucket is for those with rights only.
        if !self.acls || entered.bucket.is_none() {
            return Err(Error::AclsDisabled);
        }
        let settings = self.settings_of(entered).await?;
        match (settings.has_acls(), settings.takes_shared_acls()) {
            (false, _) => Err(Error::AclsDisabled),
            (true, false) => Err(Error::AclBlocked),
            (true, true) => Ok(()),
        }
    }

    /// Refuses a document that contradicts what the space grants.
    pub(crate) async fn check_setting(&self, entered: &Entered, setting: &Setting) -> Result<()> {
        match setting {
            Setting::Acl(acl) => self.check_acl(entered, *acl).await,
            // S3 `PutBucketOwnershipControls`: first the ACL has to be private.
            Setting::Ownership(Declared::Set(BucketOwnerEnforced)) if self.acls => {
                let shared = self.settings_of(entered).await?.acl.is_shared();
                if shared { Err(Error::AclShared) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}

/// Whether a space is no secret to somebody without rights in it.
fn is_visible(acl: CannedAcl, who: &Principal) -> bool {
    [Permission::Read, Permission::Write]
        .into_iter()
        .any(|permission| acl.grants(permission, who.as_stranger()))
}
