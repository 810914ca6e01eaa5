//! The console in a real browser, with authentication required. The scenarios are in `console/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bytes::Bytes;
use juststorage_compat_tests::other_store::{OtherStore, Setup};
use juststorage_compat_tests::{
    Content, Database, Options, Server, binary, disk, on_both_databases, ports, s3, tools,
};
use reqwest::StatusCode;
use serde_json::Value;

/// Of the operator who uses the console.
const RIGHTS: &str = "read,write,delete,admin,operator";

/// The store that spaces leave.
const OLD: Setup =
    Setup { access_key: "oldaccess", secret_key: "the-secret-of-the-old-store", bucket: "old" };

on_both_databases!(every_task_by_keyboard_and_by_mouse, five_tasks_take_less_than_a_minute_each);

async fn every_task_by_keyboard_and_by_mouse(database: Database) {
    let server = Server::start_with(database, required()).await;
    for bucket in ["versions-mouse", "versions-keyboard"] {
        server.s3().create_bucket().bucket(bucket).send().await.unwrap();
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        server.s3().put_bucket_versioning().bucket(bucket).versioning_configuration(on).send().await.unwrap();
    }
    let mut given = vec![("NATIVE_URL", server.native_url().to_owned()), ("READER", token(&server, "read"))];
    // A store that spaces leave, where one database is enough.
    let old = if database == Database::Sqlite { Some(OtherStore::gateway(OLD).await) } else { None };
    if let Some(old) = &old {
        for key in ["one", "<b>two</b>", "three"] {
            for hand in ["mouse", "keyboard"] {
                s3::put(
                    &old.client,
                    OLD.bucket,
                    &format!("{hand}/{key}"),
                    Bytes::from_static(key.as_bytes()),
                )
                .await;
            }
        }
        given.push(("OLD_URL", old.endpoint.clone()));
        given.extend([("OLD_KEY", OLD.access_key.to_owned()), ("OLD_SECRET", OLD.secret_key.to_owned())]);
    }
    tools::run_with(&server, "console.sh", "", &[given.as_slice(), &operator(&server)].concat());
}

/// The tasks of `docs/console.md`, whose pictures come from here: with `JUSTSTORAGE_CONSOLE_PICTURES=1` they are made anew.
async fn five_tasks_take_less_than_a_minute_each(database: Database) {
    let mut server = Server::start_with(database, required()).await;
    let operator = operator(&server);
    // A directory lies where the segment was, so that its removal always fails.
    let content = Content::new(1, 2 << 20).bytes();
    let client = reqwest::Client::new();
    let url = |server: &Server| format!("{}/v1/objects/by-key/broken/default/a.bin", server.native_url());
    let put = client.put(url(&server)).bearer_auth(&operator[0].1).body(content.clone());
    assert_eq!(put.send().await.unwrap().status(), StatusCode::CREATED);
    server.stop().await;
    let holds = |path: &std::path::Path| {
        std::fs::read(path).unwrap().windows(64).any(|window| window == &content[100..164])
    };
    let mut files = disk::files(&server.data().join("hot")).into_iter().map(|(path, _)| path);
    let file = files.find(|path| holds(path)).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("inside"), "x").unwrap();
    server.resume().await;
    let gone = client.delete(url(&server)).bearer_auth(&operator[0].1);
    assert_eq!(gone.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    server.stop().await;
    server.run_ok(&["gc"]);
    server.resume().await;

    let mut given = vec![("NATIVE_URL", server.native_url().to_owned()), ("SUITE", "tasks".to_owned())];
    if std::env::var_os("JUSTSTORAGE_CONSOLE_PICTURES").is_some() && database == Database::Sqlite {
        given.push(("SHOTS", binary::workspace().join("docs/console").display().to_string()));
    }
    given.extend(operator);
    tools::run_with(&server, "console.sh", "", &given);
}

/// Without authentication there is nothing to sign in with: the page is there at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn straight_in_on_loopback() {
    let server = Server::start_with(Database::Sqlite, Options::terse()).await;
    let given = [("NATIVE_URL", server.native_url().to_owned()), ("SUITE", "loopback".to_owned())];
    tools::run_with(&server, "console.sh", "", &given);
}

/// Pages of other origins call the API as far as `JUSTSTORAGE_CORS_ORIGINS` lets them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_named_origins_call_the_api() {
    let free = ports::free();
    let mut options = required();
    options.settings.push(("JUSTSTORAGE_CORS_ORIGINS", format!("http://127.0.0.1:{free}")));
    let server = Server::start_with(Database::Sqlite, options).await;
    let given = [
        ("NATIVE_URL", server.native_url().to_owned()),
        ("SUITE", "pages".to_owned()),
        ("ORIGIN_PORT", free.to_string()),
    ];
    tools::run_with(&server, "console.sh", "", &[given.as_slice(), &operator(&server)].concat());
}

/// With `JUSTSTORAGE_ADMIN_ADDR` the page is there, works there, and is not where clients are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_address_of_administration() {
    let settings = vec![("JUSTSTORAGE_ADMIN_ADDR", "127.0.0.1:0".to_owned())];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    let log = server.log();
    let told = log.split_once("admin=").expect("the log names the address").1;
    let admin = told.trim_start_matches('"').split(['"', ' ']).next().unwrap().to_owned();
    assert!(admin.starts_with("http://127.0.0.1:") && admin != server.native_url(), "{admin}");
    for place in ["/console/", "/console/app.js", "/v1/admin/whoami"] {
        let status = reqwest::get(format!("{}{place}", server.native_url())).await.unwrap().status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{place} where clients are");
    }
    let given = [("NATIVE_URL", admin), ("SUITE", "loopback".to_owned())];
    tools::run_with(&server, "console.sh", "", &given);
}

fn required() -> Options {
    Options { settings: vec![("JUSTSTORAGE_AUTH", "required".to_owned())], ..Options::terse() }
}

fn token(server: &Server, rights: &str) -> String {
    let made = server
        .run_ok(&["key", "create", "--kind", "api", "--tenant", "default", "--rights", rights, "--json"]);
    serde_json::from_str::<Value>(&made).unwrap()["token"].as_str().unwrap().to_owned()
}

fn operator(server: &Server) -> [(&'static str, String); 1] {
    [("TOKEN", token(server, RIGHTS))]
}
