//! Items that failed are put aside, and those beside them are done.

use uuid::Uuid;

use super::bench::Bench;
use crate::application::ports::metadata::{MetadataStore, Stuck};
use crate::domain::blob::BlobId;
use crate::domain::timestamp::Timestamp;

/// Counted by worker, replaced when it fails again, made due by its name, gone when cleared.
pub async fn an_item_is_put_aside_until_it_is_cleared(store: &dyn MetadataStore) {
    let worker = format!("w-{}", Uuid::new_v4());
    let stuck = |item: &str, failures| Stuck {
        worker: worker.clone(),
        item: item.to_owned(),
        error: format!("failed {failures} times"),
        failures,
        since: Timestamp(1),
        next_at: Timestamp(100),
    };
    let mine = async || store.stuck(Some(&worker), 10).await.unwrap();
    let count = async || {
        let all = store.count_stuck().await.unwrap();
        all.into_iter().find(|(name, _)| *name == worker).map(|(_, items)| items)
    };
    assert_eq!((mine().await, count().await), (vec![], None));
    let (first, second) = (format!("a:{worker}"), format!("b:{worker}"));
    for item in [&first, &second] {
        store.put_aside(&stuck(item, 1)).await.unwrap();
    }
    // When it failed first stays.
    store.put_aside(&Stuck { since: Timestamp(5), ..stuck(&first, 2) }).await.unwrap();
    assert_eq!(mine().await, [stuck(&first, 2), stuck(&second, 1)]);
    assert_eq!(count().await, Some(2));
    // However many of others come before them.
    assert_eq!(store.stuck_under(&worker, "b:", 1).await.unwrap(), [stuck(&second, 1)]);
    assert_eq!(store.stuck_under(&worker, &format!("{second}!"), 10).await.unwrap(), []);
    assert!(store.stuck(None, 100_000).await.unwrap().contains(&stuck(&second, 1)));
    assert_eq!(store.retry_stuck(Some(&second), Timestamp(7)).await.unwrap(), 1);
    assert_eq!(store.retry_stuck(Some("none"), Timestamp(7)).await.unwrap(), 0);
    assert_eq!(mine().await, [stuck(&first, 2), Stuck { next_at: Timestamp(7), ..stuck(&second, 1) }]);
    assert!(store.retry_stuck(None, Timestamp(8)).await.unwrap() >= 2);
    assert!(mine().await.iter().all(|stuck| stuck.next_at == Timestamp(8)));
    store.clear_stuck("another", std::slice::from_ref(&first)).await.unwrap();
    store.clear_stuck(&worker, &[first]).await.unwrap();
    assert_eq!(count().await, Some(1));
    store.clear_stuck(&worker, &[second]).await.unwrap();
    assert_eq!(mine().await, []);
}

/// What garbage collection does to a page it can do to any part of it.
pub async fn the_named_are_purged_and_swept_and_nothing_else(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.collect().await;
    let mut objects = Vec::new();
    for name in ["a", "b", "c"] {
        objects.push(bench.has_put(name, name.as_bytes()).await);
        bench.has_deleted(bench.delete(name)).await;
    }
    let ids: Vec<_> = objects.iter().map(|object| object.id).collect();
    let blobs: Vec<_> = objects.iter().map(|object| object.content.as_ref().unwrap().blob).collect();
    assert!(ids.iter().all(|id| !id.0.is_nil()));
    assert_eq!(store.deleting(2).await.unwrap().len(), 2);
    assert_eq!(store.purge(&ids[..2]).await.unwrap(), 2);
    assert_eq!(store.deleting(10).await.unwrap(), ids[2..]);
    let mut candidates = store.candidates(10).await.unwrap();
    candidates.sort_by_key(|blob| blob.0);
    let mut expected = blobs[..2].to_vec();
    expected.sort_by_key(|blob| blob.0);
    assert_eq!(candidates, expected);
    let swept = store.sweep_these(&[blobs[0], BlobId(Uuid::new_v4())], bench.now()).await.unwrap();
    assert_eq!((swept.examined, swept.blobs, swept.bytes), (1, 1, 1));
    assert_eq!(store.candidates(10).await.unwrap(), [blobs[1]]);
    assert_eq!(bench.collect().await, 2);
    bench.finish().await;
}
