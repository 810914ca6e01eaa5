//! The wrapper that fails by plan: the tests of the use cases lean on it.

use std::sync::Arc;

use juststorage_core::application::ports::segments::{SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::{Hash, SegmentId};
use juststorage_core::testing::faulty::{Fault, FaultySegments, Operation};
use juststorage_core::testing::segments as contract;

use super::Tier;

/// Unarmed, it is a tier like any other.
#[tokio::test(flavor = "multi_thread")]
async fn passes_everything_through() {
    let tier = Tier::new();
    contract::run_all(Arc::new(FaultySegments::new(tier.store.clone()))).await;
}

#[tokio::test]
async fn fails_what_and_when_it_is_told() {
    let tier = Tier::new();
    let store = FaultySegments::new(tier.store.clone());
    let faults = store.faults();
    let record = || vec![contract::record(contract::noise(1, 700_000))];

    let id = SegmentId::fresh();
    let mut pack = store.create_pack(id).await.unwrap();
    faults.fail(Operation::Sync, 2, Fault::Io);
    let offset = pack.append(record()).await.unwrap()[0];
    let committed = pack.size();
    assert!(matches!(pack.append(record()).await, Err(SegmentError::Io { .. })));
    assert!(pack.append(record()).await.is_err(), "a failed pack stays failed");
    assert_eq!(pack.size(), committed);
    assert!(pack.seal().await.is_err());
    assert_eq!(tier.store.inspect(id).await.unwrap().len(), 2, "the bytes are there all the same");
    store.recover(id, committed).await.unwrap();

    faults.fail(Operation::Chunk, 2, Fault::Io);
    let mut stream = store.read(contract::whole(id, offset, 700_000)).await.unwrap();
    let next = futures::StreamExt::next;
    assert!(matches!(next(&mut stream).await, Some(Ok(_))));
    assert!(matches!(next(&mut stream).await, Some(Err(SegmentError::Io { .. }))));
    assert!(next(&mut stream).await.is_none());

    faults.fail_always(Operation::Create, Fault::Full);
    for _ in 0..3 {
        assert!(matches!(store.create_pack(SegmentId::fresh()).await, Err(SegmentError::Full(_))));
    }
    faults.heal();
    let mut single = store.create_single(SegmentId::fresh(), [0; 16], None).await.unwrap();
    faults.fail(Operation::Write, 1, Fault::Full);
    assert!(matches!(single.write(contract::noise(1, 10)).await, Err(SegmentError::Full(_))));
    assert!(single.finish(Hash::of(b"")).await.is_err());
    assert_eq!(faults.seen(Operation::Create), 5);
}
