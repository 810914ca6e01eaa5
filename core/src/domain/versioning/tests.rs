//! The rules of versions, as tables.

use super::*;
use crate::domain::address::{Namespace, SpaceAddress, Tenant};
use crate::domain::object_lock::{LockConfig, LockMode, Retention};
use crate::domain::precondition::EtagCondition;
use crate::domain::space::SettingsRevision;
use crate::domain::space::SpaceId;
use crate::domain::storage_class::StorageClass;
use Versioning::{Enabled, Off, Suspended};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_000_000);
const FREE: ObjectLock = ObjectLock { retention: None, legal_hold: None };
const HELD: ObjectLock = ObjectLock { retention: None, legal_hold: Some(true) };

fn id(n: u128) -> ObjectId {
    ObjectId(Uuid::from_u128(n))
}

fn etag(n: u128) -> Etag {
    Etag::parse(&format!("\"{n}\"")).unwrap()
}

/// An object of `n` bytes with a version id of its own.
fn version(n: u128) -> Version {
    Version {
        id: id(n),
        etag: Some(etag(n)),
        size: u64::try_from(n).unwrap(),
        modified: Timestamp(1_000),
        lock: FREE,
        is_null_version: false,
    }
}

fn null(n: u128) -> Version {
    Version { is_null_version: true, ..version(n) }
}

fn marker(n: u128) -> Version {
    Version { etag: None, size: 0, ..version(n) }
}

fn held(version: Version) -> Version {
    Version { lock: HELD, ..version }
}

fn space(versioning: Versioning) -> Space {
    Space {
        id: SpaceId(1),
        address: SpaceAddress::new(Namespace::new("n").unwrap(), Tenant::new("t").unwrap()),
        versioning,
        default_class: StorageClass::Hot,
        object_lock: None,
        settings: SettingsRevision(0),
        upstream: None,
        created_at: NOW,
    }
}

fn lockable() -> Space {
    Space { object_lock: Some(LockConfig::default()), ..space(Enabled) }
}

fn if_match(n: u128) -> Preconditions {
    Preconditions { if_match: Some(EtagCondition::Of(vec![etag(n)])), ..Preconditions::default() }
}

fn absent() -> Preconditions {
    Preconditions { if_none_match: Some(EtagCondition::Any), ..Preconditions::default() }
}

fn there(latest: Option<Version>, null_behind: Option<Version>) -> KeyVersions {
    KeyVersions::new(latest, null_behind)
}

#[test]
fn an_overwrite_replaces_what_versioning_says() {
    // versioning, latest, null version behind it: which one goes, which one stays and is no longer the latest
    for (versioning, latest, behind, retires, demotes) in [
        (Off, None, None, None, None),
        (Off, Some(null(5)), None, Some(5), None),
        (Enabled, None, None, None, None),
        (Enabled, Some(version(5)), None, None, Some(5)),
        (Enabled, Some(null(5)), None, None, Some(5)),
        (Enabled, Some(marker(5)), None, None, Some(5)),
        (Suspended, None, None, None, None),
        (Suspended, None, Some(null(3)), Some(3), None),
        (Suspended, Some(version(5)), None, None, Some(5)),
        (Suspended, Some(version(5)), Some(null(3)), Some(3), Some(5)),
        (Suspended, Some(marker(5)), Some(null(3)), Some(3), Some(5)),
        (Suspended, Some(null(5)), None, Some(5), None),
        (Suspended, Some(Version { is_null_version: true, ..marker(5) }), None, Some(5), None),
    ] {
        let row = format!("{versioning:?} over {latest:?} and {behind:?}");
        let plan =
            plan_put(Some(&space(versioning)), &there(latest, behind), &Preconditions::default(), &FREE, NOW)
                .unwrap();
        assert_eq!(plan.retires.as_ref().map(|gone| gone.id), retires.map(id), "{row}");
        assert_eq!(plan.demotes, demotes.map(id), "{row}");
        assert_eq!(plan.is_null_version, versioning != Enabled, "{row}");
    }
}

#[test]
fn what_an_overwrite_frees_is_the_size_of_what_goes_wherever_it_lies() {
    for (versioning, latest, behind, freed) in [
        (Off, Some(null(5)), None, Some(5)),
        (Enabled, Some(version(5)), None, None),
        (Suspended, Some(null(5)), None, Some(5)),
        (Suspended, Some(version(5)), Some(null(3)), Some(3)),
        (Suspended, Some(version(5)), None, None),
    ] {
        let plan = overwrite(versioning, &there(latest.clone(), behind));
        assert_eq!(plan.freed(), freed, "{versioning:?} over {latest:?}");
    }
}

#[test]
fn the_null_version_is_looked_for_only_where_it_decides() {
    for (versioning, latest, needed) in [
        (Off, None, false),
        (Off, Some(null(5)), false),
        (Enabled, None, false),
        (Enabled, Some(version(5)), false),
        (Suspended, None, true),
        (Suspended, Some(version(5)), true),
        (Suspended, Some(null(5)), false),
    ] {
        assert_eq!(needs_null_version(versioning, latest.as_ref()), needed, "{versioning:?} {latest:?}");
    }
}

#[test]
fn a_put_is_refused_by_conditions_first_and_by_locks_then() {
    let none = Preconditions::default();
    for (space, latest, conditions, lock, denial) in [
        (space(Off), None, if_match(5), FREE, Some(Denial::NoSuchObject)),
        (space(Off), Some(null(5)), if_match(5), FREE, None),
        (space(Off), Some(null(5)), if_match(6), FREE, Some(Denial::ConditionFailed)),
        (space(Off), Some(null(5)), absent(), FREE, Some(Denial::ConditionFailed)),
        (space(Enabled), Some(marker(5)), absent(), FREE, None),
        (space(Enabled), Some(marker(5)), if_match(5), FREE, Some(Denial::NoSuchObject)),
        (space(Off), None, none.clone(), HELD, Some(Denial::NoObjectLock)),
        (space(Off), None, if_match(5), HELD, Some(Denial::NoSuchObject)),
        (lockable(), None, none.clone(), HELD, None),
        // A held version stays where writes make versions, and forbids the write where they would replace it.
        (lockable(), Some(held(version(5))), none.clone(), FREE, None),
        (space(Off), Some(held(null(5))), none.clone(), FREE, Some(Denial::Locked)),
        (space(Suspended), Some(held(null(5))), none.clone(), FREE, Some(Denial::Locked)),
        (space(Suspended), Some(held(version(5))), none.clone(), FREE, None),
    ] {
        let row = format!("{:?} {latest:?} {conditions:?} {lock:?}", space.versioning);
        let plan = plan_put(Some(&space), &there(latest, None), &conditions, &lock, NOW);
        assert_eq!(plan.err(), denial, "{row}");
    }
    // A space that this very write makes has neither versions nor locks.
    assert_eq!(plan_put(None, &there(None, None), &none, &HELD, NOW), Err(Denial::NoObjectLock));
    assert!(plan_put(None, &there(None, None), &none, &FREE, NOW).unwrap().is_null_version);
}

#[derive(Debug, PartialEq)]
enum Done {
    Nothing,
    Removed(u128),
    /// What the marker retires, what it demotes, and whether it hides an object.
    Marked(Option<u128>, Option<u128>, bool),
}

fn done(deletion: &DeletePlan) -> Done {
    match deletion {
        DeletePlan::Nothing => Done::Nothing,
        DeletePlan::Remove(gone) => Done::Removed(gone.0.as_u128()),
        DeletePlan::Mark { overwrite, hides } => Done::Marked(
            overwrite.retires.as_ref().map(|gone| gone.id.0.as_u128()),
            overwrite.demotes.map(|old| old.0.as_u128()),
            *hides,
        ),
    }
}

#[test]
fn a_delete_removes_or_marks_or_does_nothing() {
    let none = Preconditions::default();
    for (versioning, latest, behind, conditions, outcome) in [
        (Off, None, None, none.clone(), Ok(Done::Nothing)),
        (Off, Some(null(5)), None, none.clone(), Ok(Done::Removed(5))),
        (Off, Some(null(5)), None, if_match(5), Ok(Done::Removed(5))),
        (Off, Some(null(5)), None, if_match(6), Err(Denial::ConditionFailed)),
        (Off, Some(held(null(5))), None, none.clone(), Err(Denial::Locked)),
        (Off, None, None, if_match(5), Err(Denial::NoSuchObject)),
        (Enabled, None, None, none.clone(), Ok(Done::Marked(None, None, false))),
        (Enabled, Some(version(5)), None, none.clone(), Ok(Done::Marked(None, Some(5), true))),
        (Enabled, Some(held(version(5))), None, none.clone(), Ok(Done::Marked(None, Some(5), true))),
        (Enabled, Some(marker(5)), None, none.clone(), Ok(Done::Marked(None, Some(5), false))),
        // Of what is gone already no second marker is made, if the client says what it means to delete.
        (Enabled, Some(marker(5)), None, absent(), Err(Denial::ConditionFailed)),
        (Enabled, Some(marker(5)), None, if_match(5), Err(Denial::NoSuchObject)),
        (Enabled, None, None, Preconditions { if_size: Some(1), ..none.clone() }, Ok(Done::Nothing)),
        (
            Enabled,
            Some(marker(5)),
            None,
            Preconditions { if_size: Some(0), ..none.clone() },
            Ok(Done::Nothing),
        ),
        (Suspended, Some(version(5)), Some(null(3)), none.clone(), Ok(Done::Marked(Some(3), Some(5), true))),
        (Suspended, Some(version(5)), Some(held(null(3))), none.clone(), Err(Denial::Locked)),
        (Suspended, Some(null(5)), None, none.clone(), Ok(Done::Marked(Some(5), None, true))),
    ] {
        let row = format!("{versioning:?} {latest:?} {behind:?} {conditions:?}");
        let plan = plan_delete(Some(&space(versioning)), &there(latest, behind), &conditions, false, NOW);
        assert_eq!(plan.as_ref().map(done).map_err(|denial| *denial), outcome, "{row}");
    }
    assert_eq!(plan_delete(None, &there(None, None), &none, false, NOW), Ok(DeletePlan::Nothing));
}

#[test]
fn a_governed_version_goes_with_a_bypass() {
    let retention = Some(Retention { mode: LockMode::Governance, until: Timestamp(2_000_000) });
    let governed = Version { lock: ObjectLock { retention, legal_hold: None }, ..version(5) };
    let none = Preconditions::default();
    assert_eq!(plan_removal(Some(&governed), &none, false, NOW), Err(Denial::Locked));
    assert_eq!(plan_removal(Some(&governed), &none, true, NOW), Ok(true));
    assert_eq!(plan_removal(Some(&governed), &none, false, Timestamp(2_000_000)), Ok(true), "it has run out");
}

/// A marker is nothing to move, and neither is a key without versions.
#[test]
fn a_move_takes_what_is_there() {
    for versioning in [Off, Enabled, Suspended] {
        let leave = |latest, conditions: &Preconditions| {
            plan_departure(&space(versioning), &there(latest, None), conditions, NOW)
        };
        for conditions in [Preconditions::default(), if_match(2), absent()] {
            for latest in [None, Some(marker(2))] {
                assert_eq!(
                    leave(latest, &conditions),
                    Err(Denial::NoSuchObject),
                    "{versioning:?} {conditions:?}"
                );
            }
        }
        assert!(leave(Some(version(2)), &if_match(2)).is_ok());
        assert_eq!(leave(Some(version(2)), &if_match(1)), Err(Denial::ConditionFailed));
    }
}

#[test]
fn the_removal_of_a_version_asks_its_conditions() {
    let none = Preconditions::default();
    for (version, conditions, outcome) in [
        (None, none.clone(), Ok(false)),
        (None, if_match(5), Err(Denial::NoSuchObject)),
        (Some(version(5)), if_match(5), Ok(true)),
        (Some(version(5)), if_match(6), Err(Denial::ConditionFailed)),
        (Some(marker(5)), none.clone(), Ok(true)),
        (Some(held(version(5))), none, Err(Denial::Locked)),
        (Some(held(version(5))), if_match(6), Err(Denial::ConditionFailed)),
    ] {
        assert_eq!(
            plan_removal(version.as_ref(), &conditions, false, NOW),
            outcome,
            "{version:?} {conditions:?}"
        );
    }
}

#[test]
fn the_newest_that_is_left_becomes_the_latest() {
    for (was_latest, left, next) in [
        (true, vec![], None),
        (true, vec![3], Some(3)),
        (true, vec![1, 3, 2], Some(3)),
        (false, vec![3], None),
        (false, vec![], None),
    ] {
        assert_eq!(
            successor(was_latest, left.iter().copied().map(id)),
            next.map(id),
            "{was_latest} {left:?}"
        );
    }
}

#[test]
fn a_verdict_stands_only_for_what_was_judged() {
    use Execution::{DeleteKey, RemoveVersion, Void};
    for (expiry, is_latest, is_delete_marker, has_others, execution) in [
        (Expiry::Current, true, false, false, DeleteKey),
        (Expiry::Current, true, false, true, DeleteKey),
        (Expiry::Current, false, false, true, Void),
        (Expiry::Current, true, true, true, Void),
        (Expiry::Noncurrent, false, false, true, RemoveVersion),
        (Expiry::Noncurrent, false, true, true, RemoveVersion),
        (Expiry::Noncurrent, true, false, true, Void),
        (Expiry::LoneMarker, true, true, false, RemoveVersion),
        (Expiry::LoneMarker, true, true, true, Void),
        (Expiry::LoneMarker, true, false, false, Void),
        (Expiry::LoneMarker, false, true, true, Void),
    ] {
        let judged = Judged { has_same_tags: true, is_latest, is_delete_marker, has_others };
        assert_eq!(plan_expire(expiry, judged), execution, "{expiry:?} {judged:?}");
        let retagged = Judged { has_same_tags: false, ..judged };
        assert_eq!(plan_expire(expiry, retagged), Void, "{expiry:?} {retagged:?}");
    }
}

#[test]
fn versioning_once_enabled_is_never_off_again() {
    let refused = Err(Denial::WrongVersioning);
    for (space, asked, becomes) in [
        (space(Off), Off, Ok(Off)),
        (space(Off), Enabled, Ok(Enabled)),
        (space(Off), Suspended, Ok(Suspended)),
        (space(Enabled), Off, Ok(Suspended)),
        (space(Enabled), Suspended, Ok(Suspended)),
        (space(Enabled), Enabled, Ok(Enabled)),
        (space(Suspended), Off, Ok(Suspended)),
        (space(Suspended), Enabled, Ok(Enabled)),
        (lockable(), Enabled, Ok(Enabled)),
        (lockable(), Off, refused),
        (lockable(), Suspended, refused),
    ] {
        assert_eq!(plan_versioning(&space, asked), becomes, "{:?} to {asked:?}", space.versioning);
    }
    for (versioning, allowed) in [(Off, false), (Suspended, false), (Enabled, true)] {
        assert_eq!(check_lockable(&space(versioning)).is_ok(), allowed, "{versioning:?}");
    }
}

/// Changes of one key that share a transaction: each sees what those before it have planned.
#[test]
fn a_change_sees_the_plans_before_it() {
    let put = |there: &mut KeyVersions, space: &Space, n, conditions: &Preconditions| {
        let plan = plan_put(Some(space), there, conditions, &FREE, NOW)?;
        there.replace(&plan, Version { is_null_version: plan.is_null_version, ..version(n) });
        Ok::<_, Denial>(plan)
    };
    let none = Preconditions::default();

    let off = space(Off);
    let mut key = there(Some(null(1)), None);
    assert_eq!(put(&mut key, &off, 2, &none).unwrap().retires.unwrap().id, id(1));
    assert_eq!(put(&mut key, &off, 3, &absent()), Err(Denial::ConditionFailed));
    assert_eq!(put(&mut key, &off, 3, &if_match(2)).unwrap().retires.unwrap().id, id(2));
    assert_eq!(plan_delete(Some(&off), &key, &none, false, NOW), Ok(DeletePlan::Remove(id(3))));
    key.remove_latest();
    assert_eq!(plan_delete(Some(&off), &key, &none, false, NOW), Ok(DeletePlan::Nothing));
    assert_eq!(put(&mut key, &off, 4, &absent()).unwrap().retires, None);

    let suspended = space(Suspended);
    let mut key = there(Some(version(5)), Some(null(3)));
    let first = put(&mut key, &suspended, 6, &none).unwrap();
    assert_eq!((first.retires.map(|gone| gone.id), first.demotes), (Some(id(3)), Some(id(5))));
    let second = put(&mut key, &suspended, 7, &none).unwrap();
    assert_eq!((second.retires.map(|gone| gone.id), second.demotes), (Some(id(6)), None));

    let enabled = space(Enabled);
    let mut key = there(None, None);
    put(&mut key, &enabled, 8, &none).unwrap();
    assert_eq!(put(&mut key, &enabled, 9, &none).unwrap().demotes, Some(id(8)));
}

#[test]
fn ids_ascend_past_all_that_the_key_ever_had() {
    let mut key = there(Some(version(10)), None);
    assert!(key.admits(id(11)) && !key.admits(id(10)) && !key.admits(id(9)));
    assert_eq!(key.next_id(id(11), None), id(11));
    assert_eq!(key.next_id(id(9), Some(id(10))), id(11));
    assert_eq!(key.next_id(id(9), Some(id(20))), id(21), "a row that waits for the collector keeps its id");
    let plan = key.overwrite(Enabled);
    key.replace(&plan, version(30));
    assert_eq!(key.next_id(id(9), Some(id(10))), id(31), "planned, and not stored yet");
    assert!(there(None, None).admits(id(1)));
}

/// What was fetched is kept only where nothing was written or removed, and only as the space is bound.
#[test]
fn what_is_here_wins_against_what_is_fetched() {
    let bound = |mode| Space { upstream: mode, settings: SettingsRevision(3), ..space(Enabled) };
    let through = bound(Some(Mode::ReadThrough));
    let nothing = KeyVersions::new(None, None);
    let pull = |space: &Space, there: &KeyVersions, revision, claimed| {
        plan_pull(Some(space), there, SettingsRevision(revision), claimed)
    };
    let kept = pull(&through, &nothing, 3, true).unwrap();
    assert!(kept.is_null_version && kept.retires.is_none() && kept.demotes.is_none());
    assert_eq!(pull(&through, &nothing, 3, false), Err(Denial::Overtaken), "removed, or fetched already");
    assert_eq!(pull(&through, &nothing, 2, true), Err(Denial::Overtaken), "bound in another way");
    for there in [version(1), marker(1)] {
        let there = KeyVersions::new(Some(there), None);
        assert_eq!(pull(&through, &there, 3, true), Err(Denial::Overtaken), "written here");
    }
    for mode in [None, Some(Mode::Observe), Some(Mode::Detached)] {
        assert_eq!(pull(&bound(mode), &nothing, 3, true), Err(Denial::Overtaken), "{mode:?}");
    }
    assert_eq!(plan_pull(None, &nothing, SettingsRevision(3), true), Err(Denial::Overtaken));
}
