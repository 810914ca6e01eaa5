//! C14: an object of as many copied parts as there may be is completed, and other tenants' writes do not wait for it.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use juststorage_compat_tests::{Content, Database, Options, Server, s3};
use tokio::sync::watch;

const BUCKET: &str = "copies";
/// Of one leaf, so that an object of 5 GiB of them is made without sending one.
const LEAF: usize = 5 << 20;

/// Makes an object of `count` copies of another.
async fn copies(client: &Client, key: &str, of: &str, count: i32) -> (String, Vec<CompletedPart>) {
    let upload = s3::begin(client, BUCKET, key).await;
    let parts = stream::iter(1..=count)
        .map(|number| {
            let copy = client.upload_part_copy().bucket(BUCKET).key(key).upload_id(&upload);
            let copy = copy.part_number(number).copy_source(format!("{BUCKET}/{of}"));
            async move {
                let copied = copy.send().await.unwrap().copy_part_result.unwrap();
                CompletedPart::builder().part_number(number).set_e_tag(copied.e_tag).build()
            }
        })
        .buffered(16)
        .collect()
        .await;
    (upload, parts)
}

async fn complete(client: &Client, key: &str, upload: &str, parts: Vec<CompletedPart>) {
    let request = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(upload);
    request.multipart_upload(s3::completed(parts)).send().await.unwrap();
}

/// How long small puts of another tenant take, one after another, until told to stop.
async fn puts(client: Client, mut stop: watch::Receiver<bool>) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut number = 0_u64;
    while !*stop.borrow_and_update() {
        let begun = Instant::now();
        s3::put(&client, "quiet", &format!("k{number}"), Content::new(number, 1000).bytes()).await;
        took.push(begun.elapsed());
        number += 1;
    }
    took.sort_unstable();
    took
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() * 99).div_ceil(100).min(sorted.len()) - 1]
}

/// Another tenant's puts while something else is done; what it came to, and their times.
async fn beside<T>(client: &Client, work: impl Future<Output = T>) -> (T, Vec<Duration>) {
    let (stop, stopped) = watch::channel(false);
    let puts = tokio::spawn(puts(client.clone(), stopped));
    let result = work.await;
    stop.send(true).unwrap();
    (result, puts.await.unwrap())
}

fn memory_peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_of_twenty_thousand_pieces_stalls_nobody() {
    let mut server = Server::start_with(Database::Sqlite, Options::terse()).await;
    let client = server.s3();
    for bucket in [BUCKET, "quiet"] {
        client.create_bucket().bucket(bucket).send().await.unwrap();
    }
    s3::put(&client, BUCKET, "leaf", Bytes::from(vec![7; LEAF])).await;
    let (upload, parts) = copies(&client, "thousand", "leaf", 1000).await;
    complete(&client, "thousand", &upload, parts).await;
    let (upload, parts) = copies(&client, "whole", "thousand", 20).await;
    // One more would be too many: it is refused when it lands, and the upload stays as it is.
    let more = client.upload_part_copy().bucket(BUCKET).key("whole").upload_id(&upload).part_number(21);
    let refused = more.copy_source(format!("{BUCKET}/thousand")).send().await;
    assert_eq!(s3::refusal("one piece too many", refused), (400, "InvalidRequest".to_owned()));

    let ((), quiet) = beside(&client, tokio::time::sleep(Duration::from_secs(2))).await;
    let begun = Instant::now();
    let ((), during) = beside(&client, complete(&client, "whole", &upload, parts)).await;
    let took = begun.elapsed();
    let head = client.head_object().bucket(BUCKET).key("whole").send().await.unwrap();
    assert_eq!(head.content_length(), Some(20_000 * i64::try_from(LEAF).unwrap()));
    let range = client.get_object().bucket(BUCKET).key("whole").range("bytes=52428799990-52428800009");
    assert_eq!(s3::body(range.send().await.unwrap()).await, vec![7; 20]);
    println!(
        "C14 completion: 20000 copied pieces completed in {} ms; another tenant's put p99 {} ms quiet, {} ms during \
         (slowest {} ms); memory peak {} MiB; piece 20001 refused when it lands",
        took.as_millis(),
        p99(&quiet).as_millis(),
        p99(&during).as_millis(),
        during.last().map_or(0, Duration::as_millis),
        memory_peak(&server) >> 10
    );
    assert!(memory_peak(&server) < 256 << 10, "{} KiB", memory_peak(&server));
    s3::empty(&client, BUCKET).await;
    s3::empty(&client, "quiet").await;
    server.stop().await;
    server.assert_valid();
}
