//! The database fails over: the primary dies under load with its whole machine, its synchronous standby is promoted and
//! takes over the address. What was acknowledged is there, the store agrees with itself, and writes go on without a
//! restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use juststorage_compat_tests::native::Native;
use juststorage_compat_tests::{Cluster, Content, Database, Options, Server, s3, wait};
use reqwest::{Method, StatusCode};
use tokio::net::{TcpListener, TcpStream};

const BUCKET: &str = "bucket";

const WRITERS: u64 = 4;

/// Of each writer.
const KEYS: u64 = 9;

/// How long the store may take to be back once there is a primary.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than the store itself waits for its database: a request that has not taken effect by then never does.
const CLIENT_PATIENCE: Duration = Duration::from_secs(100);

/// The address of whichever server is the primary.
#[derive(Default)]
struct Address(AtomicU16);

impl Address {
    /// Listens; the port.
    async fn open(self: Arc<Self>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = self.0.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        own
    }
}

/// What a key may hold: `None` for nothing. More than one only where a request was not acknowledged.
type May = Vec<Option<Content>>;

struct Writer {
    number: u64,
    next: u64,
    known: BTreeMap<String, May>,
    acknowledged: usize,
    unacknowledged: usize,
}

impl Writer {
    async fn run(&mut self, native: &Native, stop: &AtomicBool, all: &AtomicUsize) {
        while !stop.load(Ordering::SeqCst) {
            self.next += 1;
            let key = format!("{}/{}", self.number, self.next % KEYS);
            let state = Content::of_step(self.number, self.next);
            let request = native.change(BUCKET, &key, state);
            let status = request.timeout(CLIENT_PATIENCE).send().await.ok().map(|answer| answer.status());
            let may = self.known.entry(key).or_insert_with(|| vec![None]);
            match status {
                Some(StatusCode::CREATED | StatusCode::NO_CONTENT | StatusCode::NOT_FOUND) => {
                    *may = vec![state];
                    self.acknowledged += 1;
                    all.fetch_add(1, Ordering::SeqCst);
                }
                Some(status) if status != StatusCode::SERVICE_UNAVAILABLE => panic!("{status}"),
                _ => {
                    may.push(state);
                    self.unacknowledged += 1;
                    // A refused client tries again a little later.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn verify(&self, native: &Native) {
        for (key, may) in &self.known {
            let answer = native.get(BUCKET, key).await;
            let found = match answer.status() {
                StatusCode::OK => Some(answer.bytes().await.unwrap()),
                StatusCode::NOT_FOUND => None,
                status => panic!("{key}: {status}"),
            };
            let fits = may.iter().any(|state| state.map(Content::bytes) == found);
            assert!(fits, "{key} holds {:?} bytes, and may hold {may:?}", found.map(|bytes| bytes.len()));
        }
    }
}

/// Every key holds what was acknowledged last.
async fn verify(writers: &[Writer], native: &Native) {
    join_all(writers.iter().map(|writer| writer.verify(native))).await;
}

/// Kills the primary under load, promotes its standby, and returns once writes are acknowledged again: 0 may be lost.
/// `promoted` is called between.
async fn fail_over(
    native: &Native,
    primary: &Cluster,
    standby: &Cluster,
    promoted: impl Fn(),
) -> Vec<Writer> {
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|number| Writer { number, next: 0, known: BTreeMap::new(), acknowledged: 0, unacknowledged: 0 })
        .collect();
    let (stop, all) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = join_all(writers.iter_mut().map(|writer| writer.run(native, &stop, &all)));
    let failover = async {
        let acknowledged = async |number: usize| {
            wait::until("writes are acknowledged", PATIENCE, async || {
                (all.load(Ordering::SeqCst) >= number).then_some(())
            })
            .await;
        };
        acknowledged(100).await;
        let before = all.load(Ordering::SeqCst);
        tokio::task::block_in_place(|| primary.kill());
        let begun = Instant::now();
        let refused = wait::until("/ready says no", PATIENCE, async || {
            let answer = native.request(Method::GET, "/ready").timeout(CLIENT_PATIENCE).send().await.ok()?;
            (answer.status() == 503).then(|| begun.elapsed())
        })
        .await;
        // Nothing is acknowledged by a primary that is dead; a few were on their way.
        let between = all.load(Ordering::SeqCst) - before;
        assert!(between <= 2 * usize::try_from(WRITERS).unwrap() + 20, "{between} acknowledged by the dead");
        tokio::task::block_in_place(|| standby.promote());
        promoted();
        let (then, count) = (Instant::now(), all.load(Ordering::SeqCst));
        acknowledged(count + 1).await;
        let back = then.elapsed();
        acknowledged(count + 100).await;
        stop.store(true, Ordering::SeqCst);
        (refused, back)
    };
    let (_, (refused, back)) = tokio::join!(load, failover);
    verify(&writers, native).await;
    println!(
        "figures: failover: {} acknowledged by {WRITERS} writers, {} not, 0 lost; /ready said no after {} ms, and the first \
         write behind the promotion was acknowledged after {} ms",
        writers.iter().map(|writer| writer.acknowledged).sum::<usize>(),
        writers.iter().map(|writer| writer.unacknowledged).sum::<usize>(),
        refused.as_millis(),
        back.as_millis()
    );
    writers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_fails_over() {
    let primary = Cluster::start_new();
    let url = primary.create_database();
    let standby = primary.synchronous_standby();
    let address = Arc::new(Address(AtomicU16::new(primary.port())));
    let port = address.clone().open().await;
    let settings =
        vec![("DATABASE_URL", url.replace(&format!(":{}/", primary.port()), &format!(":{port}/")))];
    let mut server = Server::start_with(Database::Postgres, Options { settings, ..Options::terse() }).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();

    let moves = || address.0.store(standby.port(), Ordering::SeqCst);
    let writers = fail_over(&server.native(), &primary, &standby, moves).await;
    server.stop().await;
    server.assert_valid();
    server.resume().await;
    verify(&writers, &server.native()).await;
    s3::empty(&server.s3(), BUCKET).await;
    server.assert_nothing_left().await;
}

/// Without a proxy: `DATABASE_URL` names both servers, and the one that accepts writes is used, whichever is named first. A
/// primary that was replaced and comes back still accepts writes: no process goes back to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_hosts_of_which_one_accepts_writes() {
    let primary = Cluster::start_new();
    let url = primary.create_database();
    let standby = primary.synchronous_standby();
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let tiers = tempfile::tempdir().unwrap();
    let tier = |name: &str| format!("file://{}", tiers.path().join(name).display());
    let of = |hosts: &str, more: &str| {
        let settings = vec![
            ("DATABASE_URL", format!("postgres://juststorage@{hosts}/{name}{more}")),
            ("JUSTSTORAGE_HOT_URL", tier("hot")),
            ("JUSTSTORAGE_COLD_URL", tier("cold")),
        ];
        Options { settings, ..Options::terse() }
    };
    let place = |cluster: &Cluster| format!("127.0.0.1:{}", cluster.port());
    let alone = Server::prepare(Database::Postgres, of(&place(&standby), ""));
    for command in [&["serve"][..], &["stats"], &["gc"]] {
        let said = alone.unable(command);
        assert!(said.contains(&format!("{} is a standby", place(&standby))), "{command:?}: {said}");
    }

    let hosts = format!("{},{}", place(&standby), place(&primary));
    let mut server =
        Server::start_with(Database::Postgres, of(&hosts, "?target_session_attrs=read-write")).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let writers = fail_over(&server.native(), &primary, &standby, || ()).await;

    // Without its standby it would wait for it with every commit.
    primary.start_alone();
    let old = place(&primary);
    let counted = || primary.sql(&primary.url(&name), "SELECT count(*) FROM objects");
    let before = counted();
    server.kill();
    server.resume().await;
    let beside = Server::start_with(Database::Postgres, of(&format!("{old},{}", place(&standby)), "")).await;
    verify(&writers, &server.native()).await;
    for (number, server) in [&server, &beside].into_iter().enumerate() {
        server.native().put(BUCKET, &format!("behind/{number}"), Content::new(7, 3000).bytes()).await;
    }
    assert_eq!(counted(), before, "written to a primary that was replaced");
    drop(beside);
    server.stop().await;
    server.assert_valid();
    server.resume().await;
    s3::empty(&server.s3(), BUCKET).await;
    server.assert_nothing_left().await;
}
