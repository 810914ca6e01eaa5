//! boto3 against the S3 front. The cases are in `python/boto3_suite.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use juststorage_compat_tests::{Database, Options, Server, on_both_databases, python};

on_both_databases!(the_suite_passes);

/// Over TLS boto3 signs no bodies and sends checksums behind them.
#[tokio::test]
async fn the_suite_passes_over_tls() {
    let options = Options { tls: true, ..Options::default() };
    let server = Server::start_with(Database::Sqlite, options).await;
    python::run("boto3_suite.py", server.s3_url(), server.certificate().as_deref());
    server.assert_valid();
}

async fn the_suite_passes(database: Database) {
    let server = Server::start(database).await;
    python::run("boto3_suite.py", server.s3_url(), None);
    server.assert_valid();
}
