//! The one place that says yes.
//!
//! Its sources are the rights of the credential, the bucket's policy, and ACLs where the operator lets them count
//! (decision 0013). Nothing is allowed by default, and what a policy denies stays denied whatever else allows it (IAM
//! User Guide, "Policy evaluation logic"). Pure: the caller brings the facts.

use crate::domain::acl::{CannedAcl, Permission};
use crate::domain::action::{Action, Level};
use crate::domain::address::SpaceAddress;
use crate::domain::policy::{Asked, Caller, KnownTags, Policy, Verdict};
use crate::domain::principal::{Denied, Principal, Proof, Right};
use crate::domain::settings::SpaceSettings;

/// The resource of a request.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// The space.
    pub space: &'a SpaceAddress,
    /// The object's key; `None` for the space itself, and for an object without key.
    pub key: Option<&'a str>,
    /// Whether the request names a version: its actions have names of their own.
    pub version: bool,
    /// Of an action on the space: the prefix of every key that the answer can name. Empty: the answer can name any key;
    /// `None`: it names no key.
    pub shows: Option<&'a str>,
}

/// The facts of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Whether the space was reached through a bucket. Without one nothing is granted beside rights; what is denied is
    /// denied either way.
    pub by_bucket: bool,
    /// The settings of the space.
    pub settings: &'a SpaceSettings,
    /// Whether the operator lets ACLs count.
    pub acls: bool,
    /// The ACL of the object; `None` for an action on the space, or on what is not there: the bucket's counts.
    pub object_acl: Option<CannedAcl>,
    /// The tags of the object.
    pub tags: KnownTags<'a>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed(By),
    /// No.
    Refused(Why),
}

/// The source that allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The rights of the credential.
    Rights,
    /// The bucket's policy.
    Policy,
    /// An ACL.
    Acl,
}

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The bucket's policy denies it.
    Policy,
    /// This right is missing, and nothing else grants it.
    Right(Right),
    /// The space is out of the principal's sight.
    OutOfSight(Right),
    /// The credential has the right, and is bound to other keys.
    Prefix(Right),
}

/// Whether `who` may do `action` to `resource`.
pub fn decide(who: &Principal, action: Action, resource: &Resource<'_>, facts: &Facts<'_>) -> Decision {
    let action = if resource.version { action.of_version() } else { action };
    let right = action.right();
    let rights = who.may(right, resource.space);
    let verdict = facts.settings.policy.as_deref().map_or(Verdict::Silent, |policy| {
        let context = &who.context;
        policy.judge(&Asked { caller: caller(who), action, key: resource.key, context, tags: facts.tags })
    });
    if verdict == Verdict::Denied && !may_mend(who, action, resource.space) {
        return Decision::Refused(Why::Policy);
    }
    let inside = is_inside(who, action, resource);
    if rights.is_ok() && inside {
        return Decision::Allowed(By::Rights);
    }
    if facts.by_bucket {
        let policy = facts.settings.policy.as_deref();
        if policy.is_some_and(|policy| grants(policy, verdict, who, action, resource, facts.settings)) {
            return Decision::Allowed(By::Policy);
        }
        if facts.acls && facts.settings.heeds_acls() && shares(who, action, facts) {
            return Decision::Allowed(By::Acl);
        }
    }
    Decision::Refused(match rights {
        Err(Denied::Invisible) => Why::OutOfSight(right),
        Ok(()) => Why::Prefix(right),
        Err(Denied::Forbidden(_)) => Why::Right(right),
    })
}

/// Whether the rights of `who` reach as far as `resource`: a credential that is bound to prefixes uses the keys under
/// them, lists inside them, and reads of the space itself only what clients ask for before they write.
fn is_inside(who: &Principal, action: Action, resource: &Resource<'_>) -> bool {
    if who.prefixes.is_none() {
        return true;
    }
    match (action.level(), action) {
        // An object without a key is under no prefix.
        (Level::Object, _) => resource.key.is_some_and(|key| who.covers(key)),
        (
            Level::Bucket,
            Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads,
        ) => resource.shows.is_none_or(|prefix| who.covers(prefix)),
        (
            Level::Bucket,
            Action::GetBucketLocation
            | Action::GetBucketVersioning
            | Action::GetBucketObjectLockConfiguration,
        ) => true,
        (Level::Bucket, _) => false,
    }
}

/// Whether anything could let `who`, who has no rights in the space, do anything there: then it is no secret to them.
pub fn is_open_to(who: &Principal, facts: &Facts<'_>) -> bool {
    let by_acl = facts.acls
        && facts.settings.heeds_acls()
        && [Permission::Read, Permission::Write]
            .into_iter()
            .any(|permission| facts.settings.acl.grants(permission, who.as_stranger()));
    facts.by_bucket && (by_acl || facts.settings.policy.is_some())
}

/// The caller, as policies see it.
fn caller(who: &Principal) -> Caller<'_> {
    let known = |credential| Caller::Known { tenant: &who.tenant, credential };
    match &who.proof {
        Proof::Missing | Proof::Nothing => Caller::Anonymous,
        Proof::Operator | Proof::Jwt { .. } => known(None),
        Proof::Key { id, .. } => known(Some(*id)),
        // A URL is worth what the one who made it is.
        Proof::Url { maker, .. } => known(*maker),
    }
}

/// A principal that administers the space can always remove a policy, as AWS's root account can: no policy locks all out for
/// good.
fn may_mend(who: &Principal, action: Action, space: &SpaceAddress) -> bool {
    action.is_about_policy() && who.may(Right::Admin, space).is_ok()
}

/// Whether what a policy allows counts for `who`, who lacks the right.
fn grants(
    policy: &Policy,
    verdict: Verdict,
    who: &Principal,
    action: Action,
    resource: &Resource<'_>,
    settings: &SpaceSettings,
) -> bool {
    let space = resource.space;
    let anonymous = who.proof == Proof::Missing;
    if !anonymous && who.reaches(&space.tenant) {
        // To the tenant itself a policy delegates nothing that its credentials do not have.
        return verdict == Verdict::Allowed;
    }
    let closed = policy.is_public() && settings.restricts_public();
    // Only the owner sees and sets policies; and settings are not public.
    let owners = action.is_about_policy() || (anonymous && action.right() == Right::Admin);
    if closed || owners {
        return false;
    }
    match verdict {
        Verdict::Allowed if anonymous => true,
        // Across tenants it takes both: that the owner grants it, and that the credential may do such a thing at all.
        Verdict::Allowed | Verdict::AllowedToTenant => {
            who.rights.has(action.right())
                && who.is_let_into(&space.namespace)
                && is_inside(who, action, resource)
        }
        Verdict::Silent | Verdict::Denied => false,
    }
}

/// Whether an ACL that counts grants `action`.
fn shares(who: &Principal, action: Action, facts: &Facts<'_>) -> bool {
    let (acl, permission) = match action {
        Action::GetObject | Action::GetObjectVersion => {
            (facts.object_acl.unwrap_or(facts.settings.acl), Permission::Read)
        }
        Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads => {
            (facts.settings.acl, Permission::Read)
        }
        Action::PutObject => (facts.settings.acl, Permission::Write),
        _ => return false,
    };
    acl.grants(permission, who.as_stranger())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::domain::address::{KeyPrefix, Namespace, Tenant};
    use crate::domain::object::Tags;
    use crate::domain::principal::{NamespacePattern, Rights, Tenants};
    use crate::domain::settings::{Declared, PublicAccess};

    const ID: u128 = 7;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    /// A credential of `of` with these rights.
    fn credential(of: &str, rights: &str) -> Principal {
        let rights = if rights.is_empty() { Rights::default() } else { Rights::parse(rights).unwrap() };
        let proof = Proof::Key { id: Uuid::from_u128(ID), lookup: "k".to_owned() };
        Principal { tenants: Tenants::Own, rights, proof, ..Principal::unrestricted("k", tenant(of)) }
    }

    fn settings(statements: &str) -> SpaceSettings {
        let text =
            statements.replace('@', "arn:aws:s3:::bucket").replace("<id>", &Uuid::from_u128(ID).to_string());
        let policy = Policy::parse(&format!(r#"{{"Statement":{text}}}"#)).unwrap();
        SpaceSettings { policy: Some(Arc::new(policy)), ..SpaceSettings::default() }
    }

    fn allow(principal: &str, action: &str) -> String {
        format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"{action}","Resource":["@","@/*"]}}"#)
    }

    fn ask(
        who: &Principal,
        action: Action,
        settings: &SpaceSettings,
        by_bucket: bool,
        acls: bool,
    ) -> Decision {
        let space = SpaceAddress::new(Namespace::new("docs").unwrap(), tenant("acme"));
        let key = (action.level() == Level::Object).then_some("k");
        let tags = Tags::new();
        let facts = Facts { by_bucket, settings, acls, object_acl: None, tags: Some(&tags) };
        decide(who, action, &Resource { space: &space, key, version: false, shows: Some("") }, &facts)
    }

    fn is_allowed(who: &Principal, action: Action, settings: &SpaceSettings) -> bool {
        matches!(ask(who, action, settings, true, false), Decision::Allowed(_))
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        let none = SpaceSettings::default();
        let anonymous = Principal::anonymous(tenant("acme"));
        for who in [&anonymous, &credential("acme", ""), &credential("corp", "read,write,delete,admin")] {
            for action in Action::ALL {
                for by_bucket in [true, false] {
                    let refused = matches!(ask(who, *action, &none, by_bucket, true), Decision::Refused(_));
                    assert!(refused, "{action} by {}", who.tenant);
                }
            }
        }
    }

    /// Without a policy it is the rights that decide, and nothing else.
    #[test]
    fn rights_suffice_where_nothing_is_denied() {
        let none = SpaceSettings::default();
        for action in Action::ALL {
            let who = credential("acme", action.right().as_str());
            assert_eq!(ask(&who, *action, &none, false, false), Decision::Allowed(By::Rights), "{action}");
            let others = Right::ALL.into_iter().filter(|right| *right != action.right());
            let who = Principal { rights: others.collect(), ..who };
            let refused = Decision::Refused(Why::Right(action.right()));
            assert_eq!(ask(&who, *action, &none, true, false), refused, "{action}");
        }
    }

    /// What a credential that is bound to `reports/` is told: of keys, of listings, and of the bucket itself.
    #[test]
    fn a_bound_credential_keeps_to_its_prefixes() {
        let bound = Principal {
            prefixes: Some(vec![KeyPrefix::new("reports/").unwrap(), KeyPrefix::new("tmp/a").unwrap()]),
            ..credential("acme", "read,write,delete")
        };
        let space = SpaceAddress::new(Namespace::new("docs").unwrap(), tenant("acme"));
        let tags = Tags::new();
        let told = |who: &Principal, settings: &SpaceSettings, action, key, shows| {
            let facts = Facts { by_bucket: true, settings, acls: true, object_acl: None, tags: Some(&tags) };
            decide(who, action, &Resource { space: &space, key, version: false, shows }, &facts)
        };
        let none = SpaceSettings::default();
        for action in Action::ALL {
            let right = action.right();
            let (yes, no) = match right {
                // It never has the right.
                Right::Admin => (Decision::Refused(Why::Right(right)), Decision::Refused(Why::Right(right))),
                _ => (Decision::Allowed(By::Rights), Decision::Refused(Why::Prefix(right))),
            };
            let of_key = |key| told(&bound, &none, *action, key, Some(""));
            let listing = |shows| told(&bound, &none, *action, None, shows);
            match (action.level(), action) {
                (Level::Object, _) => {
                    for key in ["reports/a", "reports/", "tmp/a", "tmp/abc"] {
                        assert_eq!(of_key(Some(key)), yes, "{action} {key}");
                    }
                    for key in [Some("reports"), Some("x/reports/a"), Some("tmp/b"), None] {
                        assert_eq!(of_key(key), no, "{action} {key:?}");
                    }
                }
                (_, Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads) => {
                    for inside in [Some("reports/"), Some("reports/2026"), Some("tmp/a"), None] {
                        assert_eq!(listing(inside), yes, "{action} {inside:?}");
                    }
                    for outside in ["", "r", "reports", "tmp/", "other/"] {
                        assert_eq!(listing(Some(outside)), no, "{action} {outside}");
                    }
                }
                (_, other) => {
                    let told = listing(None);
                    let asked_before_writing = matches!(
                        other,
                        Action::GetBucketLocation
                            | Action::GetBucketVersioning
                            | Action::GetBucketObjectLockConfiguration
                    );
                    assert_eq!(told, if asked_before_writing { yes } else { no }, "{action}");
                }
            }
        }
        // A policy may name the credential, and gives it more; across tenants it gives nothing outside the prefixes.
        let named = settings(&allow(r#"{"AWS":"arn:aws:iam::acme:user/<id>"}"#, "s3:GetObject"));
        let outside = |who: &Principal| told(who, &named, Action::GetObject, Some("other"), None);
        assert_eq!(outside(&bound), Decision::Allowed(By::Policy));
        let named = settings(&allow(r#"{"AWS":"corp"}"#, "s3:GetObject"));
        let stranger = Principal { tenant: tenant("corp"), ..bound };
        let get = |key| told(&stranger, &named, Action::GetObject, Some(key), None);
        assert_eq!(get("reports/a"), Decision::Allowed(By::Policy));
        assert_eq!(get("other"), Decision::Refused(Why::OutOfSight(Right::Read)));
    }

    /// Whom what is granted to counts for; S3 User Guide, "How Amazon S3 authorizes a request".
    #[test]
    fn a_grant_counts_for_whom_it_is_meant() {
        let everything = "read,write,delete,admin";
        let anonymous = Principal::anonymous(tenant("acme"));
        let (own, other) = (credential("acme", "read"), credential("corp", everything));
        let (reader, bound) = (
            credential("corp", "read"),
            Principal { namespaces: Some(vec![NamespacePattern::parse("other").unwrap()]), ..other.clone() },
        );
        let named = |of: &str| format!(r#"{{"AWS":"arn:aws:iam::{of}:user/<id>"}}"#);
        for (principal, anonymously, owns, others) in [
            (r#""*""#.to_owned(), true, true, true),
            (r#"{"AWS":"acme"}"#.to_owned(), false, false, false),
            (r#"{"AWS":"arn:aws:iam::corp:root"}"#.to_owned(), false, false, true),
            (named("acme"), false, true, false),
            (named("corp"), false, false, true),
        ] {
            let settings = settings(&allow(&principal, "s3:PutObject"));
            let put = |who| is_allowed(who, Action::PutObject, &settings);
            assert_eq!((put(&anonymous), put(&own), put(&other)), (anonymously, owns, others), "{principal}");
            // Across tenants the credential must have the right itself, and be let into such a namespace.
            assert!(!put(&reader) && !put(&bound), "{principal}");
            // Only what is reached through a bucket is shared.
            for who in [&anonymous, &own, &other] {
                let natively = ask(who, Action::PutObject, &settings, false, false);
                assert!(matches!(natively, Decision::Refused(_)), "{principal}");
            }
        }
    }

    #[test]
    fn a_denial_stands_against_everything() {
        let denied = Decision::Refused(Why::Policy);
        let deny = allow(r#""*""#, "s3:*").replace("Allow", "Deny");
        let everything = settings(&format!("[{deny},{}]", allow(r#""*""#, "s3:*")));
        let shared = SpaceSettings { acl: CannedAcl::PublicReadWrite, ..everything };
        let root = Principal::unrestricted("root", tenant("default"));
        let admin = credential("acme", "read,write,delete,admin");
        let writer = credential("acme", "read,write,delete");
        for who in
            [&root, &admin, &writer, &Principal::anonymous(tenant("acme")), &credential("corp", "read")]
        {
            for action in Action::ALL.iter().filter(|action| !action.is_about_policy()) {
                for by_bucket in [true, false] {
                    assert_eq!(
                        ask(who, *action, &shared, by_bucket, true),
                        denied,
                        "{action} by {}",
                        who.name
                    );
                }
            }
        }
        // An administrator of the space takes it back.
        for action in Action::ALL.iter().filter(|action| action.is_about_policy()) {
            assert!(is_allowed(&admin, *action, &shared) && is_allowed(&root, *action, &shared), "{action}");
            assert_eq!(ask(&writer, *action, &shared, true, true), denied, "{action}");
        }
    }

    /// A denial of the signer of a URL denies the URL.
    #[test]
    fn a_signed_url_is_worth_what_its_maker_is() {
        let deny = allow(r#"{"AWS":"arn:aws:iam::acme:user/<id>"}"#, "s3:GetObject").replace("Allow", "Deny");
        let deny = settings(&deny);
        let bounds = Arc::default();
        let of = |maker| Principal {
            proof: Proof::Url { maker, bounds: Arc::clone(&bounds) },
            ..credential("acme", "read")
        };
        let get = |who: &Principal| ask(who, Action::GetObject, &deny, false, false);
        assert_eq!(get(&of(Some(Uuid::from_u128(ID)))), Decision::Refused(Why::Policy));
        for other in [Some(Uuid::from_u128(8)), None] {
            assert_eq!(get(&of(other)), Decision::Allowed(By::Rights));
        }
    }

    /// S3 User Guide, "Blocking public access", `RestrictPublicBuckets`.
    #[test]
    fn a_restricted_public_bucket_is_its_owners() {
        let open = settings(&format!(
            "[{},{}]",
            allow(r#""*""#, "s3:GetObject"),
            allow(r#"{"AWS":"corp"}"#, "s3:PutObject")
        ));
        let restricted = PublicAccess { restrict_public_buckets: true, ..PublicAccess::DEFAULT };
        let closed = SpaceSettings { public_access: Some(Declared::Set(restricted)), ..open.clone() };
        let anonymous = Principal::anonymous(tenant("acme"));
        let (own, other) = (credential("acme", "write"), credential("corp", "read,write"));
        for (settings, strangers) in [(&open, true), (&closed, false)] {
            assert_eq!(is_allowed(&anonymous, Action::GetObject, settings), strangers);
            assert_eq!(is_allowed(&other, Action::GetObject, settings), strangers);
            assert_eq!(
                is_allowed(&other, Action::PutObject, settings),
                strangers,
                "all access across tenants"
            );
            assert!(is_allowed(&own, Action::GetObject, settings));
        }
        let fixed = SpaceSettings {
            public_access: closed.public_access,
            ..settings(&allow(r#"{"AWS":"corp"}"#, "s3:GetObject"))
        };
        assert!(is_allowed(&other, Action::GetObject, &fixed), "it is not public");
    }

    #[test]
    fn only_the_owner_sees_or_sets_a_policy_or_settings() {
        let open = settings(&allow(r#""*""#, "s3:*"));
        let (anonymous, other) =
            (Principal::anonymous(tenant("acme")), credential("corp", "read,write,delete,admin"));
        for action in Action::ALL {
            let administers = action.right() == Right::Admin;
            assert_eq!(
                is_allowed(&anonymous, *action, &open),
                !administers && !action.is_about_policy(),
                "{action}"
            );
            assert_eq!(is_allowed(&other, *action, &open), !action.is_about_policy(), "{action}");
        }
    }

    #[test]
    fn acls_give_bytes_and_listings_where_they_count() {
        let shared = SpaceSettings { acl: CannedAcl::PublicReadWrite, ..SpaceSettings::default() };
        let anonymous = Principal::anonymous(tenant("acme"));
        for action in Action::ALL {
            let given = matches!(
                action,
                Action::GetObject
                    | Action::GetObjectVersion
                    | Action::ListBucket
                    | Action::ListBucketVersions
                    | Action::ListBucketMultipartUploads
                    | Action::PutObject
            );
            let by_acl = ask(&anonymous, *action, &shared, true, true) == Decision::Allowed(By::Acl);
            assert_eq!(by_acl, given, "{action}");
            assert!(
                matches!(ask(&anonymous, *action, &shared, true, false), Decision::Refused(_)),
                "{action}"
            );
        }
    }
}
