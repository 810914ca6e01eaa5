//! Encryption of stored S3 secrets with the master key.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use crate::domain::invalid::Invalid;

/// The key under which S3 secrets are kept (AES-256-GCM). Never printed.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, Invalid> {
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key)
            .map_err(|_| Invalid::new("JUSTSTORAGE_MASTER_KEY", "must be 64 hexadecimal digits"))?;
        Ok(Self(key))
    }

    /// Encrypts `secret`, bound to `lookup` so that two stored secrets cannot be swapped. The nonce comes
    /// first in the result.
    pub(super) fn seal(&self, lookup: &str, secret: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let mut message = secret.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.cipher()?.seal_in_place_append_tag(unique, Aad::from(lookup), &mut message).ok()?;
        Some([&nonce[..], &message].concat())
    }

    /// Decrypts what [`Self::seal`] made; `None` under another master key or after tampering.
    pub(super) fn open(&self, lookup: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, message) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut message = message.to_vec();
        let opened = self.cipher()?.open_in_place(nonce, Aad::from(lookup), &mut message).ok()?;
        Some(opened.to_vec())
    }

    // Nonces are random: with less than 2^32 secrets under one key, two are the same in one of 2^32 stores.
    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0).map(LessSafeKey::new).ok()
    }
}

/// The master key, and the one before it while secrets that it sealed are still about: what is sealed is
/// sealed with the newer one, what either sealed can be opened.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    current: MasterKey,
    previous: Option<MasterKey>,
}

impl From<MasterKey> for MasterKeys {
    fn from(current: MasterKey) -> Self {
        Self { current, previous: None }
    }
}

impl MasterKeys {
    /// `current`, and `previous` for what it sealed.
    pub fn new(current: MasterKey, previous: Option<MasterKey>) -> Self {
        Self { current, previous }
    }

    /// As [`MasterKey::seal`], with the newer key.
    pub(crate) fn seal(&self, lookup: &str, secret: &[u8]) -> Option<Vec<u8>> {
        self.current.seal(lookup, secret)
    }

    /// As [`MasterKey::open`], with either key.
    pub(crate) fn open(&self, lookup: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.each().find_map(|key| key.open(lookup, sealed))
    }

    /// Whether the newer key opens it.
    pub(super) fn is_current(&self, lookup: &str, sealed: &[u8]) -> bool {
        self.current.open(lookup, sealed).is_some()
    }

    /// Keys for signing something else, one for each master key, the newer one first. `purpose` keeps what is
    /// signed for one purpose from passing for another.
    pub(crate) fn derived(&self, purpose: &str) -> impl Iterator<Item = hmac::Key> {
        self.seeds(purpose).map(|seed| hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref()))
    }

    /// 32 bytes that a key for another purpose is made of, for each master key, the newer one first.
    pub(super) fn seeds(&self, purpose: &str) -> impl Iterator<Item = hmac::Tag> {
        self.each().map(move |key| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), purpose.as_bytes()))
    }

    fn each(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_key_opens_and_the_current_one_seals() {
        let [old, new] = ["a1", "a2"].map(|byte| MasterKey::from_hex(&byte.repeat(32)).unwrap());
        let sealed = old.seal("JSKEY", b"secret").unwrap();
        let both = MasterKeys::new(new.clone(), Some(old));
        assert_eq!(both.open("JSKEY", &sealed), Some(b"secret".to_vec()));
        assert!(!both.is_current("JSKEY", &sealed));
        let resealed = both.seal("JSKEY", b"secret").unwrap();
        assert!(both.is_current("JSKEY", &resealed));
        assert_eq!(MasterKeys::from(new).open("JSKEY", &resealed), Some(b"secret".to_vec()));
    }

    /// As any library computes AES-256-GCM (this one is of Python's): what versions with another one sealed opens.
    #[test]
    fn what_other_libraries_sealed_opens() {
        let key = MasterKey::from_hex(&"a1".repeat(32)).unwrap();
        let sealed = "000102030405060708090a0bdf4e6a85822bae8ed4c380ab37925f78af5c4c534128";
        let sealed = hex::decode(sealed).unwrap();
        assert_eq!(key.open("JSKEY", &sealed), Some(b"secret".to_vec()));
    }

    #[test]
    fn only_the_same_key_and_name_open_it() {
        let key = MasterKey::from_hex(&"a1".repeat(32)).unwrap();
        let sealed = key.seal("JSKEY", b"secret").unwrap();
        assert_eq!(key.open("JSKEY", &sealed), Some(b"secret".to_vec()));
        assert_eq!(key.open("OTHER", &sealed), None);
        assert_eq!(MasterKey::from_hex(&"a2".repeat(32)).unwrap().open("JSKEY", &sealed), None);
        assert_eq!(key.open("JSKEY", &sealed[..5]), None);
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
    }
}
