//! Packs whose writer died at every kind of instant.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use juststorage_core::application::ports::segments::{FoundRecord, SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::testing::segments as contract;

use super::Tier;

/// An unsealed pack: `committed` bytes of two records, then a third that was appended but not committed.
struct Died {
    id: SegmentId,
    committed: u64,
    kept: Vec<FoundRecord>,
    bytes: Vec<u8>,
}

async fn died(tier: &Tier) -> Died {
    let id = SegmentId::fresh();
    let mut pack = tier.store.create_pack(id).await.unwrap();
    let records = [70_000, 10].map(|size| contract::record(contract::noise(1, size))).to_vec();
    pack.append(records).await.unwrap();
    let committed = pack.size();
    let kept = tier.store.inspect(id).await.unwrap();
    pack.append(vec![contract::record(contract::noise(2, 200))]).await.unwrap();
    drop(pack);
    let bytes = std::fs::read(tier.path(id)).unwrap();
    Died { id, committed, kept, bytes }
}

async fn mend_and_check(tier: &Tier, died: &Died, what: &str) {
    let size = tier.store.recover(died.id, died.committed).await.unwrap();
    assert_eq!(size, died.committed + 64 * 3, "{what}: two entries and a trailer");
    assert_eq!(std::fs::metadata(tier.path(died.id)).unwrap().len(), size, "{what}");
    assert_eq!(tier.store.inspect(died.id).await.unwrap(), died.kept, "{what}");
    let mended = std::fs::read(tier.path(died.id)).unwrap();
    assert_eq!(tier.store.recover(died.id, died.committed).await.unwrap(), size, "{what}");
    assert!(std::fs::read(tier.path(died.id)).unwrap() == mended, "{what}: idempotent to the byte");
    for record in &died.kept {
        contract::read(&*tier.store, contract::whole(died.id, record.offset, record.length)).await.unwrap();
    }
}

/// The uncommitted tail is cut at every byte.
#[tokio::test]
async fn a_tail_torn_anywhere_is_cut_off() {
    let tier = Tier::new();
    let died = died(&tier).await;
    let committed = usize::try_from(died.committed).unwrap();
    for size in committed..=died.bytes.len() {
        std::fs::write(tier.path(died.id), &died.bytes[..size]).unwrap();
        mend_and_check(&tier, &died, &format!("{size} bytes")).await;
    }
}

/// What the tail may be made of after a power cut: zeroes, another file's bytes, a record whose pages arrived
/// in part, a torn index, an index whose trailer is missing.
#[tokio::test]
async fn a_tail_of_anything_is_cut_off() {
    let tier = Tier::new();
    let died = died(&tier).await;
    let committed = usize::try_from(died.committed).unwrap();
    let (before, tail) = died.bytes.split_at(committed);
    let mut hole = tail.to_vec();
    hole[64..128].fill(0);
    let sealed = {
        std::fs::write(tier.path(died.id), before).unwrap();
        tier.store.recover(died.id, died.committed).await.unwrap();
        std::fs::read(tier.path(died.id)).unwrap().split_off(committed)
    };
    let mut torn_index = sealed.clone();
    torn_index[70] ^= 1;
    let tails = [
        vec![0; 100_000],
        contract::noise(7, 12_345).to_vec(),
        died.bytes.clone(),
        hole,
        [tail, tail].concat(),
        torn_index,
        sealed[..sealed.len() - 64].to_vec(),
        [&sealed[..], &[0]].concat(),
    ];
    for (number, tail) in tails.iter().enumerate() {
        std::fs::write(tier.path(died.id), [before, tail].concat()).unwrap();
        mend_and_check(&tier, &died, &format!("tail {number}")).await;
    }
}

/// A file that lost committed bytes, or has a broken frame among them, is told and left as it is.
#[tokio::test]
async fn committed_bytes_that_are_gone_are_told() {
    let tier = Tier::new();
    let died = died(&tier).await;
    let committed = usize::try_from(died.committed).unwrap();
    for size in [0, 10, 63, 64, 65, 127, 128, 5000, committed - 65, committed - 64, committed - 1] {
        std::fs::write(tier.path(died.id), &died.bytes[..size]).unwrap();
        let refused = tier.store.recover(died.id, died.committed).await;
        assert!(matches!(refused, Err(SegmentError::Corrupt { .. })), "{size}: {refused:?}");
        assert!(std::fs::read(tier.path(died.id)).unwrap() == died.bytes[..size]);
    }
    let first = &died.kept[0];
    let frames = [0, 70, first.offset + first.length, first.offset + first.length + 8 + 20];
    for position in frames {
        std::fs::write(tier.path(died.id), &died.bytes).unwrap();
        let file = OpenOptions::new().write(true).open(tier.path(died.id)).unwrap();
        file.write_all_at(b"\xff\xfe", position).unwrap();
        let refused = tier.store.recover(died.id, died.committed).await;
        assert!(matches!(refused, Err(SegmentError::Corrupt { .. })), "{position}: {refused:?}");
    }
}

/// A pack whose writer died between sealing and telling the metadata store: what was appended and not
/// committed stays in the file, dead; nothing is cut from a sealed segment.
#[tokio::test]
async fn a_sealed_pack_is_left_as_it_is() {
    let tier = Tier::new();
    let id = SegmentId::fresh();
    let mut pack = tier.store.create_pack(id).await.unwrap();
    pack.append(vec![contract::record(contract::noise(1, 10))]).await.unwrap();
    let committed = pack.size();
    pack.append(vec![contract::record(contract::noise(2, 10))]).await.unwrap();
    let size = pack.seal().await.unwrap();
    for committed in [0, committed, size] {
        assert_eq!(tier.store.recover(id, committed).await.unwrap(), size);
    }
    assert_eq!(tier.store.inspect(id).await.unwrap().len(), 2);
}

/// An unsealed pack can be looked at: its whole records are named, its torn tail is not.
#[tokio::test]
async fn an_unsealed_pack_names_its_whole_records() {
    let tier = Tier::new();
    let died = died(&tier).await;
    assert_eq!(tier.store.inspect(died.id).await.unwrap().len(), 3);
    std::fs::write(tier.path(died.id), &died.bytes[..died.bytes.len() - 1]).unwrap();
    assert_eq!(tier.store.inspect(died.id).await.unwrap(), died.kept);
}
