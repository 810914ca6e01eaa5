//! Who asks, and what they may do.

use std::fmt;
use std::sync::Arc;

use super::acl::Stranger;
use super::address::{KeyPrefix, Namespace, SpaceAddress, Tenant};
use super::bounds::UploadBounds;
use super::context::Context;
use super::invalid::Invalid;
use super::timestamp::Timestamp;
use uuid::Uuid;

/// One kind of permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read objects and listings.
    Read,
    /// Write objects, metadata, uploads; create buckets.
    Write,
    /// Delete objects; abort uploads; delete buckets.
    Delete,
    /// Administer what the credential sees: settings, buckets, credentials.
    Admin,
    /// Read the metrics of the process. Of the store as a whole.
    Metrics,
    /// Administer the whole store: every tenant, background work, limits. It opens no object.
    Operator,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Delete, Self::Admin, Self::Metrics, Self::Operator];

    /// Whether it is about the store as a whole, and not about what a tenant has.
    pub fn is_of_store(self) -> bool {
        matches!(self, Self::Metrics | Self::Operator)
    }

    /// Its name in commands and tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
            Self::Operator => "operator",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Delete => 4,
            Self::Admin => 8,
            Self::Metrics => 16,
            Self::Operator => 32,
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

    /// Whether a credential with these rights can be bound to prefixes of keys. Settings, metrics and administration have
    /// no keys: a bound credential reads, writes and deletes.
    pub fn fit_prefixes(self) -> bool {
        self.iter().all(|right| matches!(right, Right::Read | Right::Write | Right::Delete))
    }

    /// The rights in the set.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }

    /// Reads `read,write,delete,admin,metrics,operator`, or some of them, in any order.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        text.split(',')
            .map(|name| Right::ALL.into_iter().find(|right| right.as_str() == name.trim()))
            .collect::<Option<Self>>()
            .ok_or_else(|| {
                let rule = "must be a comma-separated list of read, write, delete, admin, metrics, operator";
                Invalid::new("rights", rule)
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
        let names: Vec<_> = self.iter().map(Right::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// Which namespaces: one by its name, or all that begin with a prefix (`team-*`; `*` is all of them).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespacePattern {
    /// Exactly this one.
    Exact(Namespace),
    /// Every one that begins with this text, which may be empty.
    Prefix(String),
}

impl NamespacePattern {
    /// Reads a namespace, or a prefix followed by `*`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let Some(prefix) = text.strip_suffix('*') else { return Namespace::new(text).map(Self::Exact) };
        // The beginning of a namespace is a namespace itself, or empty.
        if !prefix.is_empty() {
            Namespace::new(prefix)?;
        }
        Ok(Self::Prefix(prefix.to_owned()))
    }

    /// Whether `namespace` is among them.
    pub fn matches(&self, namespace: &Namespace) -> bool {
        match self {
            Self::Exact(name) => name == namespace,
            Self::Prefix(prefix) => namespace.as_str().starts_with(prefix.as_str()),
        }
    }

    /// Whether every namespace that `other` matches is among them.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Exact(_), Self::Prefix(_)) => false,
            (Self::Prefix(own), Self::Prefix(other)) => other.starts_with(own.as_str()),
        }
    }
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl From<Namespace> for NamespacePattern {
    fn from(namespace: Namespace) -> Self {
        Self::Exact(namespace)
    }
}

/// Whose data a principal may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// Its own tenant's only.
    Own,
    /// These tenants', its own among them.
    These(Vec<Tenant>),
    /// Of all tenants: the root credential, and disabled authentication.
    Any,
}

/// By what a principal proved itself: what a URL that it signs will be traced back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The root key of the configuration, or an operator at the command line.
    Operator,
    /// Nothing: authentication is disabled.
    Nothing,
    /// A stored key.
    Key {
        /// Its id, by which policies name it.
        id: Uuid,
        /// Its public part, by which it is looked up again.
        lookup: String,
    },
    /// A JSON web token.
    Jwt {
        /// The id of the key that signed it, if it has one.
        key_id: Option<String>,
        /// When it ends: nothing that derives from it lasts longer.
        expires_at: Timestamp,
    },
    /// A signed URL, which nothing derives from.
    Url {
        /// The id of the stored key that made it, if one did.
        maker: Option<Uuid>,
        /// What it allows of an upload.
        bounds: Arc<UploadBounds>,
    },
    /// Nothing, though authentication is required: it gets what is granted to the public.
    Missing,
}

/// The identity that every request resolves to, whichever way it proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// For logs: the key's id, `jwt:` and its subject, `root`, or `anonymous`. Never a secret.
    pub name: String,
    /// The tenant that new buckets go to, and whose limits the requests count against.
    pub tenant: Tenant,
    /// Whose data may be reached.
    pub tenants: Tenants,
    /// The namespaces allowed; `None` for all.
    pub namespaces: Option<Vec<NamespacePattern>>,
    /// The beginnings of the keys that it may use, in each of those namespaces; `None` for all keys. See
    /// [`Rights::fit_prefixes`].
    pub prefixes: Option<Vec<KeyPrefix>>,
    /// What may be done there.
    pub rights: Rights,
    /// By what it proved itself.
    pub proof: Proof,
    /// What its request says of itself, which policies may ask for.
    pub context: Context,
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
        Self {
            name: name.to_owned(),
            tenant,
            tenants: Tenants::Any,
            namespaces: None,
            prefixes: None,
            rights: Rights::all(),
            proof: Proof::Operator,
            context: Context::default(),
        }
    }

    /// One who proved nothing, at a space of `tenant`: it has no rights, and what it takes up counts against that
    /// tenant, which granted something to the public or did not.
    pub fn anonymous(tenant: Tenant) -> Self {
        Self {
            name: "anonymous".to_owned(),
            tenant,
            tenants: Tenants::Own,
            namespaces: None,
            prefixes: None,
            rights: Rights::default(),
            proof: Proof::Missing,
            context: Context::default(),
        }
    }

    /// What it is where it has no rights of its own.
    pub fn as_stranger(&self) -> Stranger {
        match self.proof {
            Proof::Missing => Stranger::Anonymous,
            _ => Stranger::Known,
        }
    }

    /// Whether data of `tenant` may be reached at all.
    pub fn reaches(&self, tenant: &Tenant) -> bool {
        match &self.tenants {
            Tenants::Own => self.tenant == *tenant,
            Tenants::These(tenants) => tenants.contains(tenant),
            Tenants::Any => true,
        }
    }

    /// What its request may be, beside what rights allow: bounds of the signed URL that it came by.
    pub fn bounds(&self) -> Option<&UploadBounds> {
        match &self.proof {
            Proof::Url { bounds, .. } => Some(bounds),
            _ => None,
        }
    }

    /// The tenant that its requests are about where they name none: the only one that it reaches. `None` if it reaches
    /// several.
    pub fn only_tenant(&self) -> Option<&Tenant> {
        match &self.tenants {
            Tenants::Own => Some(&self.tenant),
            Tenants::These(tenants) => match tenants.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            Tenants::Any => None,
        }
    }

    /// The same principal, confined to one of its tenants; `None` if it does not reach that one.
    #[must_use]
    pub fn confined(self, tenant: &Tenant) -> Option<Self> {
        self.reaches(tenant).then(|| Self { tenant: tenant.clone(), tenants: Tenants::Own, ..self })
    }

    /// The same principal, whose request says this of itself.
    #[must_use]
    pub fn asking(self, context: Context) -> Self {
        Self { context, ..self }
    }

    /// Whether anything in `space` may be seen at all.
    pub fn sees(&self, space: &SpaceAddress) -> bool {
        self.reaches(&space.tenant) && self.is_let_into(&space.namespace)
    }

    /// Whether `namespace` is among those allowed, whosever it is.
    pub fn is_let_into(&self, namespace: &Namespace) -> bool {
        let allowed = self.namespaces.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|pattern| pattern.matches(namespace)))
    }

    /// Whether every key that begins with `text` is among those that it may use.
    pub fn covers(&self, text: &str) -> bool {
        let bound = self.prefixes.as_ref();
        bound.is_none_or(|prefixes| prefixes.iter().any(|prefix| prefix.covers(text)))
    }

    /// Whether `right` may be exercised in `space`, as far as tenant, namespaces and rights decide. Deny is the default.
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
            tenants: Tenants::Own,
            namespaces: None,
            prefixes: None,
            rights: Rights::parse("read").unwrap(),
            proof: Proof::Nothing,
            context: Context::default(),
        };
        assert_eq!(who.may(Right::Read, &space("a", "acme")), Ok(()));
        assert_eq!(who.may(Right::Write, &space("a", "acme")), Err(Denied::Forbidden(Right::Write)));
        assert_eq!(who.may(Right::Read, &space("a", "evil")), Err(Denied::Invisible));
        who.namespaces = Some(vec![NamespacePattern::parse("b").unwrap()]);
        assert_eq!(who.may(Right::Read, &space("a", "acme")), Err(Denied::Invisible));
        assert_eq!(who.may(Right::Read, &space("b", "acme")), Ok(()));
    }

    #[test]
    fn several_tenants_are_not_all() {
        let tenant = |name: &str| Tenant::new(name).unwrap();
        let mut who = Principal::unrestricted("k", tenant("a"));
        assert!(who.reaches(&tenant("z")));
        who.tenants = Tenants::These(vec![tenant("a"), tenant("b")]);
        assert!(who.reaches(&tenant("b")) && !who.reaches(&tenant("c")));
        assert_eq!(who.clone().confined(&tenant("c")), None);
        let confined = who.confined(&tenant("b")).unwrap();
        assert!(confined.reaches(&tenant("b")) && !confined.reaches(&tenant("a")));
    }

    #[test]
    fn patterns_match_by_name_or_prefix() {
        let matches = |pattern: &str, name: &str| {
            NamespacePattern::parse(pattern).unwrap().matches(&Namespace::new(name).unwrap())
        };
        assert!(matches("team-*", "team-a") && matches("team-*", "team-") && matches("*", "a"));
        assert!(!matches("team-*", "teams") && !matches("team", "team-a"));
        for bad in ["", "a*b", "**", "A*", "-*", "a b*"] {
            assert!(NamespacePattern::parse(bad).is_err(), "{bad}");
        }
        let covers = |own: &str, other: &str| {
            NamespacePattern::parse(own).unwrap().covers(&NamespacePattern::parse(other).unwrap())
        };
        assert!(covers("*", "a*") && covers("team-*", "team-a*") && covers("a", "a") && covers("a*", "a"));
        assert!(
            !covers("a", "a*") && !covers("team-a*", "team-*") && !covers("a*", "*") && !covers("a", "b")
        );
        for text in ["team-*", "*", "a"] {
            assert_eq!(NamespacePattern::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn rights_read_back_what_they_print() {
        for text in ["read", "read,write", "read,write,delete,admin", "metrics", "read,metrics,operator"] {
            assert_eq!(Rights::parse(text).unwrap().to_string(), text);
        }
        assert!(Rights::parse("read,fly").is_err());
        assert!(Rights::parse("").is_err());
    }
}
