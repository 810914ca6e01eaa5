//! Three independent facts of content: its name, how it is laid out, and how S3 counts its parts.
//!
//! Content may be named by the SHA-256 of its bytes and lie in pieces, and S3 may count any number of parts of it.

use std::fmt;

use sha2::{Digest, Sha256};

use super::blob::Hash;
use super::range::Span;

/// The name of content. Inside one dedup domain, equal names mean equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentName {
    /// SHA-256 of the bytes.
    Bytes(Hash),
    /// SHA-256 of the concatenated digests of stored content, and how many there are: written `sha256:<hex>-<n>`,
    /// as S3 writes its composite checksums. No byte is read to compute it.
    Digests(Hash, u32),
}

impl ContentName {
    /// The name of the bytes of `leaves`, in order.
    pub fn of_leaves<'a>(leaves: impl IntoIterator<Item = &'a Hash>) -> Self {
        let mut hasher = Sha256::new();
        let mut count = 0;
        for leaf in leaves {
            hasher.update(leaf.0);
            count += 1;
        }
        Self::Digests(Hash(hasher.finalize().into()), count)
    }

    /// The name of the bytes of `parts`, in order, whatever names those have.
    ///
    /// If all of them are named by their bytes, it is [`Self::of_leaves`], as S3 writes it. Otherwise each part's count
    /// is hashed too, behind a prefix: a digest of digests is also the digest of content that holds those digests as
    /// its bytes, and the two must never share a name.
    pub fn of_parts(parts: &[Self]) -> Self {
        if parts.iter().all(|part| matches!(part, Self::Bytes(_))) {
            let hashes: Vec<_> = parts.iter().map(|part| part.digest()).collect();
            return Self::of_leaves(&hashes);
        }
        let mut hasher = Sha256::new();
        hasher.update(b"juststorage: composite of composites, v1\0");
        let mut count = 0;
        for part in parts {
            hasher.update(part.digest().0);
            hasher.update(part.count().to_be_bytes());
            count += 1;
        }
        Self::Digests(Hash(hasher.finalize().into()), count)
    }

    /// The name of a stretch of other content: SHA-256 over a prefix of this purpose, the source's digest and count,
    /// and the stretch's begin and end as 8 bytes, big-endian.
    pub fn slice(source: Self, span: Span) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"juststorage: slice, v1\0");
        hasher.update(source.digest().0);
        hasher.update(source.count().to_be_bytes());
        hasher.update(span.start.to_be_bytes());
        hasher.update(span.end.to_be_bytes());
        Self::Digests(Hash(hasher.finalize().into()), 1)
    }

    /// The digest without the count.
    pub fn digest(self) -> Hash {
        match self {
            Self::Bytes(digest) | Self::Digests(digest, _) => digest,
        }
    }

    /// Of how many digests the digest was taken; 0 if it was taken of the bytes.
    pub fn count(self) -> u32 {
        match self {
            Self::Bytes(_) => 0,
            Self::Digests(_, count) => count,
        }
    }

    /// Puts together what [`Self::digest`] and [`Self::count`] took apart.
    pub fn from_stored(digest: Hash, count: u32) -> Self {
        if count == 0 { Self::Bytes(digest) } else { Self::Digests(digest, count) }
    }
}

impl fmt::Display for ContentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(digest) => write!(f, "sha256:{digest}"),
            Self::Digests(digest, count) => write!(f, "sha256:{digest}-{count}"),
        }
    }
}

/// How the bytes of a blob are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One record in one segment.
    Leaf,
    /// An ordered list of stretches of leaves.
    Pieces,
}

/// How many parts S3 counts of content: as many as its multipart upload was completed with; 0 if it was put whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartCount(pub u32);

impl PartCount {
    /// Content that was put whole.
    pub const NONE: Self = Self(0);

    /// Of so many parts.
    pub fn of<T>(parts: &[T]) -> Self {
        Self(u32::try_from(parts.len()).unwrap_or(u32::MAX))
    }

    /// Whether S3 shows parts of it.
    pub fn is_multipart(self) -> bool {
        self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Identical names make identical bytes: what differs in source, bounds or nesting differs in name.
    #[test]
    fn slices_and_nested_composites_have_names_of_their_own() {
        let whole = ContentName::Bytes(Hash::of(b"a"));
        let composite = ContentName::of_leaves(&[Hash::of(b"a")]);
        // The bytes of this content are the digests that the composite's name is taken over.
        let impostor = ContentName::Bytes(Hash::of(&Hash::of(b"a").0));
        assert_eq!(impostor.digest(), composite.digest());
        assert_ne!(ContentName::of_parts(&[impostor]), ContentName::of_parts(&[composite]));
        assert_eq!(ContentName::of_parts(&[whole]), composite);
        let slice = |source, start, end| ContentName::slice(source, Span { start, end });
        let names = [
            slice(whole, 0, 1),
            slice(whole, 0, 2),
            slice(whole, 1, 2),
            slice(composite, 0, 1),
            slice(impostor, 0, 1),
        ];
        let distinct: std::collections::HashSet<_> = names.into_iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn names_are_written_as_s3_writes_composites() {
        let parts = [Hash::of(b"a"), Hash::of(b"b")];
        let composite = ContentName::of_leaves(&parts);
        assert!(composite.to_string().ends_with("-2"));
        assert_eq!(ContentName::from_stored(composite.digest(), composite.count()), composite);
        assert_eq!(
            ContentName::Bytes(Hash::of(b"")).to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn parts_are_counted_of_what_was_completed() {
        assert_eq!(PartCount::of(&["a", "b", "c"]), PartCount(3));
        assert!(PartCount(1).is_multipart() && !PartCount::NONE.is_multipart());
    }
}
