#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn id(byte: u8) -> SegmentId {
    SegmentId(Uuid::from_bytes([byte; 16]))
}

/// The check value of the CRC catalogue: it is CRC-32/ISCSI, not another CRC of 32 bits.
#[test]
fn the_crc_is_castagnoli() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

/// Pins version 1 byte by byte: a change of the format must change this test on purpose.
#[test]
fn frames_are_what_the_documentation_says() {
    let header = SegmentHeader { kind: SegmentKind::Single, id: id(7) };
    let frame = header.encode();
    assert_eq!(&frame[..12], b"JSTSEGMT\x01\x00\x01\x00");
    assert_eq!(frame[16..32], [7; 16]);
    assert_eq!(frame[32..40], 4032_u64.to_le_bytes());
    assert_eq!(frame[40..60], [0; 20]);
    assert_eq!(frame[60..], crc32c(&frame[..60]).to_le_bytes());

    let record = RecordHeader { segment: id(7), offset: 64, domain: [9; 16], payload_length: 5 };
    let frame = record.encode();
    assert_eq!(&frame[..16], b"JSTRECRD\x05\0\0\0\0\0\0\0");
    assert_eq!(frame[16..32], [9; 16]);
    assert_eq!(frame[32..48], [7; 16]);
    assert_eq!(frame[48..56], 64_u64.to_le_bytes());

    let footer = RecordFooter { payload_length: 5, payload_offset: 128, hash: Hash([3; 32]), table_crc: 6 };
    let frame = footer.encode();
    assert_eq!(&frame[..16], b"JSTFOOTR\x05\0\0\0\0\0\0\0");
    assert_eq!(frame[16..48], [3; 32]);
    assert_eq!(frame[48..56], 128_u64.to_le_bytes());
    assert_eq!(frame[56..60], 6_u32.to_le_bytes());

    let sealed = encode_index(id(7), &[], 64);
    assert_eq!(&sealed[..8], b"JSTTRAIL");
    assert_eq!(sealed[8..16], 0_u64.to_le_bytes());
    assert_eq!(sealed[16..32], [7; 16]);
    assert_eq!(sealed[32..40], 64_u64.to_le_bytes());
}

#[test]
fn lengths_that_no_file_has_are_refused_not_wrapped() {
    assert_eq!(record_end(u64::MAX, 1), None);
    assert_eq!(record_end(0, u64::MAX), None);
    assert_eq!(record_end(128, 0), Some(192));
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
            let header = SegmentHeader { kind, id: segment };
            prop_assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
        }
        let header = RecordHeader { segment, offset, domain, payload_length: length };
        prop_assert_eq!(RecordHeader::decode(&header.encode(), segment, offset), Ok(header));
        let footer =
            RecordFooter { payload_length: length, payload_offset: offset, hash: Hash(hash), table_crc: crc };
        prop_assert_eq!(RecordFooter::decode(&footer.encode(), offset, length), Ok(footer));
        prop_assert!(RecordFooter::decode(&footer.encode(), offset ^ 1, length).is_err());
        prop_assert!(RecordFooter::decode(&footer.encode(), offset, length ^ 1).is_err());
    }

    #[test]
    fn an_index_comes_back(lengths in prop::collection::vec(0..200_000_u64, 0..50)) {
        let mut at = FRAME;
        let mut records = Vec::new();
        for length in lengths {
            let offset = at + FRAME;
            records.push(FoundRecord { domain: [1; 16], hash: Hash::of(&at.to_le_bytes()), offset, length });
            at = record_end(offset, length).unwrap();
        }
        let bytes = encode_index(id(1), &records, at);
        let (index, trailer) = bytes.split_last_chunk::<FRAME_SIZE>().unwrap();
        let trailer = Trailer::decode(trailer, id(1), at + bytes.len() as u64).unwrap();
        prop_assert_eq!(decode_index(index, &trailer).unwrap(), records);
    }

    /// One flipped bit in any frame is always noticed.
    #[test]
    fn a_flipped_bit_is_noticed(bit in 0..FRAME_SIZE * 8) {
        let flip = |mut frame: Frame| { frame[bit / 8] ^= 1 << (bit % 8); frame };
        let header = SegmentHeader { kind: SegmentKind::Pack, id: id(1) }.encode();
        prop_assert!(SegmentHeader::decode(&flip(header)).is_err());
        let record = RecordHeader { segment: id(1), offset: 64, domain: [0; 16], payload_length: 5 }.encode();
        prop_assert!(RecordHeader::decode(&flip(record), id(1), 64).is_err());
        let footer =
            RecordFooter { payload_length: 5, payload_offset: 128, hash: Hash([0; 32]), table_crc: 0 }.encode();
        prop_assert!(RecordFooter::decode(&flip(footer), 128, 5).is_err());
        let trailer = Trailer { segment: id(1), entries: 0, index_offset: 64, index_crc: 0 }.encode();
        prop_assert!(Trailer::decode(&flip(trailer), id(1), 128).is_err());
        let record = FoundRecord { domain: [0; 16], hash: Hash([0; 32]), offset: 128, length: 5 };
        let index = encode_index(id(1), &[record], 261);
        let (entry, rest) = index.split_first_chunk::<FRAME_SIZE>().unwrap();
        let trailer = Trailer::decode(rest.first_chunk().unwrap(), id(1), 389).unwrap();
        prop_assert!(decode_index(&flip(*entry), &trailer).is_err());
    }

    /// Arbitrary bytes, even under a right checksum, are answered with a value or a refusal.
    #[test]
    fn nothing_panics(bytes: [[u8; 32]; 2], magic in 0..4_usize, file_size: u64, index: Vec<u8>) {
        let mut frame: Frame = bytes.concat().try_into().unwrap();
        let magics = [SEGMENT_MAGIC, RECORD_MAGIC, FOOTER_MAGIC, TRAILER_MAGIC];
        put(&mut frame, 0, magics[magic]);
        let frame = close(frame);
        let _ = SegmentHeader::decode(&frame);
        let _ = RecordHeader::decode(&frame, id(1), u64_at(&frame, 48));
        let _ = RecordFooter::decode(&frame, u64_at(&frame, 48), u64_at(&frame, 8));
        let _ = Trailer::decode(&frame, SegmentId(Uuid::from_bytes(get(&frame, 16))), file_size);
        let index = &index[..index.len() / FRAME_SIZE * FRAME_SIZE];
        let entries = (index.len() / FRAME_SIZE) as u64;
        let trailer =
            Trailer { segment: id(1), entries, index_offset: file_size, index_crc: crc32c(index) };
        let _ = decode_index(index, &trailer);
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
        encode_tail(&mut tail, &payload, 128, Hash([0; 32]));
        prop_assert_eq!(&tail[..table.len()], &table[..]);
        prop_assert_eq!(verify_blocks(&payload, &table), Ok(()));
    }
}
