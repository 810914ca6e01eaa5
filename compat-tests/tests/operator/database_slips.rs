//! A database that is not there, whose file is damaged, or whose users' clocks differ.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt as _;
use futures::channel::mpsc;
use juststorage_compat_tests::clock::FakeClock;
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::native::{Native, problem};
use juststorage_compat_tests::{Cluster, Content, Database, Options, Server, ports, s3, wait};
use serde_json::Value;

const BUCKET: &str = "bucket";

const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing listens: said at once in the words that everybody knows, with the address.
#[test]
fn a_refused_port_is_named() {
    let port = ports::free();
    let url = format!("postgres://juststorage:secret-of-the-database@127.0.0.1:{port}/none");
    let settings = vec![("DATABASE_URL", url), ("JUSTSTORAGE_MASTER_KEY", "5a".repeat(32))];
    let server = Server::prepare(Database::Sqlite, Options { settings, ..Options::terse() });
    for command in ["serve", "migrate", "stats"] {
        let output = server.run(&[command]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{command}: {said}");
        assert!(said.contains(&format!("connection refused by 127.0.0.1:{port}")), "{command}: {said}");
        assert!(!said.contains("secret-of-the-database"), "{command} shows the password");
    }
    println!("A8 database: a refused port is said to refuse, by 127.0.0.1:{port}");
}

/// Answers each connection as a server of another kind does that speaks PostgreSQL's protocol: with its version.
fn impostor(version: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut speak = || -> std::io::Result<()> {
                let mut head = [0; 8];
                stream.read_exact(&mut head)?;
                if head[4..] == 80_877_103_u32.to_be_bytes() {
                    // No TLS here.
                    stream.write_all(b"N")?;
                    stream.read_exact(&mut head)?;
                }
                let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
                stream.read_exact(&mut vec![0; length as usize - 8])?;
                stream.write_all(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat())?;
                loop {
                    let mut head = [0; 5];
                    stream.read_exact(&mut head)?;
                    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
                    stream.read_exact(&mut vec![0; length as usize - 4])?;
                    if head[0] != b'Q' {
                        return Ok(());
                    }
                    // One column of text, one row.
                    let mut column = [&1_u16.to_be_bytes()[..], b"version\0"].concat();
                    column.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]);
                    let value = u32::try_from(version.len()).unwrap().to_be_bytes();
                    let row = [&1_u16.to_be_bytes()[..], &value, version.as_bytes()].concat();
                    let answer = [
                        message(b'T', &column),
                        message(b'D', &row),
                        message(b'C', b"SELECT 1\0"),
                        message(b'Z', b"I"),
                    ];
                    stream.write_all(&answer.concat())?;
                }
            };
            let _ = speak();
        }
    });
    port
}

/// What speaks PostgreSQL's protocol and is no PostgreSQL is refused by name, before anything is asked that it would
/// answer in its own way.
#[test]
fn databases_that_cannot_be_right_are_refused_by_name() {
    for (version, name) in [
        ("CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu)", "CockroachDB"),
        ("PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64-pc-linux-gnu", "YugabyteDB"),
    ] {
        let url = format!("postgres://juststorage@127.0.0.1:{}/db", impostor(version));
        let settings = vec![("DATABASE_URL", url), ("JUSTSTORAGE_MASTER_KEY", "5a".repeat(32))];
        let server = Server::prepare(Database::Sqlite, Options { settings, ..Options::terse() });
        for command in ["serve", "migrate", "stats"] {
            let said = server.unable(&[command]);
            assert!(said.contains(&format!("the server is {name}, not PostgreSQL")), "{command}: {said}");
        }
    }
    println!("A8 database: CockroachDB and YugabyteDB are refused by name");
}

/// A page of the database is not what SQLite wrote: `validate` says so by a code, with exit code 1, and looks no further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_found() {
    let mut server = Server::start_with(Database::Sqlite, Options::terse()).await;
    server.native().put(BUCKET, "a-key-whose-index-is-damaged", Bytes::from_static(b"body")).await;
    server.stop().await;
    server.assert_valid();
    let path = server.data().join("metadata.db");
    let whole = std::fs::read(&path).unwrap();
    let needle = b"a-key-whose-index-is-damaged";
    let at =
        whole.windows(needle.len()).rposition(|window| window == needle).expect("the key is in the file");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"z", at as u64).unwrap();
    let output = server.run(&["validate", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let codes: Vec<_> =
        said["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == "database-damaged"), "{said}");
    file.write_all_at(&whole[at..=at], at as u64).unwrap();
    server.assert_valid();
    println!("A8 database: one flipped byte of SQLite's file: {} findings database-damaged", codes.len());
}

/// An upload whose client takes its time, begun and not ended.
struct Slow {
    body: mpsc::Sender<Result<Bytes, std::io::Error>>,
    rest: Bytes,
    answer: tokio::task::JoinHandle<reqwest::Result<reqwest::Response>>,
}

impl Slow {
    async fn begin(native: &Native, key: &str, content: Content) -> Self {
        let bytes = content.bytes();
        let (mut body, stream) = mpsc::channel(1);
        let request = native.post(BUCKET, key).header("content-length", bytes.len());
        let answer = tokio::spawn(request.body(reqwest::Body::wrap_stream(stream)).send());
        body.send(Ok(bytes.slice(..2 << 20))).await.unwrap();
        Self { body, rest: bytes.slice(2 << 20..), answer }
    }

    async fn end(mut self) -> reqwest::Response {
        // A writer that was refused takes no more.
        let _ = self.body.send(Ok(self.rest)).await;
        drop(self.body);
        self.answer.await.unwrap().expect("an answer")
    }
}

/// Two servers of one PostgreSQL and the same tiers, five minutes apart, in both directions. Neither takes the other for
/// dead, whatever is under way; no answer is a 500.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_differ_by_minutes() {
    let Some(clock) = FakeClock::for_test_of("replicas whose clocks differ") else { return };
    let cluster = Arc::new(Cluster::start_new());
    let url = cluster.create_database();
    let tiers = tempfile::tempdir().unwrap();
    let tier = |name: &str| format!("file://{}", tiers.path().join(name).display());
    let shared = || {
        vec![
            ("DATABASE_URL", url.clone()),
            ("JUSTSTORAGE_HOT_URL", tier("hot")),
            ("JUSTSTORAGE_COLD_URL", tier("cold")),
        ]
    };
    let options = |settings| Options { cluster: Some(cluster.clone()), settings, ..Options::terse() };
    let mut one = Server::start_with(Database::Postgres, options(shared())).await;
    one.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let mut known = Vec::new();
    for offset in ["+5m", "-5m"] {
        clock.set(offset);
        let settings = shared().into_iter().chain(clock.settings()).collect();
        let mut other = Server::start_with(Database::Postgres, options(settings)).await;
        for (server, beside, name) in [(&one, &other, "one"), (&other, &one, "other")] {
            let native = server.native();
            // An open pack, and a large upload half way.
            let small = Content::new(known.len() as u64, 3000);
            native.put(BUCKET, &format!("{offset}/{name}/small"), small.bytes()).await;
            known.push((format!("{offset}/{name}/small"), small));
            let large = Content::new(1000 + known.len() as u64, 4 << 20);
            let upload = Slow::begin(&native, &format!("{offset}/{name}/large"), large).await;
            wait::until("the upload is announced", PATIENCE, async || {
                (cluster.sql(&url, "SELECT count(*) FROM objects WHERE state = 1") == "1").then_some(())
            })
            .await;
            let collected: Value = serde_json::from_str(&beside.run_ok(&["gc", "--json"])).unwrap();
            assert_eq!(collected["taken_over"], 0, "at {offset} a living writer was taken for dead");
            assert_eq!(upload.end().await.status(), 201, "{name} at {offset}");
            known.push((format!("{offset}/{name}/large"), large));
            let second = Content::new(2000 + known.len() as u64, 3000);
            native.put(BUCKET, &format!("{offset}/{name}/second"), second.bytes()).await;
            known.push((format!("{offset}/{name}/second"), second));
        }
        for (key, content) in &known {
            assert_same(key, &other.native().read(BUCKET, key).await, &content.bytes());
            assert_same(key, &one.native().read(BUCKET, key).await, &content.bytes());
        }
        other.stop().await;
    }

    // A server that said nothing for 15 seconds is taken for dead, and what was under way there is refused as what may be
    // tried again.
    let native = one.native();
    let upload = Slow::begin(&native, "late", Content::new(9, 4 << 20)).await;
    wait::until("the upload is announced", PATIENCE, async || {
        (cluster.sql(&url, "SELECT count(*) FROM objects WHERE state = 1") == "1").then_some(())
    })
    .await;
    cluster.sql(&url, "UPDATE writers SET expires_at = 0");
    let other = Server::prepare(Database::Postgres, options(shared()));
    let collected: Value = serde_json::from_str(&other.run_ok(&["gc", "--json"])).unwrap();
    assert_ne!(collected["taken_over"], 0, "it was not taken for dead");
    let late = upload.end().await;
    assert!(late.headers().contains_key("retry-after"), "{}", late.status());
    let (status, code, _) = problem(late).await;
    assert_eq!((status, code.as_str()), (503, "unavailable"));
    wait::until("writes are acknowledged again", PATIENCE, async || {
        let answer = native.post(BUCKET, "again").body("again").send().await.unwrap();
        let status = answer.status().as_u16();
        assert!([201, 503].contains(&status), "{status}");
        (status == 201).then_some(())
    })
    .await;
    one.assert_valid();
    s3::empty(&one.s3(), BUCKET).await;
    one.assert_nothing_left().await;
    assert_eq!(juststorage_compat_tests::disk::segments(&tiers.path().join("hot")), [], "files are left");
    println!(
        "A8 clocks: two servers 5 minutes apart, both ways: living writers taken for dead: 0, answers of 500: 0, objects \
         lost: 0 of {}",
        known.len()
    );
}
