//! The audit log: one line for each request that changes something or was denied, and none for any other.

use std::collections::HashMap;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::Place;

/// What one line says.
type Line = HashMap<String, String>;

/// Reads `name="some text" other=text …`.
fn fields(mut rest: &str) -> Line {
    let mut fields = Line::new();
    while let Some((name, behind)) = rest.split_once('=') {
        let (value, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => behind.split_once(' ').unwrap_or((behind, "")),
        };
        fields.insert(name.trim().to_owned(), value.to_owned());
        rest = next;
    }
    fields
}

/// The audit lines of a server that has ended, by their request's id: exactly one for each.
fn lines(place: &Place) -> HashMap<String, Line> {
    let log = std::fs::read_to_string(place.file("server.log")).unwrap();
    let mut lines = HashMap::new();
    for line in log.lines().filter_map(|line| Some(fields(line.split_once(" INFO audit: ")?.1))) {
        let id = line["request_id"].clone();
        assert!(lines.insert(id, line).is_none(), "two lines for one request");
    }
    lines
}

struct Asked {
    http: reqwest::Client,
    native: String,
}

impl Asked {
    /// Sends a request under a name of the test's own.
    async fn send(&self, id: &str, method: &str, path: &str, token: Option<&str>) -> StatusCode {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.native) };
        let request = self.http.request(method.parse().unwrap(), url).header("X-Request-Id", id).body("x");
        let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        request.send().await.unwrap().status()
    }
}

#[tokio::test]
async fn what_changes_or_is_denied_leaves_one_line() {
    let place = Place::new();
    let server = place.serve(&["--auth", "required"]);
    let key = |arguments: &[&str]| place.json(&[&["key", "create"], arguments].concat());
    let owner = key(&["--kind", "api", "--tenant", "acme"]);
    let reader = key(&["--kind", "api", "--tenant", "acme", "--rights", "read"]);
    let stranger = key(&["--kind", "api", "--tenant", "evil"]);
    let [owner_token, reader_token, stranger_token] =
        [&owner, &reader, &stranger].map(|key| key["token"].as_str().unwrap());
    let asked = Asked { http: reqwest::Client::new(), native: server.native.clone() };
    let path = "/v1/objects/by-key/n/acme/k";
    assert_eq!(asked.send("put", "PUT", path, Some(owner_token)).await, 201);
    assert_eq!(asked.send("get", "GET", path, Some(owner_token)).await, 200);
    assert_eq!(asked.send("nothing", "GET", "/v1/objects/by-key/n/acme/none", Some(owner_token)).await, 404);
    assert_eq!(asked.send("nobody", "GET", path, None).await, 401);
    assert_eq!(asked.send("forged", "PUT", path, Some(&format!("{owner_token}x"))).await, 401);
    assert_eq!(asked.send("reader", "DELETE", path, Some(reader_token)).await, 403);
    assert_eq!(asked.send("stranger", "GET", path, Some(stranger_token)).await, 404);
    assert_eq!(asked.send("query", "PUT", &format!("{path}?x=hush"), Some(owner_token)).await, 201);
    assert_eq!(asked.send("health", "GET", "/health", None).await, 200);

    let presign = asked.http.post(format!("{}/v1/presign", server.native)).bearer_auth(owner_token);
    let body = json!({ "method": "PUT", "namespace": "n", "tenant": "acme", "key": "k" });
    let signed: Value = presign.json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(asked.send("url", "PUT", signed["url"].as_str().unwrap(), None).await, 201);

    let s3 = server.s3();
    s3.create_bucket().bucket("demo").send().await.unwrap();
    s3.put_object().bucket("demo").key("k").body(vec![1].into()).send().await.unwrap();
    s3.get_object().bucket("demo").key("k").send().await.unwrap();
    server.s3_as("juststorage", "wrong").put_object().bucket("demo").key("k").send().await.unwrap_err();

    place.json(&["limits", "set", "evil", "--objects", "0"]);
    let own = |key: &str| format!("/v1/objects/by-key/n/evil/{key}");
    // Felt within a second; each of them is a new object.
    for tries in 0.. {
        let name = format!("try-{tries}");
        if asked.send(&name, "PUT", &own(&name), Some(stranger_token)).await == 429 {
            break;
        }
    }
    assert_eq!(asked.send("quota", "PUT", &own("k"), Some(stranger_token)).await, 429);
    server.stop();

    let lines = lines(&place);
    let id = |key: &Value| key["id"].as_str().unwrap().to_owned();
    let expect = |request: &str, result: &str, who: &str, tenant: &str, denied: &str, status: u16| {
        let line = lines.get(request).unwrap_or_else(|| panic!("no line for {request}: {lines:#?}"));
        let status = status.to_string();
        for (field, expected) in [
            ("result", result),
            ("who", who),
            ("tenant", tenant),
            ("denied", denied),
            ("status", &status),
            ("front", "native"),
        ] {
            assert_eq!(line[field], expected, "{field} of {line:?}");
        }
        let from: std::net::SocketAddr = line["from"].parse().unwrap();
        assert!(from.ip().is_loopback(), "{line:?}");
        assert!(!line["path"].contains('?'), "{line:?}");
    };
    expect("put", "done", &id(&owner), "acme", "-", 201);
    expect("nobody", "denied", "-", "-", "-", 401);
    expect("forged", "denied", "-", "-", "-", 401);
    expect("reader", "denied", &id(&reader), "acme", "delete", 403);
    expect("stranger", "denied", &id(&stranger), "evil", "out of sight", 404);
    expect("query", "done", &id(&owner), "acme", "-", 201);
    // The part of the maker's token that it is looked up by, which is no secret.
    let maker = format!("url:k.{}", &owner_token["js_".len()..][..12]);
    expect("url", "done", &maker, "acme", "-", 201);
    expect("quota", "denied", &id(&stranger), "evil", "quota", 429);
    for quiet in ["get", "nothing", "health"] {
        assert!(!lines.contains_key(quiet), "{quiet} changed nothing and was not denied: {lines:#?}");
    }
    let of_s3 = |operation: &str, result: &str| {
        let found = lines.values().find(|line| line["operation"] == operation && line["result"] == result);
        found.unwrap_or_else(|| panic!("no line for {operation}, {result}: {lines:#?}")).clone()
    };
    let put = of_s3("PutObject", "done");
    assert_eq!([&put["who"], &put["front"], &put["path"]], ["root", "s3", "/demo/k"]);
    assert_eq!(of_s3("PutObject", "denied")["status"], "403");
    of_s3("CreateBucket", "done");
    assert!(lines.values().all(|line| line["operation"] != "GetObject"), "{lines:#?}");
}
