//! Everything that is read from a line of text: addresses, keys, cursors, tags, ranges, conditions, checksums.

use juststorage_core::application::objects::list::Cursor;
use juststorage_core::domain::address::{BucketName, Key, Namespace, Tenant};
use juststorage_core::domain::checksum::{Checksum, ChecksumAlgorithm};
use juststorage_core::domain::etag::Etag;
use juststorage_core::domain::multipart::UploadId;
use juststorage_core::domain::object::ObjectId;
use juststorage_core::domain::precondition::EtagCondition;
use juststorage_core::domain::principal::Rights;
use juststorage_core::domain::range::ByteRange;
use juststorage_core::domain::storage_class::StorageClass;

/// Any line. What is accepted is written as it was read, or reads the same again.
pub fn text(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    let line = line.as_ref();
    if let Ok(name) = Namespace::new(line) {
        assert_eq!(name.as_str(), line);
        assert!(!line.contains(['/', '\\', '\0']) && line != ".." && line.len() <= 63);
    }
    if let Ok(name) = Tenant::new(line) {
        assert_eq!(name.as_str(), line);
    }
    if let Ok(name) = BucketName::new(line) {
        assert_eq!(name.as_str(), line);
    }
    if let Ok(key) = Key::new(line) {
        assert_eq!(key.as_str(), line);
        assert!((1..=1024).contains(&line.len()));
    }
    if let Ok(cursor) = Cursor::decode(line) {
        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
    }
    if let Ok(tag) = Etag::parse(line) {
        assert_eq!(Etag::parse(&tag.to_string()), Ok(tag.clone()));
        assert_eq!(Etag::parse(tag.as_str()), Ok(tag));
    }
    let _ = EtagCondition::parse("If-Match", line);
    if let Ok(range) = ByteRange::parse(line) {
        for size in [0, 1, 1000, u64::MAX] {
            if let Ok(span) = range.resolve(size) {
                // A suffix of nothing is nothing; any other range has a byte.
                assert!(
                    (span.start < span.end || size == 0 && span.end == 0) && span.end <= size,
                    "{line:?} of {size} bytes"
                );
            }
        }
    }
    let _ = ByteRange::from_header(line);
    if let Some(checksum) = Checksum::from_stored(line) {
        assert_eq!(Checksum::from_stored(&checksum.to_stored()), Some(checksum));
    }
    let (name, value) = line.split_once('=').unwrap_or((line, ""));
    if let Some(algorithm) = ChecksumAlgorithm::parse(name) {
        let _ = Checksum::declared(algorithm, value);
    }
    let _ = (ObjectId::parse(line), UploadId::parse(line), Rights::parse(line), StorageClass::parse(line));
}
