//! Commands over the admin API of a server, with nothing of its store on this machine.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Place, Server, bare, text};

/// Runs a command on the store of a server.
fn run(url: &str, token: Option<&str>, arguments: &[&str]) -> Output {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = bare(arguments);
    command.current_dir(nowhere.path()).env("JUSTSTORAGE_URL", url);
    if let Some(token) = token {
        command.env("JUSTSTORAGE_TOKEN", token);
    }
    let output = command.output().unwrap();
    let left: Vec<_> = std::fs::read_dir(nowhere.path()).unwrap().collect();
    assert!(left.is_empty(), "a command made something here: {left:?}");
    output
}

fn json_of(url: &str, token: &str, arguments: &[&str]) -> Value {
    let output = run(url, Some(token), &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A server with an admin address, that address, and an operator's token.
fn administered(place: &Place) -> (Server, String, String) {
    let server = place.serve(&["--auth", "required", "--admin-addr", "127.0.0.1:0"]);
    let admin = server.printed.iter().find_map(|line| line.strip_prefix("admin ")).unwrap().to_owned();
    let operator = place.json(&["key", "create", "--kind", "api", "--tenant", "ops", "--rights", "operator"]);
    (server, admin, operator["token"].as_str().unwrap().to_owned())
}

/// What a command prints is the same, wherever it looks.
#[tokio::test]
async fn commands_print_the_same_over_the_admin_api() {
    let place = Place::new();
    let (server, admin, token) = administered(&place);
    let token = token.as_str();
    let far = |arguments: &[&str]| json_of(&admin, token, arguments);

    let made = far(&["bucket", "create", "demo", "--tenant", "acme"]);
    assert_eq!(
        (&made["name"], &made["namespace"], &made["tenant"]),
        (&json!("demo"), &json!("demo"), &json!("acme"))
    );
    let key =
        far(&["key", "create", "--kind", "s3", "--tenant", "acme", "--namespace", "demo", "--expires", "1h"]);
    let (access, secret) = (key["access_key"].as_str().unwrap(), key["secret_key"].as_str().unwrap());
    let s3 = server.s3_as(access, secret);
    for name in ["a", "b"] {
        s3.put_object().bucket("demo").key(name).body(b"the same".to_vec().into()).send().await.unwrap();
    }
    far(&["key", "create", "--kind", "api", "--tenant", "acme", "--prefix", "reports/", "--prefix", "tmp/"]);
    let limits = far(&["limits", "set", "acme", "--bytes", "1KiB", "--objects", "unlimited"]);
    assert_eq!(
        limits,
        json!({
            "tenant": "acme", "requests_per_second": null, "concurrent_requests": null,
            "upload_bytes_per_second": null, "download_bytes_per_second": null, "quota_bytes": 1024,
            "quota_objects": "unlimited",
        })
    );
    far(&["space", "set", "--bucket", "demo", "--versioning", "enabled", "--tags", r#"{"team":"search"}"#]);
    let set = place.json(&["space", "get", "--bucket", "demo"]);
    assert_eq!(
        (&set["versioning"], &set["settings"]["tags"]),
        (&json!("enabled"), &json!({ "team": "search" }))
    );
    // One that cannot be read changes nothing of the others, here as beside the store.
    let half = ["space", "set", "--bucket", "demo", "--versioning", "suspended", "--tags", r#"{"team":7}"#];
    let (there, here) = (run(&admin, Some(token), &half), place.run(&half));
    assert_eq!((there.status.code(), text(&there.stderr)), (here.status.code(), text(&here.stderr)));
    assert_eq!((here.status.code(), &far(&["space", "get", "--bucket", "demo"])), (Some(1), &set));
    let rotated = far(&["key", "rotate", key["id"].as_str().unwrap(), "--grace", "1h"]);
    assert_eq!((&rotated["replaces"], &rotated["kind"]), (&key["id"], &json!("s3")));
    far(&["key", "revoke", rotated["id"].as_str().unwrap()]);

    for arguments in [
        &["key", "list"][..],
        &["key", "list", "--tenant", "acme"],
        &["bucket", "list"],
        &["bucket", "list", "--tenant", "nobody"],
        &["space", "get", "--bucket", "demo"],
        &["space", "get", "--namespace", "demo", "--tenant", "acme"],
        &["limits", "list"],
        &["stats"],
        &["stuck"],
    ] {
        assert_eq!(far(arguments), place.json(arguments), "{arguments:?}");
        let (there, here) = (run(&admin, Some(token), arguments), place.run(arguments));
        assert_eq!(text(&there.stdout), text(&here.stdout), "{arguments:?}");
    }
    assert_eq!(far(&["stats"])["total"]["saved_bytes"], 8);
    assert_eq!(far(&["bucket", "create", "empty"])["tenant"], "ops");
    assert_eq!(far(&["bucket", "delete", "empty"]), json!({ "name": "empty", "deleted": true }));
    server.stop();
}

/// A target is declared, changed in part, tested and removed; without a server the command says what it needs.
#[tokio::test]
async fn event_targets_are_kept_over_the_admin_api() {
    let place = Place::new();
    let (server, admin, token) = administered(&place);
    let token = token.as_str();
    let far = |arguments: &[&str]| json_of(&admin, token, arguments);
    // Nothing listens there.
    let hook = ["events", "set", "hooks", "--endpoint", "http://127.0.0.1:9/", "--allow-private"];
    let secret = place.file("secret");
    std::fs::write(&secret, "a secret of this very test\n").unwrap();
    let made = far(&[
        &hook[..],
        &["--secret-file", secret.to_str().unwrap(), "--tenants", "acme, ops", "--keep", "2h"],
    ]
    .concat());
    assert_eq!(
        (&made["signed"], &made["tenants"], &made["keep_seconds"]),
        (&json!(true), &json!(["acme", "ops"]), &json!(7200))
    );
    // What is not named stays, the secret, too.
    let changed = far(&["events", "set", "hooks", "--timeout", "3s", "--paused", "--tenants", "all"]);
    for (name, value) in [
        ("url", json!("http://127.0.0.1:9/")),
        ("signed", json!(true)),
        ("tenants", json!(null)),
        ("keep_seconds", json!(7200)),
        ("timeout_seconds", json!(3)),
        ("paused", json!(true)),
        ("allow_private", json!(true)),
    ] {
        assert_eq!(changed[name], value, "{name}: {changed}");
    }
    assert_eq!(far(&["events", "set", "hooks", "--no-secret", "--paused", "false"])["signed"], false);
    let all = far(&["events", "status"]);
    assert_eq!(
        (&all[0]["name"], &all[0]["waiting"], &all[0]["lag_seconds"]),
        (&json!("hooks"), &json!(0), &json!(0.0))
    );
    assert_eq!(
        far(&["events", "replay", "hooks", "--from-time", "2027-01-01T00:00:00Z"]),
        json!({ "replayed": 0 })
    );
    assert_eq!(far(&["events", "aside"]), json!({ "aside": [], "more": false }));
    let run = |arguments: &[&str]| run(&admin, Some(token), arguments);
    let table = text(&run(&["events", "status"]).stdout);
    assert!(table.contains("hooks   webhook  http://127.0.0.1:9/  0        0 s"), "{table}");
    for (arguments, words) in [
        (&["events", "test", "hooks"][..], "was not delivered"),
        (&["events", "retry", "hooks"], "no event is put aside"),
        (&["events", "set", "new"], "--endpoint is required"),
        (&["events", "status", "none"], "target"),
        (&["events", "set", "hooks", "--endpoint", "http://169.254.169.254/"], "169.254.169.254"),
    ] {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.contains(words)), (Some(1), true), "{arguments:?}: {said}");
    }
    assert_eq!(far(&["events", "remove", "hooks"]), json!({ "discarded": 0 }));
    // NATS, as docs/events.md has it, with a secret as short as tokens may be.
    std::fs::write(&secret, "a-token\n").unwrap();
    let bus = [
        "events",
        "set",
        "bus",
        "--kind",
        "nats",
        "--endpoint",
        "tls://nats.example:4222",
        "--subject",
        "s3.events",
    ];
    let made = far(&[&bus[..], &["--secret-file", secret.to_str().unwrap()]].concat());
    assert_eq!((&made["arn"], &made["signed"]), (&json!("arn:juststorage:sqs::bus:nats"), &json!(true)));
    let changed = far(&["events", "set", "bus", "--taken-by", "server", "--paused"]);
    assert_eq!((&changed["subject"], &changed["taken_by"]), (&json!("s3.events"), &json!("server")));
    let refused = run(&["events", "set", "bus", "--subject", "s3.>"]);
    assert!(text(&refused.stderr).contains("subject"), "{}", text(&refused.stderr));
    let here = place.run(&["events", "status"]);
    assert_eq!((here.status.code(), text(&here.stderr).contains("JUSTSTORAGE_URL")), (Some(2), true));
    server.stop();
}

#[tokio::test]
async fn what_a_server_refuses_is_a_no_and_what_cannot_be_asked_is_said() {
    let place = Place::new();
    let server = place.serve(&["--auth", "required", "--admin-addr", "127.0.0.1:0"]);
    let admin = server.printed.iter().find_map(|line| line.strip_prefix("admin ")).unwrap().to_owned();
    let made = place.json(&["key", "create", "--kind", "api", "--tenant", "acme", "--rights", "read"]);
    let token = made["token"].as_str();
    let id = made["id"].as_str().unwrap();
    for (url, token, arguments, code, words) in [
        (&*admin, token, &["key", "revoke", id][..], 1, "the admin right is required"),
        (&admin, token, &["stuck"], 1, "the operator right is required"),
        (&admin, None, &["stats"], 1, "credentials are required"),
        (&admin, token, &["bucket", "delete", "nothing"], 1, "the bucket does not exist"),
        (&admin, token, &["gc"], 2, "JUSTSTORAGE_URL"),
        (&admin, token, &["key", "rotate-master"], 2, "JUSTSTORAGE_URL"),
        ("ftp://store", token, &["stats"], 2, "JUSTSTORAGE_URL"),
        // The first address has no admin API, and the second no listener.
        (&server.native, token, &["stats"], 3, "JUSTSTORAGE_ADMIN_ADDR"),
        ("http://127.0.0.1:1", token, &["stats"], 3, "http://127.0.0.1:1"),
    ] {
        let output = run(url, token, arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(!said.contains(token.unwrap_or("\0")), "a token shows: {said}");
    }
    server.stop();
    // Where authentication is disabled, no token is needed.
    let server = place.serve(&[]);
    assert!(run(&server.native, None, &["bucket", "create", "open"]).status.success());
    assert!(run(&server.native, None, &["stuck"]).status.success());
    server.stop();
}
