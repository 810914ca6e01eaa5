//! Keys, limits and quotas over the whole program: on both databases, and on two replicas of one PostgreSQL,
//! where what one replica is told the other one heeds within a second.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use juststorage_compat_tests::native::{Native, problem};
use juststorage_compat_tests::raw::Request;
use juststorage_compat_tests::{Content, Database, Options, Server, on_both_databases, s3, wait};
use reqwest::{Method, StatusCode};
use serde_json::Value;

on_both_databases!(a_quota_is_never_overshot, limits_change_under_way, one_request_at_a_time);

/// Within which a change must be felt everywhere.
const FELT: Duration = Duration::from_secs(1);

/// Long enough for anything on a busy machine.
const LONG: Duration = Duration::from_secs(60);

const BUCKET: &str = "bucket";

/// Servers over one store: two replicas on PostgreSQL, one server on SQLite.
async fn replicas(database: Database, settings: &[(&'static str, String)]) -> Vec<Server> {
    let options = || Options { settings: settings.to_vec(), ..Options::default() };
    let one = Server::start_with(database, options()).await;
    let Some(url) = one.database_url().map(str::to_owned) else { return vec![one] };
    let tier = |name| format!("file://{}", one.data().join(name).display());
    let mut beside = options();
    beside.settings.extend([
        ("DATABASE_URL", url),
        ("JUSTSTORAGE_HOT_URL", tier("hot")),
        ("JUSTSTORAGE_COLD_URL", tier("cold")),
    ]);
    let other = Server::start_with(database, beside).await;
    vec![one, other]
}

fn created(server: &Server, arguments: &[&str]) -> Value {
    let output = server.run_ok(&[&["key", "create", "--json"], arguments].concat());
    serde_json::from_str(&output).unwrap()
}

fn text<'a>(key: &'a Value, field: &str) -> &'a str {
    key[field].as_str().unwrap()
}

/// A hundred uploads at once through every front of every replica, against room for ten: ten are made.
async fn a_quota_is_never_overshot(database: Database) {
    const ROOM: usize = 10;
    for size in [4096, (1 << 20) + 5000] {
        let servers = replicas(database, &[("JUSTSTORAGE_QUOTA_BYTES", (ROOM * size).to_string())]).await;
        let fronts: Vec<_> = servers.iter().map(|server| (server.s3(), server.native())).collect();
        fronts[0].0.create_bucket().bucket(BUCKET).send().await.unwrap();
        let uploads = (0..100_u64).map(|number| {
            let at = usize::try_from(number).unwrap();
            let (s3, native) = fronts[at / 2 % fronts.len()].clone();
            let (key, bytes) = (format!("k{number}"), Content::new(number, size).bytes());
            tokio::spawn(async move {
                if number % 2 == 0 {
                    let put = s3.put_object().bucket(BUCKET).key(key).body(bytes.into()).send().await;
                    let refused = put.map(drop).map_err(|error| s3::refusal::<(), _>("put", Err(error)));
                    return refused.map_err(|refusal| assert_eq!(refusal, (403, "QuotaExceeded".into())));
                }
                // Half of them do not declare their length.
                let put = native.post(BUCKET, &key);
                let put = if number % 4 == 1 {
                    put.body(bytes)
                } else {
                    let pieces: Vec<_> = bytes.chunks(1 << 16).map(Bytes::copy_from_slice).collect();
                    let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
                    put.body(reqwest::Body::wrap_stream(pieces))
                };
                let answer = put.send().await.unwrap();
                if answer.status() == StatusCode::CREATED {
                    return Ok(());
                }
                assert!(answer.headers().contains_key("retry-after"));
                let (status, code, text) = problem(answer).await;
                assert_eq!((status, code.as_str()), (429, "quota_exceeded"), "{text}");
                Err(())
            })
        });
        let made = join_all(uploads).await.into_iter().filter(|upload| *upload.as_ref().unwrap() == Ok(()));
        assert_eq!(made.count(), ROOM);
        let keys = s3::keys(&fronts[0].0, BUCKET, "").await;
        assert_eq!(keys.len(), ROOM);
        let usage = fronts[0].1.request(Method::GET, "/v1/usage").send().await.unwrap();
        let usage: Value = usage.json().await.unwrap();
        assert_eq!(usage["total"]["logical_bytes"], ROOM * size, "{usage}");
        let mut counted = 0.0;
        for (_, native) in &fronts {
            counted += native.metric("activestorage_limited_total").await;
        }
        assert!((counted - 90.0).abs() < 0.5, "{counted} were counted");

        // What is deleted makes room, on the other replica too.
        let (s3, native) = &fronts[fronts.len() - 1];
        assert_eq!(native.delete(BUCKET, &keys[0]).await, StatusCode::NO_CONTENT);
        s3::put(s3, BUCKET, "again", Content::new(1000, size).bytes()).await;
        servers[0].assert_valid();
    }
}

/// What cannot be stored anyway is refused before the body is asked for.
#[tokio::test]
async fn a_quota_is_looked_at_before_the_body_is_asked_for() {
    let settings = vec![("JUSTSTORAGE_QUOTA_BYTES", "1000".to_owned())];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::default() }).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let ask = async |length: u64| {
        let put = Request::new("PUT", &format!("/{BUCKET}/k")).header("expect", "100-continue");
        let put = put.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").signed(server.s3_url());
        let mut connection = put.declared_length(length).send_only(server.s3_url()).await;
        let mut begin = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut connection, &mut begin).await.unwrap();
        String::from_utf8_lossy(&begin).into_owned()
    };
    assert_eq!(ask(1001).await, "HTTP/1.1 403");
    assert_eq!(ask(1000).await, "HTTP/1.1 100");
}

/// What a tenant is told: the status, the code, and whether it is also told when to try again.
type Told = (u16, String, bool);

/// What the tenant `default` is told on both fronts.
async fn told(s3: &aws_sdk_s3::Client, native: &Native) -> [Told; 2] {
    let answer = native.get(BUCKET, "k").await;
    let retry = answer.headers().contains_key("retry-after");
    let of_native = if answer.status() == StatusCode::OK {
        (200, String::new(), retry)
    } else {
        let (status, code, _) = problem(answer).await;
        (status, code, retry)
    };
    let of_s3 = match s3.get_object().bucket(BUCKET).key("k").send().await {
        Ok(_) => (200, String::new(), false),
        Err(error) => {
            let retry =
                error.raw_response().is_some_and(|answer| answer.headers().contains_key("retry-after"));
            let (status, code) = s3::refusal::<(), _>("get", Err(error));
            (status, code, retry)
        }
    };
    [of_native, of_s3]
}

fn served() -> [Told; 2] {
    [(200, String::new(), false), (200, String::new(), false)]
}

fn limited() -> [Told; 2] {
    [(429, "rate_limited".to_owned(), true), (503, "SlowDown".to_owned(), true)]
}

/// A rate is set and taken away again while the servers run; both fronts say so, each in its own way. Another
/// tenant feels nothing of it.
async fn limits_change_under_way(database: Database) {
    let servers = replicas(database, &[]).await;
    servers[0].s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    s3::put(&servers[0].s3(), BUCKET, "k", Bytes::from_static(b"bytes")).await;
    for server in &servers {
        assert_eq!(told(&server.s3(), &server.native()).await, served());
    }
    servers[0].run_ok(&["limits", "set", "default", "--requests-per-second", "1"]);
    let set = Instant::now();
    for server in &servers {
        let (s3, native) = (server.s3(), server.native());
        // One of the two may pass, once a second, but not both.
        let last = last_opened(set, async || told(&s3, &native).await == served()).await;
        assert!(last < FELT, "felt after {last:?}");
        wait::until("both fronts say so", LONG, async || {
            (told(&s3, &native).await == limited()).then_some(())
        })
        .await;
        assert!(native.metric("activestorage_limited_total").await > 0.0);
        for _ in 0..5 {
            let other = Native::of(server.native_url(), "other").get(BUCKET, "k").await;
            assert_eq!(problem(other).await.0, 404, "another tenant is not limited");
        }
    }
    servers[0].run_ok(&["limits", "set", "default", "--requests-per-second", "default"]);
    for server in &servers {
        let (s3, native) = (server.s3(), server.native());
        let free = async || (told(&s3, &native).await == served()).then_some(());
        wait::until("the limit is gone", LONG, free).await;
    }
    let listed: Value = serde_json::from_str(&servers[0].run_ok(&["limits", "list", "--json"])).unwrap();
    assert_eq!(listed, serde_json::json!([]));
}

/// A request that has not ended holds its place; its end, whichever, gives it back.
async fn one_request_at_a_time(database: Database) {
    let server = Server::start(database).await;
    let (s3, native) = (server.s3(), server.native());
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    s3::put(&s3, BUCKET, "k", Bytes::from_static(b"bytes")).await;
    server.run_ok(&["limits", "set", "default", "--concurrent-requests", "1"]);
    let slow = Request::new("PUT", &native.path(BUCKET, "slow")).header("x-tenant", "default");
    let slow = slow.header("expect", "100-continue").body("x").declared_length(10);
    let mut holding = slow.send_only(server.native_url()).await;
    // Before another request may take the place: the body is asked for once this one has it.
    let mut told_to_go_on = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut holding, &mut told_to_go_on).await.unwrap();
    assert_eq!(&told_to_go_on, b"HTTP/1.1 100");
    wait::until("the place is taken", LONG, async || (told(&s3, &native).await == limited()).then_some(()))
        .await;
    tokio::io::AsyncWriteExt::shutdown(&mut holding).await.unwrap();
    drop(holding);
    wait::until("the place is free", LONG, async || (told(&s3, &native).await == served()).then_some(()))
        .await;
}

/// Asks until the key opens nothing any more. Returns how long after `ended` the last request began that it
/// still opened something for.
async fn last_opened(ended: Instant, mut opens: impl AsyncFnMut() -> bool) -> Duration {
    let mut last = Duration::ZERO;
    loop {
        let begun = ended.elapsed();
        if !opens().await {
            return last;
        }
        last = begun;
        assert!(begun < LONG, "it still opens");
    }
}

/// Keys of every kind, known to both replicas, are revoked by a command beside one of them, or expire.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_opens_nothing_on_any_replica() {
    let servers = replicas(Database::Postgres, &[("JUSTSTORAGE_AUTH", "required".to_owned())]).await;
    let http = reqwest::Client::new();
    let native = async |server: &Server, token: &str| {
        let usage = http.get(format!("{}/v1/usage", server.native_url())).bearer_auth(token);
        usage.send().await.unwrap().status() == StatusCode::OK
    };
    for expires in [false, true] {
        let more: &[&str] = if expires { &["--expires", "3s"] } else { &[] };
        let make = |kind| {
            let key = created(&servers[0], &[&["--kind", kind, "--tenant", "acme"], more].concat());
            (key, Instant::now())
        };
        let (api, api_made) = make("api");
        let (s3, s3_made) = make("s3");
        let token = text(&api, "token");
        let clients: Vec<_> = servers
            .iter()
            .map(|server| s3::client(server.s3_url(), text(&s3, "access_key"), text(&s3, "secret_key")))
            .collect();
        let signed = async |server: &Server| {
            let body = serde_json::json!({ "method": "PUT", "namespace": "n", "tenant": "acme", "key": "k" });
            let asked =
                http.post(format!("{}/v1/presign", server.native_url())).bearer_auth(token).json(&body);
            let answer: Value = asked.send().await.unwrap().json().await.unwrap();
            text(&answer, "url").to_owned()
        };
        let urls = [signed(&servers[0]).await, signed(&servers[1]).await];
        let put =
            async |url: &str| http.put(url).body("x").send().await.unwrap().status() == StatusCode::CREATED;
        for at in 0..2 {
            // Each replica knows the keys by now, and has just looked them up.
            assert!(native(&servers[at], token).await);
            assert!(clients[at].list_buckets().send().await.is_ok());
            assert!(put(&urls[at]).await);
        }
        let ended = |key: &Value, made: Instant| {
            if expires {
                // Three seconds behind a moment before it was printed.
                return made + Duration::from_secs(3);
            }
            servers[0].run_ok(&["key", "revoke", text(key, "id")]);
            Instant::now()
        };
        let lists = async |at: usize| clients[at].list_buckets().send().await.is_ok();
        let api_ended = ended(&api, api_made);
        let api_last = tokio::join!(
            last_opened(api_ended, async || native(&servers[0], token).await),
            last_opened(api_ended, async || native(&servers[1], token).await),
            last_opened(api_ended, async || put(&urls[0]).await),
            last_opened(api_ended, async || put(&urls[1]).await),
        );
        let s3_ended = ended(&s3, s3_made);
        let s3_last = tokio::join!(
            last_opened(s3_ended, async || lists(0).await),
            last_opened(s3_ended, async || lists(1).await),
        );
        println!("expires: {expires}; opened last, after its end: {api_last:?}, {s3_last:?}");
        for last in [api_last.0, api_last.1, api_last.2, api_last.3, s3_last.0, s3_last.1] {
            assert!(last < FELT, "{last:?}");
        }
    }
}
