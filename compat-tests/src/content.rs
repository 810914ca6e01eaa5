//! Bytes that were not stored before; the same seed always makes the same ones.

use base64::Engine as _;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// `length` pseudo-random bytes of a seed. An oracle remembers the two numbers, not the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// What makes it differ from any other.
    pub seed: u64,
    /// In bytes.
    pub length: usize,
}

impl Content {
    /// The content of `seed`, `length` bytes long.
    pub fn new(seed: u64, length: usize) -> Self {
        Self { seed, length }
    }

    /// What a writer of histories stores in its `step`-th change: one in five is too large for a pack. `None` for one in
    /// seven, which deletes.
    pub fn of_step(writer: u64, step: u64) -> Option<Self> {
        let length = if step.is_multiple_of(5) { (1 << 20) + 99 } else { 3000 };
        (!step.is_multiple_of(7)).then(|| Self::new(writer << 32 | step, length))
    }

    /// The bytes.
    pub fn bytes(self) -> Bytes {
        let mut state = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
        let mut bytes = vec![0; self.length.next_multiple_of(8)];
        for place in bytes.chunks_exact_mut(8) {
            // SplitMix64 (Steele, Lea and Flood, 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            place.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
        bytes.truncate(self.length);
        bytes.into()
    }
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The MD5 of `bytes`, in hexadecimal.
pub fn md5(bytes: &[u8]) -> String {
    hex::encode(md5::Md5::digest(bytes))
}

/// `bytes` in base64, as S3's checksum headers are written.
pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// S3's entity tag of an object made of `parts`: the MD5 of their MD5s, and their number.
pub fn multipart_etag(parts: &[Bytes]) -> String {
    let digests: Vec<u8> = parts.iter().flat_map(|part| md5::Md5::digest(part).to_vec()).collect();
    format!("\"{}-{}\"", md5(&digests), parts.len())
}

/// Panics unless `actual` is `expected`, without printing either.
pub fn assert_same(what: &str, actual: &[u8], expected: &[u8]) {
    // At once: byte by byte it takes longer than the read whose result it is.
    if actual == expected {
        return;
    }
    assert_eq!(actual.len(), expected.len(), "{what}: length");
    let differs = actual.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{what}: first byte that differs");
}
