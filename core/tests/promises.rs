//! What both engines were told, and what holds even if a statement is wrong: durable commits and foreign keys.
//! Each of these is one word somewhere that no other test would miss.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::testing::postgres;
use sqlx::Connection as _;

/// Which column refers to which row. A blob with a reference cannot be deleted, by no statement.
const REFERENCES: [&str; 11] = [
    "blobs.segment_id -> segments.id",
    "blobs.space_id -> spaces.id",
    "buckets.space_id -> spaces.id",
    "extents.child_id -> blobs.id",
    "extents.parent_id -> blobs.id",
    "objects.blob_id -> blobs.id",
    "objects.space_id -> spaces.id",
    "upload_parts.blob_id -> blobs.id",
    "upload_parts.upload_id -> uploads.id",
    "uploads.space_id -> spaces.id",
    "usage.space_id -> spaces.id",
];

fn assert_references(found: &[String]) {
    let missing: Vec<_> = REFERENCES.iter().filter(|it| !found.iter().any(|found| found == *it)).collect();
    assert!(missing.is_empty(), "{missing:?} is not among {found:?}");
}

#[tokio::test]
async fn sqlite_keeps_its_word_and_its_references() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("metadata.db").display());
    let store = SqlMetadata::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let promises = store.promises().await;
    let told = |name: &str| promises.iter().find(|(of, _)| *of == name).unwrap().1.clone();
    // 2 is FULL: every commit is synced before it returns.
    assert_eq!((told("synchronous").as_str(), told("journal_mode").as_str()), ("2", "wal"));
    assert_eq!(told("foreign_keys"), "1");
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT m.name || '.' || f.\"from\" || ' -> ' || f.\"table\" || '.' || COALESCE(f.\"to\", 'id') \
         FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_references(&found);
}

#[tokio::test]
async fn postgres_keeps_its_word_and_its_references() {
    let cluster = postgres::shared();
    let url = cluster.create_database();
    let name = url.rsplit_once('/').unwrap().1;
    // Whatever the role, the database or the server would have.
    cluster.sql(&url, &format!("ALTER DATABASE {name} SET synchronous_commit TO off"));
    cluster.sql(&url, &format!("ALTER DATABASE {name} SET default_transaction_isolation TO 'serializable'"));
    let store = SqlMetadata::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let promises = store.promises().await;
    assert_eq!(
        promises,
        [("synchronous_commit", "on".to_owned()), ("transaction_isolation", "read committed".to_owned())]
    );
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT c.conrelid::regclass::text || '.' || a.attname || ' -> ' || c.confrelid::regclass::text || '.' \
         || b.attname FROM pg_constraint c \
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] \
         JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1] WHERE c.contype = 'f'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_references(&found);
}
