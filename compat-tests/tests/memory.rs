//! Bodies stream: whatever their framing, a request takes a bounded piece of memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use juststorage_compat_tests::raw::Request;
use juststorage_compat_tests::{Database, Options, Server, s3};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What each request sends, in bytes: many times what it may take.
const SENT: u64 = 1 << 30;

/// The most parts that an upload may have.
const PARTS: i32 = 10_000;

/// What a request may take beyond the idle server, in bytes.
const TAKEN_MAX: u64 = 64 << 20;

/// A figure of the process, in bytes.
fn memory(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

/// What the process has while it is idle, in bytes.
struct Idle {
    whole: u64,
    /// Pages of files: of the program itself, for one. They are mapped when they are first used, and no request takes them.
    files: u64,
}

/// What is measured anew from here on: how much the process has beside its idle memory, at most.
fn watch(server: &Server) -> Idle {
    let idle = Idle { whole: memory(server, "VmRSS:"), files: memory(server, "RssFile:") };
    std::fs::write(format!("/proc/{}/clear_refs", server.process_id()), "5").unwrap();
    idle
}

/// Panics if the process took too much since it was idle.
fn assert_little(server: &Server, what: &str, idle: &Idle) {
    let files = memory(server, "RssFile:").saturating_sub(idle.files);
    let taken = memory(server, "VmHWM:").saturating_sub(idle.whole + files);
    eprintln!("{what} took {} KiB", taken >> 10);
    assert!(taken < TAKEN_MAX, "{what} took {} MiB", taken >> 20);
}

/// Sends `head`, then `SENT` bytes, then `tail`, and panics unless that was accepted in little memory.
async fn stream(server: &Server, what: &str, head: Request, tail: &[u8]) {
    let idle = watch(server);
    let mut connection = head.send_only(server.s3_url()).await;
    let chunk = vec![0x5a_u8; 1 << 20];
    for _ in 0..SENT >> 20 {
        connection.write_all(&chunk).await.expect("the server reads on");
    }
    connection.write_all(tail).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{what}: {answer}");
    assert_little(server, what, &idle);
}

fn signed_form(bucket: &str) -> String {
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = s3::ROOT_KEY;
    let credential = format!("{key}/20260101/us-east-1/s3/aws4_request");
    let policy = serde_json::json!({ "expiration": "2999-01-01T00:00:00Z", "conditions": [
        { "bucket": bucket }, ["starts-with", "$key", ""], { "x-amz-algorithm": "AWS4-HMAC-SHA256" },
        { "x-amz-credential": credential }, { "x-amz-date": "20260101T000000Z" },
    ] });
    let policy = STANDARD.encode(policy.to_string());
    let secret = ["20260101", "us-east-1", "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{key}").into_bytes(), |key, part| mac(&key, part));
    let signature = hex::encode(mac(&secret, &policy));
    let fields = [
        ("key", "form"),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", credential.as_str()),
        ("x-amz-date", "20260101T000000Z"),
        ("policy", policy.as_str()),
        ("x-amz-signature", signature.as_str()),
    ];
    let mut form = String::new();
    for (name, value) in fields {
        let disposition = format!("Content-Disposition: form-data; name=\"{name}\"");
        form.extend(["--XX\r\n", &disposition, "\r\n\r\n", value, "\r\n"]);
    }
    form + "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
}

#[tokio::test]
async fn large_bodies_take_little_memory() {
    let server = Server::start_with(Database::Sqlite, Options::terse()).await;
    let s3 = server.s3();
    s3.create_bucket().bucket("streams").send().await.unwrap();
    // What the first requests allocate for good is no part of the figures.
    s3::put(&s3, "streams", "warm", vec![1_u8; 4 << 20].into()).await;
    s3::get(&s3, "streams", "warm").await;

    let (form, end) = (signed_form("streams"), b"\r\n--XX--\r\n");
    let whole = form.len() as u64 + SENT + end.len() as u64;
    let post = Request::new("POST", "/streams")
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(form)
        .declared_length(whole);
    stream(&server, "a form", post, end).await;

    // The Rust SDK sends the whole body as one chunk.
    let (size, end) = (format!("{SENT:x}\r\n"), b"\r\n0\r\nx-amz-checksum-crc32:");
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &vec![0x5a; 1 << 20]);
    let whole = (1..SENT >> 20).fold(crc, |sum, _| {
        crc_fast::checksum_combine(crc_fast::CrcAlgorithm::Crc32IsoHdlc, sum, crc, 1 << 20)
    });
    let trailer = STANDARD.encode(u32::try_from(whole).unwrap().to_be_bytes());
    let end = [end.as_slice(), trailer.as_bytes(), b"\r\n\r\n"].concat();
    let length = size.len() as u64 + SENT + end.len() as u64;
    let put = Request::new("PUT", "/streams/chunk")
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("x-amz-decoded-content-length", SENT.to_string())
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .header("content-encoding", "aws-chunked")
        .signed(server.s3_url())
        .body(size)
        .declared_length(length);
    stream(&server, "one chunk", put, &end).await;
    for key in ["form", "chunk"] {
        let head = s3.head_object().bucket("streams").key(key).send().await.unwrap();
        assert_eq!(head.content_length(), Some(i64::try_from(SENT).unwrap()), "{key}");
    }
}

/// An upload of `count` parts to `key`, and what a completion names of them. They are copied, for fifty gigabytes
/// would take a while to send; to the completion a part is a part.
async fn copied_parts(s3: &Client, key: &str, count: i32) -> (String, CompletedMultipartUpload) {
    let upload = s3::begin(s3, "parts", key).await;
    let parts = futures::stream::iter(1..=count)
        .map(|number| {
            let copy = s3.upload_part_copy().bucket("parts").key(key).upload_id(&upload);
            let copy = copy.part_number(number).copy_source("parts/source");
            async move {
                let tag = copy.send().await.unwrap().copy_part_result.unwrap().e_tag.unwrap();
                CompletedPart::builder().part_number(number).e_tag(tag).build()
            }
        })
        .buffered(16)
        .collect()
        .await;
    (upload, CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
}

#[tokio::test]
async fn ten_thousand_parts_are_completed_in_little_memory() {
    let server = Server::start_with(Database::Sqlite, Options::terse()).await;
    let s3 = server.s3();
    s3.create_bucket().bucket("parts").send().await.unwrap();
    let size: i64 = 5 << 20;
    s3::put(&s3, "parts", "source", vec![7_u8; 5 << 20].into()).await;
    let complete = async |key, upload, list| {
        let complete = s3.complete_multipart_upload().bucket("parts").key(key).upload_id(upload);
        complete.multipart_upload(list).send().await.unwrap();
    };
    // The database's page cache fills once, to its bound: it is no part of the figure.
    let (upload, list) = copied_parts(&s3, "warm", PARTS / 2).await;
    complete("warm", upload, list).await;

    let (upload, list) = copied_parts(&s3, "key", PARTS).await;
    let idle = watch(&server);
    complete("key", upload, list).await;
    assert_little(&server, "a completion", &idle);
    let head = s3.head_object().bucket("parts").key("key").part_number(PARTS).send().await.unwrap();
    assert_eq!((head.content_length(), head.parts_count()), (Some(size), Some(PARTS)));
    let head = s3.head_object().bucket("parts").key("key").send().await.unwrap();
    assert_eq!(head.content_length(), Some(size * i64::from(PARTS)));
}
