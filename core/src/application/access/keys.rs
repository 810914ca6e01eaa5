//! Making, listing and revoking credentials.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::authenticate::{Access, TOKEN_LOOKUP_CHARS, TOKEN_PREFIX};
use super::constant;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{BoundSpace, Credential, CredentialKind};
use crate::domain::address::{KEY_PREFIXES_MAX, KeyPrefix, Tenant};
use crate::domain::invalid::Invalid;
use crate::domain::principal::{NamespacePattern, Rights};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Binding;

/// Spaces with an upstream that are looked at together.
const UPSTREAMS_PAGE: u32 = 100;

/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1024;

/// Most namespaces of a credential.
const NAMESPACES_MAX: usize = 64;

/// What a new credential may do.
#[derive(Clone, Debug)]
pub struct NewKeyRequest {
    /// Its kind.
    pub kind: CredentialKind,
    /// Whose data.
    pub tenant: Tenant,
    /// The namespaces allowed; `None` for all.
    pub namespaces: Option<Vec<NamespacePattern>>,
    /// The beginnings of the keys that it may use; `None` for all keys.
    pub prefixes: Option<Vec<KeyPrefix>>,
    /// What may be done.
    pub rights: Rights,
    /// For people.
    pub description: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

impl NewKeyRequest {
    /// Checks what must hold of every new credential.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.rights.iter().next().is_none() {
            return Err(Invalid::new("rights", "must name at least one right"));
        }
        if self.description.len() > DESCRIPTION_BYTES_MAX || self.description.chars().any(char::is_control) {
            let rule = "must have at most 1024 bytes, and no control characters";
            return Err(Invalid::new("description", rule));
        }
        if self.namespaces.as_ref().is_some_and(|all| all.is_empty() || all.len() > NAMESPACES_MAX) {
            return Err(Invalid::new("namespaces", "must be 1 to 64 names, or null for all"));
        }
        if let Some(prefixes) = &self.prefixes {
            if prefixes.is_empty() || prefixes.len() > KEY_PREFIXES_MAX {
                return Err(Invalid::new(
                    "prefixes",
                    "must be 1 to 16 prefixes of keys, or null for all keys",
                ));
            }
            if !self.rights.fit_prefixes() {
                return Err(Invalid::new(
                    "rights",
                    "must be of read, write and delete where prefixes are named",
                ));
            }
        }
        Ok(())
    }
}

/// A credential that was just made: the only moment its secret can be seen.
#[derive(Clone)]
pub enum NewKey {
    /// A bearer token.
    Api {
        /// The credential's id.
        id: Uuid,
        /// The whole token.
        token: String,
    },
    /// An S3 credential.
    S3 {
        /// The credential's id.
        id: Uuid,
        /// The access key.
        access_key: String,
        /// The secret key.
        secret_key: String,
    },
}

impl Access {
    /// Makes a credential. For operators: the caller decides who may call it.
    pub async fn create_key(&self, request: NewKeyRequest) -> Result<NewKey> {
        Ok(self.issue(request).await?.1)
    }

    /// As [`Self::create_key`], with what is stored of it.
    pub async fn issue(&self, request: NewKeyRequest) -> Result<(Credential, NewKey)> {
        request.validate()?;
        let (credential, made) = self.new_key(request)?;
        self.metadata.create_credential(&credential).await?;
        Ok((credential, made))
    }

    /// Makes a credential with the rights of the credential `id`, and ends that one: at once, or after `grace` (or when
    /// it would have ended anyway). Both happen or neither.
    pub async fn rotate_key(&self, id: Uuid, grace: Duration) -> Result<(Credential, NewKey)> {
        let old = self.metadata.credential(id).await?.ok_or(Error::NoSuchCredential)?;
        let (credential, made) = self.new_key(NewKeyRequest {
            kind: old.kind,
            tenant: old.tenant,
            namespaces: old.namespaces,
            prefixes: old.prefixes,
            rights: old.rights,
            description: old.description,
            expires_at: old.expires_at,
        })?;
        let now = self.clock.now();
        if !self.metadata.rotate_credential(id, now, now.plus(grace), &credential).await? {
            return Err(Error::NoSuchCredential);
        }
        self.forget_keys();
        Ok((credential, made))
    }

    fn new_key(&self, request: NewKeyRequest) -> Result<(Credential, NewKey)> {
        let id = Uuid::now_v7();
        let (lookup, secret, made) = match request.kind {
            CredentialKind::Api => {
                let lookup = random_text::<9>()?;
                debug_assert_eq!(lookup.len(), TOKEN_LOOKUP_CHARS);
                let token = format!("{TOKEN_PREFIX}{lookup}{}", random_text::<32>()?);
                (lookup, Sha256::digest(token.as_bytes()).to_vec(), NewKey::Api { id, token })
            }
            CredentialKind::S3 => {
                let access_key = random_access_key()?;
                let secret_key = random_text::<30>()?;
                let sealed = self.sealed(&access_key, &secret_key)?;
                (access_key.clone(), sealed, NewKey::S3 { id, access_key, secret_key })
            }
        };
        Ok((self.as_stored(id, request, lookup, secret), made))
    }

    /// A secret key as it is stored.
    pub(super) fn sealed(&self, access_key: &str, secret_key: &str) -> Result<Vec<u8>> {
        self.master_keys.seal(access_key, secret_key.as_bytes()).ok_or(Error::Internal)
    }

    /// A new credential as it is stored.
    pub(super) fn as_stored(
        &self,
        id: Uuid,
        request: NewKeyRequest,
        lookup: String,
        secret: Vec<u8>,
    ) -> Credential {
        Credential {
            id,
            kind: request.kind,
            lookup,
            secret,
            tenant: request.tenant,
            namespaces: request.namespaces,
            prefixes: request.prefixes,
            rights: request.rights,
            description: request.description,
            created_at: self.clock.now(),
            expires_at: request.expires_at,
            revoked_at: None,
        }
    }

    /// Seals the secrets of all S3 credentials with the current master key. Returns how many were sealed with the
    /// previous one until now, and the credentials that neither opens: their secrets are lost. `revoke_lost` revokes those, and
    /// makes the present master key the store's even if the store was used with another one.
    ///
    /// May be repeated, also after it was cut short, and runs beside servers that know both keys.
    pub async fn reseal_keys(&self, revoke_lost: bool) -> Result<(u64, Vec<Uuid>)> {
        let mut resealed = 0;
        let mut lost = Vec::new();
        for key in self.metadata.list_credentials(None).await? {
            if key.kind != CredentialKind::S3 || self.master_keys.is_current(&key.lookup, &key.secret) {
                continue;
            }
            let Some(secret) = self.master_keys.open(&key.lookup, &key.secret) else {
                if revoke_lost {
                    self.metadata.revoke_credential(key.id, self.clock.now()).await?;
                }
                lost.push(key.id);
                continue;
            };
            let sealed = self.master_keys.seal(&key.lookup, &secret).ok_or(Error::Internal)?;
            if self.metadata.reseal_credential(key.id, &key.secret, &sealed).await? {
                resealed += 1;
            }
        }
        resealed += self.reseal_upstreams().await?;
        let (targets, lost_targets) = self.reseal_targets().await?;
        resealed += targets;
        for target in &lost_targets {
            tracing::error!(%target, "the secret of an event target is lost: set another one");
        }
        // Last: while the constant needs the previous key, that is not forgotten.
        if lost.is_empty() || revoke_lost {
            constant::reseal(self.metadata.as_ref(), &self.master_keys, revoke_lost, self.clock.now())
                .await?;
        }
        Ok((resealed, lost))
    }

    /// Seals the secrets of upstreams with the current master key. How many. One that no key opens has to be set again.
    async fn reseal_upstreams(&self) -> Result<u64> {
        let (mut resealed, mut after) = (0, None);
        loop {
            let page = self.metadata.bound(after.as_ref(), UPSTREAMS_PAGE).await?;
            let Some(last) = page.last() else { return Ok(resealed) };
            after = Some(last.space.address.clone());
            for BoundSpace { space, binding, .. } in page {
                let sealed_for = Binding::sealed_for(space.id.0, &binding.target);
                if self.master_keys.is_current(&sealed_for, &binding.sealed) {
                    continue;
                }
                let Some(secret) = self.master_keys.open(&sealed_for, &binding.sealed) else {
                    tracing::error!(space = %space.address, "the secret of an upstream is lost: set it again");
                    continue;
                };
                let sealed = self.master_keys.seal(&sealed_for, &secret).ok_or(Error::Internal)?;
                resealed +=
                    u64::from(self.metadata.reseal_upstream(space.id, &binding.sealed, &sealed).await?);
            }
        }
    }

    /// All credentials of one tenant, or of all; never their secrets.
    pub async fn list_keys(&self, tenant: Option<&Tenant>) -> Result<Vec<Credential>> {
        Ok(self.metadata.list_credentials(tenant).await?)
    }

    /// Revokes a credential: at once here, within a second everywhere.
    pub async fn revoke_key(&self, id: Uuid) -> Result<()> {
        let revoked = self.metadata.revoke_credential(id, self.clock.now()).await?;
        self.forget_keys();
        if revoked { Ok(()) } else { Err(Error::NoSuchCredential) }
    }
}

fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the operating system gives no random bytes");
        Error::Internal
    })?;
    Ok(bytes)
}

/// `N` random bytes as URL-safe base64: 4 characters for every 3 bytes.
fn random_text<const N: usize>() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<N>()?))
}

/// Twenty characters of upper-case base32, the form SDKs and their validators know access keys by.
fn random_access_key() -> Result<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random = random_bytes::<18>()?;
    let text = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
    Ok("JS".chars().chain(text).collect())
}
