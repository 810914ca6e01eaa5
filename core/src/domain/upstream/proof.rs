//! What proves that the bytes which came are the object: chosen before they are read, from what the upstream says of it.

use super::super::checksum::{Checksum, ChecksumKind};
use super::super::etag::{Etag, Md5Digest};

/// Most layouts of parts that are tried at once.
const LAYOUTS_MAX: usize = 4;

/// Smallest part but the last, in bytes (S3, "Multipart upload limits").
const PART_BYTES_MIN: u64 = 5 << 20;

/// The name of [`Proof::Twice`], in reports and in the database.
pub const TWICE: &str = "twice";

const MIB: u64 = 1 << 20;

/// Part sizes that clients use by default, in bytes: AWS SDKs and the AWS CLI (8 MiB), `mc` and MinIO's SDKs (16, 64 and
/// 128 MiB), `s3cmd` (15), rclone (5), boto3's neighbours (10, 32, 50, 100), Spark and Hadoop (64, 100, 128), and powers of two.
const USUAL: [u64; 16] = [
    8 * MIB,
    5 * MIB,
    16 * MIB,
    64 * MIB,
    15 * MIB,
    10 * MIB,
    100 * MIB,
    128 * MIB,
    32 * MIB,
    50 * MIB,
    256 * MIB,
    512 * MIB,
    1024 * MIB,
    5 * 1_000_000,
    10 * 1_000_000,
    100 * 1_000_000,
];

/// What the upstream says of an object's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Their length in bytes.
    pub size: u64,
    /// The entity tag without quotes.
    pub etag: String,
    /// Whether the entity tag says nothing of the bytes: they are encrypted with a key of a key service or of the
    /// client's.
    pub opaque_etag: bool,
    /// Checksums of the whole object.
    pub checksum: Option<Checksum>,
    /// Sizes of the parts, in order, where they are known.
    pub parts: Option<Vec<u64>>,
    /// Size of the first part, where only that is known.
    pub first_part: Option<u64>,
}

/// The plan that proves an object's bytes, beside their length, which always counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// They have this MD5, which is the entity tag.
    Md5(Md5Digest),
    /// They have this checksum.
    Checksum(Checksum),
    /// Cut in one of these ways, the MD5 of the parts' MD5s is the entity tag.
    Parts {
        /// The entity tag.
        etag: String,
        /// The layouts to try: sizes of the parts in order.
        layouts: Vec<Vec<u64>>,
    },
    /// Nothing was said of them: they are read twice, and both readings must be the same.
    Twice,
}

impl Proof {
    /// Its name, in reports and in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Md5(_) => "md5",
            Self::Checksum(_) => "checksum",
            Self::Parts { .. } => "parts",
            Self::Twice => TWICE,
        }
    }
}

/// Whether an entity tag says of how many parts the object was made.
pub fn part_count(etag: &str) -> Option<u64> {
    let (digest, count) = etag.split_once('-')?;
    let is_digest = digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    count.parse().ok().filter(|count| is_digest && (1..=10_000).contains(count))
}

/// The MD5 that an entity tag is, if it is one.
pub fn as_md5(etag: &str) -> Option<Md5Digest> {
    let mut digest = Md5Digest::default();
    hex::decode_to_slice(etag, &mut digest).ok().map(|()| digest)
}

/// Chooses what proves an object's bytes: the strongest that the upstream offers for nothing.
pub fn plan(said: &Said) -> Proof {
    let whole = said.checksum.as_ref().filter(|checksum| checksum.kind == ChecksumKind::FullObject);
    match (as_md5(&said.etag), part_count(&said.etag)) {
        _ if whole.is_some() => whole.cloned().map_or(Proof::Twice, Proof::Checksum),
        (Some(md5), _) if !said.opaque_etag => Proof::Md5(md5),
        (_, Some(count)) if !said.opaque_etag => {
            let layouts = layouts(said, count);
            if layouts.is_empty() {
                return Proof::Twice;
            }
            Proof::Parts { etag: said.etag.to_ascii_lowercase(), layouts }
        }
        _ => Proof::Twice,
    }
}

/// The ways in which `count` parts may make up the object, the likeliest first.
fn layouts(said: &Said, count: u64) -> Vec<Vec<u64>> {
    if let Some(parts) = &said.parts {
        let fits = parts.len() as u64 == count && parts.iter().sum::<u64>() == said.size;
        return if fits { vec![parts.clone()] } else { Vec::new() };
    }
    if count == 1 {
        return vec![vec![said.size]];
    }
    let first = said.first_part.into_iter();
    let mut tried: Vec<u64> = Vec::new();
    for size in first.chain(USUAL) {
        if is_even(said.size, size, count) && !tried.contains(&size) {
            tried.push(size);
        }
    }
    // The whole number of MiB that the clients which divide by the number of parts round up to.
    let rounded = said.size.div_ceil(count).next_multiple_of(MIB);
    if is_even(said.size, rounded, count) && !tried.contains(&rounded) {
        tried.push(rounded);
    }
    tried.truncate(LAYOUTS_MAX);
    tried.into_iter().map(|size| even(said.size, size)).collect()
}

/// Whether parts of `part` bytes, the last one shorter or equal, are `count`.
fn is_even(size: u64, part: u64, count: u64) -> bool {
    part >= PART_BYTES_MIN.min(5_000_000) && size.div_ceil(part.max(1)) == count
}

fn even(size: u64, part: u64) -> Vec<u64> {
    let full = usize::try_from(size / part).unwrap_or(usize::MAX).min(10_000);
    let mut parts = vec![part; full];
    let rest = size % part;
    if rest > 0 {
        parts.push(rest);
    }
    parts
}

/// Whether the parts' MD5s make the entity tag.
pub fn confirms(etag: &str, parts: &[Md5Digest]) -> bool {
    Etag::multipart(parts).as_str() == etag
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::checksum::ChecksumAlgorithm;

    fn said(size: u64, etag: &str) -> Said {
        Said { size, etag: etag.to_owned(), ..Said::default() }
    }

    const DIGEST: &str = "d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn the_strongest_proof_that_is_offered_is_chosen() {
        assert_eq!(plan(&said(0, DIGEST)).as_str(), "md5");
        assert_eq!(plan(&Said { opaque_etag: true, ..said(0, DIGEST) }), Proof::Twice);
        assert_eq!(plan(&said(5, "no-digest")), Proof::Twice);
        assert_eq!(plan(&said(5, "")), Proof::Twice);
        let crc = Checksum {
            algorithm: ChecksumAlgorithm::Crc64Nvme,
            kind: ChecksumKind::FullObject,
            value: "AAAAAAAAAAA=".into(),
        };
        let with = Said { checksum: Some(crc.clone()), ..said(5, DIGEST) };
        assert_eq!(plan(&with), Proof::Checksum(crc.clone()));
        let composite = Checksum { kind: ChecksumKind::Composite, ..crc };
        assert_eq!(plan(&Said { checksum: Some(composite), ..said(0, DIGEST) }).as_str(), "md5");
    }

    #[test]
    fn parts_are_cut_as_said_or_as_usual() {
        let etag = format!("{DIGEST}-3");
        let layouts = |said: &Said| match plan(said) {
            Proof::Parts { layouts, .. } => layouts,
            other => panic!("{other:?}"),
        };
        let size = 20 * MIB;
        // 8 MiB is every SDK's size; 7 MiB is what a division of 20 by 3 rounds up to.
        assert_eq!(layouts(&said(size, &etag))[0], [8 * MIB, 8 * MIB, 4 * MIB]);
        assert!(layouts(&said(size, &etag)).contains(&vec![7 * MIB, 7 * MIB, 6 * MIB]));
        let first = Said { first_part: Some(9 * MIB), ..said(size, &etag) };
        assert_eq!(layouts(&first)[0], [9 * MIB, 9 * MIB, 2 * MIB]);
        let known = Said { parts: Some(vec![5 * MIB, 9 * MIB, 6 * MIB]), ..said(size, &etag) };
        assert_eq!(layouts(&known), [[5 * MIB, 9 * MIB, 6 * MIB]]);
        // What does not add up is no layout, and nothing else is guessed in its place.
        let short = Said { parts: Some(vec![5 * MIB, 9 * MIB, 5 * MIB]), ..said(size, &etag) };
        assert_eq!(plan(&short), Proof::Twice);
        assert_eq!(layouts(&said(7, &format!("{DIGEST}-1"))), [[7]]);
        for count in [2, 3, 7, 100, 10_000] {
            let size = 5 * MIB * count + 1;
            let made = said(size, &format!("{DIGEST}-{}", count + 1));
            if let Proof::Parts { layouts, .. } = plan(&made) {
                assert!(layouts.len() <= LAYOUTS_MAX);
                assert!(layouts.iter().all(|parts| parts.iter().sum::<u64>() == size), "{count}");
            }
        }
    }

    #[test]
    fn tags_tell_the_number_of_parts() {
        assert_eq!(part_count(&format!("{DIGEST}-12")), Some(12));
        for text in [DIGEST, "abc-1", "", "-1"] {
            assert_eq!(part_count(text), None, "{text}");
        }
        assert_eq!(part_count(&format!("{DIGEST}-0")), None);
        assert_eq!(part_count(&format!("{DIGEST}-10001")), None);
    }
}
