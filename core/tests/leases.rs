//! What a process that was paused may still do: its leases and its writer's word are fenced inside transactions, not by times
//! alone. Two connections to one database stand for two processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use juststorage_core::application::ports::metadata::{
    Catalogue as _, IdentityStore as _, Leases as _, MetadataError, MetadataStore, Stuck, WriterId,
};
use juststorage_core::application::ports::segments::SegmentKind;
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::domain::incarnation::{Incarnation, Whereabouts};
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::testing::postgres::shared;
use tempfile::TempDir;
use uuid::Uuid;

/// A database with `processes` connections, and what keeps it.
async fn processes<const N: usize>(postgres: bool) -> ([SqlMetadata; N], TempDir) {
    let folder = TempDir::new().unwrap();
    let url = if postgres {
        shared().create_database()
    } else {
        format!("sqlite://{}", folder.path().join("metadata.db").display())
    };
    let connections = futures::future::join_all((0..N).map(|_| SqlMetadata::connect(&url))).await;
    let connections: Vec<_> = connections.into_iter().map(Result::unwrap).collect();
    connections[0].migrate().await.unwrap();
    (connections.try_into().ok().expect("as many"), folder)
}

const LEASE: &str = "gc";

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

/// A change that a worker makes under its lease.
async fn change(fenced: &dyn MetadataStore) -> Result<(), MetadataError> {
    let stuck = Stuck {
        worker: LEASE.to_owned(),
        item: "segment:1".to_owned(),
        error: "an error".to_owned(),
        failures: 1,
        since: at(0),
        next_at: at(1),
    };
    fenced.put_aside(&stuck).await
}

async fn changes(fenced: &dyn MetadataStore, when: &str) {
    change(fenced).await.unwrap_or_else(|error| panic!("{when}: {error}"));
}

async fn is_refused(fenced: &dyn MetadataStore, when: &str) {
    let refused = change(fenced).await;
    assert!(matches!(refused, Err(MetadataError::LeaseLost(LEASE))), "{when}: {refused:?}");
}

async fn a_lease_that_went_changes_nothing(postgres: bool) {
    let ([one, two, three], _folder) = processes(postgres).await;
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let fenced = one.under_lease(LEASE);
    let fenced = fenced.as_ref();
    is_refused(fenced, "never taken").await;
    assert!(one.acquire_lease(LEASE, a, at(0), at(10)).await.unwrap());
    changes(fenced, "taken").await;
    changes(one.under_lease(LEASE).as_ref(), "taken, by whatever handle").await;
    let other = change(one.under_lease("scrub").as_ref()).await;
    assert!(matches!(other, Err(MetadataError::LeaseLost("scrub"))), "of another work: {other:?}");

    // The process is paused: its lease runs out, and another one takes it.
    assert!(!two.acquire_lease(LEASE, b, at(5), at(15)).await.unwrap());
    changes(fenced, "run out, and nobody has it").await;
    assert!(two.acquire_lease(LEASE, b, at(20), at(30)).await.unwrap());
    is_refused(fenced, "another has it").await;
    changes(two.under_lease(LEASE).as_ref(), "the other one").await;
    two.release_lease(LEASE, b).await.unwrap();
    is_refused(fenced, "another had it").await;

    assert!(one.acquire_lease(LEASE, a, at(40), at(50)).await.unwrap());
    changes(fenced, "taken again").await;
    assert!(one.acquire_lease(LEASE, a, at(45), at(55)).await.unwrap());
    changes(fenced, "renewed").await;
    // A server that started again under the same name takes it as another one.
    assert!(three.acquire_lease(LEASE, a, at(60), at(70)).await.unwrap());
    is_refused(fenced, "its successor has it").await;
    changes(three.under_lease(LEASE).as_ref(), "the successor").await;
    // What is not done under a lease goes on.
    changes(&one, "no worker").await;
}

/// What is begun under a lease may take longer than the lease.
async fn a_lease_is_renewed_as_of_its_epoch(postgres: bool) {
    let ([one, two, three], _folder) = processes(postgres).await;
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let fenced = one.under_lease(LEASE);
    let fenced = fenced.as_ref();
    assert!(!one.renew_lease(LEASE, a, at(10)).await.unwrap(), "never taken");
    assert!(one.acquire_lease(LEASE, a, at(0), at(10)).await.unwrap());
    assert!(one.renew_lease(LEASE, a, at(20)).await.unwrap());
    assert!(!two.acquire_lease(LEASE, b, at(15), at(25)).await.unwrap(), "it was renewed");
    assert!(!two.renew_lease(LEASE, b, at(90)).await.unwrap(), "another's");
    assert!(one.renew_lease(LEASE, a, at(40)).await.unwrap(), "run out, and nobody had it");
    changes(fenced, "renewed").await;

    // Another process does the work, and gives the lease back: what was begun before is begun anew.
    assert!(two.acquire_lease(LEASE, b, at(50), at(60)).await.unwrap());
    assert!(!one.renew_lease(LEASE, a, at(70)).await.unwrap(), "another has it");
    two.release_lease(LEASE, b).await.unwrap();
    is_refused(two.under_lease(LEASE).as_ref(), "given back").await;
    assert!(!one.renew_lease(LEASE, a, at(70)).await.unwrap(), "another had it");
    is_refused(fenced, "another had it").await;
    assert!(one.acquire_lease(LEASE, a, at(55), at(65)).await.unwrap(), "given back, it is free at once");
    changes(fenced, "taken again").await;
    assert!(three.acquire_lease(LEASE, a, at(70), at(80)).await.unwrap());
    assert!(!one.renew_lease(LEASE, a, at(90)).await.unwrap(), "its successor has it");
}

async fn a_writer_that_speaks_again_is_not_taken_over(postgres: bool) {
    let ([one, two], _folder) = processes(postgres).await;
    let (writer, segment) = (WriterId(Uuid::from_u128(7)), SegmentId(Uuid::from_u128(70)));
    one.heartbeat(writer, at(10)).await.unwrap();
    one.open_segment(writer, segment, StorageClass::Hot, SegmentKind::Pack, at(1)).await.unwrap();
    assert_eq!(two.dead_writers(at(20)).await.unwrap(), [writer]);
    one.heartbeat(writer, at(30)).await.unwrap();
    assert_eq!(two.take_over_silent(writer, at(20)).await.unwrap(), None, "it spoke since");
    assert_eq!(two.dead_writers(at(20)).await.unwrap(), [], "nothing of it was taken");
    let left = two.take_over_silent(writer, at(30)).await.unwrap().expect("it is silent");
    assert_eq!(left.segments.iter().map(|segment| segment.id).collect::<Vec<_>>(), [segment]);
}

async fn servers_are_listed_until_they_end(postgres: bool) {
    let ([one, two], _folder) = processes(postgres).await;
    let writers = [WriterId(Uuid::from_u128(1)), WriterId(Uuid::from_u128(2))];
    let place = Whereabouts { host: "one".to_owned(), path: "/data".to_owned(), ..Whereabouts::default() };
    for ((process, writer), started) in [&one, &two].into_iter().zip(writers).zip(0..) {
        let start = Incarnation::NONE.next(Uuid::new_v4());
        assert!(process.enter_start(writer, None, start, &place, at(started)).await.unwrap());
        process.heartbeat(writer, at(15 + started)).await.unwrap();
        process.introduce(writer, "1.2.3").await.unwrap();
    }
    // A command that writes is no server.
    one.heartbeat(WriterId(Uuid::from_u128(3)), at(15)).await.unwrap();
    assert!(one.acquire_lease(LEASE, writers[0].0, at(1), at(15)).await.unwrap());
    two.drain(writers[1]).await.unwrap();
    let seen = one.replicas(at(15)).await.unwrap();
    assert_eq!(seen.iter().map(|one| one.writer).collect::<Vec<_>>(), writers);
    let [first, second] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((first.lives(at(15)), first.draining, &first.leases[..]), (false, false, &[][..]));
    assert_eq!((second.lives(at(15)), second.draining), (true, true));
    assert_eq!(
        (first.version.as_deref(), first.host.as_str(), first.started_at),
        (Some("1.2.3"), "one", at(0))
    );
    assert_eq!(one.replicas(at(10)).await.unwrap()[0].leases, [LEASE]);
    two.take_over(writers[1]).await.unwrap();
    assert_eq!(one.replicas(at(10)).await.unwrap().len(), 1, "it ended");
}

macro_rules! on_both {
    ($($name:ident),+) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$name(false).await; })+ }
        mod postgresql { $(#[tokio::test] async fn $name() { super::$name(true).await; })+ }
    };
}

on_both!(
    a_lease_that_went_changes_nothing,
    a_lease_is_renewed_as_of_its_epoch,
    a_writer_that_speaks_again_is_not_taken_over,
    servers_are_listed_until_they_end
);
