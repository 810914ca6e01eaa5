//! The ground under the store gives way: full disks, a database that goes, clients that go, bytes that rot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::disk::{SmallDisk, files};
use juststorage_compat_tests::native::{Native, problem};
use juststorage_compat_tests::raw::Request;
use juststorage_compat_tests::{Cluster, Content, Database, Options, Server, on_both_databases, s3, wait};
use reqwest::Method;

on_both_databases!(
    a_full_disk_is_said_and_survived,
    bytes_of_a_client_that_goes_are_reclaimed,
    a_damaged_large_object_fails_alone,
    a_damaged_small_object_fails_alone,
);

const BUCKET: &str = "bucket";

/// How long the store may take to notice and to clean up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Seeds of this test's contents: no two are alike.
fn content(number: u64, length: usize) -> Content {
    Content::new(0xfa_0000 + number, length)
}

/// Runs into the end of a 48 MiB disk on both fronts, with small and large objects; gives room back; goes on.
async fn a_full_disk_is_said_and_survived(database: Database) {
    let Some(disk) = SmallDisk::mount_for("a full disk", 48 << 20) else { return };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 16 << 20]).unwrap();
    let options = Options { data: Some(disk.path().join("data")), ..Options::terse() };
    let mut server = Server::start_with(database, options).await;
    let (client, native) = (server.s3(), server.native());
    client.create_bucket().bucket(BUCKET).send().await.unwrap();

    let mut stored = BTreeMap::new();
    let mut refusals = 0;
    for number in 0..200 {
        // Large ones until none fits any more, then small ones until the last room is gone.
        let length = if refusals < 4 { 3 << 20 } else { 200_000 };
        let (key, content) = (format!("object {number}"), content(number, length));
        let refused = if number % 2 == 0 {
            let put = client.put_object().bucket(BUCKET).key(&key).body(ByteStream::from(content.bytes()));
            let answer = put.send().await;
            answer.is_err().then(|| s3::refusal("put", answer))
        } else {
            let answer = native.post(BUCKET, &key).body(content.bytes()).send().await.unwrap();
            if answer.status() == 201 {
                None
            } else {
                let (status, code, _) = problem(answer).await;
                Some((status, code))
            }
        };
        match refused {
            None => drop(stored.insert(key, content)),
            Some((status, code)) => {
                assert_eq!(status, 507, "{code}");
                assert!(["InsufficientStorage", "storage_full"].contains(&code.as_str()), "{code}");
                refusals += 1;
            }
        }
        if refusals >= 12 {
            break;
        }
    }
    assert!(refusals >= 12, "the disk never filled up: {} objects", stored.len());
    assert!(stored.len() >= 8, "only {} objects fitted", stored.len());
    all_are_readable(&client, &native, &stored).await;

    std::fs::remove_file(&ballast).unwrap();
    wait::until("the store takes writes again", PATIENCE, async || {
        let put = client.put_object().bucket(BUCKET).key("after").body(content(999, 3 << 20).bytes().into());
        put.send().await.ok()
    })
    .await;
    stored.insert("after".to_owned(), content(999, 3 << 20));
    stored.insert("small".to_owned(), content(998, 5000));
    native.put(BUCKET, "small", content(998, 5000).bytes()).await;
    all_are_readable(&client, &native, &stored).await;
    assert_eq!(s3::keys(&client, BUCKET, "").await, stored.keys().cloned().collect::<Vec<_>>());

    server.stop().await;
    server.assert_valid();
    server.resume().await;
    let client = server.s3();
    all_are_readable(&client, &server.native(), &stored).await;
    s3::empty(&client, BUCKET).await;
    server.assert_nothing_left().await;
}

async fn all_are_readable(client: &aws_sdk_s3::Client, native: &Native, stored: &BTreeMap<String, Content>) {
    for (number, (key, content)) in stored.iter().enumerate() {
        let bytes =
            if number % 2 == 0 { s3::get(client, BUCKET, key).await } else { native.read(BUCKET, key).await };
        assert_same(key, &bytes, &content.bytes());
    }
}

/// PostgreSQL goes away under load and comes back: requests are refused with a code meanwhile, what was
/// acknowledged is there, without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stops_and_starts() {
    let cluster = Arc::new(Cluster::start_new());
    let options = Options { cluster: Some(cluster.clone()), ..Options::terse() };
    let mut server = Server::start_with(Database::Postgres, options).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let refusals = Arc::new(Mutex::new(BTreeMap::<(u16, String), u32>::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let (client, native) = (server.s3(), server.native());
            let (acknowledged, refusals, stop) = (acknowledged.clone(), refusals.clone(), stop.clone());
            tokio::spawn(async move {
                let mut number = writer * 100_000;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let length = if number.is_multiple_of(10) { (1 << 20) + 99 } else { 3000 };
                    let (key, content) = (format!("{number}"), content(number, length));
                    let refused = if writer % 2 == 0 {
                        let put = client.put_object().bucket(BUCKET).key(&key).body(content.bytes().into());
                        let answer = put.send().await;
                        answer.is_err().then(|| s3::refusal("put", answer))
                    } else {
                        let answer = native.post(BUCKET, &key).body(content.bytes()).send().await.unwrap();
                        let refused = answer.status() != 201;
                        if refused {
                            Some(problem(answer).await).map(|(status, code, _)| (status, code))
                        } else {
                            None
                        }
                    };
                    match refused {
                        None => drop(acknowledged.lock().unwrap().insert(key, content)),
                        Some(refusal) => *refusals.lock().unwrap().entry(refusal).or_default() += 1,
                    }
                }
            })
        })
        .collect();
    let native = server.native();
    let count = || acknowledged.lock().unwrap().len();
    for round in 0..3 {
        let before = count();
        wait::until("writes are acknowledged", PATIENCE, async || (count() > before + 20).then_some(()))
            .await;
        cluster.stop();
        let ready = wait::until("/ready says no", PATIENCE, async || {
            let answer = native.request(Method::GET, "/ready").send().await.ok()?;
            (answer.status() == 503).then_some(answer)
        });
        let said = ready.await.text().await.unwrap();
        assert!(said.contains("database"), "round {round}: /ready does not name the part: {said}");
        let alive = native.request(Method::GET, "/health").send().await.unwrap();
        assert_eq!(alive.status(), 200, "a process without its database is alive");
        let refused = || refusals.lock().unwrap().values().sum::<u32>();
        let before = refused();
        wait::until("writes are refused", PATIENCE, async || (refused() > before + 4).then_some(())).await;
        // Twenty that each waited for a connection, for five seconds, would not end within the guard.
        let at_once = async {
            for _ in 0..20 {
                assert_eq!(native.get(BUCKET, "1").await.status(), 503);
            }
        };
        tokio::time::timeout(PATIENCE, at_once).await.expect("refusals wait for the database");
        cluster.start();
        wait::until("/ready says yes", PATIENCE, async || {
            let answer = native.request(Method::GET, "/ready").send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }
    let before = count();
    wait::until("writes are acknowledged again", PATIENCE, async || (count() > before + 20).then_some(()))
        .await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let refusals = refusals.lock().unwrap().clone();
    eprintln!("refusals: {refusals:?}");
    for (status, code) in refusals.keys() {
        assert!(*status == 503 && !code.is_empty(), "{status} {code}");
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    let client = server.s3();
    all_are_readable(&client, &native, &acknowledged).await;
    server.stop().await;
    server.assert_valid();
    server.resume().await;
    s3::empty(&server.s3(), BUCKET).await;
    server.assert_nothing_left().await;
}

/// A client hangs up in the middle of a large body, on each front and in each kind of upload.
async fn bytes_of_a_client_that_goes_are_reclaimed(database: Database) {
    let mut server = Server::start_with(database, Options::terse()).await;
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let upload = s3::begin(&client, BUCKET, "in parts").await;
    let body = content(1, 6 << 20).bytes().to_vec();
    let s3_put = |target: String| {
        let request = Request::new("PUT", &target).header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
        request.body(body.clone()).signed(server.s3_url()).declared_length(64 << 20)
    };
    let native_put = Request::new("POST", "/v1/objects")
        .header("x-namespace", BUCKET)
        .header("x-tenant", "default")
        .header("x-key", "half")
        .body(body.clone())
        .declared_length(64 << 20);
    let before = server.data_files();
    for (what, request, endpoint) in [
        ("an S3 put", s3_put(format!("/{BUCKET}/half")), server.s3_url()),
        (
            "an S3 part",
            s3_put(format!("/{BUCKET}/in%20parts?partNumber=1&uploadId={upload}")),
            server.s3_url(),
        ),
        ("a native put", native_put, server.native_url()),
    ] {
        let connection = request.send_only(endpoint).await;
        wait::until("some of it is staged", PATIENCE, async || {
            server.data_files().iter().any(|(_, size)| *size > 1 << 20).then_some(())
        })
        .await;
        assert_eq!(s3::keys(&client, BUCKET, "").await, Vec::<String>::new(), "{what} is visible half way");
        drop(connection);
        wait::until(&format!("{what} is reclaimed"), PATIENCE, async || {
            (server.data_files() == before).then_some(())
        })
        .await;
    }
    assert_eq!(s3::keys(&client, BUCKET, "").await, Vec::<String>::new());
    let parts = client.list_parts().bucket(BUCKET).key("in parts").upload_id(&upload).send().await.unwrap();
    assert!(parts.parts().is_empty());
    s3::empty(&client, BUCKET).await;
    server.assert_nothing_left().await;
}

/// A client that stops in the middle of a body, and stays, is told so after a minute, and nothing is stored. The
/// answer's id is in the log, as for every request.
#[tokio::test]
async fn a_client_that_stalls_is_told_so() {
    let mut server = Server::start_with(Database::Sqlite, Options::terse()).await;
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let put = Request::new("PUT", &format!("/{BUCKET}/stalled"));
    let put = put.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").body("the beginning");
    let mut connection = put.signed(server.s3_url()).declared_length(1000).send_only(server.s3_url()).await;
    let mut answer = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut connection, &mut answer);
    tokio::time::timeout(Duration::from_secs(150), read).await.expect("an answer in time").unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
    let id = answer.lines().find_map(|line| line.strip_prefix("x-amz-request-id: ")).expect("an id");
    assert!(answer.contains(&format!("<RequestId>{id}</RequestId>")), "{answer}");
    wait::until("the request is in the log", PATIENCE, async || server.log().contains(id).then_some(()))
        .await;
    assert_eq!(s3::keys(&client, BUCKET, "").await, Vec::<String>::new());
    s3::empty(&client, BUCKET).await;
    server.assert_nothing_left().await;
}

/// The place of `needle` in a file under `directory`.
fn find(directory: &Path, needle: &[u8]) -> Option<(File, u64)> {
    files(directory).into_iter().find_map(|(path, _)| {
        let bytes = std::fs::read(&path).ok()?;
        let at = bytes.windows(needle.len()).position(|window| window == needle)?;
        Some((OpenOptions::new().write(true).open(path).ok()?, at as u64))
    })
}

/// Flips a bit of the byte `offset` into the stored bytes of `content`.
fn damage(server: &Server, content: Content, offset: usize) {
    let bytes = content.bytes();
    let (file, at) = find(&server.data().join("hot"), &bytes[..64]).expect("its bytes are on disk");
    file.write_all_at(&[bytes[offset] ^ 0x10], at + offset as u64).unwrap();
}

async fn a_damaged_large_object_fails_alone(database: Database) {
    // In the first block, and in the middle: the answer has begun by then.
    for offset in [100, 1_500_000] {
        fails_alone(database, 3 << 20, offset).await;
    }
}

async fn a_damaged_small_object_fails_alone(database: Database) {
    fails_alone(database, 5000, 4321).await;
}

async fn fails_alone(database: Database, length: usize, offset: usize) {
    let mut server = Server::start_with(database, Options::terse()).await;
    let (client, native) = (server.s3(), server.native());
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let contents: Vec<_> = (0..3).map(|number| content(number, length)).collect();
    for (number, content) in contents.iter().enumerate() {
        native.put(BUCKET, &format!("{number}"), content.bytes()).await;
    }
    damage(&server, contents[1], offset);
    let corrupt = async || native.metric("activestorage_corrupt_reads_total").await;
    assert!(corrupt().await.abs() < f64::EPSILON);

    // A range with the damage in it: refused before anything is sent, with a code of its own.
    let range = format!("bytes={}-{}", offset - 10, offset + 10);
    let read = native.request(Method::GET, &native.path(BUCKET, "1")).header("Range", &range);
    let (status, code, _) = problem(read.send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (500, "data_corrupt"));
    assert!(corrupt().await >= 1.0, "the metric did not rise");
    // The whole of it, on both fronts: an error or a broken stream, never bytes that differ.
    let read = client.get_object().bucket(BUCKET).key("1").send().await;
    if let Ok(answer) = read {
        assert!(answer.body.collect().await.is_err(), "damaged bytes were served as whole");
    }
    let read = native.get(BUCKET, "1").await;
    assert!(!read.status().is_success() || read.bytes().await.is_err(), "damaged bytes were served as whole");
    for number in [0, 2] {
        let what = format!("{number}");
        assert_same(&what, &s3::get(&client, BUCKET, &what).await, &contents[number].bytes());
        assert_same(&what, &native.read(BUCKET, &what).await, &contents[number].bytes());
    }
    let found = server.run(&["validate"]);
    assert_eq!(
        found.status.code(),
        Some(1),
        "validate does not find it: {}",
        String::from_utf8_lossy(&found.stdout)
    );

    // The same bytes sent again are not taken for stored: they heal every object that refers to them.
    native.put(BUCKET, "again", contents[1].bytes()).await;
    assert_same("again", &native.read(BUCKET, "again").await, &contents[1].bytes());
    assert_same("1", &s3::get(&client, BUCKET, "1").await, &contents[1].bytes());
    server.run_ok(&["gc"]);
    server.assert_valid();
    s3::empty(&client, BUCKET).await;
    server.assert_nothing_left().await;
}
