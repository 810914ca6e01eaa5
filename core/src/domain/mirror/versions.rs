//! Versions of a key, where both sides keep them: what of what the upstream lists was sent from here.
//!
//! The upstream gives each version an id of its own, so what was sent is remembered by that. An answer may be lost, and a process
//! may die before it has noted it: then the upstream's list decides, never a guess, so that no version is there twice.

use super::UNTOLD;
use crate::domain::object::ObjectId;
use crate::domain::timestamp::Timestamp;

/// What is noted as sent of a delete marker, which has no entity tag.
pub const MARKER: &str = "";

/// A version as the upstream lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id there.
    pub id: String,
    /// Its entity tag without quotes; `None` of a delete marker.
    pub etag: Option<String>,
    /// In bytes.
    pub size: u64,
    /// When it was made there.
    pub modified: Timestamp,
    /// Whether it is the latest of its key.
    pub is_latest: bool,
}

/// A version that was about to be sent when that was last noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsure<'a> {
    /// Its entity tag; [`MARKER`] of a delete marker, [`UNTOLD`](super::UNTOLD) if only the upstream can tell it.
    pub sending: &'a str,
    /// Ids of versions that were there before.
    pub before: &'a [&'a str],
}

/// Which of what the upstream lists, the newest first, is the version; `None` if it has to be sent again.
pub fn landed<'l>(listed: &'l [Listed], unsure: Unsure<'_>) -> Option<&'l Listed> {
    let mut new = listed.iter().take_while(|listed| !unsure.before.contains(&listed.id.as_str()));
    match unsure.sending {
        MARKER => new.find(|listed| listed.etag.is_none()),
        // Another writer's would be found out by its tag, and replaced.
        UNTOLD => new.next().filter(|only| only.etag.is_some()).filter(|_| new.next().is_none()),
        etag => new.find(|listed| listed.etag.as_deref() == Some(etag)),
    }
}

/// A version that is here: its entity tag and size in bytes; `None` of a delete marker.
pub type Line<'a> = (ObjectId, Option<(&'a str, u64)>);

/// Which version, of a key of which none was sent, the upstream has as its latest: the oldest that is the same, so that every
/// later one is sent. `is_same` compares a version's entity tag with the upstream's.
pub fn adopted<'a>(
    here: impl IntoIterator<Item = Line<'a>>,
    size: u64,
    is_same: impl Fn(&str) -> bool,
) -> Option<ObjectId> {
    let same = |line: Option<(&str, u64)>| line.is_some_and(|(etag, mine)| mine == size && is_same(etag));
    here.into_iter().find(|(_, line)| same(*line)).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn listed(id: &str, etag: Option<&str>) -> Listed {
        let (id, etag) = (id.to_owned(), etag.map(str::to_owned));
        Listed { id, etag, size: 1, modified: Timestamp(0), is_latest: false }
    }

    #[test]
    fn a_version_that_arrived_is_told_by_the_list() {
        let list =
            [listed("4", Some("b")), listed("3", None), listed("2", Some("a")), listed("1", Some("c"))];
        for (sending, before, expected) in [
            ("b", &["2"][..], Some("4")),
            (MARKER, &["2"], Some("3")),
            ("a", &["1"], Some("2")),
            // The same bytes were sent before: that is another version.
            ("a", &["2"], None),
            (MARKER, &["3"], None),
            ("c", &["9", "2"], None),
            (UNTOLD, &["3"], Some("4")),
            (UNTOLD, &["2"], None),
            (UNTOLD, &["4"], None),
        ] {
            let found = landed(&list, Unsure { sending, before });
            assert_eq!(found.map(|found| found.id.as_str()), expected, "{sending} {before:?}");
        }
        assert_eq!(landed(&[listed("1", None)], Unsure { sending: UNTOLD, before: &[] }), None);
        assert_eq!(landed(&[], Unsure { sending: "a", before: &[] }), None);
    }

    #[test]
    fn everything_newer_than_what_the_upstream_has_is_sent() {
        let id = |n: u128| ObjectId(Uuid::from_u128(n));
        let here = [(id(1), Some(("a", 1))), (id(2), None), (id(3), Some(("b", 1))), (id(4), Some(("b", 1)))];
        for (etag, size, expected) in [("b", 1, Some(3)), ("a", 1, Some(1)), ("a", 2, None), ("x", 1, None)] {
            assert_eq!(adopted(here, size, |mine| mine == etag), expected.map(id), "{etag} {size}");
        }
    }
}
