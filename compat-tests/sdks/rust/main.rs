//! The AWS SDK for Rust of August 2025 against the S3 front. Unlike today's it sends a body that comes out of a file as
//! one aws-chunk, however long it is.

use std::fmt::Debug;
use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{
    BucketLocationConstraint, ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart,
    CreateBucketConfiguration, Delete, ObjectIdentifier,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const MIB: usize = 1 << 20;
const BUCKET: &str = "sdk-rust-2025";

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn client(url: &str) -> Client {
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let configuration = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2025_01_17())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url)
        // Any region may be signed for.
        .region(Region::new("eu-west-3"))
        .force_path_style(true)
        // The first answer is what is tested.
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new(id, secret, None, None, "environment"));
    Client::from_conf(configuration.build())
}

/// `length` bytes that only this seed makes.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut made = vec![0; length];
    for bytes in made.chunks_mut(8) {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.copy_from_slice(&state.to_le_bytes()[..bytes.len()]);
    }
    made
}

/// Bodies out of a file are streams: their checksum comes in a trailer. The harness empties the directory.
async fn file(name: &str, body: &[u8]) -> ByteStream {
    std::fs::write(name, body).unwrap();
    ByteStream::from_path(name).await.unwrap()
}

async fn get(client: &Client, key: &str) -> GetObjectOutput {
    // So that the SDK verifies what the server says.
    let get = client.get_object().bucket(BUCKET).key(key).checksum_mode(ChecksumMode::Enabled);
    get.send().await.unwrap()
}

async fn assert_reads(client: &Client, key: &str, body: &[u8]) {
    let read = get(client, key).await.body.collect().await.unwrap().into_bytes();
    assert!(read == body, "{key}: {} bytes come back as {} others", body.len(), read.len());
}

fn assert_refused<T: Debug, E: ProvideErrorMetadata + Debug>(code: &str, answer: Result<T, E>) {
    let refusal = answer.unwrap_err();
    assert_eq!(refusal.code(), Some(code), "{refusal:?}");
}

/// Passes one connection on to the server, and returns what the client sent.
async fn overhear(listener: TcpListener) -> Vec<u8> {
    let url = variable("S3_URL");
    let (mut client, _) = listener.accept().await.unwrap();
    let mut server = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let forth = async {
        let mut sent = Vec::new();
        loop {
            let before = sent.len();
            if from_client.read_buf(&mut sent).await.unwrap() == 0 {
                break;
            }
            to_server.write_all(&sent[before..]).await.unwrap();
        }
        to_server.shutdown().await.unwrap();
        sent
    };
    tokio::join!(forth, tokio::io::copy(&mut from_server, &mut to_client)).0
}

/// The very request that the server accepts is looked at: what comes back proves nothing of how it went.
async fn one_chunk(direct: &Client) {
    let body = content(1, 64 * MIB);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let overheard = client(&format!("http://{}", listener.local_addr().unwrap()));
    let sent = tokio::spawn(overhear(listener));
    let put = overheard.put_object().bucket(BUCKET).key("large").content_encoding("gzip");
    let put = put.body(file("large", &body).await).send().await.unwrap();
    // Ends its connection.
    drop(overheard);
    let sent = sent.await.unwrap();

    let end = sent.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(sent[..end].to_vec()).unwrap();
    let has = |line: &str| head.lines().any(|found| found.eq_ignore_ascii_case(line));
    assert!(has("x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"), "{head}");
    assert!(has("content-encoding: gzip") && has("content-encoding: aws-chunked"), "in two lines: {head}");
    let chunks = &sent[end + 4..];
    let size = format!("{:X}\r\n", body.len());
    assert!(chunks.starts_with(size.as_bytes()), "{}", chunks[..16].escape_ascii());
    let (chunk, trailer) = chunks[size.len()..].split_at(body.len());
    assert!(chunk == body, "the chunk is the body");
    let crc32 = put.checksum_crc32().expect("CRC32 is the default");
    assert_eq!(
        String::from_utf8_lossy(trailer),
        format!("\r\n0\r\nx-amz-checksum-crc32:{crc32}\r\n\r\n"),
        "nothing but the trailer follows"
    );
    println!("one chunk: {}", chunks[..size.len()].escape_ascii());

    assert_reads(direct, "large", &body).await;
    let head = get(direct, "large").await;
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.checksum_crc32(), Some(crc32));
}

async fn checksums(client: &Client) {
    let body = content(2, 300_001);
    for name in ChecksumAlgorithm::values() {
        let algorithm = ChecksumAlgorithm::from(*name);
        let mut found = Vec::new();
        // In a header, and in a trailer.
        for (key, stream) in [("header", body.clone().into()), ("trailer", file("small", &body).await)] {
            let key = format!("{name}-in-a-{key}");
            let put = client.put_object().bucket(BUCKET).key(&key).body(stream);
            put.checksum_algorithm(algorithm.clone()).send().await.unwrap();
            assert_reads(client, &key, &body).await;
            let kept = get(client, &key).await;
            found.push(
                match algorithm {
                    ChecksumAlgorithm::Crc32 => kept.checksum_crc32(),
                    ChecksumAlgorithm::Crc32C => kept.checksum_crc32_c(),
                    ChecksumAlgorithm::Crc64Nvme => kept.checksum_crc64_nvme(),
                    ChecksumAlgorithm::Sha1 => kept.checksum_sha1(),
                    ChecksumAlgorithm::Sha256 => kept.checksum_sha256(),
                    _ => None,
                }
                .unwrap_or_else(|| panic!("{key}: {kept:?}"))
                .to_owned(),
            );
        }
        assert_eq!(found[0], found[1], "{name}");
    }
    for stream in [body.clone().into(), file("small", &body).await] {
        let put = client.put_object().bucket(BUCKET).key("bad").body(stream);
        assert_refused("BadDigest", put.checksum_crc32("AAAAAA==").send().await);
    }
    assert_refused("NoSuchKey", client.get_object().bucket(BUCKET).key("bad").send().await);
}

async fn parts(client: &Client) {
    let body = content(3, 17 * MIB + 5);
    std::fs::write("parts", &body).unwrap();
    let upload = client.create_multipart_upload().bucket(BUCKET).key("parts");
    let upload = upload.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.unwrap();
    let mut completed = CompletedMultipartUpload::builder();
    for (number, piece) in (1..).zip(body.chunks(5 * MIB)) {
        let stream = ByteStream::read_from()
            .path(Path::new("parts"))
            .offset((number - 1) * 5 * MIB as u64)
            .length(Length::Exact(piece.len() as u64));
        let number = i32::try_from(number).unwrap();
        let part = client
            .upload_part()
            .bucket(BUCKET)
            .key("parts")
            .set_upload_id(upload.upload_id.clone())
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(stream.build().await.unwrap());
        let part = part.send().await.unwrap();
        completed = completed.parts(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag)
                .set_checksum_crc32(part.checksum_crc32)
                .build(),
        );
    }
    let completion = client.complete_multipart_upload().bucket(BUCKET).key("parts");
    let completion = completion.set_upload_id(upload.upload_id).multipart_upload(completed.build());
    let done = completion.send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-4\""), "{done:?}");
    assert_reads(client, "parts", &body).await;
}

async fn put_empty(client: &Client, keys: &[&str]) {
    for key in keys {
        client.put_object().bucket(BUCKET).key(*key).send().await.unwrap();
    }
}

async fn listings(client: &Client) {
    put_empty(client, &["l/a/1", "l/a/2", "l/b/1", "l/c", "l/d"]).await;
    let mut found = Vec::new();
    let list = client.list_objects_v2().bucket(BUCKET).prefix("l/").delimiter("/");
    let mut pages = list.into_paginator().page_size(1).send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        found.extend(page.common_prefixes().iter().map(|each| each.prefix().unwrap().to_owned()));
        found.extend(page.contents().iter().map(|each| each.key().unwrap().to_owned()));
    }
    assert_eq!(found, ["l/a/", "l/b/", "l/c", "l/d"]);
}

async fn many(client: &Client) {
    put_empty(client, &["d/1", "d/2"]).await;
    let objects = ["d/1", "d/2", "d/never"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.into())).build().unwrap();
    let answer = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert!(answer.deleted().len() == 3 && answer.errors().is_empty(), "{answer:?}");
    assert_refused("NoSuchKey", client.get_object().bucket(BUCKET).key("d/1").send().await);
    assert_refused("NotFound", client.head_object().bucket(BUCKET).key("d/1").send().await);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = client(&variable("S3_URL"));
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest3);
    let create = client.create_bucket().bucket(BUCKET).create_bucket_configuration(place.build());
    create.send().await.unwrap();
    one_chunk(&client).await;
    checksums(&client).await;
    parts(&client).await;
    listings(&client).await;
    many(&client).await;
    println!("ok");
}
