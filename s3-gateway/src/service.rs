//! The outer room: ids for every request, the allow-list, and answers finished as S3 finishes them.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::StreamExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Empty, Full};
use juststorage_core::application::metrics::NamespaceLabel;
use juststorage_core::application::request;
use juststorage_core::application::store::Store;
use juststorage_core::domain::invalid::Invalid;
use percent_encoding::percent_decode_str;
use s3s::S3Error;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use uuid::Uuid;

use crate::Gateway;
use crate::allowlist::{self, Level, Operation};
use crate::api::Api;
use crate::auth::chunks::Chunks;
use crate::auth::unsigned::{self, Digested};
use crate::auth::{self, Doorkeeper, Keys};
use crate::body::Failure;
use crate::bounded::{self, Bounded};
use crate::chunks::{self, Chunked};
use crate::errors::{self, Context, Refusal, bodiless};
use crate::location::Locations;
use crate::post::{self, Forms};
use crate::preflight::Asked;
use crate::route::Routes;
use crate::wire::{self, Documents};

#[cfg(feature = "testing")]
pub mod testing;

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer. An error ends it short: the connection must break then.
pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// Longest signed chunk of an upload, in bytes. SDKs send 64 to 128 KiB.
const SIGNED_CHUNK_BYTES_MAX: usize = 1 << 20;

/// The S3 front as a tower service over any HTTP body. Cheap to clone. It answers every request itself and
/// never fails; mount it as the fallback service of a listener of its own.
///
/// A request that carries `x-request-id` (as a layer in front sets it) keeps that id in
/// `x-amz-request-id` and in error bodies. Where the namespace is known, the answer carries a
/// [`NamespaceLabel`] among its extensions.
#[derive(Clone)]
pub struct S3Gateway {
    s3: S3Service,
    store: Store,
    forms: Arc<Forms>,
    domain: Option<Arc<str>>,
    host_id: Arc<str>,
}

/// The S3 front over `gateway`'s store. Refuses a domain that is none.
pub fn service(gateway: Gateway) -> Result<S3Gateway, Invalid> {
    let Gateway { store, access, region, domain, public_url, tls, sigv2 } = gateway;
    let domain = domain.map(|domain| check_domain(&domain)).transpose()?;
    let locations = Locations { public_url, tls, domain: domain.as_deref().map(str::to_owned) };
    let (api, shared) = (Api { store: store.clone(), region, locations }, store.clone());
    let documents = Documents { open: builder(api.clone(), false, domain.as_ref()).build() };
    let mut builder = builder(api.clone(), sigv2, domain.as_ref());
    // Without this call s3s would let everybody in.
    builder.set_auth(Keys(access.clone()));
    builder.set_access(Doorkeeper(store.clone()));
    builder.set_route(Routes { api: api.clone(), doorkeeper: Doorkeeper(store), documents });
    let host_id = Uuid::new_v4().simple().to_string().into();
    let forms = Arc::new(Forms { api, access, sigv2 });
    Ok(S3Gateway { s3: builder.build(), store: shared, forms, domain, host_id })
}

/// s3s as it is set here, without anybody at its door yet.
fn builder(api: Api, sigv2: bool, domain: Option<&Arc<str>>) -> S3ServiceBuilder {
    let mut config = S3Config::default();
    // Operations are told apart by method, path and query alone, as the allow-list does.
    config.operation_id_routing = false;
    // A signed chunk is kept until its signature is verified.
    config.aws_chunked_stream_max_chunk_size = SIGNED_CHUNK_BYTES_MAX;
    // Larger bodies are refused by core, which knows the limit.
    config.put_object_max_size = None;
    config.custom_route_max_body_size = None;
    config.sig_v4_allowed_services = vec!["s3".to_owned()];
    config.enable_sig_v2 = sigv2;
    // What is signed contains this header's value whether it is named or not, so that it cannot be swapped;
    // and it stands for a signed `Date` where a client sends no other.
    config.unsigned_amz_header_allowlist.push("x-amz-date".to_owned());
    // It may be one of ours ([`auth::resign`], which refuses an unsigned one of the client's).
    config.unsigned_amz_header_allowlist.push("x-amz-trailer".to_owned());
    let mut builder = S3ServiceBuilder::new(api);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    if let Some(domain) = domain {
        builder.set_host(Domain(domain.clone()));
    }
    builder
}

fn check_domain(domain: &str) -> Result<Arc<str>, Invalid> {
    let domain = domain.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if domain.split('.').all(label) && domain.parse::<std::net::IpAddr>().is_err() {
        return Ok(domain.into());
    }
    Err(Invalid::new("JUSTSTORAGE_S3_DOMAIN", "must be a domain name without scheme and port"))
}

/// The host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The bucket that a host names under `domain`.
pub(crate) fn bucket_of_host<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let host = without_port(host);
    let at = host.len().checked_sub(domain.len())?;
    let (bucket, rest) = host.split_at_checked(at)?;
    bucket.strip_suffix('.').filter(|bucket| !bucket.is_empty() && rest.eq_ignore_ascii_case(domain))
}

/// Virtual-host addresses: only hosts under the configured domain name buckets; all others are path-style.
struct Domain(Arc<str>);

impl S3Host for Domain {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> s3s::S3Result<VirtualHost<'a>> {
        Ok(match bucket_of_host(host, &self.0) {
            Some(bucket) => VirtualHost::new(&*self.0).with_bucket(bucket.to_ascii_lowercase()),
            None => VirtualHost::new(host),
        })
    }
}

/// What a request addresses, and the operation it selects.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) operation: &'static Operation,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
}

/// What the path of a request names, decoded. What is not UTF-8 is refused by s3s.
fn address(host: Option<&str>, domain: Option<&str>, path: &str) -> (Level, Option<String>, Option<String>) {
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let rest = path.strip_prefix('/').unwrap_or(&path);
    let hosted = host.zip(domain).and_then(|(host, domain)| bucket_of_host(host, domain));
    let (bucket, key) = match hosted {
        Some(bucket) => (bucket.to_ascii_lowercase(), rest),
        // Browser clients ask for `//`.
        None if rest.is_empty() || rest == "/" => return (Level::Service, None, None),
        None => {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            (bucket.to_owned(), key)
        }
    };
    let key = (!key.is_empty()).then(|| key.to_owned());
    (if key.is_some() { Level::Object } else { Level::Bucket }, Some(bucket), key)
}

/// HTTP/1.1 names the host exactly once (RFC 9112 section 3.2).
fn one_host(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    if version == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        let message = "The Host header is required, exactly once, in HTTP/1.1.";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", message));
    }
    Ok(())
}

/// Whether a request is one of AWS's query protocol, whose operation stands in a form: clients send it to the endpoint
/// that they are given for STS or IAM.
fn is_query_call(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media_type.to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
}

fn host<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
    headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(http::uri::Authority::as_str))
}

impl S3Gateway {
    fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Target, Refusal> {
        let (level, bucket, key) = address(host(headers, uri), self.domain.as_deref(), uri.path());
        let query = uri.query().map(allowlist::query_pairs).unwrap_or_default();
        if level == Level::Service && *method == Method::POST && is_query_call(headers) {
            return Err(Refusal::not_implemented(
                "STS and IAM are not implemented: `juststorage key create` makes credentials.",
            ));
        }
        let operation = allowlist::admit(method, level, &query)?;
        allowlist::check_headers(operation, headers)?;
        if !self.forms.sigv2 && auth::is_sigv2(headers, &query) {
            return Err(auth::sigv2_is_off());
        }
        Ok(Target { operation, bucket, key })
    }

    async fn answer<B>(self, request: Request<B>) -> Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let request_id = request_id(request.headers());
        let resource = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        let (_, bucket, key) = address(host(request.headers(), &uri), self.domain.as_deref(), uri.path());
        let repeated = errors::Asked::new(&method, &uri, request.headers(), bucket.clone(), key);
        let context = Context {
            resource: &resource,
            request_id: &request_id,
            host_id: &self.host_id,
            region: &self.forms.api.region,
            asked: &repeated,
        };
        let asked = Asked::new(&method, request.headers(), bucket);
        let response = if method == Method::OPTIONS {
            asked.preflight(&self.store).await
        } else {
            let one_host = one_host(request.version(), request.headers());
            match one_host.and_then(|()| self.admit(&method, &uri, request.headers())) {
                Ok(target) => self.run(request, target).await,
                Err(refusal) => Err(refusal),
            }
        };
        let mut response = finish(&method, response, &context);
        if method != Method::OPTIONS {
            asked.grant(&self.store, response.headers_mut()).await;
        }
        response
    }

    async fn run<B>(&self, incoming: Request<B>, target: Target) -> Result<Response<s3s::Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let operation = target.operation.name;
        let takes_document = wire::takes_document(operation);
        request::operation(operation);
        let (mut parts, body) = incoming.into_parts();
        if let ("PostObject", Some(bucket)) = (operation, &target.bucket) {
            let frames = BodyStream::new(body).filter_map(|frame| {
                let data = frame.map(|frame| frame.into_data().ok()).map_err(Into::into).transpose();
                futures::future::ready(data)
            });
            let answer = self.forms.answer(&parts, bucket, frames.boxed());
            let (response, namespace) = Box::pin(auth::scoped(answer)).await;
            return Ok(labelled(response, namespace));
        }
        if post::is_form(&parts.method, &parts.headers) {
            // s3s would parse it, whatever its operation, before it asks who sends it.
            return Err(Refusal::not_implemented("A form is implemented for PostObject only."));
        }
        if takes_document && chunks::are_announced(&parts.headers) {
            return Err(wire::in_chunks());
        }
        let failure = Failure::default();
        let bytes_max = wire::bytes_max(operation);
        if takes_document && body.size_hint().lower() > bytes_max {
            return Ok(answered(bounded::too_long()));
        }
        parts.extensions.insert(target);
        auth::date_as_amz_date(&mut parts.headers);
        auth::join_repeated(&mut parts.headers);
        let empty = body.is_end_stream();
        let signer = auth::resign::admit(&mut parts, &self.forms.access, empty).await?;
        if self.forms.sigv2 {
            auth::bucket_path::admit(&mut parts, &self.forms.access).await;
            let domain = self.domain.as_deref();
            let hosted = host(&parts.headers, &parts.uri)
                .zip(domain)
                .and_then(|(host, domain)| bucket_of_host(host, domain))
                .map(str::to_ascii_lowercase);
            auth::old_dates::admit(&mut parts, hosted.as_deref(), &self.forms.access).await;
        }
        let said = unsigned::admit(&mut parts)?;
        if takes_document && said.chunks.is_some() {
            return Err(wire::in_chunks());
        }
        let body = Digested::new(Box::pin(body.map_err(Into::into)), &said, &failure);
        let mut memory = None;
        let body = if takes_document {
            let (body, kept) = Bounded::whole(body, bytes_max, self.store.room(None), &failure);
            memory = Some(kept);
            s3s::Body::http_body_unsync(body)
        } else if let Some(trailer) = said.chunks {
            parts.extensions.insert(trailer.clone());
            s3s::Body::http_body_unsync(Chunks::unframed(Bounded::stream(body, &failure), trailer))
        } else if chunks::are_announced(&parts.headers) {
            match signer {
                Some(signer) => {
                    let chunked = Chunked::new(Bounded::stream(body, &failure));
                    s3s::Body::http_body_unsync(Chunks::verified(chunked, signer))
                }
                None if chunks::are_signed(&parts.headers) => {
                    let chunks = Bounded::chunks(body, self.store.room(None), &failure);
                    s3s::Body::http_body_unsync(Chunked::new(chunks))
                }
                None => s3s::Body::http_body_unsync(Chunked::new(Bounded::stream(body, &failure))),
            }
        } else {
            s3s::Body::http_body_unsync(Bounded::stream(body, &failure))
        };
        let (result, namespace) = auth::scoped(self.s3.call(Request::from_parts(parts, body))).await;
        drop(memory);
        let mut response = result.map_err(|error| {
            tracing::error!(%error, "S3 request could not be answered");
            Refusal::internal()
        })?;
        if let Some(own) = failure.take().filter(|_| !response.status().is_success()) {
            response = answered(own);
        }
        // S3 answers this one put with 204; s3s answers 200 and looks at no status of ours.
        if operation == "PutBucketTagging" && response.status() == StatusCode::OK {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        Ok(labelled(response, namespace))
    }
}

/// An error as an answer.
fn answered(error: S3Error) -> Response<s3s::Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(s3s::Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// An answer with the namespace it is about, for metrics.
fn labelled(mut response: Response<s3s::Body>, namespace: Option<Arc<str>>) -> Response<s3s::Body> {
    if let Some(namespace) = namespace {
        response.extensions_mut().insert(NamespaceLabel(namespace));
    }
    response
}

/// The id that a layer in front gave the request, or a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
        .map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned)
}

/// Gives an answer its ids, completes error bodies, and takes bodies away where HTTP has none.
fn finish(
    method: &Method,
    response: Result<Response<s3s::Body>, Refusal>,
    context: &Context<'_>,
) -> Response<ResponseBody> {
    let (mut parts, body) = match response {
        Ok(response) => {
            let (mut parts, body) = response.into_parts();
            let members = errors::take_members(&mut parts.headers);
            let failed = parts.status.is_client_error() || parts.status.is_server_error();
            let completed =
                body.bytes().filter(|_| failed).and_then(|bytes| errors::complete(&bytes, &members, context));
            let body: ResponseBody = match completed {
                Some(completed) => {
                    // s3s leaves it out where an error has headers of its own.
                    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                    full(completed)
                }
                None => body.map_err(BoxError::from).boxed_unsync(),
            };
            (parts, body)
        }
        Err(refusal) => {
            let (mut parts, ()) = Response::new(()).into_parts();
            parts.status = refusal.status;
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            (parts, full(errors::render(&refusal, context).into_bytes()))
        }
    };
    for (name, value) in [("x-amz-request-id", context.request_id), ("x-amz-id-2", context.host_id)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            parts.headers.insert(name, value);
        }
    }
    if !bodiless(method, parts.status) {
        return Response::from_parts(parts, body);
    }
    parts.headers.remove(TRANSFER_ENCODING);
    // A HEAD's length is that of the object; an error's would be that of a body that is not sent.
    if parts.status != StatusCode::OK && parts.status != StatusCode::PARTIAL_CONTENT {
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.remove(CONTENT_TYPE);
    }
    Response::from_parts(parts, Empty::new().map_err(|never| match never {}).boxed_unsync())
}

fn full(bytes: Vec<u8>) -> ResponseBody {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync()
}

impl<B> tower::Service<Request<B>> for S3Gateway
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gateway = self.clone();
        Box::pin(async move { Ok(gateway.answer(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_hosts_name_buckets_and_keys() {
        let of = |host: &str, path: &str| address(Some(host), Some("s3.example.com"), path);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("127.0.0.1:9000", "/"), (Level::Service, None, None));
        assert_eq!(of("127.0.0.1:9000", "//"), (Level::Service, None, None));
        assert_eq!(of("s3.example.com", "/b"), (Level::Bucket, some("b"), None));
        assert_eq!(of("s3.example.com", "/b/"), (Level::Bucket, some("b"), None));
        assert_eq!(of("s3.example.com", "/b//"), (Level::Object, some("b"), some("/")));
        assert_eq!(of("s3.example.com", "/b/a%2Fb"), (Level::Object, some("b"), some("a/b")));
        assert_eq!(of("b.S3.example.com:9000", "/"), (Level::Bucket, some("b"), None));
        assert_eq!(of("a.b.s3.example.com", "/k/"), (Level::Object, some("a.b"), some("k/")));
        assert_eq!(of("evils3.example.com", "/b"), (Level::Bucket, some("b"), None));
    }

    #[test]
    fn domains_are_names() {
        assert!(check_domain("S3.example.com").is_ok());
        for bad in ["", "http://a", "a:9000", "a..b", "127.0.0.1"] {
            assert!(check_domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_from_in_front_are_kept_if_they_are_plain() {
        let with = |value: &'static str| {
            request_id(
                &[(http::HeaderName::from_static("x-request-id"), HeaderValue::from_static(value))]
                    .into_iter()
                    .collect(),
            )
        };
        assert_eq!(with("abc-1"), "abc-1");
        assert_ne!(with("a b"), "a b");
    }
}
