//! ACLs that a request asks for by header. There is one: the owner has everything, and nobody else anything.
//! What says just that is accepted; anything else is refused, since it would be a promise that is not kept.

use http::HeaderMap;
use juststorage_core::application::store::Store;
use juststorage_core::domain::principal::Principal;
use juststorage_core::domain::settings::{Declared, PublicAccess};
use s3s::{S3Error, S3Result};

use crate::dto::address;
use crate::errors::{Refusal, fail};

/// Grants of anything but everything.
const LESSER_GRANTS: [&str; 4] =
    ["x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-read-acp", "x-amz-grant-write-acp"];

const FULL_CONTROL: &str = "x-amz-grant-full-control";

/// Whether a request asks for an ACL by header at all.
pub(crate) fn says_anything(headers: &HeaderMap) -> bool {
    headers.contains_key("x-amz-acl")
        || headers.contains_key(FULL_CONTROL)
        || LESSER_GRANTS.iter().any(|name| headers.contains_key(*name))
}

/// Whether what a request asks for by header is what is so already.
fn says_private(headers: &HeaderMap, owner: &str) -> bool {
    let canned = headers
        .get_all("x-amz-acl")
        .iter()
        .all(|acl| matches!(acl.as_bytes(), b"private" | b"bucket-owner-full-control" | b""));
    let granted = headers.get_all(FULL_CONTROL).iter().all(|grants| {
        grants.to_str().is_ok_and(|grants| {
            grants.split(',').all(|grant| {
                let named = grant.trim().strip_prefix("id=").map(|id| id.trim_matches('"'));
                named == Some(owner)
            })
        })
    });
    canned && granted && !LESSER_GRANTS.iter().any(|name| headers.contains_key(*name))
}

/// Refuses a request that asks for another ACL than the one there is. A bucket's owner is its tenant.
pub(crate) async fn check(
    store: &Store,
    who: &Principal,
    bucket: Option<&str>,
    headers: &HeaderMap,
) -> S3Result<()> {
    if !says_anything(headers) || says_private(headers, who.tenant.as_str()) {
        return Ok(());
    }
    Err(refusal(store, who, bucket).await)
}

/// The refusal of an ACL: `AccessDenied` where the owner asked for public ACLs to be blocked (S3,
/// `BlockPublicAcls`), otherwise that ACLs are not supported.
pub(crate) async fn refusal(store: &Store, who: &Principal, bucket: Option<&str>) -> S3Error {
    let Refusal { status, code, message } = Refusal::acl_not_supported();
    let unsupported = fail(status, code, message);
    let Some(Ok(name)) = bucket.map(address::bucket) else { return unsupported };
    match store.bucket_settings(who, &name).await {
        Ok((_, settings)) => match settings.public_access {
            Some(Declared::Set(PublicAccess { block_public_acls: true, .. })) => fail(
                http::StatusCode::FORBIDDEN,
                "AccessDenied",
                "Access Denied: the bucket's public access block refuses public ACLs.",
            ),
            _ => unsupported,
        },
        Err(error) => crate::errors::translate(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn private(name: &'static str, value: &'static str) -> bool {
        let headers =
            [(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect();
        assert!(says_anything(&headers), "{name}");
        says_private(&headers, "acme")
    }

    #[test]
    fn only_what_is_so_is_accepted() {
        assert!(private("x-amz-acl", "private"));
        assert!(private("x-amz-acl", "bucket-owner-full-control"));
        assert!(private(FULL_CONTROL, "id=acme"));
        assert!(private(FULL_CONTROL, "id=\"acme\", id=acme"));
        assert!(!private("x-amz-acl", "public-read"));
        assert!(!private("x-amz-acl", "authenticated-read"));
        assert!(!private(FULL_CONTROL, "id=other"));
        assert!(!private(FULL_CONTROL, "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\""));
        assert!(!private("x-amz-grant-read", "id=acme"));
        assert!(!says_anything(&HeaderMap::new()));
    }
}
