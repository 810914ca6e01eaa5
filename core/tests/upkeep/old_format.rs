//! Files of format version 1 in a store whose database is lost: they are entered, and compacted into version 2.

use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::infrastructure::segments::format::{SegmentHeader, Version};

use super::*;

/// The domain of the fixtures is no tenant's that is named.
const TENANT: &str = "unknown-d0d0d0d0d0d0d0d0";

const FILES: [(u128, &[u8]); 3] = [
    (1, include_bytes!("../segments/version1/pack.seg")),
    (2, include_bytes!("../segments/version1/open.seg")),
    (3, include_bytes!("../segments/version1/single.seg")),
];

fn object_of(hash: Hash) -> (Principal, ObjectRef) {
    let tenant = Tenant::new(TENANT).unwrap();
    let place = SpaceRef::Space(SpaceAddress::new(Namespace::new("recovered").unwrap(), tenant.clone()));
    let key = Key::new(&format!("sha256/{hash}")).unwrap();
    (Principal::unrestricted("root", tenant), ObjectRef::latest(place, key))
}

async fn is_whole(running: &Running, hash: Hash) -> bool {
    let (who, object) = object_of(hash);
    let download = running.store.get(&who, &object, &ReadOptions::default()).await.unwrap();
    let chunks: Vec<Bytes> = download.body.try_collect().await.unwrap();
    Hash::of(&chunks.concat()) == hash
}

#[tokio::test]
async fn segments_of_version_1_are_rebuilt_and_compacted() {
    let folder = TempDir::new().unwrap();
    Running::open(folder.path()).await.close().await;
    lose_database(folder.path());
    for (number, bytes) in FILES {
        let name = uuid::Uuid::from_u128(number << 120 | number).to_string();
        let path = folder.path().join("hot/segments").join(&name[..2]).join(format!("{name}.seg"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let running = Running::open(folder.path()).await;
    let rebuilt = rebuild(&running, &["acme"]).await.unwrap();
    // Of the pack that was not sealed, three records are whole.
    assert_eq!((rebuilt.segments, rebuilt.objects), (3, 9));
    assert_eq!(running.findings().await, []);
    let mut leaves = running.metadata.scan_leaves(None, 100).await.unwrap();
    leaves.sort_by_key(|leaf| leaf.location.length);
    for leaf in &leaves {
        assert!(is_whole(&running, leaf.hash).await, "{leaf}");
    }
    // The largest leaf of the sealed pack is most of it.
    let in_pack = |leaf: &&juststorage_core::application::ports::metadata::LeafRecord| {
        leaf.location.segment == SegmentId(uuid::Uuid::from_u128(1 << 120 | 1))
    };
    let largest = leaves.iter().rfind(in_pack).unwrap();
    let (who, object) = object_of(largest.hash);
    running.store.delete(&who, &object, Preconditions::default()).await.unwrap();
    running.collect().await;
    for leaf in leaves.iter().filter(|leaf| leaf.id != largest.id) {
        assert!(is_whole(&running, leaf.hash).await, "{leaf}");
    }
    let versions: Vec<_> = segment_files(folder.path())
        .iter()
        .map(|path| {
            SegmentHeader::decode(std::fs::read(path).unwrap().first_chunk().unwrap()).unwrap().version
        })
        .collect();
    let of = |version| versions.iter().filter(|found| **found == version).count();
    assert_eq!((of(Version::One), of(Version::Two)), (2, 1), "what was compacted is of version 2");
    assert_eq!(running.findings().await, []);
    running.close().await;
}
