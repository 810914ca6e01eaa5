//! What makes an upstream's object equal to what a key has here, and whether somebody else has changed it there.
//!
//! Decided on what both sides have now, never on what was said when the change was committed: a row that comes twice, or late,
//! does no harm.

pub mod again;
pub mod history;
pub mod versions;

use super::etag::Md5Digest;
use super::object::{Headers, Tags, UserMetadata};
use super::upstream::Fate;
use super::upstream::proof::{as_md5, part_count};

/// Smallest part but the last, in bytes (S3, "Multipart upload limits").
const PART_BYTES_MIN: u64 = 5 << 20;

/// Most parts of an upload.
const PARTS_MAX: usize = 10_000;

/// What is noted as sent where only the upstream can tell the entity tag.
pub const UNTOLD: &str = "?";

/// What one side has under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// Entity tag without quotes.
    pub etag: &'a str,
    /// In bytes.
    pub size: u64,
    /// Standard headers.
    pub headers: &'a Headers,
    /// The user's own metadata.
    pub metadata: &'a UserMetadata,
    /// Tags; `None` where they were not asked for yet.
    pub tags: Option<&'a Tags>,
}

/// What is remembered of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory<'a> {
    /// The entity tag that the upstream's object had when it was fetched, or before something was sent last.
    pub there: Option<&'a str>,
    /// The entity tag of what was sent since; [`UNTOLD`] if that is not known here.
    pub sending: Option<&'a str>,
    /// The entity tag that the bytes under `there` have here, where it is another one.
    pub here: Option<&'a str>,
}

impl Memory<'_> {
    /// Whether an object with this tag is there by this store's doing, or was seen before.
    fn knows(&self, etag: &str) -> bool {
        self.sending == Some(UNTOLD) || self.there == Some(etag) || self.sending == Some(etag)
    }

    /// Whether both tags are of the same bytes although they differ, as one of them is not made of the bytes.
    pub fn is_same(&self, here: &str, there: &str) -> bool {
        self.sending.is_none() && self.here == Some(here) && self.there == Some(there)
    }
}

/// What makes the upstream equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is.
    Nothing,
    /// Its tags decide: they have to be asked for.
    AskTags,
    /// Its tags are replaced.
    Tag,
    /// The object is sent.
    Send,
    /// The object is removed.
    Remove,
}

/// What is to be done about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What makes the upstream equal: what is here wins.
    pub step: Step,
    /// Whether somebody else has changed the object upstream: it is neither what was fetched nor what was sent last. That
    /// is noted before it goes.
    pub foreign: bool,
}

/// Decides what makes the upstream equal to what is here.
pub fn plan(here: Option<Image<'_>>, there: Option<Image<'_>>, memory: Memory<'_>) -> Plan {
    let remembers = memory.there.is_some() || memory.sending.is_some();
    let same = |there: &Image<'_>| {
        here.is_some_and(|here| {
            here.size == there.size && (here.etag == there.etag || memory.is_same(here.etag, there.etag))
        })
    };
    let foreign = there.is_some_and(|there| remembers && !memory.knows(there.etag) && !same(&there));
    let step = match (here, there) {
        (None, None) => Step::Nothing,
        (None, Some(_)) => Step::Remove,
        (Some(here), Some(there)) if same(&there) && carries_the_same(&here, &there) => {
            match (here.tags, there.tags) {
                (_, None) => Step::AskTags,
                (mine, theirs) if mine == theirs => Step::Nothing,
                _ => Step::Tag,
            }
        }
        (Some(_), _) => Step::Send,
    };
    Plan { step, foreign }
}

/// Whether headers and metadata are the same. A store that was told no content type shows one of its own.
fn carries_the_same(here: &Image<'_>, there: &Image<'_>) -> bool {
    let usual = |kind: &str| matches!(kind, "binary/octet-stream" | "application/octet-stream");
    let (mine, theirs) = (here.headers.content_type.as_deref(), there.headers.content_type.as_deref());
    let same_kind = mine == theirs
        || mine.is_none() && theirs.is_some_and(usual)
        || theirs.is_none() && mine.is_some_and(usual);
    let rest = |headers: &Headers| Headers { content_type: None, ..headers.clone() };
    same_kind && rest(here.headers) == rest(there.headers) && here.metadata == there.metadata
}

/// What both sides list under a key: entity tag and size in bytes.
pub type Line<'a> = Option<(&'a str, u64)>;

/// Whether a key has to be looked at, when a space begins to be mirrored: the upstream may not have it as it is here. `fate` is
/// what became of the key, `edited` whether what the object carries was changed since.
pub fn may_differ(
    here: Line<'_>,
    there: Line<'_>,
    memory: Memory<'_>,
    fate: Option<Fate>,
    edited: bool,
) -> bool {
    match (here, there) {
        (None, None) => false,
        // What has not moved yet is there as it should be.
        (None, Some(_)) => fate == Some(Fate::Owned),
        (Some(_), None) => true,
        (Some((mine, size)), Some((theirs, other))) => {
            let same = size == other && (mine == theirs || memory.is_same(mine, theirs));
            !same || edited || !matches!(fate, Some(Fate::Pulled | Fate::Brought))
        }
    }
}

/// How an object is sent, so that the upstream gives it the entity tag that it has here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// By one request; with the MD5 of its bytes, where that is known.
    Whole(Option<Md5Digest>),
    /// As an upload in parts of these sizes.
    Parts(Vec<u64>),
}

impl Shape {
    /// Of an object with this tag and size that was made of parts of these sizes; none if it is not known, or was put whole.
    pub fn of(etag: &str, size: u64, parts: &[u64]) -> Self {
        let fits = parts.iter().sum::<u64>() == size
            && part_count(etag) == Some(parts.len() as u64)
            && parts.len() <= PARTS_MAX;
        let large = parts.iter().rev().skip(1).all(|part| *part >= PART_BYTES_MIN);
        if fits && large { Self::Parts(parts.to_vec()) } else { Self::Whole(as_md5(etag)) }
    }

    /// Whether the upstream's tag will be the one that the object has here.
    pub fn tells(&self) -> bool {
        !matches!(self, Self::Whole(None))
    }
}

/// Whether an upstream that answers with this tag has other bytes than those of `expected`. A tag that is no MD5 says nothing.
pub fn is_contradicted(expected: &str, answered: &str, opaque: bool) -> bool {
    let is_digest = |tag: &str| as_md5(tag).is_some() || part_count(tag).is_some();
    !opaque && is_digest(answered) && !answered.eq_ignore_ascii_case(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image<'a>(etag: &'a str, headers: &'a Headers, tags: Option<&'a Tags>) -> Image<'a> {
        static NONE: UserMetadata = UserMetadata::new();
        Image { etag, size: 1, headers, metadata: &NONE, tags }
    }

    #[test]
    fn what_is_here_wins_and_what_is_equal_is_left_alone() {
        let (plain, typed) =
            (Headers::default(), Headers { content_type: Some("text/x".into()), ..Headers::default() });
        let usual = Headers { content_type: Some("binary/octet-stream".into()), ..Headers::default() };
        let (none, some): (Tags, Tags) = (Tags::new(), [("a".to_owned(), "b".to_owned())].into());
        let here = Some(image("e", &plain, Some(&none)));
        let there = |etag, headers, tags| Some(image(etag, headers, tags));
        let blank = Memory::default();
        for (here, there, step) in [
            (None, None, Step::Nothing),
            (None, there("e", &plain, None), Step::Remove),
            (here, None, Step::Send),
            (here, there("f", &plain, Some(&none)), Step::Send),
            (here, there("e", &typed, Some(&none)), Step::Send),
            (here, there("e", &usual, None), Step::AskTags),
            (here, there("e", &usual, Some(&none)), Step::Nothing),
            (here, there("e", &plain, Some(&some)), Step::Tag),
        ] {
            assert_eq!(plan(here, there, blank), Plan { step, foreign: false }, "{here:?} {there:?}");
        }
        let longer = here.map(|here| Image { size: 2, ..here });
        assert_eq!(plan(longer, there("e", &plain, None), blank).step, Step::Send);
    }

    #[test]
    fn what_nobody_here_has_put_there_is_foreign() {
        let (plain, tags) = (Headers::default(), Tags::new());
        let here = Some(image("new", &plain, Some(&tags)));
        let foreign = |here, there, sending, etag: &str| {
            let memory = Memory { there, sending, here: None };
            let found = etag.to_owned();
            plan(here, Some(image(&found, &plain, None)), memory).foreign
        };
        assert!(foreign(here, Some("old"), None, "x") && foreign(None, Some("old"), Some("sent"), "x"));
        // Seen before, sent before, the very same, or nothing is remembered.
        for (there, sending, etag) in [
            (Some("old"), None, "old"),
            (Some("old"), Some("sent"), "sent"),
            (Some("old"), Some("sent"), "new"),
            (Some("old"), Some(UNTOLD), "x"),
            (None, None, "x"),
        ] {
            assert!(!foreign(here, there, sending, etag), "{there:?} {sending:?} {etag}");
        }
        assert!(!plan(here, None, Memory { there: Some("old"), ..Memory::default() }).foreign);
    }

    /// Tags that are not made of the bytes on one side never are the same.
    #[test]
    fn what_was_sent_under_another_tag_is_the_same() {
        let (plain, tags) = (Headers::default(), Tags::new());
        let (here, there) =
            (Some(image("here-1", &plain, Some(&tags))), Some(image("x", &plain, Some(&tags))));
        let sent = Memory { there: Some("x"), sending: None, here: Some("here-1") };
        assert_eq!(plan(here, there, sent), Plan { step: Step::Nothing, foreign: false });
        let older = Memory { here: Some("older-1"), ..sent };
        assert_eq!(plan(here, there, older), Plan { step: Step::Send, foreign: false });
    }

    #[test]
    fn a_mirror_begins_with_what_may_differ() {
        let (a, b) = (Some(("a", 1)), Some(("b", 1)));
        let looks = |here, there, fate, edited| may_differ(here, there, Memory::default(), fate, edited);
        for (here, there, fate, edited, expected) in [
            (None, a, None, false, false),
            (None, a, Some(Fate::Owned), false, true),
            (a, None, None, false, true),
            (a, a, Some(Fate::Pulled), false, false),
            (a, a, Some(Fate::Brought), false, false),
            (a, a, Some(Fate::Pulled), true, true),
            (a, a, Some(Fate::Owned), false, true),
            (a, a, None, false, true),
            (a, b, Some(Fate::Pulled), false, true),
        ] {
            assert_eq!(looks(here, there, fate, edited), expected, "{here:?} {there:?} {fate:?} {edited}");
        }
        let sent = Memory { there: Some("b"), sending: None, here: Some("a") };
        assert!(!may_differ(a, b, sent, Some(Fate::Brought), false));
    }

    #[test]
    fn an_object_is_sent_as_it_was_made() {
        const MIB: u64 = 1 << 20;
        let (whole, parts) = ("0".repeat(32), format!("{}-3", "0".repeat(32)));
        let sizes = [5 * MIB, 6 * MIB, 1];
        assert_eq!(Shape::of(&whole, 7, &[]), Shape::Whole(Some([0; 16])));
        assert_eq!(Shape::of(&parts, 11 * MIB + 1, &sizes), Shape::Parts(sizes.to_vec()));
        for (size, sizes) in [(1, &[1][..]), (11 * MIB, &sizes), (3, &[1, 1, 1])] {
            assert_eq!(Shape::of(&parts, size, sizes), Shape::Whole(None), "{sizes:?}");
        }
        let other = "1".repeat(32);
        assert!(is_contradicted(&whole, &other, false) && is_contradicted(&whole, &parts, false));
        for (answered, opaque) in [(whole.as_str(), false), (&other, true), ("opaque", false)] {
            assert!(!is_contradicted(&whole, answered, opaque), "{answered}");
        }
    }
}
