//! Segment files of any content: listing, salvaging and reading them ends in bytes that match their checksums, or
//! in an error, and never takes more memory than the file is long.

use std::path::Path;
use std::sync::OnceLock;

use juststorage_core::application::ports::segments::{FoundRecord, ReadRequest, SegmentStore as _};
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::infrastructure::segments::LocalSegments;
use juststorage_core::infrastructure::segments::format::{
    self, FOOTER_SIZE, FRAME_SIZE, Frame, RecordFooter, RecordHeader, SegmentHeader, Trailer, Version,
};
use juststorage_core::testing::segments as contract;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// Behind the first byte, which says how, a segment's file. An odd first byte has every frame's CRC put right
/// before: a mutation that only breaks a CRC is found at the door, and what lies behind it would never be seen.
pub fn segment(data: &[u8]) {
    let Some((how, file)) = data.split_first() else { return };
    let mut file = file.to_vec();
    if how % 2 == 1 {
        put_right(&mut file);
    }
    let id = match file.get(16..32).and_then(|bytes| Uuid::from_slice(bytes).ok()) {
        Some(id) => SegmentId(id),
        None => SegmentId(Uuid::from_u128(1)),
    };
    frames(&file, id);
    let folder = tempfile::tempdir_in(crate::scratch()).unwrap();
    runtime().block_on(files(folder.path(), &file, id));
}

/// One for all inputs: its threads outlive them.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_current_thread().enable_all().build().unwrap())
}

/// Recomputes the CRC of everything that looks like a frame.
fn put_right(file: &mut [u8]) {
    for at in 0..file.len().saturating_sub(FRAME_SIZE - 1) {
        let size = if file[at..].starts_with(b"JSTFOOT2") { FOOTER_SIZE } else { FRAME_SIZE };
        if file[at..].starts_with(b"JST") && at + size <= file.len() {
            let crc = format::crc32c(&file[at..at + size - 4]);
            file[at + size - 4..at + size].copy_from_slice(&crc.to_le_bytes());
        }
    }
}

/// The pure decoders: what one accepts, encodes to the same bytes, but for those that are ignored.
fn frames(file: &[u8], id: SegmentId) {
    for (at, frame) in file.as_chunks::<FRAME_SIZE>().0.iter().enumerate() {
        let frame: &Frame = frame;
        let offset = (at * FRAME_SIZE) as u64;
        if let Ok(header) = SegmentHeader::decode(frame) {
            assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
        }
        if let Ok(header) = RecordHeader::decode(frame, id, offset) {
            assert_eq!(RecordHeader::decode(&header.encode(), id, offset), Ok(header));
        }
        for version in [Version::One, Version::Two] {
            let _ = RecordFooter::decode(version, frame, id, offset, offset);
            if let Ok(trailer) = Trailer::decode(frame, id, file.len() as u64) {
                let _ = format::decode_index(version, file, &trailer);
            }
        }
    }
    for at in 0..file.len().saturating_sub(FOOTER_SIZE - 1) {
        let (frame, at) = (&file[at..at + FOOTER_SIZE], at as u64);
        let payload = u64::from_le_bytes(frame[48..56].try_into().unwrap());
        if let Ok(footer) = RecordFooter::decode_end(frame, id, at, payload) {
            assert_eq!(RecordFooter::decode_end(&footer.encode(id), id, at, payload), Ok(footer));
        }
    }
}

async fn files(root: &Path, file: &[u8], id: SegmentId) {
    let store = LocalSegments::open(root.to_path_buf(), "hot").unwrap();
    let name = id.to_string();
    let shelf = root.join("segments").join(&name[..2]);
    std::fs::create_dir_all(&shelf).unwrap();
    let path = shelf.join(format!("{name}.seg"));
    std::fs::write(&path, file).unwrap();
    let listed = store.inspect(id).await;
    if let Ok(records) = &listed {
        check(&store, id, file, records).await;
    }
    if store.recover(id, file.len() as u64 / 2).await.is_err() {
        assert_eq!(std::fs::read(&path).unwrap(), file, "a refused recovery changes nothing");
    }
    std::fs::write(&path, file).unwrap();
    match store.salvage(id).await {
        Ok(salvaged) => {
            assert_eq!(std::fs::metadata(&path).unwrap().len(), salvaged.size);
            assert_eq!(store.inspect(id).await.unwrap(), salvaged.records, "what was salvaged is listed");
            assert_eq!(store.salvage(id).await.unwrap(), salvaged, "once is enough");
        }
        Err(_) => assert_eq!(std::fs::read(&path).unwrap(), file, "a refused salvage changes nothing"),
    }
}

/// What is listed lies inside the file, and reading it yields those very bytes or an error.
async fn check(store: &LocalSegments, id: SegmentId, file: &[u8], records: &[FoundRecord]) {
    for record in records.iter().take(16) {
        let from = usize::try_from(record.offset).unwrap();
        let to = usize::try_from(record.offset + record.length).unwrap();
        assert!(to <= file.len(), "a record is listed beyond the file");
        let request =
            ReadRequest { hash: Some(record.hash), ..contract::whole(id, record.offset, record.length) };
        if let Ok(bytes) = contract::read(store, request).await {
            assert!(bytes == file[from..to], "other bytes");
        }
    }
}
