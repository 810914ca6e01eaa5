//! The states that rows of the database go through, and which may follow which.
//!
//! Statements name a state by a fragment (`committed`, `sealed`); a test reads every statement and holds each change of a
//! state to [`ObjectState::may_become`] and [`SegmentState::may_become`].

/// `(none) → WRITING → COMMITTED → DELETING → (row gone)`. Only COMMITTED is visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectState {
    /// Its bytes are being received; ends with its writer.
    Writing,
    /// Acknowledged and visible.
    Committed,
    /// Deleted or replaced; its row keeps the blob alive until GC takes it.
    Deleting,
}

impl ObjectState {
    /// Every state, in order.
    pub const ALL: [Self; 3] = [Self::Writing, Self::Committed, Self::Deleting];

    /// The number kept in the database.
    pub const fn code(self) -> i16 {
        match self {
            Self::Writing => 1,
            Self::Committed => 2,
            Self::Deleting => 3,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Its name, in metrics and in statements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writing => "writing",
            Self::Committed => "committed",
            Self::Deleting => "deleting",
        }
    }

    /// Whether a row may go from this state to `next`; `None` is the row's end.
    pub fn may_become(self, next: Option<Self>) -> bool {
        matches!(
            (self, next),
            (Self::Writing, Some(Self::Committed) | None)
                | (Self::Committed, Some(Self::Deleting))
                | (Self::Deleting, None)
        )
    }
}

/// `(none) → OPEN → SEALED → CONDEMNED → (row gone)`. An open one may be condemned directly, or be orphaned by its
/// writer's death until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Its writer is at it.
    Open,
    /// Whole; never written again.
    Sealed,
    /// No blob refers to it; its file is to be removed, then its row.
    Condemned,
    /// Open, and its writer dead: to be mended and sealed, or condemned.
    Orphaned,
}

impl SegmentState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::Sealed, Self::Condemned, Self::Orphaned];

    /// The number kept in the database.
    pub const fn code(self) -> i16 {
        match self {
            Self::Open => 1,
            Self::Sealed => 2,
            Self::Condemned => 3,
            Self::Orphaned => 4,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Its name in statements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sealed => "sealed",
            Self::Condemned => "condemned",
            Self::Orphaned => "orphaned",
        }
    }

    /// Whether a row may go from this state to `next`; `None` is the row's end.
    pub fn may_become(self, next: Option<Self>) -> bool {
        matches!(
            (self, next),
            (Self::Open, Some(Self::Sealed | Self::Condemned | Self::Orphaned))
                | (Self::Orphaned, Some(Self::Sealed | Self::Condemned))
                | (Self::Sealed, Some(Self::Condemned))
                | (Self::Condemned, None)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_goes_one_way() {
        use ObjectState::{Committed, Deleting, Writing};
        let allowed: Vec<_> = ObjectState::ALL
            .into_iter()
            .flat_map(|from| {
                [None, Some(Writing), Some(Committed), Some(Deleting)].into_iter().map(move |to| (from, to))
            })
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        assert_eq!(
            allowed,
            [(Writing, None), (Writing, Some(Committed)), (Committed, Some(Deleting)), (Deleting, None)]
        );
    }

    #[test]
    fn a_segment_never_opens_again() {
        use SegmentState::{Condemned, Open, Orphaned, Sealed};
        let next = [None, Some(Open), Some(Sealed), Some(Condemned), Some(Orphaned)];
        let allowed: Vec<_> = SegmentState::ALL
            .into_iter()
            .flat_map(|from| next.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        assert_eq!(
            allowed,
            [
                (Open, Some(Sealed)),
                (Open, Some(Condemned)),
                (Open, Some(Orphaned)),
                (Sealed, Some(Condemned)),
                (Condemned, None),
                (Orphaned, Some(Sealed)),
                (Orphaned, Some(Condemned)),
            ]
        );
    }

    #[test]
    fn the_numbers_in_the_database_read_back() {
        for state in ObjectState::ALL {
            assert_eq!(ObjectState::from_code(state.code()), Some(state));
        }
        for state in SegmentState::ALL {
            assert_eq!(SegmentState::from_code(state.code()), Some(state));
        }
        assert_eq!((ObjectState::from_code(4), SegmentState::from_code(0)), (None, None));
    }
}
