//! A mirrored space whose answers wait until the upstream has what they tell: none is a lie, in either direction.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;
#[path = "common/mirroring.rs"]
mod mirroring;

use bound::Bound;
use common::{noise, object, put_request, root, space};
use juststorage_core::application::admin::UpstreamChange;
use juststorage_core::application::error::{Error, Result};
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::application::objects::rename::MoveRequest;
use juststorage_core::application::ports::metadata::SpaceRef;
use juststorage_core::application::workers::outbox::Passed;
use juststorage_core::domain::address::{Key, SpaceAddress, Tenant};
use juststorage_core::domain::object::Object;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::Versioning;
use juststorage_core::testing::upstream::MODIFIED;
use mirroring::{MIB, Sending, is_equal, mirrored, put_parts, tag, waiting};
use tokio_util::sync::CancellationToken;

/// Sends in the background, until it is ended.
struct Background {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Background {
    async fn of(bound: &Bound) -> Self {
        let (mut sending, stop) = (Sending::of(bound).await, CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            while !stopped.is_cancelled() {
                if sending.pass().await != Passed::More {
                    tokio::task::yield_now().await;
                }
            }
        });
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn wait(bound: &Bound, seconds: u32, rows_max: u64) {
    let change = UpstreamChange {
        mirror_wait_seconds: Some(Some(seconds)),
        mirror_rows_max: Some(rows_max),
        mirror_refuse: Some(false),
        ..UpstreamChange::default()
    };
    bound.admin.set_upstream(&root(), &space(), &change).await.unwrap();
}

async fn try_put(bound: &Bound, key: &str, seed: u64) -> Result<Object> {
    let request = PutRequest { etag: EtagStyle::Md5, ..put_request(key) };
    bound.run.store.put(&root(), request, Body::of_bytes(noise(seed, 100))).await
}

/// Whatever is answered has happened there.
#[tokio::test]
async fn an_answer_waits_until_the_upstream_has_the_change() {
    for versioning in [Versioning::Off, Versioning::Enabled] {
        let bound = mirrored().await;
        if versioning != Versioning::Off {
            bound.upstream.keep_versions(true);
            bound.run.metadata.set_versioning(&space(), versioning, MODIFIED).await.unwrap().unwrap();
        }
        wait(&bound, 50, 1000).await;
        let background = Background::of(&bound).await;
        let there = |key: &str| bound.upstream.object(key);
        try_put(&bound, "k", 1).await.unwrap();
        assert_eq!(there("k").unwrap().0, noise(1, 100));
        try_put(&bound, "k", 2).await.unwrap();
        assert_eq!(there("k").unwrap().0, noise(2, 100));
        tag(&bound, "k", [("a".to_owned(), "b".to_owned())].into()).await;
        assert_eq!(there("k").unwrap().2.len(), 1);
        put_parts(&bound, "parts", &[5 * MIB, 1]).await;
        assert!(there("parts").is_some());
        let moved = MoveRequest {
            source: object("k"),
            source_preconditions: Preconditions::default(),
            space: space(),
            key: Key::new("moved").unwrap(),
            preconditions: Preconditions::default(),
        };
        bound.run.store.rename(&root(), &moved).await.unwrap();
        assert!(there("moved").is_some() && there("k").is_none());
        bound.run.delete("parts").await;
        assert!(there("parts").is_none());
        bound.upstream.put("unseen", noise(3, 10));
        bound.run.delete("unseen").await;
        assert!(there("unseen").is_none());
        background.end().await;
        bound.end().await;
    }
}

/// An upstream that does not take a change in time: the answer says so, the change stands, and it is still sent. A request that
/// comes again is not told that all is well before it is.
#[tokio::test]
async fn an_upstream_that_is_late_makes_no_answer_a_lie() {
    let bound = mirrored().await;
    wait(&bound, 1, 2).await;
    let background = Background::of(&bound).await;
    bound.upstream.hold("held", true);
    let late = try_put(&bound, "held", 1).await.unwrap_err();
    assert!(matches!(late, Error::UpstreamLate), "{late:?}");
    assert_eq!(late.retry_seconds(), Some(1));
    assert_eq!((bound.run.read("held").await.unwrap(), waiting(&bound).await), (noise(1, 100), 1));
    assert!(bound.upstream.object("held").is_none());
    // Nobody else waits for it: neither another space, which is answered first, nor what is read.
    wait(&bound, 50, 2).await;
    let store = bound.run.store.clone();
    let held =
        tokio::spawn(
            async move { store.put(&root(), put_request("held"), Body::of_bytes(noise(3, 100))).await },
        );
    while bound.run.read("held").await.unwrap() != noise(3, 100) {
        tokio::task::yield_now().await;
    }
    let elsewhere = SpaceAddress { tenant: Tenant::new("other").unwrap(), ..space() };
    let request = PutRequest { place: SpaceRef::Space(elsewhere), ..put_request("k") };
    bound.run.store.put(&root(), request, Body::of_bytes(noise(1, 10))).await.unwrap();
    assert!(!held.is_finished(), "another space waited for this one");
    held.abort();
    wait(&bound, 1, 2).await;
    let again = try_put(&bound, "held", 2).await;
    assert!(matches!(again, Err(Error::UpstreamLate)), "{again:?}");
    background.end().await;
    // What would be dropped would never be sent: it is refused.
    let late = try_put(&bound, "another", 1).await;
    assert!(matches!(late, Err(Error::UpstreamLate)), "{late:?}");
    waiting(&bound).await;
    let full = try_put(&bound, "full", 1).await;
    assert!(matches!(full, Err(Error::OutboxFull)) && !bound.is_here("full").await, "{full:?}");
    bound.upstream.hold("held", false);
    bound.run.clock.advance(60 * 60 * 1000);
    let mut sending = Sending::of(&bound).await;
    sending.all().await;
    is_equal(&bound).await;
    bound.end().await;
}
