//! JSON web tokens (RFC 7519): from a token's text to a principal, or to nothing at all.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::future::Cache;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::jwks::JwtKeys;
use crate::domain::address::Tenant;
use crate::domain::principal::{NamespacePattern, Principal, Proof, Right, Rights, Tenants};
use crate::domain::timestamp::Timestamp;

/// How far the clocks of issuer and store may be apart.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 << 10;

/// Longest subject in bytes; it is repeated in logs.
const SUBJECT_BYTES_MAX: usize = 256;

/// Most tenants, and most namespaces, that a token may name.
const NAMES_MAX: usize = 64;

/// Tokens remembered as verified, so that a signature is checked once and not with every request.
const REMEMBERED_MAX: u64 = 10_000;

/// What a token must say beside being signed.
#[derive(Clone, Debug, Default)]
pub struct JwtRules {
    /// Who must have issued it (`iss`), if that matters.
    pub issuer: Option<String>,
    /// Whom it must be meant for (`aud`). Without this a token that names an audience is refused, as it is
    /// meant for somebody else (RFC 7519 section 4.1.3).
    pub audience: Option<String>,
}

/// Why a token is refused: for the log, never for the client.
type Refused = &'static str;

/// A token that was verified: it can only run out, or lose its key.
#[derive(Clone)]
struct Verified {
    principal: Principal,
    not_before: Option<Timestamp>,
    expires_at: Timestamp,
}

/// Checks tokens.
pub(super) struct JwtVerifier {
    rules: JwtRules,
    keys: RwLock<Arc<JwtKeys>>,
    /// By the SHA-256 of the token: a token in memory is a token that can leak.
    verified: Cache<[u8; 32], Arc<Verified>>,
}

impl JwtVerifier {
    pub(super) fn new(keys: JwtKeys, rules: JwtRules) -> Self {
        Self {
            rules,
            keys: RwLock::new(Arc::new(keys)),
            verified: Cache::builder().max_capacity(REMEMBERED_MAX).build(),
        }
    }

    /// From now on only these keys count, for tokens that were seen before too.
    pub(super) fn replace_keys(&self, keys: JwtKeys) {
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(keys);
        // Under the lock: whoever verified with the old keys has remembered it by now, or sees the new ones.
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
        let keys = self.current();
        let verified = Arc::new(read(token, &keys, &self.rules)?);
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

/// The members of a header that matter (RFC 7515 section 4.1). A member that stands there twice is refused.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood: none is.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<OneOrMany>,
    tenant: Option<String>,
    tenants: Option<Vec<String>>,
    namespaces: Option<OneOrMany>,
    scope: Option<OneOrMany>,
}

fn read(token: &str, keys: &JwtKeys, rules: &JwtRules) -> Result<Verified, Refused> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err("it is too long");
    }
    let (message, signature) = token.rsplit_once('.').ok_or("it is not of three parts")?;
    let (header, claims) = message.split_once('.').ok_or("it is not of three parts")?;
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part is no base64url");
    let header: Header = object(&bytes(header)?).ok_or("its header cannot be read")?;
    if header.crit.is_some() {
        return Err("its header demands an extension");
    }
    let typed =
        |typ: &str| ["jwt", "at+jwt", "application/at+jwt"].iter().any(|t| typ.eq_ignore_ascii_case(t));
    if !header.typ.as_deref().is_none_or(typed) {
        return Err("it is a token of another type");
    }
    if !keys.verifies(header.kid.as_deref(), &header.alg, message.as_bytes(), &bytes(signature)?) {
        return Err("no key of ours signed it, with that key's algorithm");
    }
    let claims: Claims = object(&bytes(claims)?).ok_or("its claims cannot be read")?;
    judge(claims, header.kid, rules)
}

/// A JSON object, and nothing else (RFC 7515 section 4, RFC 7519 section 4): an array of values in the order of the
/// members would otherwise be read as well.
fn object<T: serde::de::DeserializeOwned>(json: &[u8]) -> Option<T> {
    let is_object = json.trim_ascii_start().starts_with(b"{");
    is_object.then(|| serde_json::from_slice(json).ok()).flatten()
}

fn judge(claims: Claims, key_id: Option<String>, rules: &JwtRules) -> Result<Verified, Refused> {
    if rules.issuer.is_some() && claims.iss != rules.issuer {
        return Err("it has another issuer");
    }
    let audience = claims.aud.map(OneOrMany::into_vec);
    let ours = match (&rules.audience, &audience) {
        (None, audience) => audience.is_none(),
        (Some(ours), audience) => audience.as_ref().is_some_and(|audience| audience.contains(ours)),
    };
    if !ours {
        return Err("it is meant for another audience");
    }
    let expires_at = moment(claims.exp.ok_or("it has no exp")?)?;
    let not_before = claims.nbf.map(moment).transpose()?;
    let subject = claims.sub.ok_or("it has no sub")?;
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
        return Err("its sub is empty, too long or no text");
    }
    let (tenant, tenants) = tenants(claims.tenant.as_ref(), claims.tenants.as_deref())?;
    let principal = Principal {
        name: format!("jwt:{subject}"),
        tenant,
        tenants,
        namespaces: claims.namespaces.map(|names| patterns(names.into_vec())).transpose()?,
        rights: claims.scope.map_or_else(Rights::default, |scope| rights(&scope.into_vec())),
        proof: Proof::Jwt { key_id, expires_at },
    };
    Ok(Verified { principal, not_before, expires_at })
}

/// A `NumericDate`, which may have a fraction (RFC 7519 section 2).
#[allow(clippy::cast_possible_truncation)] // bounded before
fn moment(seconds: f64) -> Result<Timestamp, Refused> {
    // The year 9999: far enough, and far from where a float or an integer would overflow.
    if !(0.0..=253_402_300_799.0).contains(&seconds) {
        return Err("a time in it is no time");
    }
    Ok(Timestamp((seconds * 1000.0) as i64))
}

/// `tenant` is where the principal is at home; `tenants` are all that it reaches.
fn tenants(home: Option<&String>, all: Option<&[String]>) -> Result<(Tenant, Tenants), Refused> {
    let read = |name: &String| Tenant::new(name).map_err(|_| "a tenant in it is no tenant");
    let home = home.map(read).transpose()?;
    let Some(all) = all else { return Ok((home.ok_or("it names no tenant")?, Tenants::Own)) };
    if all.len() > NAMES_MAX {
        return Err("it names too many tenants");
    }
    let all = all.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let home = home.or_else(|| all.first().cloned()).ok_or("it names no tenant")?;
    if !all.contains(&home) {
        return Err("its tenant is not among its tenants");
    }
    Ok((home, Tenants::These(all)))
}

fn patterns(names: Vec<String>) -> Result<Vec<NamespacePattern>, Refused> {
    if names.len() > NAMES_MAX {
        return Err("it names too many namespaces");
    }
    let read = |name: String| NamespacePattern::parse(&name).map_err(|_| "a namespace in it is none");
    names.into_iter().map(read).collect()
}

/// What of a scope is a right of ours; issuers put other words there too. Without any, nothing is allowed.
fn rights(scope: &[String]) -> Rights {
    let words = scope.iter().flat_map(|words| words.split_whitespace());
    words.filter_map(|word| Right::ALL.into_iter().find(|right| right.as_str() == word)).collect()
}

#[cfg(test)]
mod tests;
