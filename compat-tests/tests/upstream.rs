//! A bucket leaves another store while it is used: our own gateway and `SeaweedFS` (`weed`, which `scripts/prepare clients`
//! installs) as the old store, the SDK as the service, the commands as the operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use juststorage_compat_tests::content::Content;
use juststorage_compat_tests::other_store::{OtherStore, Setup};
use juststorage_compat_tests::{Database, Options, Server, s3};

const ACCESS_KEY: &str = "oldaccess";
const SECRET_KEY: &str = "the-secret-of-the-old-store";

/// The store that is left.
const OLD: Setup = Setup { access_key: ACCESS_KEY, secret_key: SECRET_KEY, bucket: "old" };

/// What a client sees of an object.
#[derive(Debug, PartialEq)]
struct Seen {
    etag: String,
    modified: i64,
    content_type: Option<String>,
    metadata: BTreeMap<String, String>,
    bytes: Bytes,
}

async fn see(client: &Client, bucket: &str, key: &str) -> Seen {
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{key}: {error:?}"));
    Seen {
        etag: answer.e_tag().unwrap().to_owned(),
        modified: answer.last_modified().unwrap().secs(),
        content_type: answer.content_type().map(str::to_owned),
        metadata: answer.metadata().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
        bytes: answer.body.collect().await.unwrap_or_else(|error| panic!("{key}: {error:?}")).into_bytes(),
    }
}

async fn keys(client: &Client, bucket: &str, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
    let list = client.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(3);
    let mut pages = list.set_delimiter(delimiter.map(str::to_owned)).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        keys.extend(page.common_prefixes().iter().map(|common| common.prefix().unwrap().to_owned()));
    }
    keys.sort();
    keys
}

fn report(output: &str) -> serde_json::Value {
    serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// With the store, by somebody who has its public key alone, and after a change.
fn the_report_is_checked(server: &Server, signed: &str, page: &str) {
    let keys = report(&server.run_ok(&["upstream", "report", "--keys", "--json"]));
    let key = keys["keys"][0].as_str().unwrap();
    for key in [&["--key", key][..], &[]] {
        let checked = server.run_ok(&[&["upstream", "report", "--json", "--check", signed], key].concat());
        assert_eq!(report(&checked)["valid"], true, "{checked}");
    }
    let text = std::fs::read_to_string(signed).unwrap();
    assert_eq!(report(&text), report(&server.run_ok(&["upstream", "report", "--bucket", "demo"])));
    std::fs::write(signed, text.replacen("\"clean\":true", "\"clean\":false", 1)).unwrap();
    let changed = server.run(&["upstream", "report", "--check", signed, "--key", key]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(
        std::fs::read_to_string(page)
            .unwrap()
            .contains("<h1>Comparison of demo/default with its upstream</h1>")
    );
}

/// The whole story of docs/migration.md. The service reads, writes, deletes and lists all the time; at the end the old store
/// is off.
#[allow(clippy::too_many_lines)] // one story
async fn a_bucket_leaves_its_store(old: OtherStore, database: Database) {
    let there = old.client.clone();
    let mut expected = Vec::new();
    for (n, key) in ["a b+c", "dir/one", "dir/two", "dir/sub/three", "grüße", "z"].iter().enumerate() {
        let put = there.put_object().bucket("old").key(*key).content_type("text/x").metadata("owner", "me");
        put.body(ByteStream::from(Content::new(n as u64, 1000 * (n + 1)).bytes())).send().await.unwrap();
        expected.push((*key).to_owned());
    }
    let parts: Vec<Bytes> =
        [5 << 20, 6 << 20, 1 << 20].iter().map(|size| Content::new(9, *size).bytes()).collect();
    s3::put_in_parts(&there, "old", "parts", &parts).await;
    expected.push("parts".to_owned());
    expected.sort();
    let mut before = BTreeMap::new();
    for key in &expected {
        before.insert(key.clone(), see(&there, "old", key).await);
    }

    let mut server = Server::start_with(database, Options::terse()).await;
    let client = server.s3();
    client.create_bucket().bucket("demo").send().await.unwrap();
    let set = |more: &[&str]| {
        let base = ["upstream", "set", "--bucket", "demo", "--json"];
        let all: Vec<&str> = base.into_iter().chain(more.iter().copied()).collect();
        report(&server.run_ok(&all))
    };
    // A private address takes an allowance, and every mistake is named.
    let bind = ["--endpoint", &old.endpoint, "--access-key", ACCESS_KEY];
    let wrong = |bucket: &str, more: &[&str], said: &str| {
        let base = ["upstream", "set", "--bucket", "demo", "--upstream-bucket", bucket];
        let all: Vec<&str> = base.into_iter().chain(bind).chain(more.iter().copied()).collect();
        let output = server.run(&all);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && words.contains(said), "{more:?}: {words}");
        assert!(!words.contains(SECRET_KEY), "{words}");
    };
    wrong("old", &["--secret-key", SECRET_KEY], "allow_private");
    wrong("old", &["--allow-private", "--secret-key", "not-the-secret-of-the-store"], "access_key");
    wrong("none", &["--allow-private", "--secret-key", SECRET_KEY], "upstream_bucket");
    let named = ["--upstream-bucket", "old", "--allow-private", "--secret-key", SECRET_KEY];
    let all: Vec<&str> = bind.into_iter().chain(named).collect();
    let bound = set(&all);
    assert_eq!((&bound["mode"], bound.get("secret_key")), (&"observe".into(), None), "{bound}");
    assert!(keys(&client, "demo", "", None).await.is_empty(), "nothing is read through yet");

    set(&["--mode", "read-through"]);
    assert_eq!(keys(&client, "demo", "", None).await, expected);
    assert_eq!(keys(&client, "demo", "", Some("/")).await, ["a b+c", "dir/", "grüße", "parts", "z"]);
    assert_eq!(keys(&client, "demo", "dir/", Some("/")).await, ["dir/one", "dir/sub/", "dir/two"]);
    let head = client.head_object().bucket("demo").key("z").send().await.unwrap();
    assert_eq!(head.e_tag(), Some(before["z"].etag.as_str()));
    // What the service saw at the old store it sees here, also from the next start, killed in the middle.
    for (number, (key, seen)) in before.iter().enumerate() {
        assert_eq!(see(&client, "demo", key).await, *seen, "{key}");
        if number == 2 {
            server.kill();
            server.resume().await;
        }
        let client = server.s3();
        assert_eq!(see(&client, "demo", key).await, *seen, "{key}, again");
        if number == 2 {
            break;
        }
    }
    let client = server.s3();
    let range =
        client.get_object().bucket("demo").key("parts").range("bytes=5242870-5242889").send().await.unwrap();
    assert_eq!(s3::body(range).await, before["parts"].bytes.slice(5_242_870..5_242_890));
    // Deletes and writes stay here, and nothing comes back.
    for key in ["dir/one", "z"] {
        client.delete_object().bucket("demo").key(key).send().await.unwrap();
    }
    s3::put(&client, "demo", "dir/two", Bytes::from_static(b"mine")).await;
    let refused = client
        .put_object()
        .bucket("demo")
        .key("grüße")
        .if_none_match("*")
        .body(ByteStream::from_static(b"x"));
    assert_eq!(s3::refusal("a free key", refused.send().await), (412, "PreconditionFailed".to_owned()));
    server.kill();
    server.resume().await;
    let client = server.s3();
    for key in ["dir/one", "z"] {
        let gone = client.get_object().bucket("demo").key(key).send().await;
        assert_eq!(s3::refusal(key, gone), (404, "NoSuchKey".to_owned()));
    }

    let refused = server.run(&["upstream", "detach", "--bucket", "demo"]);
    assert!(!refused.status.success(), "nothing was compared");
    let found = server.run(&["upstream", "verify", "--bucket", "demo", "--json"]);
    assert_eq!(found.status.code(), Some(1), "not everything is here");
    let words = String::from_utf8(found.stdout).unwrap();
    assert!(report(&words).get("evidence").is_none(), "{words}");
    let done = report(&server.run_ok(&["upstream", "backfill", "--bucket", "demo", "--json"]));
    assert_eq!((&done["clean"], &done["failed"]), (&true.into(), &0.into()), "{done}");
    let files = tempfile::tempdir().unwrap();
    let named = ["demo.json", "demo.html"].map(|name| files.path().join(name).display().to_string());
    let [signed, page] = [&named[0], &named[1]];
    let verify = ["upstream", "verify", "--bucket", "demo", "--report", signed, "--report", page, "--json"];
    let done = report(&server.run_ok(&verify));
    the_report_is_checked(&server, signed, page);
    assert_eq!(
        (&done["clean"], &done["differ"], &done["only_upstream"]),
        (&true.into(), &0.into(), &0.into())
    );
    assert_eq!((&done["replaced_here"], &done["removed_here"]), (&1.into(), &2.into()), "{done}");
    assert_eq!(keys(&client, "demo", "a", None).await.len(), 1);
    see(&client, "demo", "a b+c").await;
    server.run_ok(&["upstream", "detach", "--bucket", "demo"]);
    drop(old);
    expected.retain(|key| !["dir/one", "z"].contains(&key.as_str()));
    assert_eq!(keys(&client, "demo", "", None).await, expected);
    for key in expected.iter().filter(|key| *key != "dir/two") {
        assert_eq!(see(&client, "demo", key).await, before[key], "{key}, with the old store off");
    }
    assert_eq!(s3::get(&client, "demo", "dir/two").await, Bytes::from_static(b"mine"));
    server.stop().await;
    let seen = report(&server.run_ok(&["upstream", "clients", "--bucket", "demo", "--json"]));
    let clients = seen.as_array().unwrap();
    assert!(clients.iter().all(|one| one["user_agent"].as_str().unwrap().contains("aws-sdk-rust")), "{seen}");
    for count in ["local", "other"] {
        assert!(clients.iter().any(|one| one[count].as_u64() > Some(0)), "{count}: {seen}");
    }
    server.assert_valid();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_leaves_our_own_gateway_on_sqlite() {
    a_bucket_leaves_its_store(OtherStore::gateway(OLD).await, Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_leaves_our_own_gateway_on_postgres() {
    a_bucket_leaves_its_store(OtherStore::gateway(OLD).await, Database::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_leaves_seaweedfs() {
    let Some(old) = OtherStore::seaweedfs("an upstream in SeaweedFS", OLD).await else { return };
    a_bucket_leaves_its_store(old, Database::Sqlite).await;
}

/// A store that is its own upstream would ask itself for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_not_its_own_upstream() {
    let server = Server::start_with(Database::Sqlite, Options::terse()).await;
    let client = server.s3();
    for bucket in ["one", "other"] {
        client.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let output = server.run(&[
        "upstream",
        "set",
        "--bucket",
        "one",
        "--endpoint",
        server.s3_url(),
        "--upstream-bucket",
        "other",
        "--access-key",
        s3::ROOT_KEY,
        "--secret-key",
        s3::ROOT_KEY,
        "--allow-private",
    ]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("this store itself"), "{words}");
}
