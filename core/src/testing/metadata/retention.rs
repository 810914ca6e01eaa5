//! Condemned segments wait, so that a backup of the database finds its bytes.

use uuid::Uuid;

use super::bench::{Bench, etag, object};
use crate::application::ports::metadata::{Hold, MetadataStore, NewContent, Relocation};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::{Hash, SegmentId};
use crate::domain::object::ObjectId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

const END: Timestamp = Timestamp(i64::MAX);

async fn removable(store: &dyn MetadataStore, before: Timestamp, now: Timestamp, id: SegmentId) -> bool {
    store.condemned(before, now, 100_000).await.unwrap().iter().any(|segment| segment.id == id)
}

/// A segment of one blob that was committed and collected: condemned between the two moments returned.
async fn condemned(bench: &Bench<'_>) -> (SegmentId, Timestamp, Timestamp) {
    let segment = bench.open(SegmentKind::Single, StorageClass::Hot).await;
    let leaf = bench.staged_in(segment, SegmentKind::Single, StorageClass::Hot, Hash::of(b"large"), 5);
    object(bench.try_put(bench.put_content("large", NewContent::Staged(leaf), etag(b"large"))).await);
    bench.has_deleted(bench.delete("large")).await;
    let before = bench.now();
    bench.collect().await;
    (segment, before, bench.now())
}

/// Its moment is when its last blob went, not when it was written or sealed.
pub async fn a_condemned_segment_waits_for_the_retention(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let was = store.retained().await.unwrap();
    let (segment, before, after) = condemned(&bench).await;
    assert!(!removable(store, before, after, segment).await, "condemned later than this");
    assert!(removable(store, after, after, segment).await);
    let now = store.retained().await.unwrap();
    assert_eq!((now.segments - was.segments, now.bytes > was.bytes), (1, true));
    assert!(!store.is_unnamed(segment).await.unwrap(), "a backup may name it");
    store.forget_segments(&[segment]).await.unwrap();
    assert_eq!(store.retained().await.unwrap(), was);
    assert!(store.is_unnamed(segment).await.unwrap());

    // A leaf that moved leaves a segment behind that the backup before the move names.
    let blob = bench.has_put("moved", b"moved").await.content.unwrap().blob;
    let from = bench.find("moved").await.unwrap().leaf.unwrap().location;
    let copy = bench.open(SegmentKind::Single, StorageClass::Cold).await;
    let to = bench.staged_in(copy, SegmentKind::Single, StorageClass::Cold, Hash::of(b"moved"), 5);
    let before = bench.now();
    let relocation = Relocation { blob, from, to };
    assert_eq!(store.relocate(bench.writer, vec![relocation], bench.now()).await.unwrap(), [true]);
    bench.one(crate::application::ports::metadata::Mutation::SealPack(from.segment, 1000)).await.unwrap();
    assert!(!removable(store, before, bench.now(), from.segment).await);
    assert!(removable(store, bench.now(), bench.now(), from.segment).await);
    bench.finish().await;
}

/// Nothing was ever committed into it: abandoned, unmade, a duplicate, a copy that came too late.
pub async fn what_no_backup_can_name_does_not_wait(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let never = Timestamp(i64::MIN + 1);
    let at_once = async |id| {
        assert!(store.is_unnamed(id).await.unwrap());
        store.condemned(Timestamp(0), bench.now(), 100_000).await.unwrap().iter().any(|s| s.id == id)
    };
    let (id, abandoned) = (ObjectId::fresh(bench.now()), SegmentId::fresh());
    let (tier, now) = (StorageClass::Hot, bench.now());
    store.announce(bench.writer, id, abandoned, tier, &bench.space, None, now).await.unwrap();
    store.abandon(id, abandoned).await.unwrap();
    assert!(at_once(abandoned).await);
    let unmade = bench.open(SegmentKind::Pack, tier).await;
    store.settle_segment(unmade, None, bench.now()).await.unwrap();
    assert!(at_once(unmade).await);
    bench.has_put("first", b"same").await;
    let duplicate = bench.open(SegmentKind::Single, tier).await;
    let leaf = bench.staged_in(duplicate, SegmentKind::Single, tier, Hash::of(b"same"), 4);
    object(bench.try_put(bench.put_content("second", NewContent::Staged(leaf), etag(b"same"))).await);
    assert!(at_once(duplicate).await);
    assert!(!removable(store, never, bench.now(), SegmentId::fresh()).await);
    bench.finish().await;
}

/// In the statement that chooses, so in every process; until the hold is ended or expires.
pub async fn a_hold_keeps_every_condemned_segment(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let (segment, _, now) = condemned(&bench).await;
    let hold = |seconds| Hold { id: Uuid::new_v4(), begun_at: bench.now(), expires_at: bench.later(seconds) };
    let (long, short) = (hold(100), hold(10));
    for hold in [&long, &short] {
        store.begin_hold(hold).await.unwrap();
    }
    assert!(!removable(store, END, now, segment).await);
    let known = store.holds().await.unwrap();
    assert!(known.contains(&long) && known.contains(&short));
    assert!(store.end_hold(long.id).await.unwrap());
    assert!(!store.end_hold(long.id).await.unwrap(), "only once");
    assert!(!removable(store, END, now, segment).await, "the other one holds");
    assert!(removable(store, END, bench.later(11), segment).await, "a forgotten one expires");
    assert_eq!(store.expire_holds(now).await.unwrap(), []);
    assert_eq!(store.expire_holds(bench.later(11)).await.unwrap(), [short]);
    assert!(removable(store, END, now, segment).await);
    bench.finish().await;
}
