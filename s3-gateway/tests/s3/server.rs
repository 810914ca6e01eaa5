//! The gateway in this process, over SQLite and local tiers in a temporary directory, on a free port; and
//! a client that sends exactly the bytes it is told to, signed by AWS's own signer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use juststorage_core::application::access::{Access, AuthMode, NewKey, NewKeyRequest, RootKey};
use juststorage_core::application::commit::CommitterTasks;
use juststorage_core::application::ports::metadata::CredentialKind;
use juststorage_core::application::store::Store;
use juststorage_core::domain::address::{KeyPrefix, Tenant};
use juststorage_core::domain::context::Origin;
use juststorage_core::domain::principal::Rights;
use juststorage_core::infrastructure::clock::SystemClock;
use juststorage_core::testing::local::Local;
use juststorage_core::testing::secrets::Watch;
use juststorage_s3_gateway::{Gateway, S3Gateway, service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is off unless an operator turns it on.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    /// Signature Version 2 is accepted.
    pub(crate) sigv2: bool,
    /// What ACLs grant counts.
    pub(crate) acls: bool,
    /// What answers call the gateway.
    pub(crate) public_url: Option<&'static str>,
    /// The gateway believes that it is reached over its own TLS.
    pub(crate) tls: bool,
}

/// The gateway behind a listener that knows where its requests come from.
#[derive(Clone)]
struct From {
    gateway: S3Gateway,
    origin: Origin,
}

impl<B> tower::Service<http::Request<B>> for From
where
    S3Gateway: tower::Service<http::Request<B>>,
{
    type Response = <S3Gateway as tower::Service<http::Request<B>>>::Response;
    type Error = <S3Gateway as tower::Service<http::Request<B>>>::Error;
    type Future = <S3Gateway as tower::Service<http::Request<B>>>::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.gateway.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.origin);
        self.gateway.call(request)
    }
}

/// A running gateway. Its files go with it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) access: Access,
    /// What lies behind the gateway.
    pub(crate) store: Store,
    /// Over the log: a secret that is handed to it must not show there.
    pub(crate) watch: Arc<Watch>,
    _tasks: CommitterTasks,
    accepting: tokio::task::JoinHandle<()>,
    _files: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

const ROOT: &str = "juststorage";
const ROOT_SECRET: &str = "the-root-secret-of-the-tests";

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// One with something that is off otherwise.
    pub(crate) async fn start_with(options: Options) -> Self {
        let watch = Arc::new(Watch::begin());
        let files = tempfile::tempdir().unwrap();
        let root = RootKey { access_key: ROOT.to_owned(), secret_key: ROOT_SECRET.to_owned() };
        watch.made(ROOT_SECRET);
        watch.made(&Local::master());
        let clock = Arc::new(SystemClock);
        let Local { store, access, tasks, .. } =
            Local::open(files.path(), clock, AuthMode::Required, Some(root)).await;
        let store = store.with_acls(options.acls);
        let gateway = service(Gateway {
            store: store.clone(),
            access: access.clone(),
            region: "us-east-1".to_owned(),
            public_url: options.public_url.map(str::to_owned),
            tls: options.tls,
            sigv2: options.sigv2,
            domain: Some("s3.test".to_owned()),
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let origin = Origin { address: Some(peer.ip()), secure: Some(options.tls) };
                let service = From { gateway: gateway.clone(), origin };
                let service = TowerToHyperService::new(service);
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, access, store, watch, _tasks: tasks, accepting, _files: files }
    }

    /// The root key's client.
    pub(crate) fn root(&self) -> Client {
        self.client(ROOT.to_owned(), ROOT_SECRET.to_owned())
    }

    /// A client with this key, whose secret must not show in the log.
    pub(crate) fn client(&self, access_key: String, secret_key: String) -> Client {
        self.watch.made(&secret_key);
        Client {
            address: self.address,
            watch: self.watch.clone(),
            access_key,
            secret_key,
            region: "eu-north-7",
        }
    }

    /// A fresh key's client, of `tenant`.
    pub(crate) async fn tenant(&self, tenant: &str, rights: &str) -> Client {
        self.key(tenant, rights, None).await
    }

    /// A fresh key's client that is bound to prefixes of keys.
    pub(crate) async fn bound(&self, tenant: &str, rights: &str, prefixes: &[&str]) -> Client {
        let prefixes = prefixes.iter().map(|prefix| KeyPrefix::new(prefix).unwrap()).collect();
        self.key(tenant, rights, Some(prefixes)).await
    }

    async fn key(&self, tenant: &str, rights: &str, prefixes: Option<Vec<KeyPrefix>>) -> Client {
        let request = NewKeyRequest {
            kind: CredentialKind::S3,
            tenant: Tenant::new(tenant).unwrap(),
            namespaces: None,
            prefixes,
            rights: Rights::parse(rights).unwrap(),
            description: String::new(),
            expires_at: None,
        };
        match self.access.create_key(request).await.unwrap() {
            NewKey::S3 { access_key, secret_key, .. } => self.client(access_key, secret_key),
            NewKey::Api { .. } => panic!("an S3 key was asked for"),
        }
    }
}

/// Sends signed requests, one connection each.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) watch: Arc<Watch>,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// What it signs for.
    pub(crate) region: &'static str,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The text of the first element of this name.
    pub(crate) fn xml(&self, element: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{element}>"))?;
        let (inner, _) = rest.split_once(&format!("</{element}>"))?;
        Some(inner.to_owned())
    }

    /// The texts of all elements of this name.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        self.text()
            .split(&open)
            .skip(1)
            .filter_map(|rest| rest.split_once(&close).map(|(inner, _)| inner.to_owned()))
            .collect()
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.xml("Code").unwrap_or_default())
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self
    }
}

/// A request to be signed and sent.
pub(crate) struct Call<'c> {
    client: &'c Client,
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    unsigned: Vec<(String, String)>,
    body: Vec<u8>,
    payload: Payload,
    length: Option<usize>,
    instead: Option<Vec<u8>>,
    at: SystemTime,
}

#[derive(Clone, Copy)]
enum Payload {
    Signed,
    Unsigned,
    Trailer,
}

impl Client {
    pub(crate) fn call(&self, method: &'static str, target: impl Into<String>) -> Call<'_> {
        Call {
            client: self,
            method,
            target: target.into(),
            headers: Vec::new(),
            unsigned: Vec::new(),
            body: Vec::new(),
            payload: Payload::Signed,
            length: None,
            instead: None,
            at: SystemTime::now(),
        }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.call("GET", target).send().await
    }

    pub(crate) async fn put(&self, target: &str, body: &[u8]) -> Answer {
        self.call("PUT", target).body(body).send().await
    }

    pub(crate) fn settings() -> SigningSettings {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings
    }

    /// The target with a presigned query for `method`.
    pub(crate) fn presign(&self, method: &str, target: &str) -> String {
        self.presign_at(method, target, SystemTime::now(), 60)
    }

    /// As [`Self::presign`], signed at another moment, and good for so many seconds.
    pub(crate) fn presign_at(&self, method: &str, target: &str, at: SystemTime, seconds: u64) -> String {
        let mut settings = Self::settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(std::time::Duration::from_secs(seconds));
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let url = format!("http://{}{target}", self.address);
        let mut request = http::Request::builder().method(method).uri(&url).body(()).unwrap();
        self.sign(&mut request, &[], SignableBody::UnsignedPayload, settings, at);
        request.uri().path_and_query().unwrap().to_string()
    }

    pub(crate) fn sign(
        &self,
        request: &mut http::Request<()>,
        headers: &[(String, String)],
        body: SignableBody<'_>,
        settings: SigningSettings,
        at: SystemTime,
    ) {
        let identity = Credentials::new(&self.access_key, &self.secret_key, None, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("s3")
            .time(at)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = request.uri().to_string();
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(request.method().as_str(), &uri, pairs, body).unwrap();
        let (instructions, signature) = sign(signable, &params).unwrap().into_parts();
        self.watch.made(&signature);
        instructions.apply_to_request_http1x(request);
    }
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header that the signature does not cover.
    pub(crate) fn unsigned_header(mut self, name: &str, value: &str) -> Self {
        self.unsigned.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(crate) fn unsigned_payload(mut self) -> Self {
        self.payload = Payload::Unsigned;
        self
    }

    /// Declares another length than the body has; the connection's sending half is closed behind it.
    pub(crate) fn length(mut self, length: usize) -> Self {
        self.length = Some(length);
        self
    }

    /// Sends these bytes in place of those that were signed; there must be as many.
    pub(crate) fn instead(mut self, body: impl AsRef<[u8]>) -> Self {
        self.instead = Some(body.as_ref().to_vec());
        self
    }

    /// Signs at another moment.
    pub(crate) fn at(mut self, moment: SystemTime) -> Self {
        self.at = moment;
        self
    }

    /// Sends the body as one aws-chunk without signature, with `trailer` lines behind it.
    pub(crate) fn chunked(mut self, announced: &str, trailer: &str) -> Self {
        let decoded = self.body.len();
        let mut framed = format!("{decoded:x}\r\n").into_bytes();
        if decoded > 0 {
            framed.extend_from_slice(&self.body);
            framed.extend_from_slice(b"\r\n0\r\n");
        }
        framed.extend_from_slice(trailer.as_bytes());
        framed.extend_from_slice(b"\r\n");
        self.body = framed;
        self.payload = Payload::Trailer;
        self.header("x-amz-decoded-content-length", &decoded.to_string())
            .header("x-amz-trailer", announced)
            .header("content-encoding", "aws-chunked")
    }

    pub(crate) async fn send(self) -> Answer {
        let host = self
            .headers
            .iter()
            .find(|(name, _)| name == "host")
            .map_or_else(|| self.client.address.to_string(), |(_, host)| host.clone());
        let url = format!("http://{host}{}", self.target);
        let mut request = http::Request::builder().method(self.method).uri(&url).body(()).unwrap();
        let headers: Vec<_> = self.headers.into_iter().filter(|(name, _)| name != "host").collect();
        let body = match self.payload {
            Payload::Signed => SignableBody::Bytes(&self.body),
            Payload::Unsigned => SignableBody::UnsignedPayload,
            Payload::Trailer => SignableBody::StreamingUnsignedPayloadTrailer,
        };
        let presigned = self.target.contains("X-Amz-Signature");
        if !presigned {
            self.client.sign(&mut request, &headers, body, Client::settings(), self.at);
        }
        let body = self.instead.as_ref().unwrap_or(&self.body);
        let mut lines = vec![
            format!("{} {} HTTP/1.1", self.method, self.target),
            format!("host: {host}"),
            "connection: close".to_owned(),
        ];
        if !body.is_empty() || self.length.is_some() || self.method == "PUT" {
            lines.push(format!("content-length: {}", self.length.unwrap_or(body.len())));
        }
        for (name, value) in request.headers() {
            lines.push(format!("{name}: {}", value.to_str().unwrap()));
        }
        lines.extend(headers.iter().chain(&self.unsigned).map(|(name, value)| format!("{name}: {value}")));
        let mut bytes = format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes();
        bytes.extend_from_slice(body);
        raw(self.client.address, &bytes, self.length.is_some()).await
    }
}

/// A request as a browser sends it: unsigned.
pub(crate) async fn unsigned(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    unsigned_with(address, method, target, headers, "").await
}

/// The same with a body.
pub(crate) async fn unsigned_with(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    raw(address, request.as_bytes(), false).await
}

/// Sends bytes as they are and reads the answer to its end.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8], shut: bool) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer before it has read everything.
    let _ = stream.write_all(bytes).await;
    if shut {
        stream.shutdown().await.unwrap();
    }
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    parse(&received)
}

fn parse(received: &[u8]) -> Answer {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer's head");
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = http::HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(
            http::HeaderName::try_from(name).unwrap(),
            http::HeaderValue::from_bytes(value.trim().as_bytes()).unwrap(),
        );
    }
    let mut body = received[end + 4..].to_vec();
    if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        body = unchunk(&body);
    }
    Answer { status, headers, body }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = &rest[at + 4 + size..];
    }
    body
}
