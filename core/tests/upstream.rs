//! Spaces that read through to an upstream: nothing is kept or served whole that is not proved, nothing that was removed
//! comes back, and what is here always wins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;

use std::sync::Arc;
use std::time::Duration;

use bound::Bound;
use bytes::Bytes;
use common::{Running, noise, object, place, put_request, root, space};
use futures::TryStreamExt as _;
use futures::future::join_all;
use juststorage_core::application::access::{Access, AuthMode, MasterKey, MasterKeys};
use juststorage_core::application::admin::UpstreamChange;
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::put::PutRequest;
use juststorage_core::application::ports::metadata::PassKind;
use juststorage_core::application::upstream::UpstreamSetup;
use juststorage_core::domain::address::{Key, Tenant};
use juststorage_core::domain::etag::Etag;
use juststorage_core::domain::identity::StoreId;
use juststorage_core::domain::object::Tags;
use juststorage_core::domain::precondition::{EtagCondition, Preconditions};
use juststorage_core::domain::range::ByteRange;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::upstream::{Mode, Source};
use juststorage_core::testing::upstream::{FakeUpstream, Fault, MODIFIED};
use serde_json::Value;
use uuid::Uuid;

/// What a client saw at the old store it sees here: from then on also without that.
#[tokio::test]
async fn an_object_is_read_through_proved_and_kept() {
    let bound = Bound::new(Mode::ReadThrough).await;
    for (key, size) in [("empty", 0), ("small", 1000), ("larger", 3 << 20)] {
        let bytes = noise(size as u64, size);
        bound.upstream.put(key, bytes.clone());
        let tags: Tags = [("team".to_owned(), "search".to_owned())].into();
        bound.upstream.describe(key, tags.clone(), |said| {
            said.headers.content_type = Some("text/x".into());
            said.metadata.insert("owner".into(), "me".into());
        });
        let head = bound.run.store.head(&root(), &object(key), &ReadOptions::default()).await.unwrap();
        assert_eq!(
            (head.source, bound.is_here(key).await),
            (Some(Source::Upstream), false),
            "HEAD never pulls"
        );
        let gets = bound.upstream.calls("get");
        assert_eq!(bound.get(key).await.unwrap(), (Some(Source::Pulled), bytes.clone()), "{key}");
        while !bound.is_here(key).await {
            tokio::task::yield_now().await;
        }
        assert_eq!(bound.get(key).await.unwrap(), (Some(Source::Local), bytes));
        assert_eq!(bound.upstream.calls("get"), gets + 1, "{key} is fetched once");
        let kept = bound.run.store.head(&root(), &object(key), &ReadOptions::default()).await.unwrap().object;
        let seen = head.object;
        assert_eq!((&kept.etag, kept.created_at, &kept.headers), (&seen.etag, MODIFIED, &seen.headers));
        assert_eq!((kept.metadata, kept.tags), (seen.metadata, tags));
    }
    assert!(matches!(bound.get("none").await, Err(Error::NoSuchObject)));
    bound.end().await;
}

/// A wrong, short or padded body is neither kept nor served whole, whatever the entity tag is made of; a broken connection
/// is taken up again.
#[tokio::test]
async fn what_is_not_proved_is_neither_kept_nor_served_whole() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let bytes = noise(1, 12 << 20);
    for fault in [Fault::Flipped, Fault::Padded, Fault::Short] {
        let key = format!("single {fault:?}");
        bound.upstream.put(&key, bytes.clone());
        bound.upstream.fail(fault, 1);
        let got = bound.get(&key).await;
        assert!(got.is_err(), "{key}: served {:?}", got.map(|(_, bytes)| bytes.len()));
        assert!(!bound.is_here(&key).await, "{key}");
        // Wrong in every reading: neither the parts nor two readings prove it.
        let key = format!("parts {fault:?}");
        bound.upstream.tell_parts();
        bound.upstream.put_parts(&key, bytes.clone(), &[5 << 20, 5 << 20, 2 << 20]);
        bound.upstream.fail(fault, 1);
        assert!(bound.get(&key).await.is_err() && !bound.is_here(&key).await, "{key}");
        for key in [key, format!("single {fault:?}")] {
            assert_eq!(bound.get(&key).await.unwrap().1, bytes, "{key}: well again");
        }
    }
    // Where the layout of the parts was a guess, two readings may prove the object after all, but not what was heard before.
    let guessed = Bound::new(Mode::ReadThrough).await;
    guessed.upstream.put_parts("k", bytes.clone(), &[5 << 20, 5 << 20, 2 << 20]);
    guessed.upstream.fail(Fault::Flipped, 1);
    assert!(guessed.get("k").await.is_err(), "a wrong body was served whole");
    while !guessed.is_here("k").await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(guessed.get("k").await.unwrap(), (Some(Source::Local), bytes.clone()));
    guessed.end().await;
    bound.upstream.put("cut", bytes.clone());
    bound.upstream.fail(Fault::Cut, 1);
    assert_eq!(bound.get("cut").await.unwrap().1, bytes, "taken up again where it broke");
    bound.settled().await;
    bound.end().await;
}

/// Each way to prove an object's bytes.
#[tokio::test]
async fn entity_tags_of_uploads_in_parts_are_computed_again() {
    const MIB: usize = 1 << 20;
    let bound = Bound::new(Mode::ReadThrough).await;
    let bytes = noise(2, 23 * MIB);
    // In no size that anybody uses; only what the upstream tells proves it, or two readings.
    bound.upstream.put_parts("usual", bytes.clone(), &[8 * MIB, 8 * MIB, 7 * MIB]);
    bound.upstream.put_parts("odd", bytes.clone(), &[6 * MIB, 9 * MIB, 8 * MIB]);
    bound.upstream.put_as("opaque", bytes.clone(), "not-a-digest", None);
    let report = bound.pass(PassKind::Backfill).await;
    assert_eq!(report["proved"], serde_json::json!({"parts": 1, "twice": 2}), "{report}");
    bound.upstream.tell_parts();
    bound.upstream.put_parts("told", bytes.clone(), &[6 * MIB, 9 * MIB, 8 * MIB]);
    let report = bound.pass(PassKind::Backfill).await;
    assert_eq!(report["proved"], serde_json::json!({"parts": 1}), "{report}");
    for key in ["usual", "odd", "opaque", "told"] {
        assert_eq!(bound.get(key).await.unwrap(), (Some(Source::Local), bytes.clone()), "{key}");
    }
    bound.end().await;
}

/// However it was removed, and whether it had been fetched or not.
#[tokio::test]
async fn what_was_removed_here_does_not_come_back() {
    for versioning in [Versioning::Off, Versioning::Enabled, Versioning::Suspended] {
        let bound = Bound::new(Mode::ReadThrough).await;
        if versioning != Versioning::Off {
            bound.run.metadata.set_versioning(&space(), versioning, MODIFIED).await.unwrap().unwrap();
        }
        for key in ["fetched", "unseen", "replaced", "kept"] {
            bound.upstream.put(key, noise(3, 100));
        }
        bound.get("fetched").await.unwrap();
        bound.run.put("replaced", noise(4, 50)).await.unwrap();
        for key in ["fetched", "unseen", "replaced"] {
            bound.run.delete(key).await;
            assert!(bound.get(key).await.is_err(), "{versioning:?} {key}");
        }
        assert_eq!(bound.keys("", None, 1000).await, ["kept"], "{versioning:?}");
        // Not even if the delete markers go, version by version.
        for key in ["fetched", "unseen", "replaced"] {
            while let Some(found) =
                bound.run.metadata.latest(&place(), &Key::new(key).unwrap()).await.unwrap()
            {
                let id = juststorage_core::application::objects::ObjectRef::Id(found.object.id);
                bound.run.store.delete(&root(), &id, Preconditions::default()).await.unwrap();
            }
            assert!(matches!(bound.get(key).await, Err(Error::NoSuchObject)), "{versioning:?} {key}");
        }
        // Nor by a move, nor in another mode, nor by a backfill.
        bound.get("kept").await.unwrap();
        let report = bound.pass(PassKind::Backfill).await;
        assert_eq!((&report["fetched"], &report["clean"]), (&Value::from(0), &Value::from(true)), "{report}");
        bound.set(Mode::Observe).await;
        bound.set(Mode::ReadThrough).await;
        assert_eq!(bound.keys("", None, 1000).await, ["kept"]);
        bound.end().await;
    }
}

/// A write or a removal that comes while an object is fetched wins against it.
#[tokio::test]
async fn what_happens_here_meanwhile_wins() {
    for removed in [false, true] {
        let bound = Bound::new(Mode::ReadThrough).await;
        bound.upstream.put("k", noise(5, 2 << 20));
        let gate = bound.upstream.gate();
        let reading = {
            let store = bound.run.store.clone();
            tokio::spawn(async move {
                let download = store.get(&root(), &object("k"), &ReadOptions::default()).await?;
                download.body.try_collect::<Vec<Bytes>>().await
            })
        };
        while bound.upstream.calls("get") == 0 {
            tokio::task::yield_now().await;
        }
        let mine = noise(6, 10);
        bound.run.put("k", mine.clone()).await.unwrap();
        if removed {
            bound.run.delete("k").await;
        }
        gate.add_permits(1000);
        let old = reading.await.unwrap().unwrap().concat();
        assert_eq!(old, noise(5, 2 << 20), "the reader began before");
        if removed {
            assert!(matches!(bound.get("k").await, Err(Error::NoSuchObject)), "removed while it was fetched");
        } else {
            assert_eq!(bound.get("k").await.unwrap().1, mine);
        }
        bound.end().await;
    }
}

/// Removed while it is fetched, without anything having been here.
#[tokio::test]
async fn a_removal_waits_for_no_fetch() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.upstream.put("k", noise(5, 2 << 20));
    let gate = bound.upstream.gate();
    let store = bound.run.store.clone();
    let reading = tokio::spawn(async move {
        let download = store.get(&root(), &object("k"), &ReadOptions::default()).await?;
        download.body.try_collect::<Vec<Bytes>>().await
    });
    while bound.upstream.calls("get") == 0 {
        tokio::task::yield_now().await;
    }
    bound.run.delete("k").await;
    gate.add_permits(1000);
    reading.await.unwrap().unwrap();
    assert!(matches!(bound.get("k").await, Err(Error::NoSuchObject)));
    assert_eq!(bound.keys("", None, 10).await, [] as [String; 0]);
    bound.end().await;
}

/// What is set on the space while an object is fetched keeps that from being kept, and the key stays readable.
#[tokio::test]
async fn a_change_of_the_space_meanwhile_hides_nothing() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.upstream.put("k", noise(5, 2 << 20));
    let gate = bound.upstream.gate();
    let store = bound.run.store.clone();
    let reading = tokio::spawn(async move {
        let download = store.get(&root(), &object("k"), &ReadOptions::default()).await?;
        download.body.try_collect::<Vec<Bytes>>().await
    });
    while bound.upstream.calls("get") == 0 {
        tokio::task::yield_now().await;
    }
    bound.set(Mode::Observe).await;
    bound.set(Mode::ReadThrough).await;
    gate.add_permits(1000);
    reading.await.unwrap().unwrap();
    assert!(!bound.is_here("k").await, "it was fetched as the space was bound before");
    assert_eq!(bound.keys("", None, 10).await, ["k"]);
    assert_eq!(bound.get("k").await.unwrap().1, noise(5, 2 << 20));
    bound.end().await;
}

#[tokio::test]
async fn however_many_miss_it_is_fetched_once() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.upstream.put("k", noise(7, 100_000));
    let all = join_all((0..32).map(|_| bound.get("k"))).await;
    assert!(all.into_iter().all(|got| got.unwrap().1 == noise(7, 100_000)));
    assert_eq!(bound.upstream.calls("get"), 1);
    bound.end().await;
}

/// A client that stops reading what it began to fetch keeps nobody waiting, and reads the rest once the object is here.
#[tokio::test]
async fn a_reader_that_stops_holds_nobody_else() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let bytes = noise(3, 24 << 20);
    bound.upstream.put("large", bytes.clone());
    let download = bound.run.store.get(&root(), &object("large"), &ReadOptions::default()).await.unwrap();
    let mut body = download.body;
    let first = body.try_next().await.unwrap().unwrap();
    let fetched = tokio::time::timeout(Duration::from_secs(60), bound.pass(PassKind::Backfill)).await;
    assert_eq!(fetched.expect("nobody waits for the reader")["clean"], true);
    assert_eq!(bound.get("large").await.unwrap(), (Some(Source::Local), bytes.clone()));
    let mut read = first.to_vec();
    while let Some(piece) = body.try_next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert!(read == bytes, "{} of {} bytes", read.len(), bytes.len());
    assert_eq!(bound.upstream.calls("get"), 1, "it is fetched once");
    bound.end().await;
}

/// A stretch is answered at once, and the whole comes beside it.
#[tokio::test]
async fn a_stretch_passes_through() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let bytes = noise(8, 3 << 20);
    bound.upstream.put("k", bytes.clone());
    let range = ByteRange::From { first: 1_000_000, last: Some(1_000_009) };
    let options = ReadOptions { range: Some(range), ..ReadOptions::default() };
    let (source, got) = bound.get_with("k", &options).await.unwrap();
    assert_eq!((source, &got[..]), (Some(Source::Upstream), &bytes[1_000_000..1_000_010]));
    while !bound.is_here("k").await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(bound.get_with("k", &options).await.unwrap(), (Some(Source::Local), got));
    bound.end().await;
}

/// Also those on writes, which are decided in the transaction.
#[tokio::test]
async fn conditions_are_decided_on_the_object_upstream() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.upstream.put("k", noise(9, 100));
    let head = bound.run.store.head(&root(), &object("k"), &ReadOptions::default()).await.unwrap();
    let tag = |etag: &Etag| Some(EtagCondition::Of(vec![etag.clone()]));
    let put = |preconditions| {
        let request = PutRequest { preconditions, ..put_request("k") };
        let store = bound.run.store.clone();
        async move { store.put(&root(), request, Body::of_bytes(noise(10, 10))).await }
    };
    let absent = Preconditions { if_none_match: Some(EtagCondition::Any), ..Preconditions::default() };
    assert!(matches!(put(absent.clone()).await, Err(Error::PreconditionFailed(_))));
    assert!(!bound.is_here("k").await, "what is refused fetches nothing");
    let other = Preconditions { if_match: tag(&Etag::md5(&[0; 16])), ..Preconditions::default() };
    assert!(matches!(put(other).await, Err(Error::PreconditionFailed(_))));
    let unread = ReadOptions {
        preconditions: Preconditions { if_none_match: tag(&head.object.etag), ..Preconditions::default() },
        ..ReadOptions::default()
    };
    assert!(matches!(bound.get_with("k", &unread).await, Err(Error::NotModified(_))));
    let this = Preconditions { if_match: tag(&head.object.etag), ..Preconditions::default() };
    let wrong = Preconditions { if_match: tag(&Etag::md5(&[1; 16])), ..Preconditions::default() };
    assert!(matches!(
        bound.run.store.delete(&root(), &object("k"), wrong).await,
        Err(Error::PreconditionFailed(_))
    ));
    put(this).await.unwrap();
    assert_eq!(bound.get("k").await.unwrap().1, noise(10, 10));
    bound.end().await;
}

/// A page may be cut off although it has no object.
#[tokio::test]
async fn an_empty_page_is_not_the_end() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.upstream.lists_nothing_first();
    for key in ["a", "b", "c"] {
        bound.upstream.put(key, noise(3, 100));
    }
    let survey = bound.pass(PassKind::Survey).await;
    assert_eq!(survey["objects"], 3, "{survey}");
    let report = bound.pass(PassKind::Verify).await;
    assert_eq!(
        (&report["only_upstream"], &report["clean"]),
        (&Value::from(3), &Value::from(false)),
        "{report}"
    );
    let report = bound.pass(PassKind::Backfill).await;
    assert_eq!((&report["fetched"], &report["clean"]), (&Value::from(3), &Value::from(true)), "{report}");
    assert_eq!(bound.pass(PassKind::Verify).await["clean"], true);
    bound.end().await;
}

/// Any page size, prefixes and plain keys in turns, what is here, upstream, at both, and removed.
#[tokio::test]
async fn listings_show_both_sides_as_one() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let mut expected: Vec<String> = Vec::new();
    for n in 0..60_u64 {
        let key = match n % 3 {
            0 => format!("d{:02}/x/{n}", n / 6),
            1 => format!("d{:02}/{n}", n / 6),
            _ => format!("p{n:02}"),
        };
        match n % 5 {
            0 | 1 => bound.upstream.put(&key, noise(n, 10)),
            2 => drop(bound.run.put(&key, noise(n, 10)).await.unwrap()),
            3 => {
                bound.upstream.put(&key, noise(n, 10));
                bound.run.put(&key, noise(n + 100, 11)).await.unwrap();
            }
            _ => {
                bound.upstream.put(&key, noise(n, 10));
                bound.run.delete(&key).await;
                continue;
            }
        }
        expected.push(key);
    }
    // A common prefix under which everything was removed.
    for n in 0..3 {
        bound.upstream.put(&format!("gone/{n}"), noise(n, 10));
        bound.run.delete(&format!("gone/{n}")).await;
    }
    expected.sort();
    for (prefix, delimiter) in
        [("", None), ("", Some("/")), ("d0", None), ("d03/", Some("/")), ("d", Some("/")), ("p1", None)]
    {
        let mut lines: Vec<String> = Vec::new();
        for key in expected.iter().filter(|key| key.starts_with(prefix)) {
            let rest = &key[prefix.len()..];
            let line = match delimiter.and_then(|delimiter| rest.find(delimiter)) {
                Some(at) => key[..=prefix.len() + at].to_owned(),
                None => key.clone(),
            };
            if lines.last() != Some(&line) {
                lines.push(line);
            }
        }
        for limit in [1, 2, 7, 1000] {
            assert_eq!(bound.keys(prefix, delimiter, limit).await, lines, "{prefix:?} {delimiter:?} {limit}");
        }
    }
    bound.end().await;
}

/// What is here is read and written whatever becomes of the upstream; what is not here is no 404 then.
#[tokio::test]
async fn a_dead_upstream_leaves_what_is_here_alone() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.run.put("here", noise(11, 10)).await.unwrap();
    bound.upstream.fail(Fault::Away, 1000);
    for _ in 0..20 {
        assert!(matches!(bound.get("far").await, Err(Error::UpstreamAway)));
    }
    assert!(bound.upstream.calls("get") <= 6, "left alone: {} calls", bound.upstream.calls("get"));
    assert_eq!(bound.get("here").await.unwrap().1, noise(11, 10));
    bound.run.put("new", noise(12, 10)).await.unwrap();
    bound.run.delete("here").await;
    assert!(matches!(bound.get("here").await, Err(Error::NoSuchObject)), "it is known to be gone");
    bound.end().await;
}

/// A space without an upstream, or in a mode that does not read through, asks nobody.
#[tokio::test]
async fn other_modes_are_answered_from_here_alone() {
    let bound = Bound::new(Mode::Observe).await;
    bound.upstream.put("k", noise(13, 10));
    assert!(matches!(bound.get("k").await, Err(Error::NoSuchObject)));
    assert_eq!(bound.keys("", None, 10).await, [] as [String; 0]);
    assert_eq!(bound.upstream.calls("get") + bound.upstream.calls("head"), 0);
    bound.end().await;
}

/// Who may change an endpoint cannot have the stored secret sent there.
#[tokio::test]
async fn a_secret_goes_to_no_other_endpoint() {
    let bound = Bound::new(Mode::Observe).await;
    let elsewhere = |secret_key: Option<&str>| UpstreamChange {
        endpoint: Some("http://elsewhere".into()),
        secret_key: secret_key.map(str::to_owned),
        ..UpstreamChange::default()
    };
    let refused = bound.admin.set_upstream(&root(), &space(), &elsewhere(None)).await.unwrap_err();
    assert!(matches!(&refused, Error::Invalid(invalid) if invalid.field == "secret_key"), "{refused:?}");
    bound.admin.set_upstream(&root(), &space(), &elsewhere(Some("S"))).await.unwrap();
    // What cannot be used is not set.
    bound.upstream.fail(Fault::Refused, 1);
    let refused = bound.admin.set_upstream(&root(), &space(), &elsewhere(Some("wrong"))).await.unwrap_err();
    assert!(matches!(&refused, Error::Invalid(invalid) if invalid.field == "access_key"), "{refused:?}");
    bound.end().await;
}

/// A secret follows the master key.
#[tokio::test]
async fn a_rotated_master_key_opens_the_secrets_of_upstreams() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.upstream.put("k", noise(1, 10));
    let [old, new] = ["a1", "a2"].map(|byte| MasterKey::from_hex(&byte.repeat(32)).unwrap());
    let with = |keys: MasterKeys| {
        let connector = Arc::new(bound.upstream.clone());
        let setup = UpstreamSetup { connector, keys, own: StoreId(Uuid::from_u128(1)) };
        bound.run.store.clone().with_upstreams(setup)
    };
    let read = |keys: MasterKeys| {
        let store = with(keys);
        async move { store.head(&root(), &object("k"), &ReadOptions::default()).await.map(drop) }
    };
    assert!(matches!(read(new.clone().into()).await, Err(Error::Internal)), "another key opens nothing");
    let both = MasterKeys::new(new.clone(), Some(old));
    read(both.clone()).await.unwrap();
    let (metadata, clock, home) =
        (bound.run.metadata.clone(), bound.run.clock.clone(), Tenant::new("t").unwrap());
    let access = Access::new(metadata, clock, both, AuthMode::Required, None, home);
    assert_eq!(access.reseal_keys(false).await.unwrap().0, 1);
    read(new.into()).await.unwrap();
    bound.end().await;
}

/// Fetched, compared, left: and what was changed behind our back is found.
#[tokio::test]
async fn a_space_leaves_its_upstream_once_both_sides_agree() {
    let bound = Bound::new(Mode::ReadThrough).await;
    for n in 0..30 {
        bound.upstream.put(&format!("k{n:02}"), noise(n, 1000));
    }
    assert!(bound.admin.detach(&root(), &space()).await.is_err(), "nothing was compared");
    let report = bound.pass(PassKind::Verify).await;
    assert_eq!(
        (&report["only_upstream"], &report["clean"]),
        (&Value::from(30), &Value::from(false)),
        "{report}"
    );
    assert!(bound.admin.detach(&root(), &space()).await.is_err(), "not everything is here");
    bound.run.put("k00", noise(99, 10)).await.unwrap();
    bound.run.delete("k01").await;
    let report = bound.pass(PassKind::Backfill).await;
    assert_eq!((&report["fetched"], &report["clean"]), (&Value::from(28), &Value::from(true)), "{report}");
    // A forgotten writer.
    bound.upstream.put("k02", noise(98, 1000));
    let report = bound.pass(PassKind::Verify).await;
    assert_eq!((&report["differ"], &report["matched"]), (&Value::from(1), &Value::from(27)), "{report}");
    assert_eq!(report["findings"][0]["key"], "k02");
    bound.upstream.put("k02", noise(2, 1000));
    let report = bound.pass(PassKind::Verify).await;
    assert_eq!(report["clean"], true, "{report}");
    assert_eq!(
        (&report["replaced_here"], &report["removed_here"]),
        (&Value::from(1), &Value::from(1)),
        "{report}"
    );
    assert_eq!(report["proved"], serde_json::json!({"md5": 28}), "{report}");
    // What was written to the upstream since then nobody has seen.
    bound.run.clock.advance(2 * 3_600_000);
    assert!(bound.admin.detach(&root(), &space()).await.is_err(), "an old comparison counts");
    assert_eq!(bound.pass(PassKind::Verify).await["clean"], true);
    bound.admin.detach(&root(), &space()).await.unwrap();
    let before = bound.upstream.calls("list") + bound.upstream.calls("get");
    assert_eq!(bound.keys("", None, 1000).await.len(), 29);
    assert_eq!(bound.get("k05").await.unwrap().1, noise(5, 1000));
    assert_eq!(
        bound.upstream.calls("list") + bound.upstream.calls("get"),
        before,
        "nobody is asked any more"
    );
    bound.end().await;
}

/// One object that cannot be kept, and one that is not what it should be, keep no other from being fetched.
#[tokio::test]
async fn an_object_that_cannot_be_fetched_does_not_stop_the_others() {
    let bound = Bound::new(Mode::ReadThrough).await;
    for n in 0..20 {
        bound.upstream.put(&format!("k{n:02}"), noise(n, 1000));
    }
    bound.upstream.describe("k03", Tags::new(), |said| {
        said.metadata.insert("long".into(), "x".repeat(5000));
    });
    bound.upstream.put_as("k07", noise(7, 1000), "d41d8cd98f00b204e9800998ecf8427e", None);
    let report = bound.pass(PassKind::Backfill).await;
    assert_eq!((&report["fetched"], &report["failed"]), (&Value::from(18), &Value::from(2)), "{report}");
    assert_eq!(report["clean"], false);
    let named: Vec<_> = report["findings"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
    assert!(named.contains(&&Value::from("k03")) && named.contains(&&Value::from("k07")), "{report}");
    // It cannot be kept, but it is read as before.
    assert_eq!(bound.get("k03").await.unwrap(), (Some(Source::Upstream), noise(3, 1000)));
    assert!(bound.get("k07").await.is_err());
    bound.end().await;
}

/// A process that dies within a fetch leaves an object that is whole, or none; and what was removed stays away.
#[tokio::test]
async fn a_crash_within_a_fetch_loses_and_brings_back_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = FakeUpstream::default();
    for n in 0..20 {
        upstream.put(&format!("k{n:02}"), noise(n, 100_000));
    }
    for life in 0..6_u64 {
        let run = Running::open(directory.path()).await;
        let (held, root_path) = (tempfile::tempdir().unwrap(), directory.path().to_owned());
        let bound = Bound::over(run, upstream.clone(), Mode::ReadThrough, held).await;
        for n in 0..life {
            assert!(bound.get(&format!("k{n:02}")).await.is_err(), "removed in an earlier life");
        }
        let reads = join_all((life..20).map(|n| {
            let store = bound.run.store.clone();
            async move {
                store.get(&root(), &object(&format!("k{n:02}")), &ReadOptions::default()).await.map(drop)
            }
        }));
        bound.run.delete(&format!("k{life:02}")).await;
        let _ = tokio::time::timeout(Duration::from_millis(life * 3), reads).await;
        bound.run.crash().await;
        let run = Running::open(&root_path).await;
        assert_eq!(run.findings().await, []);
        run.close().await;
    }
}
