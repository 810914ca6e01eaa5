//! Blobs: immutable bytes named by their SHA-256, and where they lie.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::range::Span;
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

/// The name of content: a leaf's digest, or the digest of a composite's parts and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentHash {
    /// SHA-256 of the bytes.
    Leaf(Hash),
    /// SHA-256 of the concatenated digests of the parts, and how many there are: written
    /// `sha256:<hex>-<n>`, as S3 writes its composite checksums.
    Composite(Hash, u32),
}

impl ContentHash {
    /// The name of a composite of `parts`, in order.
    pub fn composite<'a>(parts: impl IntoIterator<Item = &'a Hash>) -> Self {
        let mut hasher = Sha256::new();
        let mut count = 0;
        for part in parts {
            hasher.update(part.0);
            count += 1;
        }
        Self::Composite(Hash(hasher.finalize().into()), count)
    }

    /// The name of a composite of parts that may be composites or slices themselves.
    ///
    /// Of leaves only, it is [`Self::composite`], as S3 writes it. Otherwise each part's count is hashed too,
    /// behind a prefix: a digest of digests is also the digest of a leaf that holds those digests as its
    /// bytes, and the two must never share a name.
    pub fn of_parts(parts: &[Self]) -> Self {
        if parts.iter().all(|part| part.parts() == 0) {
            let hashes: Vec<_> = parts.iter().map(|part| part.hash()).collect();
            return Self::composite(&hashes);
        }
        let mut hasher = Sha256::new();
        hasher.update(b"juststorage: composite of composites, v1\0");
        let mut count = 0;
        for part in parts {
            hasher.update(part.hash().0);
            hasher.update(part.parts().to_be_bytes());
            count += 1;
        }
        Self::Composite(Hash(hasher.finalize().into()), count)
    }

    /// The name of a stretch of a blob, as a composite of one part: SHA-256 over a prefix of this purpose,
    /// the source's digest and count of parts, and the stretch's begin and end as 8 bytes, big-endian.
    pub fn slice(source: Self, span: Span) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"juststorage: slice, v1\0");
        hasher.update(source.hash().0);
        hasher.update(source.parts().to_be_bytes());
        hasher.update(span.start.to_be_bytes());
        hasher.update(span.end.to_be_bytes());
        Self::Composite(Hash(hasher.finalize().into()), 1)
    }

    /// The digest without the count.
    pub fn hash(self) -> Hash {
        match self {
            Self::Leaf(hash) | Self::Composite(hash, _) => hash,
        }
    }

    /// The number of parts; 0 for a leaf, as kept in the database.
    pub fn parts(self) -> u32 {
        match self {
            Self::Leaf(_) => 0,
            Self::Composite(_, parts) => parts,
        }
    }

    /// Puts together what [`Self::hash`] and [`Self::parts`] took apart.
    pub fn from_parts(hash: Hash, parts: u32) -> Self {
        if parts == 0 { Self::Leaf(hash) } else { Self::Composite(hash, parts) }
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(hash) => write!(f, "sha256:{hash}"),
            Self::Composite(hash, parts) => write!(f, "sha256:{hash}-{parts}"),
        }
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
    /// A name nobody has used.
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

    /// Identical names make identical bytes: what differs in source, bounds or nesting differs in name.
    #[test]
    fn slices_and_nested_composites_have_names_of_their_own() {
        let leaf = ContentHash::Leaf(Hash::of(b"a"));
        let composite = ContentHash::composite(&[Hash::of(b"a")]);
        // The bytes of this leaf are the digests that the composite's name is taken over.
        let impostor = ContentHash::Leaf(Hash::of(&Hash::of(b"a").0));
        assert_eq!(impostor.hash(), composite.hash());
        assert_ne!(ContentHash::of_parts(&[impostor]), ContentHash::of_parts(&[composite]));
        assert_eq!(ContentHash::of_parts(&[leaf]), composite);
        let slice = |source, start, end| ContentHash::slice(source, Span { start, end });
        let names = [
            slice(leaf, 0, 1),
            slice(leaf, 0, 2),
            slice(leaf, 1, 2),
            slice(composite, 0, 1),
            slice(impostor, 0, 1),
        ];
        let distinct: std::collections::HashSet<_> = names.into_iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn content_hash_is_written_as_s3_writes_composites() {
        let parts = [Hash::of(b"a"), Hash::of(b"b")];
        let composite = ContentHash::composite(&parts);
        assert!(composite.to_string().ends_with("-2"));
        assert_eq!(ContentHash::from_parts(composite.hash(), composite.parts()), composite);
        assert_eq!(
            ContentHash::Leaf(Hash::of(b"")).to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
