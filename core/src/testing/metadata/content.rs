//! Deduplication, copies, slices, damage.

use super::bench::{Bench, etag, object};
use crate::application::ports::metadata::{MetadataStore, MutationOutcome, NewContent, Refusal, StagedLeaf};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{BlobId, Extent, Hash, Location, SegmentId};
use crate::domain::naming::ContentName;
use crate::domain::range::Span;
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;

async fn state(store: &dyn MetadataStore, id: SegmentId) -> Option<SegmentState> {
    let all = store.scan_segments(None, 100_000).await.unwrap();
    all.into_iter().find(|segment| segment.id == id).map(|segment| segment.state)
}

async fn leaf(bench: &Bench<'_>, name: &str) -> Extent {
    bench.find(name).await.unwrap().leaf.unwrap()
}

/// The second upload of the same bytes refers to the first's, across spaces of one domain.
pub async fn identical_content_is_stored_once_in_a_domain(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let first = bench.has_put("a", b"same").await;
    let second = bench.has_put("b", b"same").await;
    assert_eq!(first.content, second.content);
    assert_ne!(first.content, bench.has_put("c", b"different").await.content);
    let mut neighbour = Bench::new(store).await;
    neighbour.domain = bench.domain.clone();
    assert_eq!(neighbour.has_put("a", b"same").await.content, first.content);
    let segments = store.scan_segments(None, 100_000).await.unwrap();
    let pack = segments.iter().find(|segment| segment.id == bench.pack(StorageClass::Hot)).unwrap();
    assert_eq!(pack.live_bytes, 4 + 9);
    // The bytes stay as long as a row refers to them, not only as long as their first writer's does.
    bench.has_deleted(bench.delete("a")).await;
    bench.has_deleted(bench.delete("b")).await;
    bench.collect().await;
    assert_eq!(leaf(&neighbour, "a").await.hash, Hash::of(b"same"));
    bench.finish().await;
}

/// Neither finds the other's bytes: not by their hash, not by their blob's id.
pub async fn domains_share_nothing(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let stranger = Bench::new(store).await;
    let ours = bench.has_put("a", b"secret").await.content.unwrap();
    let theirs = stranger.has_put("a", b"secret").await.content.unwrap();
    assert_eq!(ours.name, theirs.name);
    assert_ne!(ours.blob, theirs.blob);
    let theft = stranger.put_content("b", NewContent::Existing(ours.blob), etag(b""));
    assert_eq!(super::bench::refusal(stranger.try_put(theft).await), Refusal::SourceGone);
    let slice = NewContent::Slice(ours.blob, Span { start: 0, end: 1 });
    let theft = stranger.put_content("b", slice, etag(b""));
    assert_eq!(super::bench::refusal(stranger.try_put(theft).await), Refusal::SourceGone);
    bench.finish().await;
}

async fn single(bench: &Bench<'_>, body: &[u8], tier: StorageClass) -> (SegmentId, StagedLeaf) {
    let id = bench.open(SegmentKind::Single, tier).await;
    (id, bench.staged_in(id, SegmentKind::Single, tier, Hash::of(body), body.len() as u64))
}

/// A large duplicate's own segment is condemned in the same transaction, and the writer told.
pub async fn a_duplicate_single_is_dropped(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let (first, staged) = single(&bench, b"large", StorageClass::Hot).await;
    let put = bench.put_content("a", NewContent::Staged(staged), etag(b"large"));
    let Ok(MutationOutcome::Object { dropped: None, .. }) = bench.try_put(put).await else {
        panic!("dropped")
    };
    let (second, staged) = single(&bench, b"large", StorageClass::Hot).await;
    let put = bench.put_content("b", NewContent::Staged(staged), etag(b"large"));
    let Ok(MutationOutcome::Object { dropped, .. }) = bench.try_put(put).await else { panic!("refused") };
    assert_eq!(dropped, Some(second));
    assert_eq!(state(store, first).await, Some(SegmentState::Sealed));
    assert_eq!(state(store, second).await, Some(SegmentState::Condemned));
    assert_eq!(leaf(&bench, "b").await.location.segment, first);
    bench.finish().await;
}

/// A quarantined leaf is mended by the next upload of the same bytes, for every object that refers to it.
pub async fn damaged_content_is_replaced_by_the_next_upload(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let (old, staged) = single(&bench, b"body", StorageClass::Hot).await;
    let at = staged.location;
    let put = bench.put_content("a", NewContent::Staged(staged), etag(b"body"));
    let blob = object(bench.try_put(put).await).content.unwrap().blob;
    // What was read where the leaf does not lie says nothing about it.
    store.quarantine(blob, Location { offset: at.offset + 1, ..at }).await.unwrap();
    assert!(!store.find_leaf(blob).await.unwrap().unwrap().quarantined);
    store.quarantine(blob, at).await.unwrap();
    assert!(store.find_leaf(blob).await.unwrap().unwrap().quarantined);
    let quarantined = store.scan_leaves(None, 100_000).await.unwrap();
    assert!(quarantined.iter().any(|leaf| leaf.id == blob && leaf.quarantined));
    let second = bench.has_put("b", b"body").await;
    assert_eq!(second.content.unwrap().blob, blob);
    assert_eq!(leaf(&bench, "a").await.location.segment, bench.pack(StorageClass::Hot));
    assert_eq!(state(store, old).await, Some(SegmentState::Condemned));
    let mended = store.leaves_in(bench.pack(StorageClass::Hot), 10).await.unwrap();
    assert!(mended.iter().any(|leaf| leaf.id == blob && !leaf.quarantined));
    bench.finish().await;
}

/// Bytes that lie cold and are uploaded hot need no mover.
pub async fn hotter_bytes_take_over(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let cold = bench.staged_as(Hash::of(b"body"), 4, StorageClass::Cold);
    let mut put = bench.put_content("cold", NewContent::Staged(cold), etag(b"body"));
    put.attributes.class = Some(StorageClass::Cold);
    bench.try_put(put).await.unwrap();
    assert_eq!(leaf(&bench, "cold").await.location.tier, StorageClass::Cold);
    bench.has_put("hot", b"body").await;
    assert_eq!(leaf(&bench, "cold").await.location.tier, StorageClass::Hot);
    // The other way round nothing moves: the hottest object decides.
    let cold = bench.staged_as(Hash::of(b"body"), 4, StorageClass::Cold);
    let mut put = bench.put_content("colder", NewContent::Staged(cold), etag(b"body"));
    put.attributes.class = Some(StorageClass::Cold);
    bench.try_put(put).await.unwrap();
    assert_eq!(leaf(&bench, "colder").await.location.tier, StorageClass::Hot);
    bench.finish().await;
}

/// A copy refers to the same blob, and outlives its source.
pub async fn copies_refer_to_the_same_blob(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let source = bench.has_put("source", b"body").await.content.unwrap();
    let copy = bench.put_content("copy", NewContent::Existing(source.blob), etag(b"body"));
    assert_eq!(object(bench.try_put(copy).await).content, Some(source));
    bench.has_deleted(bench.delete("source")).await;
    assert_eq!(bench.collect().await, 0);
    assert_eq!(leaf(&bench, "copy").await.hash, Hash::of(b"body"));
    bench.has_deleted(bench.delete("copy")).await;
    assert_eq!(bench.collect().await, 1);
    let late = bench.put_content("late", NewContent::Existing(source.blob), etag(b"body"));
    assert_eq!(super::bench::refusal(bench.try_put(late).await), Refusal::SourceGone);
    bench.finish().await;
}

async fn stretches(store: &dyn MetadataStore, blob: BlobId, start: u64, end: u64) -> Vec<(BlobId, u64, u64)> {
    let extents = store.extents(blob, Span { start, end }).await.unwrap();
    extents.iter().map(|extent| (extent.blob, extent.offset, extent.length)).collect()
}

/// A slice is a composite of one part; a slice of a slice refers to the leaf below; equal slices are one.
pub async fn slices_read_as_the_stretch_they_are(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let source = bench.has_put("source", b"0123456789").await.content.unwrap();
    let slice = async |name: &str, of: BlobId, start, end| {
        let content = NewContent::Slice(of, Span { start, end });
        object(bench.try_put(bench.put_content(name, content, etag(b""))).await).content.unwrap()
    };
    let first = slice("first", source.blob, 2, 8).await;
    assert_eq!(first.size, 6);
    assert_eq!(first.name, ContentName::slice(source.name, Span { start: 2, end: 8 }));
    assert_eq!(stretches(store, first.blob, 0, 6).await, [(source.blob, 2, 6)]);
    assert_eq!(stretches(store, first.blob, 1, 3).await, [(source.blob, 3, 2)]);
    assert_eq!(bench.find("first").await.unwrap().leaf, None);
    let second = slice("second", first.blob, 1, 4).await;
    assert_eq!(stretches(store, second.blob, 0, 3).await, [(source.blob, 3, 3)]);
    assert_eq!(slice("again", source.blob, 2, 8).await.blob, first.blob);
    assert_eq!(slice("whole", source.blob, 0, 10).await, source, "the whole is the blob itself");
    for name in ["source", "whole", "first", "again"] {
        bench.has_deleted(bench.delete(name)).await;
    }
    assert_eq!(bench.collect().await, 1, "the first slice goes; the source lives on in the second");
    assert_eq!(stretches(store, second.blob, 0, 3).await, [(source.blob, 3, 3)]);
    bench.finish().await;
}
