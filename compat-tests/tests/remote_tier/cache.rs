//! The cache of what is read from a tier in an object store, on disks that lie, are full, or vanish.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::StorageClass;
use bytes::Bytes;
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::disk::SmallDisk;
use juststorage_compat_tests::{Content, Database, Options, Server, s3, wait};

use super::peer::Peer;

const BUCKET: &str = "bucket";

/// Longest wait for the cache's next look at itself, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const FETCHES: &str = "activestorage_cache_fetches_total";
const DAMAGED: &str = "activestorage_cache_damaged_total";

fn contents() -> Vec<(String, Bytes)> {
    let sizes = [100, 4096, 70_000, (1 << 20) + 5, 9 << 20];
    let numbered = sizes.into_iter().enumerate();
    numbered.map(|(at, size)| (format!("k{at}"), Content::new(at as u64, size).bytes())).collect()
}

async fn start(peer: &Peer) -> Server {
    let mut settings = peer.settings("cold");
    settings.push(("JUSTSTORAGE_CACHE_BYTES", "64MiB".to_owned()));
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    for (key, bytes) in contents() {
        let put = client.put_object().bucket(BUCKET).key(key).storage_class(StorageClass::StandardIa);
        put.body(ByteStream::from(bytes)).send().await.unwrap();
    }
    server
}

async fn all_are_right(client: &Client) {
    for (key, bytes) in contents() {
        assert_same(&key, &s3::get(client, BUCKET, &key).await, &bytes);
    }
}

/// Waits until all that was read is on the cache's disk.
async fn on_disk(server: &Server) {
    let native = server.native();
    let bytes: usize = contents().iter().map(|(_, bytes)| bytes.len()).sum();
    let bytes = f64::from(u32::try_from(bytes).unwrap());
    wait::until("what was read is on the disk", PATIENCE, async || {
        let held = native.metric("activestorage_cache_bytes{in=\"disk\"}").await;
        (held >= bytes).then_some(())
    })
    .await;
}

/// Flips a bit in every page on the disk, more or less.
fn damage(server: &Server) {
    let pages = OpenOptions::new().read(true).write(true).open(server.data().join("cache/pages")).unwrap();
    for slot in 0..400 {
        let mut byte = [0];
        if pages.read_exact_at(&mut byte, slot * 65_536 + 20).is_ok() {
            pages.write_all_at(&[byte[0] ^ 0x10], slot * 65_536 + 20).unwrap();
        }
    }
}

/// The next start after a kill has what was read before it; whatever becomes of the files, the bytes are right.
#[tokio::test(flavor = "multi_thread")]
async fn damage_of_the_cache_is_never_served() {
    let peer = Peer::gateway().await;
    let mut server = start(&peer).await;
    all_are_right(&server.s3()).await;
    on_disk(&server).await;
    server.kill();
    server.resume().await;
    all_are_right(&server.s3()).await;
    assert!(server.native().metric(FETCHES).await < 0.5, "the cache was cold after a kill");
    assert!(server.native().metric(DAMAGED).await < 0.5);

    server.kill();
    damage(&server);
    server.resume().await;
    all_are_right(&server.s3()).await;
    let damaged = server.native().metric(DAMAGED).await;
    assert!(damaged > 100.0 && server.native().metric(FETCHES).await > 0.0, "{damaged}");
    on_disk(&server).await;
    // While it runs: what does not lie in memory is read from the disk.
    damage(&server);
    all_are_right(&server.s3()).await;
    assert!(server.native().metric("activestorage_corrupt_reads_total").await < 0.5);
    server.assert_valid();
}

/// With no room for the cache reads go on, and the server starts.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_does_not_stop_reads() {
    let Some(disk) = SmallDisk::mount_for("a cache on a full disk", 32 << 20) else { return };
    let peer = Peer::gateway().await;
    let mut server = start(&peer).await;
    server.stop().await;
    std::fs::remove_dir_all(server.data().join("cache")).unwrap();
    std::os::unix::fs::symlink(disk.path(), server.data().join("cache")).unwrap();
    server.resume().await;
    let mut other = OpenOptions::new().create(true).append(true).open(disk.path().join("other")).unwrap();
    for size in [1 << 20, 4 << 10, 1] {
        while other.write_all(&vec![1; size]).is_ok() {}
    }
    for _ in 0..2 {
        all_are_right(&server.s3()).await;
    }
    server.kill();
    for name in ["pages", "index", "lock"] {
        std::fs::remove_file(disk.path().join(name)).unwrap();
    }
    while other.write_all(&[1; 4096]).is_ok() {}
    while other.write_all(&[1]).is_ok() {}
    server.resume().await;
    all_are_right(&server.s3()).await;
    assert!(server.native().metric("activestorage_cache_disk_usable").await < 0.5);
    std::fs::remove_file(disk.path().join("other")).unwrap();
    drop(other);
    let native = server.native();
    wait::until("the disk is used again", PATIENCE, async || {
        (native.metric("activestorage_cache_disk_usable").await > 0.0).then_some(())
    })
    .await;
    all_are_right(&server.s3()).await;
}

/// What the operator has to mend is named at the start; without a cache, reads are what they were.
#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_cannot_be_is_refused_by_name() {
    let peer = Peer::gateway().await;
    let mut server = start(&peer).await;
    assert!(std::fs::metadata(server.data().join("cache/pages")).unwrap().len() <= 64 << 20);
    server.stop().await;
    std::fs::remove_dir_all(server.data().join("cache")).unwrap();
    std::fs::write(server.data().join("cache"), "mine").unwrap();
    let refused = server.refused();
    assert!(refused.contains("JUSTSTORAGE_CACHE_BYTES=0") && refused.contains("/cache"), "{refused}");
    assert_eq!(std::fs::read(server.data().join("cache")).unwrap(), b"mine");

    let mut settings = peer.settings("without");
    settings.push(("JUSTSTORAGE_CACHE_BYTES", "0".to_owned()));
    let without = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    let client = without.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    for (key, bytes) in contents() {
        let put = client.put_object().bucket(BUCKET).key(key).storage_class(StorageClass::StandardIa);
        put.body(ByteStream::from(bytes)).send().await.unwrap();
    }
    all_are_right(&client).await;
    assert!(!without.data().join("cache").exists());
    assert!(without.native().metric(FETCHES).await < 0.5);
}
