//! Which store a database and a tier belong to, and whether the two belong together.
//!
//! The database carries the store's id and, for each tier, the id that its root was marked with. A root carries a
//! mark: the store's id, the tier's id and its class. A process works only where both sides agree.

use std::fmt;

use uuid::Uuid;

use super::storage_class::StorageClass;

/// Share of sampled segments that may be absent from a root that carries no mark yet: one in two. More says that the
/// root is another one; fewer are single losses, which `scrub` names.
const ABSENT_SHARE: usize = 2;

/// The id of a store, which its database and its tiers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub Uuid);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a tier: one root, wherever it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TierId(pub Uuid);

impl fmt::Display for TierId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the root of a tier says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierMark {
    /// The store that it belongs to.
    pub store: StoreId,
    /// Which tier of it.
    pub tier: TierId,
    /// Its class.
    pub class: StorageClass,
}

impl fmt::Display for TierMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} tier {} of store {}", self.class.as_str(), self.tier, self.store)
    }
}

/// Both sides of one tier, as they were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierFacts {
    /// The tier's id in the database, if a root was marked before.
    pub recorded: Option<TierId>,
    /// What the root carries.
    pub mark: Option<TierMark>,
    /// Whether the database has any segment there.
    pub known: bool,
    /// How many segments with committed bytes were looked for in the root. Only where no id is recorded.
    pub sampled: usize,
    /// How many of them are not there.
    pub absent: usize,
    /// Whether the root holds any segment. Only where no id is recorded.
    pub holds_segments: bool,
}

/// Both tiers of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFacts {
    /// The hot one.
    pub hot: TierFacts,
    /// The cold one.
    pub cold: TierFacts,
}

impl StoreFacts {
    /// Each tier, hottest first.
    fn each(&self) -> [(StorageClass, &TierFacts); 2] {
        [(StorageClass::Hot, &self.hot), (StorageClass::Cold, &self.cold)]
    }
}

/// What a process opens the store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve it: marks the roots of a new store.
    Serve,
    /// To run a command on it: marks a root only if it is proven to be the right one.
    Command,
    /// To make a lost database anew: the database takes the id that the tiers carry.
    Rebuild,
}

/// What is to be done about a tier whose sides agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierStep {
    /// Nothing: the root carries this mark, and the database knows it.
    Carries(TierMark),
    /// The root carries this mark already: the database is to know it.
    Record(TierMark),
    /// The root is to be marked, and the database to know it.
    Mark,
    /// Nothing yet: no server has begun to use this root.
    Leave,
}

/// What is to be done about a store whose sides agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The store's id from now on: the tiers', where the database had no tie to any.
    pub store: StoreId,
    /// About the hot tier.
    pub hot: TierStep,
    /// About the cold tier.
    pub cold: TierStep,
}

/// Why a database and a root do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The root belongs to another store.
    #[error("its root belongs to store {found}, and the database to store {expected}")]
    OtherStore {
        /// Whose it is.
        found: StoreId,
        /// Whose the database is.
        expected: StoreId,
    },
    /// The root is another tier of the same store.
    #[error("its root is {found}, and the database knows the tier {expected}")]
    OtherTier {
        /// What the root says.
        found: TierMark,
        /// What the database says.
        expected: TierId,
    },
    /// The root of one tier is given as the other's.
    #[error("its root is {0}: the roots of the two tiers are mixed up, or are one directory")]
    OtherClass(TierMark),
    /// The root carries no mark, though it was given one.
    #[error("its root carries no mark, and the database knows it as {0}")]
    NoMark(TierMark),
    /// The root carries no mark, but the other tier's does.
    #[error("its root carries no mark, and the other tier's belongs to store {0}")]
    Unmarked(StoreId),
    /// The root was never marked and lacks what the database knows.
    #[error("of {sampled} segments that the database knows there, {absent} are absent")]
    Absent {
        /// How many were looked for.
        sampled: usize,
        /// How many are absent.
        absent: usize,
    },
    /// A database that knows no segment meets a root that holds some.
    #[error("its root holds segments, and the database knows none: it is new, or another store's")]
    UnknownSegments,
}

/// Decides whether the database of `store` and two roots belong together. The error names the tier.
pub fn judge(store: StoreId, purpose: Purpose, facts: &StoreFacts) -> Result<Plan, (StorageClass, Mismatch)> {
    let tiers = facts.each();
    let marks = tiers.iter().filter_map(|(_, facts)| facts.mark);
    let adopted = marks.map(|mark| mark.store).find(|found| *found != store);
    let untied = tiers.iter().all(|(_, facts)| facts.recorded.is_none());
    let store = match adopted {
        // A database that is lost, or was restored from a time before its tiers were marked.
        Some(found)
            if untied && (purpose == Purpose::Rebuild || tiers.iter().any(|(_, f)| f.holds_known())) =>
        {
            found
        }
        _ => store,
    };
    let adopts = adopted == Some(store);
    let database_is_new = !facts.hot.known && !facts.cold.known && purpose != Purpose::Rebuild;
    let step = |class: StorageClass, facts: &TierFacts| {
        let refuse = |mismatch| Err((class, mismatch));
        match (facts.mark, facts.recorded) {
            (Some(mark), _) if mark.store != store => {
                refuse(Mismatch::OtherStore { found: mark.store, expected: store })
            }
            (Some(mark), _) if mark.class != class => refuse(Mismatch::OtherClass(mark)),
            (Some(mark), Some(expected)) if mark.tier != expected => {
                refuse(Mismatch::OtherTier { found: mark, expected })
            }
            (Some(mark), Some(_)) => Ok(TierStep::Carries(mark)),
            // A server died between the two, or the operator says that this is the tier.
            (Some(mark), None) => Ok(TierStep::Record(mark)),
            (None, Some(tier)) => refuse(Mismatch::NoMark(TierMark { store, tier, class })),
            (None, None) if facts.lacks_known() => {
                refuse(Mismatch::Absent { sampled: facts.sampled, absent: facts.absent })
            }
            // The other root was marked when this one was: this is not it.
            (None, None) if adopts => refuse(Mismatch::Unmarked(store)),
            (None, None) if facts.holds_segments && database_is_new => refuse(Mismatch::UnknownSegments),
            (None, None) if purpose == Purpose::Command && !facts.holds_known() => Ok(TierStep::Leave),
            (None, None) => Ok(TierStep::Mark),
        }
    };
    Ok(Plan {
        store,
        hot: step(StorageClass::Hot, &facts.hot)?,
        cold: step(StorageClass::Cold, &facts.cold)?,
    })
}

impl TierFacts {
    /// Whether segments that the database knows were found there.
    fn holds_known(&self) -> bool {
        self.sampled > 0 && !self.lacks_known()
    }

    /// Whether most of what the database knows is absent.
    fn lacks_known(&self) -> bool {
        self.absent * ABSENT_SHARE > self.sampled
    }
}

/// What a master key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealFacts {
    /// Whether it opens the sealed constant; `None` if there is none.
    pub constant: Option<bool>,
    /// How many sealed secrets the database holds. Only where there is no constant.
    pub secrets: usize,
    /// How many of them it opens.
    pub opened: usize,
}

/// Whether a master key is the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealVerdict {
    /// It is.
    Right,
    /// It is, or becomes so: the constant is to be sealed with it.
    New,
    /// It opens some secrets and not others. Another key may be the right one for those.
    PartlyLost,
    /// It is not.
    Wrong,
}

/// Decides whether a master key is the store's.
pub fn judge_seal(facts: SealFacts) -> SealVerdict {
    match facts {
        SealFacts { constant: Some(true), .. } => SealVerdict::Right,
        SealFacts { constant: Some(false), .. } => SealVerdict::Wrong,
        SealFacts { secrets, opened, .. } if opened == secrets => SealVerdict::New,
        SealFacts { opened: 0, .. } => SealVerdict::Wrong,
        _ => SealVerdict::PartlyLost,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const OURS: StoreId = StoreId(Uuid::from_u128(1));
    const OTHERS: StoreId = StoreId(Uuid::from_u128(2));
    const HOT: TierId = TierId(Uuid::from_u128(11));
    const COLD: TierId = TierId(Uuid::from_u128(12));

    fn mark(store: StoreId, class: StorageClass) -> TierMark {
        TierMark { store, tier: if class == StorageClass::Hot { HOT } else { COLD }, class }
    }

    fn marked(store: StoreId) -> StoreFacts {
        let of = |class| TierFacts { mark: Some(mark(store, class)), ..TierFacts::default() };
        StoreFacts { hot: of(StorageClass::Hot), cold: of(StorageClass::Cold) }
    }

    /// A store that has been served before.
    fn settled() -> StoreFacts {
        let mut facts = marked(OURS);
        (facts.hot.recorded, facts.cold.recorded) = (Some(HOT), Some(COLD));
        facts.hot.known = true;
        facts
    }

    /// A store of a release that marked nothing, with segments on its hot tier.
    fn unmarked(sampled: usize, absent: usize) -> StoreFacts {
        let hot = TierFacts {
            known: true,
            sampled,
            absent,
            holds_segments: absent < sampled,
            ..TierFacts::default()
        };
        StoreFacts { hot, cold: TierFacts::default() }
    }

    fn refused(purpose: Purpose, facts: &StoreFacts) -> (StorageClass, Mismatch) {
        judge(OURS, purpose, facts).unwrap_err()
    }

    #[test]
    fn a_settled_store_opens_for_everything() {
        for purpose in [Purpose::Serve, Purpose::Command, Purpose::Rebuild] {
            let plan = judge(OURS, purpose, &settled()).unwrap();
            assert_eq!(plan.hot, TierStep::Carries(mark(OURS, StorageClass::Hot)));
            assert_eq!(plan.cold, TierStep::Carries(mark(OURS, StorageClass::Cold)));
        }
    }

    #[test]
    fn another_root_is_refused_for_everything() {
        for purpose in [Purpose::Serve, Purpose::Command, Purpose::Rebuild] {
            let mut empty = settled();
            empty.cold.mark = None;
            let expected = Mismatch::NoMark(mark(OURS, StorageClass::Cold));
            assert_eq!(refused(purpose, &empty), (StorageClass::Cold, expected));

            let mut foreign = settled();
            foreign.hot.mark = Some(mark(OTHERS, StorageClass::Hot));
            let expected = Mismatch::OtherStore { found: OTHERS, expected: OURS };
            assert_eq!(refused(purpose, &foreign), (StorageClass::Hot, expected));

            let mut swapped = settled();
            (swapped.hot.mark, swapped.cold.mark) = (swapped.cold.mark, swapped.hot.mark);
            let expected = Mismatch::OtherClass(mark(OURS, StorageClass::Cold));
            assert_eq!(refused(purpose, &swapped), (StorageClass::Hot, expected));

            let mut copied = settled();
            let found = TierMark { tier: TierId(Uuid::from_u128(13)), ..mark(OURS, StorageClass::Hot) };
            copied.hot.mark = Some(found);
            assert_eq!(refused(purpose, &copied).1, Mismatch::OtherTier { found, expected: HOT });
        }
    }

    #[test]
    fn a_new_store_is_marked_by_a_server_and_by_no_command() {
        let new = StoreFacts::default();
        let plan = judge(OURS, Purpose::Serve, &new).unwrap();
        assert_eq!((plan.store, plan.hot, plan.cold), (OURS, TierStep::Mark, TierStep::Mark));
        let plan = judge(OURS, Purpose::Command, &new).unwrap();
        assert_eq!((plan.hot, plan.cold), (TierStep::Leave, TierStep::Leave));
        // A server that died between the two steps.
        let plan = judge(OURS, Purpose::Serve, &marked(OURS)).unwrap();
        assert_eq!(plan.hot, TierStep::Record(mark(OURS, StorageClass::Hot)));
    }

    #[test]
    fn an_old_store_is_marked_if_the_root_holds_what_the_database_knows() {
        for absent in [0, 1, 4] {
            let plan = judge(OURS, Purpose::Serve, &unmarked(8, absent)).unwrap();
            assert_eq!((plan.hot, plan.cold), (TierStep::Mark, TierStep::Mark), "{absent}");
            let plan = judge(OURS, Purpose::Command, &unmarked(8, absent)).unwrap();
            assert_eq!((plan.hot, plan.cold), (TierStep::Mark, TierStep::Leave), "{absent}");
        }
        for (sampled, absent) in [(8, 5), (8, 8), (1, 1)] {
            let expected = (StorageClass::Hot, Mismatch::Absent { sampled, absent });
            assert_eq!(refused(Purpose::Serve, &unmarked(sampled, absent)), expected);
        }
        // All that it knows is condemned: files may be left.
        let mut emptied = unmarked(0, 0);
        emptied.hot.holds_segments = true;
        assert_eq!(judge(OURS, Purpose::Serve, &emptied).unwrap().hot, TierStep::Mark);
    }

    #[test]
    fn a_new_database_takes_no_tiers_but_to_be_rebuilt() {
        let expected = Mismatch::OtherStore { found: OTHERS, expected: OURS };
        assert_eq!(refused(Purpose::Serve, &marked(OTHERS)).1, expected);
        assert_eq!(refused(Purpose::Command, &marked(OTHERS)).1, expected);
        let plan = judge(OURS, Purpose::Rebuild, &marked(OTHERS)).unwrap();
        assert_eq!((plan.store, plan.hot), (OTHERS, TierStep::Record(mark(OTHERS, StorageClass::Hot))));

        let mut unknown = StoreFacts::default();
        unknown.cold.holds_segments = true;
        assert_eq!(refused(Purpose::Serve, &unknown), (StorageClass::Cold, Mismatch::UnknownSegments));
        assert_eq!(judge(OURS, Purpose::Rebuild, &unknown).unwrap().cold, TierStep::Mark);
        // The volume of one tier is not mounted.
        let mut half = marked(OTHERS);
        half.cold.mark = None;
        assert_eq!(refused(Purpose::Rebuild, &half), (StorageClass::Cold, Mismatch::Unmarked(OTHERS)));
        // Tiers of two stores.
        let mut two = marked(OTHERS);
        two.cold.mark = Some(mark(StoreId(Uuid::from_u128(3)), StorageClass::Cold));
        assert!(matches!(refused(Purpose::Rebuild, &two), (StorageClass::Cold, Mismatch::OtherStore { .. })));
    }

    #[test]
    fn a_master_key_opens_the_constant_or_all_secrets() {
        let verdict = |constant, secrets, opened| judge_seal(SealFacts { constant, secrets, opened });
        assert_eq!(verdict(Some(true), 0, 0), SealVerdict::Right);
        assert_eq!(verdict(Some(false), 0, 0), SealVerdict::Wrong);
        assert_eq!(verdict(None, 0, 0), SealVerdict::New);
        assert_eq!(verdict(None, 3, 3), SealVerdict::New);
        assert_eq!(verdict(None, 3, 2), SealVerdict::PartlyLost);
        assert_eq!(verdict(None, 3, 0), SealVerdict::Wrong);
    }

    /// A backup of the database from before the upgrade that marked the tiers.
    #[test]
    fn a_restored_database_finds_its_tiers_by_what_they_hold() {
        let mut restored = marked(OTHERS);
        restored.hot = TierFacts { mark: restored.hot.mark, ..unmarked(8, 0).hot };
        let plan = judge(OURS, Purpose::Serve, &restored).unwrap();
        assert_eq!((plan.store, plan.cold), (OTHERS, TierStep::Record(mark(OTHERS, StorageClass::Cold))));
        restored.hot.absent = 8;
        assert!(judge(OURS, Purpose::Serve, &restored).is_err());
    }
}
