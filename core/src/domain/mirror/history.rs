//! The versions of a key on both sides: where both keep them, a mirror has every version and delete marker that is here also
//! there, in their order, on top of what the upstream had before.
//!
//! Ids say nothing, since each side gives its own. A listing tells versions and delete markers apart from each other, each kind
//! in its order; between the kinds their times decide, as far as those differ.

use std::cmp::Ordering;

use super::versions::Listed;
use crate::domain::upstream::proof::{as_md5, part_count};

/// A version that is here: its entity tag and size in bytes; `None` of a delete marker.
pub type Line<'a> = Option<(&'a str, u64)>;

const MISSING: &str = "a version did not reach the upstream";
const OTHER_ORDER: &str = "the upstream has its versions in another order";
const MARKER_MISSING: &str = "a delete marker did not reach the upstream";

/// What two histories that agree have beside each other, in versions and delete markers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Only the upstream has them, all older than what is here.
    pub older: u64,
    /// Delete markers that are only here, and hide nothing there: another marker does, or nothing is to be hidden. Some stores
    /// (`MinIO`, `versitygw`) make none then.
    pub needless: u64,
}

/// Compares what is here with what the upstream lists, the newest first: what they have beside each other; or why the two are not
/// the same.
pub fn compare(here: &[Line<'_>], there: &[Listed]) -> Result<Agreement, &'static str> {
    let mut objects = there.iter().filter(|listed| listed.etag.is_some()).peekable();
    let mut markers = there.iter().filter(|listed| listed.etag.is_none()).peekable();
    if here.iter().flatten().count() > objects.clone().count() {
        return Err(MISSING);
    }
    let latest = there.iter().find(|listed| listed.is_latest);
    let mut last: Option<&Listed> = None;
    let mut needless = 0;
    let (mut markers_here, mut markers_there) =
        (here.iter().filter(|line| line.is_none()).count(), markers.clone().count());
    for (at, line) in here.iter().enumerate() {
        let found = match line {
            None => {
                // A newer one hides what is behind it as well.
                let is_hidden = last.is_some_and(|last| last.etag.is_none());
                let too_few = markers_here > markers_there;
                markers_here -= 1;
                let found = markers.next_if(|found| {
                    objects.peek().is_none_or(|object| match object.modified.cmp(&found.modified) {
                        Ordering::Less => true,
                        // A second has room for both: if there are too few, it is the one of an older version.
                        Ordering::Equal => !(is_hidden && too_few),
                        Ordering::Greater => false,
                    })
                });
                let Some(found) = found else {
                    if !is_hidden && objects.peek().is_some() {
                        return Err(if too_few { MARKER_MISSING } else { OTHER_ORDER });
                    }
                    needless += 1;
                    continue;
                };
                markers_there -= 1;
                found
            }
            Some(line) => {
                let found = objects.next().ok_or(MISSING)?;
                if !is_same(*line, found) {
                    let rest = objects.clone();
                    return Err(difference_of(*line, found, &here[at..], rest));
                }
                found
            }
        };
        if last.is_some_and(|last| last.modified < found.modified) {
            return Err(OTHER_ORDER);
        }
        if at == 0 && latest.is_some_and(|latest| latest != found) {
            return Err("another version is the latest upstream");
        }
        last = Some(found);
    }
    let rest: Vec<&Listed> = objects.chain(markers).collect();
    if last.is_some_and(|last| rest.iter().any(|rest| rest.modified > last.modified)) {
        return Err("the upstream has a version that is not here");
    }
    Ok(Agreement { older: rest.len() as u64, needless })
}

/// Whether the bytes are the same, as far as tags and sizes tell: a tag that is made otherwise on one side says nothing.
fn is_same((etag, size): (&str, u64), there: &Listed) -> bool {
    let theirs = there.etag.as_deref().unwrap_or_default();
    let plain = as_md5(etag).is_some() && as_md5(theirs).is_some();
    let parts = part_count(etag).is_some() && part_count(etag) == part_count(theirs);
    size == there.size && (!(plain || parts) || etag.eq_ignore_ascii_case(theirs))
}

/// Why a version is not the one that the upstream has in its place.
fn difference_of<'l>(
    line: (&str, u64),
    found: &Listed,
    here: &[Line<'_>],
    mut rest: impl Iterator<Item = &'l Listed>,
) -> &'static str {
    if rest.any(|rest| is_same(line, rest)) {
        "the upstream has a version that is not here"
    } else if here.iter().flatten().any(|line| is_same(*line, found)) {
        MISSING
    } else {
        "a version is another object upstream"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::Timestamp;

    fn tag(n: u64) -> String {
        format!("{n:032x}")
    }

    /// Of what an upstream lists, the newest first: the number of a version, or nothing, and its time.
    fn listed(all: &[(Option<u64>, i64)]) -> Vec<Listed> {
        let listed = all.iter().enumerate().map(|(at, (version, time))| Listed {
            id: format!("v{}", all.len() - at),
            etag: version.map(tag),
            size: u64::from(version.is_some()),
            modified: Timestamp(*time),
            is_latest: at == 0,
        });
        listed.collect()
    }

    /// Versions that are only there, or why the two differ.
    fn compared(here: &[Option<u64>], there: &[(Option<u64>, i64)]) -> Result<u64, &'static str> {
        agreed(here, there).map(|agreement| agreement.older)
    }

    fn agreed(here: &[Option<u64>], there: &[(Option<u64>, i64)]) -> Result<Agreement, &'static str> {
        let tags: Vec<_> = here.iter().map(|version| version.map(tag)).collect();
        let here: Vec<_> = tags.iter().map(|tag| tag.as_deref().map(|tag| (tag, 1))).collect();
        compare(&here, &listed(there))
    }

    #[test]
    fn every_version_is_there_in_its_order() {
        let history = [Some(3), None, Some(2), Some(1)];
        let there = [(Some(3), 4), (None, 3), (Some(2), 2), (Some(1), 1)];
        assert_eq!(compared(&history, &there), Ok(0));
        // A second has room for several: then only what is the latest tells the kinds apart.
        assert_eq!(compared(&history, &there.map(|(version, _)| (version, 1))), Ok(0));
        assert_eq!(compared(&history[..3], &there), Ok(1), "the upstream's own, from before");
        assert_eq!(compared(&[], &there), Ok(4));
        assert_eq!(compared(&[], &[]), Ok(0));
    }

    #[test]
    fn what_differs_is_told_apart() {
        let history = [Some(3), None, Some(2), Some(1)];
        for (there, why) in [
            (&[(Some(3), 4), (None, 3), (Some(2), 2)][..], "a version did not reach the upstream"),
            (&[(Some(3), 4), (Some(2), 2), (Some(1), 1)], "a delete marker did not reach the upstream"),
            (&[(None, 3), (Some(2), 2), (Some(1), 1)], "a version did not reach the upstream"),
            (
                &[(Some(9), 5), (Some(3), 4), (None, 3), (Some(2), 2), (Some(1), 1)],
                "the upstream has a version that is not here",
            ),
            (&[(Some(3), 4), (None, 3), (Some(9), 2), (Some(1), 1)], "a version is another object upstream"),
            (
                &[(None, 4), (Some(3), 3), (Some(2), 2), (Some(1), 1)],
                "another version is the latest upstream",
            ),
            (
                &[(Some(3), 4), (Some(2), 3), (None, 2), (Some(1), 1)],
                "the upstream has its versions in another order",
            ),
            (
                &[(Some(3), 6), (None, 5), (None, 4), (Some(2), 2), (Some(1), 1)],
                "the upstream has a version that is not here",
            ),
        ] {
            assert_eq!(compared(&history, there), Err(why), "{there:?}");
        }
        let longer = [Some((tag(1), 2))];
        let longer: Vec<_> =
            longer.iter().map(|line| line.as_ref().map(|(tag, size)| (tag.as_str(), *size))).collect();
        assert!(compare(&longer, &listed(&[(Some(1), 1)])).is_err());
        // A tag of the native API is made otherwise upstream.
        let opaque = [Some(("blake", 1))];
        assert_eq!(compare(&opaque, &listed(&[(Some(1), 1)])), Ok(Agreement::default()));
    }

    #[test]
    fn a_marker_that_hides_nothing_may_be_missing() {
        let needless = |here: &[Option<u64>], there: &[(Option<u64>, i64)]| {
            agreed(here, there).map(|agreement| (agreement.needless, agreement.older))
        };
        let history = [Some(2), None, None, None, Some(1), None, None];
        let all = [(Some(2), 7), (None, 6), (None, 5), (None, 4), (Some(1), 3), (None, 2), (None, 1)];
        assert_eq!(needless(&history, &all), Ok((0, 0)));
        let one_of_each = [(Some(2), 7), (None, 5), (Some(1), 3), (None, 2)];
        assert_eq!(needless(&history, &one_of_each), Ok((3, 0)));
        let fewest = [(Some(2), 7), (None, 5), (Some(1), 3)];
        assert_eq!(needless(&history, &fewest), Ok((4, 0)));
        for there in [&all[..], &one_of_each, &fewest] {
            let at_once: Vec<_> = there.iter().map(|(version, _)| (*version, 1)).collect();
            assert_eq!(
                needless(&history, &at_once),
                Ok((7 - there.len() as u64, 0)),
                "in one second: {there:?}"
            );
        }
        assert_eq!(needless(&[None, None], &[]), Ok((2, 0)));
        // The upstream's own marker, and what it hides, are older.
        assert_eq!(needless(&[Some(2), None], &[(Some(2), 3), (None, 2), (Some(1), 1)]), Ok((0, 1)));
        // It would hide something.
        let missing = Err("a delete marker did not reach the upstream");
        assert_eq!(needless(&history, &[(Some(2), 7), (Some(1), 3)]), missing);
        assert_eq!(needless(&[None], &[(Some(1), 1)]), missing);
        assert_eq!(needless(&[Some(2), None, None], &[(Some(2), 3), (Some(1), 1)]), missing);
    }
}
