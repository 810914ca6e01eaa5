//! The right to administer: the one decision behind every call of administration.
//!
//! The right `admin` counts in what the credential sees: its tenants, and in them its namespaces. The right `operator`
//! counts everywhere, and is the only one that counts for the store as a whole. Pure, as [`super::decide`] is.

use crate::domain::address::{SpaceAddress, Tenant};
use crate::domain::principal::{Denied, NamespacePattern, Principal, Right, Rights, Tenants};

/// The subject of an administration.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// The store as a whole: background work, limits, every tenant.
    Store,
    /// A tenant as a whole: what is counted and told of all its namespaces together.
    Tenant(&'a Tenant),
    /// A tenant, as far as these namespaces; `None` is all of them.
    Part(&'a Tenant, Option<&'a [NamespacePattern]>),
    /// A space, and the buckets that name it.
    Space(&'a SpaceAddress),
}

/// Whether `who` administers `scope`. Bound to prefixes of keys, it administers nothing: no scope ends inside a space.
pub fn administer(who: &Principal, scope: Scope<'_>) -> Result<(), Denied> {
    if who.prefixes.is_some() {
        return Err(Denied::Forbidden(Right::Admin));
    }
    if is_operator(who) {
        return Ok(());
    }
    let (seen, right) = match scope {
        Scope::Store => return Err(Denied::Forbidden(Right::Operator)),
        // One bound to namespaces knows of its tenant, and of the others' affairs nothing.
        Scope::Tenant(tenant) if who.namespaces.is_some() && who.reaches(tenant) => {
            return Err(Denied::Forbidden(Right::Operator));
        }
        Scope::Tenant(tenant) => (who.reaches(tenant), Right::Admin),
        Scope::Part(tenant, namespaces) => (who.reaches(tenant) && covers(who, namespaces), Right::Admin),
        Scope::Space(space) => (who.sees(space), Right::Admin),
    };
    match (seen, who.rights.has(right)) {
        (false, _) => Err(Denied::Invisible),
        (true, false) => Err(Denied::Forbidden(right)),
        (true, true) => Ok(()),
    }
}

/// Whether `who` may give, renew or take away credentials with these rights, where it administers them: rights over the
/// whole store are an operator's to give.
pub fn may_hand_out(who: &Principal, rights: Rights) -> Result<(), Denied> {
    if is_operator(who) || !rights.iter().any(Right::is_of_store) {
        return Ok(());
    }
    Err(Denied::Forbidden(Right::Operator))
}

/// Whether `who` may read the metrics of the process.
pub fn may_measure(who: &Principal) -> Result<(), Denied> {
    if is_operator(who) || who.rights.has(Right::Metrics) {
        Ok(())
    } else {
        Err(Denied::Forbidden(Right::Metrics))
    }
}

/// `who` as an administrator of what it administers: with every right over settings and names there, so that the use
/// cases of buckets decide on policies alone. Who administers nothing stays as it is.
#[must_use]
pub fn as_administrator(who: &Principal) -> Principal {
    let rights = [Right::Read, Right::Write, Right::Delete, Right::Admin].into_iter().collect();
    if is_operator(who) {
        return Principal { tenants: Tenants::Any, namespaces: None, rights, ..who.clone() };
    }
    let administers = who.rights.has(Right::Admin) && who.prefixes.is_none();
    if administers { Principal { rights, ..who.clone() } } else { who.clone() }
}

/// Whether `who` administers the whole store.
pub fn is_operator(who: &Principal) -> bool {
    who.rights.has(Right::Operator) && who.prefixes.is_none()
}

/// Whether all of these namespaces are among those of `who`.
fn covers(who: &Principal, namespaces: Option<&[NamespacePattern]>) -> bool {
    match (&who.namespaces, namespaces) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(own), Some(others)) => others.iter().all(|other| own.iter().any(|own| own.covers(other))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::address::{KeyPrefix, Namespace};

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    fn patterns(names: &[&str]) -> Vec<NamespacePattern> {
        names.iter().map(|name| NamespacePattern::parse(name).unwrap()).collect()
    }

    fn who(rights: &str, namespaces: Option<&[&str]>) -> Principal {
        let rights = Rights::parse(rights).unwrap();
        let namespaces = namespaces.map(patterns);
        Principal {
            tenants: Tenants::Own,
            rights,
            namespaces,
            ..Principal::unrestricted("k", tenant("acme"))
        }
    }

    #[test]
    fn administration_ends_where_sight_ends() {
        let (own, other) = (tenant("acme"), tenant("corp"));
        let space =
            |namespace: &str, of: &Tenant| SpaceAddress::new(Namespace::new(namespace).unwrap(), of.clone());
        let (models, docs, theirs) = (space("models", &own), space("docs", &own), space("models", &other));
        let (some, wider) = (patterns(&["models"]), patterns(&["models", "docs"]));
        let scopes = [
            Scope::Store,
            Scope::Tenant(&own),
            Scope::Tenant(&other),
            Scope::Part(&own, None),
            Scope::Part(&own, Some(&some)),
            Scope::Part(&own, Some(&wider)),
            Scope::Part(&other, Some(&some)),
            Scope::Space(&models),
            Scope::Space(&docs),
            Scope::Space(&theirs),
        ];
        let (yes, hidden) = (Ok(()), Err(Denied::Invisible));
        let (op, admin) = (Err(Denied::Forbidden(Right::Operator)), Err(Denied::Forbidden(Right::Admin)));
        // A token may claim both.
        let bound = Principal {
            prefixes: Some(vec![KeyPrefix::new("a/").unwrap()]),
            ..who("read,admin,operator", None)
        };
        assert!(!is_operator(&bound) && as_administrator(&bound) == bound);
        for (principal, expected) in [
            (bound, [admin; 10]),
            (who("operator", None), [yes; 10]),
            (who("operator", Some(&["models"])), [yes; 10]),
            (who("admin", None), [op, yes, hidden, yes, yes, yes, hidden, yes, yes, hidden]),
            (
                who("admin", Some(&["models"])),
                [op, op, hidden, hidden, yes, hidden, hidden, yes, hidden, hidden],
            ),
            (
                who("read,write,delete,metrics", None),
                [op, admin, hidden, admin, admin, admin, hidden, admin, admin, hidden],
            ),
        ] {
            for (scope, expected) in scopes.iter().zip(expected) {
                let context = format!("{scope:?} by {} in {:?}", principal.rights, principal.namespaces);
                assert_eq!(administer(&principal, *scope), expected, "{context}");
            }
        }
    }

    #[test]
    fn rights_over_the_store_are_an_operators_to_give() {
        let (of_store, of_tenant) =
            (Rights::parse("metrics").unwrap(), Rights::parse("read,write,delete,admin").unwrap());
        assert!(may_hand_out(&who("operator", None), of_store).is_ok());
        assert!(may_hand_out(&who("admin", None), of_tenant).is_ok());
        assert!(may_hand_out(&who("admin,metrics", None), of_store).is_err());
        assert!(may_measure(&who("metrics", None)).is_ok() && may_measure(&who("operator", None)).is_ok());
        assert!(may_measure(&who("read,write,delete,admin", None)).is_err());
    }

    #[test]
    fn an_administrator_gets_no_further_than_it_sees() {
        let space = SpaceAddress::new(Namespace::new("docs").unwrap(), tenant("corp"));
        assert!(as_administrator(&who("operator", Some(&["models"]))).may(Right::Admin, &space).is_ok());
        assert_eq!(as_administrator(&who("admin", None)).may(Right::Admin, &space), Err(Denied::Invisible));
        assert_eq!(as_administrator(&who("read", None)).rights, Rights::parse("read").unwrap());
        assert!(!is_operator(&as_administrator(&who("operator", None))));
    }
}
