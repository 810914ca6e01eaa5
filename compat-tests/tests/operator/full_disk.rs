//! A disk that is full, with metadata and tiers on one volume.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::disk::SmallDisk;
use juststorage_compat_tests::native::{Native, problem};
use juststorage_compat_tests::{Content, Database, Options, Server, on_both_databases, s3, wait};
use reqwest::Method;

on_both_databases!(a_full_disk_is_emptied);

const BUCKET: &str = "bucket";

/// How long the store may take to notice that there is room.
const PATIENCE: Duration = Duration::from_secs(60);

fn free(disk: &Path) -> u64 {
    let found = rustix::fs::statvfs(disk).unwrap();
    found.f_bavail * found.f_frsize
}

/// Somebody else takes every byte that is left.
fn fill(disk: &Path) {
    let mut file = OpenOptions::new().create(true).append(true).open(disk.join("other")).unwrap();
    for size in [1 << 20, 64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

async fn all_are_readable(native: &Native, known: &BTreeMap<String, Content>) {
    for (key, content) in known {
        assert_same(key, &native.read(BUCKET, key).await, &content.bytes());
    }
}

/// What somebody who waits for room does with a full store: asks whether it is ready, reads, deletes. Nothing is taken in.
async fn reads_and_deletes(server: &Server, known: &mut BTreeMap<String, Content>, deletes: usize) {
    let native = server.native();
    let ready = native.request(Method::GET, "/ready").send().await.unwrap();
    assert_eq!(ready.status(), 200, "a full store is read and emptied");
    all_are_readable(&native, known).await;
    for length in [100, 3 << 20] {
        let refused = native.post(BUCKET, "more").body(vec![7; length]).send().await.unwrap();
        let (status, code, _) = problem(refused).await;
        assert_eq!((status, code.as_str()), (507, "storage_full"), "{length} bytes");
    }
    for at in 0..deletes {
        // A large one and a small one by turns.
        let gone = if at % 2 == 0 { known.pop_last() } else { known.pop_first() };
        let (key, _) = gone.expect("something is left to delete");
        if at % 2 == 0 {
            assert_eq!(native.delete(BUCKET, &key).await, 204, "{key}");
        } else {
            server
                .s3()
                .delete_object()
                .bucket(BUCKET)
                .key(&key)
                .send()
                .await
                .expect("a delete on a full disk");
        }
    }
}

async fn a_full_disk_is_emptied(database: Database) {
    let Some(disk) = SmallDisk::mount_for("a disk that is emptied", 64 << 20) else { return };
    let options = Options { data: Some(disk.path().join("data")), ..Options::terse() };
    let mut server = Server::start_with(database, options).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let native = server.native();

    // Uploads, large and small by turns, until a large one is refused, then small ones until one of these is: what is left
    // then is the reserve.
    let (mut known, mut refused, mut large) = (BTreeMap::new(), None, true);
    for number in 0..400_u64 {
        let size = if large && number % 3 == 0 { 2 << 20 } else { 40_000 };
        let content = Content::new(0xf0_0000 + number, size);
        let key = format!("{size:08}-{number:05}");
        let answer = native.post(BUCKET, &key).body(content.bytes()).send().await.unwrap();
        if answer.status() != 201 {
            let (status, code, _) = problem(answer).await;
            assert_eq!((status, code.as_str()), (507, "storage_full"), "after {number} objects");
            if !std::mem::take(&mut large) {
                refused = Some(free(disk.path()));
                break;
            }
            continue;
        }
        known.insert(key, content);
    }
    let left = refused.expect("the disk never filled up");
    // A twentieth of 64 MiB, less what the log grew by under background work since.
    assert!(left >= 3 << 20, "only {left} bytes were left free");
    let stored = known.len();
    assert!(stored > 20, "only {stored} objects fitted");

    fill(disk.path());
    assert_eq!(free(disk.path()), 0);
    reads_and_deletes(&server, &mut known, 6).await;
    server.run_ok(&["gc"]);

    // Killed, and started without a free byte.
    fill(disk.path());
    server.kill();
    fill(disk.path());
    server.resume().await;
    reads_and_deletes(&server, &mut known, 2).await;

    // Stopped, emptied from outside, and started without a free byte.
    fill(disk.path());
    server.stop().await;
    fill(disk.path());
    server.run_ok(&["gc"]);
    fill(disk.path());
    server.resume().await;
    reads_and_deletes(&server, &mut known, 2).await;
    server.run_ok(&["stats"]);

    // Without a restart: with room it takes uploads again.
    std::fs::remove_file(disk.path().join("other")).unwrap();
    let native = server.native();
    wait::until("uploads are let in again", PATIENCE, async || {
        let answer = native.post(BUCKET, "after").body(vec![9; 2 << 20]).send().await.unwrap();
        (answer.status() == 201).then_some(())
    })
    .await;
    all_are_readable(&native, &known).await;
    server.stop().await;
    server.assert_valid();
    server.resume().await;
    all_are_readable(&server.native(), &known).await;
    s3::empty(&server.s3(), BUCKET).await;
    server.assert_nothing_left().await;
    println!(
        "A5 full disk, {database:?}: {stored} objects fitted, {left} bytes were left free once every upload was refused; with 0 bytes free: \
         reads lost: 0, deletes refused: 0, starts refused: 0 of 2, gc refused: 0 of 2"
    );
}
