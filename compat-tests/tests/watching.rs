//! Alerts and dashboard against a live server: what they ask for is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use juststorage_compat_tests::{Database, Options, Server, binary, on_both_databases};

on_both_databases!(every_series_exists);

async fn every_series_exists(database: Database) {
    // So that the tenant of what is stored has a quota.
    let settings = vec![("JUSTSTORAGE_QUOTA_BYTES", "1GiB".to_owned())];
    let server = Server::start_with(database, Options { settings, ..Options::default() }).await;
    let url = server.native_url().to_owned();
    let checked = tokio::task::spawn_blocking(move || {
        let root = binary::workspace();
        let prepared =
            Command::new(root.join("scripts/prepare")).arg("tools").stdin(Stdio::null()).output().unwrap();
        assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
        let python =
            PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/juststorage/tools/bin/python");
        let script = root.join("deploy/live.py");
        Command::new(python).arg(script).arg(url).stdin(Stdio::null()).output().unwrap()
    })
    .await
    .unwrap();
    let (printed, errors) =
        (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success(), "{printed}\n{errors}");
}
