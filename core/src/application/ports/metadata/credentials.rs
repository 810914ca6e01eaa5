//! Keys, as they are stored.

use async_trait::async_trait;
use uuid::Uuid;

use super::MetadataError;
use crate::domain::address::{KeyPrefix, Tenant};
use crate::domain::principal::{NamespacePattern, Rights};
use crate::domain::timestamp::Timestamp;

/// Credentials.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// Stores a key.
    async fn create_credential(&self, credential: &Credential) -> Result<(), MetadataError>;

    /// Stores a key unless its public part is in use, by a revoked one too. Whether it was stored.
    async fn declare_credential(&self, credential: &Credential) -> Result<bool, MetadataError>;

    /// Gives the key of this id the secret, tenant, namespaces, prefixes, rights, description and end that `credential` has.
    /// Whether there is such a key of that kind that is not revoked.
    async fn restate_credential(&self, credential: &Credential) -> Result<bool, MetadataError>;

    /// The key with this public part, revoked and expired ones too.
    async fn find_credential(&self, lookup: &str) -> Result<Option<Credential>, MetadataError>;

    /// The key with this id, revoked and expired ones too.
    async fn credential(&self, id: Uuid) -> Result<Option<Credential>, MetadataError>;

    /// All keys, oldest first; of one tenant, or of all.
    async fn list_credentials(&self, tenant: Option<&Tenant>) -> Result<Vec<Credential>, MetadataError>;

    /// Keys that are not revoked and end after `after` and not after `by`, the next to end first; at most so many.
    async fn ending_credentials(
        &self,
        after: Timestamp,
        by: Timestamp,
        limit: u32,
    ) -> Result<Vec<Credential>, MetadataError>;

    /// Revokes a key. Whether there was one that was not revoked yet.
    async fn revoke_credential(&self, id: Uuid, now: Timestamp) -> Result<bool, MetadataError>;

    /// Stores `new` and ends the key `old` at `ends`, both or neither; a key that ends at `now` is revoked, one
    /// that ends before `ends` anyway stays as it is. Whether `old` was there and not revoked yet.
    async fn rotate_credential(
        &self,
        old: Uuid,
        now: Timestamp,
        ends: Timestamp,
        new: &Credential,
    ) -> Result<bool, MetadataError>;

    /// Puts `sealed` in the place of a key's secret, if that is still `was`. Whether it was.
    async fn reseal_credential(&self, id: Uuid, was: &[u8], sealed: &[u8]) -> Result<bool, MetadataError>;
}

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
    /// The beginnings of the keys that it may use; `None` for all keys. Of a credential that reads, writes or deletes
    /// only.
    pub prefixes: Option<Vec<KeyPrefix>>,
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
