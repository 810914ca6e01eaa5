//! A store that is set up from one file: by its server, and by `juststorage bootstrap`.

use std::process::Output;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Place, text};

const FILE: &str = r#"
[[tenant]]
name = "acme"
quota_bytes = "1MiB"

[[bucket]]
name = "demo"
versioning = true
public = "read"

[[bucket]]
name = "models"
tenant = "acme"
[[bucket.lifecycle.rules]]
id = "old"
expiration = { days = 30 }

[[credential]]
kind = "s3"
tenant = "acme"
namespaces = ["models"]
prefixes = ["k", "large"]
rights = ["read", "write"]
access_key = "ACMEMODELS"
secret_key_file = "acme.secret"

[[credential]]
kind = "api"
tenant = "acme"
token_env = "ACME_TOKEN"
"#;

const SECRET: &str = "hush-hush-hush-hush";
const TOKEN: &str = "js_0123456789abHUSHhushhushhushhushhushhushhush";

fn place() -> Place {
    let place = Place::new();
    std::fs::write(place.file("bootstrap.toml"), FILE).unwrap();
    std::fs::write(place.file("acme.secret"), format!("{SECRET}\n")).unwrap();
    place
}

fn serve(place: &Place) -> crate::harness::Server {
    let mut command = place.program(&["--auth", "required", "--bootstrap", "bootstrap.toml"]);
    command.env("ACME_TOKEN", TOKEN);
    place.start(command)
}

fn bootstrap(place: &Place, arguments: &[&str]) -> Output {
    let arguments = [&["bootstrap", "--bootstrap", "bootstrap.toml"], arguments].concat();
    let output = place.program(&arguments).env("ACME_TOKEN", TOKEN).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!said.contains(SECRET) && !said.contains(TOKEN), "{said}");
    output
}

/// What it found, by entry and field.
fn findings(output: &Output) -> Vec<(String, String)> {
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let finding = |found: &Value| {
        let field = if found["field"].is_null() { "state" } else { "field" };
        (format!("{} {}", text(&found["kind"]), text(&found["name"])), text(&found[field]))
    };
    printed["findings"].as_array().unwrap().iter().map(finding).collect()
}

fn pair(entry: &str, field: &str) -> (String, String) {
    (entry.to_owned(), field.to_owned())
}

#[tokio::test]
async fn a_server_sets_its_store_up_before_it_is_ready() {
    let place = place();
    let server = serve(&place);
    // Its first request finds everything there.
    let s3 = server.s3_as("ACMEMODELS", SECRET);
    s3.put_object().bucket("models").key("k").body(b"bytes".to_vec().into()).send().await.unwrap();
    assert!(s3.put_object().bucket("demo").key("k").send().await.is_err(), "of another tenant");
    assert!(s3.put_object().bucket("models").key("other").send().await.is_err(), "outside its prefixes");
    let versioning = server.s3().get_bucket_versioning().bucket("demo").send().await.unwrap();
    assert_eq!(versioning.status().unwrap().as_str(), "Enabled");
    server.s3().put_object().bucket("demo").key("page").body(b"seen".to_vec().into()).send().await.unwrap();
    let seen = reqwest::get(format!("{}/demo/page", server.s3)).await.unwrap();
    assert_eq!((seen.status(), &*seen.text().await.unwrap()), (StatusCode::OK, "seen"));
    let usage = reqwest::Client::new().get(format!("{}/v1/usage", server.native)).bearer_auth(TOKEN);
    assert_eq!(usage.send().await.unwrap().status(), StatusCode::OK);
    let large = s3.put_object().bucket("models").key("large").body(vec![0; 2 << 20].into()).send().await;
    assert!(large.is_err(), "over the quota");

    let check = bootstrap(&place, &["--check", "--json"]);
    assert_eq!((check.status.code(), findings(&check)), (Some(0), vec![]), "{}", text(&check.stderr));
    server.stop();
    // A second start makes nothing, and finds nothing to say.
    serve(&place).stop();
    let log = std::fs::read_to_string(place.file("server.log")).unwrap();
    assert_eq!(log.matches("made as the bootstrap file says").count(), 5, "{log}");
    assert!(!log.contains("not as the bootstrap file says") && !log.contains(SECRET) && !log.contains(TOKEN));
}

#[tokio::test]
async fn what_changed_since_is_told_and_stays_until_it_is_asked_for() {
    let place = place();
    serve(&place).stop();
    let keys = place.json(&["key", "list", "--tenant", "acme"]);
    let id = |kind: &str| {
        let found = keys.as_array().unwrap().iter().find(|key| key["kind"] == kind).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    place.json(&["limits", "set", "acme", "--bytes", "2MiB"]);
    place.json(&["space", "set", "--bucket", "demo", "--versioning", "suspended", "--policy", "none"]);
    place.json(&[
        "space",
        "set",
        "--bucket",
        "models",
        "--lifecycle",
        r#"{"rules":[{"id":"new","expiration":{"days":1}}]}"#,
    ]);
    place.json(&["key", "revoke", &id("api")]);
    std::fs::write(place.file("acme.secret"), "another-secret-of-it").unwrap();
    std::fs::write(place.file("bootstrap.toml"), FILE.replace(r#"["k", "large"]"#, r#"["k"]"#)).unwrap();

    let drift = vec![
        pair("tenant acme", "quota_bytes"),
        pair("credential ACMEMODELS", "prefixes"),
        pair("credential ACMEMODELS", "secret_key"),
        pair("credential 0123456789ab", "revoked_at"),
        pair("bucket demo", "versioning"),
        pair("bucket demo", "policy"),
        pair("bucket models", "lifecycle"),
    ];
    for _ in 0..2 {
        let check = bootstrap(&place, &["--check", "--json"]);
        assert_eq!((check.status.code(), findings(&check)), (Some(1), drift.clone()));
    }
    let made = bootstrap(&place, &["--json"]);
    assert_eq!((made.status.code(), findings(&made)), (Some(0), drift.clone()), "{}", text(&made.stderr));
    // A server tells each in a line, and starts all the same.
    serve(&place).stop();
    let log = std::fs::read_to_string(place.file("server.log")).unwrap();
    assert_eq!(log.matches("the store is not as the bootstrap file says").count(), drift.len(), "{log}");
    let kept = place.json(&["limits", "list"]);
    assert_eq!(kept[0]["quota_bytes"], 2 << 20);

    let applied = bootstrap(&place, &["--apply", "--json"]);
    let printed: Value = serde_json::from_slice(&applied.stdout).unwrap();
    let changed = printed["findings"].as_array().unwrap().iter().filter(|found| found["state"] == "changed");
    assert_eq!((applied.status.code(), changed.count()), (Some(1), 6), "{printed}");
    assert_eq!(place.json(&["limits", "list"])[0]["quota_bytes"], 1 << 20);
    let space = place.json(&["space", "get", "--bucket", "demo"]);
    assert_eq!(space["settings"]["versioning"], json!({ "status": "enabled" }));
    assert!(space["settings"]["policy"]["Statement"].is_array(), "{space}");
    // What was revoked stays so.
    let check = bootstrap(&place, &["--check", "--json"]);
    assert_eq!(findings(&check), [pair("credential 0123456789ab", "revoked_at")]);
    let server = serve(&place);
    let s3 = server.s3_as("ACMEMODELS", "another-secret-of-it");
    s3.put_object().bucket("models").key("k").send().await.unwrap();
    server.stop();
}

/// Every entry is judged before the first is made: also what only the store knows.
#[test]
fn nothing_is_made_of_a_file_with_a_wrong_entry() {
    let place = place();
    let wrong = |addition: &str, words: &[&str]| {
        std::fs::write(place.file("bootstrap.toml"), format!("{FILE}{addition}")).unwrap();
        let output = place
            .program(&["serve", "--bootstrap", "bootstrap.toml"])
            .env("ACME_TOKEN", TOKEN)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!said.contains(SECRET) && !said.contains(TOKEN), "{said}");
    };
    wrong(
        "[[bucket]]\nname = \"late\"\nversioning = 3",
        &["JUSTSTORAGE_BOOTSTRAP", "bootstrap.toml", "late", "versioning"],
    );
    assert!(!place.data().exists(), "nothing was opened");
    // The access key of the root credential.
    let root =
        "[[credential]]\nkind = \"s3\"\naccess_key = \"juststorage\"\nsecret_key_file = \"acme.secret\"";
    wrong(root, &["juststorage", "access_key", "root"]);
    let unknown = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::default:user/0199b3c8-0000-7000-8000-000000000000"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::late/*"}}"#;
    std::fs::write(place.file("late.json"), unknown).unwrap();
    wrong("[[bucket]]\nname = \"late\"\npolicy = \"late.json\"", &["late", "policy"]);
    assert_eq!(place.json(&["bucket", "list"]), json!([]));
    assert_eq!(place.json(&["key", "list"]), json!([]));
    assert_eq!(place.json(&["limits", "list"]), json!([]));
}
