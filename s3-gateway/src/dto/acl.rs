//! ACLs as requests write them: canned by name, as grants in headers, or as a document. The owner has everything
//! under each of them. What grants something to strangers is understood where the grants are those of a canned ACL.

use std::collections::BTreeSet;

use http::HeaderMap;
use juststorage_core::domain::acl::CannedAcl;
use s3s::S3Result;
use s3s::dto::{AccessControlPolicy, Grant, Grantee, Owner, Permission, Type};

use crate::errors::wrong_argument;

/// S3's groups (S3 User Guide, "Access control list (ACL) overview").
const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const KNOWN: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

/// The header that names a canned ACL.
const CANNED: &str = "x-amz-acl";
pub(crate) const FULL_CONTROL: &str = "x-amz-grant-full-control";

/// Headers that grant something, and what.
const GRANTS: [(&str, &str); 5] = [
    (FULL_CONTROL, Permission::FULL_CONTROL),
    ("x-amz-grant-read", Permission::READ),
    ("x-amz-grant-write", Permission::WRITE),
    ("x-amz-grant-read-acp", Permission::READ_ACP),
    ("x-amz-grant-write-acp", Permission::WRITE_ACP),
];

/// Whether a request asks for an ACL by header at all.
pub(crate) fn says_anything(headers: &HeaderMap) -> bool {
    headers.contains_key(CANNED) || GRANTS.iter().any(|(name, _)| headers.contains_key(*name))
}

/// That an ACL is none of those there are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unsupported;

/// Whom a grant is for.
enum To<'a> {
    /// The account with this id.
    Account(&'a str),
    /// The group with this URI.
    Group(&'a str),
    Other,
}

/// A grant that an ACL can hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Granted {
    /// The owner has everything, as it has anyhow.
    Owner,
    EverybodyReads,
    EverybodyWrites,
    KnownRead,
}

impl Granted {
    fn new(permission: &str, to: &To<'_>, is_owner: impl Fn(&str) -> bool) -> Result<Self, Unsupported> {
        match (permission, to) {
            (Permission::FULL_CONTROL, To::Account(id)) if is_owner(id) => Ok(Self::Owner),
            (Permission::READ, To::Group(EVERYBODY)) => Ok(Self::EverybodyReads),
            (Permission::WRITE, To::Group(EVERYBODY)) => Ok(Self::EverybodyWrites),
            (Permission::READ, To::Group(KNOWN)) => Ok(Self::KnownRead),
            _ => Err(Unsupported),
        }
    }

    /// The canned ACL that these stand for together.
    fn canned(granted: &BTreeSet<Self>) -> Result<CannedAcl, Unsupported> {
        let strangers: Vec<_> = granted.iter().filter(|one| **one != Self::Owner).collect();
        match strangers.as_slice() {
            [] => Ok(CannedAcl::Private),
            [Self::EverybodyReads] => Ok(CannedAcl::PublicRead),
            [Self::EverybodyReads, Self::EverybodyWrites] => Ok(CannedAcl::PublicReadWrite),
            [Self::KnownRead] => Ok(CannedAcl::AuthenticatedRead),
            _ => Err(Unsupported),
        }
    }
}

/// The ACL that headers ask for. The owner is whose the bucket is.
pub(crate) fn of_headers(
    headers: &HeaderMap,
    is_owner: impl Fn(&str) -> bool,
) -> Result<CannedAcl, Unsupported> {
    let mut canned = CannedAcl::Private;
    for acl in headers.get_all(CANNED) {
        canned = match acl.to_str().map_err(|_| Unsupported)? {
            // The bucket's owner owns every object in it, also those that others uploaded.
            "" | "bucket-owner-full-control" => CannedAcl::Private,
            name => CannedAcl::parse(name).ok_or(Unsupported)?,
        };
    }
    let mut granted = BTreeSet::new();
    for (name, permission) in GRANTS {
        for grants in headers.get_all(name) {
            for grant in grants.to_str().map_err(|_| Unsupported)?.split(',') {
                let to = match grant.trim().split_once('=') {
                    Some(("id", id)) => To::Account(id.trim_matches('"')),
                    Some(("uri", uri)) => To::Group(uri.trim_matches('"')),
                    _ => To::Other,
                };
                granted.insert(Granted::new(permission, &to, &is_owner)?);
            }
        }
    }
    match (canned, Granted::canned(&granted)?) {
        (canned, CannedAcl::Private) => Ok(canned),
        (CannedAcl::Private, granted) => Ok(granted),
        _ => Err(Unsupported),
    }
}

/// The ACL that a document asks for. It must leave the owner what is its own.
pub(crate) fn of_document(policy: &AccessControlPolicy, owner: &str) -> Result<CannedAcl, Unsupported> {
    let named = policy.owner.as_ref().and_then(|named| named.id.as_deref());
    if policy.owner.is_some() && named != Some(owner) {
        return Err(Unsupported);
    }
    let mut granted = BTreeSet::new();
    for grant in policy.grants.iter().flatten() {
        let permission = grant.permission.as_ref().ok_or(Unsupported)?.as_str();
        let grantee = grant.grantee.as_ref().ok_or(Unsupported)?;
        let to = match (&grantee.id, &grantee.uri) {
            (Some(id), None) => To::Account(id),
            (None, Some(uri)) => To::Group(uri),
            _ => To::Other,
        };
        granted.insert(Granted::new(permission, &to, |id| id == owner)?);
    }
    if granted.contains(&Granted::Owner) { Granted::canned(&granted) } else { Err(Unsupported) }
}

/// Refuses a canned ACL that S3 does not know. Those that it knows are refused for another reason, if at all.
pub(crate) fn check_known(headers: &HeaderMap) -> S3Result<()> {
    const KNOWN: [&str; 8] = [
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
        "log-delivery-write",
    ];
    for acl in headers.get_all(CANNED) {
        let name = String::from_utf8_lossy(acl.as_bytes());
        if !name.is_empty() && !KNOWN.contains(&&*name) {
            return Err(wrong_argument(CANNED, &name, "The canned ACL you specified is not valid."));
        }
    }
    Ok(())
}

/// The ACL that the headers of a request ask for, which [`crate::acl::check`] let pass.
pub(crate) fn asked(headers: &HeaderMap) -> CannedAcl {
    // Whom full control was meant for is known to be the owner.
    of_headers(headers, |_| true).unwrap_or_default()
}

/// The grants that an ACL stands for, in S3's order.
pub(crate) fn grants(acl: CannedAcl, owner: &Owner) -> Vec<Grant> {
    let group = |uri: &str, permission: &'static str| Grant {
        grantee: Some(Grantee {
            display_name: None,
            email_address: None,
            id: None,
            type_: Type::from_static(Type::GROUP),
            uri: Some(uri.to_owned()),
        }),
        permission: Some(Permission::from_static(permission)),
    };
    let strangers = match acl {
        CannedAcl::Private => Vec::new(),
        CannedAcl::PublicRead => vec![group(EVERYBODY, Permission::READ)],
        CannedAcl::PublicReadWrite => {
            vec![group(EVERYBODY, Permission::READ), group(EVERYBODY, Permission::WRITE)]
        }
        CannedAcl::AuthenticatedRead => vec![group(KNOWN, Permission::READ)],
    };
    let everything = Grant {
        grantee: Some(Grantee {
            display_name: owner.display_name.clone(),
            email_address: None,
            id: owner.id.clone(),
            type_: Type::from_static(Type::CANONICAL_USER),
            uri: None,
        }),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    };
    strangers.into_iter().chain([everything]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let of = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(of).collect()
    }

    fn read(pairs: &[(&'static str, &str)]) -> Result<CannedAcl, Unsupported> {
        let headers = headers(pairs);
        assert!(says_anything(&headers), "{pairs:?}");
        let read = of_headers(&headers, |id| id == "acme");
        assert_eq!(asked(&headers), read.as_ref().copied().unwrap_or_default(), "{pairs:?}");
        read
    }

    #[test]
    fn headers_say_a_canned_acl_or_nothing_that_there_is() {
        for (name, acl) in [
            ("private", CannedAcl::Private),
            ("bucket-owner-full-control", CannedAcl::Private),
            ("public-read", CannedAcl::PublicRead),
            ("public-read-write", CannedAcl::PublicReadWrite),
            ("authenticated-read", CannedAcl::AuthenticatedRead),
        ] {
            assert_eq!(read(&[(CANNED, name)]), Ok(acl));
        }
        for name in ["aws-exec-read", "log-delivery-write", "bucket-owner-read", "Private"] {
            assert_eq!(read(&[(CANNED, name)]), Err(Unsupported), "{name}");
        }
        assert_eq!(read(&[(FULL_CONTROL, "id=acme")]), Ok(CannedAcl::Private));
        assert_eq!(read(&[(FULL_CONTROL, "id=\"acme\", id=acme")]), Ok(CannedAcl::Private));
        let everybody = format!("uri=\"{EVERYBODY}\"");
        let [reading, writing] = ["x-amz-grant-read", "x-amz-grant-write"];
        assert_eq!(read(&[(reading, &everybody)]), Ok(CannedAcl::PublicRead));
        assert_eq!(read(&[(reading, &everybody), (writing, &everybody)]), Ok(CannedAcl::PublicReadWrite));
        assert_eq!(read(&[(reading, &format!("uri={KNOWN}"))]), Ok(CannedAcl::AuthenticatedRead));
        for lesser in [
            [(writing, everybody.as_str()), (CANNED, "private")],
            [(reading, &everybody), (CANNED, "authenticated-read")],
            [(FULL_CONTROL, &everybody), (CANNED, "private")],
            [(reading, "id=acme"), (CANNED, "private")],
            [("x-amz-grant-read-acp", &everybody), (CANNED, "private")],
            [(reading, "emailAddress=\"a@b\""), (CANNED, "private")],
        ] {
            assert_eq!(read(&lesser), Err(Unsupported), "{lesser:?}");
        }
        assert_eq!(of_headers(&headers(&[(FULL_CONTROL, "id=other")]), |id| id == "acme"), Err(Unsupported));
        assert!(!says_anything(&HeaderMap::new()));
    }

    #[test]
    fn what_is_read_of_an_acl_can_be_written_back() {
        let owner = Owner { display_name: None, id: Some("acme".to_owned()) };
        for acl in CannedAcl::ALL {
            let policy = |grants| AccessControlPolicy { grants: Some(grants), owner: Some(owner.clone()) };
            assert_eq!(of_document(&policy(grants(acl, &owner)), "acme"), Ok(acl));
            assert_eq!(of_document(&policy(grants(acl, &owner)), "other"), Err(Unsupported));
            let mut strangers = grants(acl, &owner);
            strangers.pop();
            assert_eq!(
                of_document(&policy(strangers), "acme"),
                Err(Unsupported),
                "{acl:?} without its owner"
            );
        }
    }
}
