//! The checksums S3 clients declare, verify and ask for
//! (S3 User Guide, "Checking object integrity").

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use sha2::Digest as _;
use xxhash_rust::xxh3::Xxh3;
use xxhash_rust::xxh64::Xxh64;

use super::invalid::Invalid;

/// A checksum algorithm of S3's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME: full objects only.
    Crc64Nvme,
    /// SHA-1: composite only, for multipart.
    Sha1,
    /// SHA-256: composite only, for multipart.
    Sha256,
    /// SHA-512: composite only, for multipart.
    Sha512,
    /// MD5: composite only, for multipart.
    Md5,
    /// XXH64 with seed 0: composite only, for multipart.
    XxHash64,
    /// XXH3 of 64 bits: composite only, for multipart.
    XxHash3,
    /// XXH3 of 128 bits: composite only, for multipart.
    XxHash128,
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Md5,
        Self::XxHash64,
        Self::XxHash3,
        Self::XxHash128,
    ];

    /// S3's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Md5 => "MD5",
            Self::XxHash64 => "XXHASH64",
            Self::XxHash3 => "XXHASH3",
            Self::XxHash128 => "XXHASH128",
        }
    }

    /// Reads S3's name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str().eq_ignore_ascii_case(text))
    }

    /// The kind S3 uses when the client names none (S3 User Guide, table "checksum types").
    pub fn default_kind(self) -> ChecksumKind {
        if self == Self::Crc64Nvme { ChecksumKind::FullObject } else { ChecksumKind::Composite }
    }

    /// Whether S3 allows `kind` for multipart uploads with this algorithm.
    pub fn allows(self, kind: ChecksumKind) -> bool {
        match self {
            Self::Crc32 | Self::Crc32c => true,
            Self::Crc64Nvme => kind == ChecksumKind::FullObject,
            _ => kind == ChecksumKind::Composite,
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            _ => None,
        }
    }

    fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme | Self::XxHash64 | Self::XxHash3 => 8,
            Self::Md5 | Self::XxHash128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// What a multipart object's checksum is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// Over the object's bytes.
    FullObject,
    /// Over the parts' checksums; written with `-n` at its end.
    Composite,
}

impl ChecksumKind {
    /// S3's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    /// Reads S3's name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::FullObject, Self::Composite].into_iter().find(|k| k.as_str().eq_ignore_ascii_case(text))
    }
}

/// A checksum's value, as S3 writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Which algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// Over what.
    pub kind: ChecksumKind,
    /// Base64 of the digest; `-n` follows when composite.
    pub value: String,
}

impl Checksum {
    /// Reads a value that a client declares for bytes it sends (never composite).
    pub fn declared(algorithm: ChecksumAlgorithm, value: &str) -> Result<Self, Invalid> {
        let fits = STANDARD.decode(value).is_ok_and(|digest| digest.len() == algorithm.digest_bytes());
        if !fits {
            return Err(Invalid::new("checksum", "must be the base64 of a digest of the algorithm's length"));
        }
        Ok(Self { algorithm, kind: ChecksumKind::FullObject, value: value.to_owned() })
    }

    /// The checksum of a multipart object from those of its parts, with the parts' lengths in bytes.
    /// `None` when a part's checksum is missing, of another algorithm or unreadable, or the kind is not
    /// allowed.
    pub fn of_parts(
        algorithm: ChecksumAlgorithm,
        kind: ChecksumKind,
        parts: &[(Option<Checksum>, u64)],
    ) -> Option<Self> {
        if !algorithm.allows(kind) {
            return None;
        }
        let digests = parts
            .iter()
            .map(|(checksum, length)| {
                let checksum = checksum.as_ref().filter(|c| c.algorithm == algorithm)?;
                Some((STANDARD.decode(&checksum.value).ok()?, *length))
            })
            .collect::<Option<Vec<_>>>()?;
        let value = match kind {
            ChecksumKind::Composite => {
                let mut hasher = ChecksumHasher::new(algorithm);
                for (digest, _) in &digests {
                    hasher.update(digest);
                }
                format!("{}-{}", hasher.finish().value, digests.len())
            }
            ChecksumKind::FullObject => {
                let crc = algorithm.crc()?;
                let number = |digest: &[u8]| digest.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
                let empty = crc_fast::checksum(crc, b"");
                let combined = digests.iter().fold(empty, |sum, (digest, length)| {
                    crc_fast::checksum_combine(crc, sum, number(digest), *length)
                });
                encode_crc(combined, algorithm)
            }
        };
        Some(Self { algorithm, kind, value })
    }

    /// One line of text for the database; read back by [`Self::from_stored`].
    pub fn to_stored(&self) -> String {
        format!("{}:{}:{}", self.algorithm.as_str(), self.kind.as_str(), self.value)
    }

    /// Reads what [`Self::to_stored`] wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        let mut fields = text.splitn(3, ':');
        Some(Self {
            algorithm: ChecksumAlgorithm::parse(fields.next()?)?,
            kind: ChecksumKind::parse(fields.next()?)?,
            value: fields.next()?.to_owned(),
        })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// The checksum of a whole multipart object as the client that completes it expects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedChecksum {
    /// Base64 of the digest.
    pub digest: Checksum,
    /// The number of parts, where the client wrote `-n` behind the digest.
    pub parts: Option<u32>,
    /// Over what the client says it is taken.
    pub kind: Option<ChecksumKind>,
}

impl ExpectedChecksum {
    /// Reads a checksum of a completion: base64 of a digest, and `-n` where it is composite. Clients leave the `-n`
    /// out too.
    pub fn parse(
        algorithm: ChecksumAlgorithm,
        kind: Option<ChecksumKind>,
        value: &str,
    ) -> Result<Self, Invalid> {
        let (digest, parts) = match value.rsplit_once('-') {
            None => (value, None),
            Some((digest, parts)) => {
                let number = parts.parse().ok().filter(|_| parts.bytes().all(|byte| byte.is_ascii_digit()));
                (
                    digest,
                    Some(number.ok_or_else(|| Invalid::new("checksum", "must end in the number of parts"))?),
                )
            }
        };
        Ok(Self { digest: Checksum::declared(algorithm, digest)?, parts, kind })
    }

    /// Whether `computed` is what the client expects. Of a composite checksum the `-n` must be right if it is there.
    pub fn is_met_by(&self, computed: &Checksum) -> bool {
        let (digest, parts) = match computed.value.rsplit_once('-') {
            None => (computed.value.as_str(), None),
            Some((digest, parts)) => (digest, parts.parse().ok()),
        };
        self.digest.algorithm == computed.algorithm
            && self.digest.value == digest
            && self.kind.is_none_or(|kind| kind == computed.kind)
            && self.parts.is_none_or(|expected| parts == Some(expected))
    }
}

/// The checksum of the object that a completion makes of parts with these checksums and lengths in bytes.
/// `declared` is what the upload began with: it decides over what the checksum is taken. Without it, what the client
/// expects decides. `Err` if what is expected is not confirmed.
pub fn of_completion(
    declared: Option<(ChecksumAlgorithm, ChecksumKind)>,
    expected: Option<&ExpectedChecksum>,
    parts: &[(Option<Checksum>, u64)],
) -> Result<Option<Checksum>, NotConfirmed> {
    let computed = |algorithm, kind| Checksum::of_parts(algorithm, kind, parts);
    let Some(expected) = expected else {
        return Ok(declared.and_then(|(algorithm, kind)| computed(algorithm, kind)));
    };
    let candidates = match declared {
        Some(declared) => vec![declared],
        None => [ChecksumKind::FullObject, ChecksumKind::Composite]
            .map(|kind| (expected.digest.algorithm, kind))
            .to_vec(),
    };
    candidates
        .into_iter()
        .filter_map(|(algorithm, kind)| computed(algorithm, kind))
        .find(|checksum| expected.is_met_by(checksum))
        .map(Some)
        .ok_or(NotConfirmed)
}

/// The checksum that a client expects is not that of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("checksum mismatch")]
pub struct NotConfirmed;

fn encode_crc(crc: u64, algorithm: ChecksumAlgorithm) -> String {
    STANDARD.encode(&crc.to_be_bytes()[8 - algorithm.digest_bytes()..])
}

/// Computes one checksum while bytes stream by.
pub struct ChecksumHasher {
    algorithm: ChecksumAlgorithm,
    state: HasherState,
}

enum HasherState {
    Crc(crc_fast::Digest),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Md5(md5::Md5),
    XxHash64(Xxh64),
    // Half a kilobyte.
    XxHash3(Box<Xxh3>),
}

impl ChecksumHasher {
    /// Of no bytes yet.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        use ChecksumAlgorithm as A;
        let state = match algorithm {
            A::Crc32 => HasherState::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            A::Crc32c => HasherState::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            A::Crc64Nvme => HasherState::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
            A::Sha1 => HasherState::Sha1(sha1::Sha1::new()),
            A::Sha256 => HasherState::Sha256(sha2::Sha256::new()),
            A::Sha512 => HasherState::Sha512(sha2::Sha512::new()),
            A::Md5 => HasherState::Md5(md5::Md5::new()),
            A::XxHash64 => HasherState::XxHash64(Xxh64::new(0)),
            A::XxHash3 | A::XxHash128 => HasherState::XxHash3(Box::new(Xxh3::new())),
        };
        Self { algorithm, state }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            HasherState::Crc(digest) => digest.update(bytes),
            HasherState::Sha1(digest) => digest.update(bytes),
            HasherState::Sha256(digest) => digest.update(bytes),
            HasherState::Sha512(digest) => digest.update(bytes),
            HasherState::Md5(digest) => digest.update(bytes),
            HasherState::XxHash64(digest) => digest.update(bytes),
            HasherState::XxHash3(digest) => digest.update(bytes),
        }
    }

    /// The checksum of all bytes taken in.
    pub fn finish(self) -> Checksum {
        let value = match self.state {
            HasherState::Crc(digest) => encode_crc(digest.finalize(), self.algorithm),
            HasherState::Sha1(digest) => STANDARD.encode(digest.finalize()),
            HasherState::Sha256(digest) => STANDARD.encode(digest.finalize()),
            HasherState::Sha512(digest) => STANDARD.encode(digest.finalize()),
            HasherState::Md5(digest) => STANDARD.encode(digest.finalize()),
            HasherState::XxHash64(digest) => STANDARD.encode(digest.digest().to_be_bytes()),
            HasherState::XxHash3(digest) if self.algorithm == ChecksumAlgorithm::XxHash128 => {
                STANDARD.encode(digest.digest128().to_be_bytes())
            }
            HasherState::XxHash3(digest) => STANDARD.encode(digest.digest().to_be_bytes()),
        };
        Checksum { algorithm: self.algorithm, kind: ChecksumKind::FullObject, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = ChecksumHasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The check values of the CRC catalogue ("123456789"), the published digests, and what libxxhash says.
    #[test]
    fn values_are_the_published_ones() {
        let expected = [
            (ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
            (ChecksumAlgorithm::Crc32c, "4waSgw=="),
            (ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg="),
            (ChecksumAlgorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (ChecksumAlgorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
            (
                ChecksumAlgorithm::Sha512,
                "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==",
            ),
            (ChecksumAlgorithm::Md5, "JfnnlDI7RTiF9RgfG2JNCw=="),
            (ChecksumAlgorithm::XxHash64, "jLhB20DmroM="),
            (ChecksumAlgorithm::XxHash3, "ctyxi2ehff8="),
            (ChecksumAlgorithm::XxHash128, "MxGUd+3l3NXpcWQnaB1YYA=="),
        ];
        assert_eq!(expected.map(|(algorithm, _)| algorithm), ChecksumAlgorithm::ALL);
        for (algorithm, _) in &expected {
            let checksum = of(*algorithm, b"123456789");
            assert_eq!(Checksum::declared(*algorithm, &checksum.value), Ok(checksum.clone()));
            assert_eq!(Checksum::from_stored(&checksum.to_stored()), Some(checksum));
        }
        for (algorithm, value) in &expected {
            assert_eq!(of(*algorithm, b"123456789").value, *value, "{algorithm:?}");
        }
    }

    #[test]
    fn full_object_crcs_combine_to_the_crc_of_the_whole() {
        for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
            let parts: Vec<_> = ["123", "4567", "", "89"]
                .iter()
                .map(|p| (Some(of(algorithm, p.as_bytes())), p.len() as u64))
                .collect();
            let combined = Checksum::of_parts(algorithm, ChecksumKind::FullObject, &parts);
            assert_eq!(combined, Some(of(algorithm, b"123456789")));
        }
    }

    #[test]
    fn composite_is_over_the_raw_digests() {
        let (a, b) = (of(ChecksumAlgorithm::Sha256, b"a"), of(ChecksumAlgorithm::Sha256, b"b"));
        let raw = [STANDARD.decode(&a.value).unwrap(), STANDARD.decode(&b.value).unwrap()].concat();
        let composite = Checksum::of_parts(
            ChecksumAlgorithm::Sha256,
            ChecksumKind::Composite,
            &[(Some(a), 1), (Some(b), 1)],
        )
        .unwrap();
        assert_eq!(composite.value, format!("{}-2", of(ChecksumAlgorithm::Sha256, &raw).value));
    }

    /// Every algorithm, with and without `-n`, with and without its type, declared and not.
    #[test]
    fn a_completion_is_confirmed_with_and_without_the_number_of_parts() {
        use ChecksumKind::{Composite, FullObject};
        for algorithm in ChecksumAlgorithm::ALL {
            let parts = [(Some(of(algorithm, b"1234")), 4), (Some(of(algorithm, b"56789")), 5)];
            for kind in [Composite, FullObject].into_iter().filter(|kind| algorithm.allows(*kind)) {
                let whole = Checksum::of_parts(algorithm, kind, &parts).unwrap();
                let digest = whole.value.split('-').next().unwrap().to_owned();
                let of = |declared: bool, said, value: &str| {
                    let expected = ExpectedChecksum::parse(algorithm, said, value).unwrap();
                    of_completion(declared.then_some((algorithm, kind)), Some(&expected), &parts)
                };
                for (declared, said) in [(true, None), (true, Some(kind)), (false, None), (false, Some(kind))]
                {
                    let case = format!("{algorithm:?} {kind:?} {declared} {said:?}");
                    assert_eq!(of(declared, said, &digest), Ok(Some(whole.clone())), "{case}");
                    let numbered = of(declared, said, &format!("{digest}-2"));
                    let right = if kind == Composite { Ok(Some(whole.clone())) } else { Err(NotConfirmed) };
                    assert_eq!(numbered, right, "{case} -2");
                    for wrong in [format!("{digest}-3"), STANDARD.encode(vec![0; algorithm.digest_bytes()])] {
                        assert_eq!(of(declared, said, &wrong), Err(NotConfirmed), "{case} {wrong}");
                    }
                }
                let other = if kind == Composite { FullObject } else { Composite };
                assert_eq!(of(true, Some(other), &digest), Err(NotConfirmed), "the upload's kind decides");
            }
            assert_eq!(of_completion(None, None, &parts), Ok(None));
        }
        for bad in ["y/Q5Jg==-", "y/Q5Jg==-x", "y/Q5Jg==-+2", "y/Q5Jg==-99999999999", "y/Q5-2"] {
            assert!(ExpectedChecksum::parse(ChecksumAlgorithm::Crc32, None, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tables_of_s3_are_kept() {
        assert!(!ChecksumAlgorithm::Crc64Nvme.allows(ChecksumKind::Composite));
        for algorithm in ChecksumAlgorithm::ALL.into_iter().filter(|algorithm| algorithm.crc().is_none()) {
            assert!(!algorithm.allows(ChecksumKind::FullObject) && algorithm.allows(ChecksumKind::Composite));
        }
        assert!(Checksum::declared(ChecksumAlgorithm::Crc32, "AAAA").is_err());
        assert!(Checksum::declared(ChecksumAlgorithm::Crc32, "not base64").is_err());
    }
}
