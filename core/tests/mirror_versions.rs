//! Where both sides keep versions, a mirror sends each of them: whatever happens there and whenever the process dies, in the end
//! the upstream has the versions and delete markers that are here, in their order, and none twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;
#[path = "common/mirroring.rs"]
mod mirroring;

use bound::Bound;
use bytes::Bytes;
use common::{noise, root, space};
use futures::TryStreamExt as _;
use juststorage_core::application::admin::UpstreamChange;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::ports::metadata::{Found, PassKind};
use juststorage_core::domain::address::Key;
use juststorage_core::domain::object::{ObjectId, Tags};
use juststorage_core::domain::patch::{AttributesPatch, Patch};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::upstream::Mode;
use juststorage_core::testing::upstream::{Fault, MODIFIED};
use mirroring::{MIB, Sending, change, put, put_parts, set, space_id, tag, waiting};

/// A version as it is compared: its bytes, entity tag and tags; nothing of a delete marker.
type Version = Option<(Bytes, String, Tags)>;

async fn found(bound: &Bound, key: &str) -> Vec<Found> {
    let key = Key::new(key).unwrap();
    bound.run.metadata.versions_after(space_id(bound).await, &key, None, 1000).await.unwrap()
}

async fn here(bound: &Bound, key: &str) -> Vec<Version> {
    let mut all = Vec::new();
    for Found { object, .. } in found(bound, key).await {
        if object.is_delete_marker() {
            all.push(None);
            continue;
        }
        let read = bound.run.store.get(&root(), &ObjectRef::Id(object.id), &ReadOptions::default()).await;
        let pieces: Vec<Bytes> = read.unwrap().body.try_collect().await.unwrap();
        all.push(Some((pieces.concat().into(), object.etag.as_str().to_owned(), object.tags)));
    }
    all
}

/// Both sides have the same versions of each of the keys, and the upstream no other keys.
async fn are_equal(bound: &Bound, keys: &[&str], what: &str) {
    let mut some = Vec::new();
    for key in keys {
        let (mine, theirs) = (here(bound, key).await, bound.upstream.versions_of(key));
        let short = |versions: &[Version]| -> Vec<_> {
            versions.iter().map(|version| version.as_ref().map(|(_, etag, _)| etag.clone())).collect()
        };
        assert_eq!(short(&mine), short(&theirs), "{key}: {what}");
        assert!(mine == theirs, "{key}: {what}");
        if !mine.is_empty() {
            some.push((*key).to_owned());
        }
    }
    some.sort_unstable();
    assert_eq!(bound.upstream.keys_with_versions(), some, "{what}");
}

async fn remove_version(bound: &Bound, id: ObjectId) {
    bound.run.store.delete(&root(), &ObjectRef::Id(id), Preconditions::default()).await.unwrap();
}

async fn versioned(mode: Mode) -> Bound {
    let bound = Bound::new(mode).await;
    bound.upstream.keep_versions(true);
    version(&bound, Versioning::Enabled).await;
    bound
}

async fn version(bound: &Bound, versioning: Versioning) {
    bound.run.metadata.set_versioning(&space(), versioning, MODIFIED).await.unwrap().unwrap();
}

/// Of a key one row waits however often it was changed; what is sent is every version.
#[tokio::test]
async fn every_version_arrives_in_order() {
    let bound = versioned(Mode::Mirror).await;
    let mut sending = Sending::of(&bound).await;
    let keys = ["a", "b", "far", "gone", "parts"];
    for n in 0..3 {
        put(&bound, "a", noise(n, 50)).await;
    }
    bound.run.delete("a").await;
    put(&bound, "a", noise(1, 50)).await;
    put(&bound, "a", noise(1, 50)).await;
    bound.run.delete("gone").await;
    bound.run.delete("gone").await;
    put_parts(&bound, "parts", &[5 * MIB, 3]).await;
    put_parts(&bound, "parts", &[5 * MIB, 5 * MIB, 7]).await;
    put(&bound, "b", noise(7, 9)).await;
    bound.upstream.put("far", noise(5, 100));
    bound.get("far").await.unwrap();
    put(&bound, "far", noise(6, 10)).await;
    assert_eq!(waiting(&bound).await, 5, "of a key one row waits");
    sending.all().await;
    are_equal(&bound, &keys, "all at once").await;

    // What is removed here by its version goes there, and so does a marker: what is behind it shows again.
    let versions = found(&bound, "a").await;
    for at in [1, 3] {
        remove_version(&bound, versions[at].object.id).await;
    }
    remove_version(&bound, found(&bound, "gone").await[1].object.id).await;
    remove_version(&bound, found(&bound, "parts").await[1].object.id).await;
    let far = found(&bound, "far").await;
    assert!(far[0].object.is_null_version);
    remove_version(&bound, far[0].object.id).await;
    sending.all().await;
    are_equal(&bound, &keys, "versions removed").await;
    for key in ["gone", "b"] {
        for version in found(&bound, key).await {
            remove_version(&bound, version.object.id).await;
        }
    }
    // Made and removed before it was sent: it never shows there.
    put(&bound, "b", noise(8, 9)).await;
    let made = found(&bound, "b").await[0].object.id;
    put(&bound, "b", noise(9, 9)).await;
    remove_version(&bound, made).await;
    sending.all().await;
    are_equal(&bound, &keys, "all versions removed").await;

    // In place: the latest is replaced there, under another id and at the same place.
    tag(&bound, "a", [("k".to_owned(), "v".to_owned())].into()).await;
    let kind = Patch::Set("text/x".to_owned());
    change(&bound, "far", AttributesPatch { content_type: kind, ..AttributesPatch::default() }).await;
    sending.all().await;
    are_equal(&bound, &keys, "changed in place").await;
    assert_eq!(bound.upstream.object("far").unwrap().1.headers.content_type.as_deref(), Some("text/x"));
    // Nothing is done for what is equal.
    let (told, removed) = (bound.upstream.told(), bound.upstream.calls("remove_version"));
    set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
    sending.all().await;
    assert_eq!((bound.upstream.told(), bound.upstream.calls("remove_version")), (told, removed));
    bound.end().await;
}

/// Suspended versioning replaces the null version, and so does the mirror; a bucket that keeps no versions has the latest.
#[tokio::test]
async fn versions_are_as_both_sides_keep_them() {
    let bound = versioned(Mode::Mirror).await;
    let mut sending = Sending::of(&bound).await;
    put(&bound, "k", noise(1, 10)).await;
    sending.all().await;
    version(&bound, Versioning::Suspended).await;
    for n in 2..4 {
        put(&bound, "k", noise(n, 10)).await;
        sending.all().await;
        are_equal(&bound, &["k"], "suspended").await;
    }
    bound.run.delete("k").await;
    sending.all().await;
    are_equal(&bound, &["k"], "suspended").await;
    assert_eq!(found(&bound, "k").await.len(), 2);
    // Somebody else writes there: what is here is the latest all the same, and what was there stays.
    bound.upstream.put("k", noise(9, 9));
    put(&bound, "k", noise(4, 10)).await;
    sending.all().await;
    assert_eq!(bound.upstream.object("k").unwrap().0, noise(4, 10));
    let there: Vec<_> =
        bound.upstream.versions_of("k").into_iter().flatten().map(|(bytes, ..)| bytes).collect();
    assert_eq!(there, [noise(1, 10), noise(9, 9), noise(4, 10)]);
    let state = bound.run.metadata.mirror_state(space_id(&bound).await, 10).await.unwrap();
    assert_eq!(state.changed, 1);

    version(&bound, Versioning::Enabled).await;
    bound.upstream.keep_versions(false);
    for n in 5..8 {
        put(&bound, "other", noise(n, 10)).await;
    }
    // What was known of the bucket is found out to be wrong.
    sending.all().await;
    set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
    sending.all().await;
    assert_eq!(bound.upstream.object("other").unwrap().0, noise(7, 10));
    bound.end().await;
}

/// What was written before the mirror began is sent by its pass, also keys that no listing shows.
#[tokio::test]
async fn a_mirror_begins_with_every_version() {
    let bound = versioned(Mode::ReadThrough).await;
    let keys = ["deleted", "far", "new", "untouched"];
    for key in ["far", "untouched"] {
        bound.upstream.put(key, noise(1, 100));
    }
    bound.get("untouched").await.unwrap();
    for n in 2..4 {
        put(&bound, "far", noise(n, 10)).await;
        put(&bound, "new", noise(n, 10)).await;
        put(&bound, "deleted", noise(n, 10)).await;
    }
    bound.run.delete("deleted").await;
    set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
    assert_eq!(waiting(&bound).await, 3, "what was fetched is there");
    let mut sending = Sending::of(&bound).await;
    sending.all().await;
    are_equal(&bound, &keys, "from before").await;
    // What is removed while nothing is told, too.
    bound.set(Mode::ReadThrough).await;
    remove_version(&bound, found(&bound, "far").await[1].object.id).await;
    remove_version(&bound, found(&bound, "deleted").await[0].object.id).await;
    set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
    assert_eq!(waiting(&bound).await, 2);
    sending.all().await;
    are_equal(&bound, &keys, "removed meanwhile").await;
    bound.end().await;
}

/// A comparison looks at every version and marker, also behind the latest, of keys that no listing of keys shows, and of more
/// keys than a page has.
#[tokio::test]
async fn a_comparison_looks_at_every_version() {
    let bound = versioned(Mode::ReadThrough).await;
    for n in 1..3 {
        bound.upstream.put("own", noise(n, 10));
    }
    bound.get("own").await.unwrap();
    set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
    let mut sending = Sending::of(&bound).await;
    put(&bound, "own", noise(3, 10)).await;
    for key in ["deleted", "k1", "k2", "k3", "k4", "lost"] {
        for n in 0..3 {
            put(&bound, key, noise(n, 20)).await;
        }
    }
    // More of one than a page has.
    for n in 0..9 {
        put(&bound, "many", noise(n, 20)).await;
        bound.run.delete("many").await;
    }
    bound.run.put("native", noise(1, 5)).await.unwrap();
    bound.run.delete("deleted").await;
    sending.all().await;
    let report = bound.pass(PassKind::Verify).await;
    assert_eq!(report["clean"], true, "{report}");
    let versions = serde_json::json!({"keys": 9, "versions": 2 + 19 + 18 + 1, "differ": 0, "only_upstream": 1, "needless_markers": 0, "waiting": 0});
    assert_eq!(report["versions"], versions);
    // Paced, each page is a step of its own.
    let pace = UpstreamChange { requests_per_second: Some(Some(1_000_000)), ..UpstreamChange::default() };
    set(&bound, pace).await;
    assert_eq!(bound.pass(PassKind::Verify).await["versions"], versions);

    bound.upstream.lose_version("deleted", 1);
    bound.upstream.lose_version("many", 5);
    bound.upstream.lose_version("lost", 0);
    let report = bound.pass(PassKind::Verify).await;
    assert_eq!(
        (&report["found"], &report["versions"]["differ"], &report["differ"]),
        (&3.into(), &3.into(), &0.into())
    );
    let found: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|one| (&one["key"], &one["why"])).collect();
    for (key, why) in [
        ("deleted", "a version did not reach the upstream"),
        ("lost", "a version did not reach the upstream"),
        ("many", "a delete marker did not reach the upstream"),
    ] {
        assert!(found.contains(&(&key.into(), &why.into())), "{key}: {report}");
    }
    assert!(bound.admin.detach(&root(), &space()).await.is_err(), "not clean");
    bound.end().await;
}

/// `MinIO` makes no delete marker where nothing shows: it answers with the one that is there, or with none. What is sent is as good:
/// each marker goes there that can, and none that another version stands on is taken for another's and removed with it.
#[tokio::test]
async fn an_upstream_makes_no_marker_where_nothing_shows() {
    for offers_request in [true, false] {
        let bound = versioned(Mode::ReadThrough).await;
        bound.upstream.put("theirs", noise(9, 10));
        bound.upstream.remove("theirs");
        bound.upstream.fold_markers(offers_request);
        set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
        let mut sending = Sending::of(&bound).await;
        put(&bound, "k", noise(1, 10)).await;
        for key in ["k", "k", "nothing", "nothing", "theirs", "theirs"] {
            bound.run.delete(key).await;
            sending.all().await;
        }
        put(&bound, "k", noise(2, 10)).await;
        put(&bound, "nothing", noise(3, 10)).await;
        sending.all().await;
        let there = |key: &str| -> Vec<bool> {
            bound.upstream.versions_of(key).iter().map(Option::is_some).collect()
        };
        let expected = if offers_request { vec![true, false, false, true] } else { vec![true, false, true] };
        assert_eq!((there("k"), there("nothing")), (expected, vec![true]));
        let report = bound.pass(PassKind::Verify).await;
        // Of theirs, the one that is there stands for both.
        let needless = if offers_request { 2 } else { 4 };
        assert_eq!(
            (&report["clean"], &report["versions"]["needless_markers"]),
            (&true.into(), &needless.into()),
            "{report}"
        );

        // A marker goes; what it hid stays hidden by the other one, also by the upstream's own.
        if offers_request {
            remove_version(&bound, found(&bound, "k").await[1].object.id).await;
        }
        for version in found(&bound, "theirs").await {
            remove_version(&bound, version.object.id).await;
        }
        sending.all().await;
        assert_eq!(there("k"), [true, false, true]);
        assert_eq!(there("theirs"), [true, false]);
        let report = bound.pass(PassKind::Verify).await;
        assert_eq!((&report["clean"], &report["versions"]["differ"]), (&true.into(), &0.into()), "{report}");
        bound.end().await;
    }
}

/// What a client writes while versions are compared is not taken for a difference.
#[tokio::test]
async fn versions_written_during_a_comparison_are_no_finding() {
    let bound = versioned(Mode::Mirror).await;
    for key in ["a", "b", "c"] {
        put(&bound, key, noise(1, 10)).await;
    }
    let mut sending = Sending::of(&bound).await;
    sending.all().await;
    let gate = bound.upstream.late_listings();
    // That of the keys goes on.
    gate.add_permits(1);
    let (report, ()) = tokio::join!(bound.pass(PassKind::Verify), async {
        while bound.upstream.late() < 2 {
            tokio::task::yield_now().await;
        }
        put(&bound, "a", noise(2, 10)).await;
        bound.run.delete("b").await;
        sending.all().await;
        put(&bound, "c", noise(3, 10)).await;
        gate.add_permits(1000);
    });
    assert_eq!((&report["clean"], &report["versions"]["differ"]), (&true.into(), &0.into()), "{report}");
    assert_eq!(report["versions"]["waiting"], 1, "{report}");
    bound.end().await;
}

/// Puts, parts, a native object, a delete marker, and a version that goes.
async fn changes(bound: &Bound, seed: u64) {
    put(bound, "k", noise(seed, 20)).await;
    put(bound, "k", noise(seed, 20)).await;
    bound.run.put("native", noise(seed, 30)).await.unwrap();
    put_parts(bound, "k", &[5 * MIB, 3]).await;
    bound.run.delete("k").await;
    bound.run.delete("k").await;
    put(bound, "k", noise(seed + 1, 20)).await;
    let versions = found(bound, "k").await;
    remove_version(bound, versions[versions.len() - 5].object.id).await;
}

/// The native API's entity tag is not the upstream's: bytes and order are compared, not that.
async fn native_is_equal(bound: &Bound, what: &str) {
    let bytes = |versions: Vec<Version>| -> Vec<_> {
        versions.into_iter().map(|version| version.map(|(bytes, ..)| bytes)).collect()
    };
    let theirs = bytes(bound.upstream.versions_of("native"));
    assert!(bytes(here(bound, "native").await) == theirs, "native: {what}: {} there", theirs.len());
}

/// Whatever the upstream does, in the end it has every version once.
#[tokio::test]
async fn an_upstream_in_trouble_gets_every_version_once() {
    let faults = [Fault::Away, Fault::Refused, Fault::Lost, Fault::Flipped];
    for (number, fault) in (0_u64..).zip(faults) {
        // Of two faults each has every other call.
        for at in (0..24).filter(|at| (at + number) % 2 == 0) {
            let bound = versioned(Mode::Mirror).await;
            bound.upstream.fold_markers(true);
            let mut sending = Sending::of(&bound).await;
            changes(&bound, 1).await;
            bound.upstream.fail_later(fault, at);
            let mut passes = 0;
            while waiting(&bound).await > 0 {
                sending.pass().await;
                bound.run.clock.advance(60 * 60 * 1000);
                passes += 1;
                assert!(passes < 100, "{fault:?} at call {at}: never sent");
            }
            is_all_equal(&bound, &format!("{fault:?} at call {at}")).await;
            bound.end().await;
        }
    }
}

async fn is_all_equal(bound: &Bound, what: &str) {
    native_is_equal(bound, what).await;
    let (mine, theirs) = (here(bound, "k").await, bound.upstream.versions_of("k"));
    let short = |versions: &[Version]| -> Vec<_> {
        versions.iter().map(|version| version.as_ref().map(|(_, etag, _)| etag.clone())).collect()
    };
    assert_eq!(short(&mine), short(&theirs), "{what}");
    assert!(mine == theirs, "{what}");
}

/// The process dies before and after each of its calls; the next one goes on. No version is lost, none comes twice.
#[tokio::test]
async fn a_process_that_dies_sends_every_version_once() {
    let mut point = 0;
    loop {
        let bound = versioned(Mode::Mirror).await;
        bound.upstream.fold_markers(true);
        bound.upstream.put("k", noise(9, 10));
        bound.get("k").await.unwrap();
        changes(&bound, 1).await;
        let died = {
            let mut sending = Sending::of(&bound).await;
            bound.upstream.hang_at(point);
            let upstream = bound.upstream.clone();
            let hung = async move {
                while !upstream.hangs() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                () = sending.all() => false,
                () = hung => true,
            }
        };
        bound.upstream.go_on();
        if point % 2 == 1 {
            // And its operator goes back, and forth again.
            bound.set(Mode::ReadThrough).await;
            set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
        }
        // Changed once more before the next process looks.
        changes(&bound, 3).await;
        let mut next = Sending::of(&bound).await;
        next.all().await;
        is_all_equal(&bound, &format!("died at call {point}")).await;
        assert_eq!(waiting(&bound).await, 0, "died at call {point}");
        let state = bound.run.metadata.mirror_state(space_id(&bound).await, 10).await.unwrap();
        assert_eq!(state.changed, 0, "died at call {point}: {:?}", state.changed_keys);
        bound.end().await;
        if !died {
            assert!(point > 15, "every call is a point: {point}");
            return;
        }
        point += 1;
    }
}
