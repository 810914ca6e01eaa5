//! Documents that the store signs, so that somebody else can check them with its public key (Ed25519).
//!
//! What is signed is the document as JSON without white space, the members of each object in the order of their names: what
//! `serde_json` writes of a [`Value`], and RFC 8785 of a document without fractions.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::Value;

use super::Access;
use super::seal::MasterKeys;
use crate::application::error::{Error, Result};

/// Reports of comparisons.
pub(crate) const REPORT: &str = "juststorage report of a comparison, 1";

/// What a document was signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSignature {
    /// The public key: 32 bytes in hexadecimal.
    pub key: String,
    /// The signature: 64 bytes in hexadecimal.
    pub value: String,
}

/// Whether `key` signed the document. `false` for anything that is no key or no signature.
pub fn is_signed(document: &Value, signature: &DocumentSignature) -> bool {
    let (Ok(key), Ok(value)) = (hex::decode(&signature.key), hex::decode(&signature.value)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, key).verify(document.to_string().as_bytes(), &value).is_ok()
}

impl MasterKeys {
    /// A pair of keys for each master key, the newer one first.
    fn pairs(&self, purpose: &str) -> impl Iterator<Item = Result<Ed25519KeyPair>> {
        self.seeds(purpose).map(|seed| {
            Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|error| {
                tracing::error!(%error, "no signing key can be made of the master key");
                Error::Internal
            })
        })
    }

    /// The public keys of documents of one purpose, in hexadecimal: the one that signs, and the one before it while the
    /// previous master key is known.
    pub(crate) fn public_keys(&self, purpose: &str) -> Result<Vec<String>> {
        self.pairs(purpose).map(|pair| Ok(hex::encode(pair?.public_key()))).collect()
    }
}

impl Access {
    /// Signs a document for one purpose.
    pub(crate) fn sign(&self, purpose: &str, document: &Value) -> Result<DocumentSignature> {
        let pair = self.master_keys.pairs(purpose).next().ok_or(Error::Internal)??;
        let value = pair.sign(document.to_string().as_bytes());
        Ok(DocumentSignature { key: hex::encode(pair.public_key()), value: hex::encode(value) })
    }

    /// As [`MasterKeys::public_keys`].
    pub(crate) fn public_keys(&self, purpose: &str) -> Result<Vec<String>> {
        self.master_keys.public_keys(purpose)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::application::access::MasterKey;
    use serde_json::json;

    fn signed(keys: &MasterKeys, document: &Value) -> DocumentSignature {
        let pair = keys.pairs(REPORT).next().unwrap().unwrap();
        let value = hex::encode(pair.sign(document.to_string().as_bytes()));
        DocumentSignature { key: hex::encode(pair.public_key()), value }
    }

    #[test]
    fn what_was_changed_is_not_signed() {
        let keys: MasterKeys = MasterKey::from_hex(&"a1".repeat(32)).unwrap().into();
        let document = json!({ "matched": 3, "findings": [{ "key": "a\u{202e}<b>" }] });
        let signature = signed(&keys, &document);
        assert!(is_signed(&document, &signature));
        // The order of members and white space are no part of it.
        let text = "{ \"findings\": [ {\"key\": \"a\u{202e}<b>\"} ], \"matched\": 3 }";
        assert!(is_signed(&serde_json::from_str(text).unwrap(), &signature));
        assert_eq!(document.to_string(), "{\"findings\":[{\"key\":\"a\u{202e}<b>\"}],\"matched\":3}");
        let other = json!({ "matched": 4, "findings": [{ "key": "a\u{202e}<b>" }] });
        assert!(!is_signed(&other, &signature));
        let others: MasterKeys = MasterKey::from_hex(&"a2".repeat(32)).unwrap().into();
        assert_ne!(signed(&others, &document).key, signature.key);
        let key = signed(&others, &document).key;
        assert!(!is_signed(&document, &DocumentSignature { key, ..signature.clone() }));
        for value in ["", "zz", "00"] {
            assert!(!is_signed(&document, &DocumentSignature { value: value.into(), ..signature.clone() }));
            assert!(!is_signed(&document, &DocumentSignature { key: value.into(), ..signature.clone() }));
        }
    }
}
