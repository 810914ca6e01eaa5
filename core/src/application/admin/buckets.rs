//! Buckets, as the administrators of their spaces make, list and remove them.

use super::{Admin, allow};
use crate::access::administer::{Scope, as_administrator};
use crate::application::access::authorize;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::SpaceRef;
use crate::application::spaces::NewBucket;
use crate::domain::address::{BucketName, Namespace, SpaceAddress, Tenant};
use crate::domain::principal::{Principal, Right};
use crate::domain::space::Bucket;

impl Admin {
    /// The buckets that `who` sees in order of name, after one; of one tenant, or of all. One more than a page may be
    /// asked for, to know whether there is another.
    pub async fn buckets(
        &self,
        who: &Principal,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Bucket>> {
        let who = reader(who)?;
        let Some(tenant) = tenant else { return self.store.list_buckets(&who, prefix, after, limit).await };
        match who.confined(tenant) {
            Some(who) => self.store.list_buckets(&who, prefix, after, limit).await,
            None => Ok(Vec::new()),
        }
    }

    /// A bucket that `who` sees.
    pub async fn bucket(&self, who: &Principal, name: &BucketName) -> Result<Bucket> {
        let who = reader(who)?;
        // The listing has what the lookup has not: when the name was made.
        let page = self.store.metadata.list_buckets(None, name.as_str(), None, 1).await?;
        let found = page.into_iter().find(|bucket| bucket.name == *name && who.sees(&bucket.space.address));
        found.ok_or(Error::NoSuchBucket)
    }

    /// Makes a bucket: of the space of its name in the tenant of `who`, unless that says otherwise.
    pub async fn create_bucket(
        &self,
        who: &Principal,
        name: &BucketName,
        namespace: Option<Namespace>,
        tenant: Option<Tenant>,
        locking: bool,
    ) -> Result<Bucket> {
        let namespace = match namespace {
            Some(namespace) => namespace,
            None => Namespace::new(name.as_str())?,
        };
        let space = SpaceAddress::new(namespace, tenant.unwrap_or_else(|| who.tenant.clone()));
        allow(who, Scope::Space(&space), Error::Forbidden(Right::Admin))?;
        let new = NewBucket { space: Some(space), locking, ..NewBucket::default() };
        self.store.create_bucket(&as_administrator(who), name, new).await
    }

    /// Removes a bucket that holds nothing.
    pub async fn delete_bucket(&self, who: &Principal, name: &BucketName) -> Result<()> {
        let place = SpaceRef::Bucket(name.clone());
        let space = self.store.metadata.space(&place).await?.ok_or(Error::NoSuchBucket)?;
        allow(who, Scope::Space(&space.address), Error::NoSuchBucket)?;
        self.store.delete_bucket(&as_administrator(who), name).await
    }
}

/// `who` as a reader of names and figures: its right is `read`, `admin` or `operator`. Figures are of whole spaces.
pub(super) fn reader(who: &Principal) -> Result<Principal> {
    authorize::refuse_bound(who)?;
    let who = as_administrator(who);
    if who.rights.has(Right::Read) { Ok(who) } else { Err(authorize::refuse(Right::Read)) }
}
