//! A bucket is mirrored to the store that it is leaving, so that its service can go back: two of our own servers, the SDK as the
//! service, the commands as the operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier, Tag, Tagging};
use bytes::Bytes;
use juststorage_compat_tests::content::Content;
use juststorage_compat_tests::{Database, Options, Server, s3, wait};
use serde_json::Value;

const ACCESS_KEY: &str = "oldaccess";
const SECRET_KEY: &str = "the-secret-of-the-old-store";

/// Longest time until everything is sent, on a busy machine.
const SENT_MAX: Duration = Duration::from_secs(240);

/// What a client sees of an object.
#[derive(Debug, PartialEq)]
struct Seen {
    etag: String,
    content_type: Option<String>,
    cache_control: Option<String>,
    metadata: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    class: Option<String>,
    bytes: Bytes,
}

async fn see(client: &Client, bucket: &str, key: &str) -> Seen {
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{key}: {error:?}"));
    let tags = client.get_object_tagging().bucket(bucket).key(key).send().await.unwrap();
    Seen {
        etag: answer.e_tag().unwrap().to_owned(),
        content_type: answer.content_type().map(str::to_owned),
        cache_control: answer.cache_control().map(str::to_owned),
        metadata: answer.metadata().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
        tags: tags.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
        class: answer.storage_class().map(|class| class.as_str().to_owned()),
        bytes: answer.body.collect().await.unwrap_or_else(|error| panic!("{key}: {error:?}")).into_bytes(),
    }
}

async fn all(client: &Client, bucket: &str) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    for key in s3::keys(client, bucket, "").await {
        seen.insert(key.clone(), see(client, bucket, &key).await);
    }
    seen
}

/// The old store, and ours.
struct Both {
    old: Server,
    new: Server,
}

impl Both {
    fn there(&self) -> Client {
        s3::client(self.old.s3_url(), ACCESS_KEY, SECRET_KEY)
    }

    fn here(&self) -> Client {
        self.new.s3()
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let base = ["upstream"].into_iter().chain(arguments.iter().copied());
        let all: Vec<&str> = base.chain(["--bucket", "demo", "--json"]).collect();
        serde_json::from_str(&self.new.run_ok(&all)).unwrap()
    }

    /// The old store is found where it is now.
    fn bind(&self, mode: &str) -> Value {
        self.run(&["set", "--endpoint", self.old.s3_url(), "--secret-key", SECRET_KEY, "--mode", mode])
    }

    /// Waits until nothing waits to be sent, and its pass over all keys is done.
    async fn sent(&self) {
        wait::until("everything is sent to the old store", SENT_MAX, async || {
            let mirror = self.run(&["status"])["mirror"].clone();
            (mirror["waiting"] == 0 && !mirror["pass"]["finished_at"].is_null()).then_some(())
        })
        .await;
    }

    async fn is_equal(&self) {
        self.sent().await;
        let (here, there) = (all(&self.here(), "demo").await, all(&self.there(), "old").await);
        assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
        for (key, seen) in &here {
            assert!(*seen == there[key], "{key}: {seen:?} and {:?}", there[key]);
        }
    }
}

fn content(seed: u64, size: usize) -> Bytes {
    Content::new(seed, size).bytes()
}

/// The way there and back again, with both servers killed on the way.
#[allow(clippy::too_many_lines)] // one story
async fn a_service_can_go_back(database: Database) {
    let settings = vec![
        ("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ("JUSTSTORAGE_S3_ROOT_SECRET_KEY", SECRET_KEY.to_owned()),
    ];
    let old = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    let new = Server::start_with(database, Options::terse()).await;
    let mut both = Both { old, new };
    let (here, there) = (both.here(), both.there());
    there.create_bucket().bucket("old").send().await.unwrap();
    here.create_bucket().bucket("demo").send().await.unwrap();
    for (n, key) in ["a", "b/c", "removed", "replaced"].iter().enumerate() {
        let put = there.put_object().bucket("old").key(*key).content_type("text/x").metadata("owner", "me");
        put.body(ByteStream::from(content(n as u64, 1000 * (n + 1)))).send().await.unwrap();
    }
    both.run(&[
        "set",
        "--endpoint",
        both.old.s3_url(),
        "--upstream-bucket",
        "old",
        "--access-key",
        ACCESS_KEY,
        "--secret-key",
        SECRET_KEY,
        "--allow-private",
        "--mode",
        "read-through",
    ]);
    // Written and removed before the mirror begins.
    s3::put(&here, "demo", "early", content(20, 5000)).await;
    here.delete_object().bucket("demo").key("removed").send().await.unwrap();
    both.bind("mirror");

    let parts = [content(1, 5 << 20), content(2, 6 << 20), content(3, 1)];
    s3::put_in_parts(&here, "demo", "parts", &parts).await;
    let put = here.put_object().bucket("demo").key("gr\u{fc}\u{df}e +%").content_type("text/plain");
    let put = put.cache_control("max-age=60").metadata("owner", "you").tagging("a=b%20c&d=");
    put.storage_class(aws_sdk_s3::types::StorageClass::StandardIa)
        .body(ByteStream::from(content(4, 1 << 20)))
        .send()
        .await
        .unwrap();
    for n in 0..20 {
        s3::put(&here, "demo", "replaced", content(n, 100)).await;
    }
    s3::put(&here, "demo", "empty", Bytes::new()).await;
    let copy = here.copy_object().bucket("demo").key("copy").copy_source("demo/parts");
    copy.send().await.unwrap();
    let tags = Tagging::builder().tag_set(Tag::builder().key("k").value("v").build().unwrap());
    let tagging = here.put_object_tagging().bucket("demo").key("a").tagging(tags.build().unwrap());
    tagging.send().await.unwrap();
    for n in 0..30 {
        s3::put(&here, "demo", &format!("many/{n}"), content(n, 300)).await;
    }
    let many = (0..20).map(|n| ObjectIdentifier::builder().key(format!("many/{n}")).build().unwrap());
    let many = Delete::builder().set_objects(Some(many.collect())).build().unwrap();
    here.delete_objects().bucket("demo").delete(many).send().await.unwrap();
    both.is_equal().await;

    // The old store is off: writes go on, and wait.
    both.old.kill();
    s3::put(&here, "demo", "while it was off", content(30, 2000)).await;
    s3::put_in_parts(&here, "demo", "parts", &[content(5, 5 << 20), content(6, 100)]).await;
    here.delete_object().bucket("demo").key("early").send().await.unwrap();
    let status = both.run(&["status"]);
    assert!(status["mirror"]["waiting"].as_u64().unwrap() >= 3, "{status}");
    // So does the other one, and both come back.
    both.new.kill();
    both.new.resume().await;
    both.old.resume().await;
    both.bind("mirror");
    both.is_equal().await;
    let (here, there) = (both.here(), both.there());

    // Somebody still writes to the old store.
    s3::put(&there, "old", "replaced", Bytes::from_static(b"foreign")).await;
    s3::put(&here, "demo", "replaced", Bytes::from_static(b"mine")).await;
    both.is_equal().await;
    let status = both.run(&["status"]);
    assert_eq!(status["mirror"]["changed_there"], 1, "{status}");
    assert_eq!(status["mirror"]["changed"][0]["key"], "replaced", "{status}");

    let done = both.run(&["backfill"]);
    assert_eq!(done["clean"], true, "{done}");
    let done = both.run(&["verify"]);
    assert_eq!((&done["clean"], &done["waiting"]), (&true.into(), &0.into()), "{done}");
    a_report_is_signed(&both);
    let refused = both.new.run(&["upstream", "detach", "--bucket", "demo"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("somebody else"), "{words}");

    // Back again: the old store has everything, and what is written there now is seen here once it is looked at anew.
    let before = all(&here, "demo").await;
    both.bind("read-through");
    assert_eq!(all(&there, "old").await, before);
    s3::put(&here, "demo", "not sent", Bytes::from_static(b"x")).await;
    assert_eq!(both.run(&["status"])["mirror"]["waiting"], 0);
    both.new.stop().await;
    both.new.assert_valid();
    both.old.stop().await;
    both.old.assert_valid();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_can_go_back_to_the_old_store_on_sqlite() {
    a_service_can_go_back(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_can_go_back_to_the_old_store_on_postgres() {
    a_service_can_go_back(Database::Postgres).await;
}

/// The report of a comparison is written, and whoever has the public key finds out that it was changed.
fn a_report_is_signed(both: &Both) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (json, page) = (path("report.json"), path("report.html"));
    both.new.run_ok(&["upstream", "verify", "--bucket", "demo", "--report", &json, "--report", &page]);
    let text = std::fs::read_to_string(&json).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["report"]["clean"], true, "{text}");
    assert!(std::fs::read_to_string(&page).unwrap().contains("old"));
    both.new.run_ok(&["upstream", "report", "--check", &json]);
    let changed = text.replacen("\"clean\":true", "\"clean\":false", 1).replacen(
        "\"clean\": true",
        "\"clean\": false",
        1,
    );
    assert_ne!(changed, text);
    std::fs::write(&json, changed).unwrap();
    let refused = both.new.run(&["upstream", "report", "--check", &json]);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
}

/// A version as both sides list it: its entity tag and size; `None` of a delete marker.
type Listed = Option<(String, i64)>;

/// The versions of every key, the oldest first.
async fn versions(client: &Client, bucket: &str) -> BTreeMap<String, Vec<Listed>> {
    let page = client.list_object_versions().bucket(bucket).send().await.unwrap();
    let mut all: Vec<_> = Vec::new();
    for version in page.versions() {
        let line = Some((version.e_tag().unwrap().to_owned(), version.size().unwrap()));
        all.push((version.key().unwrap(), version.version_id().unwrap(), line));
    }
    for marker in page.delete_markers() {
        all.push((marker.key().unwrap(), marker.version_id().unwrap(), None));
    }
    // The ids of our own servers ascend. What was there before versions were kept comes first.
    all.sort_by_key(|(_, id, _)| (*id != "null", (*id).to_owned()));
    let mut of_keys: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
    for (key, _, line) in all {
        of_keys.entry(key.to_owned()).or_default().push(line);
    }
    of_keys
}

/// Where both buckets keep versions, each of them goes there in its order, with its entity tag; also across a kill.
async fn versions_go_along(database: Database) {
    let settings = vec![
        ("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ("JUSTSTORAGE_S3_ROOT_SECRET_KEY", SECRET_KEY.to_owned()),
    ];
    let old = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    let new = Server::start_with(database, Options::terse()).await;
    let mut both = Both { old, new };
    for (client, bucket) in [(both.there(), "old"), (both.here(), "demo")] {
        client.create_bucket().bucket(bucket).send().await.unwrap();
        let enabled = aws_sdk_s3::types::BucketVersioningStatus::Enabled;
        let enabled = aws_sdk_s3::types::VersioningConfiguration::builder().status(enabled).build();
        let versioned = client.put_bucket_versioning().bucket(bucket).versioning_configuration(enabled);
        versioned.send().await.unwrap();
    }
    s3::put(&both.there(), "old", "far", content(1, 1000)).await;
    let bind = ["--upstream-bucket", "old", "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY];
    let set = ["set", "--endpoint", both.old.s3_url(), "--allow-private", "--mode", "read-through"];
    both.run(&[&set[..], &bind[..]].concat());
    // From before the mirror, and a key that no listing shows.
    for n in 0..2 {
        s3::put(&both.here(), "demo", "early", content(n, 100)).await;
        s3::put(&both.here(), "demo", "hidden", content(n, 100)).await;
    }
    both.here().delete_object().bucket("demo").key("hidden").send().await.unwrap();
    both.bind("mirror");
    let change = async |both: &Both, seed: u64| {
        let here = both.here();
        s3::put(&here, "demo", "far", content(seed, 2000)).await;
        let mut gone = Vec::new();
        for n in 0..5 {
            let put = here.put_object().bucket("demo").key("often").body(content(seed + n, 300).into());
            gone = vec![put.send().await.unwrap().version_id().unwrap().to_owned()];
        }
        s3::put_in_parts(&here, "demo", "often", &[content(seed, 5 << 20), content(seed, 10)]).await;
        let marker = here.delete_object().bucket("demo").key("often").send().await.unwrap();
        gone.push(marker.version_id().unwrap().to_owned());
        s3::put(&here, "demo", "often", content(seed, 300)).await;
        // The upstream may be off, and then no listing is answered.
        for id in gone {
            here.delete_object().bucket("demo").key("often").version_id(id).send().await.unwrap();
        }
        here.delete_object().bucket("demo").key("early").send().await.unwrap();
    };
    change(&both, 10).await;
    both.is_equal().await;
    assert_eq!(versions(&both.here(), "demo").await, versions(&both.there(), "old").await);
    // Both are killed while versions wait and are sent.
    both.old.kill();
    change(&both, 20).await;
    both.old.resume().await;
    both.bind("mirror");
    both.new.kill();
    both.new.resume().await;
    both.is_equal().await;
    let here = versions(&both.here(), "demo").await;
    assert_eq!(here, versions(&both.there(), "old").await);
    assert!(here["often"].len() == 12 && here["hidden"].last() == Some(&None), "{here:?}");
    let status = both.run(&["status"]);
    assert_eq!(
        (&status["mirror"]["versions"], &status["mirror"]["changed_there"]),
        (&"all".into(), &0.into())
    );
    // And, if its operator says so, before the answer.
    let set = both.run(&["set", "--mirror-wait", "50"]);
    assert_eq!(
        (&set["mirror_wait_seconds"], &set["mirror_overflow"]),
        (&50.into(), &"refuse".into()),
        "{set}"
    );
    for n in 0..3 {
        s3::put(&both.here(), "demo", "waited", content(n, 1000)).await;
        assert_eq!(see(&both.there(), "old", "waited").await.bytes, content(n, 1000));
    }
    both.run(&["set", "--mirror-wait", "0"]);
    both.new.stop().await;
    both.new.assert_valid();
    both.old.stop().await;
    both.old.assert_valid();
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_go_along_on_sqlite() {
    versions_go_along(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_go_along_on_postgres() {
    versions_go_along(Database::Postgres).await;
}
