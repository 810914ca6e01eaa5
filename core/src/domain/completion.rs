//! What an upload was completed of, so that a completion that is repeated can be told from another one.

use super::checksum::Checksum;
use super::etag::Etag;
use super::multipart::{CompleteRefusal, Part, PartClaim, PartNumber, select_parts};
use super::precondition::Preconditions;

/// A part that a completed object consists of, as its client knew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedPart {
    /// Its number.
    pub number: PartNumber,
    /// In bytes.
    pub size: u64,
    /// As answered to the client.
    pub etag: Etag,
    /// As verified, if there was one.
    pub checksum: Option<Checksum>,
}

/// What an upload was completed of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The parts of the object, ascending.
    pub parts: Vec<CompletedPart>,
    /// Whether other parts had arrived, which were left out.
    pub left_out: bool,
    /// The conditions that it was asked under, as [`Preconditions::as_asked`] writes them.
    pub conditions: String,
}

impl Completed {
    /// Of these of its parts.
    pub fn of(parts: &[Part], left_out: bool, preconditions: &Preconditions) -> Self {
        let known = |part: &Part| CompletedPart {
            number: part.number,
            size: part.size,
            etag: part.etag.clone(),
            checksum: part.checksum.clone(),
        };
        let parts = parts.iter().map(known).collect();
        Self { parts, left_out, conditions: preconditions.as_asked() }
    }

    /// The claims of a client that names no parts: all that had arrived. `None` if some were left out, which are gone.
    pub fn all(&self) -> Option<Vec<PartClaim>> {
        let claim = |part: &CompletedPart| PartClaim {
            number: part.number,
            etag: Some(part.etag.clone()),
            checksum: None,
        };
        (!self.left_out).then(|| self.parts.iter().map(claim).collect())
    }

    /// Refuses claims of anything but these very parts, as the first completion would have: a part that the object
    /// does not consist of is gone, and one that it does consist of cannot be left out any more.
    pub fn confirm(&self, claims: &[PartClaim]) -> Result<(), CompleteRefusal> {
        let parts: Vec<_> = self.parts.iter().map(CompletedPart::as_part).collect();
        let selected = select_parts(&parts, claims)?;
        match parts.iter().find(|part| !selected.iter().any(|chosen| chosen.number == part.number)) {
            Some(missing) if selected.len() != parts.len() => Err(CompleteRefusal::Part(missing.number)),
            _ => Ok(()),
        }
    }

    /// The parts as one text, a line each.
    pub fn to_stored(&self) -> String {
        let line = |part: &CompletedPart| {
            let checksum = part.checksum.as_ref().map_or_else(|| "-".to_owned(), Checksum::to_stored);
            format!("{} {} {} {checksum}", part.number, part.size, part.etag.as_str())
        };
        self.parts.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Reads [`Self::to_stored`].
    pub fn parts_from_stored(text: &str) -> Option<Vec<CompletedPart>> {
        let part = |line: &str| {
            // A tag holds no blank.
            let mut words = line.splitn(4, ' ');
            let number = PartNumber::new(words.next()?.parse().ok()?).ok()?;
            let size = words.next()?.parse().ok()?;
            let etag = Etag::parse(words.next()?).ok()?;
            let checksum = match words.next()? {
                "-" => None,
                stored => Some(Checksum::from_stored(stored)?),
            };
            Some(CompletedPart { number, size, etag, checksum })
        };
        text.lines().map(part).collect()
    }
}

impl CompletedPart {
    /// As it had arrived, without the fields that a comparison of completions does not use.
    fn as_part(&self) -> Part {
        Part {
            number: self.number,
            blob: super::blob::BlobId(uuid::Uuid::nil()),
            name: super::naming::ContentName::Bytes(super::blob::Hash::of(&[])),
            layout: super::naming::Layout::Leaf,
            size: self.size,
            etag: self.etag.clone(),
            md5: None,
            checksum: self.checksum.clone(),
            created_at: super::timestamp::Timestamp(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::checksum::{ChecksumAlgorithm, ChecksumHasher};

    fn completed(numbers: &[i64], left_out: bool) -> Completed {
        let part = |number: &i64| {
            let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32c);
            hasher.update(&number.to_be_bytes());
            CompletedPart {
                number: PartNumber::new(*number).unwrap(),
                size: 5 << 20,
                etag: Etag::parse(&format!("tag{number}")).unwrap(),
                checksum: (number % 2 == 1).then(|| hasher.finish()),
            }
        };
        Completed { parts: numbers.iter().map(part).collect(), left_out, conditions: String::new() }
    }

    fn claim(number: i64, tag: Option<&str>) -> PartClaim {
        let etag = tag.map(|tag| Etag::parse(tag).unwrap());
        PartClaim { number: PartNumber::new(number).unwrap(), etag, checksum: None }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        for numbers in [&[1, 2, 7][..], &[10_000], &[]] {
            let one = completed(numbers, false);
            assert_eq!(Completed::parts_from_stored(&one.to_stored()), Some(one.parts));
        }
        assert_eq!(Completed::parts_from_stored("1 2"), None);
    }

    #[test]
    fn only_the_very_parts_are_confirmed() {
        let one = completed(&[1, 2, 7], false);
        let asked = |numbers: &[i64]| {
            one.confirm(&numbers.iter().map(|number| claim(*number, None)).collect::<Vec<_>>())
        };
        let part = |number| CompleteRefusal::Part(PartNumber::new(number).unwrap());
        assert_eq!(asked(&[1, 2, 7]), Ok(()));
        assert_eq!(one.confirm(&one.all().unwrap()), Ok(()));
        assert_eq!(asked(&[]), Err(CompleteRefusal::NoParts));
        assert_eq!(asked(&[2, 1, 7]), Err(CompleteRefusal::Order));
        assert_eq!(asked(&[1, 2]), Err(part(7)));
        assert_eq!(asked(&[1, 2, 3, 7]), Err(part(3)));
        let wrong = [claim(1, Some("tag1")), claim(2, Some("other")), claim(7, None)];
        assert_eq!(one.confirm(&wrong), Err(part(2)));
        assert_eq!(completed(&[1], true).all(), None);
    }
}
