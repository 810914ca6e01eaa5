//! Bodies that are sent before their sender is authenticated.

use std::time::Duration;

use futures::future::join_all;
use juststorage_compat_tests::raw::{Answer, Request};
use juststorage_compat_tests::{Database, Options, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::neighbour::{MEMORY_MAX, Neighbour, PUTS, peak, watch};

const BUCKET: &str = "bucket";
const LONG: Duration = Duration::from_secs(60);

/// As many as killed a process of 1 GiB.
const ATTACKERS: usize = 41;

async fn text(connection: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let _ = tokio::time::timeout(LONG, connection.read_to_end(&mut text)).await.expect("no answer");
    String::from_utf8_lossy(&text).into_owned()
}

/// C12: forms on an operation that takes none, from any client: `POST /bucket?delete` with 20 MiB of fields.
#[tokio::test]
async fn forms_take_no_memory() {
    let server = Server::start_with(Database::Sqlite, Options::terse()).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let mut neighbour = Neighbour::of(&server);
    let quiet = neighbour.puts(PUTS).await;
    watch(&server);

    let mut form = Vec::new();
    for field in 0..20 {
        form.extend_from_slice(
            format!("--XX\r\nContent-Disposition: form-data; name=\"f{field}\"\r\n\r\n").as_bytes(),
        );
        form.extend(std::iter::repeat_n(b'a', 1000 << 10));
        form.extend_from_slice(b"\r\n");
    }
    let request = Request::new("POST", &format!("/{BUCKET}?delete"))
        .header("content-type", "multipart/form-data; boundary=XX")
        .declared_length(form.len() as u64 + 100);
    let attack = (0..ATTACKERS).map(|_| async {
        let (mut answer, mut body) = request.send_only(server.s3_url()).await.into_split();
        let sends = async {
            for piece in form.chunks(64 << 10) {
                if body.write_all(piece).await.is_err() {
                    break;
                }
            }
        };
        let ((), answer) = tokio::join!(sends, text(&mut answer));
        assert!(answer.starts_with("HTTP/1.1 501") || answer.is_empty(), "{answer}");
        !answer.is_empty()
    });
    let (answered, beside) = tokio::join!(join_all(attack), neighbour.puts(PUTS));
    let answered = answered.into_iter().filter(|answered| *answered).count();
    let memory = peak(&server);
    assert!(memory < MEMORY_MAX, "{} MiB", memory >> 20);
    assert!(answered > 0, "no client was told why");
    neighbour.read_back().await;
    println!(
        "C12 forms: {ATTACKERS} of 20 MiB refused; another tenant's put p50 {:.1} -> {:.1} ms, p99 {:.1} -> {:.1} ms; \
         memory {} MiB",
        quiet.p50_ms(),
        beside.p50_ms(),
        quiet.p99_ms(),
        beside.p99_ms(),
        memory >> 20
    );
}

/// C12: a form on any other operation must not become s3s's own `PostObject`, past all rules of the gateway.
#[tokio::test]
async fn a_form_makes_an_object_by_the_gateways_rules_only() {
    let server = Server::start(Database::Sqlite).await;
    let s3 = server.s3();
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let upload = juststorage_compat_tests::s3::begin(&s3, BUCKET, "key").await;
    let form = "--XX\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nstolen\r\n--XX\r\nContent-Disposition: \
                form-data; name=\"file\"; filename=\"f\"\r\n\r\nbytes\r\n--XX--\r\n";
    for target in [
        format!("/{BUCKET}?delete"),
        format!("/{BUCKET}?delete="),
        format!("/{BUCKET}/key?uploads"),
        format!("/{BUCKET}/key?uploadId={upload}"),
    ] {
        for kind in ["multipart/form-data; boundary=XX", "Multipart/Form-Data;boundary=\"XX\""] {
            let request = Request::new("POST", &target).header("content-type", kind).body(form);
            for request in [request.clone(), request.signed(server.s3_url())] {
                let answer = request.send(server.s3_url()).await;
                assert_eq!(answer.status, 501, "{target} {kind}: {}", answer.text());
                assert!(answer.text().contains("PostObject"), "{}", answer.text());
            }
        }
    }
    let listed = s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(listed.contents().len(), 0);
    println!("C12 s3s's PostObject: out of reach");
}

/// The answer to a request of which only the head is sent: a server that reads its body first would wait for ever.
async fn answer_to_the_head(request: Request, endpoint: &str) -> Answer {
    let answer = async {
        let mut connection: TcpStream = request.send_only(endpoint).await;
        // Not to its end: a server that refuses reads on for a while, so that the client sees why.
        let mut text = String::new();
        while !text.ends_with("</Error>") && !text.trim_end().ends_with('}') {
            let mut bytes = [0; 4096];
            let read = connection.read(&mut bytes).await.unwrap();
            assert!(read > 0, "cut off: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, headers: Vec::new(), body: text.into_bytes() }
    };
    tokio::time::timeout(LONG, answer).await.expect("the body is waited for")
}

/// C12: the head alone decides who asks and how long the body may be; not a byte of it is needed.
#[tokio::test]
async fn the_head_is_judged_before_any_body() {
    let settings = vec![("JUSTSTORAGE_AUTH", "required".to_owned())];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::default() }).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let json = |method: &str, path: &str| {
        Request::new(method, path)
            .header("content-type", "application/json")
            .header("x-tenant", "default")
            .declared_length(60_000)
            .body("{")
    };
    let id = "0192d4f0-0000-7000-8000-000000000000";
    let mut refused = 0;
    for (method, path) in [
        ("POST", "/v1/objects/copy".to_owned()),
        ("POST", "/v1/presign".to_owned()),
        ("POST", "/v1/uploads".to_owned()),
        ("POST", format!("/v1/uploads/{id}/complete")),
        ("PATCH", format!("/v1/objects/{id}")),
        ("POST", "/v1/objects".to_owned()),
        ("PUT", "/v1/objects/by-key/n/default/k".to_owned()),
    ] {
        for request in [json(method, &path), json(method, &path).header("authorization", "Bearer wrong")] {
            let request = request.header("x-namespace", "n");
            let answer = answer_to_the_head(request, server.native_url()).await;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
            refused += 1;
        }
    }
    let s3 = server.s3_url();
    for target in ["?delete", "?tagging", "?cors", "?lifecycle", "?versioning", "/key?tagging"] {
        let method = if target == "?delete" { "POST" } else { "PUT" };
        let request = Request::new(method, &format!("/{BUCKET}{target}")).declared_length(60_000).body("<");
        let answer = answer_to_the_head(request.clone(), s3).await;
        assert_eq!(answer.status, 403, "{target}: {}", answer.text());
        let long = request.declared_length(9 << 20).header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
        let answer = answer_to_the_head(long.signed(s3), s3).await;
        let code = answer.element("Code");
        assert_eq!((answer.status, code.as_deref()), (400, Some("MaxMessageLengthExceeded")), "{target}");
        refused += 2;
    }
    println!("C12 heads: {refused} of {refused} requests refused without a byte of their bodies");
}
