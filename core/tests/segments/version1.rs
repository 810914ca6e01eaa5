//! Files of format version 1, which the last program to write it made (`version1/`): what this program reads for ever.
//! Made of `contract::noise(seed, size)` in the domain of the contract suite.

use std::path::PathBuf;

use bytes::Bytes;
use juststorage_core::application::ports::segments::{
    FoundRecord, Mended, SegmentError, SegmentKind, SegmentStore as _,
};
use juststorage_core::domain::blob::{Hash, SegmentId};
use juststorage_core::infrastructure::segments::format::{SegmentHeader, Version};
use juststorage_core::testing::segments as contract;

use super::Tier;

const PACK: &[u8] = include_bytes!("version1/pack.seg");
/// Not sealed, and torn inside of its fourth record.
const OPEN: &[u8] = include_bytes!("version1/open.seg");
const SINGLE: &[u8] = include_bytes!("version1/single.seg");
/// Where the two records end that were committed into [`OPEN`].
const COMMITTED: u64 = 538;

fn id(number: u128) -> SegmentId {
    SegmentId(uuid::Uuid::from_u128(number << 120 | number))
}

/// A record of `noise(seed, size)` whose payload lies at `offset`.
fn record(seed: u64, size: usize, offset: u64) -> (FoundRecord, Bytes) {
    let payload = contract::noise(seed, size);
    let hash = Hash::of(&payload);
    (FoundRecord { domain: [0xd0; 16], hash, offset, length: size as u64 }, payload)
}

fn in_pack() -> Vec<(FoundRecord, Bytes)> {
    [(0, 0, 128), (1, 1, 256), (100, 100, 389), (300, 300, 621), (5, 4096, 1053)]
        .map(|(seed, size, offset)| record(seed, size, offset))
        .to_vec()
}

fn in_open() -> Vec<(FoundRecord, Bytes)> {
    [(10, 10, 128), (200, 200, 270), (3, 500, 602)]
        .map(|(seed, size, offset)| record(seed, size, offset))
        .to_vec()
}

fn found(records: &[(FoundRecord, Bytes)]) -> Vec<FoundRecord> {
    records.iter().map(|(found, _)| found.clone()).collect()
}

/// Puts `bytes` where the segment `id` is.
fn lay(tier: &Tier, id: SegmentId, bytes: &[u8]) -> PathBuf {
    let path = tier.path(id);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn all_come_back(tier: &Tier, id: SegmentId, records: &[(FoundRecord, Bytes)]) {
    for (found, payload) in records {
        let request = contract::whole(id, found.offset, found.length);
        for (start, end) in
            [(0, found.length), (found.length / 3, found.length / 2), (found.length, found.length)]
        {
            let mut request = request;
            (request.hash, request.start, request.end) = (Some(found.hash), start, end);
            let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
            assert!(contract::read(&*tier.store, request).await.unwrap() == payload[range]);
        }
    }
}

#[test]
fn the_fixtures_are_of_version_1() {
    for (file, kind, number) in
        [(PACK, SegmentKind::Pack, 1), (OPEN, SegmentKind::Pack, 2), (SINGLE, SegmentKind::Single, 3)]
    {
        let header = SegmentHeader { version: Version::One, kind, id: id(number) };
        assert_eq!(SegmentHeader::decode(file.first_chunk().unwrap()), Ok(header));
    }
}

#[tokio::test]
async fn it_is_read_and_listed() {
    let tier = Tier::new();
    for (number, file, records) in
        [(1, PACK, in_pack()), (2, OPEN, in_open()), (3, SINGLE, vec![record(7, 65_537, 4096)])]
    {
        let id = id(number);
        lay(&tier, id, file);
        assert_eq!(tier.store.inspect(id).await.unwrap(), found(&records), "{number}");
        all_come_back(&tier, id, &records).await;
    }
}

/// Without index and trailer the records say what there is.
#[tokio::test]
async fn it_is_listed_without_an_index() {
    let tier = Tier::new();
    for (number, file, records) in [(1, PACK, in_pack()), (3, SINGLE, vec![record(7, 65_537, 4096)])] {
        let id = id(number);
        for cut in [1, 64 * (records.len() + 1)] {
            lay(&tier, id, &file[..file.len() - cut]);
            assert_eq!(tier.store.inspect(id).await.unwrap(), found(&records), "{number} {cut}");
            let salvaged = tier.store.salvage(id).await.unwrap();
            assert_eq!((salvaged.records, salvaged.holes), (found(&records), vec![]));
            assert!(std::fs::read(tier.path(id)).unwrap() == file, "sealed again to the byte, as version 1");
        }
    }
}

/// An open pack of a writer that died as the program was replaced: what is whole stays, the torn tail goes, and what was
/// acknowledged and is damaged is told.
#[tokio::test]
async fn an_open_pack_is_recovered() {
    let tier = Tier::new();
    let path = lay(&tier, id(2), OPEN);
    let mended = tier.store.recover(id(2), COMMITTED).await.unwrap();
    assert_eq!(mended, Mended { size: 1170 + 4 * 64, unknown_records: 1, unknown_bytes: 500 });
    assert_eq!(tier.store.recover(id(2), COMMITTED).await.unwrap(), mended);
    assert_eq!(tier.store.inspect(id(2)).await.unwrap(), found(&in_open()));
    all_come_back(&tier, id(2), &in_open()).await;

    std::fs::write(&path, OPEN).unwrap();
    let salvaged = tier.store.salvage(id(2)).await.unwrap();
    assert_eq!((salvaged.size, salvaged.records), (mended.size, found(&in_open())));

    for position in [64, 128 + 10 + 4 + 20, 270 + 200 + 4 + 60] {
        let mut damaged = OPEN.to_vec();
        damaged[position] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let refused = tier.store.recover(id(2), COMMITTED).await;
        assert!(matches!(refused, Err(SegmentError::Corrupt { .. })), "{position}: {refused:?}");
        assert!(std::fs::read(&path).unwrap() == damaged, "{position}: nothing is changed");
    }
}

/// Whichever bit flips, a read answers the bytes written or `Corrupt`.
#[tokio::test]
async fn no_flipped_bit_is_served() {
    let mut tier = Tier::new();
    let records = in_pack();
    for position in (0..PACK.len()).step_by(3) {
        let mut damaged = PACK.to_vec();
        damaged[position] ^= 1 << (position % 8);
        lay(&tier, id(1), &damaged);
        tier.reopen();
        let position = position as u64;
        for (found, payload) in &records {
            let table = if found.length == 0 { 0 } else { 4 };
            let own = found.offset..found.offset + found.length + table + 64;
            let read = contract::read(&*tier.store, contract::whole(id(1), found.offset, found.length)).await;
            match read {
                Ok(bytes) => assert!(bytes == *payload && position >= 64 && !own.contains(&position)),
                Err(error) => {
                    assert!(matches!(error, SegmentError::Corrupt { .. }), "{error}");
                    assert!(position < 64 || own.contains(&position), "byte {position}, {found:?}");
                }
            }
        }
    }
}

/// What is written now is version 2.
#[tokio::test]
async fn what_is_written_is_version_2() {
    let tier = Tier::new();
    let (single, _) = contract::write_single(&*tier.store, &contract::noise(1, 100), 10).await;
    let pack = SegmentId::fresh();
    tier.store.create_pack(pack).await.unwrap();
    for (id, kind) in [(single, SegmentKind::Single), (pack, SegmentKind::Pack)] {
        let bytes = std::fs::read(tier.path(id)).unwrap();
        let header = SegmentHeader { version: Version::Two, kind, id };
        assert_eq!(SegmentHeader::decode(bytes.first_chunk().unwrap()), Ok(header));
    }
}
