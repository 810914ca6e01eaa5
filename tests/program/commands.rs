use std::path::Path;

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Place, bare, text, until};

#[test]
fn help_is_there_for_every_command() {
    let lines: [&[&str]; 27] = [
        &[],
        &["serve"],
        &["migrate"],
        &["validate"],
        &["scrub"],
        &["gc"],
        &["stats"],
        &["key"],
        &["key", "create"],
        &["key", "list"],
        &["bucket"],
        &["bucket", "create"],
        &["bucket", "delete"],
        &["backup"],
        &["backup", "begin"],
        &["backup", "end"],
        &["stuck"],
        &["stuck", "retry"],
        &["stuck", "give-up"],
        &["space", "get"],
        &["space", "set"],
        &["bootstrap"],
        &["upstream", "report"],
        &["upstream", "clients"],
        &["events"],
        &["events", "set"],
        &["events", "status"],
    ];
    for line in lines {
        let output = bare(&[line, &["--help"]].concat()).output().unwrap();
        assert!(output.status.success(), "{line:?}");
        let help = text(&output.stdout);
        assert!(help.contains("--json") && help.contains("JUSTSTORAGE_DATA_DIR"), "{line:?}: {help}");
    }
    let help = text(&bare(&["--help"]).output().unwrap().stdout);
    for word in [
        "serve",
        "migrate",
        "validate",
        "scrub",
        "gc",
        "backup",
        "stuck",
        "key",
        "bucket",
        "stats",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word}");
    }
    let short = text(&bare(&["-h"]).output().unwrap().stdout);
    assert!(short.lines().count() < 70, "{short}");
}

/// A flag wins over the environment, that over the file, that over the default.
#[test]
fn settings_take_precedence_in_order() {
    let place = Place::new();
    let url = |name: &str| format!("sqlite://{}", place.file(name).display());
    let file = place.file("settings.toml");
    std::fs::write(&file, format!("database_url = \"{}\"\n", url("file.db"))).unwrap();

    let chosen = |flag: Option<&str>, environment: Option<&str>, with_file: bool| {
        let mut command = place.program(&["migrate", "--json"]);
        if let Some(name) = flag {
            command.args(["--database-url", &url(name)]);
        }
        if let Some(name) = environment {
            command.env("DATABASE_URL", if name.is_empty() { String::new() } else { url(name) });
        }
        if with_file {
            command.env("JUSTSTORAGE_CONFIG", &file);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let path = printed["database"].as_str().unwrap().to_owned();
        path.rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(chosen(Some("flag.db"), Some("environment.db"), true), "flag.db");
    assert_eq!(chosen(None, Some("environment.db"), true), "environment.db");
    assert_eq!(chosen(None, Some(""), true), "file.db");
    assert_eq!(chosen(None, None, true), "file.db");
    assert_eq!(chosen(None, None, false), "metadata.db");
}

#[test]
fn a_schema_is_brought_up_to_date_once() {
    let place = Place::new();
    let first = place.json(&["migrate"]);
    assert!(first["applied"].as_u64().unwrap() > 0);
    let second = place.json(&["migrate"]);
    assert_eq!(second["applied"], 0);
    assert_eq!(second["version"], first["version"]);
}

/// Keys are made, used, listed and revoked beside a running server, which notices within a second.
#[tokio::test]
async fn keys_open_what_they_say_until_they_are_revoked() {
    let place = Place::new();
    let server = place.serve(&["--auth", "required"]);
    let list = format!("{}/v1/usage", server.native);
    let http = reqwest::Client::new();
    let ask = async |token: &str| http.get(&list).bearer_auth(token).send().await.unwrap().status();
    assert_eq!(http.get(&list).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let api = place.json(&[
        "key",
        "create",
        "--kind",
        "api",
        "--tenant",
        "acme",
        "--namespace",
        "a",
        "--namespace",
        "b",
        "--rights",
        "read",
        "--expires",
        "30d",
        "--description",
        "reader",
    ]);
    let (id, token) = (api["id"].as_str().unwrap(), api["token"].as_str().unwrap());
    assert_eq!(api, json!({ "id": id, "kind": "api", "tenant": "acme", "token": token }));
    assert_eq!(ask(token).await, StatusCode::OK);

    let s3 = place.json(&["key", "create", "--kind", "s3", "--tenant", "acme"]);
    let (access_key, secret_key) = (s3["access_key"].as_str().unwrap(), s3["secret_key"].as_str().unwrap());
    assert_eq!(
        s3,
        json!({
            "id": s3["id"], "kind": "s3", "tenant": "acme",
            "access_key": access_key, "secret_key": secret_key,
        })
    );
    server.s3_as(access_key, secret_key).create_bucket().bucket("mine").send().await.unwrap();
    assert!(server.s3_as(access_key, "wrong-secret").list_buckets().send().await.is_err());

    let listed = place.json(&["key", "list"]);
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["id"], id);
    assert_eq!(listed[0]["namespaces"], json!(["a", "b"]));
    assert_eq!(listed[0]["rights"], json!(["read"]));
    assert_eq!(listed[0]["description"], "reader");
    assert!(listed[0]["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(listed[1]["access_key"], access_key);
    assert_eq!(listed[1]["namespaces"], json!(null));
    assert_eq!(listed[1]["rights"], json!(["read", "write", "delete"]));
    let shown = text(&place.run(&["key", "list"]).stdout);
    assert!(shown.contains(id) && !shown.contains(secret_key) && !shown.contains(token), "{shown}");
    assert_eq!(place.json(&["key", "list", "--tenant", "other"]), json!([]));

    let bound = place.json(&["key", "create", "--kind", "api", "--tenant", "acme", "--prefix", "reports/"]);
    let bound = bound["token"].as_str().unwrap();
    let page = async |prefix: &str| {
        let url = format!("{}/v1/objects?namespace=a&tenant=acme&prefix={prefix}", server.native);
        http.get(url).bearer_auth(bound).send().await.unwrap().status()
    };
    assert_eq!((page("reports/").await, page("").await), (StatusCode::OK, StatusCode::FORBIDDEN));
    let keys = place.json(&["key", "list"]);
    let prefixes: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["prefixes"].clone()).collect();
    assert_eq!(prefixes, [json!(null), json!(null), json!(["reports/"])]);
    let both = ["key", "create", "--kind", "api", "--tenant", "acme", "--prefix", "a/", "--rights", "admin"];
    let refused = place.run(&both);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    assert!(
        text(&refused.stderr).contains("read, write and delete where prefixes"),
        "{}",
        text(&refused.stderr)
    );

    assert_eq!(place.json(&["key", "revoke", id]), json!({ "id": id, "revoked": true }));
    until("a revoked key still opens", async || ask(token).await == StatusCode::UNAUTHORIZED).await;
    let again = place.run(&["key", "revoke", id, "--json"]);
    assert_eq!(again.status.code(), Some(1));
    // Behind what it logged.
    let error: serde_json::Value =
        serde_json::from_str(text(&again.stderr).lines().next_back().unwrap()).unwrap();
    assert!(error["error"].is_string());
    server.stop();
}

/// What is said stays said until something else is; and every option says what it is named after.
#[test]
fn limits_are_said_and_taken_back() {
    let place = Place::new();
    place.json(&["migrate"]);
    let said = place.json(&[
        "limits",
        "set",
        "acme",
        "--requests-per-second",
        "5",
        "--concurrent-requests",
        "6",
        "--upload-bytes-per-second",
        "1MiB",
        "--download-bytes-per-second",
        "unlimited",
        "--bytes",
        "1GB",
        "--objects",
        "7",
    ]);
    let expected = json!({
        "tenant": "acme", "requests_per_second": 5, "concurrent_requests": 6, "upload_bytes_per_second": 1 << 20,
        "download_bytes_per_second": "unlimited", "quota_bytes": 1_000_000_000, "quota_objects": 7,
    });
    assert_eq!(said, expected);
    assert_eq!(place.json(&["limits", "list"]), json!([expected]));
    let less = place.json(&["limits", "set", "acme", "--bytes", "default", "--objects", "0"]);
    assert_eq!((&less["quota_bytes"], &less["quota_objects"]), (&json!(null), &json!(0)));
    assert_eq!(less["requests_per_second"], 5);
    for wrong in [["--requests-per-second", "0"], ["--upload-bytes-per-second", "1KiB"], ["--bytes", "many"]]
    {
        let refused = place.run(&[&["limits", "set", "acme"], &wrong[..]].concat());
        assert!(matches!(refused.status.code(), Some(1 | 2)), "{wrong:?}: {}", text(&refused.stderr));
    }
    assert_eq!(place.json(&["limits", "list"]), json!([less]));
}

#[tokio::test]
async fn buckets_name_spaces_that_exist_already() {
    let place = Place::new();
    let server = place.serve(&[]);
    let stored = reqwest::Client::new()
        .post(format!("{}/v1/objects", server.native))
        .header("X-Namespace", "models")
        .header("X-Tenant", "acme")
        .header("X-Key", "a/b.txt")
        .body("twelve bytes")
        .send()
        .await
        .unwrap();
    assert_eq!(stored.status(), StatusCode::CREATED);

    let made = place.json(&["bucket", "create", "hub", "--namespace", "models", "--tenant", "acme"]);
    assert_eq!((made["name"].as_str(), made["tenant"].as_str()), (Some("hub"), Some("acme")));
    let object = server.s3().get_object().bucket("hub").key("a/b.txt").send().await.unwrap();
    assert_eq!(&object.body.collect().await.unwrap().into_bytes()[..], b"twelve bytes");

    place.json(&["bucket", "create", "empty"]);
    let listed = place.json(&["bucket", "list"]);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["empty", "hub"]);
    assert_eq!(listed[0]["namespace"], "empty");
    assert_eq!(listed[0]["tenant"], "default");
    assert_eq!(place.json(&["bucket", "list", "--tenant", "acme"]).as_array().unwrap().len(), 1);

    let taken = place.run(&["bucket", "create", "hub"]);
    assert_eq!(taken.status.code(), Some(1), "{}", text(&taken.stderr));
    let full = place.run(&["bucket", "delete", "hub"]);
    assert_eq!(full.status.code(), Some(1), "{}", text(&full.stderr));
    place.json(&["bucket", "delete", "empty"]);
    assert_eq!(place.run(&["bucket", "delete", "empty"]).status.code(), Some(1));
    server.stop();
}

/// Figures, garbage and damage, as an operator sees them.
#[tokio::test]
async fn a_store_is_measured_swept_and_checked() {
    let place = Place::new();
    place.json(&["migrate"]);
    assert_eq!(place.json(&["stats"])["total"]["objects"], 0);
    let server = place.serve(&[]);
    let s3 = server.s3();
    s3.create_bucket().bucket("demo").send().await.unwrap();
    let body = vec![7; 3 << 20];
    for key in ["one", "two"] {
        s3.put_object().bucket("demo").key(key).body(body.clone().into()).send().await.unwrap();
    }
    let stats = place.json(&["stats"]);
    let space = &stats["spaces"][0];
    assert_eq!(space["namespace"], "demo");
    assert_eq!(space["tenant"], "default");
    assert_eq!(space["objects"], 2);
    assert_eq!(space["logical_bytes"], 6 << 20);
    assert_eq!(space["physical_bytes"], 3 << 20);
    assert_eq!(space["saved_bytes"], 3 << 20);
    assert_eq!(space["storage_classes"]["hot"]["objects"], 2);
    assert_eq!(stats["total"]["logical_bytes"], 6 << 20);
    assert!(text(&place.run(&["stats"]).stdout).contains("demo"));
    let sound = place.json(&["validate"]);
    assert_eq!(sound["findings"], json!([]));
    assert_eq!(sound["checked"]["bytes"], 3 << 20);

    s3.delete_object().bucket("demo").key("one").send().await.unwrap();
    s3.delete_object().bucket("demo").key("two").send().await.unwrap();
    server.stop();
    // Bytes that a backup of the database may name stay for the retention, unless told otherwise.
    place.json(&["gc"]);
    assert!(segments(&place) > 0);
    let done = place.json(&["gc", "--retention", "0s"]);
    assert_eq!(done["moved"], 0);
    assert_eq!(segments(&place), 0, "{done}");
    assert_eq!(place.json(&["stats"])["total"]["physical_bytes"], 0);

    // A flipped bit is a finding.
    let server = place.serve(&[]);
    server.s3().put_object().bucket("demo").key("k").body(body.into()).send().await.unwrap();
    server.stop();
    for file in files(&place) {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    let damaged = place.run(&["validate", "--json"]);
    assert_eq!(damaged.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&damaged.stdout).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report}");
}

/// Damage is found by a scrub; a store without its database is rebuilt, and nothing else is.
#[tokio::test]
async fn damage_is_scrubbed_out_and_a_lost_database_rebuilt() {
    let place = Place::new();
    let server = place.serve(&[]);
    let s3 = server.s3();
    s3.create_bucket().bucket("demo").send().await.unwrap();
    let body = vec![7; 3 << 20];
    s3.put_object().bucket("demo").key("large").body(body.clone().into()).send().await.unwrap();
    s3.put_object().bucket("demo").key("small").body(vec![8; 100].into()).send().await.unwrap();
    let beside = place.json(&["scrub"]);
    assert_eq!(beside["findings"], json!([]), "{beside}");
    server.stop();
    let sound = place.json(&["scrub"]);
    assert_eq!(sound["checked"], json!({ "blobs": 2, "bytes": (3 << 20) + 100 }), "{sound}");
    assert_eq!(place.run(&["validate", "--rebuild"]).status.code(), Some(1), "the database is in use");

    for name in ["metadata.db", "metadata.db-wal", "metadata.db-shm"] {
        let _ = std::fs::remove_file(place.data().join(name));
    }
    let rebuilt = place.json(&["validate", "--rebuild", "--tenant", "acme"]);
    assert_eq!(rebuilt["rebuilt"]["objects"], 2, "{rebuilt}");
    assert_eq!(rebuilt["findings"], json!([]));
    let server = place.serve(&[]);
    let listed = place.json(&["bucket", "create", "recovered"]);
    assert_eq!(listed["namespace"], "recovered");
    let objects = server.s3().list_objects_v2().bucket("recovered").send().await.unwrap();
    assert_eq!(objects.key_count(), Some(2));
    for object in objects.contents() {
        let key = object.key().unwrap();
        let read = server.s3().get_object().bucket("recovered").key(key).send().await.unwrap();
        let bytes = read.body.collect().await.unwrap().into_bytes();
        assert!(bytes == body || bytes[..] == [8; 100], "{key}");
    }
    server.stop();
    // The server may have begun a pass, which the command goes on with: the next one reads everything.
    place.json(&["scrub"]);

    let largest = files(&place).into_iter().max_by_key(|file| file.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    bytes[1 << 20] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
    for expected in ["blob-corrupt", "blob-quarantined"] {
        let damaged = place.run(&["scrub", "--json"]);
        assert_eq!(damaged.status.code(), Some(1));
        let report: serde_json::Value = serde_json::from_slice(&damaged.stdout).unwrap();
        assert_eq!(report["findings"][0]["code"], expected, "{report}");
    }
}

fn segments(place: &Place) -> usize {
    files(place).len()
}

/// Every file of both tiers, but for their marks and the notes of what was committed.
fn files(place: &Place) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![place.data().join("hot"), place.data().join("cold")];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if !path.ends_with("juststorage-tier.json")
                && !path.to_string_lossy().contains("/commits/")
                && !path.to_string_lossy().contains("/servers/")
            {
                found.push(path);
            }
        }
    }
    found
}

/// Which build it is, completions and the man page: they need no setting, and no store is made.
#[test]
fn what_needs_no_store() {
    let version = text(&bare(&["version"]).output().unwrap().stdout);
    assert!(version.starts_with(concat!("juststorage ", env!("CARGO_PKG_VERSION"))), "{version}");
    let said: serde_json::Value =
        serde_json::from_slice(&bare(&["version", "--json"]).output().unwrap().stdout).unwrap();
    let (commit, date) = (said["commit"].as_str().unwrap(), said["date"].as_str().unwrap());
    assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
    assert!(version.contains(&commit[..12]) && version.contains(date), "{version}");
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&bare(&["completions", shell]).output().unwrap().stdout);
        assert!(script.contains("rotate-master") && script.contains("data-dir"), "{shell}");
    }
    let page = text(&bare(&["man"]).output().unwrap().stdout);
    assert!(page.contains(".TH") && page.contains("Exit codes"), "{page}");
}

/// The health check answers by its exit code, over TLS too: 0 with a server, 1 without. It trusts one certificate only.
#[test]
fn a_server_says_how_it_is() {
    let place = Place::new();
    let (one, two) = (place.file("one.pem"), place.file("two.pem"));
    std::fs::write(&one, include_str!("tls/one.pem")).unwrap();
    std::fs::write(&two, include_str!("tls/two.pem")).unwrap();
    std::fs::write(place.file("one.key"), include_str!("tls/one.key")).unwrap();
    for secure in [false, true] {
        let command = |arguments: &[&str], certificate: &Path| {
            let mut command = place.program(arguments);
            if secure {
                command
                    .env("JUSTSTORAGE_TLS_CERT", certificate)
                    .env("JUSTSTORAGE_TLS_KEY", place.file("one.key"));
            }
            command
        };
        let server = place.start(command(&["serve"], &one));
        let address = server.native.split_once("://").unwrap().1.to_owned();
        let ask = |arguments: &[&str], certificate: &Path| {
            command(arguments, certificate).env("JUSTSTORAGE_NATIVE_ADDR", &address).output().unwrap()
        };
        for line in [&["health"][..], &["health", "--ready"]] {
            let output = ask(line, &one);
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        // Another address than that of the settings, and another answer than 200: the server of a service.
        let ask_url = |status: &str, place: &str, certificate: &Path| {
            let url = format!("{}{place}", server.native);
            command(&["health", "--at", &url, "--status", status], certificate).output().unwrap()
        };
        assert!(ask_url("200", "/ready", &one).status.success());
        assert!(ask_url("404", "/nothing", &one).status.success());
        let other = ask_url("200", "/nothing", &one);
        assert_eq!(other.status.code(), Some(1));
        assert!(text(&other.stderr).contains("404"), "{}", text(&other.stderr));
        for wrong in [&["health", "--at", "store:8080"][..], &["health", "--status", "403"]] {
            assert_eq!(ask(wrong, &one).status.code(), Some(2), "{wrong:?}");
        }
        if secure {
            assert_eq!(ask_url("200", "/ready", &two).status.code(), Some(1));
            let output = ask(&["health"], &two);
            assert_eq!(output.status.code(), Some(1));
            assert!(text(&output.stderr).contains("another certificate"), "{}", text(&output.stderr));
        }
        server.stop();
        let output = ask(&["health"], &one);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("/health: "), "{}", text(&output.stderr));
    }
}
