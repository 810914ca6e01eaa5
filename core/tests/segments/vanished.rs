//! Files and directories that vanish under a tier that is in use.

use juststorage_core::application::ports::segments::{Presence, SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::{Hash, SegmentId};
use juststorage_core::testing::segments as contract;

use super::Tier;

fn is_unavailable<T>(result: &Result<T, SegmentError>) -> bool {
    matches!(result, Err(SegmentError::Unavailable { .. }))
}

/// A batch that went into a file without a name, or into one whose shelf is gone, does not count. The next pack, of the
/// same shelf, is begun where it can be found.
#[tokio::test]
async fn a_batch_in_a_file_that_is_gone_does_not_count() {
    let tier = Tier::new();
    for shelf_too in [false, true] {
        let id = SegmentId::fresh();
        let mut pack = tier.store.create_pack(id).await.unwrap();
        pack.append(vec![contract::record(contract::noise(1, 100))]).await.unwrap();
        let size = pack.size();
        let path = tier.path(id);
        let shelf = path.parent().unwrap();
        if shelf_too {
            std::fs::remove_dir_all(shelf).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let appended = pack.append(vec![contract::record(contract::noise(2, 100))]).await;
        assert!(is_unavailable(&appended), "{appended:?}");
        assert_eq!(pack.size(), size);
        assert!(pack.append(vec![contract::record(contract::noise(2, 100))]).await.is_err(), "never again");
        // Names that begin alike lie on one shelf.
        let mut bytes = *SegmentId::fresh().0.as_bytes();
        bytes[0] = id.0.as_bytes()[0];
        let next = SegmentId(uuid::Uuid::from_bytes(bytes));
        let mut pack = tier.store.create_pack(next).await.unwrap();
        let offset = pack.append(vec![contract::record(contract::noise(2, 100))]).await.unwrap()[0];
        assert_eq!(
            contract::read(&*tier.store, contract::whole(next, offset, 100)).await.unwrap(),
            contract::noise(2, 100)
        );
        assert_eq!(tier.store.probe(vec![id, next]).await.unwrap(), [Presence::Absent, Presence::Present]);
    }
}

/// Another file has the name: what was written is not found under it.
#[tokio::test]
async fn a_batch_in_a_file_that_was_replaced_does_not_count() {
    let tier = Tier::new();
    let id = SegmentId::fresh();
    let mut pack = tier.store.create_pack(id).await.unwrap();
    pack.append(vec![contract::record(contract::noise(1, 100))]).await.unwrap();
    let path = tier.path(id);
    std::fs::copy(&path, path.with_extension("copy")).unwrap();
    std::fs::rename(path.with_extension("copy"), &path).unwrap();
    let appended = pack.append(vec![contract::record(contract::noise(2, 100))]).await;
    assert!(is_unavailable(&appended), "{appended:?}");
}

/// The tier's root is another directory, as after a file system was unmounted: nothing is made there, in which it would
/// be out of sight later, and the tier says that it cannot be used.
#[tokio::test]
async fn nothing_is_written_where_the_tier_was() {
    let tier = Tier::new();
    let root = tier.root.path().join("some/tier");
    let mut pack = tier.store.create_pack(SegmentId::fresh()).await.unwrap();
    pack.append(vec![contract::record(contract::noise(1, 100))]).await.unwrap();
    let payload = contract::noise(3, 2 << 20);
    let mut single = tier.store.create_single(SegmentId::fresh(), [0; 16], None).await.unwrap();
    single.write(payload.clone()).await.unwrap();
    std::fs::rename(&root, root.with_extension("away")).unwrap();
    std::fs::create_dir(&root).unwrap();
    assert!(is_unavailable(&tier.store.check().await));
    assert!(is_unavailable(&pack.append(vec![contract::record(contract::noise(2, 100))]).await));
    assert!(is_unavailable(&tier.store.create_pack(SegmentId::fresh()).await.map(drop)));
    assert!(is_unavailable(&tier.store.create_single(SegmentId::fresh(), [0; 16], None).await.map(drop)));
    assert!(single.finish(Hash::of(&payload)).await.is_err());
    assert!(is_unavailable(&tier.store.note_commits(uuid::Uuid::new_v4(), 1).await));
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "nothing was made there");

    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(root.with_extension("away"), &root).unwrap();
    tier.store.check().await.unwrap();
    tier.store.create_pack(SegmentId::fresh()).await.unwrap();
}
