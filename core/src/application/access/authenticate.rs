//! Turning a credential into a principal.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::seal::MasterKey;
use crate::application::error::{Error, Result};
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{Credential, CredentialKind, MetadataStore};
use crate::domain::address::Tenant;
use crate::domain::principal::Principal;

/// Whether the native API asks for credentials. The S3 front always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Everyone may do everything: for loopback.
    Disabled,
    /// Every request proves who it is.
    Required,
}

/// The S3 key that the configuration brings along; it may do everything.
#[derive(Clone)]
pub struct RootKey {
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
}

/// An S3 key that exists and holds: the secret its signatures are checked with, and whose it is.
#[derive(Clone)]
pub struct S3Identity {
    /// The secret key. Never logged.
    pub secret_key: String,
    /// Whose requests it signs.
    pub principal: Principal,
}

/// Resolves credentials of both fronts, and makes and revokes them.
#[derive(Clone)]
pub struct Access {
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) master_key: MasterKey,
    mode: AuthMode,
    root: Option<RootKey>,
    home: Tenant,
}

/// The prefix of every API token, by which scanners recognise a leaked one.
pub(super) const TOKEN_PREFIX: &str = "js_";

/// Length of the part of an API token, behind the prefix, that it is looked up by.
pub(super) const TOKEN_LOOKUP_CHARS: usize = 12;

impl Access {
    /// Over the stored keys. `home` is the tenant of the root key and of unauthenticated callers that name
    /// none.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        master_key: MasterKey,
        mode: AuthMode,
        root: Option<RootKey>,
        home: Tenant,
    ) -> Self {
        Self { metadata, clock, master_key, mode, root, home }
    }

    /// Whether credentials are asked for.
    pub fn mode(&self) -> AuthMode {
        self.mode
    }

    /// A native request without credentials, for `tenant` if it names one.
    pub fn anonymous(&self, tenant: Option<Tenant>) -> Result<Principal> {
        match self.mode {
            AuthMode::Disabled => {
                Ok(Principal::unrestricted("anonymous", tenant.unwrap_or_else(|| self.home.clone())))
            }
            AuthMode::Required => Err(Error::Unauthenticated("credentials are required")),
        }
    }

    /// The holder of an API token.
    pub async fn bearer(&self, token: &str) -> Result<Principal> {
        const REFUSED: Error = Error::Unauthenticated("the token is not valid");
        let lookup = token_lookup(token).ok_or(REFUSED)?;
        let credential = self.metadata.find_credential(lookup).await?;
        // The comparison takes place, and takes as long, whether or not there is such a key.
        let stored = credential.as_ref().map_or(&[0; 32][..], |credential| &credential.secret);
        let matches: bool = Sha256::digest(token.as_bytes()).as_slice().ct_eq(stored).into();
        credential
            .filter(|credential| matches && credential.kind == CredentialKind::Api)
            .filter(|credential| self.holds(credential))
            .map(|credential| principal_of(&credential))
            .ok_or(REFUSED)
    }

    /// The secret and holder of an S3 access key; `None` if there is no such key or it holds no more.
    pub async fn s3(&self, access_key: &str) -> Result<Option<S3Identity>> {
        if let Some(root) = self.root.as_ref().filter(|root| root.access_key == access_key) {
            return Ok(Some(S3Identity {
                secret_key: root.secret_key.clone(),
                principal: Principal::unrestricted("root", self.home.clone()),
            }));
        }
        let Some(credential) = self.metadata.find_credential(access_key).await? else { return Ok(None) };
        if credential.kind != CredentialKind::S3 || !self.holds(&credential) {
            return Ok(None);
        }
        let secret = self.master_key.open(&credential.lookup, &credential.secret);
        let Some(secret_key) = secret.and_then(|secret| String::from_utf8(secret).ok()) else {
            tracing::error!(key = %credential.id, "stored secret cannot be decrypted: was the master key changed?");
            return Err(Error::Internal);
        };
        Ok(Some(S3Identity { secret_key, principal: principal_of(&credential) }))
    }

    fn holds(&self, credential: &Credential) -> bool {
        let now = self.clock.now();
        credential.revoked_at.is_none() && credential.expires_at.is_none_or(|expires| now < expires)
    }
}

/// The public part of an API token.
pub(super) fn token_lookup(token: &str) -> Option<&str> {
    let rest = token.strip_prefix(TOKEN_PREFIX)?;
    let (lookup, secret) = rest.split_at_checked(TOKEN_LOOKUP_CHARS)?;
    (!secret.is_empty() && token.len() <= 256).then_some(lookup)
}

fn principal_of(credential: &Credential) -> Principal {
    Principal {
        name: credential.id.to_string(),
        tenant: credential.tenant.clone(),
        any_tenant: false,
        namespaces: credential.namespaces.clone(),
        rights: credential.rights,
    }
}
