//! Small objects, one after the other.

use std::time::Instant;

use juststorage_compat_tests::{Content, Database, Options, Server, s3};

use crate::report::Report;

/// `count` puts of 4 KiB over one connection of each front, every one acknowledged before the next is sent.
pub(crate) async fn sequential_puts(report: &mut Report, database: Database, count: usize) {
    let server = Server::start_with(database, Options::terse()).await;
    let (client, native) = (server.s3(), server.native());
    client.create_bucket().bucket("bench").send().await.unwrap();
    for front in ["native", "S3"] {
        let mut taken = Vec::with_capacity(count);
        let started = Instant::now();
        for number in 0..count {
            let (key, bytes) = (format!("{front} {number}"), Content::new(number as u64, 4096).bytes());
            let one = Instant::now();
            if front == "native" {
                native.put("bench", &key, bytes).await;
            } else {
                s3::put(&client, "bench", &key, bytes).await;
            }
            taken.push(one.elapsed().as_secs_f64() * 1e3);
        }
        #[allow(clippy::cast_precision_loss, reason = "a count of requests")]
        let rate = count as f64 / started.elapsed().as_secs_f64();
        taken.sort_by(f64::total_cmp);
        let what = format!("{front} on {database:?}: {count} sequential puts of 4 KiB");
        report.add(&what, rate, "puts/s");
        report.add(format!("{what}, p50"), taken[count / 2], "ms");
        report.add(format!("{what}, p99"), taken[count * 99 / 100], "ms");
    }
}
