//! An upstream that is away is left alone, and what waits for it goes as soon as it answers again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;
#[path = "common/mirroring.rs"]
mod mirroring;

use std::sync::Arc;
use std::time::Duration;

use bound::Bound;
use common::noise;
use juststorage_core::application::workers::outbox::{Delivery, OutboxWorker, Passed, Sinks};
use juststorage_core::application::workers::worker::Worker as _;
use juststorage_core::application::workers::{Deliveries, MirrorSink};
use juststorage_core::domain::event::{TargetKind, TargetName};
use juststorage_core::testing::upstream::Fault;
use mirroring::{is_equal, mirrored, put, space_id, target, waiting};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// More failures than there are calls.
const ALWAYS: usize = 100_000;

async fn with_changes() -> (Bound, TargetName) {
    let bound = mirrored().await;
    for n in 0..30 {
        put(&bound, &format!("k{n}"), noise(n, 10)).await;
    }
    bound.upstream.put("far", noise(99, 10));
    bound.upstream.fail(Fault::Away, ALWAYS);
    let name = TargetName::mirror_of(space_id(&bound).await);
    (bound, name)
}

/// The breaker refuses a call: that says nothing new of the upstream, so its rest is as long as before.
#[tokio::test]
async fn what_is_not_tried_makes_no_rest_longer() {
    let (bound, name) = with_changes().await;
    let (metadata, clock) = (bound.run.metadata.clone(), bound.run.clock.clone());
    let (sink, status) = (Arc::new(MirrorSink::new(bound.run.store.clone())), Deliveries::default());
    let target = target(&bound).await.unwrap();
    let mut delivery = Delivery::new(metadata, clock, Uuid::from_u128(1), sink, target, status.clone());
    let mut pass = async || delivery.pass(&CancellationToken::new()).await.unwrap();
    let Passed::Away(_) = pass().await else { panic!("it is away") };
    let asked = bound.upstream.calls("head");
    assert_eq!(status.of(&name).failures, 1);
    for _ in 0..20 {
        let Passed::Away(rest) = pass().await else { panic!("it is left alone") };
        assert!(rest <= Duration::from_secs(1), "it is tried as soon as the breaker lets it: {rest:?}");
    }
    assert_eq!((bound.upstream.calls("head"), status.of(&name).failures), (asked, 1));
    bound.end().await;
}

/// After an outage that was long the rest is minutes. A client's read that is answered ends it.
#[tokio::test]
async fn what_waits_goes_as_soon_as_the_upstream_answers() {
    let (bound, name) = with_changes().await;
    let later = async |seconds: u64| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    let (metadata, clock) = (bound.run.metadata.clone(), bound.run.clock.clone());
    let sink = Arc::new(MirrorSink::new(bound.run.store.clone()));
    let (sinks, status) = (Sinks::default().with(TargetKind::Mirror, sink), Deliveries::default());
    let worker = OutboxWorker::new(metadata, clock, Uuid::from_u128(1), sinks, status.clone());
    worker.step().await.unwrap();
    for failures in 1..12 {
        while status.of(&name).failures < failures {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        later(600).await;
    }
    while status.of(&name).failures < 12 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bound.upstream.fail(Fault::Away, 0);
    // The breaker lets one try.
    later(31).await;
    assert_eq!(waiting(&bound).await, 30, "the delivery rests");
    assert_eq!(bound.get("far").await.unwrap().1, noise(99, 10));
    let sent = async {
        while waiting(&bound).await > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), sent)
        .await
        .expect("sent before its rest of minutes is over");
    worker.end().await;
    is_equal(&bound).await;
    bound.end().await;
}
