//! What a key comes to when both sides are compared, live: nothing that was noted before decides it alone.

use super::{Fate, Mode};

/// What one side has under a key: its entity tag and its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side<'a> {
    /// Without quotes.
    pub etag: &'a str,
    /// In bytes.
    pub size: u64,
}

/// What a key comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both have the same object.
    Matched,
    /// Both have one, or had, and they are not the same.
    Differ(&'static str),
    /// Only the upstream has one, and should not be alone with it.
    OnlyUpstream(&'static str),
    /// Only this store has one. Where everything goes to both, that is a finding.
    OnlyHere,
    /// It was replaced here since, as it should be.
    ReplacedHere,
    /// It was removed here since, as it should be.
    RemovedHere,
}

/// Why an object that was fetched differs from the upstream's: a client still writes there.
const REPLACED_THERE: &str = "it was replaced upstream after it was fetched";

/// As before: a client still removes there.
const REMOVED_THERE: &str = "it was removed upstream after it was fetched";

impl Verdict {
    /// Whether somebody changed the object upstream after it was fetched.
    pub fn changed_there(self) -> bool {
        matches!(self, Self::Differ(REPLACED_THERE | REMOVED_THERE))
    }

    /// Its name in a report, and why it is there; `None` if it is as it should be in this mode.
    pub fn finding(self, mode: Mode) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Differ(why) => Some(("differ", why)),
            Self::OnlyUpstream(why) => Some(("only_upstream", why)),
            Self::OnlyHere if mode == Mode::Mirror => Some(("only_here", "it did not reach the upstream")),
            Self::OnlyHere | Self::Matched | Self::ReplacedHere | Self::RemovedHere => None,
        }
    }
}

/// What became of a key, for the comparison. Where versions are kept, what was pulled stays behind what was written or deleted
/// later: `here` is the entity tag of the latest, and `known` are those of what was pulled or sent last.
pub fn fate_now(
    versioned: bool,
    fate: Option<Fate>,
    here: Option<&str>,
    known: [Option<&str>; 2],
) -> Option<Fate> {
    match fate {
        Some(Fate::Pulled) if versioned && !(here.is_some() && known.contains(&here)) => Some(Fate::Owned),
        fate => fate,
    }
}

/// Decides about one key that at least one side has.
pub fn judge(mode: Mode, here: Option<Side<'_>>, there: Option<Side<'_>>, fate: Option<Fate>) -> Verdict {
    let mirrored = mode == Mode::Mirror;
    match (here, there, fate) {
        (Some(here), Some(there), _) if here == there => Verdict::Matched,
        (Some(_), Some(_), Some(Fate::Pulled)) => Verdict::Differ(REPLACED_THERE),
        (Some(_), Some(_), _) if mirrored => Verdict::Differ("the upstream has another object"),
        (Some(_), Some(_), _) => Verdict::ReplacedHere,
        (None, _, Some(Fate::Owned)) if !mirrored => Verdict::RemovedHere,
        (None, _, Some(Fate::Owned)) => Verdict::OnlyUpstream("its removal did not reach the upstream"),
        (None, ..) => Verdict::OnlyUpstream("it was not fetched"),
        (Some(_), None, Some(Fate::Pulled)) => Verdict::Differ(REMOVED_THERE),
        (Some(_), None, _) => Verdict::OnlyHere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<Side<'_>> = Some(Side { etag: "a", size: 1 });
    const B: Option<Side<'_>> = Some(Side { etag: "b", size: 1 });
    const LONGER: Option<Side<'_>> = Some(Side { etag: "a", size: 2 });

    #[test]
    fn what_was_pulled_and_then_replaced_is_this_store_s_own() {
        let now = |versioned, here| fate_now(versioned, Some(Fate::Pulled), here, [Some("a"), None]);
        assert_eq!(now(true, Some("a")), Some(Fate::Pulled));
        for here in [Some("b"), None] {
            assert_eq!(now(true, here), Some(Fate::Owned), "{here:?}");
            assert_eq!(now(false, here), Some(Fate::Pulled), "{here:?}");
        }
        let sent = fate_now(true, Some(Fate::Pulled), Some("b"), [Some("a"), Some("b")]);
        assert_eq!((sent, fate_now(true, None, None, [None; 2])), (Some(Fate::Pulled), None));
    }

    #[test]
    fn a_key_is_clean_only_if_nothing_would_be_lost() {
        let found =
            |mode, here, there, fate| judge(mode, here, there, fate).finding(mode).map(|(name, _)| name);
        let through = |here, there, fate| found(Mode::ReadThrough, here, there, fate);
        for fate in [None, Some(Fate::Pulled), Some(Fate::Owned)] {
            assert_eq!(through(A, A, fate), None);
        }
        assert_eq!(through(None, A, None), Some("only_upstream"));
        assert_eq!(through(None, A, Some(Fate::Pulled)), Some("only_upstream"));
        // Somebody still writes to the old store.
        assert_eq!(through(A, B, Some(Fate::Pulled)), Some("differ"));
        assert_eq!(through(A, LONGER, Some(Fate::Pulled)), Some("differ"));
        assert_eq!(through(A, None, Some(Fate::Pulled)), Some("differ"));
        for (here, there) in [(A, B), (A, LONGER), (A, None)] {
            assert!(judge(Mode::ReadThrough, here, there, Some(Fate::Pulled)).changed_there());
        }
        assert!(!judge(Mode::Mirror, A, B, None).changed_there());
        // What was written or removed here is as it should be, until both sides get everything.
        for (here, there, fate, mirrored) in [
            (A, B, None, "differ"),
            (A, B, Some(Fate::Owned), "differ"),
            (None, A, Some(Fate::Owned), "only_upstream"),
            (A, None, None, "only_here"),
            (A, None, Some(Fate::Owned), "only_here"),
        ] {
            assert_eq!(through(here, there, fate), None, "{here:?} {there:?} {fate:?}");
            assert_eq!(found(Mode::Mirror, here, there, fate), Some(mirrored), "{here:?} {there:?} {fate:?}");
        }
    }
}
