//! JSON web tokens (RFC 7519): from a token's text to a principal, or to nothing at all.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

pub use self::claims::{ClaimNames, ClaimPath, JwtRules};
use self::claims::{Claims, Refused, Verified};
use super::jwks::JwtKeys;
use super::published::{KeySetPace, Published};
use crate::domain::principal::Principal;
use crate::domain::timestamp::Timestamp;

mod claims;

/// How far the clocks of issuer and store may be apart.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 << 10;

/// Tokens remembered as verified, so that a signature is checked once and not with every request.
const REMEMBERED_MAX: u64 = 10_000;

/// Checks tokens.
pub(super) struct JwtVerifier {
    rules: JwtRules,
    keys: RwLock<Arc<JwtKeys>>,
    /// By the SHA-256 of the token: a token in memory is a token that can leak.
    verified: Cache<[u8; 32], Arc<Verified>>,
    /// Where the keys are fetched from a URL.
    published: Option<Published>,
}

impl JwtVerifier {
    pub(super) fn new(keys: JwtKeys, rules: JwtRules) -> Self {
        Self {
            rules,
            keys: RwLock::new(Arc::new(keys)),
            verified: Cache::builder().max_capacity(REMEMBERED_MAX).build(),
            published: None,
        }
    }

    /// With keys of a set that is fetched at this pace, and none before the first fetch.
    pub(super) fn of_published(pace: KeySetPace, rules: JwtRules) -> Self {
        Self { published: Some(Published::new(pace)), ..Self::new(JwtKeys::none(), rules) }
    }

    pub(super) fn published(&self) -> Option<&Published> {
        self.published.as_ref()
    }

    /// Whether there is nothing to judge tokens by: the set could not be fetched since the start.
    pub(super) fn has_no_keys_yet(&self) -> bool {
        self.published.as_ref().is_some_and(Published::is_missing)
    }

    /// From now on only these keys count, for tokens that were seen before too.
    pub(super) fn replace_keys(&self, keys: JwtKeys) {
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(keys);
        // Under the lock: a verification with the old keys has been remembered by now, or sees the new ones.
        self.verified.invalidate_all();
    }

    /// Whether what a token of this key made still holds, as far as keys go.
    pub(super) fn has_key(&self, key_id: Option<&str>) -> bool {
        self.current().has(key_id)
    }

    fn current(&self) -> Arc<JwtKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The principal that `token` stands for at `now`.
    pub(super) async fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, Refused> {
        let digest = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.verified.get(&digest).await {
            return known.at(now);
        }
        let header = header(token)?;
        let mut keys = self.current();
        if let Some(published) = self.published.as_ref().filter(|_| header.kid.is_some())
            && !keys.has(header.kid.as_deref())
            && published.renewed().await
        {
            keys = self.current();
        }
        let verified = Arc::new(read(token, header, &keys, &self.rules)?);
        let principal = verified.at(now)?;
        self.verified.insert(digest, verified).await;
        if !Arc::ptr_eq(&keys, &self.current()) {
            // The keys changed meanwhile, and the set that forgot this token may have done so before it was
            // remembered.
            self.verified.invalidate(&digest).await;
        }
        Ok(principal)
    }
}

impl Verified {
    fn at(&self, now: Timestamp) -> Result<Principal, Refused> {
        if now >= self.expires_at.plus(LEEWAY) {
            return Err("it has expired");
        }
        if self.not_before.is_some_and(|start| now < start.minus(LEEWAY)) {
            return Err("it does not hold yet");
        }
        Ok(self.principal.clone())
    }
}

/// Types of tokens (`typ`) that may identify a principal: plain ones, and access tokens (RFC 9068).
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// The header of a token that may be one; nothing in it is verified.
fn header(token: &str) -> Result<Header, Refused> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err("it is too long");
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| "its header cannot be read")?;
    // Extensions that must be understood: none is.
    if header.crit.is_some() {
        return Err("its header demands an extension");
    }
    let known = |typ: &str| TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known));
    if !header.typ.as_deref().is_none_or(known) {
        return Err("it is a token of another type");
    }
    Ok(header)
}

fn read(token: &str, header: Header, keys: &JwtKeys, rules: &JwtRules) -> Result<Verified, Refused> {
    let key = keys.key(header.kid.as_deref()).ok_or("no key of ours signed it")?;
    let decoded = jsonwebtoken::decode::<Claims>(token, &key.verifies, &rules.validation(key.algorithm));
    let claims = decoded.map_err(|error| why(error.kind()))?.claims;
    claims::judge(&claims, header.kid, rules)
}

impl JwtRules {
    /// What the library checks: the signature with the one algorithm of the key, issuer and audience.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        // By the store's clock instead, each time that the token is shown.
        validation.validate_exp = false;
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        validation
    }
}

fn why(kind: &ErrorKind) -> Refused {
    match kind {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => {
            "no key of ours signed it, with that key's algorithm"
        }
        ErrorKind::InvalidIssuer => "it has another issuer",
        ErrorKind::InvalidAudience => "it is meant for another audience",
        ErrorKind::MissingRequiredClaim(_) => {
            "it lacks one of exp, iss and aud, or has none that can be read"
        }
        _ => "it cannot be read",
    }
}

#[cfg(test)]
mod tests;
