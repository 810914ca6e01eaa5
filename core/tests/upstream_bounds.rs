//! What an upstream can take of this store is bounded: pulls, listings, and bodies that do not come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use bound::Bound;
use bytes::Bytes;
use common::{noise, object, place, root, space};
use futures::TryStreamExt as _;
use futures::future::join_all;
use juststorage_core::application::admin::UpstreamChange;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::list::ListRequest;
use juststorage_core::application::ports::metadata::PassKind;
use juststorage_core::application::workers::worker::{WorkDone, Worker as _, run_dry};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::upstream::{Mode, Source};
use juststorage_core::testing::upstream::Fault;

/// A client that stops reading does not hear that its bytes were not proved. Another reading of the object may be proved and
/// kept; the client does not get the rest of that behind the bytes of the first.
#[tokio::test]
async fn a_reader_that_stopped_gets_no_rest_of_bytes_not_proved() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let bytes = noise(1, 24 << 20);
    // Nothing tells how large the parts are: they are guessed, and where the guess fails two readings may prove the object.
    bound.upstream.put_parts("k", bytes.clone(), &[8 << 20, 8 << 20, 8 << 20]);
    bound.upstream.fail(Fault::Flipped, 1);
    let download = bound.run.store.get(&root(), &object("k"), &ReadOptions::default()).await.unwrap();
    let mut body = download.body;
    let first = body.try_next().await.unwrap().unwrap();
    assert_ne!(first[0], bytes[0], "the first reading is a wrong one");
    // Somebody else waits for the object: the client that reads nothing hears no more.
    assert_eq!(bound.pass(PassKind::Backfill).await["clean"], true);
    assert_eq!(bound.get("k").await.unwrap(), (Some(Source::Local), bytes.clone()));
    let rest: Result<Vec<Bytes>, Error> = body.try_collect().await;
    assert!(rest.is_err(), "a body that begins wrongly ended well");
    bound.end().await;
}

/// More reads than there is room for pulls: those over it are passed on, and leave half of it to what cannot do without.
#[tokio::test]
async fn reads_over_the_bound_pass_through() {
    let bound = Bound::narrow(Mode::ReadThrough).await;
    let bytes = noise(1, 2 << 20);
    let keys: Vec<String> = (0..6).map(|n| format!("k{n}")).collect();
    for key in &keys {
        bound.upstream.put(key, bytes.clone());
    }
    bound.upstream.put("small", noise(2, 10));
    let gate = bound.upstream.gate();
    let reads = keys.iter().map(|key| {
        let (store, key) = (bound.run.store.clone(), object(key));
        tokio::spawn(async move {
            let download = store.get(&root(), &key, &ReadOptions::default()).await?;
            let pieces: Vec<Bytes> = download.body.try_collect().await?;
            Ok::<_, Error>((download.head.source, Bytes::from(pieces.concat())))
        })
    });
    let reads: Vec<_> = reads.collect();
    while bound.upstream.calls("get") < 6 {
        tokio::task::yield_now().await;
    }
    // A write whose condition counts for what is upstream has room all the same.
    let store = bound.run.store.clone();
    let fetching =
        tokio::spawn(async move { store.object(&root(), Action::PutObjectTagging, &object("small")).await });
    while bound.upstream.calls("get") < 7 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(10_000);
    fetching.await.unwrap().unwrap();
    let mut by_source: BTreeMap<&str, usize> = BTreeMap::new();
    for read in reads {
        let (source, got) = read.await.unwrap().unwrap();
        assert!(got == bytes, "not the object");
        *by_source.entry(source.unwrap().as_str()).or_default() += 1;
    }
    assert_eq!(by_source, BTreeMap::from([("pulled", 4), ("upstream", 2)]));
    // Once they have ended there is room again.
    let passed: Vec<_> = join_all(keys.iter().map(|key| bound.is_here(key))).await;
    assert!(passed.iter().filter(|here| !**here).count() >= 2);
    for key in &keys {
        assert_eq!(bound.get(key).await.unwrap().1, bytes);
        while !bound.is_here(key).await {
            tokio::task::yield_now().await;
        }
    }
    bound.end().await;
}

/// Prefixes under which something was removed are looked into side by side, and not all at once.
#[tokio::test]
async fn prefixes_are_looked_into_side_by_side() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let mut expected = Vec::new();
    for n in 0..40 {
        for name in ["a", "b"] {
            bound.upstream.put(&format!("d{n:02}/{name}"), noise(1, 10));
        }
        bound.run.delete(&format!("d{n:02}/a")).await;
        if n % 2 == 0 {
            bound.run.delete(&format!("d{n:02}/b")).await;
        } else {
            expected.push(format!("d{n:02}/"));
        }
    }
    assert_eq!(bound.keys("", Some("/"), 1000).await, expected);
    let most = bound.upstream.listing_max();
    assert!((2..=16).contains(&most), "{most} at once");
    bound.end().await;
}

/// A listing of an upstream that answers none is given up, and the upstream counts as away.
#[tokio::test]
async fn a_listing_that_takes_too_long_is_given_up() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let _shut = bound.upstream.list_gate();
    for n in 1..=5 {
        let before = bound.upstream.calls("list");
        let store = bound.run.store.clone();
        let listing = tokio::spawn(async move {
            let request = ListRequest {
                place: place(),
                prefix: String::new(),
                delimiter: None,
                after: None,
                versions: false,
                keyless: false,
                limit: 10,
            };
            store.list_latest(&root(), &request).await.map(drop)
        });
        while bound.upstream.calls("list") == before {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(30)).await;
        tokio::time::resume();
        assert!(matches!(listing.await.unwrap(), Err(Error::UpstreamAway)), "{n}");
    }
    let before = bound.upstream.calls("head");
    assert!(matches!(
        bound.run.store.head(&root(), &object("k"), &ReadOptions::default()).await,
        Err(Error::UpstreamAway)
    ));
    assert_eq!(bound.upstream.calls("head"), before, "it is not left alone");
    bound.end().await;
}

/// Every answer begins well, and no body comes to its end: that is no upstream to wait for, read by read.
#[tokio::test]
async fn an_upstream_whose_bodies_break_is_left_alone() {
    let bound = Bound::new(Mode::ReadThrough).await;
    for n in 0..20 {
        bound.upstream.put(&format!("k{n}"), noise(n, 1000));
    }
    bound.upstream.fail(Fault::Cut, 1000);
    for n in 0..20 {
        assert!(bound.get(&format!("k{n}")).await.is_err());
    }
    let gets = bound.upstream.calls("get");
    assert!(gets <= 8, "left alone: {gets} calls");
    // It still says what there is.
    bound.upstream.fail(Fault::Cut, 0);
    bound.run.store.head(&root(), &object("k1"), &ReadOptions::default()).await.unwrap();
    bound.end().await;
}

/// What an upstream did not have while it was well says nothing once it is in trouble.
#[tokio::test]
async fn an_upstream_in_trouble_may_have_anything() {
    let bound = Bound::new(Mode::ReadThrough).await;
    assert!(matches!(bound.get("k").await, Err(Error::NoSuchObject)));
    let asked = bound.upstream.calls("get");
    assert!(matches!(bound.get("k").await, Err(Error::NoSuchObject)));
    assert!(bound.upstream.calls("get") <= asked + 1);
    bound.upstream.fail(Fault::Away, 1000);
    for _ in 0..5 {
        assert!(matches!(bound.get("other").await, Err(Error::UpstreamAway)));
    }
    assert!(matches!(bound.get("k").await, Err(Error::UpstreamAway)), "absent, of an upstream that is away");
    bound.end().await;
}

/// A comparison asks no more of its target than its operator allows: also where it looks at keys again.
#[tokio::test]
async fn second_looks_count_for_the_pace() {
    let bound = Bound::new(Mode::ReadThrough).await;
    for n in 0..40 {
        bound.upstream.put(&format!("k{n}"), noise(n, 10));
    }
    let pace = UpstreamChange { requests_per_second: Some(Some(1)), ..UpstreamChange::default() };
    bound.admin.set_upstream(&root(), &space(), &pace).await.unwrap();
    // A change of the binding begins a survey.
    run_dry(&bound.worker()).await.unwrap();
    bound.admin.begin_pass(&root(), &space(), PassKind::Verify).await.unwrap();
    let done = bound.worker().step().await.unwrap();
    // A page, and a look at each of its keys: one a second, less what the step itself took.
    let WorkDone::Paced(keys @ 5.., rest) = done else { panic!("{done:?}") };
    assert!(rest > Duration::from_secs(keys / 2), "{rest:?} for {keys} keys");
    bound.end().await;
}
