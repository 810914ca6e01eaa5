//! Keys, as they are stored.

use uuid::Uuid;

use crate::domain::address::Tenant;
use crate::domain::principal::{NamespacePattern, Rights};
use crate::domain::timestamp::Timestamp;

/// A key's two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A bearer token of the native API.
    Api,
    /// An access key and secret key of the S3 front.
    S3,
}

/// A key as stored: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id, used to revoke it.
    pub id: Uuid,
    /// Its kind.
    pub kind: CredentialKind,
    /// The public part it is found by: an S3 access key, or an API token's prefix. Unique.
    pub lookup: String,
    /// API: the SHA-256 of the token. S3: the secret key, encrypted with the master key.
    pub secret: Vec<u8>,
    /// Whose data.
    pub tenant: Tenant,
    /// The namespaces allowed; `None` for all.
    pub namespaces: Option<Vec<NamespacePattern>>,
    /// What may be done.
    pub rights: Rights,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
