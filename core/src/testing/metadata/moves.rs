//! Moves of objects to other keys.

use super::bench::{Bench, absent, etag, key, matching, refusal};
use crate::application::ports::metadata::{
    ListQuery, MetadataStore, MoveObject, Mutation, MutationOutcome, Refusal, SpaceRef,
};
use crate::domain::address::{Namespace, SpaceAddress};
use crate::domain::limits::{Quota, QuotaPart};
use crate::domain::object::{Attributes, Object, ObjectId};
use crate::domain::object_lock::{LockConfig, ObjectLock};
use crate::domain::space::Versioning;

async fn move_of(bench: &Bench<'_>, change: MoveObject) -> Result<MutationOutcome, Refusal> {
    bench.one(Mutation::Move(Box::new(change))).await
}

async fn versions(bench: &Bench<'_>, name: &str) -> Vec<Object> {
    let query = ListQuery { versions: true, prefix: name.to_owned(), ..bench.everything().await };
    bench.store.list(&query).await.unwrap()
}

fn beside(bench: &Bench<'_>) -> SpaceAddress {
    let namespace = format!("{}-b", bench.space.namespace);
    SpaceAddress::new(Namespace::new(&namespace).unwrap(), bench.space.tenant.clone())
}

/// It has a new id, the same blob and all that it carried; the old key is free, and nothing is stored twice. Across
/// spaces, over an object, and from no key at all.
pub async fn a_moved_object_is_under_its_new_key_alone(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let mut put = bench.put("a", b"1");
    put.attributes = Attributes {
        metadata: [("m".to_owned(), "v".to_owned())].into(),
        tags: [("t".to_owned(), "v".to_owned())].into(),
        ..Attributes::default()
    };
    let first = super::bench::object(bench.try_put(put).await);
    bench.has_put("b", b"over").await;
    let (moved, marker) = bench.has_moved(bench.rename(first.id, "a", "b")).await;
    assert_eq!((moved.key.as_ref(), marker), (Some(&key("b")), None));
    assert_ne!(moved.id, first.id);
    assert_eq!((moved.content, &moved.etag), (first.content, &first.etag));
    assert_eq!((&moved.metadata, &moved.tags, moved.class), (&first.metadata, &first.tags, first.class));
    bench.assert_latest("a", None).await;
    assert_eq!(bench.find("b").await.unwrap().object, moved);
    assert_eq!(versions(&bench, "").await.len(), 1);

    // Into a space that is made by it, and back.
    let there = beside(&bench);
    let away = MoveObject { space: there.clone(), ..bench.rename(moved.id, "b", "b") };
    let (away, _) = bench.has_moved(away).await;
    assert_eq!(away.address, there);
    assert_eq!(bench.names(&bench.everything().await).await, Vec::<String>::new());
    let back = MoveObject { from: there, ..bench.rename(away.id, "b", "c") };
    bench.has_moved(back).await;
    bench.assert_latest("c", Some(b"1")).await;

    let keyless = bench.has_put("", b"2").await;
    bench.has_moved(bench.rename(keyless.id, "", "d")).await;
    bench.assert_latest("d", Some(b"2")).await;
    assert_eq!(refusal(move_of(&bench, bench.rename(keyless.id, "", "e")).await), Refusal::NoSuchObject);
    bench.collect().await;
    assert_eq!(bench.names(&bench.everything().await).await, ["c", "d"]);
    bench.finish().await;
}

/// The source keeps its versions, as by a delete, and the target those that it has; suspended, the null version goes.
pub async fn with_versioning_a_move_leaves_a_marker(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.set_versioning(Versioning::Enabled).await;
    let first = bench.has_put("a", b"1").await;
    let target = bench.has_put("b", b"2").await;
    let (moved, marker) = bench.has_moved(bench.rename(first.id, "a", "b")).await;
    let ids: Vec<_> = versions(&bench, "a").await.iter().map(|version| version.id).collect();
    assert_eq!(ids, [marker.unwrap(), first.id]);
    let ids: Vec<_> = versions(&bench, "b").await.iter().map(|version| version.id).collect();
    assert_eq!(ids, [moved.id, target.id]);
    bench.assert_latest("a", None).await;

    bench.set_versioning(Versioning::Suspended).await;
    let null = bench.has_put("a", b"3").await;
    let (_, marker) = bench.has_moved(bench.rename(null.id, "a", "b")).await;
    let left = versions(&bench, "a").await;
    assert_eq!(left.first().map(|version| version.id), marker);
    assert!(left.iter().all(|version| version.id != null.id), "the marker is the null version");
    bench.finish().await;
}

/// Conditions on both ends, a source that is not what was looked at, and one that is not there: nothing changes.
pub async fn a_move_is_decided_on_what_is_there(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let first = bench.has_put("a", b"1").await;
    bench.has_put("b", b"2").await;
    let change = || bench.rename(first.id, "a", "b");
    for (change, why) in [
        (MoveObject { preconditions: absent(), ..change() }, Refusal::PreconditionFailed),
        (MoveObject { preconditions: matching(b"1"), ..change() }, Refusal::PreconditionFailed),
        (MoveObject { source_preconditions: matching(b"2"), ..change() }, Refusal::PreconditionFailed),
        (MoveObject { preconditions: matching(b"2"), key: key("c"), ..change() }, Refusal::NoSuchObject),
        (bench.rename(ObjectId::fresh(bench.now()), "a", "b"), Refusal::Changed),
        (bench.rename(first.id, "nothing", "b"), Refusal::Changed),
        (MoveObject { from: beside(&bench), ..change() }, Refusal::NoSuchObject),
    ] {
        assert_eq!(refusal(move_of(&bench, change).await), why);
        bench.assert_latest("a", Some(b"1")).await;
        bench.assert_latest("b", Some(b"2")).await;
    }
    let there = bench.store.space(&SpaceRef::Space(beside(&bench))).await.unwrap();
    assert_eq!(there, None, "a refused move makes no space");
    let change =
        MoveObject { source_preconditions: matching(b"1"), preconditions: matching(b"2"), ..change() };
    bench.has_moved(change).await;
    bench.assert_latest("b", Some(b"1")).await;
    // A marker is nothing to move.
    bench.set_versioning(Versioning::Enabled).await;
    let (marker, _) = bench.has_deleted(bench.delete("b")).await;
    let change = bench.rename(marker.unwrap().id, "b", "a");
    assert_eq!(refusal(move_of(&bench, change).await), Refusal::NoSuchObject);
    bench.finish().await;
}

/// One batch writes, moves twice, and writes again.
pub async fn a_move_sees_the_changes_before_it(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let put = bench.put("a", b"1");
    let (first, second) = (bench.rename(put.id, "a", "b"), bench.put("a", b"2"));
    let third = bench.rename(first.id, "b", "c");
    let changes = vec![
        Mutation::Put(Box::new(put)),
        Mutation::Move(Box::new(first)),
        Mutation::Put(Box::new(second)),
        Mutation::Move(Box::new(third)),
    ];
    assert!(bench.commit(changes).await.iter().all(Result::is_ok));
    for (name, body) in [("a", Some(&b"2"[..])), ("b", None), ("c", Some(&b"1"[..]))] {
        assert_eq!(bench.tag(name).await, body.map(etag), "{name}");
    }
    bench.finish().await;
}

/// Object lock holds a version, not a key: the source keeps it behind a marker, and the target is another version.
pub async fn a_held_version_stays_where_it_is(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_put("before", b"0").await;
    bench.store.set_object_lock(&bench.space, None, LockConfig::default()).await.unwrap().unwrap();
    let mut put = bench.put("a", b"1");
    put.attributes.lock = ObjectLock { legal_hold: Some(true), ..ObjectLock::default() };
    let held = super::bench::object(bench.try_put(put).await);
    let (moved, marker) = bench.has_moved(bench.rename(held.id, "a", "b")).await;
    assert!(marker.is_some() && moved.lock.is_empty(), "{moved:?}");
    let left = versions(&bench, "a").await;
    assert_eq!(
        left.iter().find(|version| version.id == held.id).map(|version| version.lock),
        Some(held.lock)
    );
    bench.finish().await;
}

/// A tenant that has used up its quota can still rename, unless a marker and another version come of it.
pub async fn a_rename_needs_no_room(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let first = bench.has_put("a", b"12345").await;
    let quota = Some(Quota { bytes: Some(5), objects: Some(1) });
    let change = MoveObject { quota, ..bench.rename(first.id, "a", "b") };
    let (moved, _) = bench.has_moved(change).await;
    bench.set_versioning(Versioning::Enabled).await;
    for (quota, part) in [
        (Quota { bytes: Some(9), objects: None }, QuotaPart::Bytes),
        (Quota { bytes: None, objects: Some(2) }, QuotaPart::Objects),
    ] {
        let change = MoveObject { quota: Some(quota), ..bench.rename(moved.id, "b", "c") };
        assert_eq!(refusal(move_of(&bench, change).await), Refusal::QuotaExceeded(part));
    }
    let quota = Some(Quota { bytes: Some(10), objects: Some(3) });
    bench.has_moved(MoveObject { quota, ..bench.rename(moved.id, "b", "c") }).await;
    bench.finish().await;
}

/// At the same time to two keys: one of them has it.
pub async fn of_two_moves_of_one_object_one_wins(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let other = bench.another_writer().await;
    for round in 0..8 {
        let source = bench.has_put("a", format!("{round}").as_bytes()).await;
        let (left, right) = tokio::join!(
            move_of(&bench, bench.rename(source.id, "a", "left")),
            move_of(&other, other.rename(source.id, "a", "right"))
        );
        let wins = [&left, &right].into_iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(wins, 1, "{left:?} {right:?}");
        bench.assert_latest("a", None).await;
        let name = if left.is_ok() { "left" } else { "right" };
        bench.assert_latest(name, Some(format!("{round}").as_bytes())).await;
    }
    bench.finish().await;
}
