//! The machine around the store gives way: descriptors run out, a file system turns read-only, the clock jumps, the
//! database answers slowly or not at all. What was acknowledged is there afterwards, without a restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use juststorage_compat_tests::clock::FakeClock;
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::disk::SmallDisk;
use juststorage_compat_tests::native::{Native, problem};
use juststorage_compat_tests::{Cluster, Content, Database, Options, Server, on_both_databases, s3, wait};
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

on_both_databases!(descriptors_run_out_and_come_back, a_tier_that_turns_read_only, a_clock_that_jumps,);

const BUCKET: &str = "bucket";

/// How long the store may take to notice and to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a client waits for an answer before it gives up.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

/// What was acknowledged, and what was answered otherwise.
#[derive(Default)]
struct Ledger {
    next: u64,
    acknowledged: BTreeMap<String, Content>,
    refusals: BTreeMap<(u16, String), u32>,
    unanswered: u32,
}

impl Ledger {
    /// Puts an object of `length` bytes; whether it was acknowledged.
    async fn put(&mut self, native: &Native, length: usize) -> bool {
        self.next += 1;
        let (key, content) = (format!("{:05}", self.next), Content::new(0x0d_0000 + self.next, length));
        let request = native.post(BUCKET, &key).body(content.bytes()).timeout(CLIENT_PATIENCE);
        match request.send().await {
            Ok(answer) if answer.status() == 201 => {
                self.acknowledged.insert(key, content);
                return true;
            }
            Ok(answer) => {
                let again = answer.headers().contains_key("retry-after");
                let (status, code, _) = problem(answer).await;
                assert!(again || status != 503, "{code} does not say when to try again");
                *self.refusals.entry((status, code)).or_default() += 1;
            }
            Err(_) => self.unanswered += 1,
        }
        false
    }

    /// Small and large ones, all of them acknowledged.
    async fn put_some(&mut self, native: &Native) {
        for length in [3000, (1 << 20) + 99, 70_000] {
            assert!(
                self.put(native, length).await,
                "refused: {:?}, {} unanswered",
                self.refusals,
                self.unanswered
            );
        }
    }

    async fn wait_for_a_put(&mut self, native: &Native, length: usize) {
        wait::until("writes are acknowledged again", PATIENCE, async || {
            self.put(native, length).await.then_some(())
        })
        .await;
    }

    async fn all_are_readable(&self, native: &Native) {
        for (key, content) in &self.acknowledged {
            assert_same(key, &native.read(BUCKET, key).await, &content.bytes());
        }
    }

    /// Refusals say that it is the store's fault, that it passes, and have a code.
    fn refusals_are_clear(&self, what: &str) {
        eprintln!("{what}: {:?}, {} unanswered", self.refusals, self.unanswered);
        for (status, code) in self.refusals.keys() {
            assert_eq!((*status, code.as_str()), (503, "unavailable"), "{what}");
        }
    }
}

/// Everything acknowledged is there, the store is whole, and once all is deleted no file is left.
async fn ends_well(server: &mut Server, ledger: &Ledger) {
    ledger.all_are_readable(&server.native()).await;
    server.stop().await;
    server.assert_valid();
    server.resume().await;
    ledger.all_are_readable(&server.native()).await;
    let client = server.s3();
    for key in s3::keys(&client, BUCKET, "").await {
        // What was written without an answer is there or not, and is whole if it is.
        let number: u64 = key.parse().unwrap();
        let found = s3::get(&client, BUCKET, &key).await;
        assert_same(&key, &found, &Content::new(0x0d_0000 + number, found.len()).bytes());
    }
    s3::empty(&client, BUCKET).await;
    server.assert_nothing_left().await;
}

fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

fn may_have_descriptors(process: u32, number: usize) {
    let output = Command::new("prlimit")
        .args(["--pid", &process.to_string(), &format!("--nofile={number}:")])
        .output()
        .expect("prlimit (util-linux) runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Clients hold every descriptor that the process may have. Connected clients are answered, if with a refusal;
/// once they leave everything works again.
async fn descriptors_run_out_and_come_back(database: Database) {
    let mut server = Server::start(database).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let native = server.native();
    let mut ledger = Ledger::default();
    ledger.put_some(&native).await;
    let process = server.process_id();
    // Enough for the store's own work once the crowd is gone, and not for the crowd.
    for spare in [16, 24, 40] {
        let limit = descriptors(process) + spare;
        may_have_descriptors(process, limit);
        let address = server.native_url().strip_prefix("http://").unwrap().to_owned();
        let mut crowd = Vec::new();
        for _ in 0..64 {
            crowd.push(TcpStream::connect(&address).await.unwrap());
        }
        wait::until("there are no descriptors left", PATIENCE, async || {
            (descriptors(process) >= limit).then_some(())
        })
        .await;
        // A new segment needs a file: large ones always do, small ones do not while a pack is open.
        for length in [(1 << 20) + 99, 3000, 2 << 20, 100_000] {
            ledger.put(&native, length).await;
        }
        drop(crowd);
        ledger.wait_for_a_put(&native, (1 << 20) + 99).await;
        ledger.put_some(&native).await;
        ledger.put_some(&server.native()).await;
        may_have_descriptors(process, 1024);
    }
    assert!(!ledger.refusals.is_empty() || ledger.unanswered > 0, "descriptors never ran out");
    ledger.refusals_are_clear("without descriptors");
    ends_well(&mut server, &ledger).await;
}

fn remount(path: &Path, how: &str) {
    let output = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(path).output().unwrap();
    assert!(output.status.success(), "{how}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The file system of the hot tier turns read-only, as one does that has met an error, and comes back: writes are
/// refused meanwhile, reads and deletions go on.
async fn a_tier_that_turns_read_only(database: Database) {
    let Some(disk) = SmallDisk::mount_for("a read-only tier", 64 << 20) else { return };
    let hot = disk.path().join("hot");
    std::fs::create_dir(&hot).unwrap();
    let url = format!("file://{}", hot.display());
    let options = Options { settings: vec![("JUSTSTORAGE_HOT_URL", url)], ..Options::default() };
    let mut server = Server::start_with(database, options).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let native = server.native();
    let mut ledger = Ledger::default();
    for round in 0..2 {
        // Only large ones in the first round: an open pack is a file open for writing, and a file system that has one
        // cannot be turned read-only by hand.
        for _ in 0..3 {
            assert!(ledger.put(&native, (1 << 20) + 99).await);
        }
        if round == 1 {
            server.stop().await;
            server.resume().await;
        }
        let native = server.native();
        remount(disk.path(), "ro");
        for length in [2 << 20, 3000, (1 << 20) + 5, 100] {
            assert!(!ledger.put(&native, length).await, "acknowledged on a read-only file system");
        }
        assert_eq!(ledger.unanswered, 0, "a write waits for ever");
        ledger.all_are_readable(&native).await;
        let (key, _) = ledger.acknowledged.pop_first().unwrap();
        assert_eq!(native.delete(BUCKET, &key).await, 204, "metadata lie elsewhere");
        server.run(&["gc"]);
        remount(disk.path(), "rw");
        ledger.wait_for_a_put(&native, 2 << 20).await;
        ledger.put_some(&native).await;
    }
    ledger.refusals_are_clear("on a read-only file system");
    let mut files = server.data_files();
    files.extend(juststorage_compat_tests::disk::segments(&hot));
    assert!(!files.is_empty());
    ends_well(&mut server, &ledger).await;
    assert_eq!(juststorage_compat_tests::disk::segments(&hot), [], "files left in the tier");
}

/// The wall clock of the process jumps by hours and by days, forth and back, under writes, deletions and garbage
/// collection from another process. Leases run out and come back; nothing is lost, and nothing stays.
async fn a_clock_that_jumps(database: Database) {
    let Some(clock) = FakeClock::for_test_of("a clock that jumps") else { return };
    let settings = clock.settings();
    let mut server = Server::start_with(database, Options { settings, ..Options::default() }).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let native = server.native();
    let mut ledger = Ledger::default();
    ledger.put_some(&native).await;
    for offset in ["+1h", "-1h", "+30d", "-30d", "+2m", "-365d", "+365d", "+0"] {
        clock.set(offset);
        // Another process, with the same time, that may take this server for dead.
        server.run_ok(&["gc"]);
        // A pack that was taken over is noticed by a write that is refused.
        for length in [3000, (1 << 20) + 99] {
            ledger.wait_for_a_put(&native, length).await;
        }
        ledger.put_some(&native).await;
        let (key, _) = ledger.acknowledged.pop_first().unwrap();
        assert_eq!(native.delete(BUCKET, &key).await, 204, "at {offset}");
        ledger.all_are_readable(&native).await;
        if offset.ends_with('d') {
            let refused = s3::refusal("list", server.s3().list_objects_v2().bucket(BUCKET).send().await);
            assert_eq!(refused, (403, "RequestTimeTooSkewed".to_owned()), "at {offset}");
        }
    }
    // PostgreSQL's clock is what leases go by there, and did not jump.
    let by_own_clock = database == Database::Sqlite;
    assert_eq!(!ledger.refusals.is_empty(), by_own_clock, "who was taken for dead: {:?}", ledger.refusals);
    ledger.refusals_are_clear("while the clock jumps");
    ends_well(&mut server, &ledger).await;
}

/// Stands between the store and its database.
#[derive(Default)]
struct Line {
    /// Milliseconds for each piece of a conversation.
    delay: AtomicU64,
    /// Pieces that were delayed.
    delayed: AtomicU64,
    /// Nothing passes.
    cut: AtomicBool,
}

impl Line {
    async fn carry(self: Arc<Self>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let delay = self.delay.load(Ordering::Relaxed);
            self.delayed.fetch_add(u64::from(delay > 0), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(delay)).await;
            while self.cut.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if to.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
    }

    /// Listens in front of `port`; its own port.
    async fn lay(self: Arc<Self>, port: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let ((a, b), (c, d)) = (client.into_split(), server.into_split());
                tokio::spawn(self.clone().carry(a, d));
                tokio::spawn(self.clone().carry(c, b));
            }
        });
        own
    }
}

/// A database that takes its time is waited for; one that says nothing at all is given up on with a code, and taken
/// up again when it speaks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_slow_and_one_that_hangs() {
    let cluster = Arc::new(Cluster::start_new());
    let url = cluster.create_database();
    let port: u16 = url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0.parse().unwrap();
    let line = Arc::new(Line::default());
    let behind = url.replace(&format!(":{port}/"), &format!(":{}/", line.clone().lay(port).await));
    let settings = vec![("DATABASE_URL", behind)];
    let options = Options { cluster: Some(cluster), settings, ..Options::default() };
    let mut server = Server::start_with(Database::Postgres, options).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let native = server.native();
    let mut ledger = Ledger::default();
    ledger.put_some(&native).await;
    line.delay.store(100, Ordering::Relaxed);
    ledger.put_some(&native).await;
    // There and back, for each of the three at least once.
    let delayed = line.delayed.load(Ordering::Relaxed);
    assert!(delayed >= 6, "{delayed} pieces were delayed");
    line.delay.store(0, Ordering::Relaxed);
    for length in [3000, (1 << 20) + 99] {
        line.cut.store(true, Ordering::Relaxed);
        assert!(!ledger.put(&native, length).await, "acknowledged without the database");
        wait::until("/ready says no", PATIENCE, async || {
            let answer = native.request(Method::GET, "/ready").timeout(CLIENT_PATIENCE).send().await.ok()?;
            (answer.status() == 503).then_some(())
        })
        .await;
        line.cut.store(false, Ordering::Relaxed);
        ledger.wait_for_a_put(&native, 3000).await;
        ledger.put_some(&native).await;
    }
    ledger.refusals_are_clear("while the database hangs");
    ends_well(&mut server, &ledger).await;
}
