//! A hot directory with a cold object store: what people run first.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter, MetadataDirective,
    StorageClass, Transition, TransitionStorageClass,
};
use bytes::Bytes;
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::{Content, Database, Options, Server, on_both_databases, s3, wait};

use super::peer::Peer;

on_both_databases!(
    cold_objects_live_in_the_bucket,
    a_killed_server_leaves_nothing_there,
    a_rule_moves_from_bucket_to_bucket,
);

const BUCKET: &str = "bucket";

/// Longest wait for the workers, on a busy machine.
const WORK_MAX: Duration = Duration::from_secs(120);

/// Packed, single in one part, and single in several parts.
const SIZES: [usize; 5] = [0, 100, 70_000, (1 << 20) + 5, 20 << 20];

fn contents() -> Vec<(String, Bytes)> {
    let numbered = SIZES.into_iter().enumerate();
    numbered.map(|(at, size)| (format!("k{at}"), Content::new(at as u64, size).bytes())).collect()
}

async fn put(client: &Client, key: &str, bytes: Bytes, class: StorageClass) {
    let put = client.put_object().bucket(BUCKET).key(key).storage_class(class);
    put.body(ByteStream::from(bytes)).send().await.unwrap();
}

async fn all_are_right(client: &Client, prefix: &str) {
    for (key, bytes) in contents() {
        let key = format!("{prefix}{key}");
        assert_same(&key, &s3::get(client, BUCKET, &key).await, &bytes);
        if bytes.len() > 1000 {
            let middle = bytes.len() / 2;
            let range = format!("bytes={}-{}", middle - 300, middle + 70);
            let part = client.get_object().bucket(BUCKET).key(&key).range(range).send().await.unwrap();
            assert_same(&key, &s3::body(part).await, &bytes.slice(middle - 300..=middle + 70));
        }
    }
}

fn hot_bytes(server: &Server) -> u64 {
    juststorage_compat_tests::disk::segments(&server.data().join("hot")).iter().map(|(_, size)| size).sum()
}

async fn start(database: Database, peer: &Peer) -> Server {
    let mut settings = peer.settings("cold");
    settings.push(("JUSTSTORAGE_RETENTION", "0s".to_owned()));
    Server::start_with(database, Options { settings, ..Options::terse() }).await
}

/// Objects that are cold from the beginning, and objects that become cold, lie in the bucket; they read as before, also
/// from the next start; what is deleted goes from there, and comes back hot if its class says so.
async fn cold_objects_live_in_the_bucket(database: Database) {
    let peer = Peer::gateway().await;
    let mut server = start(database, &peer).await;
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    for (key, bytes) in contents() {
        put(&client, &format!("cold/{key}"), bytes, StorageClass::StandardIa).await;
    }
    assert!(peer.keys("cold/segments/").await.len() >= 3, "written where they belong");
    assert_eq!(hot_bytes(&server), 0);
    all_are_right(&client, "cold/").await;

    // The same bytes again would be stored once.
    let other = |bytes: &Bytes| Bytes::from([&bytes[..], b"."].concat());
    for (key, bytes) in contents() {
        put(&client, &format!("hot/{key}"), other(&bytes), StorageClass::Standard).await;
    }
    for (key, _) in contents() {
        let key = format!("hot/{key}");
        let copy = client.copy_object().bucket(BUCKET).key(&key).copy_source(format!("{BUCKET}/{key}"));
        let copy = copy.storage_class(StorageClass::StandardIa).metadata_directive(MetadataDirective::Copy);
        copy.send().await.unwrap();
    }
    // The open pack stays where it is until it is full, with nothing in it that counts.
    wait::until("everything large moved to the bucket", WORK_MAX, async || {
        (hot_bytes(&server) < 1 << 20).then_some(())
    })
    .await;
    server.kill();
    server.resume().await;
    let client = server.s3();
    all_are_right(&client, "cold/").await;
    for (key, bytes) in contents() {
        let key = format!("hot/{key}");
        assert_same(&key, &s3::get(&client, BUCKET, &key).await, &other(&bytes));
    }
    server.run_ok(&["scrub"]);
    server.assert_valid();

    for prefix in ["cold", "hot"] {
        for (key, _) in contents() {
            client.delete_object().bucket(BUCKET).key(format!("{prefix}/{key}")).send().await.unwrap();
        }
    }
    server.assert_nothing_left().await;
    assert_eq!(peer.keys("cold/segments").await, [] as [String; 0]);
    assert_eq!(peer.uploads().await, 0);
}

/// A server that dies within an upload leaves an object or parts of one, which are collected.
async fn a_killed_server_leaves_nothing_there(database: Database) {
    let peer = Peer::gateway().await;
    let mut server = start(database, &peer).await;
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    put(&client, "kept", Content::new(1, 3 << 20).bytes(), StorageClass::StandardIa).await;
    let url = client.clone();
    let upload = tokio::spawn(async move {
        let body = Content::new(2, 200 << 20).bytes();
        let put = url.put_object().bucket(BUCKET).key("lost").storage_class(StorageClass::StandardIa);
        put.body(ByteStream::from(body)).send().await.is_ok()
    });
    wait::until("an upload is begun", WORK_MAX, async || {
        (!peer.keys("cold/staging").await.is_empty() || upload.is_finished()).then_some(())
    })
    .await;
    server.kill();
    let acknowledged = upload.await.unwrap();
    server.resume().await;
    let client = server.s3();
    assert_same("kept", &s3::get(&client, BUCKET, "kept").await, &Content::new(1, 3 << 20).bytes());
    for key in ["kept", "lost"] {
        client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    server.assert_nothing_left().await;
    assert_eq!(peer.keys("cold/segments").await, [] as [String; 0], "acknowledged: {acknowledged}");
    assert_eq!(peer.keys("cold/staging").await, [] as [String; 0]);
    assert_eq!(peer.uploads().await, 0, "uploads left open");
}

/// With both tiers in buckets a lifecycle rule moves what it names from one to the other: packs, and objects in several
/// parts.
async fn a_rule_moves_from_bucket_to_bucket(database: Database) {
    let peer = Peer::gateway().await;
    let mut settings = peer.settings("cold");
    settings.push(("JUSTSTORAGE_HOT_URL", Peer::url("hot")));
    settings.extend(peer.options());
    settings.push(("JUSTSTORAGE_RETENTION", "0s".to_owned()));
    settings.push(("JUSTSTORAGE_LIFECYCLE_DAY", "1s".to_owned()));
    let mut server = Server::start_with(database, Options { settings, ..Options::terse() }).await;
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    for (key, bytes) in contents() {
        put(&client, &key, bytes, StorageClass::Standard).await;
    }
    assert!(peer.keys("hot/segments/").await.len() >= 3 && peer.keys("cold/segments/").await.is_empty());
    all_are_right(&client, "").await;
    // No class takes objects that are younger, nor small ones unless the filter asks for a size.
    let transition = Transition::builder().days(30).storage_class(TransitionStorageClass::StandardIa).build();
    let filter = LifecycleRuleFilter::builder().object_size_less_than(1 << 30).build();
    let rule = LifecycleRule::builder().filter(filter);
    let rule = rule.status(ExpirationStatus::Enabled).transitions(transition).build().unwrap();
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    let set = client.put_bucket_lifecycle_configuration().bucket(BUCKET).lifecycle_configuration(rules);
    set.send().await.unwrap();
    wait::until("everything moved to the cold bucket", WORK_MAX, async || {
        peer.keys("hot/segments/").await.is_empty().then_some(())
    })
    .await;
    all_are_right(&client, "").await;
    server.assert_valid();
    for (key, _) in contents() {
        client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    server.assert_nothing_left().await;
    assert_eq!(peer.keys("cold/segments").await, [] as [String; 0]);
    assert_eq!(peer.uploads().await, 0);
}
