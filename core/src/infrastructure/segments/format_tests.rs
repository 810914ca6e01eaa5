#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::domain::blob::Hash;

fn id(byte: u8) -> SegmentId {
    SegmentId(Uuid::from_bytes([byte; 16]))
}

/// The check value of the CRC catalogue: it is CRC-32/ISCSI, not another CRC of 32 bits.
#[test]
fn the_crc_is_castagnoli() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

/// Pins the format byte by byte: a change of it must change this test on purpose.
#[test]
fn frames_are_what_the_documentation_says() {
    let header = SegmentHeader { version: Version::One, kind: SegmentKind::Single, id: id(7) };
    assert_eq!(&header.encode()[..12], b"JSTSEGMT\x01\x00\x01\x00");
    let frame = SegmentHeader::new(SegmentKind::Single, id(7)).encode();
    assert_eq!(&frame[..12], b"JSTSEGMT\x02\x00\x01\x00");
    assert_eq!(frame[16..32], [7; 16]);
    assert_eq!(frame[32..40], 4032_u64.to_le_bytes());
    assert_eq!(frame[40..60], [0; 20]);
    assert_eq!(frame[60..], crc32c(&frame[..60]).to_le_bytes());

    let mut record = RecordHeader { segment: id(7), offset: 64, domain: [9; 16], payload_length: None };
    assert_eq!(record.encode()[8..16], [0xff; 8]);
    record.payload_length = Some(5);
    let frame = record.encode();
    assert_eq!(&frame[..16], b"JSTRECRD\x05\0\0\0\0\0\0\0");
    assert_eq!(frame[16..32], [9; 16]);
    assert_eq!(frame[32..48], [7; 16]);
    assert_eq!(frame[48..56], 64_u64.to_le_bytes());

    let footer = RecordFooter { payload_length: 5, payload_offset: 128, hash: Hash([3; 32]), table_crc: 6 };
    let (one, two) = (footer.encode_one(), footer.encode(id(7)));
    assert_eq!(&one[..16], b"JSTFOOTR\x05\0\0\0\0\0\0\0");
    assert_eq!(&two[..16], b"JSTFOOT2\x05\0\0\0\0\0\0\0");
    for frame in [&one[..], &two[..]] {
        assert_eq!(frame[16..48], [3; 32]);
        assert_eq!(frame[48..56], 128_u64.to_le_bytes());
        assert_eq!(frame[56..60], 6_u32.to_le_bytes());
        let (before, crc) = frame.split_last_chunk::<4>().unwrap();
        assert_eq!(u32::from_le_bytes(*crc), crc32c(before));
    }
    assert_eq!(two.len(), 128);
    assert_eq!(two[60..64], [0; 4], "cipher id");
    assert_eq!(two[64..80], [7; 16]);
    assert_eq!(two[80..124], [0; 44], "key id and wrapped key");

    let sealed = encode_index(id(7), &[], 64);
    assert_eq!(&sealed[..8], b"JSTTRAIL");
    assert_eq!(sealed[8..16], 0_u64.to_le_bytes());
    assert_eq!(sealed[16..32], [7; 16]);
    assert_eq!(sealed[32..40], 64_u64.to_le_bytes());
}

#[test]
fn lengths_that_no_file_has_are_refused_not_wrapped() {
    for version in [Version::One, Version::Two] {
        assert_eq!(version.record_end(u64::MAX, 1), None);
        assert_eq!(version.record_end(0, u64::MAX), None);
    }
    assert_eq!(Version::One.record_end(128, 0), Some(192));
    assert_eq!(Version::Two.record_end(128, 0), Some(256));
    assert_eq!(table_length(0), 0);
    assert_eq!(table_length(BLOCK), 4);
    assert_eq!(table_length(BLOCK + 1), 8);
    let huge = Trailer { segment: id(1), entries: u64::MAX, index_offset: 64, index_crc: 0 };
    assert!(Trailer::decode(&huge.encode(), id(1), 192).is_err());
}

proptest! {
    #[test]
    fn frames_come_back(
        segment: [u8; 16], domain: [u8; 16], hash: [u8; 32], offset: u64, length: u64, crc: u32,
    ) {
        let segment = SegmentId(Uuid::from_bytes(segment));
        for kind in [SegmentKind::Single, SegmentKind::Pack] {
            for version in [Version::One, Version::Two] {
                let header = SegmentHeader { version, kind, id: segment };
                prop_assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
            }
        }
        let header = RecordHeader { segment, offset, domain, payload_length: Some(length).filter(|l| *l != u64::MAX) };
        prop_assert_eq!(RecordHeader::decode(&header.encode(), segment, offset), Ok(header));
        let footer =
            RecordFooter { payload_length: length, payload_offset: offset, hash: Hash(hash), table_crc: crc };
        for (version, frame) in [(Version::One, &footer.encode_one()[..]), (Version::Two, &footer.encode(segment))] {
            let decode = |segment, offset, length| RecordFooter::decode(version, frame, segment, offset, length);
            prop_assert_eq!(decode(segment, offset, length), Ok(footer));
            prop_assert!(decode(segment, offset ^ 1, length).is_err());
            prop_assert!(decode(segment, offset, length ^ 1).is_err());
            let other = SegmentId(Uuid::from_u128(!segment.0.as_u128()));
            prop_assert_eq!(decode(other, offset, length).is_err(), version == Version::Two);
        }
    }

    #[test]
    fn an_index_comes_back(lengths in prop::collection::vec(0..200_000_u64, 0..50)) {
        let mut at = FRAME;
        let mut records = Vec::new();
        for length in lengths {
            let offset = at + FRAME;
            records.push(FoundRecord { domain: [1; 16], hash: Hash::of(&at.to_le_bytes()), offset, length });
            at = Version::Two.record_end(offset, length).unwrap();
        }
        let bytes = encode_index(id(1), &records, at);
        let (index, trailer) = bytes.split_last_chunk::<FRAME_SIZE>().unwrap();
        let trailer = Trailer::decode(trailer, id(1), at + bytes.len() as u64).unwrap();
        prop_assert_eq!(decode_index(Version::Two, index, &trailer).unwrap(), records);
    }

    /// One flipped bit in any frame is always noticed.
    #[test]
    fn a_flipped_bit_is_noticed(bit in 0..FRAME_SIZE * 8) {
        let flip = |mut frame: Frame| { frame[bit / 8] ^= 1 << (bit % 8); frame };
        let header = SegmentHeader::new(SegmentKind::Pack, id(1)).encode();
        prop_assert!(SegmentHeader::decode(&flip(header)).is_err());
        let record = RecordHeader { segment: id(1), offset: 64, domain: [0; 16], payload_length: Some(5) }.encode();
        prop_assert!(RecordHeader::decode(&flip(record), id(1), 64).is_err());
        let footer = RecordFooter { payload_length: 5, payload_offset: 128, hash: Hash([0; 32]), table_crc: 0 };
        let one = flip(footer.encode_one());
        prop_assert!(RecordFooter::decode(Version::One, &one, id(1), 128, 5).is_err());
        for bit in [bit, bit + FRAME_SIZE * 8] {
            let mut two = footer.encode(id(1));
            two[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(RecordFooter::decode(Version::Two, &two, id(1), 128, 5).is_err());
            prop_assert!(RecordFooter::decode_end(&two, id(1), 137, 128).is_err());
        }
        let trailer = Trailer { segment: id(1), entries: 0, index_offset: 64, index_crc: 0 }.encode();
        prop_assert!(Trailer::decode(&flip(trailer), id(1), 128).is_err());
        let record = FoundRecord { domain: [0; 16], hash: Hash([0; 32]), offset: 128, length: 5 };
        let index = encode_index(id(1), &[record], 325);
        let (entry, rest) = index.split_first_chunk::<FRAME_SIZE>().unwrap();
        let trailer = Trailer::decode(rest.first_chunk().unwrap(), id(1), 453).unwrap();
        prop_assert!(decode_index(Version::Two, &flip(*entry), &trailer).is_err());
    }

    /// Arbitrary bytes, even under a right checksum, are answered with a value or a refusal.
    #[test]
    fn nothing_panics(bytes: [[u8; 32]; 2], magic in 0..4_usize, file_size: u64, index: Vec<u8>) {
        let mut frame: Frame = bytes.concat().try_into().unwrap();
        let magics = [SEGMENT_MAGIC, RECORD_MAGIC, *b"JSTFOOTR", TRAILER_MAGIC];
        put(&mut frame, 0, magics[magic]);
        let frame = close(frame);
        let _ = SegmentHeader::decode(&frame);
        let _ = RecordHeader::decode(&frame, id(1), u64_at(&frame, 48));
        let _ = RecordFooter::decode(Version::One, &frame, id(1), u64_at(&frame, 48), u64_at(&frame, 8));
        let mut two: [u8; FOOTER_SIZE] = [frame, frame].concat().try_into().unwrap();
        put(&mut two, 0, FOOTER_MAGIC);
        put(&mut two, 60, [0; 4]);
        put(&mut two, 80, [0; 44]);
        let (two, segment) = (close(two), SegmentId(Uuid::from_bytes(get(&two, 64))));
        prop_assert!(RecordFooter::decode(Version::Two, &two, segment, u64_at(&two, 48), u64_at(&two, 8)).is_ok());
        let _ = RecordFooter::decode_end(&two, segment, file_size, u64_at(&two, 48));
        let _ = Trailer::decode(&frame, SegmentId(Uuid::from_bytes(get(&frame, 16))), file_size);
        let index = &index[..index.len() / FRAME_SIZE * FRAME_SIZE];
        let entries = (index.len() / FRAME_SIZE) as u64;
        let trailer =
            Trailer { segment: id(1), entries, index_offset: file_size, index_crc: crc32c(index) };
        let _ = decode_index(Version::Two, index, &trailer);
        let _ = verify_blocks(index, &frame);
    }

    /// However a payload is cut into pieces, its table is the same.
    #[test]
    fn block_sums_do_not_depend_on_the_pieces(
        pieces in prop::collection::vec(prop_oneof![0..5_usize, 60_000..70_000_usize, 131_072..131_075_usize], 0..6),
    ) {
        let payload: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
        let mut sums = BlockSums::new();
        let mut rest = &payload[..];
        for piece in pieces {
            let (now, later) = rest.split_at(piece);
            sums.update(now);
            rest = later;
        }
        let table = sums.finish();
        prop_assert_eq!(table.len() as u64, table_length(payload.len() as u64));
        let mut tail = Vec::new();
        encode_tail(&mut tail, id(1), &payload, 128, Hash([0; 32]));
        prop_assert_eq!(&tail[..table.len()], &table[..]);
        prop_assert_eq!(verify_blocks(&payload, &table), Ok(()));
    }
}

/// Room for encryption is not a promise that anything is decrypted: what is encrypted is refused, not served as it lies.
#[test]
fn an_encrypted_payload_is_refused() {
    let footer = RecordFooter { payload_length: 5, payload_offset: 128, hash: Hash([0; 32]), table_crc: 0 };
    for at in (60..64).chain(80..124) {
        let mut frame = footer.encode(id(1));
        frame[at] = 1;
        let frame = close(frame);
        let refused = RecordFooter::decode(Version::Two, &frame, id(1), 128, 5).unwrap_err();
        assert!(refused.0.contains("encrypted"), "{at}: {refused:?}");
    }
}
