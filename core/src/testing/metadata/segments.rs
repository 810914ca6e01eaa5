//! Segments and the writers who die.

use uuid::Uuid;

use super::bench::{Bench, etag, key, object, refusal};
use crate::application::ports::metadata::{
    MetadataStore, Mutation, NewContent, Refusal, SegmentRecord, WriterId,
};
use crate::application::ports::segments::{Mended, SegmentKind};
use crate::domain::blob::{Hash, SegmentId};
use crate::domain::object::ObjectId;
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;

async fn record(store: &dyn MetadataStore, id: SegmentId) -> Option<SegmentRecord> {
    let mut after = None;
    loop {
        // In pages, as `validate` reads them.
        let page = store.scan_segments(after, 3).await.unwrap();
        if let Some(found) = page.iter().find(|segment| segment.id == id) {
            return Some(*found);
        }
        after = Some(page.last()?.id);
    }
}

/// Open with what was committed, sealed, condemned when empty, gone when forgotten.
pub async fn a_pack_lives_from_open_to_gone(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let id = bench.pack(StorageClass::Hot);
    let open = SegmentRecord {
        id,
        tier: StorageClass::Hot,
        kind: SegmentKind::Pack,
        state: SegmentState::Open,
        size: 0,
        live_bytes: 0,
    };
    assert_eq!(record(store, id).await, Some(open));
    let leaf = bench.staged_as(Hash::of(b"body"), 4, StorageClass::Hot);
    let size = leaf.segment_size;
    object(bench.try_put(bench.put_content("k", NewContent::Staged(leaf), etag(b"body"))).await);
    assert_eq!(record(store, id).await, Some(SegmentRecord { size, live_bytes: 4, ..open }));
    bench.one(Mutation::SealPack(id, size + 50)).await.unwrap();
    let sealed = SegmentRecord { state: SegmentState::Sealed, size: size + 50, live_bytes: 4, ..open };
    assert_eq!(record(store, id).await, Some(sealed));
    assert_eq!(refusal(bench.one(Mutation::SealPack(id, 1)).await), Refusal::SegmentLost);
    bench.has_deleted(bench.delete("k")).await;
    bench.collect().await;
    let condemned = SegmentRecord { state: SegmentState::Condemned, live_bytes: 0, ..sealed };
    assert_eq!(record(store, id).await, Some(condemned));
    store.forget_segments(&[id]).await.unwrap();
    assert_eq!(record(store, id).await, None);

    // One that nothing was ever committed into goes as soon as it is sealed.
    let empty = bench.new_pack(StorageClass::Hot).await;
    bench.one(Mutation::SealPack(empty, 20)).await.unwrap();
    assert_eq!(record(store, empty).await.unwrap().state, SegmentState::Condemned);
    // A blob of no bytes is a blob.
    let id = bench.new_pack(StorageClass::Hot).await;
    bench.has_put("empty", b"").await;
    bench.one(Mutation::SealPack(id, 100_000)).await.unwrap();
    assert_eq!(record(store, id).await.unwrap().state, SegmentState::Sealed);
    bench.finish().await;
}

/// Sealed, another's, unknown or taken over: nothing can be committed into it, and nothing else suffers.
pub async fn a_lost_segment_cannot_be_committed_into(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let other = bench.another_writer().await;
    let sealed = bench.open(SegmentKind::Pack, StorageClass::Hot).await;
    bench.one(Mutation::SealPack(sealed, 10)).await.unwrap();
    let others_single = other.open(SegmentKind::Single, StorageClass::Hot).await;
    let lost = [
        (sealed, SegmentKind::Pack),
        (other.pack(StorageClass::Hot), SegmentKind::Pack),
        (SegmentId::fresh(), SegmentKind::Pack),
        (others_single, SegmentKind::Single),
        (bench.pack(StorageClass::Hot), SegmentKind::Single),
    ];
    for (segment, kind) in lost {
        let leaf = bench.staged_in(segment, kind, StorageClass::Hot, Hash::of(b"lost"), 4);
        let put = bench.put_content("lost", NewContent::Staged(leaf), etag(b"lost"));
        let outcomes = bench
            .commit(vec![Mutation::Put(Box::new(bench.put("fine", b"fine"))), Mutation::Put(Box::new(put))])
            .await;
        assert!(outcomes[0].is_ok());
        assert_eq!(outcomes[1].as_ref().err(), Some(&Refusal::SegmentLost));
    }
    assert_eq!(bench.find("lost").await, None);
    assert_eq!(record(store, others_single).await.unwrap().state, SegmentState::Open);
    bench.finish().await;
}

/// Taking over fences the writer, and what it left is handed out until it is dealt with.
pub async fn what_a_dead_writer_left_is_returned_until_settled(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let dead = bench.another_writer().await;
    let is_dead = async |now| store.dead_writers(now).await.unwrap().contains(&dead.writer);
    store.heartbeat(dead.writer, bench.later(10)).await.unwrap();
    assert!(!is_dead(bench.now()).await);
    assert!(is_dead(bench.later(20)).await);

    dead.has_put("kept", b"kept").await;
    let (packed, empty) = (dead.pack(StorageClass::Hot), dead.pack(StorageClass::Cold));
    let single = SegmentId::fresh();
    let announced = ObjectId::fresh(bench.now());
    let tier = StorageClass::Hot;
    store
        .announce(dead.writer, announced, single, tier, &bench.space, Some(&key("k")), bench.now())
        .await
        .unwrap();
    assert_eq!(writes(&bench).await, 1);
    let mut left = store.take_over(dead.writer).await.unwrap();
    assert_eq!(left.writes, 1);
    assert_eq!(writes(&bench).await, 0);
    left.segments.sort_by_key(|segment| segment.id);
    let mut expected = vec![packed, empty, single];
    expected.sort();
    assert_eq!(left.segments.iter().map(|segment| segment.id).collect::<Vec<_>>(), expected);
    assert!(left.segments.iter().all(|segment| segment.state == SegmentState::Orphaned));

    // It was not dead, only slow: it must notice.
    store.heartbeat(dead.writer, bench.later(1000)).await.unwrap();
    assert_eq!(refusal(dead.try_put(dead.put("late", b"late")).await), Refusal::SegmentLost);
    let leaf = dead.staged_in(single, SegmentKind::Single, tier, Hash::of(b"late"), 4);
    let mut late = dead.put_content("late", NewContent::Staged(leaf), etag(b"late"));
    late.announced = Some(announced);
    assert_eq!(refusal(dead.try_put(late).await), Refusal::SegmentLost);
    assert_eq!(refusal(dead.one(Mutation::SealPack(packed, 10)).await), Refusal::SegmentLost);

    // The server that took over may die as well.
    assert!(is_dead(bench.now()).await);
    let again = store.take_over(dead.writer).await.unwrap();
    assert_eq!((again.segments.len(), again.writes), (3, 0));
    let size = record(store, packed).await.unwrap().size;
    for _ in 0..2 {
        let mended = |size| Some(Mended { size, ..Mended::default() });
        store.settle_segment(packed, mended(size + 10), bench.now()).await.unwrap();
        store.settle_segment(empty, mended(20), bench.now()).await.unwrap();
        store.settle_segment(single, None, bench.now()).await.unwrap();
    }
    let states = [(packed, SegmentState::Sealed), (empty, SegmentState::Condemned)];
    for (id, state) in states.into_iter().chain([(single, SegmentState::Condemned)]) {
        assert_eq!(record(store, id).await.unwrap().state, state);
    }
    assert_eq!(store.take_over(dead.writer).await.unwrap().segments, []);
    assert!(!is_dead(bench.later(100_000)).await);
    bench.assert_latest("kept", Some(b"kept")).await;

    // One that never said it lives counts as dead.
    let silent = WriterId(Uuid::new_v4());
    let id = SegmentId::fresh();
    store.open_segment(silent, id, tier, SegmentKind::Pack, bench.now()).await.unwrap();
    assert!(store.dead_writers(bench.now()).await.unwrap().contains(&silent));
    store.take_over(silent).await.unwrap();
    store.settle_segment(id, None, bench.now()).await.unwrap();
    bench.finish().await;
}

async fn writes(bench: &Bench<'_>) -> u64 {
    let all = bench.store.writing().await.unwrap();
    all.iter().find(|(space, _)| *space == bench.space).map_or(0, |(_, writes)| *writes)
}

/// WRITING becomes COMMITTED with the put, or nothing when it is abandoned.
pub async fn announced_writes_become_objects_or_nothing(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let announce = async |name: &str| {
        let (id, segment) = (ObjectId::fresh(bench.now()), SegmentId::fresh());
        let (tier, now) = (StorageClass::Hot, bench.now());
        store.announce(bench.writer, id, segment, tier, &bench.space, Some(&key(name)), now).await.unwrap();
        (id, segment)
    };
    let (id, segment) = announce("k").await;
    assert_eq!(writes(&bench).await, 1);
    // Meanwhile another write got in: the object's id is larger than that one's.
    let between = bench.has_put("k", b"between").await;
    let leaf = bench.staged_in(segment, SegmentKind::Single, StorageClass::Hot, Hash::of(b"body"), 4);
    let mut put = bench.put_content("k", NewContent::Staged(leaf), etag(b"body"));
    (put.id, put.announced) = (id, Some(id));
    let made = object(bench.try_put(put).await);
    assert!(made.id > between.id);
    assert_eq!(writes(&bench).await, 0);
    bench.assert_latest("k", Some(b"body")).await;
    assert_eq!(record(store, segment).await.unwrap().state, SegmentState::Sealed);

    let (id, segment) = announce("other").await;
    for _ in 0..2 {
        store.abandon(id, segment).await.unwrap();
    }
    assert_eq!(writes(&bench).await, 0);
    assert_eq!(record(store, segment).await.unwrap().state, SegmentState::Condemned);
    // What is committed cannot be abandoned any more.
    let kept = bench.find("k").await.unwrap();
    store.abandon(made.id, kept.leaf.unwrap().location.segment).await.unwrap();
    assert_eq!(bench.find("k").await, Some(kept));
    bench.finish().await;
}
