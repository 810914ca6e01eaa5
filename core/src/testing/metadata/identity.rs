//! The store's id, its tiers, its sealed constant, and the starts of its writers.

use std::time::Duration;

use uuid::Uuid;

use super::bench::Bench;
use crate::application::ports::metadata::{MetadataError, MetadataStore, Mutation, WriterId};
use crate::application::ports::segments::SegmentKind;
use crate::domain::blob::SegmentId;
use crate::domain::identity::{StoreId, TierId};
use crate::domain::incarnation::{Incarnation, NotedStart, Whereabouts};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn fresh() -> StoreId {
    StoreId(Uuid::new_v4())
}

/// The first name stays, until the tiers give it another; once a tier is recorded it stays for good.
pub async fn a_store_keeps_its_name_and_its_tiers(store: &dyn MetadataStore) {
    let first = store.store_record(fresh(), NOW).await.unwrap();
    assert_eq!(store.store_record(fresh(), NOW).await.unwrap(), first);
    let adopted = fresh();
    if first.hot.is_none() && first.cold.is_none() {
        assert!(!store.adopt_store(fresh(), adopted).await.unwrap(), "it was called otherwise");
        assert!(store.adopt_store(first.id, adopted).await.unwrap());
        assert!(store.adopt_store(first.id, adopted).await.unwrap(), "it is called so");
        assert_eq!(store.store_record(fresh(), NOW).await.unwrap().id, adopted);
    }
    let tier = TierId(Uuid::new_v4());
    let hot = store.record_tier(StorageClass::Hot, tier, NOW).await.unwrap();
    assert_eq!(hot, first.hot.unwrap_or(tier));
    assert_eq!(store.record_tier(StorageClass::Hot, TierId(Uuid::new_v4()), NOW).await.unwrap(), hot);
    let now = store.store_record(fresh(), NOW).await.unwrap();
    assert_eq!((now.hot, now.cold), (Some(hot), first.cold));
    assert!(!store.adopt_store(now.id, fresh()).await.unwrap(), "its tiers are known");
    assert_eq!(store.store_record(fresh(), NOW).await.unwrap().id, now.id);
}

/// By compare-and-set.
pub async fn a_sealed_constant_is_replaced_by_who_knows_it(store: &dyn MetadataStore) {
    let was = store.store_record(fresh(), NOW).await.unwrap().sealed;
    assert!(!store.seal_store(Some(b"what it never was"), b"x").await.unwrap());
    assert!(store.seal_store(was.as_deref(), b"one").await.unwrap());
    assert!(!store.seal_store(None, b"two").await.unwrap(), "there is one");
    assert!(store.seal_store(Some(b"one"), b"two").await.unwrap());
    assert!(!store.seal_store(Some(b"one"), b"three").await.unwrap());
    assert_eq!(store.store_record(fresh(), NOW).await.unwrap().sealed.as_deref(), Some(&b"two"[..]));
}

fn place() -> Whereabouts {
    let (host, boot, path) = ("host".to_owned(), "boot".to_owned(), "/data".to_owned());
    Whereabouts { host, boot, device: u64::MAX, inode: 7, path }
}

/// A start takes the place of the one it knew, and of no other; the one before says no word and opens no segment.
pub async fn a_start_ends_the_one_before(store: &dyn MetadataStore) {
    let (writer, other) = (WriterId(Uuid::new_v4()), WriterId(Uuid::new_v4()));
    let one = Incarnation::NONE.next(Uuid::new_v4());
    let two = one.next(Uuid::new_v4());
    assert_eq!(store.last_start(writer).await.unwrap(), None);
    assert!(store.enter_start(writer, None, one, &place(), NOW).await.unwrap());
    assert!(!store.enter_start(writer, None, two, &place(), NOW).await.unwrap(), "it has started");
    assert!(!store.enter_start(writer, Some(Uuid::new_v4()), two, &place(), NOW).await.unwrap());
    let until = NOW.plus(Duration::from_secs(60));
    let open = async |writer| {
        store.open_segment(writer, SegmentId::fresh(), StorageClass::Hot, SegmentKind::Single, NOW).await
    };
    store.heartbeat(writer, until).await.unwrap();
    open(writer).await.unwrap();
    let last = store.last_start(writer).await.unwrap().unwrap();
    assert_eq!((last.incarnation, last.place, last.alive_until), (one, place(), Some(until)));
    assert!(
        store.enter_start(writer, Some(one.token), one, &place(), NOW).await.unwrap(),
        "it goes on as it is"
    );

    // From now on this process is the server of another writer, as if the next start were another process's.
    assert!(store.enter_start(writer, Some(one.token), two, &place(), NOW).await.unwrap());
    store.heartbeat(writer, until).await.unwrap();
    assert!(store.enter_start(other, None, one, &place(), NOW).await.unwrap());
    assert!(matches!(store.heartbeat(writer, until).await, Err(MetadataError::Superseded)));
    assert!(matches!(open(writer).await, Err(MetadataError::Superseded)));
    store.heartbeat(other, until).await.unwrap();
    // Nor does it change anything that takes no bytes: not by itself, not among others, not by moving what is there.
    let bench = Bench::new(store).await;
    bench.has_put("k", b"body").await;
    let delete = || Mutation::Delete(Box::new(bench.delete("k")));
    for batch in [vec![delete()], vec![delete(), delete()]] {
        let refused = store.commit(writer, batch, NOW).await;
        assert!(matches!(refused, Err(MetadataError::Superseded)), "{refused:?}");
    }
    let moved = store.relocate(writer, Vec::new(), NOW).await;
    assert!(matches!(moved, Err(MetadataError::Superseded)), "{moved:?}");
    bench.assert_latest("k", Some(b"body")).await;
    store.commit(other, vec![delete()], NOW).await.unwrap();
    bench.assert_latest("k", None).await;
    bench.finish().await;

    // What lives is not forgotten.
    store.take_over(other).await.unwrap();
    store.forget_starts(NOW.plus(Duration::from_secs(1))).await.unwrap();
    assert_eq!(store.last_start(other).await.unwrap(), None);
    assert_eq!(store.last_start(writer).await.unwrap().unwrap().incarnation, two);
    for segment in store.take_over(writer).await.unwrap().segments {
        store.settle_segment(segment.id, None, NOW).await.unwrap();
        store.forget_segments(&[segment.id]).await.unwrap();
    }
    store.forget_starts(NOW.plus(Duration::from_secs(1))).await.unwrap();
}

/// A start shows once it is noted, as long as its writer lives, and until the next one.
pub async fn noted_starts_show_while_their_writer_lives(store: &dyn MetadataStore) {
    let writer = WriterId(Uuid::new_v4());
    let one = Incarnation::NONE.next(Uuid::new_v4());
    let two = one.next(Uuid::new_v4());
    let (soon, until) = (NOW.plus(Duration::from_secs(1)), NOW.plus(Duration::from_secs(60)));
    let shown = async |now| {
        let all = store.noted_starts(now).await.unwrap();
        all.into_iter().find(|start| start.writer == writer.0)
    };
    assert!(store.enter_start(writer, None, one, &place(), NOW).await.unwrap());
    store.heartbeat(writer, until).await.unwrap();
    assert_eq!(shown(NOW).await, None);
    store.note_start(writer, two.token, soon).await.unwrap();
    assert_eq!(shown(NOW).await, None, "another start's");
    store.note_start(writer, one.token, soon).await.unwrap();
    let expected = NotedStart { writer: writer.0, token: one.token, noted_at: soon, place: place() };
    assert_eq!(shown(NOW).await, Some(expected));
    assert_eq!(shown(until).await, None, "its word has run out");
    assert!(store.enter_start(writer, Some(one.token), two, &place(), NOW).await.unwrap());
    assert_eq!(shown(NOW).await, None, "the next start has noted nothing yet");
    store.take_over(writer).await.unwrap();
    store.forget_starts(NOW.plus(Duration::from_secs(1))).await.unwrap();
}

/// Those that nothing was committed into have no file perhaps.
pub async fn a_sample_is_of_segments_that_hold_bytes(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.has_put("k", b"body").await;
    let (used, unused) = (bench.pack(StorageClass::Hot), bench.pack(StorageClass::Cold));
    let hot = store.sample_tier(StorageClass::Hot, 10_000).await.unwrap();
    assert!(hot.known && hot.segments.contains(&used), "{hot:?}");
    let cold = store.sample_tier(StorageClass::Cold, 10_000).await.unwrap();
    assert!(cold.known && !cold.segments.contains(&unused), "{cold:?}");
    assert!(store.sample_tier(StorageClass::Hot, 2).await.unwrap().segments.len() <= 2);
    bench.finish().await;
}
