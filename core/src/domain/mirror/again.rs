//! A space comes again to its upstream, whose clients have written there in between: what is here is older than what is there, and
//! would win all the same.
//!
//! What is here and is what the upstream had last is a copy, and goes where the upstream has replaced it. Whatever else differs is
//! left for a person to decide: nothing that is nowhere else is taken away.

use super::Memory;
use crate::domain::upstream::Fate;
use crate::domain::upstream::compare::Side;

/// What is noted as there of a key whose removal has reached the upstream.
pub const GONE: &str = "";

/// What is known of a key beside what both sides have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known<'a> {
    /// What became of it here.
    pub fate: Option<Fate>,
    /// What the upstream had.
    pub memory: Memory<'a>,
    /// Whether what the object carries was changed here while nothing was sent.
    pub edited: bool,
    /// Whether it waits to be sent.
    pub waits: bool,
}

/// What a key comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that is here is older than what is there.
    Current,
    /// The upstream has replaced the object of which a copy is here: the copy goes, and the key is read through again.
    Replaced,
    /// The upstream has removed the object of which a copy is here. The copy may be the last one.
    Removed,
    /// It was removed here and there, and the upstream has another object since: it is not hidden any more.
    Returned,
    /// A person decides.
    Undecided(&'static str),
}

/// Decides about one key that at least one side has. `versioned` is whether versions are kept here.
pub fn judge(versioned: bool, here: Option<Side<'_>>, there: Option<Side<'_>>, known: Known<'_>) -> Verdict {
    let Known { fate, memory, edited, waits } = known;
    // The last that is known of the upstream: what was sent, or else what was fetched or found.
    let last = memory.sending.or(memory.there);
    let is_copy = |here: Side<'_>| {
        let alias = memory.sending.is_none() && memory.here == Some(here.etag);
        !edited && (last == Some(here.etag) || alias)
    };
    let same = |here: Side<'_>, there: Side<'_>| {
        here == there || here.size == there.size && memory.is_same(here.etag, there.etag)
    };
    match (here, there) {
        (None, None) => Verdict::Current,
        (Some(here), Some(there)) if same(here, there) => Verdict::Current,
        // What is not here is read through, unless it was removed here.
        (None, Some(_)) if fate != Some(Fate::Owned) => Verdict::Current,
        _ if waits => Verdict::Undecided("it waits to be sent to the upstream"),
        _ if versioned => {
            Verdict::Undecided("versions are kept here, and what is there is no version of them")
        }
        (Some(here), Some(_)) if is_copy(here) => Verdict::Replaced,
        (Some(_), Some(_)) => Verdict::Undecided("it was written here, and the upstream has another object"),
        (Some(here), None) if is_copy(here) => Verdict::Removed,
        (Some(_), None) => Verdict::Undecided("it was written here, and the upstream has none"),
        (None, Some(there)) => match last {
            Some(last) if last != there.etag => Verdict::Returned,
            _ => Verdict::Undecided("it was removed here, and the upstream still has it"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<Side<'_>> = Some(Side { etag: "a", size: 1 });
    const B: Option<Side<'_>> = Some(Side { etag: "b", size: 1 });
    const FETCHED: Memory<'_> = Memory { there: Some("a"), sending: None, here: None };

    fn known(fate: Fate, memory: Memory<'_>) -> Known<'_> {
        Known { fate: Some(fate), memory, ..Known::default() }
    }

    #[test]
    fn a_copy_goes_where_the_upstream_has_replaced_it() {
        let fetched = known(Fate::Pulled, FETCHED);
        assert_eq!(judge(false, A, A, fetched), Verdict::Current);
        assert_eq!(judge(false, A, B, fetched), Verdict::Replaced);
        assert_eq!(judge(false, A, None, fetched), Verdict::Removed);
        assert_eq!(judge(false, None, A, Known::default()), Verdict::Current, "it is read through");
        let sent = known(Fate::Owned, Memory { there: Some("x"), sending: Some("a"), here: None });
        assert_eq!(judge(false, A, B, sent), Verdict::Replaced);
        // The same bytes under another tag.
        let alias = known(Fate::Brought, Memory { there: Some("t"), sending: None, here: Some("a") });
        assert_eq!(judge(false, A, Some(Side { etag: "t", size: 1 }), alias), Verdict::Current);
        assert_eq!(judge(false, A, B, alias), Verdict::Replaced);
    }

    #[test]
    fn what_was_written_here_is_never_taken_away() {
        let fetched = known(Fate::Pulled, FETCHED);
        for known in [
            Known::default(),
            known(Fate::Owned, FETCHED),
            // It was sent, and then written back to what the upstream had before.
            known(Fate::Owned, Memory { there: Some("b"), sending: Some("c"), here: None }),
            known(
                Fate::Owned,
                Memory { there: Some("b"), sending: Some(crate::domain::mirror::UNTOLD), here: None },
            ),
            Known { edited: true, ..known(Fate::Pulled, Memory { there: Some("b"), ..FETCHED }) },
            Known { waits: true, ..known(Fate::Pulled, Memory { there: Some("b"), ..FETCHED }) },
        ] {
            for there in [A, None] {
                assert!(
                    matches!(judge(false, B, there, known), Verdict::Undecided(_)),
                    "{known:?} {there:?}"
                );
            }
        }
        assert!(matches!(judge(true, A, B, fetched), Verdict::Undecided(_)), "versions are kept");
    }

    #[test]
    fn what_was_removed_here_shows_again_only_if_it_is_another_object() {
        for (last, there, verdict) in [
            (Some("a"), B, Verdict::Returned),
            (Some(GONE), A, Verdict::Returned),
            (Some("a"), A, Verdict::Undecided("it was removed here, and the upstream still has it")),
            (None, A, Verdict::Undecided("it was removed here, and the upstream still has it")),
        ] {
            let owned = known(Fate::Owned, Memory { there: last, ..Memory::default() });
            assert_eq!(judge(false, None, there, owned), verdict, "{last:?}");
        }
    }
}
