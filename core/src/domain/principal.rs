//! Who asks, and what they may do.

use std::fmt;

use super::address::{Namespace, SpaceAddress, Tenant};
use super::invalid::Invalid;

/// One kind of permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read objects and listings.
    Read,
    /// Write objects, metadata, uploads; create buckets.
    Write,
    /// Delete objects; abort uploads; delete buckets.
    Delete,
    /// Settings, usage of the whole store, keys.
    Admin,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Delete, Self::Admin];

    /// Its name in commands and tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Delete => 4,
            Self::Admin => 8,
        }
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// Every right.
    pub fn all() -> Self {
        Right::ALL.into_iter().collect()
    }

    /// Whether `right` is in the set.
    pub fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Reads `read,write,delete,admin` in any order.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        text.split(',')
            .map(|name| Right::ALL.into_iter().find(|right| right.as_str() == name.trim()))
            .collect::<Option<Self>>()
            .ok_or_else(|| {
                Invalid::new("rights", "must be a comma-separated list of read, write, delete, admin")
            })
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Right::ALL.into_iter().filter(|r| self.has(*r)).map(Right::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// The identity that every request resolves to, whichever way it proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// For logs: the key's id, `root`, or `anonymous`. Never a secret.
    pub name: String,
    /// The tenant whose data this is, and where new buckets go.
    pub tenant: Tenant,
    /// Whether other tenants' spaces are open too: the root key, and disabled authentication.
    pub any_tenant: bool,
    /// The namespaces allowed; `None` for all.
    pub namespaces: Option<Vec<Namespace>>,
    /// What may be done there.
    pub rights: Rights,
}

/// Why a principal may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The space is out of the principal's sight: answer as if it did not exist.
    Invisible,
    /// The space is visible but the right is missing.
    Forbidden(Right),
}

impl Principal {
    /// One who may do everything everywhere; `tenant` is where its own buckets go.
    pub fn unrestricted(name: &str, tenant: Tenant) -> Self {
        Self { name: name.to_owned(), tenant, any_tenant: true, namespaces: None, rights: Rights::all() }
    }

    /// Whether anything in `space` may be seen at all.
    pub fn sees(&self, space: &SpaceAddress) -> bool {
        (self.any_tenant || self.tenant == space.tenant)
            && self.namespaces.as_ref().is_none_or(|allowed| allowed.contains(&space.namespace))
    }

    /// Whether `right` may be exercised in `space`. Deny is the default.
    pub fn may(&self, right: Right, space: &SpaceAddress) -> Result<(), Denied> {
        if !self.sees(space) {
            return Err(Denied::Invisible);
        }
        if self.rights.has(right) { Ok(()) } else { Err(Denied::Forbidden(right)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_and_namespaces_wall_off() {
        let space = |n: &str, t: &str| SpaceAddress::new(Namespace::new(n).unwrap(), Tenant::new(t).unwrap());
        let mut who = Principal {
            name: "k".into(),
            tenant: Tenant::new("acme").unwrap(),
            any_tenant: false,
            namespaces: None,
            rights: Rights::parse("read").unwrap(),
        };
        assert_eq!(who.may(Right::Read, &space("a", "acme")), Ok(()));
        assert_eq!(who.may(Right::Write, &space("a", "acme")), Err(Denied::Forbidden(Right::Write)));
        assert_eq!(who.may(Right::Read, &space("a", "evil")), Err(Denied::Invisible));
        who.namespaces = Some(vec![Namespace::new("b").unwrap()]);
        assert_eq!(who.may(Right::Read, &space("a", "acme")), Err(Denied::Invisible));
        assert_eq!(who.may(Right::Read, &space("b", "acme")), Ok(()));
    }

    #[test]
    fn rights_read_back_what_they_print() {
        for text in ["read", "read,write", "read,write,delete,admin"] {
            assert_eq!(Rights::parse(text).unwrap().to_string(), text);
        }
        assert!(Rights::parse("read,fly").is_err());
        assert!(Rights::parse("").is_err());
    }
}
