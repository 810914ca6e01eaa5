//! The keys that JSON web tokens are checked with: one shared secret, or a set as in RFC 7517.
//!
//! A key has exactly one algorithm, which follows from the key and never from a token: a token that names
//! another one is refused before anything is computed, so that neither `none` nor an RSA key used as an
//! HMAC secret can work (RFC 8725 section 3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

use crate::domain::invalid::Invalid;

/// Shortest shared secret in bytes (RFC 7518 section 3.2: at least the size of the hash).
pub const SECRET_BYTES_MIN: usize = 32;

/// Shortest modulus of an RSA key in bits (RFC 7518 section 3.3).
const RSA_BITS_MIN: usize = 2048;

/// Length of an Ed25519 public key, and of a coordinate on P-256, in bytes.
const POINT_BYTES: usize = 32;

/// The y coordinates, little-endian and not all reduced, of the points of Ed25519 whose order is at most 8: 0, 1, -1,
/// the same plus the field's prime where that still fits, and the two of order 8. Under such a key a signature of
/// zeros is good for one message in a few (RFC 8032 section 5.1 leaves the check to whoever takes keys in).
const SMALL_ORDER: [[u8; POINT_BYTES]; 7] = [
    [0; POINT_BYTES],
    edged(0x01, 0x00, 0x00),
    edged(0xec, 0xff, 0x7f),
    edged(0xed, 0xff, 0x7f),
    edged(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, //
        0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, //
        0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn edged(first: u8, middle: u8, last: u8) -> [u8; POINT_BYTES] {
    let mut bytes = [middle; POINT_BYTES];
    bytes[0] = first;
    bytes[POINT_BYTES - 1] = last;
    bytes
}

/// Whether an Ed25519 key is one that anybody can sign for. The highest bit is the sign of x.
fn is_weak(key: &[u8]) -> bool {
    SMALL_ORDER.iter().any(|weak| {
        key.split_last()
            .zip(weak.split_last())
            .is_some_and(|((last, key), (weak_last, weak))| key == weak && last & 0x7f == *weak_last)
    })
}

/// One key and the algorithm that it is for.
enum Algorithm {
    Hs256(hmac::Key),
    Rs256 { modulus: Vec<u8>, exponent: Vec<u8> },
    Es256(UnparsedPublicKey<Vec<u8>>),
    EdDsa(UnparsedPublicKey<Vec<u8>>),
}

impl Algorithm {
    /// Its name in a token's header (RFC 7518 section 3.1, RFC 8037 section 3.1).
    fn name(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::Rs256 { .. } => "RS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            // In constant time.
            Self::Hs256(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Rs256 { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Self::Es256(key) | Self::EdDsa(key) => key.verify(message, signature).is_ok(),
        }
    }
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
}

/// The keys that tokens may be signed with. Never printed.
pub struct JwtKeys {
    keys: Vec<Key>,
    /// Whether the only key is a secret of the configuration, which has no id to be named by.
    shared: bool,
}

impl std::fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JwtKeys({})", self.keys.len())
    }
}

impl JwtKeys {
    /// One secret, for HS256.
    pub fn of_secret(secret: &[u8]) -> Result<Self, Invalid> {
        let algorithm = hs256(secret)
            .ok_or_else(|| Invalid::new("JUSTSTORAGE_JWT_SECRET", "must have at least 32 bytes"))?;
        Ok(Self { keys: vec![Key { id: None, algorithm }], shared: true })
    }

    /// The keys of a JWK set. Keys for other uses than signatures, and of other kinds than RSA, P-256,
    /// Ed25519 and shared secrets, are left out; a key that is none is refused, as is a set without keys.
    pub fn of_jwks(json: &str) -> Result<Self, Invalid> {
        let invalid = |reason| Invalid::new("JUSTSTORAGE_JWT_JWKS", reason);
        // The message could repeat what stands there: a secret, perhaps.
        let set: JwkSet = serde_json::from_str(json)
            .map_err(|_| invalid("must be a JSON object with an array `keys` of JSON web keys"))?;
        let mut keys = Vec::new();
        for jwk in set.keys.into_iter().filter(Jwk::is_for_signatures) {
            let id = jwk.kid.clone();
            if id.is_some() && keys.iter().any(|key: &Key| key.id == id) {
                return Err(invalid("two keys have the same `kid`"));
            }
            if let Some(algorithm) = jwk.algorithm().ok_or_else(|| {
                invalid("a key cannot be used: a value is missing, too short, weak or no base64url")
            })? {
                keys.push(Key { id, algorithm });
            }
        }
        if keys.is_empty() {
            return Err(invalid("has no key for RS256, ES256, EdDSA or HS256 signatures"));
        }
        if keys.len() > 1 && keys.iter().any(|key| key.id.is_none()) {
            return Err(invalid("every key needs a `kid` where there are several"));
        }
        Ok(Self { keys, shared: false })
    }

    /// Whether `signature` is that of `message` under the key that a token names. `key_id` may be left out
    /// only where there is one key.
    pub(super) fn verifies(
        &self,
        key_id: Option<&str>,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.key(key_id).is_some_and(|key| {
            key.algorithm.name() == algorithm && key.algorithm.verifies(message, signature)
        })
    }

    /// Whether there is still a key that a token may name so.
    pub(super) fn has(&self, key_id: Option<&str>) -> bool {
        self.key(key_id).is_some()
    }

    fn key(&self, key_id: Option<&str>) -> Option<&Key> {
        match key_id {
            Some(id) if !self.shared => self.keys.iter().find(|key| key.id.as_deref() == Some(id)),
            _ => self.keys.first().filter(|_| self.keys.len() == 1),
        }
    }
}

fn hs256(secret: &[u8]) -> Option<Algorithm> {
    let fits = secret.len() >= SECRET_BYTES_MIN;
    fits.then(|| Algorithm::Hs256(hmac::Key::new(hmac::HMAC_SHA256, secret)))
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// The members of a key that matter here (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Jwk {
    fn is_for_signatures(&self) -> bool {
        self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify" || op == "sign"))
    }

    /// The key's one algorithm. `Some(None)` for a key of another kind, `None` for one that is broken.
    #[allow(clippy::option_option)] // three cases: usable, of no use here, broken
    fn algorithm(&self) -> Option<Option<Algorithm>> {
        let is_for = |name: &str| self.alg.as_deref().is_none_or(|alg| alg == name);
        let bytes =
            |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?.trim_end_matches('=')).ok();
        let point = |text: &Option<String>| bytes(text).filter(|bytes| bytes.len() == POINT_BYTES);
        Some(match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) if is_for("RS256") => {
                let modulus: Vec<u8> = bytes(&self.n)?.into_iter().skip_while(|byte| *byte == 0).collect();
                if modulus.len() * 8 < RSA_BITS_MIN {
                    return None;
                }
                Some(Algorithm::Rs256 { modulus, exponent: bytes(&self.e)? })
            }
            ("EC", Some("P-256")) if is_for("ES256") => {
                // An uncompressed point (SEC 1 section 2.3.3).
                let public = [vec![4], point(&self.x)?, point(&self.y)?].concat();
                Some(Algorithm::Es256(UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, public)))
            }
            ("OKP", Some("Ed25519")) if is_for("EdDSA") || is_for("Ed25519") => {
                let public = point(&self.x).filter(|public| !is_weak(public))?;
                Some(Algorithm::EdDsa(UnparsedPublicKey::new(&signature::ED25519, public)))
            }
            ("oct", _) if is_for("HS256") => Some(hs256(&bytes(&self.k)?)?),
            _ => None,
        })
    }
}
