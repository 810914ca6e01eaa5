//! The outbox: rows that are written with the changes that they tell of, and stay until they are acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::bench::{Bench, matching, object, refusal};
use crate::application::ports::metadata::{
    ExpireObject, MetadataStore, Mutation, OutboxRow, OutboxTarget, PutObject, Refusal, Replay, ReplayFrom,
    TargetRemoval, UpdateObject,
};
use crate::domain::event::{
    Cause, EventKind, EventName, Facts, How, NotificationRule, Notifications, Overflow, TargetKind,
    TargetName,
};
use crate::domain::object::{ObjectId, Tags};
use crate::domain::patch::AttributesPatch;
use crate::domain::precondition::Preconditions;
use crate::domain::settings::{Setting, SettingKind};
use crate::domain::space::Versioning;
use crate::domain::storage_class::StorageClass;
use crate::domain::versioning::Expiry;

const KEEP: Duration = Duration::from_secs(60);

fn target(bench: &Bench<'_>, rows_max: u64, overflow: Overflow) -> OutboxTarget {
    OutboxTarget {
        name: TargetName::new(&format!("t{}", Uuid::new_v4().simple())).unwrap(),
        kind: TargetKind::Webhook,
        settings: "{}".to_owned(),
        secret: Some(vec![1, 2, 3]),
        rows_max,
        overflow,
        keep: KEEP,
        created_at: bench.now(),
    }
}

/// Declares a target of which there is room for many rows.
async fn declared(bench: &Bench<'_>) -> OutboxTarget {
    let target = target(bench, 1000, Overflow::Refuse);
    assert!(bench.store.put_outbox_target(&target).await.unwrap());
    target
}

fn rules(target: &OutboxTarget, events: &[&str], prefix: &str) -> Setting {
    let rule = NotificationRule {
        id: "r".to_owned(),
        target: target.name.clone(),
        kind: target.kind,
        events: events.iter().map(|name| EventName::parse(name).unwrap()).collect(),
        prefix: Some(prefix.to_owned()),
        suffix: None,
    };
    Setting::Notifications(Notifications { bucket: Some("b".to_owned()), rules: vec![rule] })
}

const EVERY: &[&str] = &[
    "s3:ObjectCreated:*",
    "s3:ObjectRemoved:*",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleTransition",
    "s3:ObjectTagging:*",
];

/// From now on the space tells the target of every change.
async fn tells(bench: &Bench<'_>, target: &OutboxTarget) {
    bench.store.make_space(&bench.space, bench.now()).await.unwrap();
    bench.store.put_setting(&bench.space, None, &rules(target, EVERY, ""), None).await.unwrap().unwrap();
}

async fn rows(bench: &Bench<'_>, target: &OutboxTarget) -> Vec<OutboxRow> {
    bench.store.outbox_page(&target.name, 0, 1000).await.unwrap()
}

fn seqs(rows: &[OutboxRow]) -> Vec<i64> {
    rows.iter().map(|row| row.seq).collect()
}

async fn told(bench: &Bench<'_>, target: &OutboxTarget) -> Vec<(String, EventKind)> {
    let rows = rows(bench, target).await;
    rows.into_iter().map(|row| (row.key, row.event.unwrap().0)).collect()
}

async fn finish(bench: Bench<'_>, target: &OutboxTarget) {
    bench.store.delete_setting(&bench.space, None, SettingKind::Notifications).await.unwrap().unwrap();
    bench.store.remove_outbox_target(&target.name, true).await.unwrap();
    bench.finish().await;
}

/// Every kind of change, in the order in which it was made; and nothing of what was refused, is not asked for, or happens in a
/// space that tells nobody.
pub async fn a_change_is_told_with_its_commit(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let target = declared(&bench).await;
    bench.has_put("before", b"0").await;
    tells(&bench, &target).await;
    let first = bench.has_put("a", b"1").await;
    let copied = PutObject { cause: Cause { how: How::Copy, origin: None }, ..bench.put("b", b"1") };
    let copied = object(bench.try_put(copied).await);
    refusal(bench.try_put(PutObject { preconditions: matching(b"never"), ..bench.put("a", b"2") }).await);
    bench.has_moved(bench.rename(copied.id, "b", "c")).await;
    let update = |id, class, attributes| {
        let cause = Cause { how: How::Lifecycle, origin: None };
        let preconditions = Preconditions::default();
        Mutation::Update(Box::new(UpdateObject { id, class, attributes, lock: None, preconditions, cause }))
    };
    bench.one(update(first.id, Some(StorageClass::Cold), None)).await.unwrap();
    let tags: Tags = [("k".to_owned(), "v".to_owned())].into();
    bench.one(update(first.id, None, Some(AttributesPatch::tags(tags.clone())))).await.unwrap();
    let expire =
        ExpireObject { id: first.id, tags, expiry: Expiry::Current, marker_id: ObjectId::fresh(bench.now()) };
    bench.one(Mutation::Expire(Box::new(expire))).await.unwrap();
    bench.one(Mutation::Delete(Box::new(bench.delete("c")))).await.unwrap();
    bench.one(Mutation::Delete(Box::new(bench.delete("never")))).await.unwrap();
    let expected = [
        ("a", EventKind::Put),
        ("b", EventKind::Copy),
        ("c", EventKind::Copy),
        ("b", EventKind::Delete),
        ("a", EventKind::LifecycleTransition),
        ("a", EventKind::TaggingPut),
        ("a", EventKind::LifecycleDelete),
        ("c", EventKind::Delete),
    ];
    assert_eq!(told(&bench, &target).await, expected.map(|(key, kind)| (key.to_owned(), kind)));
    let facts = rows(&bench, &target).await.remove(0).event.unwrap().1;
    let Facts { bucket, tenant, object_id, size, etag, rule, .. } = facts;
    assert_eq!((bucket.as_str(), tenant.as_str()), ("b", bench.space.tenant.as_str()));
    assert_eq!((object_id, size, rule.as_deref()), (Some(first.id.to_string()), Some(1), Some("r")));
    assert_eq!(etag.as_deref(), Some(first.etag.as_str()));

    // With versions, a delete hides; and only what begins as the rule says is told.
    store.set_versioning(&bench.space, Versioning::Enabled, bench.now()).await.unwrap().unwrap();
    let some = rules(&target, &["s3:ObjectRemoved:DeleteMarkerCreated"], "v/");
    store.put_setting(&bench.space, None, &some, None).await.unwrap().unwrap();
    let before = rows(&bench, &target).await.len();
    for key in ["v/k", "k"] {
        bench.has_put(key, b"1").await;
        bench.one(Mutation::Delete(Box::new(bench.delete(key)))).await.unwrap();
    }
    let after = told(&bench, &target).await;
    assert_eq!(after[before..], [("v/k".to_owned(), EventKind::DeleteMarkerCreated)]);
    finish(bench, &target).await;
}

/// Version ids ascend within a key as its commits: so do the numbers of rows, whatever transactions run at once.
pub async fn rows_of_a_key_ascend_as_their_commits(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let target = declared(&bench).await;
    store.set_versioning(&bench.space, Versioning::Enabled, bench.now()).await.unwrap().unwrap();
    tells(&bench, &target).await;
    let mut writers =
        vec![bench.another_writer().await, bench.another_writer().await, bench.another_writer().await];
    writers.push(bench.another_writer().await);
    let puts = writers.iter().map(|writer| async move {
        for n in 0..12_u32 {
            let batch = ["k", "l", "k"].map(|key| Mutation::Put(Box::new(writer.put(key, &n.to_le_bytes()))));
            for outcome in writer.commit(batch.to_vec()).await {
                object(outcome);
            }
        }
    });
    futures::future::join_all(puts).await;
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows(&bench, &target).await {
        by_key.entry(row.key).or_default().push(row.event.unwrap().1.object_id.unwrap());
    }
    assert_eq!(by_key.values().map(Vec::len).collect::<Vec<_>>(), [96, 48]);
    for (key, ids) in by_key {
        assert!(ids.is_sorted(), "rows of {key} are not in the order of its commits: {ids:?}");
    }
    for writer in writers {
        writer.finish().await;
    }
    finish(bench, &target).await;
}

/// A row stays until it is acknowledged, by the last process that took over; then it is kept for a while and can be told again.
pub async fn a_row_waits_until_it_is_acknowledged(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let target = declared(&bench).await;
    tells(&bench, &target).await;
    let mut bell = store.outbox_bell();
    bell.mark_unchanged();
    for key in ["a", "b", "c"] {
        bench.has_put(key, b"1").await;
    }
    assert!(bell.has_changed().unwrap(), "a commit does not ring");
    let waiting = rows(&bench, &target).await;
    assert_eq!(waiting.len(), 3);
    let name = &target.name;
    let epoch = store.take_over_outbox(name).await.unwrap().unwrap();
    let now = bench.now();
    let mut acknowledged = store.outbox_acknowledged();
    acknowledged.mark_unchanged();
    assert!(store.acknowledge(name, epoch, &[waiting[1].seq], now, KEEP).await.unwrap());
    assert!(acknowledged.has_changed().unwrap(), "who waits for it is told");
    assert_eq!(seqs(&rows(&bench, &target).await), [waiting[0].seq, waiting[2].seq]);
    assert_eq!(store.outbox_page(name, waiting[0].seq, 10).await.unwrap(), [waiting[2].clone()]);

    let later = store.take_over_outbox(name).await.unwrap().unwrap();
    assert!(!store.acknowledge(name, epoch, &[waiting[0].seq], now, KEEP).await.unwrap());
    assert_eq!(rows(&bench, &target).await.len(), 2, "who was followed acknowledges nothing");
    assert!(store.acknowledge(name, later, &[waiting[0].seq], now, Duration::ZERO).await.unwrap());

    let figures = store.outbox_figures().await.unwrap();
    let of_target = figures.into_iter().find(|figures| figures.name == *name).unwrap();
    assert_eq!((of_target.waiting, of_target.oldest), (1, Some(waiting[2].created_at)));

    // What was not kept cannot be told again; what was is the same row.
    let from = |from| Replay { from, after: i64::MIN, delivered_by: now };
    let none = store.replay_outbox(name, from(ReplayFrom::Sequence(waiting[2].seq)), 10).await.unwrap();
    assert_eq!(none, [0_i64; 0]);
    let replay = from(ReplayFrom::Time(waiting[0].created_at));
    assert_eq!(store.replay_outbox(name, replay, 10).await.unwrap(), [waiting[1].seq]);
    assert_eq!(rows(&bench, &target).await, waiting[1..]);
    assert!(store.acknowledge(name, later, &seqs(&waiting[1..]), now, KEEP).await.unwrap());
    assert_eq!(store.purge_outbox(name, now, 10).await.unwrap(), 0);
    assert_eq!(store.purge_outbox(name, now.plus(KEEP), 1).await.unwrap(), 1);
    assert_eq!(store.purge_outbox(name, now.plus(KEEP), 10).await.unwrap(), 1);
    finish(bench, &target).await;
}

/// What is delivered while a replay goes on is no part of it, whatever the clocks of servers say: so it comes to an end.
pub async fn a_replay_takes_each_row_once(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let target = declared(&bench).await;
    tells(&bench, &target).await;
    for key in ["a", "b", "c", "d"] {
        bench.has_put(key, b"1").await;
    }
    let name = &target.name;
    let (all, epoch) =
        (seqs(&rows(&bench, &target).await), store.take_over_outbox(name).await.unwrap().unwrap());
    let delivered = bench.now();
    assert!(store.acknowledge(name, epoch, &all, delivered, KEEP).await.unwrap());
    let begun = Replay {
        from: ReplayFrom::Sequence(all[1]),
        after: i64::MIN,
        delivered_by: delivered.plus(Duration::from_millis(1)),
    };
    let first = store.replay_outbox(name, begun, 2).await.unwrap();
    assert_eq!(first, all[1..3]);
    // They are delivered again at once: by this clock, and by one that is behind.
    assert!(store.acknowledge(name, epoch, &first, delivered, KEEP).await.unwrap());
    let next = Replay { after: first[1], ..begun };
    assert_eq!(store.replay_outbox(name, next, 2).await.unwrap(), all[3..]);
    let later = delivered.plus(Duration::from_millis(2));
    assert!(store.acknowledge(name, epoch, &all[3..], later, KEEP).await.unwrap());
    bench.has_put("e", b"1").await;
    let new = seqs(&rows(&bench, &target).await);
    assert!(store.acknowledge(name, epoch, &new, later, KEEP).await.unwrap());
    let end = Replay { after: all[3], ..begun };
    assert_eq!(
        store.replay_outbox(name, end, 2).await.unwrap(),
        [0_i64; 0],
        "nothing that came after it began"
    );
    finish(bench, &target).await;
}

/// A target stays while a space names it, and, unless they are discarded, while rows wait for it. A space names no target that
/// there is not.
pub async fn a_target_stays_while_it_is_needed(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let target = target(&bench, 10, Overflow::Drop);
    store.make_space(&bench.space, bench.now()).await.unwrap();
    let refused = store.put_setting(&bench.space, None, &rules(&target, EVERY, ""), None).await.unwrap();
    assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
    assert!(bench.space().await.settings.is_untouched(), "a refused setting leaves a trace");
    assert!(store.put_outbox_target(&target).await.unwrap());
    let known = store.outbox_targets().await.unwrap();
    assert!(known.contains(&target));
    let other = OutboxTarget { kind: TargetKind::Nats, ..target.clone() };
    assert!(!store.put_outbox_target(&other).await.unwrap(), "a kind is changed");
    let changed = OutboxTarget { settings: "{\"url\":\"x\"}".to_owned(), secret: None, ..target.clone() };
    assert!(store.put_outbox_target(&changed).await.unwrap());
    tells(&bench, &target).await;
    assert_eq!(store.outbox_spaces(&target.name).await.unwrap(), std::slice::from_ref(&bench.space));
    assert_eq!(store.remove_outbox_target(&target.name, true).await.unwrap(), TargetRemoval::Named(1));
    bench.has_put("k", b"1").await;
    store.delete_setting(&bench.space, None, SettingKind::Notifications).await.unwrap().unwrap();
    bench.has_put("k", b"2").await;
    assert_eq!(rows(&bench, &target).await.len(), 1, "a rule that is gone still tells");
    assert_eq!(store.remove_outbox_target(&target.name, false).await.unwrap(), TargetRemoval::Waiting(1));
    assert_eq!(store.remove_outbox_target(&target.name, true).await.unwrap(), TargetRemoval::Removed(1));
    assert_eq!(store.remove_outbox_target(&target.name, true).await.unwrap(), TargetRemoval::Missing);
    assert_eq!(store.take_over_outbox(&target.name).await.unwrap(), None);
    bench.finish().await;
}

/// Where too much waits, changes are refused and write nothing, or events are dropped and changes go on.
pub async fn a_full_target_refuses_or_drops(store: &dyn MetadataStore) {
    for overflow in [Overflow::Refuse, Overflow::Drop] {
        let bench = Bench::new(store).await;
        let target = target(&bench, 3, overflow);
        assert!(store.put_outbox_target(&target).await.unwrap());
        tells(&bench, &target).await;
        // As a server does it, again and again.
        store.outbox_figures().await.unwrap();
        let put = |key: &str| Mutation::Put(Box::new(bench.put(key, b"1")));
        let mut outcomes = bench.commit(vec![put("1"), put("2")]).await;
        outcomes.extend(bench.commit(vec![put("3"), put("4"), put("5")]).await);
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let full = |outcome: &Result<_, _>| matches!(outcome, Err(Refusal::OutboxFull(name)) if *name == target.name);
        let delete = Mutation::Delete(Box::new(bench.delete("1")));
        match overflow {
            Overflow::Refuse => {
                assert_eq!((done, outcomes.iter().filter(|outcome| full(outcome)).count()), (3, 2));
                assert!(full(&bench.one(delete).await), "a delete must be told too");
            }
            Overflow::Drop => {
                assert_eq!(done, 5);
                bench.one(delete).await.unwrap();
            }
        }
        assert_eq!(rows(&bench, &target).await.len(), 3);
        // Once something was taken, there is room again.
        let epoch = store.take_over_outbox(&target.name).await.unwrap().unwrap();
        let first = rows(&bench, &target).await[0].seq;
        assert!(store.acknowledge(&target.name, epoch, &[first], bench.now(), KEEP).await.unwrap());
        object(bench.one(put("6")).await);
        assert_eq!(rows(&bench, &target).await.len(), 3);
        finish(bench, &target).await;
    }
}
