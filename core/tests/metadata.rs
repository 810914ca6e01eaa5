//! The metadata store keeps its port's promises on both engines, and those of its own: schema, restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use juststorage_core::application::ports::metadata::{
    Catalogue, Credential, CredentialKind, Credentials as _, Leases, MetadataError, MetadataStore, Objects,
};
use juststorage_core::application::reserve::METADATA_BYTES;
use juststorage_core::domain::address::{KeyPrefix, Tenant};
use juststorage_core::domain::principal::Rights;
use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::metadata_promises;
use juststorage_core::testing::metadata as suite;
use juststorage_core::testing::metadata::bench::Bench;
use juststorage_core::testing::postgres;
use sqlx::Connection as _;
use tempfile::TempDir;

/// A fresh database, and what keeps it alive.
async fn on_sqlite() -> (SqlMetadata, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = migrated(&sqlite_url(&directory)).await;
    (store, directory)
}

fn sqlite_url(directory: &TempDir) -> String {
    format!("sqlite://{}/metadata.db", directory.path().display())
}

async fn on_postgres() -> (SqlMetadata, ()) {
    (migrated(&postgres::shared().create_database()).await, ())
}

async fn migrated(url: &str) -> SqlMetadata {
    let store = SqlMetadata::connect(url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

mod sqlite {
    macro_rules! promise {
        ($theme:ident, $name:ident) => {
            #[tokio::test]
            async fn $name() {
                let (store, _directory) = super::on_sqlite().await;
                super::suite::$theme::$name(&store).await;
                super::MetadataStore::close(&store).await;
            }
        };
    }
    super::metadata_promises!(promise);
}

mod postgresql {
    macro_rules! promise {
        ($theme:ident, $name:ident) => {
            #[tokio::test]
            async fn $name() {
                let (store, ()) = super::on_postgres().await;
                super::suite::$theme::$name(&store).await;
                super::MetadataStore::close(&store).await;
            }
        };
    }
    super::metadata_promises!(promise);
}

/// Promises do not get in one another's way: a store that has lived keeps them all.
#[tokio::test]
async fn every_promise_holds_in_one_store() {
    let (store, _directory) = on_sqlite().await;
    suite::run_all(&store).await;
}

/// Several processes start at once on an empty database: one migrates, all go on.
async fn migrates_once(url: &str) {
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(SqlMetadata::connect(url).await.unwrap());
    }
    let reports = futures::future::join_all(stores.iter().map(SqlMetadata::migrate)).await;
    let reports: Vec<_> = reports.into_iter().map(Result::unwrap).collect();
    assert_eq!(reports.iter().map(|report| report.version).collect::<BTreeSet<_>>().len(), 1);
    assert!(reports.iter().any(|report| report.applied > 0));
    assert_eq!(stores[0].migrate().await.unwrap().applied, 0);
}

#[tokio::test]
async fn processes_may_migrate_sqlite_at_once() {
    let directory = tempfile::tempdir().unwrap();
    migrates_once(&sqlite_url(&directory)).await;
}

#[tokio::test]
async fn processes_may_migrate_postgres_at_once() {
    migrates_once(&postgres::shared().create_database()).await;
}

const FROM_THE_FUTURE: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
     VALUES (9999, 'future', TRUE, '', 0)";

async fn refuses_newer(store: &SqlMetadata) {
    for _ in 0..2 {
        let refused = store.migrate().await;
        assert!(matches!(refused, Err(MetadataError::NewerSchema { found: 9999, .. })), "{refused:?}");
    }
}

/// An older binary on a newer schema changes nothing and says why.
#[tokio::test]
async fn a_newer_schema_is_refused_on_sqlite() {
    let (store, directory) = on_sqlite().await;
    let mut connection = sqlx::SqliteConnection::connect(&sqlite_url(&directory)).await.unwrap();
    sqlx::query(FROM_THE_FUTURE).execute(&mut connection).await.unwrap();
    refuses_newer(&store).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_on_postgres() {
    let url = postgres::shared().create_database();
    let store = migrated(&url).await;
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::query(FROM_THE_FUTURE).execute(&mut connection).await.unwrap();
    refuses_newer(&store).await;
}

/// Tables, columns and indexes by name and columns: both engines end in the same schema.
#[tokio::test]
async fn both_schemas_are_the_same() {
    const SQLITE_COLUMNS: &str = "SELECT m.name || '.' || c.name || CASE WHEN c.\"notnull\" THEN ' not null' ELSE '' END \
         FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE '\\_%' ESCAPE '\\' \
         AND m.name NOT LIKE 'sqlite%'";
    const POSTGRES_COLUMNS: &str = "SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%'";
    const SQLITE_INDEXES: &str = "SELECT m.name || CASE WHEN i.\"unique\" THEN ' unique' ELSE '' END \
         || CASE WHEN i.partial THEN ' partial' ELSE '' END || ' (' || (SELECT group_concat(x.name || CASE WHEN x.\"desc\" THEN ' desc' ELSE '' END, ', ') \
         FROM (SELECT * FROM pragma_index_xinfo(i.name) WHERE \"key\" ORDER BY seqno) x) || ')' \
         FROM sqlite_master m, pragma_index_list(m.name) i WHERE m.type = 'table' AND m.name NOT LIKE '\\_%' ESCAPE '\\'";
    const POSTGRES_INDEXES: &str = "SELECT t.relname || CASE WHEN i.indisunique THEN ' unique' ELSE '' END \
         || CASE WHEN i.indpred IS NOT NULL THEN ' partial' ELSE '' END || ' (' || (SELECT string_agg(a.attname || \
         CASE WHEN (i.indoption[k.n - 1] & 1) = 1 THEN ' desc' ELSE '' END, ', ' ORDER BY k.n) \
         FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, n) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum) || ')' \
         FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace \
         WHERE s.nspname = 'public' AND t.relname NOT LIKE '\\_%'";

    let (_store, directory) = on_sqlite().await;
    let url = postgres::shared().create_database();
    migrated(&url).await;
    let mut sqlite = sqlx::SqliteConnection::connect(&sqlite_url(&directory)).await.unwrap();
    let mut postgres = sqlx::PgConnection::connect(&url).await.unwrap();
    for (of_sqlite, of_postgres) in [(SQLITE_COLUMNS, POSTGRES_COLUMNS), (SQLITE_INDEXES, POSTGRES_INDEXES)] {
        let ours: Vec<String> = sqlx::query_scalar(of_sqlite).fetch_all(&mut sqlite).await.unwrap();
        let theirs: Vec<String> = sqlx::query_scalar(of_postgres).fetch_all(&mut postgres).await.unwrap();
        // An integer primary key is the row's own number on SQLite, and no index of its own.
        let comparable = |all: Vec<String>| {
            let own = ["spaces unique (id)", "outbox unique (seq)", "upstreams unique (space_id)"];
            let kept = all.into_iter().filter(|index| !own.contains(&index.as_str()));
            kept.map(|line| line.replace("spaces.id not null", "spaces.id")).collect::<BTreeSet<_>>()
        };
        let (ours, theirs) = (comparable(ours), comparable(theirs));
        assert!(ours.len() > 20, "{ours:?}");
        assert_eq!(ours.difference(&theirs).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

/// What was acknowledged is there after the store was dropped without being closed.
#[tokio::test]
async fn sqlite_keeps_what_it_acknowledged() {
    let (store, directory) = on_sqlite().await;
    let bench = Bench::new(&store).await;
    let object = bench.has_put("k", b"body").await;
    let target = juststorage_core::application::ports::metadata::ObjectAddress::Id(object.id);
    let reopened = SqlMetadata::connect(&sqlite_url(&directory)).await.unwrap();
    assert_eq!(reopened.find(&target).await.unwrap().map(|found| found.object), Some(object));
}

/// A guard, so that a test which waits in vain ends. It says nothing about how fast something should be.
const HANGS: Duration = Duration::from_secs(60);

/// While the server is away everything fails as unavailable, at once when that is known; when it is back everything
/// works again, and what was acknowledged is there.
#[tokio::test]
async fn postgres_may_go_and_come_back() {
    let cluster = postgres::Cluster::start_new();
    let store = migrated(&cluster.create_database()).await;
    let bench = Bench::new(&store).await;
    bench.has_put("before", b"before").await;
    cluster.stop();
    let unavailable = |result: Result<_, MetadataError>| {
        assert!(matches!(result, Err(MetadataError::Unavailable(_))), "{result:?}");
    };
    unavailable(store.check().await);
    let batch = vec![juststorage_core::application::ports::metadata::Mutation::Put(Box::new(
        bench.put("while", b"away"),
    ))];
    unavailable(store.commit(bench.writer, batch, bench.now()).await.map(drop));
    // One has waited for a connection in vain. The others are refused without waiting: fifty that each waited for five
    // seconds would not end within the guard.
    let refused = async {
        for _ in 0..50 {
            unavailable(store.check().await);
        }
    };
    tokio::time::timeout(HANGS, refused).await.expect("refusals wait for a connection");
    cluster.start();
    let back = async {
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(HANGS, back).await.expect("it hangs after the server is back");
    bench.assert_latest("before", Some(b"before")).await;
    bench.assert_latest("while", None).await;
    bench.has_put("after", b"after").await;
    bench.finish().await;
}

/// Leases go by the caller's clock, unless the database is a server and told to use its own.
#[tokio::test]
async fn leases_go_by_the_clock_of_a_server() {
    let own = juststorage_core::domain::timestamp::Timestamp(5);
    let passed = migrated(&postgres::shared().create_database()).await;
    assert_eq!(passed.lease_time(own).await.unwrap(), own);
    let now = passed.with_its_own_clock().lease_time(own).await.unwrap();
    let ours = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(i64::try_from(ours).unwrap().abs_diff(now.millis()) < 60_000, "{now:?}");
    let (embedded, _directory) = on_sqlite().await;
    assert_eq!(embedded.with_its_own_clock().lease_time(own).await.unwrap(), own);
}

/// A reference that leads nowhere, which SQLite would not mention by itself.
#[tokio::test]
async fn a_broken_reference_is_found_on_sqlite() {
    let (store, directory) = on_sqlite().await;
    assert_eq!(store.inconsistencies().await.unwrap(), []);
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(directory.path().join("metadata.db"))
        .foreign_keys(false);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("INSERT INTO buckets (name, space_id, tenant, created_at) VALUES ('lost', 4711, 't', 0)")
        .execute(&mut other)
        .await
        .unwrap();
    let found = store.inconsistencies().await.unwrap();
    let codes: Vec<_> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["reference-broken"], "{found:?}");
    assert!(found[0].detail.contains("buckets") && found[0].detail.contains("spaces"), "{found:?}");
}

/// A bound credential is read as it was written, or not at all: neither a release that does not know prefixes nor a row
/// that lost them may make more of it.
#[tokio::test]
async fn a_credential_does_not_lose_its_prefixes() {
    let (store, directory) = on_sqlite().await;
    let credential = Credential {
        id: uuid::Uuid::new_v4(),
        kind: CredentialKind::S3,
        lookup: "BOUND".to_owned(),
        secret: vec![1],
        tenant: Tenant::new("acme").unwrap(),
        namespaces: None,
        prefixes: Some(vec![KeyPrefix::new("reports/").unwrap()]),
        rights: Rights::parse("read").unwrap(),
        description: String::new(),
        created_at: juststorage_core::domain::timestamp::Timestamp(1),
        expires_at: None,
        revoked_at: None,
    };
    store.create_credential(&credential).await.unwrap();
    assert_eq!(store.find_credential("BOUND").await.unwrap(), Some(credential));
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join("metadata.db"));
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let rights: String =
        sqlx::query_scalar("SELECT rights FROM credentials").fetch_one(&mut other).await.unwrap();
    assert!(Rights::parse(&rights).is_err(), "the release before this one reads {rights}");
    for damage in ["prefixes = NULL", "prefixes = '[\"reports/\"]', rights = 'read'", "prefixes = '[\"\"]'"] {
        let statement = format!("UPDATE credentials SET {damage}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut other).await.unwrap();
        let found = store.find_credential("BOUND").await;
        assert!(matches!(found, Err(MetadataError::Corrupt { .. })), "{damage}: {found:?}");
    }
}

/// What the reserve takes for a version is no less than the log grows by, also for one that is alone in its transaction:
/// a new key, and a key that is written again.
#[tokio::test]
async fn one_version_fits_its_share_of_the_log() {
    let (store, directory) = on_sqlite().await;
    let bench = Bench::new(&store).await;
    let log = directory.path().join("metadata.db-wal");
    let (mut most, mut before) = (0, log.metadata().unwrap().len());
    // Fewer pages than a checkpoint waits for, so that the log only grows.
    for number in 0..120 {
        let name = format!("{}/{number}", "a-prefix-of-usual-length".repeat(4));
        bench.has_put(&name, format!("body {number}").as_bytes()).await;
        if number % 3 == 0 {
            bench.has_put(&name, format!("another body {number}").as_bytes()).await;
        }
        let length = log.metadata().unwrap().len();
        assert!(length >= before, "the log began anew, and nothing was measured");
        most = most.max((length - before) / if number % 3 == 0 { 2 } else { 1 });
        before = length;
    }
    println!("the log grows by {most} bytes for a version at most");
    assert!((1..=METADATA_BYTES).contains(&most), "{most} bytes for one version");
    MetadataStore::close(&store).await;
}

/// URLs of other databases are refused, and an in-memory database is no store.
#[tokio::test]
async fn urls_that_cannot_serve_are_refused() {
    for url in ["mysql://x", "sqlite::memory:", "sqlite:///no/such/directory/metadata.db"] {
        assert!(SqlMetadata::connect(url).await.is_err(), "{url}");
    }
}
