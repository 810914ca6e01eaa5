//! A database that is older than its tiers, and segments that cannot be mended now.

use super::bench::Bench;
use crate::application::ports::metadata::{KeptSegment, MetadataStore, Mutation};
use crate::application::ports::segments::{Mended, SegmentKind};
use crate::domain::blob::SegmentId;
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

const TIER: StorageClass = StorageClass::Hot;

/// Every transaction counts for its writer, from when that is asked for, and for no other writer.
pub async fn commits_are_counted_once_asked_for(store: &dyn MetadataStore) {
    let bench = Bench::uncounted(store).await;
    let other = bench.another_writer().await;
    let count = async || {
        let counts = store.commit_counts().await.unwrap();
        counts.into_iter().find(|(writer, _)| *writer == bench.writer).map(|(_, commits)| commits)
    };
    bench.has_put("before", b"before").await;
    assert_eq!(count().await, None);
    for _ in 0..2 {
        store.count_commits(bench.writer).await.unwrap();
    }
    assert_eq!(count().await, Some(0));
    other.has_put("other", b"other").await;
    assert_eq!(count().await, Some(0));
    bench.has_put("one", b"one").await;
    bench
        .commit(vec![
            Mutation::Put(Box::new(bench.put("two", b"two"))),
            Mutation::Put(Box::new(bench.put("three", b"three"))),
        ])
        .await;
    assert_eq!(count().await, Some(2), "a batch counts once");
    store.relocate(bench.writer, Vec::new(), bench.now()).await.unwrap();
    assert_eq!(count().await, Some(3));
    bench.finish().await;
}

/// The state of a segment's row; `None` if it has none.
async fn state(store: &dyn MetadataStore, id: SegmentId) -> Option<SegmentState> {
    store.find_segment(id).await.unwrap().map(|segment| segment.state)
}

async fn kept(store: &dyn MetadataStore, id: SegmentId) -> Option<KeptSegment> {
    store.kept_segments().await.unwrap().into_iter().find(|kept| kept.segment.id == id)
}

/// What a crash left unacknowledged is garbage, and is found as such. What a database may only not know stays: it is
/// never condemned and never compacted, until it is found to hold nothing unknown.
pub async fn unknown_bytes_are_dead_unless_the_segment_is_kept(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let unknown = |size| Mended { size, unknown_records: 3, unknown_bytes: 1 << 40 };
    let sparse = async |id| store.sparse_packs(10_000).await.unwrap().iter().any(|pack| pack.id == id);

    let dead = bench.another_writer().await;
    dead.has_put("garbage", b"garbage").await;
    let pack = dead.pack(TIER);
    store.take_over(dead.writer).await.unwrap();
    store.settle_segment(pack, Some(unknown(1 << 41)), bench.now()).await.unwrap();
    assert!(sparse(pack).await, "more of it is dead than alive");
    assert_eq!(kept(store, pack).await, None);

    let dead = bench.another_writer().await;
    dead.has_put("kept", b"kept").await;
    let pack = dead.pack(TIER);
    let empty = dead.open(SegmentKind::Pack, TIER).await;
    let (single, nothing) =
        (dead.open(SegmentKind::Single, TIER).await, dead.open(SegmentKind::Single, TIER).await);
    assert!(store.keep_open_segments(bench.now()).await.unwrap() >= 4);
    let left = store.take_over(dead.writer).await.unwrap();
    for id in [pack, empty, single, nothing] {
        assert!(left.kept.contains(&id));
        assert_eq!(kept(store, id).await.unwrap().unknown_records, None);
    }
    for _ in 0..2 {
        for id in [pack, empty, single] {
            store.settle_segment(id, Some(unknown(1 << 41)), bench.now()).await.unwrap();
        }
        store.settle_segment(nothing, None, bench.now()).await.unwrap();
    }
    for id in [pack, empty, single] {
        assert_eq!(state(store, id).await, Some(SegmentState::Sealed));
        assert_eq!(kept(store, id).await.unwrap().unknown_records, Some(3));
    }
    assert!(!sparse(pack).await);
    assert_eq!(
        (state(store, nothing).await, kept(store, nothing).await),
        (Some(SegmentState::Condemned), None)
    );
    // Also once the last blob that is known goes.
    dead.has_deleted(dead.delete("kept")).await;
    dead.collect().await;
    assert_eq!(state(store, pack).await, Some(SegmentState::Sealed));
    assert!(!sparse(pack).await);

    // Kept as a precaution, and the database knows all of it.
    let dead = bench.another_writer().await;
    let known = dead.open(SegmentKind::Pack, TIER).await;
    store.keep_open_segments(bench.now()).await.unwrap();
    store.take_over(dead.writer).await.unwrap();
    store.settle_segment(known, Some(Mended { size: 10, ..Mended::default() }), bench.now()).await.unwrap();
    assert_eq!((state(store, known).await, kept(store, known).await), (Some(SegmentState::Condemned), None));
    bench.finish().await;
}

/// What a kept segment holds beyond what the database knows is dead once it is given up; what the database knows stays.
pub async fn a_kept_segment_is_given_up(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let unknown = Some(Mended { size: 1 << 41, unknown_records: 3, unknown_bytes: 1 << 40 });
    let sparse = async |id| store.sparse_packs(10_000).await.unwrap().iter().any(|pack| pack.id == id);
    let dead = bench.another_writer().await;
    dead.has_put("known", b"known").await;
    let pack = dead.pack(TIER);
    let (empty, unsettled) =
        (dead.open(SegmentKind::Pack, TIER).await, dead.open(SegmentKind::Single, TIER).await);
    assert!(!store.give_up_segment(pack, bench.now()).await.unwrap(), "it is not kept");
    store.keep_open_segments(bench.now()).await.unwrap();
    store.take_over(dead.writer).await.unwrap();
    for id in [pack, empty] {
        store.settle_segment(id, unknown, bench.now()).await.unwrap();
    }
    for id in [pack, empty, unsettled] {
        assert!(store.give_up_segment(id, bench.now()).await.unwrap());
        assert!(!store.give_up_segment(id, bench.now()).await.unwrap(), "once is enough");
        assert_eq!(kept(store, id).await, None);
    }
    assert_eq!(state(store, pack).await, Some(SegmentState::Sealed));
    assert!(sparse(pack).await, "more of it is dead than alive");
    dead.assert_latest("known", Some(b"known")).await;
    assert_eq!(state(store, empty).await, Some(SegmentState::Condemned));
    // A backup of the database may name it, so its file stays for the retention.
    let condemned = store.condemned(Timestamp(0), bench.now(), 10_000).await.unwrap();
    assert!(condemned.iter().all(|segment| segment.id != empty));
    assert_eq!(state(store, unsettled).await, Some(SegmentState::Orphaned));
    store.settle_segment(unsettled, unknown, bench.now()).await.unwrap();
    assert_eq!(state(store, unsettled).await, Some(SegmentState::Condemned));
    for left in store.take_over(dead.writer).await.unwrap().segments {
        store.settle_segment(left.id, None, bench.now()).await.unwrap();
    }
    bench.finish().await;
}

/// A segment that cannot be mended is handed out again, and does not make a dead writer of one that lives.
pub async fn what_is_set_aside_is_found_and_its_writer_lives(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let writer = bench.another_writer().await;
    writer.has_put("k", b"body").await;
    let pack = writer.pack(TIER);
    for left in store.take_over(writer.writer).await.unwrap().segments {
        if left.id == pack {
            store.set_aside(pack).await.unwrap();
        } else {
            store.settle_segment(left.id, None, bench.now()).await.unwrap();
        }
    }
    store.heartbeat(writer.writer, bench.later(1000)).await.unwrap();
    let dead = store.dead_writers(bench.now()).await.unwrap();
    assert!(!dead.contains(&writer.writer));
    let mut found = Vec::new();
    for dead in dead.into_iter().filter(|dead| dead.0 == pack.0) {
        found.extend(store.take_over(dead).await.unwrap().segments);
    }
    assert_eq!(found.iter().map(|segment| segment.id).collect::<Vec<_>>(), [pack]);
    bench.assert_latest("k", Some(b"body")).await;
    let size = found[0].size;
    store.settle_segment(pack, Some(Mended { size, ..Mended::default() }), bench.now()).await.unwrap();
    assert_eq!(state(store, pack).await, Some(SegmentState::Sealed));
    assert!(store.dead_writers(bench.now()).await.unwrap().iter().all(|dead| dead.0 != pack.0));
    bench.finish().await;
}
