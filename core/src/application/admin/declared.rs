//! The declarations of a file, and the findings about the store. Pure: [`Admin::declare`](super::Admin::declare) compares.

use crate::application::access::{GivenSecret, NewKeyRequest};
use crate::application::error::{Error, Result};
use crate::domain::address::{BucketName, SpaceAddress, Tenant};
use crate::domain::invalid::Invalid;
use crate::domain::limits::{LimitSetting as Limit, Limits, Overrides};
use crate::domain::object_lock::LockConfig;
use crate::domain::policy::Policy;
use crate::domain::settings::Setting;
use crate::domain::space::Versioning;
use crate::domain::storage_class::StorageClass;

/// A store's declarations.
#[derive(Clone, Default)]
pub struct Declared {
    /// Limits of tenants.
    pub tenants: Vec<DeclaredTenant>,
    /// Credentials.
    pub credentials: Vec<DeclaredCredential>,
    /// Buckets, and what is set on their spaces.
    pub buckets: Vec<DeclaredBucket>,
}

/// A tenant's limits. `None`: nothing is declared.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // as those of `Overrides`
pub struct DeclaredTenant {
    pub tenant: Tenant,
    pub requests_per_second: Option<Limit>,
    pub concurrent_requests: Option<Limit>,
    pub upload_bytes_per_second: Option<Limit>,
    pub download_bytes_per_second: Option<Limit>,
    pub quota_bytes: Option<Limit>,
    pub quota_objects: Option<Limit>,
}

/// A credential and its secret.
#[derive(Clone)]
pub struct DeclaredCredential {
    /// Its rights. Of the kind of `secret`.
    pub request: NewKeyRequest,
    /// Its secret.
    pub secret: GivenSecret,
}

/// A bucket, and what is set on its space. `None`: nothing is declared.
#[derive(Clone, Debug)]
pub struct DeclaredBucket {
    /// Its name.
    pub name: BucketName,
    /// The space that it names.
    pub space: SpaceAddress,
    /// Whether keys keep versions.
    pub versioning: Option<Versioning>,
    /// The class of an object whose writer names none.
    pub default_class: Option<StorageClass>,
    /// That versions can be locked, and what new ones get.
    pub object_lock: Option<LockConfig>,
    /// Documents, at most one of a kind.
    pub documents: Vec<Setting>,
}

/// An entry of the declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A tenant.
    Tenant(Tenant),
    /// A bucket.
    Bucket(BucketName),
    /// A credential, by its access key or the public part of its token.
    Credential(String),
}

impl Entry {
    /// The kind of the entry, and its name.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Tenant(tenant) => ("tenant", tenant.as_str()),
            Self::Bucket(name) => ("bucket", name.as_str()),
            Self::Credential(name) => ("credential", name),
        }
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind} {name}")
    }
}

/// The treatment of missing entries and of differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Nothing.
    Look,
    /// Missing entries are made.
    Create,
    /// Missing entries are made, and differences are corrected.
    Revert,
}

/// A finding about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entry.
    pub entry: Entry,
    /// How it stands.
    pub state: DeclaredState,
}

/// How an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredState {
    /// The store does not have it.
    Missing,
    /// The store did not have it, and has it now.
    Created,
    /// A field is not as declared.
    Differs {
        /// The field.
        field: &'static str,
        /// The declared value; `None` where that is secret.
        declared: Option<String>,
        /// The store's value; `None` where that is secret.
        found: Option<String>,
        /// `Ok` and whether it was changed to what is declared; `Err`: why it could not be.
        reverted: Result<bool, String>,
    },
}

impl Finding {
    /// Whether the store is not as declared, still.
    pub fn is_drift(&self) -> bool {
        match &self.state {
            DeclaredState::Missing => true,
            DeclaredState::Created => false,
            DeclaredState::Differs { reverted, .. } => *reverted != Ok(true),
        }
    }
}

/// An entry that cannot be: it breaks a rule, or what it takes could not be done.
#[derive(Clone, Debug)]
pub struct Unfit {
    /// The entry.
    pub entry: Entry,
    /// Why.
    pub error: Error,
}

/// Marks what goes wrong with the entry that it is about.
pub(super) trait About<T> {
    fn about(self, entry: &Entry) -> Result<T, Unfit>;
}

impl<T, E: Into<Error>> About<T> for Result<T, E> {
    fn about(self, entry: &Entry) -> Result<T, Unfit> {
        self.map_err(|error| Unfit { entry: entry.clone(), error: error.into() })
    }
}

impl Declared {
    /// Checks every entry by itself, and that no two are of the same name.
    pub fn validate(&self) -> Result<(), Unfit> {
        let mut seen: Vec<&Entry> = Vec::new();
        let entries = self.entries();
        for entry in &entries {
            if seen.contains(&entry) {
                return Err(Invalid::new("name", "is in two entries")).about(entry);
            }
            seen.push(entry);
        }
        for tenant in &self.tenants {
            tenant.over(Overrides::default()).over(&Limits::default()).validate().about(&tenant.entry())?;
        }
        for credential in &self.credentials {
            credential
                .secret
                .validate()
                .and_then(|()| credential.request.validate())
                .about(&credential.entry())?;
        }
        let mut spaces: Vec<&SpaceAddress> = Vec::new();
        for bucket in &self.buckets {
            bucket.validate().about(&bucket.entry())?;
            if spaces.contains(&&bucket.space) {
                return Err(Invalid::new("namespace", "names the space of another bucket of the file"))
                    .about(&bucket.entry());
            }
            spaces.push(&bucket.space);
        }
        Ok(())
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        (self.tenants.iter().map(DeclaredTenant::entry))
            .chain(self.credentials.iter().map(DeclaredCredential::entry))
            .chain(self.buckets.iter().map(DeclaredBucket::entry))
            .collect()
    }
}

/// A limit: its name, what is declared, and its place in what is said of a tenant.
type LimitField = (&'static str, Option<Limit>, fn(&mut Overrides) -> &mut Limit);

impl DeclaredTenant {
    pub(super) fn entry(&self) -> Entry {
        Entry::Tenant(self.tenant.clone())
    }

    pub(super) fn fields(&self) -> [LimitField; 6] {
        [
            ("requests_per_second", self.requests_per_second, |said| &mut said.requests_per_second),
            ("concurrent_requests", self.concurrent_requests, |said| &mut said.concurrent_requests),
            ("upload_bytes_per_second", self.upload_bytes_per_second, |said| {
                &mut said.upload_bytes_per_second
            }),
            ("download_bytes_per_second", self.download_bytes_per_second, |said| {
                &mut said.download_bytes_per_second
            }),
            ("quota_bytes", self.quota_bytes, |said| &mut said.quota_bytes),
            ("quota_objects", self.quota_objects, |said| &mut said.quota_objects),
        ]
    }

    /// The limits of the tenant, with the declared ones in place of them.
    pub(super) fn over(&self, mut said: Overrides) -> Overrides {
        for (_, declared, place) in self.fields() {
            if let Some(declared) = declared {
                *place(&mut said) = declared;
            }
        }
        said
    }
}

impl DeclaredCredential {
    pub(super) fn entry(&self) -> Entry {
        Entry::Credential(self.secret.lookup().to_owned())
    }
}

impl DeclaredBucket {
    pub(super) fn entry(&self) -> Entry {
        Entry::Bucket(self.name.clone())
    }

    pub(super) fn policy(&self) -> Option<&Policy> {
        self.documents.iter().find_map(|document| match document {
            Setting::Policy(policy) => Some(&**policy),
            _ => None,
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        for document in &self.documents {
            let named = |invalid: Invalid| Invalid::new(document.kind().as_str(), invalid.reason);
            document.validate().map_err(named)?;
        }
        if self.policy().is_some_and(|policy| policy.bucket() != self.name.as_str()) {
            return Err(Invalid::new("policy", "must name this bucket in its resources"));
        }
        if self.object_lock.is_some() && self.versioning.is_some_and(|said| said != Versioning::Enabled) {
            return Err(Invalid::new("versioning", "must be enabled where versions can be locked"));
        }
        Ok(())
    }
}
