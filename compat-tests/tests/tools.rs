//! Tools that people use, as they come, against the binary. The scenarios are in `tools/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use juststorage_compat_tests::{Database, Options, Server, on_both_databases, tools};

async fn run(scenario: &str, environment: &str) {
    let server = Server::start(Database::Sqlite).await;
    tools::run(&server, scenario, environment);
}

/// SDKs send other requests over TLS: bodies that no signature covers, checksums in trailers.
async fn run_over_tls(database: Database, scenario: &str, environment: &str) {
    let server = Server::start_with(database, Options { tls: true, ..Options::default() }).await;
    tools::run(&server, scenario, environment);
}

#[tokio::test]
async fn sdk_for_go() {
    run_over_tls(Database::Sqlite, "sdk-go.sh", "").await;
}

#[tokio::test]
async fn sdk_for_javascript() {
    run_over_tls(Database::Sqlite, "sdk-js.sh", "").await;
}

#[tokio::test]
async fn sdks_for_java() {
    run_over_tls(Database::Sqlite, "sdk-java.sh", "").await;
}

#[tokio::test]
async fn sdk_for_rust_of_2025() {
    run("sdk-rust.sh", "").await;
}

#[tokio::test]
async fn sdk_for_javascript_v2() {
    run("sdk-js-v2.sh", "").await;
}

#[tokio::test]
async fn minio_go_with_trailing_checksums() {
    run("sdk-minio-go.sh", "").await;
}

#[tokio::test]
async fn botocore_of_2023() {
    run_over_tls(Database::Sqlite, "botocore_2023.py", "botocore-2023").await;
}

/// What is neither offered nor refused by name fails, in the operations of a current SDK.
#[tokio::test]
async fn every_operation_is_offered_or_refused_by_name() {
    run("every_operation.py", "clients").await;
}

#[tokio::test]
async fn aws_command() {
    run("awscli.sh", "").await;
}

#[tokio::test]
async fn rclone() {
    run("rclone.sh", "").await;
}

#[tokio::test]
async fn s3cmd() {
    run("s3cmd.sh", "").await;
}

#[tokio::test]
async fn restic() {
    run("restic.sh", "").await;
}

#[tokio::test]
async fn docker_registry() {
    run("docker-registry.sh", "").await;
}

#[tokio::test]
async fn pyarrow() {
    run("pyarrow_s3.py", "clients").await;
}

#[tokio::test]
async fn s3fs() {
    run("s3fs_fsspec.py", "clients").await;
}

#[tokio::test]
async fn mlflow() {
    run("mlflow_artifacts.py", "mlflow").await;
}

#[tokio::test]
async fn pgbackrest() {
    run_over_tls(Database::Sqlite, "pgbackrest.sh", "").await;
}

#[tokio::test]
async fn tensorstore() {
    run("tensorstore_zarr.py", "programs").await;
}

#[tokio::test]
async fn s3torchconnector() {
    run("s3torchconnector_crt.py", "programs").await;
}

#[tokio::test]
async fn libcloud() {
    run("libcloud_storage.py", "programs").await;
}

#[tokio::test]
async fn duckdb() {
    run("duckdb_httpfs.py", "programs").await;
}

#[tokio::test]
async fn icechunk() {
    run("icechunk_store.py", "programs").await;
}

#[tokio::test]
async fn s5cmd() {
    run("s5cmd.sh", "").await;
}

/// Its `anonymous` sets bucket policies.
#[tokio::test]
async fn mc() {
    run("mc.sh", "").await;
}

#[tokio::test]
async fn barman_cloud() {
    run("barman-cloud.sh", "").await;
}

#[tokio::test]
async fn samtools() {
    run("samtools.sh", "").await;
}

#[tokio::test]
async fn git_annex() {
    run("git-annex.sh", "").await;
}

#[tokio::test]
async fn hadoop() {
    run("hadoop.sh", "").await;
}

#[tokio::test]
async fn s3fs_fuse() {
    run("s3fs-fuse.sh", "").await;
}

#[tokio::test]
async fn mariadb() {
    run("mariadb-s3.sh", "").await;
}

on_both_databases!(concurrent_deltalake_writers_lose_no_commit, terraform_heeds_locks);

async fn terraform_heeds_locks(database: Database) {
    let server = Server::start(database).await;
    tools::run(&server, "terraform.sh", "");
}

async fn concurrent_deltalake_writers_lose_no_commit(database: Database) {
    let server = Server::start(database).await;
    tools::run(&server, "deltalake_writers.py", "clients");
}
