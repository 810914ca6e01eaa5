//! boto3 against the S3 front. The cases are in `python/boto3_suite.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use juststorage_compat_tests::{Database, Server, on_both_databases, python};

on_both_databases!(the_suite_passes);

async fn the_suite_passes(database: Database) {
    let server = Server::start(database).await;
    python::run("boto3_suite.py", server.s3_url());
    server.assert_valid();
}
