//! A space that is mirrored to its upstream: whatever happens there and whenever the process dies, in the end the upstream
//! has what is here, nothing that was removed, and nothing that was never here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;
#[path = "common/mirroring.rs"]
mod mirroring;

use std::time::{Duration, Instant};

use bound::Bound;
use bytes::Bytes;
use common::{copy_to, noise, object, place, put_request, root, space};
use juststorage_core::application::admin::UpstreamChange;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::application::ports::metadata::PassKind;
use juststorage_core::application::workers::outbox::Passed;
use juststorage_core::domain::address::Key;
use juststorage_core::domain::object::Tags;
use juststorage_core::domain::patch::{AttributesPatch, Patch};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::upstream::Mode;
use juststorage_core::testing::upstream::{Fault, MODIFIED};
use mirroring::{
    MIB, Sending, aside, change, is_equal, mirrored, put, put_parts, set, space_id, tag, target, waiting,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Every kind of change reaches the upstream, as it is here bit for bit, and each key once however often it was changed.
#[tokio::test]
async fn what_happens_here_happens_there() {
    let bound = mirrored().await;
    let mut sending = Sending::of(&bound).await;
    put(&bound, "small", noise(1, 100)).await;
    put(&bound, "empty", Bytes::new()).await;
    put(&bound, "large", noise(2, 3 * MIB)).await;
    put(&bound, "gone", noise(3, 10)).await;
    put_parts(&bound, "parts", &[5 * MIB, 6 * MIB, 1]).await;
    put_parts(&bound, "one part", &[10]).await;
    for n in 0..5 {
        put(&bound, "often", noise(n, 50)).await;
    }
    assert_eq!(waiting(&bound).await, 7, "of a key one row waits");
    sending.all().await;
    is_equal(&bound).await;
    assert_eq!((bound.upstream.told().len(), bound.upstream.uploads()), (7, 0));
    assert_eq!(bound.upstream.object("parts").unwrap().1.etag.split('-').next_back(), Some("3"));

    let kind = Patch::Set("text/x".to_owned());
    let metadata = [("owner".to_owned(), Some("größe".to_owned()))].into();
    change(&bound, "parts", AttributesPatch { content_type: kind, metadata, ..AttributesPatch::default() })
        .await;
    tag(&bound, "small", [("k".to_owned(), "v".to_owned())].into()).await;
    bound.run.delete("gone").await;
    let sent = bound.upstream.calls("put");
    sending.all().await;
    assert_eq!(bound.upstream.object("gone"), None);
    assert_eq!(bound.upstream.calls("put"), sent, "tags alone send no bytes");
    assert_eq!(bound.upstream.object("small").unwrap().2.len(), 1);
    let (_, said, tags) = bound.upstream.object("parts").unwrap();
    let here = bound.run.store.head(&root(), &object("parts"), &ReadOptions::default()).await.unwrap().object;
    assert_eq!((said.etag.as_str(), tags), (here.etag.as_str(), here.tags));
    assert_eq!(said.metadata["owner"], "=?UTF-8?B?Z3LDtsOfZQ==?=");
    tag(&bound, "small", Tags::new()).await;
    sending.all().await;
    assert_eq!(bound.upstream.object("small").unwrap().2, Tags::new());
    // A row that comes again does nothing, and so does what is there already.
    let told = bound.upstream.told();
    set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
    sending.all().await;
    assert_eq!((bound.upstream.told(), waiting(&bound).await), (told, 0));
    bound.end().await;
}

/// What comes from the upstream does not go back; what is removed goes there, too, also if it never was here.
#[tokio::test]
async fn what_was_fetched_is_not_sent_back() {
    for versioning in [Versioning::Off, Versioning::Enabled] {
        let bound = mirrored().await;
        if versioning != Versioning::Off {
            bound.run.metadata.set_versioning(&space(), versioning, MODIFIED).await.unwrap().unwrap();
        }
        let mut sending = Sending::of(&bound).await;
        for key in ["fetched", "unseen", "kept", "replaced"] {
            bound.upstream.put(key, noise(1, 100));
        }
        bound.get("fetched").await.unwrap();
        bound.get("kept").await.unwrap();
        sending.all().await;
        assert_eq!((bound.upstream.told().len(), waiting(&bound).await), (0, 0));
        bound.run.delete("fetched").await;
        bound.run.delete("unseen").await;
        put(&bound, "replaced", noise(2, 7)).await;
        assert_eq!(waiting(&bound).await, 3);
        sending.all().await;
        assert_eq!(bound.upstream.keys(), ["kept", "replaced"], "{versioning:?}");
        is_equal(&bound).await;
        if versioning == Versioning::Enabled {
            // The marker goes: the version behind it is the latest again.
            let key = Key::new("fetched").unwrap();
            let marker = bound.run.metadata.latest(&place(), &key).await.unwrap().unwrap();
            let id = ObjectRef::Id(marker.object.id);
            bound.run.store.delete(&root(), &id, Preconditions::default()).await.unwrap();
            sending.all().await;
            assert_eq!(bound.upstream.object("fetched").unwrap().0, noise(1, 100));
        }
        let state = bound.run.metadata.mirror_state(space_id(&bound).await, 10).await.unwrap();
        assert_eq!((state.changed, state.dropped), (0, 0));
        bound.end().await;
    }
}

/// Whatever the upstream does, in the end it has what is here, and what was never here never shows there whole.
#[tokio::test]
async fn an_upstream_in_trouble_gets_everything_in_the_end() {
    let faults = [Fault::Away, Fault::Refused, Fault::Cut, Fault::Lost, Fault::Flipped];
    for (number, fault) in (0_u64..).zip(faults) {
        // Of two faults each has every other call.
        for at in (0..10).filter(|at| (at + number) % 2 == 0) {
            let bound = mirrored().await;
            let mut sending = Sending::of(&bound).await;
            put(&bound, "a", noise(1, 100)).await;
            put_parts(&bound, "b", &[5 * MIB, 3]).await;
            bound.upstream.put("c", noise(2, 10));
            bound.run.delete("c").await;
            // The call that comes after so many others.
            bound.upstream.fail_later(fault, at);
            let mut passes = 0;
            while waiting(&bound).await > 0 {
                sending.pass().await;
                // What was put aside has its time.
                bound.run.clock.advance(60 * 60 * 1000);
                passes += 1;
                assert!(passes < 100, "{fault:?} at call {at}: never sent");
            }
            bound.upstream.fail(fault, 0);
            is_equal(&bound).await;
            // Of an upload whose beginning was not answered nobody knows.
            let unknown = usize::from(fault == Fault::Lost);
            assert!(bound.upstream.uploads() <= unknown, "{fault:?} at call {at}: an upload is left");
            bound.end().await;
        }
    }
}

/// A key that is refused is put aside; the others go on. An upstream that is full still takes what makes room.
#[tokio::test]
async fn one_key_that_is_refused_holds_no_other() {
    let bound = mirrored().await;
    let mut sending = Sending::of(&bound).await;
    bound.upstream.hold("locked", true);
    for key in ["locked", "a", "b"] {
        put(&bound, key, noise(1, 100)).await;
    }
    for n in 0..20 {
        // Others have to be taken meanwhile: otherwise nothing tells one key from the whole upstream.
        put(&bound, "a", noise(n, 10)).await;
        sending.pass().await;
    }
    assert_eq!(aside(&bound).await.len(), 1);
    assert_eq!((bound.upstream.keys(), waiting(&bound).await), (vec!["a".to_owned(), "b".to_owned()], 1));
    bound.upstream.hold("locked", false);
    bound.run.clock.advance(60 * 60 * 1000);
    sending.all().await;
    assert_eq!((aside(&bound).await.len(), waiting(&bound).await), (0, 0));

    bound.upstream.has_room(Some(50));
    put(&bound, "big", noise(3, 100)).await;
    bound.run.delete("b").await;
    put(&bound, "little", noise(4, 10)).await;
    for _ in 0..20 {
        sending.pass().await;
    }
    assert_eq!(bound.upstream.object("b"), None, "what makes room is taken");
    assert!(bound.upstream.object("little").is_some());
    bound.upstream.has_room(None);
    bound.run.clock.advance(60 * 60 * 1000);
    sending.all().await;
    is_equal(&bound).await;
    bound.end().await;
}

/// What somebody else did upstream is noted, and what is here wins.
#[tokio::test]
async fn a_change_by_somebody_else_is_noted_and_loses() {
    let bound = mirrored().await;
    let mut sending = Sending::of(&bound).await;
    for key in ["fetched", "never seen", "removed"] {
        bound.upstream.put(key, noise(1, 100));
    }
    bound.get("fetched").await.unwrap();
    bound.get("removed").await.unwrap();
    put(&bound, "sent", noise(2, 100)).await;
    put(&bound, "again", noise(2, 100)).await;
    sending.all().await;
    for key in ["fetched", "removed", "sent"] {
        bound.upstream.put(key, noise(9, 9));
    }
    for key in ["fetched", "sent", "never seen", "again"] {
        put(&bound, key, noise(3, 30)).await;
    }
    bound.run.delete("removed").await;
    sending.all().await;
    is_equal(&bound).await;
    let state = bound.run.metadata.mirror_state(space_id(&bound).await, 10).await.unwrap();
    let mut changed: Vec<_> = state.changed_keys.iter().map(|(key, _)| key.as_str()).collect();
    changed.sort_unstable();
    assert_eq!(changed, ["fetched", "removed", "sent"]);
    let verified = bound.pass(PassKind::Verify).await;
    assert_eq!(verified["clean"], true, "{verified}");
    let refused = bound.admin.detach(&root(), &space()).await.unwrap_err().to_string();
    assert!(refused.contains("somebody else"), "{refused}");
    bound.run.clock.advance(61 * 60 * 1000);
    bound.pass(PassKind::Verify).await;
    bound.admin.detach(&root(), &space()).await.unwrap();
    bound.end().await;
}

/// A mirror begins with what was changed before; going back keeps what waits, and a space is detached only with nothing to send.
#[tokio::test]
async fn a_mirror_begins_and_ends_with_nothing_missing() {
    let bound = Bound::new(Mode::ReadThrough).await;
    for key in ["a", "edited", "gone", "replaced", "untouched", "unseen"] {
        bound.upstream.put(key, noise(1, 100));
    }
    for key in ["a", "edited", "untouched"] {
        bound.get(key).await.unwrap();
    }
    bound.run.delete("gone").await;
    put(&bound, "replaced", noise(2, 20)).await;
    put(&bound, "new", noise(3, 30)).await;
    // By its content, as the native API has it: the upstream cannot have that tag.
    bound.run.put("native", noise(4, 40)).await.unwrap();
    tag(&bound, "edited", [("k".to_owned(), "v".to_owned())].into()).await;
    set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
    assert_eq!(waiting(&bound).await, 5, "edited, gone, native, new, replaced");
    let verified = bound.pass(PassKind::Verify).await;
    assert_eq!((&verified["waiting"], &verified["found"]), (&4.into(), &1.into()), "{verified}");
    let refused = bound.admin.detach(&root(), &space()).await.unwrap_err().to_string();
    assert!(refused.contains("5 changes wait"), "{refused}");
    // What waits is sent in an earlier mode, too; what is written then is not.
    bound.set(Mode::ReadThrough).await;
    put(&bound, "later", noise(5, 50)).await;
    assert_eq!(waiting(&bound).await, 5);
    let mut sending = Sending::of(&bound).await;
    sending.all().await;
    assert_eq!(bound.upstream.object("later"), None);
    set(&bound, UpstreamChange { mode: Some(Mode::Mirror), ..UpstreamChange::default() }).await;
    sending.all().await;
    bound.pass(PassKind::Backfill).await;
    let verified = bound.pass(PassKind::Verify).await;
    assert_eq!((&verified["clean"], &verified["matched"]), (&true.into(), &8.into()), "{verified}");
    assert_eq!(bound.upstream.object("native").unwrap().0, noise(4, 40));
    bound.admin.detach(&root(), &space()).await.unwrap();
    put(&bound, "after", noise(6, 60)).await;
    assert_eq!(waiting(&bound).await, 0);
    bound.admin.forget_upstream(&root(), &space()).await.unwrap();
    assert!(target(&bound).await.is_none(), "its target goes with it");
    bound.end().await;
}

/// The bound on what waits: refused, or dropped with a note that a pass over all keys makes good.
#[tokio::test]
async fn what_has_no_room_is_refused_or_made_good_later() {
    let bound = mirrored().await;
    let rows = |rows: u64, refuse: bool| UpstreamChange {
        mirror_rows_max: Some(rows),
        mirror_refuse: Some(refuse),
        ..UpstreamChange::default()
    };
    let mut sending = Sending::of(&bound).await;
    set(&bound, rows(2, true)).await;
    put(&bound, "a", noise(1, 10)).await;
    put(&bound, "b", noise(1, 10)).await;
    waiting(&bound).await;
    let request = PutRequest { etag: EtagStyle::Md5, ..put_request("c") };
    let refused = bound.run.store.put(&root(), request, Body::of_bytes(noise(1, 10))).await;
    assert!(refused.is_err() && !bound.is_here("c").await);
    sending.all().await;
    set(&bound, rows(2, false)).await;
    put(&bound, "a", noise(3, 10)).await;
    put(&bound, "b", noise(3, 10)).await;
    waiting(&bound).await;
    put(&bound, "c", noise(1, 10)).await;
    // One that waits is sent as it is then: nothing is missed.
    put(&bound, "a", noise(2, 10)).await;
    let state = async || bound.run.metadata.mirror_state(space_id(&bound).await, 10).await.unwrap();
    assert_eq!(state().await.dropped, 1);
    sending.all().await;
    assert_eq!(bound.upstream.keys(), ["a", "b"]);
    // Tags that nobody is told of: no listing shows that they differ.
    bound.upstream.describe("b", [("x".to_owned(), "y".to_owned())].into(), |_| {});
    let verified = bound.pass(PassKind::Verify).await;
    assert_eq!(verified["clean"], false, "{verified}");
    let refused = bound.admin.detach(&root(), &space()).await.unwrap_err().to_string();
    assert!(refused.contains("dropped"), "{refused}");
    bound.run.clock.advance(1000);
    set(&bound, rows(100, false)).await;
    assert_eq!((state().await.dropped, waiting(&bound).await), (0, 3));
    sending.all().await;
    is_equal(&bound).await;
    assert_eq!(bound.pass(PassKind::Verify).await["clean"], true);
    bound.end().await;
}

/// A server that was paused until another one sends in its place changes nothing any more.
#[tokio::test]
async fn only_one_server_sends() {
    let bound = mirrored().await;
    let (mut first, mut second) = (Sending::as_holder(&bound, 1).await, Sending::as_holder(&bound, 2).await);
    put(&bound, "k", noise(1, 200 << 10)).await;
    let gate = bound.upstream.gate();
    let paused = tokio::spawn(async move {
        let passed = first.0.pass(&CancellationToken::new()).await;
        (first, passed)
    });
    while bound.upstream.calls("put") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(second.pass().await, Passed::Elsewhere);
    gate.add_permits(1000);
    let (_, passed) = paused.await.unwrap();
    assert_eq!(passed.unwrap(), Passed::More);
    is_equal(&bound).await;
    assert_eq!((bound.upstream.told().len(), waiting(&bound).await), (1, 0));
    bound.end().await;
}

/// The process dies after each of its calls to the upstream and each of its transactions; the next one goes on. Nothing is lost,
/// nothing comes back, and no change of its own is taken for somebody else's.
#[tokio::test]
async fn a_process_that_dies_while_it_sends_loses_nothing() {
    let mut point = 0;
    loop {
        let bound = mirrored().await;
        bound.upstream.put("removed", noise(1, 10));
        bound.upstream.put("replaced", noise(1, 10));
        bound.get("removed").await.unwrap();
        bound.get("replaced").await.unwrap();
        put(&bound, "replaced", noise(2, 20)).await;
        put_parts(&bound, "parts", &[5 * MIB, 3]).await;
        bound.run.delete("removed").await;
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
        put(&bound, "replaced", noise(3, 30)).await;
        put(&bound, "parts", noise(3, 30)).await;
        let mut next = Sending::of(&bound).await;
        next.all().await;
        is_equal(&bound).await;
        assert_eq!(bound.upstream.keys(), ["parts", "replaced"], "died at call {point}");
        // Of an upload that had begun when the process died, and was not noted yet, nobody knows.
        assert!(bound.upstream.uploads() <= 1, "died at call {point}");
        assert_eq!(waiting(&bound).await, 0, "died at call {point}");
        let state = bound.run.metadata.mirror_state(space_id(&bound).await, 10).await.unwrap();
        assert_eq!(state.changed, 0, "died at call {point}: {:?}", state.changed_keys);
        bound.end().await;
        if !died {
            assert!(point > 10, "every call is a point: {point}");
            return;
        }
        point += 1;
    }
}

/// A copy of an object that was fetched keeps its entity tag here, also one of an upload in parts: it is sent in those parts.
#[tokio::test]
async fn a_copy_of_what_was_fetched_has_the_same_tag_on_both_sides() {
    let bound = mirrored().await;
    let mut sending = Sending::of(&bound).await;
    // The second layout that is tried is the right one; of one object the parts are in no size that is tried.
    bound.upstream.put_parts("usual", noise(1, 23 * MIB), &[8 * MIB, 8 * MIB, 7 * MIB]);
    bound.upstream.put_parts("odd", noise(2, 23 * MIB), &[6 * MIB, 9 * MIB, 8 * MIB]);
    for key in ["usual", "odd"] {
        let copy = copy_to(object(key), &format!("copy of {key}"));
        bound.run.store.copy(&root(), copy).await.unwrap();
    }
    sending.all().await;
    let tags_of = |key: &str| {
        let (key, there) = (key.to_owned(), bound.upstream.object(key).unwrap().1.etag);
        let store = bound.run.store.clone();
        async move {
            let head = store.head(&root(), &object(&key), &ReadOptions::default()).await.unwrap();
            (there, head.object.etag.as_str().to_owned())
        }
    };
    let (there, here) = tags_of("copy of usual").await;
    assert_eq!((&there, there.ends_with("-3")), (&here, true));
    let (there, here) = tags_of("copy of odd").await;
    assert!(here.ends_with("-3") && !there.contains('-'), "{there} and {here}");
    assert_eq!(bound.upstream.object("copy of odd").unwrap().0, noise(2, 23 * MIB));
    assert_eq!(bound.pass(PassKind::Verify).await["clean"], true, "its tag there is known");
    assert_eq!(bound.upstream.uploads(), 0);
    bound.end().await;
}

/// Where an upstream encrypts with keys of its own, a tag looks like an MD5 and is none: a copy under it is sent all the same.
#[tokio::test]
async fn a_tag_that_is_not_made_of_the_bytes_is_not_sent_as_their_digest() {
    let bound = mirrored().await;
    let mut sending = Sending::of(&bound).await;
    let (whole, parts) = ("0123456789abcdef".repeat(2), format!("{}-2", "0123456789abcdef".repeat(2)));
    bound.upstream.put_as("whole", noise(1, 100), &whole, None);
    bound.upstream.put_as("parts", noise(2, 9 * MIB), &parts, Some(vec![5 * MIB as u64, 4 * MIB as u64]));
    bound.upstream.tell_parts();
    for key in ["whole", "parts"] {
        bound.upstream.describe(key, Tags::new(), |said| said.opaque_etag = true);
        bound.get(key).await.unwrap();
        let copy = copy_to(object(key), &format!("copy of {key}"));
        bound.run.store.copy(&root(), copy).await.unwrap();
        // The object itself is sent once what it carries is another.
        let content_type = Patch::Set("text/x".to_owned());
        change(&bound, key, AttributesPatch { content_type, ..AttributesPatch::default() }).await;
    }
    sending.all().await;
    for (key, bytes) in [("whole", noise(1, 100)), ("parts", noise(2, 9 * MIB))] {
        for key in [key.to_owned(), format!("copy of {key}")] {
            assert_eq!(bound.upstream.object(&key).unwrap().0, bytes, "{key}");
        }
    }
    assert_eq!(bound.pass(PassKind::Verify).await["clean"], true, "their tags there are known");
    assert_eq!(bound.upstream.uploads(), 0);
    bound.end().await;
}

/// The mirror asks no more of its target than its operator allows, as the other work in the background.
#[tokio::test]
async fn a_mirror_keeps_to_the_pace_of_its_target() {
    let bound = mirrored().await;
    let pace = UpstreamChange {
        requests_per_second: Some(Some(100)),
        bytes_per_second: Some(Some(10_000)),
        ..UpstreamChange::default()
    };
    bound.admin.set_upstream(&root(), &space(), &pace).await.unwrap();
    let mut sending = Sending::of(&bound).await;
    for n in 0..50 {
        put(&bound, &format!("small/{n}"), noise(n, 1)).await;
    }
    let began = Instant::now();
    sending.all().await;
    // Two requests for each key. A quarter of a second may be ahead.
    assert!(began.elapsed() > Duration::from_millis(650), "{:?} for 100 requests", began.elapsed());
    for n in 0..10 {
        put(&bound, &format!("large/{n}"), noise(n, 1000)).await;
    }
    let began = Instant::now();
    sending.all().await;
    assert!(began.elapsed() > Duration::from_millis(550), "{:?} for 10,000 bytes", began.elapsed());
    is_equal(&bound).await;
    bound.end().await;
}

/// What a client writes while both sides are compared is not taken for a difference, and what differs is.
#[tokio::test]
async fn what_is_written_during_a_comparison_is_no_finding() {
    let bound = mirrored().await;
    for key in ["a", "b", "c", "d"] {
        put(&bound, key, noise(1, 100)).await;
    }
    let mut sending = Sending::of(&bound).await;
    sending.all().await;
    bound.upstream.put("d", noise(9, 100));
    let gate = bound.upstream.late_listings();
    let (report, ()) = tokio::join!(bound.pass(PassKind::Verify), async {
        while bound.upstream.late() == 0 {
            tokio::task::yield_now().await;
        }
        // The upstream has shown what it had, and nobody has heard of it yet.
        put(&bound, "a", noise(2, 100)).await;
        bound.run.delete("b").await;
        put(&bound, "e", noise(3, 100)).await;
        sending.all().await;
        gate.add_permits(1000);
    });
    let (differ, matched) = (&report["differ"], &report["matched"]);
    assert_eq!((differ, matched), (&Value::from(1), &Value::from(3)), "{report}");
    assert_eq!(report["findings"][0]["key"], "d", "{report}");
    bound.end().await;
}
