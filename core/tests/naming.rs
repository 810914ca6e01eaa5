//! Content whose name, layout and count of parts are independent: named by the SHA-256 of its bytes, stored in pieces,
//! of which S3 counts two parts, or none. No request makes such content yet, so its rows are changed here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use bytes::Bytes;
use common::{Running, noise, object, place, root, segment_files};
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::uploads::{Completion, CopyPartRequest, UploadRef, UploadRequest};
use juststorage_core::domain::address::Key;
use juststorage_core::domain::blob::Hash;
use juststorage_core::domain::multipart::{PART_BYTES_MIN, PartNumber};
use juststorage_core::domain::naming::{ContentName, Layout, PartCount};
use juststorage_core::domain::object::{Attributes, Content};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::range::ByteRange;
use juststorage_core::domain::space::DedupScope;
use juststorage_core::testing::postgres;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

#[allow(clippy::cast_possible_truncation, reason = "five megabytes")]
const PART: usize = PART_BYTES_MIN as usize;

async fn sql(url: &str, statement: String) {
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// Makes `key` of ranges of other objects, without moving a byte.
async fn compose(running: &Running, key: &str, ranges: &[(&str, &str)]) -> Content {
    let key = Some(Key::new(key).unwrap());
    let request = UploadRequest { place: place(), key, attributes: Attributes::default(), checksum: None };
    let upload = running.store.create_upload(&root(), request).await.unwrap();
    let reference = UploadRef { id: upload.id, at: None };
    for (number, (source, range)) in (1..).zip(ranges) {
        let copy = CopyPartRequest {
            source: object(source),
            source_preconditions: Preconditions::default(),
            range: ByteRange::from_header(range),
        };
        let number = PartNumber::new(number).unwrap();
        running.store.copy_part(&root(), &reference, number, &copy).await.unwrap();
    }
    let made = running.store.complete_upload(&root(), &reference, Completion::default()).await.unwrap();
    made.content.unwrap()
}

/// Names a composite by its bytes, and says how many parts S3 counts of it.
async fn rename(url: &str, content: Content, bytes: &[u8], parts: u32) {
    assert_eq!((content.layout, content.parts.is_multipart()), (Layout::Pieces, true));
    let (sqlite, blob) = (url.starts_with("sqlite"), content.blob.0);
    let id = if sqlite { format!("x'{}'", blob.simple()) } else { format!("'{blob}'") };
    let hash = Hash::of(bytes);
    let hash = if sqlite { format!("x'{hash}'") } else { format!("'\\x{hash}'") };
    sql(url, format!("UPDATE blobs SET hash = {hash}, parts = 0, part_count = {parts} WHERE id = {id}"))
        .await;
    if parts == 0 {
        sql(url, format!("UPDATE extents SET part = 0 WHERE parent_id = {id}")).await;
    }
}

async fn pieces_may_be_named_by_their_bytes(url: &str, folder: &std::path::Path) {
    let running = Running::try_open(folder, url, DedupScope::Tenant).await.unwrap();
    let (first, second) = (noise(1, PART + 3), noise(2, 100_000));
    running.put("first", first.clone()).await.unwrap();
    running.put("second", second.clone()).await.unwrap();
    let border = format!("bytes=0-{}", PART - 1);
    let large = compose(&running, "large", &[("first", &border), ("second", "bytes=10-70009")]).await;
    let small = compose(&running, "small", &[("second", "bytes=5-1004")]).await;
    running.collect().await;
    let whole: Bytes = [&first[..PART], &second[10..70_010]].concat().into();
    let little = second.slice(5..1005);
    rename(url, large, &whole, 2).await;
    rename(url, small, &little, 0).await;
    assert_eq!(running.findings().await, [], "both are well formed");

    // The name says nothing of the layout, nor of the parts.
    let part = |part| ReadOptions { part: Some(part), ..ReadOptions::default() };
    for (key, bytes, parts) in [("large", &whole, PartCount(2)), ("small", &little, PartCount::NONE)] {
        let head = running.store.head(&root(), &object(key), &ReadOptions::default()).await.unwrap();
        let content = head.object.content.unwrap();
        assert_eq!(content.name, ContentName::Bytes(Hash::of(bytes)));
        assert_eq!((content.layout, content.parts), (Layout::Pieces, parts));
        assert_eq!(running.read(key).await.unwrap(), bytes);
    }
    assert_eq!(running.read_with("large", &part(2)).await.unwrap(), whole.slice(PART..));
    assert_eq!(running.read_with("small", &part(1)).await.unwrap(), little);
    assert!(matches!(running.read_with("small", &part(2)).await, Err(Error::NoSuchPart)));
    let counted = running.store.object_parts(&root(), &object("large"), 0, 10).await.unwrap().1.unwrap();
    assert_eq!((counted.total, counted.page.len()), (2, 2));
    assert!(running.store.object_parts(&root(), &object("small"), 0, 10).await.unwrap().1.is_none());

    // The same bytes, sent whole, are there already: in a segment of their own, and in a pack.
    let there = segment_files(folder).len();
    for (key, bytes, blob) in [("large again", &whole, large.blob), ("small again", &little, small.blob)] {
        let again = running.put(key, bytes.clone()).await.unwrap().content.unwrap();
        assert_eq!((again.blob, again.layout), (blob, Layout::Pieces));
        assert_eq!(running.read(key).await.unwrap(), bytes);
    }
    running.collect().await;
    assert!(segment_files(folder).len() <= there + 1, "an open pack at most came to the segments");

    // Stretches of pieces are stretches of their leaves.
    let across = format!("bytes={}-{}", PART - 7, PART + 6);
    let slice = compose(&running, "slice", &[("large again", &across)]).await;
    assert_eq!(running.read("slice").await.unwrap(), whole.slice(PART - 7..PART + 7));
    assert_eq!(slice.layout, Layout::Pieces);
    assert_eq!(running.findings().await, []);

    for key in ["first", "second", "large", "small", "large again", "small again", "slice"] {
        running.delete(key).await;
    }
    running.collect().await;
    running.close().await;
    let running = Running::try_open(folder, url, DedupScope::Tenant).await.unwrap();
    running.collect().await;
    assert_eq!(segment_files(folder), [] as [std::path::PathBuf; 0]);
    assert_eq!(running.findings().await, []);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_may_be_named_by_their_bytes_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("metadata.db").display());
    pieces_may_be_named_by_their_bytes(&url, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_may_be_named_by_their_bytes_on_postgres() {
    let folder = tempfile::tempdir().unwrap();
    pieces_may_be_named_by_their_bytes(&postgres::shared().create_database(), folder.path()).await;
}
