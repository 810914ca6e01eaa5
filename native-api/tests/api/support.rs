//! A server without a socket: the router over a store in a temporary directory.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use juststorage_core::application::access::{Access, AuthMode, NewKey, NewKeyRequest};
use juststorage_core::application::admin::{Admin, Events};
use juststorage_core::application::commit::CommitterTasks;
use juststorage_core::application::ports::clock::Clock;
use juststorage_core::application::ports::metadata::{Credential, CredentialKind, MetadataStore, WriterId};
use juststorage_core::application::workers::Board;
use juststorage_core::domain::address::{KeyPrefix, Tenant};
use juststorage_core::domain::principal::{NamespacePattern, Rights};
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::testing::local::Local;
use juststorage_core::testing::secrets::Watch;
pub(crate) use juststorage_core::testing::segments::noise;
use juststorage_native_api::{Build, NativeApi, Origins, S3Endpoint, Surface};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

/// A clock that stands still, at 2023-11-14T22:13:20Z.
struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

pub(crate) struct Server {
    pub(crate) router: Router,
    /// What the router is over.
    pub(crate) api: NativeApi,
    /// What its administration tells of.
    pub(crate) events: Events,
    pub(crate) access: Access,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) folder: TempDir,
    /// Over the log: a secret that is handed to it must not show there.
    pub(crate) watch: Watch,
    // Its tasks end with it.
    _tasks: CommitterTasks,
}

impl Server {
    /// Without authentication, as on loopback.
    pub(crate) async fn open() -> Self {
        Self::with(AuthMode::Disabled).await
    }

    pub(crate) async fn with(mode: AuthMode) -> Self {
        Self::over(None, mode, &Origins::None).await
    }

    /// With pages of other origins that may make the calls of clients.
    pub(crate) async fn for_pages(mode: AuthMode, origins: &Origins) -> Self {
        Self::over(None, mode, origins).await
    }

    /// As [`Self::open`], over PostgreSQL.
    pub(crate) async fn on_postgres() -> Self {
        Self::on_postgres_with(AuthMode::Disabled).await
    }

    /// As [`Self::with`], over PostgreSQL.
    pub(crate) async fn on_postgres_with(mode: AuthMode) -> Self {
        let url = juststorage_core::testing::postgres::shared().create_database();
        Self::over(Some(url), mode, &Origins::None).await
    }

    /// Over the database at `url`, or over SQLite.
    async fn over(url: Option<String>, mode: AuthMode, origins: &Origins) -> Self {
        let watch = Watch::begin();
        let folder = TempDir::new().unwrap();
        watch.made(&Local::master());
        let url = url.unwrap_or_else(|| format!("sqlite://{}", folder.path().join("metadata.db").display()));
        let Local { store, access, metadata, tasks } =
            Local::open_on(&url, folder.path(), Arc::new(StillClock), mode, None).await;
        let metrics = Arc::new(|| "activestorage_test 1\n".to_owned());
        let (board, events) = (Board::default(), Events::default());
        let admin = Admin::new(store.clone(), access.clone())
            .with_workers(board, WriterId(Uuid::nil()))
            .with_events(events.clone());
        let build = Build { version: "1.2.3", commit: Some("abc"), date: None };
        let s3 = S3Endpoint { url: None, port: 9000, tls: false, region: "us-east-1".to_owned() };
        let api = NativeApi {
            store,
            access: access.clone(),
            admin,
            build,
            tls: false,
            s3: Some(s3),
            origins: origins.clone(),
            metrics,
        };
        // As a server on loopback is.
        let disabled = mode == AuthMode::Disabled;
        let surface = Surface { admin: true, open_metrics: disabled, guarded: disabled };
        let router = juststorage_native_api::router(api.clone(), surface);
        Self { router, api, events, access, metadata, folder, watch, _tasks: tasks }
    }

    /// Sends a request, to the host that it names if it names one.
    pub(crate) async fn raw(&self, mut request: Request<Body>) -> Response {
        let host = http::HeaderValue::from_static("localhost");
        request.headers_mut().entry(http::header::HOST).or_insert(host);
        self.as_it_stands(request).await
    }

    /// Sends a request as it stands.
    pub(crate) async fn as_it_stands(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.raw(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// `GET path` for the tenant `acme`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(call("GET", path).body(Body::empty()).unwrap()).await
    }

    /// Writes `bytes` to `key` in `models/acme`.
    pub(crate) async fn put(&self, key: &str, bytes: impl Into<Body>) -> Answer {
        self.send(post().header("X-Key", key.as_bytes()).body(bytes.into()).unwrap()).await
    }

    /// Sends JSON for the tenant `acme`.
    pub(crate) async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = call(method, path).header("Content-Type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Makes a key of `tenant` and returns its token.
    pub(crate) async fn token(&self, tenant: &str, rights: &str, namespaces: Option<&[&str]>) -> String {
        let namespaces =
            namespaces.map(|names| names.iter().map(|name| NamespacePattern::parse(name).unwrap()).collect());
        let request = NewKeyRequest {
            kind: CredentialKind::Api,
            tenant: Tenant::new(tenant).unwrap(),
            namespaces,
            prefixes: None,
            rights: Rights::parse(rights).unwrap(),
            description: String::new(),
            expires_at: None,
        };
        self.key(request).await
    }

    /// Makes a key of `tenant` that is bound to prefixes of keys, and returns its token.
    pub(crate) async fn bound(&self, tenant: &str, rights: &str, prefixes: &[&str]) -> String {
        let request = NewKeyRequest {
            kind: CredentialKind::Api,
            tenant: Tenant::new(tenant).unwrap(),
            namespaces: None,
            prefixes: Some(prefixes.iter().map(|prefix| KeyPrefix::new(prefix).unwrap()).collect()),
            rights: Rights::parse(rights).unwrap(),
            description: String::new(),
            expires_at: None,
        };
        self.key(request).await
    }

    /// Binds the key of `token` to other prefixes, as a bootstrap file may.
    pub(crate) async fn bind(&self, token: &str, prefixes: &[&str]) {
        let keys = self.metadata.list_credentials(None).await.unwrap();
        let found = keys.into_iter().find(|key| token["js_".len()..].starts_with(&key.lookup)).unwrap();
        let prefixes = Some(prefixes.iter().map(|prefix| KeyPrefix::new(prefix).unwrap()).collect());
        assert!(self.metadata.restate_credential(&Credential { prefixes, ..found }).await.unwrap());
        // A revocation makes this process forget what it looked up.
        self.token("acme", "read", None).await;
        let last = self.access.list_keys(None).await.unwrap().pop().unwrap();
        self.access.revoke_key(last.id).await.unwrap();
    }

    /// Makes an API key and returns its token.
    pub(crate) async fn key(&self, request: NewKeyRequest) -> String {
        match self.access.create_key(request).await.unwrap() {
            NewKey::Api { token, .. } => {
                self.watch.made(&token);
                token
            }
            NewKey::S3 { .. } => panic!("asked for an API key"),
        }
    }
}

/// Makes two tests of a story about a server: over SQLite, and over PostgreSQL.
#[macro_export]
macro_rules! on_both {
    ($story:ident) => {
        mod $story {
            #[tokio::test]
            async fn on_sqlite() {
                super::$story($crate::support::Server::open().await).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                super::$story($crate::support::Server::on_postgres().await).await;
            }
        }
    };
}

/// A request for the tenant `acme`.
pub(crate) fn call(method: &str, path: &str) -> http::request::Builder {
    bare(method, path).header("X-Tenant", "acme")
}

/// A request that says nothing of its own.
pub(crate) fn bare(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path)
}

/// `POST /v1/objects` to `models/acme`.
pub(crate) fn post() -> http::request::Builder {
    call("POST", "/v1/objects").header("X-Namespace", "models")
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        std::str::from_utf8(self.headers.get(name).map_or(b"", |value| value.as_bytes())).unwrap()
    }

    /// The answer without what differs from request to request: status, names of headers, body.
    pub(crate) fn shape(&self) -> (u16, Vec<String>, Option<Value>) {
        let mut headers: Vec<_> = self.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        (self.status.as_u16(), headers, serde_json::from_slice(&self.body).ok())
    }

    /// The body as JSON, of an answer with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        serde_json::from_slice(&self.body).unwrap()
    }

    /// That the answer is a well-formed problem with this status, code and field.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str, field: Option<&str>) {
        let problem = self.json(status);
        assert!(juststorage_native_api::problem::is_known(code), "{code} is not listed in problem::CODES");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("urn:juststorage:problem:{code}"));
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert_eq!(problem.get("field").and_then(Value::as_str), field, "{problem}");
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        self
    }
}
