//! Credentials whose secret their maker chose, for stores that are set up from a file.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::authenticate::{Access, TOKEN_LOOKUP_CHARS, TOKEN_PREFIX, token_lookup};
use super::keys::NewKeyRequest;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{Credential, CredentialKind};
use crate::domain::invalid::Invalid;

/// Shortest secret that may be chosen, in bytes: with fewer it could be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// Longest secret key that may be chosen, in bytes.
const SECRET_BYTES_MAX: usize = 256;

/// Fewest characters of a chosen token behind the part that it is found by.
const TOKEN_SECRET_CHARS_MIN: usize = 32;

/// A secret that somebody chose, and what the credential is found by. Not `Debug`: it is secret.
#[derive(Clone)]
pub enum GivenSecret {
    /// A bearer token of the native API.
    Api {
        /// `js_`, 12 characters that it is found by, and at least 32 more: letters, digits, `-` and `_`.
        token: String,
    },
    /// An S3 credential.
    S3 {
        /// See [`check_access_key`].
        access_key: String,
        /// 16 to 256 bytes without control characters.
        secret_key: String,
    },
}

/// Checks the shape of an access key: 3 to 128 letters, digits, dots, underscores and hyphens. Signature Version 4 writes
/// it between slashes, and the header that carries it splits at commas.
pub fn check_access_key(access_key: &str) -> Result<(), Invalid> {
    let fits = (3..=128).contains(&access_key.len())
        && access_key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    Err(Invalid::new("access_key", "must be 3 to 128 letters, digits, dots, underscores and hyphens"))
}

impl GivenSecret {
    /// Checks shape and length.
    pub fn validate(&self) -> Result<(), Invalid> {
        match self {
            Self::Api { token } => {
                let shaped = token_lookup(token).is_some()
                    && token.len() >= TOKEN_PREFIX.len() + TOKEN_LOOKUP_CHARS + TOKEN_SECRET_CHARS_MIN
                    && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
                let rule = "must be js_ and 44 to 253 letters, digits, hyphens and underscores";
                if shaped { Ok(()) } else { Err(Invalid::new("token", rule)) }
            }
            Self::S3 { access_key, secret_key } => {
                check_access_key(access_key)?;
                let fits = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret_key.len())
                    && !secret_key.chars().any(char::is_control);
                let rule = "must be 16 to 256 bytes, without control characters";
                if fits { Ok(()) } else { Err(Invalid::new("secret_key", rule)) }
            }
        }
    }

    /// The kind of the credential.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Api { .. } => CredentialKind::Api,
            Self::S3 { .. } => CredentialKind::S3,
        }
    }

    /// The public part that the credential is found by: the access key, or 12 characters of the token.
    pub fn lookup(&self) -> &str {
        match self {
            Self::Api { token } => token_lookup(token).unwrap_or_default(),
            Self::S3 { access_key, .. } => access_key,
        }
    }
}

impl Access {
    /// Stores a credential with a secret that was chosen, unless its public part is in use. Whether it was stored. The
    /// caller decides who may call it.
    pub(crate) async fn declare_key(&self, request: &NewKeyRequest, secret: &GivenSecret) -> Result<bool> {
        self.refuse_root(secret)?;
        let stored = self.stored_secret(secret)?;
        let lookup = secret.lookup().to_owned();
        let credential = self.as_stored(Uuid::now_v7(), request.clone(), lookup, stored);
        Ok(self.metadata.declare_credential(&credential).await?)
    }

    /// Gives a credential the secret and the rights that were declared. The caller decides who may call it.
    pub(crate) async fn restate_key(
        &self,
        found: &Credential,
        request: &NewKeyRequest,
        secret: &GivenSecret,
    ) -> Result<()> {
        let stored = self.stored_secret(secret)?;
        let credential = self.as_stored(found.id, request.clone(), found.lookup.clone(), stored);
        let restated = self.metadata.restate_credential(&credential).await?;
        self.forget_keys();
        if restated { Ok(()) } else { Err(Error::NoSuchCredential) }
    }

    /// Whether `secret` is that of a stored credential; `None` if neither master key opens what is stored.
    pub(crate) fn has_secret(&self, found: &Credential, secret: &GivenSecret) -> Option<bool> {
        Some(match secret {
            GivenSecret::Api { token } => {
                Sha256::digest(token.as_bytes()).as_slice().ct_eq(&found.secret).into()
            }
            GivenSecret::S3 { secret_key, .. } => {
                let opened = self.master_keys.open(&found.lookup, &found.secret)?;
                opened.ct_eq(secret_key.as_bytes()).into()
            }
        })
    }

    /// Refuses the access key of the root credential, which would be found first.
    pub(crate) fn refuse_root(&self, secret: &GivenSecret) -> Result<(), Invalid> {
        match &self.root {
            Some(root) if secret.kind() == CredentialKind::S3 && root.access_key == secret.lookup() => {
                Err(Invalid::new("access_key", "is that of the root credential"))
            }
            _ => Ok(()),
        }
    }

    fn stored_secret(&self, secret: &GivenSecret) -> Result<Vec<u8>> {
        match secret {
            GivenSecret::Api { token } => Ok(Sha256::digest(token.as_bytes()).to_vec()),
            GivenSecret::S3 { access_key, secret_key } => self.sealed(access_key, secret_key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_secrets_are_bounded() {
        let api = |token: &str| GivenSecret::Api { token: token.to_owned() }.validate().is_ok();
        let long = "a".repeat(44);
        assert!(api(&format!("js_{long}")) && api(&format!("js_{}", "a_-Z0".repeat(50))));
        for bad in [
            format!("js_{}", &long[1..]),
            format!("jt_{long}"),
            format!("js_{long} "),
            format!("js_{long}é"),
            format!("js_{}", "a".repeat(254)),
            String::new(),
        ] {
            assert!(!api(&bad), "{bad}");
        }
        let s3 = |access: &str, secret: &str| {
            GivenSecret::S3 { access_key: access.to_owned(), secret_key: secret.to_owned() }.validate()
        };
        assert!(s3("ACMEMODELS", "0123456789abcdef").is_ok() && s3("a-1", &"ü".repeat(128)).is_ok());
        for (access, secret, field) in [
            ("AC", "0123456789abcdef", "access_key"),
            ("AC/ME", "0123456789abcdef", "access_key"),
            ("ACME,", "0123456789abcdef", "access_key"),
            ("ACME", "0123456789abcde", "secret_key"),
            ("ACME", "0123456789abcdef\n", "secret_key"),
            ("ACME", &"a".repeat(257), "secret_key"),
        ] {
            assert_eq!(s3(access, secret).unwrap_err().field, field, "{access}");
        }
    }
}
