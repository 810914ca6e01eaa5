//! Rules of uploads in parts (S3 User Guide, "Amazon S3 multipart upload limits").

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use super::blob::BlobId;
use super::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use super::etag::{Etag, Md5Digest};
use super::invalid::Invalid;
use super::naming::{ContentName, Layout, PartCount};
use super::object::Attributes;
use super::timestamp::Timestamp;

/// Most parts of one upload.
pub const PARTS_MAX: u32 = 10_000;

/// Least size of any part but the last, in bytes.
pub const PART_BYTES_MIN: u64 = 5 << 20;

/// Largest object, in bytes: 5 TiB.
pub const OBJECT_BYTES_MAX: u64 = 5 << 40;

/// Largest single put or part, in bytes: 5 GiB.
pub const PART_BYTES_MAX: u64 = 5 << 30;

/// Most stretches of stored bytes that an object may consist of. A part that was sent is one; a part that was copied
/// brings those of its source.
pub const PIECES_MAX: u64 = 20_000;

/// Most stretches that one part may bring: twice what 5 GiB have that were sent in parts of the least size.
pub const PART_PIECES_MAX: u64 = 2_048;

/// Most stretches that a completion writes inside its own transaction, while other writes wait. A longer composite is
/// drafted before, in portions of about as many, each a transaction of its own.
pub const PORTION_PIECES_MAX: u64 = 1_024;

/// A part's number: 1 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(u16);

impl PartNumber {
    /// Accepts 1 to 10,000.
    pub fn new(number: i64) -> Result<Self, Invalid> {
        u16::try_from(number)
            .ok()
            .filter(|n| (1..=PARTS_MAX).contains(&u32::from(*n)))
            .map(Self)
            .ok_or_else(|| Invalid::new("part_number", "must be an integer from 1 to 10000"))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An upload's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub Uuid);

impl UploadId {
    /// Reads the 32 or 36 characters of a UUID.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// An upload under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// Its name.
    pub id: UploadId,
    /// The space it will write to.
    pub space: super::space::Space,
    /// The key it will write; `None` for a keyless native object.
    pub key: Option<super::address::Key>,
    /// What the object will carry.
    pub attributes: Attributes,
    /// The checksum its parts carry, if the client asked for one.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// When it began.
    pub created_at: Timestamp,
}

/// A part that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: PartNumber,
    /// Its bytes.
    pub blob: BlobId,
    /// The name of its bytes.
    pub name: ContentName,
    /// How its bytes are laid out: a part that was copied may consist of pieces.
    pub layout: Layout,
    /// In bytes.
    pub size: u64,
    /// As answered to the client.
    pub etag: Etag,
    /// The MD5 behind the tag, where the front that took the part computed one.
    pub md5: Option<Md5Digest>,
    /// Verified, if the upload carries one.
    pub checksum: Option<Checksum>,
    /// When it arrived.
    pub created_at: Timestamp,
}

/// A part as the client names it when it completes the upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartClaim {
    /// Its number.
    pub number: PartNumber,
    /// The tag it was answered; the native API may leave it out.
    pub etag: Option<Etag>,
    /// The checksum it was answered, if the client repeats it.
    pub checksum: Option<Checksum>,
}

/// Why an upload cannot be completed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompleteRefusal {
    /// The list is empty.
    #[error("at least one part is required")]
    NoParts,
    /// Numbers must ascend.
    #[error("the parts are not in ascending order")]
    Order,
    /// A part was never uploaded, or its tag or checksum differs.
    #[error("part {0} was not found, or its entity tag or checksum does not match")]
    Part(PartNumber),
    /// A part is named with the checksum of another algorithm than it has.
    #[error("the {} of part {number} is not what it was sent with", .algorithm.as_str())]
    OtherChecksum {
        /// Which part.
        number: PartNumber,
        /// The algorithm that the client names.
        algorithm: ChecksumAlgorithm,
    },
    /// A part other than the last is under 5 MiB.
    #[error("part {number} has {size} bytes, fewer than the minimum of 5 MiB for all but the last")]
    TooSmall {
        /// Which part.
        number: PartNumber,
        /// Its size in bytes.
        size: u64,
    },
    /// A part is named without its checksum although the upload declared composite ones.
    #[error("the upload was created with composite checksums: the checksum of part {0} is missing")]
    NoChecksum(PartNumber),
    /// The whole is over 5 TiB.
    #[error("the object would exceed 5 TiB")]
    TooLarge,
    /// The object would consist of too many stretches of other objects.
    #[error(
        "the copied parts consist of {pieces} stretches of stored bytes, and at most {max} are allowed: send the \
         bytes instead of copying them, or copy larger stretches"
    )]
    TooManyPieces {
        /// How many it would be.
        pieces: u64,
        /// How many it may be.
        max: u64,
    },
    /// The object would not have the size that the client expects.
    #[error("the parts have {size} bytes together, and {expected} were expected")]
    Size {
        /// As the client said.
        expected: u64,
        /// As it would be.
        size: u64,
    },
    /// The client names another kind of checksum than the upload began with.
    #[error("the upload was created with the {} checksum type, and its completion names another", .0.as_str())]
    ChecksumKind(ChecksumKind),
}

/// Refuses more stretches than a part may bring, or than an object may consist of.
pub fn check_pieces(pieces: u64, max: u64) -> Result<(), CompleteRefusal> {
    if pieces > max { Err(CompleteRefusal::TooManyPieces { pieces, max }) } else { Ok(()) }
}

/// The parts of an upload as they were read, to be checked against the upload inside a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadParts {
    /// How often the upload's parts had changed.
    pub revision: u64,
    /// All parts, ascending.
    pub parts: Vec<Part>,
    /// By part number, of how many stretches the copied parts consist; the others are one each.
    pub pieces: BTreeMap<PartNumber, u64>,
}

impl UploadParts {
    /// Of how many stretches an object of these parts would consist.
    pub fn pieces_of(&self, parts: &[Part]) -> u64 {
        parts.iter().map(|part| self.pieces_in(part)).sum()
    }

    fn pieces_in(&self, part: &Part) -> u64 {
        self.pieces.get(&part.number).copied().unwrap_or(1)
    }

    /// The parts that a completion names; all of them where it names none.
    pub fn select(&self, claims: Option<&[PartClaim]>) -> Result<Cow<'_, [Part]>, CompleteRefusal> {
        if let Some(claims) = claims {
            return select_parts(&self.parts, claims);
        }
        let claim = |part: &Part| PartClaim { number: part.number, etag: None, checksum: None };
        select_parts(&self.parts, &self.parts.iter().map(claim).collect::<Vec<_>>())
    }

    /// The parts that a completion names, if the object that they make may exist and has the size and the kind of checksum
    /// that the client expects. `declared` is what the upload began with.
    pub fn choose(
        &self,
        claims: Option<&[PartClaim]>,
        declared: Option<(ChecksumAlgorithm, ChecksumKind)>,
        (size, kind): (Option<u64>, Option<ChecksumKind>),
    ) -> Result<Cow<'_, [Part]>, CompleteRefusal> {
        let parts = self.select(claims)?;
        check_pieces(self.pieces_of(&parts), PIECES_MAX)?;
        if let (Some(expected), Some((_, declared))) = (kind, declared)
            && expected != declared
        {
            return Err(CompleteRefusal::ChecksumKind(declared));
        }
        let found = parts.iter().map(|part| part.size).sum();
        match size {
            Some(expected) if expected != found => Err(CompleteRefusal::Size { expected, size: found }),
            _ => Ok(parts),
        }
    }

    /// Cuts `parts` into portions of at most [`PORTION_PIECES_MAX`] stretches each. A part that has more is a portion by
    /// itself.
    pub fn portions<'p>(&self, parts: &'p [Part]) -> Vec<&'p [Part]> {
        let (mut portions, mut begin, mut pieces) = (Vec::new(), 0, 0);
        for (at, part) in parts.iter().enumerate() {
            let more = self.pieces_in(part);
            if at > begin && pieces + more > PORTION_PIECES_MAX {
                portions.push(&parts[begin..at]);
                (begin, pieces) = (at, 0);
            }
            pieces += more;
        }
        if begin < parts.len() {
            portions.push(&parts[begin..]);
        }
        portions
    }
}

/// Picks from `parts` (ascending by number) those that `claims` name, and checks every rule of S3's
/// `CompleteMultipartUpload`.
///
/// The parts are copied only if some of them are left out: an upload may have ten thousand.
pub fn select_parts<'p>(parts: &'p [Part], claims: &[PartClaim]) -> Result<Cow<'p, [Part]>, CompleteRefusal> {
    if claims.is_empty() {
        return Err(CompleteRefusal::NoParts);
    }
    if claims.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(CompleteRefusal::Order);
    }
    let mut selected = Vec::with_capacity(claims.len());
    let mut total: u64 = 0;
    for claim in claims {
        let part = parts
            .binary_search_by_key(&claim.number, |part| part.number)
            .ok()
            .map(|found| &parts[found])
            .filter(|part| claim.etag.as_ref().is_none_or(|etag| *etag == part.etag))
            .ok_or(CompleteRefusal::Part(claim.number))?;
        confirm_checksum(part, claim)?;
        total = total.saturating_add(part.size);
        selected.push(part);
    }
    // Only now, as S3 has it: a part that does not exist is the graver fault.
    let small =
        selected.split_last().and_then(|(_, parts)| parts.iter().find(|part| part.size < PART_BYTES_MIN));
    if let Some(part) = small {
        return Err(CompleteRefusal::TooSmall { number: part.number, size: part.size });
    }
    if total > OBJECT_BYTES_MAX {
        return Err(CompleteRefusal::TooLarge);
    }
    // Each is there and none is named twice.
    if selected.len() == parts.len() {
        return Ok(Cow::Borrowed(parts));
    }
    Ok(Cow::Owned(selected.into_iter().cloned().collect()))
}

/// Refuses the checksum that a client names a part by, if it is not the part's own. One that cannot be confirmed is not
/// confirmed.
fn confirm_checksum(part: &Part, claim: &PartClaim) -> Result<(), CompleteRefusal> {
    let Some(claimed) = &claim.checksum else { return Ok(()) };
    match &part.checksum {
        Some(own) if own == claimed => Ok(()),
        Some(own) if own.algorithm != claimed.algorithm => {
            Err(CompleteRefusal::OtherChecksum { number: claim.number, algorithm: claimed.algorithm })
        }
        _ => Err(CompleteRefusal::Part(claim.number)),
    }
}

/// The first part whose checksum a client of S3 leaves out although its upload declared composite ones: S3 refuses
/// that, of a part that is sent and of a completion.
pub fn undeclared(
    declared: Option<(ChecksumAlgorithm, ChecksumKind)>,
    claims: &[PartClaim],
) -> Option<PartNumber> {
    declared.filter(|(_, kind)| *kind == ChecksumKind::Composite)?;
    claims.iter().find(|claim| claim.checksum.is_none()).map(|claim| claim.number)
}

/// The entity tag of the object that `parts` make: S3's MD5 of MD5s where every part has one.
pub fn etag_of_parts(parts: &[Part], name: ContentName) -> Etag {
    let md5s: Option<Vec<_>> = parts.iter().map(|part| part.md5.as_ref()).collect();
    md5s.map_or_else(|| Etag::of_content(name.digest(), PartCount::of(parts)), Etag::multipart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::blob::Hash;

    fn part(number: i64, size: u64) -> Part {
        Part {
            number: PartNumber::new(number).unwrap(),
            blob: BlobId(Uuid::nil()),
            name: ContentName::Bytes(Hash::of(&number.to_be_bytes())),
            layout: Layout::Leaf,
            size,
            etag: Etag::md5(&[u8::try_from(number).unwrap(); 16]),
            md5: Some([u8::try_from(number).unwrap(); 16]),
            checksum: None,
            created_at: Timestamp(0),
        }
    }

    fn claim(number: i64) -> PartClaim {
        PartClaim { number: PartNumber::new(number).unwrap(), etag: None, checksum: None }
    }

    #[test]
    fn completion_follows_s3() {
        let parts = [part(1, PART_BYTES_MIN), part(2, 7), part(5, 3)];
        let select = |numbers: &[i64]| {
            let claims: Vec<_> = numbers.iter().map(|n| claim(*n)).collect();
            select_parts(&parts, &claims).map(|p| p.iter().map(|p| p.number.get()).collect::<Vec<_>>())
        };
        assert_eq!(select(&[1, 5]), Ok(vec![1, 5]));
        assert_eq!(select(&[2]), Ok(vec![2]));
        assert_eq!(select(&[]), Err(CompleteRefusal::NoParts));
        assert_eq!(select(&[5, 1]), Err(CompleteRefusal::Order));
        assert_eq!(select(&[1, 1]), Err(CompleteRefusal::Order));
        assert_eq!(select(&[1, 3]), Err(CompleteRefusal::Part(PartNumber(3))));
        assert_eq!(select(&[2, 3, 5]), Err(CompleteRefusal::Part(PartNumber(3))), "part 2 is too small, too");
        assert_eq!(select(&[1, 2, 5]), Err(CompleteRefusal::TooSmall { number: PartNumber(2), size: 7 }));
    }

    #[test]
    fn a_completion_makes_what_its_client_expects() {
        let parts = vec![part(1, PART_BYTES_MIN), part(2, 7)];
        let declared = Some((ChecksumAlgorithm::Crc32, ChecksumKind::Composite));
        let mut all = UploadParts { revision: 1, parts, pieces: BTreeMap::new() };
        let chosen =
            |all: &UploadParts, size, kind| all.choose(None, declared, (size, kind)).map(|p| p.len());
        let size = PART_BYTES_MIN + 7;
        assert_eq!(chosen(&all, None, None), Ok(2));
        assert_eq!(chosen(&all, Some(size), Some(ChecksumKind::Composite)), Ok(2));
        assert_eq!(chosen(&all, Some(7), None), Err(CompleteRefusal::Size { expected: 7, size }));
        let other = CompleteRefusal::ChecksumKind(ChecksumKind::Composite);
        assert_eq!(chosen(&all, None, Some(ChecksumKind::FullObject)), Err(other));
        all.pieces.insert(PartNumber(1), PIECES_MAX);
        let many = CompleteRefusal::TooManyPieces { pieces: PIECES_MAX + 1, max: PIECES_MAX };
        assert_eq!(chosen(&all, None, None), Err(many));
    }

    #[test]
    fn a_wrong_tag_is_refused() {
        let parts = [part(1, 7)];
        let wrong = PartClaim { etag: Some(Etag::md5(&[9; 16])), ..claim(1) };
        assert_eq!(select_parts(&parts, &[wrong]), Err(CompleteRefusal::Part(PartNumber(1))));
        let right = PartClaim { etag: Some(Etag::md5(&[1; 16])), ..claim(1) };
        assert!(select_parts(&parts, &[right]).is_ok());
    }

    #[test]
    fn a_claimed_checksum_must_be_the_parts_own() {
        let sum = |value: &str| Checksum::declared(ChecksumAlgorithm::Crc32, value).unwrap();
        let with = |stored: Option<&str>, claimed: Option<&str>| {
            let parts = [Part { checksum: stored.map(sum), ..part(1, 7) }];
            select_parts(&parts, &[PartClaim { checksum: claimed.map(sum), ..claim(1) }]).is_ok()
        };
        assert!(with(Some("AAAAAA=="), Some("AAAAAA==")) && with(Some("AAAAAA=="), None) && with(None, None));
        assert!(!with(Some("AAAAAA=="), Some("AAAAAQ==")) && !with(None, Some("AAAAAA==")));
        let other = Checksum::declared(ChecksumAlgorithm::XxHash64, "70bbN1HY6Zk=").unwrap();
        let parts = [Part { checksum: Some(sum("AAAAAA==")), ..part(1, 7) }];
        let claims = [PartClaim { checksum: Some(other), ..claim(1) }];
        let refused =
            CompleteRefusal::OtherChecksum { number: PartNumber(1), algorithm: ChecksumAlgorithm::XxHash64 };
        assert_eq!(select_parts(&parts, &claims), Err(refused));
    }

    #[test]
    fn composite_uploads_need_a_checksum_of_every_part() {
        let sum = Checksum::declared(ChecksumAlgorithm::Crc32, "AAAAAA==").unwrap();
        let with = |kind, checksum: Option<Checksum>| {
            undeclared(Some((ChecksumAlgorithm::Crc32, kind)), &[PartClaim { checksum, ..claim(3) }])
        };
        assert_eq!(with(ChecksumKind::Composite, None), Some(PartNumber(3)));
        assert_eq!(with(ChecksumKind::Composite, Some(sum)), None);
        assert_eq!(with(ChecksumKind::FullObject, None), None);
        assert_eq!(undeclared(None, &[claim(3)]), None);
    }

    #[test]
    fn part_numbers_are_bounded() {
        assert!(PartNumber::new(0).is_err());
        assert!(PartNumber::new(10_001).is_err());
        assert!(PartNumber::new(-1).is_err());
        assert_eq!(PartNumber::new(10_000).map(PartNumber::get), Ok(10_000));
    }
}
