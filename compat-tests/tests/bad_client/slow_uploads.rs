//! Uploads of a byte now and then, and honest ones over slow lines.

use std::time::Duration;

use futures::future::join_all;
use juststorage_compat_tests::raw::Request;
use juststorage_compat_tests::{Database, Options, Server, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::neighbour::{MEMORY_MAX, Neighbour, PUTS, peak, watch};

const BUCKET: &str = "bucket";
const LONG: Duration = Duration::from_secs(90);

/// More than would have emptied the old pool of 32 MiB by what they announce.
const ATTACKERS: usize = 40;

async fn start(stall: &str) -> Server {
    let settings = vec![("JUSTSTORAGE_STALL_TIMEOUT", stall.to_owned())];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    server
}

/// One signed request for all: its holder can send it as often as it likes, with a body that never ends.
fn upload(server: &Server, bytes: u64) -> Request {
    Request::new("PUT", &format!("/{BUCKET}/key"))
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        .signed(server.s3_url())
        .declared_length(bytes)
        .body("a")
}

/// Sends a byte now and then for as long as the server takes it. Returns what the server answers.
fn trickle(connection: TcpStream, every: Duration) -> OwnedReadHalf {
    let (answer, mut body) = connection.into_split();
    tokio::spawn(async move {
        while body.write_all(b"a").await.is_ok() {
            tokio::time::sleep(every).await;
        }
    });
    answer
}

async fn text(mut answer: OwnedReadHalf) -> String {
    let mut text = Vec::new();
    // A reset behind the answer leaves what came before it.
    let _ = tokio::time::timeout(LONG, answer.read_to_end(&mut text)).await.expect("it is never cut off");
    String::from_utf8_lossy(&text).into_owned()
}

/// C11: forty connections with one signed request send a byte every half second.
#[tokio::test]
async fn a_byte_now_and_then_stops_nobody() {
    let server = start("6s").await;
    let mut neighbour = Neighbour::of(&server);
    let quiet = neighbour.puts(PUTS).await;
    watch(&server);

    let request = upload(&server, 1 << 20);
    let connections = join_all((0..ATTACKERS).map(|_| request.send_only(server.s3_url()))).await;
    let answers: Vec<_> = connections.into_iter().map(|c| trickle(c, Duration::from_millis(500))).collect();
    wait::until("all of them have a body under way", LONG, async || {
        (neighbour.metric("activestorage_pool_held").await > 0.0).then_some(())
    })
    .await;
    let beside = neighbour.puts(PUTS).await;
    neighbour.probe().await;
    neighbour.read_back().await;

    for answer in join_all(answers.into_iter().map(text)).await {
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("RequestTimeout"), "{answer:?}");
    }
    let (cut, memory) = (neighbour.metric("activestorage_bodies_cut_total").await, peak(&server));
    assert!(cut >= 40.0, "{cut} bodies cut off");
    assert!(memory < MEMORY_MAX, "{} MiB", memory >> 20);
    wait::until("all memory is given back", LONG, async || {
        (neighbour.metric("activestorage_pool_held").await == 0.0).then_some(())
    })
    .await;
    println!(
        "C11 a byte now and then: {ATTACKERS} uploads cut off; another tenant's put p50 {:.1} -> {:.1} ms, p99 {:.1} \
         -> {:.1} ms; memory {} MiB",
        quiet.p50_ms(),
        beside.p50_ms(),
        quiet.p99_ms(),
        beside.p99_ms(),
        memory >> 20
    );
}

/// C11: sixty-four honest clients at 64 KiB/s are served, and delay no other client.
#[tokio::test]
async fn slow_lines_are_honest() {
    const CLIENTS: usize = 64;
    const BYTES: usize = 320 << 10;
    let server = start("3s").await;
    let mut neighbour = Neighbour::of(&server);
    let quiet = neighbour.puts(PUTS).await;
    watch(&server);

    let request = upload(&server, BYTES as u64);
    let sends = (0..CLIENTS).map(|_| async {
        let mut connection = request.send_only(server.s3_url()).await;
        let rest = vec![b'a'; BYTES - 1];
        // 8 KiB every eighth of a second.
        for piece in rest.chunks(8 << 10) {
            tokio::time::sleep(Duration::from_millis(125)).await;
            connection.write_all(piece).await.expect("it is not cut off");
        }
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
    let (_, beside) = tokio::join!(join_all(sends), neighbour.puts(PUTS));
    let memory = peak(&server);
    assert!(memory < MEMORY_MAX, "{} MiB", memory >> 20);
    println!(
        "C11 slow lines: {CLIENTS} of {CLIENTS} uploads at 64 KiB/s stored; another tenant's put p50 {:.1} -> {:.1} ms, \
         p99 {:.1} -> {:.1} ms; memory {} MiB",
        quiet.p50_ms(),
        beside.p50_ms(),
        quiet.p99_ms(),
        beside.p99_ms(),
        memory >> 20
    );
}
