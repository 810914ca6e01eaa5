//! Bodies and streams that stall.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use juststorage_compat_tests::native::Native;
use juststorage_compat_tests::raw::Request;
use juststorage_compat_tests::{Content, Database, Options, Server, wait};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::neighbour::{MEMORY_MAX, Neighbour, PUTS, descriptors, peak, watch};

const BUCKET: &str = "bucket";
const LONG: Duration = Duration::from_secs(90);

/// C13: whatever reads a body, a client that stops in the middle of it is cut off and told so.
#[tokio::test]
async fn every_body_that_stalls_is_cut_off() {
    let settings = vec![("JUSTSTORAGE_STALL_TIMEOUT", "1s".to_owned())];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::default() }).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let (s3, native) = (server.s3_url(), server.native_url());
    let xml = |target: &str, body: &str| {
        Request::new("POST", &format!("/{BUCKET}{target}"))
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
            .signed(s3)
            .declared_length(5000)
            .body(body)
    };
    let form = "--XX\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk";
    let json = |path: &str| {
        Request::new("POST", path)
            .header("content-type", "application/json")
            .header("x-tenant", "default")
            .header("x-namespace", "n")
            .declared_length(5000)
            .body("{")
    };
    let signed_chunks = Request::new("PUT", &format!("/{BUCKET}/chunks"))
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("x-amz-decoded-content-length", "65536")
        .header("content-encoding", "aws-chunked")
        .signed(s3)
        .declared_length(66_000)
        .body(format!("10000;chunk-signature={}\r\nabc", "0".repeat(64)));
    let stalled = [
        ("a list of keys", xml("?delete", "<Delete>"), s3, 400),
        (
            "a form",
            Request::new("POST", &format!("/{BUCKET}"))
                .header("content-type", "multipart/form-data; boundary=XX")
                .declared_length(5000)
                .body(form),
            s3,
            400,
        ),
        (
            "an upload",
            Request::new("PUT", &format!("/{BUCKET}/key"))
                .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
                .signed(s3)
                .declared_length(5000)
                .body("a"),
            s3,
            400,
        ),
        ("signed chunks", signed_chunks, s3, 400),
        ("a copy's JSON", json("/v1/objects/copy"), native, 408),
        ("an upload's JSON", json("/v1/uploads"), native, 408),
        ("a native upload", json("/v1/objects"), native, 408),
    ];
    let count = stalled.len();
    let answers = stalled.into_iter().map(|(what, request, endpoint, status)| async move {
        let mut connection = request.send_only(endpoint).await;
        let mut text = Vec::new();
        let _ = tokio::time::timeout(LONG, connection.read_to_end(&mut text)).await.expect(what);
        let text = String::from_utf8_lossy(&text).into_owned();
        let code = if status == 400 { "RequestTimeout" } else { "body_stalled" };
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")) && text.contains(code), "{what}: {text}");
    });
    join_all(answers).await;
    let cut = server.native().metric("activestorage_bodies_cut_total").await;
    assert!(cut >= 7.0, "{cut}");
    println!("C13 bodies: {count} of {count} that stalled were cut off");
}

/// HTTP/2 connections whose streams have no window: each asks for `target` as often as it may.
async fn without_window(endpoint: &str, target: &str, connections: usize, streams: usize) -> Vec<Stalled> {
    let authority = endpoint.strip_prefix("http://").unwrap();
    let mut all = Vec::new();
    for _ in 0..connections {
        let socket = TcpStream::connect(authority).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(0).initial_max_send_streams(streams);
        let (mut send, connection) = builder.handshake::<_, Bytes>(socket).await.unwrap();
        let driver = tokio::spawn(async move { drop(connection.await) });
        let keeps_open = send.clone();
        let mut answers = Vec::new();
        while answers.len() < streams {
            // The server says how many it takes; the next one would wait for ever.
            let Ok(ready) = tokio::time::timeout(Duration::from_millis(500), send.ready()).await else {
                break;
            };
            send = ready.unwrap();
            let request = http::Request::get(format!("{endpoint}{target}")).body(()).unwrap();
            answers.push(send.send_request(request, true).unwrap().0);
        }
        all.push(Stalled { answers, keeps_open, driver });
    }
    all
}

struct Stalled {
    answers: Vec<h2::client::ResponseFuture>,
    #[allow(dead_code)] // held, never used
    keeps_open: h2::client::SendRequest<Bytes>,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// C13: six connections of one URL, each with as many streams as the server allows, and a window of 0.
#[tokio::test]
async fn streams_without_window_exhaust_nothing() {
    let settings = vec![("JUSTSTORAGE_STALL_TIMEOUT", "4s".to_owned())];
    let options = Options { settings, descriptors: Some(512), ..Options::terse() };
    let server = Server::start_with(Database::Sqlite, options).await;
    let owner = Native::of(server.native_url(), "loud");
    owner.put("n", "large", Content::new(1, 3 << 20).bytes()).await;
    let mut neighbour = Neighbour::of(&server);
    let quiet = neighbour.puts(PUTS).await;
    watch(&server);

    let target = owner.path("n", "large");
    let stalled = without_window(server.native_url(), &target, 6, 150).await;
    let asked: usize = stalled.iter().map(|connection| connection.answers.len()).sum();
    wait::until("streams are open", LONG, async || {
        (neighbour.metric("activestorage_pool_held").await >= 32.0).then_some(())
    })
    .await;
    let beside = neighbour.puts(PUTS).await;
    neighbour.read_back().await;
    neighbour.probe().await;
    let open = descriptors(&server);
    assert!(open < 400, "{open} of 512 descriptors");
    // Another tenant's own large object is read to its end.
    let other = Native::of(server.native_url(), "other");
    let large = Content::new(2, 3 << 20).bytes();
    other.put("n", "large", large.clone()).await;
    let read = tokio::time::timeout(LONG, other.read("n", "large")).await.expect("another's read hangs");
    assert!(read == large);

    wait::until("every stream is cut off", LONG, async || {
        (neighbour.metric("activestorage_pool_held").await == 0.0).then_some(())
    })
    .await;
    let cut = neighbour.metric("activestorage_answers_cut_total").await;
    assert!(cut >= 32.0, "{cut} answers cut off");
    let memory = peak(&server);
    assert!(memory < MEMORY_MAX, "{} MiB", memory >> 20);
    drop(stalled);
    println!(
        "C13 windows of 0: {asked} streams on 6 connections, {cut} cut off, {open} of 512 descriptors open; another \
         tenant's put p50 {:.1} -> {:.1} ms, p99 {:.1} -> {:.1} ms; memory {} MiB",
        quiet.p50_ms(),
        beside.p50_ms(),
        quiet.p99_ms(),
        beside.p99_ms(),
        memory >> 20
    );
}

/// C13: more connections than there are descriptors for. Idle ones make room, and probes always get in.
#[tokio::test]
async fn idle_connections_make_room() {
    const CONNECTIONS: usize = 600;
    let options = Options { descriptors: Some(512), ..Options::terse() };
    let server = Server::start_with(Database::Sqlite, options).await;
    let mut neighbour = Neighbour::of(&server);
    neighbour.puts(1).await;
    let mut held = Vec::new();
    for endpoint in [server.s3_url(), server.native_url()] {
        let authority = endpoint.strip_prefix("http://").unwrap();
        for _ in 0..CONNECTIONS / 2 {
            held.push(TcpStream::connect(authority).await.unwrap());
        }
    }
    let beside = neighbour.puts(20).await;
    neighbour.probe().await;
    let open = descriptors(&server);
    assert!(open < 512, "{open}");
    let displaced = neighbour.metric("activestorage_connections_displaced_total").await;
    assert!(displaced >= 300.0, "{displaced}");
    println!(
        "C13 connections: {CONNECTIONS} idle ones, {displaced} made room, {open} of 512 descriptors open; another \
         tenant's put p99 {:.1} ms",
        beside.p99_ms()
    );
}
