//! Which ACLs a request may ask for. An ACL that grants access to others is accepted only if the operator turned ACLs on
//! (decision 0013). Without that it is refused, because it would have no effect.

use http::HeaderMap;
use juststorage_core::application::store::Store;
use juststorage_core::domain::acl::CannedAcl;
use juststorage_core::domain::principal::Principal;
use s3s::dto::AccessControlPolicy;
use s3s::{S3Error, S3Result};

use crate::dto::acl::{FULL_CONTROL, check_known, of_document, of_headers, says_anything};
use crate::dto::address;
use crate::errors::translate;

/// Refuses a request whose headers ask for an unsupported ACL, before the operation runs. A bucket's owner is its tenant;
/// the owner of a new bucket is the caller.
pub(crate) async fn check(
    store: &Store,
    who: &Principal,
    bucket: Option<&str>,
    headers: &HeaderMap,
) -> S3Result<()> {
    if !says_anything(headers) {
        return Ok(());
    }
    check_known(headers)?;
    let mut owner = who.tenant.clone();
    // The caller can be another tenant than the owner only where ACLs count.
    if let (true, true, Some(name)) = (store.heeds_acls(), headers.contains_key(FULL_CONTROL), bucket) {
        owner = store.owner_of(who, &address::bucket(name)?).await.map_err(translate)?;
    }
    match of_headers(headers, |id| id == owner.as_str()) {
        Ok(acl) if store.heeds_acls() || !acl.is_shared() => Ok(()),
        _ => Err(unsupported(store, who, bucket).await),
    }
}

/// The ACL that a document asks for, or the refusal of it.
pub(crate) async fn of_body(
    store: &Store,
    who: &Principal,
    bucket: &str,
    policy: &AccessControlPolicy,
    owner: &str,
) -> S3Result<CannedAcl> {
    match of_document(policy, owner) {
        Ok(acl) if store.heeds_acls() || !acl.is_shared() => Ok(acl),
        _ => Err(unsupported(store, who, Some(bucket)).await),
    }
}

/// The refusal of an ACL: the store decides what the caller is told.
async fn unsupported(store: &Store, who: &Principal, bucket: Option<&str>) -> S3Error {
    let name = bucket.and_then(|name| address::bucket(name).ok());
    translate(store.refuse_acl(who, name.as_ref()).await)
}
