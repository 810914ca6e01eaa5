//! The AWS SDK for Rust against the S3 front.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checksums;
mod conditions;
mod listing;
mod multipart;
mod objects;

/// A server with one bucket, and a client of it.
struct Fixture {
    server: juststorage_compat_tests::Server,
    client: aws_sdk_s3::Client,
}

/// The bucket of every case.
const BUCKET: &str = "bucket";

impl Fixture {
    async fn start(database: juststorage_compat_tests::Database) -> Self {
        let server = juststorage_compat_tests::Server::start(database).await;
        let client = server.s3();
        client.create_bucket().bucket(BUCKET).send().await.expect("a bucket");
        Self { server, client }
    }
}
