#![allow(clippy::unwrap_used)]
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::acl::CannedAcl;
use crate::domain::address::{Key, Namespace, SpaceAddress, Tenant};
use crate::domain::blob::{BlobId, Hash};
use crate::domain::etag::Etag;
use crate::domain::object::{Content, Headers, Object, ObjectId, Tags, UserMetadata};
use crate::domain::object_lock::ObjectLock;
use crate::domain::space::SettingsRevision;
use crate::domain::space::{SpaceId, Versioning};
use crate::domain::storage_class::StorageClass;

const DAY_MILLIS: i64 = 86_400_000;

/// 2023-11-14T22:13:20Z.
const WRITTEN: Timestamp = Timestamp(1_700_000_000_000);

/// The midnight after that.
const MIDNIGHT: Timestamp = Timestamp(1_700_006_400_000);

fn days(count: i64) -> Timestamp {
    Timestamp(MIDNIGHT.millis() + count * DAY_MILLIS)
}

fn object(key: &str, size: u64, tags: &[(&str, &str)]) -> Object {
    let address = SpaceAddress::new(Namespace::new("n").unwrap(), Tenant::new("t").unwrap());
    Object {
        id: ObjectId(Uuid::from_u128(1)),
        space: SpaceId(1),
        address,
        versioning: Versioning::Enabled,
        settings: SettingsRevision(1),
        upstream: None,
        key: Some(Key::new(key).unwrap()),
        content: Some(Content::leaf(BlobId(Uuid::from_u128(2)), Hash::of(b"x"), size)),
        etag: Etag::md5(&[0; 16]),
        class: StorageClass::Hot,
        headers: Headers::default(),
        metadata: UserMetadata::new(),
        tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Tags>(),
        checksum: None,
        lock: ObjectLock::default(),
        class_name: None,
        acl: CannedAcl::Private,
        is_latest: true,
        is_null_version: false,
        created_at: WRITTEN,
    }
}

fn marker(key: &str) -> Object {
    Object { content: None, ..object(key, 0, &[]) }
}

fn rule() -> Rule {
    Rule { id: "r".to_owned(), enabled: true, ..Rule::default() }
}

fn lifecycle(rules: impl IntoIterator<Item = Rule>) -> Lifecycle {
    let rules = (0..).zip(rules).map(|(n, rule)| Rule { id: format!("{n}"), ..rule }).collect();
    Lifecycle { rules, small_objects_move: false }
}

fn current(lifecycle: &Lifecycle, object: &Object, now: Timestamp) -> Option<LifecycleVerdict> {
    lifecycle.judge(Candidate { object, position: Position::Current }, now, Day::REAL)
}

fn noncurrent(
    lifecycle: &Lifecycle,
    object: &Object,
    newer: u32,
    now: Timestamp,
) -> Option<LifecycleVerdict> {
    let position = Position::Noncurrent { since: WRITTEN, newer };
    lifecycle.judge(Candidate { object, position }, now, Day::REAL)
}

#[test]
fn days_end_at_midnight_and_short_ones_at_once() {
    assert_eq!(Day::REAL.after(WRITTEN, 1), days(1));
    assert_eq!(Day::REAL.after(MIDNIGHT, 1), days(1), "midnight is not rounded up to the next");
    assert_eq!(Day::of(Duration::from_secs(10)).after(WRITTEN, 3), WRITTEN.plus(Duration::from_secs(30)));
}

#[test]
fn objects_expire_by_age_date_prefix_size_and_tag() {
    let of = |filter| lifecycle([Rule { expiration: Some(Expiration::Days(1)), filter, ..rule() }]);
    let prefixed = of(Filter { prefix: Some("a/".into()), ..Filter::default() });
    let one = object("a/1", 10, &[("k", "v"), ("l", "w")]);
    assert_eq!(current(&prefixed, &one, Timestamp(days(1).millis() - 1)), None);
    assert_eq!(current(&prefixed, &one, days(1)), Some(LifecycleVerdict::Expire));
    assert_eq!(current(&prefixed, &object("b/1", 10, &[]), days(9)), None);
    let tagged = of(Filter { tags: [("k".into(), "v".into())].into(), ..Filter::default() });
    assert_eq!(current(&tagged, &one, days(1)), Some(LifecycleVerdict::Expire));
    assert_eq!(current(&tagged, &object("a/1", 10, &[("k", "x")]), days(1)), None);
    let large = of(Filter { larger_than: Some(9), smaller_than: Some(11), ..Filter::default() });
    assert_eq!(current(&large, &one, days(1)), Some(LifecycleVerdict::Expire));
    assert_eq!(current(&large, &object("a/1", 9, &[]), days(1)), None);
    assert_eq!(current(&large, &object("a/1", 11, &[]), days(1)), None);
    let dated = lifecycle([Rule { expiration: Some(Expiration::Date(days(3))), ..rule() }]);
    assert_eq!(current(&dated, &one, days(2)), None);
    assert_eq!(current(&dated, &one, days(3)), Some(LifecycleVerdict::Expire));
    let off = lifecycle([Rule { enabled: false, ..dated.rules[0].clone() }]);
    assert_eq!(current(&off, &one, days(9)), None);
    assert!(!off.is_in_force() && dated.is_in_force());
}

#[test]
fn markers_go_only_by_rules_for_them() {
    let only = lifecycle([Rule { expiration: Some(Expiration::DeleteMarkers(true)), ..rule() }]);
    assert_eq!(current(&only, &marker("a"), WRITTEN), Some(LifecycleVerdict::RemoveMarker));
    assert_eq!(current(&only, &object("a", 1, &[]), days(99)), None);
    let aged = lifecycle([Rule { expiration: Some(Expiration::Days(2)), ..rule() }]);
    assert_eq!(current(&aged, &marker("a"), days(1)), None);
    assert_eq!(current(&aged, &marker("a"), days(2)), Some(LifecycleVerdict::RemoveMarker));
    let off = lifecycle([Rule { expiration: Some(Expiration::DeleteMarkers(false)), ..rule() }]);
    assert_eq!(current(&off, &marker("a"), days(99)), None);
}

#[test]
fn replaced_versions_go_but_the_newest_stay() {
    let expiration = NoncurrentExpiration { days: 1, keep_newest: Some(2) };
    let rules = lifecycle([Rule { noncurrent_expiration: Some(expiration), ..rule() }]);
    let one = object("a", 1, &[]);
    assert_eq!(noncurrent(&rules, &one, 1, days(5)), None);
    assert_eq!(noncurrent(&rules, &one, 2, Timestamp(days(1).millis() - 1)), None);
    assert_eq!(noncurrent(&rules, &one, 2, days(1)), Some(LifecycleVerdict::Remove));
    assert_eq!(noncurrent(&rules, &marker("a"), 2, days(1)), Some(LifecycleVerdict::Remove));
    assert_eq!(current(&rules, &one, days(99)), None);
}

#[test]
fn objects_cool_unless_they_are_small_or_cold_or_go_anyway() {
    let transition = Transition { due: Due::Days(1), class_name: "GLACIER_IR".into() };
    let cooling = Rule { transitions: vec![transition], ..rule() };
    let rules = lifecycle([cooling.clone()]);
    let large = object("a", TRANSITION_BYTES_MIN, &[]);
    let small = object("a", TRANSITION_BYTES_MIN - 1, &[]);
    assert_eq!(current(&rules, &large, days(1)), Some(LifecycleVerdict::Cool));
    assert_eq!(current(&rules, &Object { class: StorageClass::Cold, ..large.clone() }, days(1)), None);
    assert_eq!(current(&rules, &small, days(1)), None);
    let any_size = Lifecycle { small_objects_move: true, ..rules.clone() };
    assert_eq!(current(&any_size, &small, days(1)), Some(LifecycleVerdict::Cool));
    let sized = Filter { larger_than: Some(0), ..Filter::default() };
    assert_eq!(
        current(&lifecycle([Rule { filter: sized, ..cooling.clone() }]), &small, days(1)),
        Some(LifecycleVerdict::Cool)
    );
    let going = Rule { expiration: Some(Expiration::Days(1)), ..rule() };
    assert_eq!(current(&lifecycle([cooling, going]), &large, days(1)), Some(LifecycleVerdict::Expire));
    let transition = NoncurrentTransition { days: 1, keep_newest: None, class_name: "GLACIER_IR".into() };
    let rules = lifecycle([Rule { noncurrent_transitions: vec![transition], ..rule() }]);
    assert_eq!(noncurrent(&rules, &large, 0, days(1)), Some(LifecycleVerdict::Cool));
    assert_eq!(noncurrent(&rules, &marker("a"), 0, days(1)), None);
}

#[test]
fn uploads_are_aborted_by_prefix_and_age() {
    let filter = Filter { prefix: Some("a".into()), ..Filter::default() };
    let rules = lifecycle([Rule { abort_uploads_days: Some(2), filter, ..rule() }]);
    assert!(!rules.aborts("a", WRITTEN, days(1), Day::REAL));
    assert!(rules.aborts("a", WRITTEN, days(2), Day::REAL));
    assert!(!rules.aborts("b", WRITTEN, days(2), Day::REAL));
    assert!(rules.aborts_any() && !lifecycle([rule()]).aborts_any());
}

#[test]
fn the_earliest_expiry_is_announced() {
    let of = |days| Rule { expiration: Some(Expiration::Days(days)), ..rule() };
    let rules = lifecycle([of(5), of(2), Rule { enabled: false, ..of(1) }]);
    assert_eq!(rules.expiry(&object("a", 1, &[])), Some((days(2), "1")));
    assert_eq!(rules.expiry(&marker("a")), None);
    assert_eq!(rules.expiry(&Object { is_latest: false, ..object("a", 1, &[]) }), None);
}

#[test]
fn what_s3_refuses_is_refused() {
    let field =
        |rules: Vec<Rule>| Lifecycle { rules, ..Lifecycle::default() }.validate().map_err(|e| e.field);
    let expiring = |expiration| Rule { expiration: Some(expiration), ..rule() };
    assert_eq!(field(vec![]), Ok(()));
    assert_eq!(field(vec![expiring(Expiration::Days(1))]), Ok(()));
    assert_eq!(field(vec![rule()]), Err("lifecycle_rule"));
    assert_eq!(field(vec![expiring(Expiration::Days(0))]), Err("lifecycle"));
    assert_eq!(field(vec![expiring(Expiration::Date(WRITTEN))]), Err("lifecycle"));
    assert_eq!(field(vec![expiring(Expiration::Date(MIDNIGHT))]), Ok(()));
    assert_eq!(field(vec![expiring(Expiration::Days(1)), expiring(Expiration::Days(1))]), Err("lifecycle"));
    assert_eq!(field(vec![Rule { id: "i".repeat(256), ..expiring(Expiration::Days(1)) }]), Err("lifecycle"));
    let tagged = Filter { tags: [("k".into(), "v".into())].into(), ..Filter::default() };
    let marker = expiring(Expiration::DeleteMarkers(true));
    assert_eq!(field(vec![Rule { filter: tagged.clone(), ..marker }]), Err("lifecycle_rule"));
    let abort = Rule { abort_uploads_days: Some(1), ..rule() };
    assert_eq!(field(vec![Rule { filter: tagged, ..abort.clone() }]), Err("lifecycle_rule"));
    assert_eq!(field(vec![Rule { abort_uploads_days: Some(0), ..abort }]), Err("lifecycle"));
    let sizes = Filter { larger_than: Some(5), smaller_than: Some(6), ..Filter::default() };
    assert_eq!(field(vec![Rule { filter: sizes, ..expiring(Expiration::Days(1)) }]), Err("lifecycle_rule"));
    let cool = |days, class: &str| Transition { due: Due::Days(days), class_name: class.into() };
    let cooling = |transition| Rule { transitions: vec![transition], ..rule() };
    assert_eq!(field(vec![cooling(cool(0, "GLACIER_IR"))]), Ok(()));
    assert_eq!(field(vec![cooling(cool(29, "STANDARD_IA"))]), Err("lifecycle"));
    assert_eq!(field(vec![cooling(cool(30, "STANDARD_IA"))]), Ok(()));
    let late = Rule { expiration: Some(Expiration::Days(30)), ..cooling(cool(30, "STANDARD_IA")) };
    assert_eq!(field(vec![late]), Err("lifecycle"));
    let keep = |keep| Rule {
        noncurrent_expiration: Some(NoncurrentExpiration { days: 1, keep_newest: Some(keep) }),
        ..rule()
    };
    assert_eq!(field(vec![keep(0)]), Err("lifecycle"));
    assert_eq!(field(vec![keep(101)]), Err("lifecycle"));
    assert_eq!(field(vec![keep(100)]), Ok(()));
}

proptest! {
    /// A verdict never comes before the rule's time, and never goes away with time alone.
    #[test]
    fn verdicts_come_once_and_stay(age in 0_i64..400, days in 1_u32..300, short in any::<bool>()) {
        let rules = lifecycle([Rule { expiration: Some(Expiration::Days(days)), ..rule() }]);
        let day = if short { Day::of(Duration::from_secs(60)) } else { Day::REAL };
        let length = i64::try_from(day.length().as_millis()).unwrap();
        let object = object("a", 1, &[]);
        let at = |moment: Timestamp| {
            rules.judge(Candidate { object: &object, position: Position::Current }, moment, day)
        };
        let now = Timestamp(WRITTEN.millis() + age * length);
        if age < i64::from(days) {
            prop_assert_eq!(at(now), None);
        }
        if age > i64::from(days) {
            prop_assert_eq!(at(now), Some(LifecycleVerdict::Expire));
        }
        if at(now).is_some() {
            prop_assert!(at(Timestamp(now.millis() + length)).is_some());
        }
    }

    /// The listing that a pass reads leaves out no key that a rule concerns.
    #[test]
    fn the_common_prefix_covers_every_rule(prefixes in prop::collection::vec("[aä/]{0,4}", 1..5), rest in "[aä/]{0,3}") {
        let rules = lifecycle(prefixes.iter().map(|prefix| Rule {
            filter: Filter { prefix: Some(prefix.clone()), ..Filter::default() },
            expiration: Some(Expiration::Days(1)),
            ..rule()
        }));
        for prefix in &prefixes {
            let key = format!("{prefix}{rest}");
            prop_assert!(key.starts_with(rules.common_prefix()));
        }
    }
}
