//! A segment that the disk does not give.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::native::{Native, problem};
use juststorage_compat_tests::{Content, Database, Options, Server, disk, on_both_databases};

on_both_databases!(
    one_unreadable_segment_is_a_verdict_about_its_blobs,
    an_unreadable_open_pack_does_not_stop_the_start
);

const BUCKET: &str = "bucket";

/// A file every read of which ends with EIO: the beginning of a process's memory, where nothing is.
const BAD_SECTOR: &str = "/proc/self/mem";

/// Puts a file that cannot be read in the place of a segment, which stays beside it.
fn spoil(path: &Path) {
    std::fs::rename(path, path.with_extension("aside")).unwrap();
    symlink(BAD_SECTOR, path).unwrap();
    let read = std::fs::read(path).unwrap_err();
    assert_eq!(read.raw_os_error(), Some(5), "this is no bad sector: {read}");
}

/// The disk gives it again.
fn mend(path: &Path) {
    std::fs::remove_file(path).unwrap();
    std::fs::rename(path.with_extension("aside"), path).unwrap();
}

/// The file that holds the bytes of `content`.
fn file_of(server: &Server, content: Content) -> PathBuf {
    let bytes = content.bytes();
    let files = disk::files(&server.data().join("hot/segments")).into_iter().map(|(path, _)| path);
    let holds = |path: &PathBuf| {
        std::fs::read(path).is_ok_and(|file| file.windows(64).any(|window| window == &bytes[..64]))
    };
    files.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).find(holds).unwrap()
}

fn content(seed: u64, length: usize) -> Content {
    Content::new(0x0b_9000 + seed, length)
}

async fn assert_all(native: &Native, contents: &[Content]) {
    for (number, content) in contents.iter().enumerate() {
        assert_same("content", &native.read(BUCKET, &format!("{number}")).await, &content.bytes());
    }
}

/// Its reader gets a code of its own and a metric counts it; everything else goes on: other reads, scrub, validate, which
/// come to the damage behind it. The same bytes sent again are stored again. What reads well later is released.
async fn one_unreadable_segment_is_a_verdict_about_its_blobs(database: Database) {
    let mut server = Server::start_with(database, Options::terse()).await;
    let native = server.native();
    let contents: Vec<_> = (0..6).map(|seed| content(seed, (1 << 20) + 99)).collect();
    for (number, content) in contents.iter().enumerate() {
        native.put(BUCKET, &format!("{number}"), content.bytes()).await;
    }
    let bad = [0, 1].map(|number| file_of(&server, contents[number]));
    for path in &bad[..1] {
        spoil(path);
    }
    let (status, code, _) = problem(native.get(BUCKET, "0").await).await;
    assert_eq!((status, code.as_str()), (500, "data_unreadable"));
    assert!(native.metric("activestorage_unreadable_reads_total").await >= 1.0);
    // The next one, which was not read.
    spoil(&bad[1]);
    let scrubbed = server.run(&["scrub", "--json"]);
    assert_eq!(scrubbed.status.code(), Some(1), "{}", String::from_utf8_lossy(&scrubbed.stderr));
    let report: serde_json::Value = serde_json::from_slice(&scrubbed.stdout).unwrap();
    assert_eq!(report["checked"]["blobs"], 6, "it goes on behind what cannot be read");
    assert_eq!(report["findings"].as_array().unwrap().len(), 2);
    let found = server.run(&["validate", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((found.status.code(), report["checked"]["blobs"].as_u64()), (Some(1), Some(6)));

    native.put(BUCKET, "again", contents[0].bytes()).await;
    for key in ["again", "0"] {
        assert_same(key, &native.read(BUCKET, key).await, &contents[0].bytes());
    }
    mend(&bad[1]);
    server.run_ok(&["scrub"]);
    assert_all(&native, &contents).await;
    server.stop().await;
    server.run_ok(&["gc"]);
    if bad[0].symlink_metadata().is_ok() {
        mend(&bad[0]);
    }
    server.assert_valid();
    println!("B9 unreadable, {database:?}: 2 segments of 6, other blobs passed over: 0, objects lost: 0");
}

/// The pack that was open when the process died cannot be read: the server starts, keeps it aside and says so. A later
/// start, which can read it, has everything.
async fn an_unreadable_open_pack_does_not_stop_the_start(database: Database) {
    let mut server = Server::start_with(database, Options::terse()).await;
    let native = server.native();
    let mut contents: Vec<_> = (0..4).map(|seed| content(seed, 3000)).collect();
    contents.extend((4..7).map(|seed| content(seed, (1 << 20) + 99)));
    for (number, content) in contents.iter().enumerate() {
        native.put(BUCKET, &format!("{number}"), content.bytes()).await;
    }
    let pack = file_of(&server, contents[0]);
    server.kill();
    spoil(&pack);
    server.resume().await;
    let segment = pack.file_stem().unwrap().to_str().unwrap();
    assert!(
        server.log().lines().any(|line| line.contains("ERROR") && line.contains(segment)),
        "it is not told"
    );
    let native = server.native();
    let (status, code, _) = problem(native.get(BUCKET, "0").await).await;
    assert_eq!((status, code.as_str()), (500, "data_unreadable"));
    native.put(BUCKET, "0", contents[0].bytes()).await;
    assert_same("0", &native.read(BUCKET, "0").await, &contents[0].bytes());
    for (number, content) in contents.iter().enumerate().take(7).skip(4) {
        assert_same("large", &native.read(BUCKET, &format!("{number}")).await, &content.bytes());
    }
    server.run_ok(&["gc"]);
    server.kill();
    mend(&pack);
    server.resume().await;
    server.run_ok(&["gc"]);
    server.run_ok(&["scrub"]);
    let native = server.native();
    assert_all(&native, &contents).await;
    server.stop().await;
    server.assert_valid();
    println!("B9 unreadable open pack, {database:?}: it starts; objects lost: 0");
}
