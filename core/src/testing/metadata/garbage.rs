//! What goes, what stays, and what moves.

use super::bench::{Bench, etag, object, refusal};
use super::uploads::{claims, complete, copied_parts, new_upload, part};
use crate::application::ports::metadata::{
    MetadataStore, Move, Mutation, NewContent, Refusal, Relocation, UpdateObject,
};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{BlobId, Hash, SegmentId};
use crate::domain::event::Cause;
use crate::domain::object::Content;
use crate::domain::precondition::Preconditions;
use crate::domain::range::Span;
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;

async fn state(store: &dyn MetadataStore, id: SegmentId) -> Option<SegmentState> {
    let all = store.scan_segments(None, 100_000).await.unwrap();
    all.into_iter().find(|segment| segment.id == id).map(|segment| segment.state)
}

async fn move_of(store: &dyn MetadataStore, blob: BlobId) -> Option<Move> {
    store.moves(100_000).await.unwrap().into_iter().find(|wanted| wanted.leaf.id == blob)
}

async fn reclass(bench: &Bench<'_>, name: &str, class: StorageClass) {
    let id = bench.find(name).await.unwrap().object.id;
    let preconditions = Preconditions::default();
    let update = UpdateObject {
        id,
        class: Some(class),
        attributes: None,
        lock: None,
        preconditions,
        cause: Cause::default(),
    };
    object(bench.one(Mutation::Update(Box::new(update))).await);
}

/// Objects, versions, parts and composites each keep their blobs, however often GC comes by.
pub async fn what_is_referred_to_stays(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.has_put("object", b"object").await;
    let upload = new_upload(&bench, "k").await;
    part(&bench, upload, 1, "part", 4).await;
    // Candidates that have another reference left.
    for name in ["twice", "once"] {
        bench.has_put(name, b"shared").await;
    }
    bench.has_deleted(bench.delete("once")).await;
    assert_eq!(bench.collect_as_told().await, 0);
    object(complete(&bench, upload, claims(&[1])).await);
    assert_eq!(bench.collect_as_told().await, 0);
    let leaves = store.leaves_in(bench.pack(StorageClass::Hot), 10).await.unwrap();
    let hashes: Vec<_> = leaves.iter().map(|leaf| leaf.hash).collect();
    assert_eq!(hashes, [Hash::of(b"object"), Hash::of(b"part"), Hash::of(b"shared")]);
    bench.finish().await;
}

/// A deleted object's blob goes, and with the last blob of a sealed segment the segment.
pub async fn what_is_deleted_goes(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let single = bench.open(SegmentKind::Single, StorageClass::Hot).await;
    let leaf = bench.staged_in(single, SegmentKind::Single, StorageClass::Hot, Hash::of(b"large"), 5);
    object(bench.try_put(bench.put_content("large", NewContent::Staged(leaf), etag(b"large"))).await);
    bench.has_put("small", b"small").await;
    bench.has_put("small", b"overwritten").await;
    bench.has_deleted(bench.delete("large")).await;
    assert_eq!(state(store, single).await, Some(SegmentState::Sealed), "not before GC");
    assert_eq!(bench.collect_as_told().await, 2);
    assert_eq!(state(store, single).await, Some(SegmentState::Condemned));
    let condemned = store.condemned(bench.now(), bench.now(), 100_000).await.unwrap();
    assert!(condemned.iter().any(|segment| segment.id == single));
    store.forget_segments(&[single, bench.pack(StorageClass::Hot)]).await.unwrap();
    assert_eq!(state(store, single).await, None);
    assert_eq!(state(store, bench.pack(StorageClass::Hot)).await, Some(SegmentState::Open), "only condemned");
    bench.assert_latest("small", Some(b"overwritten")).await;
    bench.finish().await;
}

/// A composite's leaves become candidates when it goes, and only then.
pub async fn composites_take_their_children_with_them(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let upload = new_upload(&bench, "k").await;
    part(&bench, upload, 1, "a", 5 << 20).await;
    let second = part(&bench, upload, 2, "b", 4).await;
    let composite = object(complete(&bench, upload, claims(&[1, 2])).await).content.unwrap();
    let keeper = bench.put_content("keeper", NewContent::Existing(second.blob), etag(b"b"));
    object(bench.try_put(keeper).await);
    assert_eq!(bench.collect_as_told().await, 0);
    bench.has_deleted(bench.delete("k")).await;
    assert_eq!(bench.collect_as_told().await, 2, "the composite and the leaf that nothing else refers to");
    assert_eq!(store.extents(composite.blob, Span::whole(composite.size)).await.unwrap(), []);
    assert!(bench.find("keeper").await.unwrap().leaf.is_some());
    bench.finish().await;
}

/// A composite of `count` copies of a blob.
async fn copies(bench: &Bench<'_>, name: &str, of: BlobId, count: i64) -> Content {
    let upload = new_upload(bench, name).await;
    let outcomes = bench.commit(copied_parts(bench, upload, count, of)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    object(complete(bench, upload, claims(&(1..=count).collect::<Vec<_>>())).await).content.unwrap()
}

/// Each transaction removes a bounded part of it. Meanwhile nothing can refer to it: a writer that makes the same object again
/// gets another composite, and the store agrees with itself.
pub async fn a_large_composite_goes_in_pages(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let leaf = part(&bench, new_upload(&bench, "leaf").await, 1, "leaf", 5 << 20).await.blob;
    let hundred = copies(&bench, "100", leaf, 100).await;
    let composite = copies(&bench, "2500", hundred.blob, 25).await;
    let pieces = async |of: Content| store.extents(of.blob, Span::whole(of.size)).await.unwrap().len();
    assert_eq!(pieces(composite).await, 2500);
    bench.collect_as_told().await;
    bench.has_deleted(bench.delete("2500")).await;
    assert_eq!(store.purge_deleting(7).await.unwrap(), 1);
    let swept = store.sweep(7, bench.now()).await.unwrap();
    assert_eq!((swept.examined, swept.blobs), (1, 0));
    let left = pieces(composite).await;
    assert_eq!(left, 1500, "a transaction removed {} extents", 2500 - left);

    let copy = bench.put_content("copy", NewContent::Existing(composite.blob), etag(b""));
    assert_eq!(refusal(bench.try_put(copy).await), Refusal::SourceGone);
    let again = copies(&bench, "2500", hundred.blob, 25).await;
    assert_eq!((again.name, again.blob == composite.blob), (composite.name, false));
    assert_eq!(pieces(again).await, 2500);
    assert_eq!(store.inconsistencies().await.unwrap(), []);
    bench.collect_as_told().await;
    assert_eq!((pieces(composite).await, pieces(again).await), (0, 2500));
    bench.finish().await;
}

/// A leaf lies on the hottest class that any of its objects asks for, by itself or within a composite.
pub async fn the_hottest_object_decides_the_tier(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let blob = bench.has_put("a", b"body").await.content.unwrap().blob;
    bench.has_put("b", b"body").await;
    assert_eq!(move_of(store, blob).await, None);
    reclass(&bench, "a", StorageClass::Cold).await;
    assert_eq!(move_of(store, blob).await, None, "b is hot still");
    reclass(&bench, "b", StorageClass::Cold).await;
    let wanted = move_of(store, blob).await.unwrap();
    assert_eq!((wanted.to, wanted.leaf.location.tier), (StorageClass::Cold, StorageClass::Hot));
    assert_eq!(move_of(store, blob).await, Some(wanted.clone()), "until it moved");

    // The mover copies and points.
    let copy = bench.staged_as(wanted.leaf.hash, wanted.leaf.location.length, StorageClass::Cold);
    let relocation = Relocation { blob, from: wanted.leaf.location, to: copy };
    assert_eq!(store.relocate(bench.writer, vec![relocation], bench.now()).await.unwrap(), [true]);
    assert_eq!(move_of(store, blob).await, None);
    assert_eq!(bench.find("a").await.unwrap().leaf.unwrap().location.tier, StorageClass::Cold);
    reclass(&bench, "a", StorageClass::Hot).await;
    assert_eq!(move_of(store, blob).await.map(|wanted| wanted.to), Some(StorageClass::Hot));

    // When the hot one of two objects goes, the leaf may cool down; inside a composite as well.
    let upload = new_upload(&bench, "hot").await;
    let leaf = part(&bench, upload, 1, "part", 4).await.blob;
    let composite = object(complete(&bench, upload, claims(&[1])).await).content.unwrap();
    let mut cold = bench.put_content("cold", NewContent::Existing(composite.blob), etag(b""));
    cold.attributes.class = Some(StorageClass::Cold);
    object(bench.try_put(cold).await);
    assert_eq!(move_of(store, leaf).await, None);
    bench.has_deleted(bench.delete("hot")).await;
    bench.collect_as_told().await;
    assert_eq!(move_of(store, leaf).await.map(|wanted| wanted.to), Some(StorageClass::Cold));
    bench.finish().await;
}

/// A copy whose leaf went elsewhere or away is not pointed to, and its own segment goes.
pub async fn relocation_follows_only_what_did_not_move(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let blob = bench.has_put("k", b"body").await.content.unwrap().blob;
    let from = bench.find("k").await.unwrap().leaf.unwrap().location;
    let copy = |segment, kind| Relocation {
        blob,
        from,
        to: bench.staged_in(segment, kind, StorageClass::Hot, Hash::of(b"body"), 4),
    };
    let pack = bench.open(SegmentKind::Pack, StorageClass::Hot).await;
    let first = copy(pack, SegmentKind::Pack);
    let target = first.to.location;
    assert_eq!(store.relocate(bench.writer, vec![first], bench.now()).await.unwrap(), [true]);
    assert_eq!(bench.find("k").await.unwrap().leaf.unwrap().location, target);
    let single = bench.open(SegmentKind::Single, StorageClass::Hot).await;
    let late = copy(single, SegmentKind::Single);
    assert_eq!(store.relocate(bench.writer, vec![late], bench.now()).await.unwrap(), [false]);
    assert_eq!(state(store, single).await, Some(SegmentState::Condemned));
    // Damage, and a segment that is not the writer's.
    let foreign = bench.another_writer().await.pack(StorageClass::Hot);
    let stolen = Relocation { from: target, ..copy(foreign, SegmentKind::Pack) };
    assert_eq!(store.relocate(bench.writer, vec![stolen], bench.now()).await.unwrap(), [false]);
    let mut other = Relocation { from: target, ..copy(pack, SegmentKind::Pack) };
    other.to.hash = Hash::of(b"other");
    assert_eq!(store.relocate(bench.writer, vec![other], bench.now()).await.unwrap(), [false]);
    assert_eq!(bench.find("k").await.unwrap().leaf.unwrap().location, target);
    bench.finish().await;
}

/// A sealed pack under half alive is offered to compaction, and condemned once it is empty.
pub async fn sparse_packs_are_found_and_emptied(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let old = bench.pack(StorageClass::Hot);
    for n in 0..4 {
        bench.has_put(&format!("{n}"), format!("{n}").repeat(10_000).as_bytes()).await;
    }
    let offered = async || store.sparse_packs(100_000).await.unwrap().iter().any(|pack| pack.id == old);
    for n in 0..3 {
        bench.has_deleted(bench.delete(&format!("{n}"))).await;
    }
    bench.collect_as_told().await;
    assert!(!offered().await, "open still");
    let size = store.scan_segments(None, 100_000).await.unwrap();
    let size = size.iter().find(|segment| segment.id == old).unwrap().size;
    bench.one(Mutation::SealPack(old, size + 100)).await.unwrap();
    assert!(offered().await);
    bench.new_pack(StorageClass::Hot).await;
    let left = store.leaves_in(old, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    let to = bench.staged_as(left[0].hash, left[0].location.length, StorageClass::Hot);
    let relocation = Relocation { blob: left[0].id, from: left[0].location, to };
    assert_eq!(store.relocate(bench.writer, vec![relocation], bench.now()).await.unwrap(), [true]);
    assert!(!offered().await);
    assert_eq!(state(store, old).await, Some(SegmentState::Condemned));
    bench.finish().await;
}
