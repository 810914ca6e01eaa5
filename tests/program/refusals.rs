//! Starts that must not succeed, each with a reason that says what to do.

use std::str::FromStr as _;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::harness::{Place, bare, text};

/// Runs a command that must fail with `code` and name `word`; then nothing was made either.
fn refused(arguments: &[&str], code: i32, word: &str) {
    let place = Place::new();
    let output = place.run(arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    assert!(message.contains(word), "{arguments:?}: {message}");
    assert!(!place.data().exists(), "{arguments:?} left something behind");
}

#[test]
fn an_unsafe_start_is_refused() {
    refused(&["--s3-addr", "0.0.0.0:0"], 2, "JUSTSTORAGE_S3_ROOT_ACCESS_KEY");
    refused(&["--native-addr", "0.0.0.0:0", "--auth", "disabled"], 2, "--insecure");
    refused(
        &[
            "--s3-addr",
            "[::]:0",
            "--s3-root-access-key",
            "juststorage",
            "--s3-root-secret-key",
            "juststorage",
        ],
        2,
        "JUSTSTORAGE_S3_ROOT_SECRET_KEY",
    );
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    refused(&["--jwt-secret", "x"], 2, "JUSTSTORAGE_JWT_SECRET");
    refused(&["--jwt-audience", "x"], 2, "JUSTSTORAGE_JWT_AUDIENCE");
    refused(&["--tls-cert", "/nonexistent.pem"], 2, "JUSTSTORAGE_TLS_KEY");
    refused(&["--cold-url", "ftp://bucket/cold"], 2, "JUSTSTORAGE_COLD_URL");
    refused(&["--database-url", "postgres://nobody@127.0.0.1:1/none"], 2, "JUSTSTORAGE_MASTER_KEY");
    refused(&["--config", "/nonexistent.toml"], 2, "JUSTSTORAGE_CONFIG");
    refused(&["--log", "=="], 2, "RUST_LOG");
    refused(&["defragment"], 2, "defragment");
    refused(&["bucket", "create", "NO!"], 2, "lower-case");
    // The default of all tenants is no limit of this one.
    refused(&["limits", "set", "acme", "--quota-objects", "7"], 2, "--objects");
}

#[test]
fn secrets_are_not_repeated() {
    let place = Place::new();
    let output = place
        .program(&["--s3-addr", "0.0.0.0:0"])
        .env("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", "root")
        .env("JUSTSTORAGE_S3_ROOT_SECRET_KEY", "tooshort")
        .env("JUSTSTORAGE_MASTER_KEY", "hush")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output.stderr).contains("tooshort") && !text(&output.stderr).contains("hush"));
    let help = bare(&["--help"]).env("JUSTSTORAGE_S3_ROOT_SECRET_KEY", "hush").output().unwrap();
    assert!(!text(&help.stdout).contains("hush"));
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let place = Place::new();
    let output = place.run(&["stats", "--database-url", "postgres://user:hush@127.0.0.1:1/none"]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(message.contains("127.0.0.1:1/none") && !message.contains("hush"), "{message}");
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let place = Place::new();
    let server = place.serve(&[]);
    let second = place.run(&["serve"]);
    assert_eq!(second.status.code(), Some(3));
    assert!(text(&second.stderr).contains("in use"), "{}", text(&second.stderr));
    server.stop();
    place.serve(&[]).stop();
}

#[test]
fn an_address_in_use_is_refused() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = place.run(&["serve", "--s3-addr", &address]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains(&address), "{}", text(&output.stderr));
}

/// A schema that a newer binary has written is refused, by every command, and not touched.
#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = Place::new();
    let known = place.json(&["migrate"])["version"].as_i64().unwrap();
    let database = format!("sqlite://{}", place.data().join("metadata.db").display());
    let options = SqliteConnectOptions::from_str(&database).unwrap();
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES ($1, 'from the future', TRUE, x'00', 0)",
    )
    .bind(known + 1)
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    for command in ["serve", "stats", "migrate"] {
        let output = place.run(&[command]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command}: {message}");
        assert!(message.contains(&format!("schema version {}", known + 1)), "{command}: {message}");
    }
}
