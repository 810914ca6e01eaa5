//! The keys that JSON web tokens are checked with: one shared secret, or a set as in RFC 7517.
//!
//! A key has exactly one algorithm, which follows from the key and never from a token: a token that names
//! another one is refused before anything is computed, so that neither `none` nor an RSA key used as an
//! HMAC secret can work (RFC 8725 section 3.1).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde_json::Value;

use super::provider;
use crate::domain::invalid::Invalid;

/// Shortest shared secret in bytes (RFC 7518 section 3.2: at least the size of the hash).
pub const SECRET_BYTES_MIN: usize = 32;

/// Shortest modulus of an RSA key in bits (RFC 7518 section 3.3).
const RSA_BITS_MIN: usize = 2048;

/// Length of an Ed25519 public key, and of a coordinate on P-256, in bytes.
const POINT_BYTES: usize = 32;

/// Length of an uncompressed point on P-256 (SEC 1 section 2.3.3).
const UNCOMPRESSED_BYTES: usize = 1 + 2 * POINT_BYTES;

/// The y coordinates, little-endian and not all reduced, of the points of Ed25519 whose order is at most 8: 0, 1, -1,
/// the same plus the field's prime where that still fits, and the two of order 8. Under such a key a signature of
/// zeros is good for one message in a few (RFC 8032 section 5.1 leaves the check to the program that accepts keys).
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

/// Whether signatures for an Ed25519 key can be made without its secret. The highest bit is the sign of x.
fn is_weak(key: &[u8]) -> bool {
    SMALL_ORDER.iter().any(|weak| {
        key.split_last()
            .zip(weak.split_last())
            .is_some_and(|((last, key), (weak_last, weak))| key == weak && last & 0x7f == *weak_last)
    })
}

/// One key and the algorithm that it is for.
pub(super) struct VerifyingKey {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) verifies: DecodingKey,
}

/// The keys that tokens may be signed with. Never printed.
pub struct JwtKeys {
    keys: Vec<VerifyingKey>,
    /// Whether the only key is a secret of the configuration, which has no id to be named by.
    shared: bool,
}

impl std::fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JwtKeys({})", self.keys.len())
    }
}

impl JwtKeys {
    /// No key: of a published set that has not been fetched yet.
    pub(super) fn none() -> Self {
        Self { keys: Vec::new(), shared: false }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// One secret, for HS256.
    pub fn of_secret(secret: &[u8]) -> Result<Self, Invalid> {
        provider::install();
        let key = DecodingKey::from_secret(secret)
            .ok()
            .and_then(|key| strong(Algorithm::HS256, key))
            .ok_or_else(|| Invalid::new("JUSTSTORAGE_JWT_SECRET", "must have at least 32 bytes"))?;
        Ok(Self {
            keys: vec![VerifyingKey { id: None, algorithm: Algorithm::HS256, verifies: key }],
            shared: true,
        })
    }

    /// The keys of a JWK set. Keys for other uses than signatures, and of other kinds than RSA, P-256,
    /// Ed25519 and shared secrets, are left out; a key that is none is refused, as is a set without keys.
    pub fn of_jwks(json: &str) -> Result<Self, Invalid> {
        provider::install();
        let invalid = |reason| Invalid::new("JUSTSTORAGE_JWT_JWKS", reason);
        // The message could repeat what stands there: a secret, perhaps.
        let set: JwkSet = serde_json::from_str(json)
            .map_err(|_| invalid("must be a JSON object with an array `keys` of JSON web keys"))?;
        let mut keys = Vec::new();
        for jwk in set.keys.into_iter().filter(is_for_signatures) {
            let Some(algorithm) = algorithm(&jwk) else { continue };
            let id = jwk.common.key_id.clone();
            if id.is_some() && keys.iter().any(|key: &VerifyingKey| key.id == id) {
                return Err(invalid("two keys have the same `kid`"));
            }
            let key = DecodingKey::from_jwk(&jwk).ok().and_then(|key| strong(algorithm, key));
            let key = key.ok_or_else(|| {
                invalid("a key cannot be used: a value is missing, too short, weak or no base64url")
            })?;
            keys.push(VerifyingKey { id, algorithm, verifies: key });
        }
        if keys.is_empty() {
            return Err(invalid("has no key for RS256, ES256, EdDSA or HS256 signatures"));
        }
        if keys.len() > 1 && keys.iter().any(|key| key.id.is_none()) {
            return Err(invalid("every key needs a `kid` where there are several"));
        }
        Ok(Self { keys, shared: false })
    }

    /// Whether there is still a key that a token may name so.
    pub(super) fn has(&self, key_id: Option<&str>) -> bool {
        self.key(key_id).is_some()
    }

    /// The key that a token names. The id may be left out only where there is one key.
    pub(super) fn key(&self, key_id: Option<&str>) -> Option<&VerifyingKey> {
        match key_id {
            Some(id) if !self.shared => self.keys.iter().find(|key| key.id.as_deref() == Some(id)),
            _ => self.keys.first().filter(|_| self.keys.len() == 1),
        }
    }
}

fn is_for_signatures(jwk: &Jwk) -> bool {
    let signs = |operation: &KeyOperations| matches!(operation, KeyOperations::Verify | KeyOperations::Sign);
    let (purpose, operations) = (&jwk.common.public_key_use, &jwk.common.key_operations);
    purpose.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        && operations.as_ref().is_none_or(|operations| operations.iter().any(signs))
}

/// The one algorithm that a key is for, by its kind; `None` for a key that is of no use here.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
        // Of an unknown kind, or of a known one that lacks a value.
        AlgorithmParameters::Other(key) => {
            let text = |name| key.fields.get(name).and_then(Value::as_str);
            match (text("kty")?, text("crv")) {
                ("RSA", _) => Algorithm::RS256,
                ("EC", Some("P-256")) => Algorithm::ES256,
                ("OKP", Some("Ed25519")) => Algorithm::EdDSA,
                ("oct", _) => Algorithm::HS256,
                _ => return None,
            }
        }
        _ => return None,
    };
    jwk.common.key_algorithm.is_none_or(|named| named == algorithm.into()).then_some(algorithm)
}

/// `key`, unless it is too short, or signatures for it can be made without its secret.
fn strong(algorithm: Algorithm, key: DecodingKey) -> Option<DecodingKey> {
    match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            let modulus: Vec<u8> = n.iter().copied().skip_while(|byte| *byte == 0).collect();
            let strong = modulus.len() * 8 >= RSA_BITS_MIN;
            strong.then(|| DecodingKey::from_rsa_raw_components(&modulus, e))
        }
        (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
            (secret.len() >= SECRET_BYTES_MIN).then_some(key)
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
            (point.len() == UNCOMPRESSED_BYTES).then_some(key)
        }
        (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) => {
            (point.len() == POINT_BYTES && !is_weak(point)).then_some(key)
        }
        _ => None,
    }
}
