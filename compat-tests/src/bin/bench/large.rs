//! Large objects: throughput, memory, and what moves no byte.

use std::time::Instant;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use juststorage_compat_tests::{Content, Database, Options, Server, s3};

use crate::machine::{peak_memory, written};
use crate::report::{Report, mib};

const BUCKET: &str = "bench";

/// The largest part of an upload, in bytes.
const PART: usize = 64 << 20;

/// The peak that the issue allows, in MiB.
const MEMORY_MAX: f64 = 128.0;

async fn start() -> Server {
    let server = Server::start_with(Database::Sqlite, Options::terse()).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    server
}

/// Blocks of 1 MiB, no two alike, that make `size` bytes.
fn blocks(seed: u64, size: usize) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send {
    // One block is made and numbered anew each time: making fresh bytes must not be what is measured.
    let block = Content::new(seed, 1 << 20).bytes();
    stream::iter((0..size >> 20).map(move |number| {
        let mut bytes = block.to_vec();
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Ok(Bytes::from(bytes))
    }))
}

/// Up and down through each front, as one body, on a server of its own each.
pub(crate) async fn both_fronts(report: &mut Report, size: usize) {
    let hour =
        aws_sdk_s3::presigning::PresigningConfig::expires_in(std::time::Duration::from_secs(3600)).unwrap();
    let http = reqwest::Client::new();
    for front in ["native", "S3"] {
        let mut server = start().await;
        let (client, native) = (server.s3(), server.native());
        let body = reqwest::Body::wrap_stream(blocks(1, size));
        let started = Instant::now();
        let request = if front == "native" {
            native.post(BUCKET, "large")
        } else {
            let url = client.put_object().bucket(BUCKET).key("large").presigned(hour.clone()).await.unwrap();
            http.put(url.uri())
        };
        let answer = request.header("Content-Length", size.to_string()).body(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{front}: {}", answer.text().await.unwrap());
        let seconds = started.elapsed().as_secs_f64();
        report.add(format!("{front}: upload of {} MiB", size >> 20), mib(size as u64) / seconds, "MiB/s");
        let peak = mib(peak_memory(&server));
        report.add_bounded(format!("{front}: peak memory after the upload"), peak, "MiB", MEMORY_MAX);

        // A process of its own, so that what the upload needed does not count.
        server.stop().await;
        server.resume().await;
        let (client, native) = (server.s3(), server.native());
        let started = Instant::now();
        let request = if front == "native" {
            native.request(reqwest::Method::GET, &native.path(BUCKET, "large"))
        } else {
            let url = client.get_object().bucket(BUCKET).key("large").presigned(hour.clone()).await.unwrap();
            http.get(url.uri())
        };
        let mut received = 0;
        let mut body = request.send().await.unwrap().bytes_stream();
        while let Some(bytes) = body.next().await {
            received += bytes.unwrap().len();
        }
        assert_eq!(received, size, "{front}");
        let seconds = started.elapsed().as_secs_f64();
        report.add(format!("{front}: download of {} MiB", size >> 20), mib(size as u64) / seconds, "MiB/s");
        let peak = mib(peak_memory(&server));
        report.add_bounded(format!("{front}: peak memory after the download"), peak, "MiB", MEMORY_MAX);
    }
}

/// Completing an upload and copying its object, which only write metadata.
pub(crate) async fn without_moving_bytes(report: &mut Report, size: usize) {
    let server = start().await;
    let client = server.s3();
    let upload = s3::begin(&client, BUCKET, "large").await;
    let started = Instant::now();
    let parts: Vec<_> = stream::iter(0..size.div_ceil(PART))
        .map(|index| {
            let (client, upload) = (&client, &upload);
            async move {
                let bytes = Content::new(index as u64, PART.min(size - index * PART)).bytes();
                s3::part(client, BUCKET, "large", upload, i32::try_from(index + 1).unwrap(), bytes).await
            }
        })
        .buffered(2)
        .collect()
        .await;
    let seconds = started.elapsed().as_secs_f64();
    report.add("S3: upload in 64 MiB parts, 2 at a time", mib(size as u64) / seconds, "MiB/s");
    report.add_bounded("S3: peak memory after the parts", mib(peak_memory(&server)), "MiB", MEMORY_MAX);

    let (before, started) = (written(&server), Instant::now());
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("large").upload_id(&upload);
    complete.multipart_upload(s3::completed(parts)).send().await.unwrap();
    report.add_bounded("S3: CompleteMultipartUpload", started.elapsed().as_secs_f64() * 1e3, "ms", 50.0);
    report.add("S3: written to disk by it", mib(written(&server) - before), "MiB");

    let (before, started) = (written(&server), Instant::now());
    let copy = client.copy_object().bucket(BUCKET).key("copy").copy_source(format!("{BUCKET}/large"));
    copy.send().await.unwrap();
    report.add_bounded("S3: CopyObject", started.elapsed().as_secs_f64() * 1e3, "ms", 50.0);
    report.add("S3: written to disk by it", mib(written(&server) - before), "MiB");
}

/// The same 256 MiB under four keys, two through each front.
pub(crate) async fn four_keys(report: &mut Report) {
    const SIZE: usize = 256 << 20;
    let server = start().await;
    let (client, native) = (server.s3(), server.native());
    let bytes = Content::new(9, SIZE).bytes();
    for key in ["a", "b"] {
        s3::put(&client, BUCKET, key, bytes.clone()).await;
    }
    for key in ["c", "d"] {
        native.put(BUCKET, key, bytes.clone()).await;
    }
    server.run_ok(&["gc"]);
    let stored: u64 = server.data_files().iter().map(|(_, size)| size).sum();
    // Headers, checksums and the index are some hundredths of a percent.
    report.add_bounded("256 MiB under four keys occupy", mib(stored), "MiB", 257.0);
}
