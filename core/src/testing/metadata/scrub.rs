//! Passes of the scrubber, what it marks, and segments that come back without their rows.

use super::bench::{Bench, object};
use crate::application::ports::metadata::{LeafRecord, MetadataStore, ScrubPass, SegmentRecord};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{BlobId, Hash, SegmentId};
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;

/// A pass goes on from where it was taken to, by a caller that names that place; the next begins after it.
pub async fn a_pass_is_taken_on_by_one_at_a_time(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let blob = bench.has_put("k", b"body").await.content.unwrap().blob;
    let begun = store.begin_scrub(bench.later(1)).await.unwrap();
    assert_eq!((begun.after, begun.finished_at, begun.blobs), (None, None, 0));
    assert_eq!(store.begin_scrub(bench.later(2)).await.unwrap(), begun, "one is under way");
    assert_eq!(store.scrub_pass().await.unwrap(), Some(begun));

    let further = ScrubPass { after: Some(blob), blobs: 1, bytes: 4, damaged: 1, ..begun };
    assert!(store.advance_scrub(&begun, &further).await.unwrap());
    let elsewhere = ScrubPass { blobs: 7, ..begun };
    assert!(!store.advance_scrub(&begun, &elsewhere).await.unwrap(), "somebody else was faster");
    assert_eq!(store.scrub_pass().await.unwrap(), Some(further));

    let finished = ScrubPass { finished_at: Some(bench.later(3)), ..further };
    assert!(store.advance_scrub(&further, &finished).await.unwrap());
    assert!(!store.advance_scrub(&finished, &further).await.unwrap(), "it is over");
    assert_eq!(store.scrub_pass().await.unwrap(), Some(finished));
    let now = bench.later(4);
    let next = store.begin_scrub(now).await.unwrap();
    assert_eq!((next.number, next.after, next.finished_at), (begun.number + 1, None, None));
    assert_eq!((next.begun_at, next.blobs, next.bytes, next.damaged), (now, 0, 0, 0));
    let done = ScrubPass { finished_at: Some(bench.later(5)), ..next };
    assert!(store.advance_scrub(&next, &done).await.unwrap());
    bench.finish().await;
}

async fn damaged(store: &dyn MetadataStore) -> Vec<BlobId> {
    store.quarantined(None, 10_000).await.unwrap().into_iter().map(|leaf: LeafRecord| leaf.id).collect()
}

/// What is marked is found without a look at the rest; a leaf that moved is not what was read.
pub async fn damage_is_listed_until_it_is_released(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let sound = bench.has_put("sound", b"sound").await.content.unwrap().blob;
    let bad = bench.has_put("bad", b"bad").await.content.unwrap().blob;
    let at = bench.find("bad").await.unwrap().leaf.unwrap().location;
    let elsewhere = bench.find("sound").await.unwrap().leaf.unwrap().location;
    store.quarantine(bad, at).await.unwrap();
    assert!(damaged(store).await.contains(&bad) && !damaged(store).await.contains(&sound));
    assert!(!store.quarantined(Some(bad), 10_000).await.unwrap().iter().any(|leaf| leaf.id == bad));
    store.release(bad, elsewhere).await.unwrap();
    assert!(damaged(store).await.contains(&bad), "read elsewhere");
    store.release(bad, at).await.unwrap();
    assert!(!damaged(store).await.contains(&bad));
    bench.finish().await;
}

/// A segment without a row comes back with an object for each of its leaves, sealed at once; one that has a row
/// is left alone.
pub async fn a_segment_is_adopted_whole_or_not_at_all(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let segment = |kind| SegmentRecord {
        id: SegmentId::fresh(),
        tier: StorageClass::Hot,
        kind,
        state: SegmentState::Sealed,
        size: 1 << 20,
        live_bytes: 0,
    };
    let content = |segment: &SegmentRecord, name: &str| {
        let (hash, size) = (Hash::of(name.as_bytes()), name.len() as u64);
        let leaf = bench.staged_in(segment.id, segment.kind, segment.tier, hash, size);
        let content = crate::application::ports::metadata::NewContent::Staged(leaf);
        bench.put_content(name, content, super::bench::etag(name.as_bytes()))
    };

    let pack = segment(SegmentKind::Pack);
    let objects = vec![content(&pack, "one"), content(&pack, "two")];
    assert_eq!(store.adopt_segment(pack, objects.clone(), bench.now()).await.unwrap(), Some(2));
    bench.assert_latest("one", Some(b"one")).await;
    let row = store.find_segment(pack.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.size, row.live_bytes), (SegmentState::Sealed, 1 << 20, 6));
    assert_eq!(store.adopt_segment(pack, objects, bench.now()).await.unwrap(), None, "it has a row");

    // The same bytes once more: the second copy is condemned, the object stays.
    let single = segment(SegmentKind::Single);
    let again = vec![content(&single, "one")];
    assert_eq!(store.adopt_segment(single, again, bench.now()).await.unwrap(), Some(1));
    let row = store.find_segment(single.id).await.unwrap().unwrap();
    assert_eq!(row.state, SegmentState::Condemned);
    bench.assert_latest("one", Some(b"one")).await;

    // Nothing in it is worth keeping.
    let empty = segment(SegmentKind::Pack);
    assert_eq!(store.adopt_segment(empty, Vec::new(), bench.now()).await.unwrap(), Some(0));
    assert_eq!(store.find_segment(empty.id).await.unwrap().unwrap().state, SegmentState::Condemned);

    // What was adopted lives as everything else does.
    object(bench.try_put(bench.put("one", b"three")).await);
    bench.has_deleted(bench.delete("two")).await;
    bench.collect().await;
    assert_eq!(store.find_segment(pack.id).await.unwrap().unwrap().state, SegmentState::Condemned);
    bench.finish().await;
}
