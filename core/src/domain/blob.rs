//! Blobs: immutable bytes named by their SHA-256, and where they lie.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::storage_class::StorageClass;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).ok()?;
        Some(Self(digest))
    }

    /// Reads the 32 raw bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// A blob's row in the metadata store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub Uuid);

/// A segment's name: always fresh, never derived from content, so that a late unlink can never hit a
/// re-upload of the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub Uuid);

impl SegmentId {
    /// A new, unused name.
    pub fn fresh() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a leaf's payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The tier that holds the segment.
    pub tier: StorageClass,
    /// The segment.
    pub segment: SegmentId,
    /// Of the payload's first byte from the segment's beginning, in bytes.
    pub offset: u64,
    /// Of the payload, in bytes.
    pub length: u64,
}

/// One stretch of an object's bytes inside a leaf, in the order of the object's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The leaf.
    pub blob: BlobId,
    /// The leaf's digest.
    pub hash: Hash,
    /// Where the leaf lies.
    pub location: Location,
    /// Of the stretch's first byte inside the leaf, in bytes.
    pub offset: u64,
    /// Of the stretch, in bytes.
    pub length: u64,
}

impl Extent {
    /// The stretches of `extents` that cover `start..end` of the object they make up.
    pub fn clip(extents: &[Self], start: u64, end: u64) -> Vec<Self> {
        let mut clipped = Vec::new();
        let mut begin = 0;
        for extent in extents {
            let finish = begin + extent.length;
            let (from, to) = (start.max(begin), end.min(finish));
            if from < to {
                clipped.push(Self { offset: extent.offset + (from - begin), length: to - from, ..*extent });
            }
            begin = finish;
            if begin >= end {
                break;
            }
        }
        clipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, length: u64) -> Extent {
        let location =
            Location { tier: StorageClass::Hot, segment: SegmentId(Uuid::nil()), offset: 64, length: 100 };
        Extent { blob: BlobId(Uuid::nil()), hash: Hash([0; 32]), location, offset, length }
    }

    #[test]
    fn clip_keeps_exactly_the_asked_bytes() {
        let extents = [extent(0, 10), extent(5, 20), extent(0, 1)];
        assert_eq!(Extent::clip(&extents, 0, 31), extents.to_vec());
        assert_eq!(Extent::clip(&extents, 9, 11), vec![extent(9, 1), extent(5, 1)]);
        assert_eq!(Extent::clip(&extents, 12, 13), vec![extent(7, 1)]);
        assert_eq!(Extent::clip(&extents, 30, 31), vec![extent(0, 1)]);
        assert_eq!(Extent::clip(&extents, 7, 7), vec![]);
    }
}
