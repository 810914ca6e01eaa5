//! Bytes on the disk that are not what was written.

use bytes::Bytes;
use juststorage_core::application::ports::segments::{FoundRecord, SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::testing::segments as contract;

use super::Tier;

fn is_corrupt<T: std::fmt::Debug>(result: &Result<T, SegmentError>, id: SegmentId) -> bool {
    matches!(result, Err(SegmentError::Corrupt { segment, .. }) if *segment == id)
}

/// A sealed pack of a few records: its name, what is in it, and its bytes.
async fn pack(tier: &Tier) -> (SegmentId, Vec<FoundRecord>, Vec<Bytes>, Vec<u8>) {
    let id = SegmentId::fresh();
    let payloads: Vec<_> = [100, 0, 1, 300].map(|size| contract::noise(size as u64, size)).to_vec();
    let mut writer = tier.store.create_pack(id).await.unwrap();
    writer.append(payloads.iter().cloned().map(contract::record).collect()).await.unwrap();
    writer.seal().await.unwrap();
    let found = tier.store.inspect(id).await.unwrap();
    let bytes = std::fs::read(tier.path(id)).unwrap();
    (id, found, payloads, bytes)
}

/// Whichever bit of a pack flips: a read answers the bytes written or `Corrupt`, and exactly the records whose
/// payload, table or footer was hit (or all, for the segment's header) are the corrupt ones. What the pack
/// says it holds stays complete, because the records stand in for a damaged index.
#[tokio::test]
async fn no_flipped_bit_is_ever_served() {
    let mut tier = Tier::new();
    let (id, found, payloads, bytes) = pack(&tier).await;
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << (position % 8);
        std::fs::write(tier.path(id), &damaged).unwrap();
        tier.reopen();
        let position = position as u64;
        for (record, payload) in found.iter().zip(&payloads) {
            let table = if record.length == 0 { 0 } else { 4 };
            let own = record.offset..record.offset + record.length + table + 128;
            let read = contract::read(&*tier.store, contract::whole(id, record.offset, record.length)).await;
            if position < 64 || own.contains(&position) {
                assert!(is_corrupt(&read, id), "byte {position}, {record:?}: {read:?}");
            } else {
                assert!(read.unwrap() == *payload, "byte {position}, {record:?}");
            }
        }
        let inspected = tier.store.inspect(id).await;
        if position < 64 {
            assert!(is_corrupt(&inspected, id), "byte {position}");
        } else {
            assert_eq!(inspected.unwrap(), found, "byte {position}");
        }
    }
}

/// With the index damaged too, a damaged record is told, not skipped.
#[tokio::test]
async fn damage_between_records_is_told_without_an_index() {
    let tier = Tier::new();
    let (id, found, _, mut bytes) = pack(&tier).await;
    let index_at = bytes.len() - 64 * (found.len() + 1);
    bytes[index_at] ^= 1;
    for position in [found[1].offset - 64, found[0].offset + found[0].length] {
        let mut damaged = bytes.clone();
        damaged[usize::try_from(position).unwrap()] ^= 1;
        std::fs::write(tier.path(id), &damaged).unwrap();
        let inspected = tier.store.inspect(id).await;
        assert!(is_corrupt(&inspected, id), "{inspected:?}");
    }
}

/// A large single: a flip in any block spoils the ranges that touch this block, no others, and a stream that
/// has begun ends with the error, after good bytes only.
#[tokio::test]
async fn a_bad_block_spoils_only_what_touches_it() {
    const BLOCK: u64 = 64 * 1024;
    let tier = Tier::new();
    let payload = contract::noise(1, 3 * 1024 * 1024 + 5);
    let length = payload.len() as u64;
    let (id, offset) = contract::write_single(&*tier.store, &payload, 1 << 20).await;
    let bytes = std::fs::read(tier.path(id)).unwrap();
    for bad in [0, 1, 8, 20, 48] {
        let in_payload = offset + bad * BLOCK + if bad == 48 { 2 } else { 40_000 };
        let in_table = offset + length + bad * 4 + 1;
        for position in [in_payload, in_table] {
            let mut damaged = bytes.clone();
            damaged[usize::try_from(position).unwrap()] ^= 0x10;
            std::fs::write(tier.path(id), &damaged).unwrap();
            for block in 0..49 {
                let mut request = contract::whole(id, offset, length);
                (request.start, request.end) = (block * BLOCK, length.min((block + 1) * BLOCK));
                let read = contract::read(&*tier.store, request).await;
                assert_eq!(is_corrupt(&read, id), block == bad, "block {block}, bad {bad}");
            }
            let mut served = Vec::new();
            let mut error = None;
            match tier.store.read(contract::whole(id, offset, length)).await {
                Err(at_once) => error = Some(at_once),
                Ok(mut stream) => {
                    while let Some(chunk) = futures::StreamExt::next(&mut stream).await {
                        match chunk {
                            Ok(chunk) => served.extend_from_slice(&chunk),
                            Err(later) => error = Some(later),
                        }
                    }
                }
            }
            let at_block = offset + bad * BLOCK;
            assert!(matches!(error, Some(SegmentError::Corrupt { offset, .. }) if offset == at_block));
            assert!(payload.starts_with(&served) && (served.len() as u64) <= bad * BLOCK);
        }
    }
}

/// A footer says which blob lies here: without it neither the whole nor a range can be vouched for.
#[tokio::test]
async fn a_bad_footer_spoils_the_whole_and_every_range() {
    let tier = Tier::new();
    let payload = contract::noise(1, 1024 * 1024);
    let (id, offset) = contract::write_single(&*tier.store, &payload, 1 << 20).await;
    let mut bytes = std::fs::read(tier.path(id)).unwrap();
    let footer = usize::try_from(offset).unwrap() + payload.len() + 16 * 4;
    bytes[footer + 20] ^= 1;
    std::fs::write(tier.path(id), &bytes).unwrap();
    let mut request = contract::whole(id, offset, payload.len() as u64);
    assert!(is_corrupt(&contract::read(&*tier.store, request).await, id));
    request.end -= 1;
    assert!(is_corrupt(&contract::read(&*tier.store, request).await, id));
}

/// A file cut anywhere, even to nothing, answers what is still whole and `Corrupt` for the rest.
#[tokio::test]
async fn a_cut_file_is_noticed() {
    let mut tier = Tier::new();
    let (id, found, payloads, bytes) = pack(&tier).await;
    for size in 0..bytes.len() {
        std::fs::write(tier.path(id), &bytes[..size]).unwrap();
        tier.reopen();
        for (record, payload) in found.iter().zip(&payloads) {
            let table = if record.length == 0 { 0 } else { 4 };
            let read = contract::read(&*tier.store, contract::whole(id, record.offset, record.length)).await;
            if record.offset + record.length + table + 128 <= size as u64 {
                assert!(read.unwrap() == *payload);
            } else {
                assert!(is_corrupt(&read, id), "{size} bytes left, {record:?}: {read:?}");
            }
        }
        if size >= 64 {
            let inspected = tier.store.inspect(id).await.unwrap();
            assert!(found.starts_with(&inspected));
        }
    }
    // A single that lost its end, in the middle of its payload.
    let payload = contract::noise(1, 1024 * 1024);
    let (id, offset) = contract::write_single(&*tier.store, &payload, 1 << 20).await;
    std::fs::OpenOptions::new().write(true).open(tier.path(id)).unwrap().set_len(500_000).unwrap();
    let whole = contract::whole(id, offset, payload.len() as u64);
    assert!(is_corrupt(&contract::read(&*tier.store, whole).await, id));
    assert_eq!(tier.store.inspect(id).await.unwrap(), []);
}

/// A file under another segment's name is not taken for it.
#[tokio::test]
async fn a_swapped_file_is_noticed() {
    let tier = Tier::new();
    let (id, found, _, bytes) = pack(&tier).await;
    let (other, ..) = pack(&tier).await;
    std::fs::write(tier.path(other), &bytes).unwrap();
    let request = contract::whole(other, found[0].offset, found[0].length);
    assert!(is_corrupt(&contract::read(&*tier.store, request).await, other));
    assert!(is_corrupt(&tier.store.inspect(other).await, other));
    assert_eq!(tier.store.inspect(id).await.unwrap(), found);
}
