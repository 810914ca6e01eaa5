//! Packs whose writer died at every kind of instant.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use juststorage_core::application::ports::segments::{FoundRecord, SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::testing::segments as contract;

use super::Tier;

/// An unsealed pack: `committed` bytes of two records, then a third that was appended but not committed. The file has room
/// behind it; `bytes` ends with the third record.
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
    let end = usize::try_from(pack.size()).unwrap();
    drop(pack);
    let mut bytes = std::fs::read(tier.path(id)).unwrap();
    assert!(bytes.len() > end && bytes[end..].iter().all(|byte| *byte == 0), "zeroes behind the last record");
    bytes.truncate(end);
    Died { id, committed, kept, bytes }
}

/// Recovers, and finds what was committed and `unknown` more records behind it.
async fn mend_and_check(tier: &Tier, died: &Died, unknown: u64, what: &str) {
    let mended = tier.store.recover(died.id, died.committed).await.unwrap();
    assert_eq!(mended.unknown_records, unknown, "{what}");
    let found = tier.store.inspect(died.id).await.unwrap();
    assert_eq!(found[..2], died.kept, "{what}");
    assert_eq!(found.len() as u64, 2 + unknown, "{what}");
    if unknown == 0 {
        assert_eq!(mended.size, died.committed + 64 * 3, "{what}: two entries and a trailer");
    }
    let bytes = std::fs::read(tier.path(died.id)).unwrap();
    assert_eq!(bytes.len() as u64, mended.size, "{what}");
    assert_eq!(tier.store.recover(died.id, died.committed).await.unwrap(), mended, "{what}");
    assert!(std::fs::read(tier.path(died.id)).unwrap() == bytes, "{what}: idempotent to the byte");
    for record in &died.kept {
        contract::read(&*tier.store, contract::whole(died.id, record.offset, record.length)).await.unwrap();
    }
}

/// The uncommitted tail is torn at every byte: it goes, until it is whole, and then it stays.
#[tokio::test]
async fn a_tail_torn_anywhere_is_cut_off() {
    let tier = Tier::new();
    let died = died(&tier).await;
    let committed = usize::try_from(died.committed).unwrap();
    for size in committed..=died.bytes.len() {
        std::fs::write(tier.path(died.id), &died.bytes[..size]).unwrap();
        let whole = u64::from(size == died.bytes.len());
        mend_and_check(&tier, &died, whole, &format!("{size} bytes")).await;
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
    hole[..64].fill(0);
    let sealed = {
        std::fs::write(tier.path(died.id), before).unwrap();
        tier.store.recover(died.id, died.committed).await.unwrap();
        std::fs::read(tier.path(died.id)).unwrap().split_off(committed)
    };
    let mut torn_index = sealed.clone();
    torn_index[70] ^= 1;
    let tails = [
        (vec![0; 100_000], 0),
        (contract::noise(7, 12_345).to_vec(), 0),
        // Records that belong elsewhere in the file.
        (died.bytes.clone(), 0),
        (hole, 0),
        ([tail, tail].concat(), 1),
        (torn_index, 0),
        (sealed[..sealed.len() - 64].to_vec(), 0),
        ([&sealed[..], &[0]].concat(), 0),
    ];
    for (number, (tail, whole)) in tails.iter().enumerate() {
        std::fs::write(tier.path(died.id), [before, tail].concat()).unwrap();
        mend_and_check(&tier, &died, *whole, &format!("tail {number}")).await;
    }
}

/// The pages of an unsynced batch arrive in any order: a record behind one that is not whole is whole all the same,
/// and so is an acknowledged one behind a bad sector, if the database is too old to know of either.
#[tokio::test]
async fn a_whole_record_behind_a_torn_one_stays() {
    let tier = Tier::new();
    let id = SegmentId::fresh();
    let mut pack = tier.store.create_pack(id).await.unwrap();
    pack.append(vec![contract::record(contract::noise(1, 10))]).await.unwrap();
    let committed = pack.size();
    let offsets = pack
        .append([2, 3, 4].map(|seed| contract::record(contract::noise(seed, 300))).to_vec())
        .await
        .unwrap();
    let end = pack.size();
    drop(pack);
    let file = OpenOptions::new().write(true).open(tier.path(id)).unwrap();
    file.write_all_at(&[0; 64], offsets[1] - 64).unwrap();
    file.write_all_at(&[9; 1000], end).unwrap();
    let mended = tier.store.recover(id, committed).await.unwrap();
    assert_eq!((mended.unknown_records, mended.unknown_bytes), (2, 600));
    assert_eq!(mended.size, end + 64 * 4, "three entries and a trailer behind the last whole record");
    for (seed, offset) in [(2, offsets[0]), (4, offsets[2])] {
        let read = contract::read(&*tier.store, contract::whole(id, offset, 300)).await.unwrap();
        assert_eq!(read, contract::noise(seed, 300));
    }
    assert_eq!(tier.store.recover(id, committed).await.unwrap(), mended);
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

/// Small batches are written into room that is there already, so that their syncs wait for no change of the file's length;
/// nothing of it is left in a sealed pack, or in a recovered one.
#[tokio::test]
async fn small_batches_find_room_and_a_sealed_pack_has_none() {
    let tier = Tier::new();
    let length = |id| std::fs::metadata(tier.path(id)).unwrap().len();
    let small = || vec![contract::record(contract::noise(1, 4096))];
    let id = SegmentId::fresh();
    let mut pack = tier.store.create_pack(id).await.unwrap();
    pack.append(small()).await.unwrap();
    assert!(length(id) > pack.size());
    let mut grown = 0;
    for _ in 0..100 {
        let before = length(id);
        pack.append(small()).await.unwrap();
        grown += u64::from(length(id) > before);
    }
    assert!(grown <= 2, "it grew {grown} times");
    // The writer dies here.
    let other = SegmentId::fresh();
    let mut dying = tier.store.create_pack(other).await.unwrap();
    dying.append(small()).await.unwrap();
    let committed = dying.size();
    drop(dying);
    assert!(length(other) > committed);
    let mended = tier.store.recover(other, committed).await.unwrap();
    assert_eq!((mended.size, mended.unknown_records), (length(other), 0));
    // Room behind a large batch would cost more than it spares.
    pack.append(vec![contract::record(contract::noise(2, 1 << 20))]).await.unwrap();
    assert_eq!(length(id), pack.size());
    pack.append(small()).await.unwrap();
    assert!(length(id) > pack.size());
    let size = pack.seal().await.unwrap();
    assert_eq!(length(id), size);
    assert_eq!(tier.store.inspect(id).await.unwrap().len(), 103);
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
        assert_eq!(tier.store.recover(id, committed).await.unwrap().size, size);
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
