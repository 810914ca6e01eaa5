//! The native API, called as a service would call it.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::Content;

/// What stays as it is in a key inside a path: RFC 3986's unreserved characters and the slash.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// `text` as it stands in a path.
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// A client of the native API that speaks for one tenant. Authentication is disabled on loopback addresses,
/// so the tenant is what the request says.
#[derive(Clone)]
pub struct Native {
    client: reqwest::Client,
    base: String,
    /// Whose objects these are.
    pub tenant: String,
}

impl Native {
    /// A client of the tenant that the root S3 key belongs to.
    pub fn new(base: &str) -> Self {
        Self::of(base, "default")
    }

    /// A client of `tenant`.
    pub fn of(base: &str, tenant: &str) -> Self {
        Self { client: reqwest::Client::new(), base: base.to_owned(), tenant: tenant.to_owned() }
    }

    /// A request to `path`, which begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).header("X-Tenant", &self.tenant)
    }

    /// The path of an object by its key.
    pub fn path(&self, namespace: &str, key: &str) -> String {
        format!("/v1/objects/by-key/{namespace}/{}/{}", self.tenant, escaped(key))
    }

    /// A `POST /v1/objects` for `key`, without its body.
    pub fn post(&self, namespace: &str, key: &str) -> RequestBuilder {
        self.request(Method::POST, "/v1/objects").header("X-Namespace", namespace).header("X-Key", key)
    }

    /// The request that stores `content` under `key`, or deletes what is there.
    pub fn change(&self, namespace: &str, key: &str, content: Option<Content>) -> RequestBuilder {
        match content {
            Some(content) => self.post(namespace, key).body(content.bytes()),
            None => self.request(Method::DELETE, &self.path(namespace, key)),
        }
    }

    /// Writes an object. Panics unless it is acknowledged; returns what the answer says of it.
    pub async fn put(&self, namespace: &str, key: &str, bytes: Bytes) -> Value {
        let answer = self.post(namespace, key).body(bytes).send().await.expect("an answer");
        json(answer, StatusCode::CREATED).await
    }

    /// Asks for an object by key.
    pub async fn get(&self, namespace: &str, key: &str) -> Response {
        self.request(Method::GET, &self.path(namespace, key)).send().await.expect("an answer")
    }

    /// An object's bytes. Panics unless there is one.
    pub async fn read(&self, namespace: &str, key: &str) -> Bytes {
        let answer = self.get(namespace, key).await;
        assert_eq!(answer.status(), StatusCode::OK, "get {key:?}");
        answer.bytes().await.expect("the whole body")
    }

    /// Deletes an object by key.
    pub async fn delete(&self, namespace: &str, key: &str) -> StatusCode {
        let answer = self.request(Method::DELETE, &self.path(namespace, key)).send().await;
        answer.expect("an answer").status()
    }

    /// The objects of a namespace, page after page of at most `limit`.
    pub async fn list(&self, namespace: &str, prefix: &str, limit: usize) -> Vec<Value> {
        let (mut objects, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut path = format!(
                "/v1/objects?namespace={namespace}&tenant={}&prefix={}&limit={limit}",
                self.tenant,
                escaped(prefix)
            );
            if let Some(cursor) = &cursor {
                path = format!("{path}&cursor={}", escaped(cursor));
            }
            let request = self.request(Method::GET, &path);
            let page = json(request.send().await.expect("an answer"), StatusCode::OK).await;
            objects.extend(page["objects"].as_array().expect("a list of objects").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return objects,
            }
        }
    }

    /// The value of a metric, summed over its labels. Zero where it was never set.
    pub async fn metric(&self, name: &str) -> f64 {
        let answer = self.request(Method::GET, "/metrics").send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "metrics");
        let text = answer.text().await.expect("text");
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// The JSON of an answer. Panics unless its status is `expected`.
pub async fn json(answer: Response, expected: StatusCode) -> Value {
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await.unwrap_or_default();
    assert_eq!(status, expected, "{url}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
}

/// The status and code of a refusal, whose body must be a problem document with a title and a code.
pub async fn problem(answer: Response) -> (u16, String, String) {
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let text = answer.text().await.expect("text");
    assert!(status >= 400, "{status}: {text}");
    assert!(kind.starts_with("application/problem+json"), "{status} {kind}: {text}");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let field = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    assert!(!field("title").is_empty() && !field("code").is_empty(), "{text}");
    (status, field("code"), text)
}
