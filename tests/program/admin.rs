//! Administration of a running server: its address, its walls against browsers, what it tells and what it does.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Place, Server};

/// How long a worker may take that was called.
const SOON: Duration = Duration::from_secs(30);

async fn status(http: &Client, url: String, token: Option<&str>) -> StatusCode {
    let request = token.into_iter().fold(http.get(url), reqwest::RequestBuilder::bearer_auth);
    request.send().await.unwrap().status()
}

async fn read(http: &Client, url: String, token: &str) -> Value {
    let answer = http.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

fn token(place: &Place, tenant: &str, rights: &str) -> String {
    let made = place.json(&["key", "create", "--kind", "api", "--tenant", tenant, "--rights", rights]);
    made["token"].as_str().unwrap().to_owned()
}

/// The address of administration, as the server printed it.
fn admin_of(server: &Server) -> String {
    server.printed.iter().find_map(|line| line.strip_prefix("admin ")).expect("an address").to_owned()
}

#[tokio::test]
async fn administration_has_an_address_of_its_own() {
    let place = Place::new();
    let server = place.serve(&["--auth", "required", "--admin-addr", "127.0.0.1:0"]);
    let (http, admin) = (Client::new(), admin_of(&server));
    let operator = token(&place, "default", "read,operator");
    for path in ["/metrics", "/v1/admin/whoami", "/v1/admin/workers"] {
        let native = format!("{}{path}", server.native);
        assert_eq!(status(&http, native, Some(&operator)).await, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(status(&http, format!("{admin}{path}"), Some(&operator)).await, StatusCode::OK, "{path}");
    }
    // Who reaches that address may measure, and no more.
    assert_eq!(status(&http, format!("{admin}/metrics"), None).await, StatusCode::OK);
    assert_eq!(status(&http, format!("{admin}/v1/admin/whoami"), None).await, StatusCode::UNAUTHORIZED);
    let usage = "/v1/usage?tenant=default";
    for address in [&server.native, &admin] {
        assert_eq!(status(&http, format!("{address}{usage}"), Some(&operator)).await, StatusCode::OK);
    }
    let me = read(&http, format!("{admin}/v1/admin/whoami"), &operator).await;
    assert_eq!(me["server"]["version"], env!("CARGO_PKG_VERSION"));
    server.stop();
}

#[tokio::test]
async fn metrics_take_a_right_where_credentials_are_required() {
    let place = Place::new();
    let server = place.serve(&["--auth", "required"]);
    let (http, metrics) = (Client::new(), format!("{}/metrics", server.native));
    assert_eq!(status(&http, metrics.clone(), None).await, StatusCode::UNAUTHORIZED);
    for (rights, expected) in [
        ("read,write,delete,admin", StatusCode::FORBIDDEN),
        ("metrics", StatusCode::OK),
        ("operator", StatusCode::OK),
    ] {
        let token = token(&place, "acme", rights);
        assert_eq!(status(&http, metrics.clone(), Some(&token)).await, expected, "{rights}");
    }
    server.stop();
}

/// As a browser of this machine would send it for a page of any origin.
#[tokio::test]
async fn a_page_of_another_origin_reaches_nothing_on_loopback() {
    let place = Place::new();
    let server = place.serve(&[]);
    let http = Client::new();
    let bucket = || http.post(format!("{}/v1/admin/buckets", server.native));
    let body = json!({ "name": "made-by-a-page" });
    for (request, expected) in [
        (bucket().json(&body).header("Host", "evil.example"), StatusCode::MISDIRECTED_REQUEST),
        (bucket().json(&body).header("Origin", "http://evil.example"), StatusCode::FORBIDDEN),
        (bucket().json(&body).header("Sec-Fetch-Site", "cross-site"), StatusCode::FORBIDDEN),
        (bucket().body(body.to_string()).header("Content-Type", "text/plain"), StatusCode::FORBIDDEN),
        (
            http.get(format!("{}/metrics", server.native)).header("Host", "evil.example"),
            StatusCode::MISDIRECTED_REQUEST,
        ),
    ] {
        assert_eq!(request.send().await.unwrap().status(), expected);
    }
    let listed = http.get(format!("{}/v1/admin/buckets", server.native)).send().await.unwrap();
    assert_eq!(listed.json::<Value>().await.unwrap()["buckets"], json!([]));
    let own = bucket().json(&body).header("Origin", &server.native).header("Sec-Fetch-Site", "same-origin");
    assert_eq!(own.send().await.unwrap().status(), StatusCode::CREATED);
    server.stop();

    // Who lets other machines in, or says so, lets pages in too.
    let server = place.serve(&["--insecure"]);
    let usage = http.get(format!("{}/v1/usage", server.native)).header("Host", "store.example");
    assert_eq!(usage.send().await.unwrap().status(), StatusCode::OK);
    server.stop();
}

#[tokio::test]
async fn workers_run_when_they_are_called_and_events_tell() {
    let place = Place::new();
    let server = place.serve(&["--auth", "required", "--scrub-every", "0s"]);
    let (http, operator) = (Client::new(), token(&place, "default", "operator"));
    let owner = token(&place, "acme", "read,write,admin");
    let object = format!("{}/v1/objects/by-key/models/acme/k", server.native);
    let put = http.put(&object).bearer_auth(&owner).body("bytes").send().await.unwrap();
    assert_eq!(put.status(), StatusCode::CREATED);
    assert_eq!(status(&http, object, None).await, StatusCode::UNAUTHORIZED);

    // By itself no pass begins here.
    let workers = format!("{}/v1/admin/workers", server.native);
    assert_eq!(read(&http, workers.clone(), &operator).await["scrub"], Value::Null);
    let run = http.post(format!("{workers}/scrub/run")).bearer_auth(&operator).send().await.unwrap();
    assert_eq!(run.status(), StatusCode::ACCEPTED);
    assert_eq!(run.json::<Value>().await.unwrap(), json!({ "name": "scrub", "woken": true }));
    let finished = async {
        loop {
            let shown = read(&http, workers.clone(), &operator).await;
            if shown["scrub"]["finished_at"].is_string() {
                return shown;
            }
        }
    };
    let shown = tokio::time::timeout(SOON, finished).await.expect("the scrubber heard nothing");
    assert_eq!((&shown["scrub"]["number"], &shown["scrub"]["blobs"]), (&json!(1), &json!(1)));
    let scrub = shown["workers"].as_array().unwrap().iter().find(|one| one["name"] == "scrub").unwrap();
    assert!(scrub["last_success_at"].is_string() && scrub["last_error"].is_null(), "{scrub}");
    assert!(shown["server"].is_string());

    let usage = read(&http, format!("{}/v1/admin/usage", server.native), &operator).await;
    let volumes: Vec<_> =
        usage["volumes"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(volumes, ["hot", "cold", "database"]);
    assert!(usage["volumes"][0]["free_bytes"].as_u64().unwrap() > 0, "{usage}");

    // An event is told once its answer has ended, which the client may know first.
    let told = async |path: &str, token: &str| {
        let told = async {
            loop {
                let page = read(&http, format!("{}/v1/admin/events{path}", server.native), token).await;
                if page["events"] != json!([]) {
                    return page["events"].as_array().unwrap().clone();
                }
            }
        };
        tokio::time::timeout(SOON, told).await.expect("no event")
    };
    let events = told("", &owner).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["method"], &events[0]["result"]), (&json!("PUT"), &json!("done")));
    assert_eq!((&events[0]["from"], &events[0]["tenant"]), (&json!("127.0.0.1"), &json!("acme")));
    let denied = told("?result=denied", &operator).await;
    assert_eq!((&denied[0]["status"], &denied[0]["principal"]), (&json!(401), &Value::Null));
    server.stop();
}
