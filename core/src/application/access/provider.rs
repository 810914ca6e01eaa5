//! Signatures of JSON web tokens, checked by ring: the crate jsonwebtoken takes its cryptography from outside, and
//! ring is here anyway for TLS.
//!
//! Only what [`super::jwks`] lets in is offered; tokens are never made here.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature as traits;
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::hmac;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    // For making JWKs, which nothing here does.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes jsonwebtoken verify with ring, for the whole process.
pub(super) fn install() {
    // An error says that it was done before.
    let _ = RING.install_default();
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as the library calls it
fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(new_error(ErrorKind::UnsupportedAlgorithm))
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as the library calls it
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    let point = |rule: &'static dyn VerificationAlgorithm| {
        key.try_get_as_bytes().map(|public| Check::Point(UnparsedPublicKey::new(rule, public.to_vec())))
    };
    let check = match (algorithm, key.kind()) {
        (Algorithm::HS256, _) => Check::Mac(hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?)),
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Check::Rsa(RsaPublicKeyComponents { n: n.clone(), e: e.clone() })
        }
        (Algorithm::ES256, _) => point(&signature::ECDSA_P256_SHA256_FIXED)?,
        (Algorithm::EdDSA, _) => point(&signature::ED25519)?,
        _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    };
    Ok(Box::new(RingVerifier { algorithm: *algorithm, check }))
}

struct RingVerifier {
    algorithm: Algorithm,
    check: Check,
}

enum Check {
    Mac(hmac::Key),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Point(UnparsedPublicKey<Vec<u8>>),
}

impl traits::Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), traits::Error> {
        let verified = match &self.check {
            // In constant time.
            Check::Mac(key) => hmac::verify(key, message, signature),
            Check::Rsa(key) => key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature),
            Check::Point(key) => key.verify(message, signature),
        };
        verified.map_err(|_| traits::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
