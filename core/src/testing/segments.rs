//! What every [`SegmentStore`] promises, as functions that any implementation can run. Each panics where the
//! promise is broken, uses fresh names, and removes what it wrote, so that one store serves them all.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use crate::application::ports::segments::{
    DomainTag, FoundRecord, Mended, Presence, ReadPurpose, ReadRequest, Record, SegmentError, SegmentStore,
};
use crate::domain::blob::{Hash, SegmentId};
use crate::domain::identity::{StoreId, TierId, TierMark};
use crate::domain::storage_class::StorageClass;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const DOMAIN: DomainTag = [0xd0; 16];
/// On and around the borders of blocks and chunks.
const SIZES: [usize; 9] =
    [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 512 * KIB + 1, MIB, 3 * MIB - 7, 5 * MIB + 64 * KIB];

/// Every test of the suite, one after the other.
pub async fn run_all(store: Arc<dyn SegmentStore>) {
    let store = &*store;
    singles_come_back(store).await;
    pieces_of_any_size_make_the_same_single(store).await;
    ranges_are_cut_to_the_byte(store).await;
    packs_come_back(store).await;
    an_open_pack_can_be_read(store).await;
    a_dropped_pack_is_recovered(store).await;
    what_nobody_knows_is_recovered(store).await;
    an_empty_pack_is_recovered(store).await;
    recovery_of_too_little_is_refused(store).await;
    a_dropped_single_leaves_nothing(store).await;
    what_is_missing_is_missing(store).await;
    names_are_not_reused(store).await;
    deletion_spares_readers(store).await;
    impossible_requests_are_refused(store).await;
    every_segment_is_listed(store).await;
    many_at_once_do_not_mix(store).await;
    what_is_absent_is_told(store).await;
    marks_come_back(store).await;
    servers_are_noted(store).await;
    store.check().await.unwrap();
    a_mark_is_kept_and_checked(store).await;
}

/// A root is marked once; a tier that was entered says whether it still is itself.
pub async fn a_mark_is_kept_and_checked(store: &dyn SegmentStore) {
    store.identify().await.unwrap();
    assert_eq!(store.mark().await.unwrap(), None);
    let mark = |id| TierMark {
        store: StoreId(uuid::Uuid::from_u128(1)),
        tier: TierId(uuid::Uuid::from_u128(id)),
        class: StorageClass::Hot,
    };
    let refused = store.enter(&mark(2)).await;
    assert!(matches!(refused, Err(SegmentError::Unavailable { .. })), "{refused:?}");
    assert_eq!(store.set_mark(&mark(2)).await.unwrap(), mark(2));
    assert_eq!(store.set_mark(&mark(3)).await.unwrap(), mark(2), "the first one stays");
    assert_eq!(store.mark().await.unwrap(), Some(mark(2)));
    assert!(store.enter(&mark(3)).await.is_err());
    store.enter(&mark(2)).await.unwrap();
    store.identify().await.unwrap();
    store.check().await.unwrap();
}

/// Bytes that look random, the same for the same arguments.
pub fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    Bytes::from(bytes)
}

/// A record of `payload`.
pub fn record(payload: Bytes) -> Record {
    Record { domain: DOMAIN, hash: Hash::of(&payload), payload }
}

/// Writes `payload` as a single in pieces of `piece` bytes; returns its name and its payload's offset.
pub async fn write_single(store: &dyn SegmentStore, payload: &Bytes, piece: usize) -> (SegmentId, u64) {
    let id = SegmentId::fresh();
    let mut writer = store.create_single(id, DOMAIN, Some(payload.len() as u64)).await.unwrap();
    assert_eq!(writer.id(), id);
    let mut rest = payload.clone();
    while !rest.is_empty() {
        writer.write(rest.split_to(piece.min(rest.len()))).await.unwrap();
    }
    let (offset, size) = writer.finish(Hash::of(payload)).await.unwrap();
    assert!(size >= offset + payload.len() as u64);
    (id, offset)
}

/// A request for the whole of a payload.
pub fn whole(segment: SegmentId, payload_offset: u64, payload_length: u64) -> ReadRequest {
    ReadRequest {
        segment,
        payload_offset,
        payload_length,
        hash: None,
        start: 0,
        end: payload_length,
        purpose: ReadPurpose::Serve,
    }
}

/// Reads all of what `request` asks for, and checks that no chunk is larger than promised.
pub async fn read(store: &dyn SegmentStore, request: ReadRequest) -> Result<Vec<u8>, SegmentError> {
    let chunks: Vec<Bytes> = store.read(request).await?.try_collect().await?;
    assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= MIB));
    Ok(chunks.concat())
}

async fn names(store: &dyn SegmentStore) -> HashSet<SegmentId> {
    store.list().await.unwrap().try_collect().await.unwrap()
}

async fn delete(store: &dyn SegmentStore, id: SegmentId) {
    store.delete(id).await.unwrap();
    assert!(!names(store).await.contains(&id), "a deleted segment is listed");
}

/// Singles of every size come back whole, and say by themselves what they are.
pub async fn singles_come_back(store: &dyn SegmentStore) {
    for (seed, size) in SIZES.into_iter().enumerate() {
        let payload = noise(seed as u64, size);
        let length = size as u64;
        let (id, offset) = write_single(store, &payload, 200 * KIB).await;
        assert_eq!(read(store, whole(id, offset, length)).await.unwrap(), payload, "{size} bytes");
        let found = FoundRecord { domain: DOMAIN, hash: Hash::of(&payload), offset, length };
        assert_eq!(store.inspect(id).await.unwrap(), [found]);
        delete(store, id).await;
    }
}

/// How a payload is cut while it is written does not show.
pub async fn pieces_of_any_size_make_the_same_single(store: &dyn SegmentStore) {
    let payload = noise(1, MIB + 3);
    for piece in [999, 16 * KIB, 64 * KIB, 64 * KIB + 1, 2 * MIB] {
        let (id, offset) = write_single(store, &payload, piece).await;
        let length = payload.len() as u64;
        assert_eq!(read(store, whole(id, offset, length)).await.unwrap(), payload, "pieces of {piece}");
        delete(store, id).await;
    }
}

/// Ranges that begin and end on, before and behind the borders of blocks and chunks.
pub async fn ranges_are_cut_to_the_byte(store: &dyn SegmentStore) {
    const BORDERS: [usize; 6] = [0, 64 * KIB, 128 * KIB, 512 * KIB, MIB, 2 * MIB + 5];
    let payload = noise(2, 2 * MIB + 5);
    let (id, offset) = write_single(store, &payload, MIB).await;
    let points: Vec<usize> = BORDERS
        .iter()
        .flat_map(|border| [border.saturating_sub(1), *border, border + 1])
        .filter(|point| *point <= payload.len())
        .collect();
    for &start in &points {
        for &end in points.iter().filter(|end| **end >= start) {
            let request = ReadRequest {
                segment: id,
                payload_offset: offset,
                payload_length: payload.len() as u64,
                hash: Some(Hash::of(&payload)),
                start: start as u64,
                end: end as u64,
                purpose: ReadPurpose::Serve,
            };
            let bytes = read(store, request).await.unwrap();
            assert!(bytes == payload[start..end], "{start}..{end}");
        }
    }
    delete(store, id).await;
}

/// Records of many sizes in one pack, in several batches, before and after it is sealed.
pub async fn packs_come_back(store: &dyn SegmentStore) {
    let id = SegmentId::fresh();
    let mut pack = store.create_pack(id).await.unwrap();
    assert_eq!(pack.id(), id);
    let sizes = [0, 1, 63, 64, 4096, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300 * KIB, MIB];
    let mut payloads = Vec::new();
    let mut found = Vec::new();
    assert_eq!(pack.append(Vec::new()).await.unwrap(), [0_u64; 0]);
    for round in 0..4 {
        let batch: Vec<Bytes> = (0..120 * round)
            .map(|n| noise(1000 * round + n, usize::try_from(n).unwrap() * 17))
            .chain(sizes.iter().map(|size| noise(round, *size)))
            .collect();
        let size = pack.size();
        let offsets = pack.append(batch.iter().cloned().map(record).collect()).await.unwrap();
        assert_eq!(offsets.len(), batch.len());
        assert!(offsets[0] >= size && pack.size() > *offsets.last().unwrap());
        for (payload, offset) in batch.iter().zip(offsets) {
            let length = payload.len() as u64;
            found.push(FoundRecord { domain: DOMAIN, hash: Hash::of(payload), offset, length });
        }
        payloads.extend(batch);
    }
    let all_there = async |when: &str| {
        for (record, payload) in found.iter().zip(&payloads) {
            let bytes = read(store, whole(id, record.offset, record.length)).await.unwrap();
            assert!(bytes == *payload, "{when}: {record:?}");
        }
        assert_eq!(store.inspect(id).await.unwrap(), found, "{when}");
    };
    all_there("open").await;
    let records_end = pack.size();
    let size = pack.seal().await.unwrap();
    assert!(size > records_end);
    all_there("sealed").await;
    // A writer that died right after sealing is recovered to what it had sealed.
    let mended = Mended { size, ..Mended::default() };
    assert_eq!(store.recover(id, records_end).await.unwrap(), mended);
    assert_eq!(store.recover(id, size).await.unwrap(), mended);
    all_there("recovered").await;
    delete(store, id).await;
}

/// What was appended is readable at once, while later batches come, also through what a reader keeps open.
pub async fn an_open_pack_can_be_read(store: &dyn SegmentStore) {
    let id = SegmentId::fresh();
    let mut pack = store.create_pack(id).await.unwrap();
    let mut places = Vec::new();
    for n in 0..10 {
        let payload = noise(n, 4 * KIB);
        places.push((pack.append(vec![record(payload.clone())]).await.unwrap()[0], payload));
        for (offset, payload) in &places {
            assert!(read(store, whole(id, *offset, 4 * KIB as u64)).await.unwrap() == *payload);
        }
    }
    drop(pack);
    delete(store, id).await;
}

/// A pack whose writer died keeps every whole record: what the metadata store knows, and what it does not.
pub async fn a_dropped_pack_is_recovered(store: &dyn SegmentStore) {
    let id = SegmentId::fresh();
    let mut pack = store.create_pack(id).await.unwrap();
    let payloads = [noise(1, 100 * KIB), noise(2, 5000)];
    let mut offsets = pack.append(vec![record(payloads[0].clone())]).await.unwrap();
    let committed = pack.size();
    offsets.extend(pack.append(vec![record(payloads[1].clone())]).await.unwrap());
    let records_end = pack.size();
    drop(pack);
    let mended = store.recover(id, committed).await.unwrap();
    assert!(mended.size > records_end);
    assert_eq!((mended.unknown_records, mended.unknown_bytes), (1, 5000));
    assert_eq!(store.recover(id, committed).await.unwrap(), mended, "recovery is idempotent");
    let mut found = Vec::new();
    for (payload, offset) in payloads.iter().zip(offsets) {
        let length = payload.len() as u64;
        assert_eq!(read(store, whole(id, offset, length)).await.unwrap(), *payload);
        found.push(FoundRecord { domain: DOMAIN, hash: Hash::of(payload), offset, length });
    }
    assert_eq!(store.inspect(id).await.unwrap(), found);
    delete(store, id).await;
}

/// Of a pack and a single of which the metadata store knows nothing, everything whole is found and stays.
pub async fn what_nobody_knows_is_recovered(store: &dyn SegmentStore) {
    let id = SegmentId::fresh();
    let mut pack = store.create_pack(id).await.unwrap();
    pack.append(vec![record(noise(1, 10)), record(noise(2, 20))]).await.unwrap();
    drop(pack);
    let mended = store.recover(id, 0).await.unwrap();
    assert_eq!((mended.unknown_records, mended.unknown_bytes), (2, 30));
    assert_eq!(store.inspect(id).await.unwrap().len(), 2);
    delete(store, id).await;

    let (id, offset) = write_single(store, &noise(3, 2 * MIB), MIB).await;
    let mended = store.recover(id, 0).await.unwrap();
    assert_eq!((mended.unknown_records, mended.unknown_bytes), (1, 2 * MIB as u64));
    assert_eq!(read(store, whole(id, offset, 2 * MIB as u64)).await.unwrap(), noise(3, 2 * MIB));
    delete(store, id).await;
}

/// Each segment is looked for by itself.
pub async fn what_is_absent_is_told(store: &dyn SegmentStore) {
    let never = SegmentId::fresh();
    let (here, _) = write_single(store, &noise(1, 10), 10).await;
    let found = store.probe(vec![never, here, never]).await.unwrap();
    assert_eq!(found, [Presence::Absent, Presence::Present, Presence::Absent]);
    assert_eq!(store.probe(Vec::new()).await.unwrap(), []);
    delete(store, here).await;
}

/// What was noted last of each writer is told, lower numbers too.
pub async fn marks_come_back(store: &dyn SegmentStore) {
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    for (writer, commits) in [(one, 3), (other, u64::MAX), (one, 1000), (one, 999)] {
        store.note_commits(writer, commits).await.unwrap();
    }
    let marks = store.commit_notes().await.unwrap();
    assert!(marks.contains(&(one, 999)) && marks.contains(&(other, u64::MAX)), "{marks:?}");
    assert_eq!(marks.iter().filter(|(writer, _)| [one, other].contains(writer)).count(), 2);
}

/// Of each writer the start that was noted last.
pub async fn servers_are_noted(store: &dyn SegmentStore) {
    let (one, other, never) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let tokens = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    for (writer, token) in [(one, tokens[0]), (other, tokens[1]), (one, tokens[2])] {
        store.note_server(writer, token).await.unwrap();
    }
    assert_eq!(store.server_note(one).await.unwrap(), Some(tokens[2]));
    assert_eq!(store.server_note(other).await.unwrap(), Some(tokens[1]));
    assert_eq!(store.server_note(never).await.unwrap(), None);
}

/// A pack that was created and not written to.
pub async fn an_empty_pack_is_recovered(store: &dyn SegmentStore) {
    for committed_is_known in [true, false] {
        let id = SegmentId::fresh();
        let pack = store.create_pack(id).await.unwrap();
        let committed = if committed_is_known { pack.size() } else { 0 };
        drop(pack);
        match store.recover(id, committed).await {
            Ok(size) => {
                assert_eq!(store.recover(id, committed).await.unwrap(), size);
                assert_eq!(store.inspect(id).await.unwrap(), []);
            }
            // A tier may write nothing before the first batch.
            refused => assert!(matches!(refused, Err(SegmentError::Missing(_))), "{refused:?}"),
        }
        delete(store, id).await;
    }
}

/// A file that lacks committed bytes is never passed for whole.
pub async fn recovery_of_too_little_is_refused(store: &dyn SegmentStore) {
    let id = SegmentId::fresh();
    let mut pack = store.create_pack(id).await.unwrap();
    pack.append(vec![record(noise(3, 1000))]).await.unwrap();
    let committed = pack.size();
    drop(pack);
    for wrong in [committed + 1, committed - 1, u64::MAX] {
        let refused = store.recover(id, wrong).await;
        assert!(matches!(refused, Err(SegmentError::Corrupt { .. })), "{wrong}: {refused:?}");
    }
    store.recover(id, committed).await.unwrap();
    delete(store, id).await;
}

/// A single that is given up cannot be read, and its name is free to be deleted.
pub async fn a_dropped_single_leaves_nothing(store: &dyn SegmentStore) {
    let id = SegmentId::fresh();
    let mut writer = store.create_single(id, DOMAIN, None).await.unwrap();
    // More than a tier may keep to itself before it sends something.
    for n in 0..12 {
        writer.write(noise(n, 2 * MIB)).await.unwrap();
    }
    assert!(names(store).await.contains(&id), "a staged segment is listed");
    assert!(matches!(read(store, whole(id, 4096, MIB as u64)).await, Err(SegmentError::Missing(_))));
    drop(writer);
    delete(store, id).await;
}

/// Of what was never there, and of what is gone, every question says so, and deleting it succeeds.
pub async fn what_is_missing_is_missing(store: &dyn SegmentStore) {
    let never = SegmentId::fresh();
    let gone = SegmentId::fresh();
    let mut pack = store.create_pack(gone).await.unwrap();
    let offset = pack.append(vec![record(noise(4, 100))]).await.unwrap()[0];
    // Read first, so that a handle might be kept.
    read(store, whole(gone, offset, 100)).await.unwrap();
    pack.seal().await.unwrap();
    delete(store, gone).await;
    for id in [never, gone] {
        let is_missing = |error: SegmentError| matches!(error, SegmentError::Missing(it) if it == id);
        assert!(is_missing(read(store, whole(id, offset, 100)).await.unwrap_err()));
        assert!(is_missing(store.inspect(id).await.unwrap_err()));
        assert!(is_missing(store.recover(id, 64).await.unwrap_err()));
        store.delete(id).await.unwrap();
    }
}

/// A name that is taken is not written over.
pub async fn names_are_not_reused(store: &dyn SegmentStore) {
    let id = SegmentId::fresh();
    let mut pack = store.create_pack(id).await.unwrap();
    let payload = noise(9, 10);
    let offset = pack.append(vec![record(payload.clone())]).await.unwrap()[0];
    // Where a batch creates the object, that is refused.
    if let Ok(mut again) = store.create_pack(id).await {
        assert!(again.append(vec![record(noise(10, 10))]).await.is_err());
    }
    assert_eq!(read(store, whole(id, offset, 10)).await.unwrap(), payload);
    drop(pack);
    delete(store, id).await;
}

/// A reader that has begun gets every byte although the segment is deleted meanwhile.
pub async fn deletion_spares_readers(store: &dyn SegmentStore) {
    let payload = noise(5, 8 * MIB);
    let (id, offset) = write_single(store, &payload, MIB).await;
    let mut stream = store.read(whole(id, offset, payload.len() as u64)).await.unwrap();
    let mut bytes = stream.try_next().await.unwrap().unwrap().to_vec();
    delete(store, id).await;
    while let Some(chunk) = stream.try_next().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert!(bytes == payload);
    assert!(matches!(read(store, whole(id, offset, 1)).await, Err(SegmentError::Missing(_))));
}

/// Numbers that fit no payload or no file are answered with an error, not with a panic, bytes of a neighbour
/// or an enormous allocation.
pub async fn impossible_requests_are_refused(store: &dyn SegmentStore) {
    let id = SegmentId::fresh();
    let mut pack = store.create_pack(id).await.unwrap();
    let records = [noise(1, 70 * KIB), noise(2, 100), noise(3, 100)].map(record).to_vec();
    let offsets = pack.append(records).await.unwrap();
    let request = |payload_offset, payload_length, start, end| ReadRequest {
        segment: id,
        payload_offset,
        payload_length,
        hash: None,
        start,
        end,
        purpose: ReadPurpose::Serve,
    };
    let refused = [
        request(offsets[1], 100, 50, 49),
        request(offsets[1], 100, 0, 101),
        request(offsets[1], u64::MAX, 0, u64::MAX),
        request(u64::MAX, 100, 0, 100),
        request(i64::MAX as u64 - 10, 1, 0, 1),
        request(offsets[1], 1 << 40, 0, 1 << 40),
        request(offsets[1], 1 << 40, 1 << 39, (1 << 39) + 1),
        request(offsets[1], 99, 0, 99),
        request(offsets[1], 101, 0, 101),
        request(offsets[1], 101, 5, 6),
        request(offsets[1] + 1, 100, 0, 100),
        request(offsets[0], 70 * KIB as u64 - 1, 0, 70 * KIB as u64 - 1),
        request(0, 100, 0, 100),
        // Whole and valid records, but of another blob than was asked for.
        ReadRequest { hash: Some(Hash::of(b"another")), ..request(offsets[1], 100, 0, 100) },
        ReadRequest { hash: Some(Hash::of(b"another")), ..request(offsets[0], 70 * KIB as u64, 5, 6) },
    ];
    for request in refused {
        let answer = read(store, request).await;
        assert!(answer.is_err(), "{request:?} was answered");
    }
    drop(pack);
    delete(store, id).await;
}

/// The listing names every segment, more than any page of it may hold, and all are removed together.
pub async fn every_segment_is_listed(store: &dyn SegmentStore) {
    let writes = futures::stream::iter(0..1100).map(async |n| {
        if n % 7 != 0 {
            return write_single(store, &noise(n, 10), 10).await.0;
        }
        let id = SegmentId::fresh();
        store.create_pack(id).await.unwrap().append(vec![record(noise(n, 10))]).await.unwrap();
        id
    });
    let mut all: Vec<_> = writes.buffer_unordered(16).collect().await;
    let listed = names(store).await;
    assert!(all.iter().all(|id| listed.contains(id)));
    // One that is gone already is as good as removed.
    all.push(SegmentId::fresh());
    let removed = store.delete_all(&all).await;
    assert_eq!(removed.len(), all.len());
    for removed in removed {
        removed.unwrap();
    }
    let listed = names(store).await;
    assert!(!all.iter().any(|id| listed.contains(id)));
}

/// Writers and readers of many segments at once each see their own bytes.
pub async fn many_at_once_do_not_mix(store: &dyn SegmentStore) {
    futures::future::join_all((0..24_u64).map(async |n| {
        let payload = noise(n, usize::try_from(n).unwrap() * 77 * KIB);
        let length = payload.len() as u64;
        let (id, offset) = if n % 2 == 0 {
            write_single(store, &payload, 60 * KIB).await
        } else {
            let id = SegmentId::fresh();
            let mut pack = store.create_pack(id).await.unwrap();
            let offsets =
                pack.append(vec![record(noise(n + 100, 50)), record(payload.clone())]).await.unwrap();
            pack.seal().await.unwrap();
            (id, offsets[1])
        };
        let reads = (0..4).map(|_| read(store, whole(id, offset, length)));
        for bytes in futures::future::join_all(reads).await {
            assert!(bytes.unwrap() == payload);
        }
        delete(store, id).await;
    }))
    .await;
}
