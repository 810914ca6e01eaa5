//! The service around s3s: ids for every request, the allow-list, the body for s3s, and the last headers of answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::StreamExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Empty, Full};
use juststorage_core::application::access::Access;
use juststorage_core::application::metrics::NamespaceLabel;
use juststorage_core::application::request;
use juststorage_core::application::store::Store;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::upstream::VIA_HEADER;
use percent_encoding::percent_decode_str;
use s3s::S3Error;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use tower::BoxError;
use uuid::Uuid;

use crate::addressing::{Domain, Selected, address, bucket_of_host, check_domain, host, one_host};
use crate::administration;
use crate::allowlist;
use crate::api::Api;
use crate::auth::{self, Doorkeeper, Keys};
use crate::errors::{self, ErrorContext, Refusal, Repeatable, bodiless};
use crate::location::Locations;
use crate::operations::{BodyKind, Criteria, Level};
use crate::post::{self, Forms};
use crate::preflight::BrowserRequest;
use crate::probe;
use crate::query::query_pairs;
use crate::route::Routes;
use crate::wire::bounded::{self, Bounded};
use crate::wire::chunked::{self, Chunked};
use crate::wire::documents::{self, Documents};
use crate::wire::fault::BodyFault;
use crate::wire::headers;
use crate::wire::signatures::chunks::Chunks;
use crate::wire::signatures::unsigned::{self, Digested};
use crate::wire::signatures::{bucket_path, old_dates, resign};

#[cfg(feature = "testing")]
pub mod testing;

/// The body of an answer. An error ends it short: the connection must break then.
pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// Longest signed chunk of an upload, in bytes. SDKs send 64 to 128 KiB.
const SIGNED_CHUNK_BYTES_MAX: usize = 1 << 20;

/// The parts of the gateway.
#[derive(Clone)]
pub struct Gateway {
    /// The store it fronts.
    pub store: Store,
    /// Where access keys are resolved. A request without a signature gets what policies and ACLs grant to everybody.
    pub access: Access,
    /// The region that buckets are said to be in. Requests may be signed for any.
    pub region: String,
    /// The domain whose subdomains are buckets (`s3.example.com`, without a port); `None` for path-style
    /// addresses only.
    pub domain: Option<String>,
    /// The gateway's URL in answers; `None`: host and scheme of each request.
    pub public_url: Option<String>,
    /// Whether the gateway is reached over its own TLS.
    pub tls: bool,
    /// Whether signatures of version 2 are accepted: in the header, in the query, and on forms.
    pub sigv2: bool,
}

/// The S3 front as a tower service over any HTTP body. Cheap to clone. It answers every request itself and
/// never fails; mount it as the fallback service of a listener of its own.
///
/// A request that carries `x-request-id` (as a layer in front sets it) keeps that id in
/// `x-amz-request-id` and in error bodies. Where the namespace is known, the answer carries a
/// [`NamespaceLabel`] among its extensions.
#[derive(Clone)]
pub struct S3Gateway(Arc<Parts>);

/// What a gateway consists of. Every request holds it, so it is shared: to clone a store is to count up in a dozen
/// places that all cores count in.
#[derive(Clone)]
struct Parts {
    s3: S3Service,
    store: Store,
    forms: Arc<Forms>,
    domain: Option<Arc<str>>,
    host_id: Arc<str>,
}

/// The S3 front over `gateway`'s store. Refuses an invalid domain.
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
    Ok(S3Gateway(Arc::new(Parts { s3: builder.build(), store: shared, forms, domain, host_id })))
}

/// s3s with the gateway's settings, but without authentication and access control.
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
    // The string to sign contains this header's value even if the signature does not name it, so it cannot be changed.
    // It also stands for a signed `Date` of a client that sends no other date.
    config.unsigned_amz_header_allowlist.push("x-amz-date".to_owned());
    // [`resign`] may add this header. It refuses an unsigned one of the client.
    config.unsigned_amz_header_allowlist.push("x-amz-trailer".to_owned());
    let mut builder = S3ServiceBuilder::new(api);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    if let Some(domain) = domain {
        builder.set_host(Domain(domain.clone()));
    }
    builder
}

/// Whether a request is one of AWS's query protocol, whose operation stands in a form: clients send it to the endpoint
/// that they are given for STS or IAM.
fn is_query_call(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media_type.to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
}

impl Parts {
    fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Selected, Refusal> {
        let mut via = headers.get_all(VIA_HEADER).iter().filter_map(|via| via.to_str().ok());
        if via.any(|via| self.store.has_been_asked(via)) {
            return Err(Refusal::loop_detected());
        }
        let (level, bucket, key) = address(host(headers, uri), self.domain.as_deref(), uri.path());
        let query = uri.query().map(query_pairs).unwrap_or_default();
        if level == Level::Service && *method == Method::POST && is_query_call(headers) {
            return Err(Refusal::not_implemented(
                "STS and IAM are not implemented: `juststorage key create` makes credentials.",
            ));
        }
        let operation = allowlist::admit(&Criteria { method, level, query: &query, headers })?;
        allowlist::check_headers(operation, headers)?;
        if !self.forms.sigv2 && auth::is_sigv2(headers, &query) {
            return Err(auth::sigv2_is_off());
        }
        Ok(Selected { operation, bucket, key })
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let request_id = request_id(request.headers());
        let resource = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        let (_, bucket, key) = address(host(request.headers(), &uri), self.domain.as_deref(), uri.path());
        let repeated = Repeatable::new(&method, &uri, request.headers(), bucket.clone(), key);
        let context = ErrorContext {
            resource: &resource,
            request_id: &request_id,
            host_id: &self.host_id,
            region: &self.forms.api.region,
            asked: &repeated,
        };
        if let Some(probe) = probe::asked(&method, &uri, request.headers(), bucket.as_deref()) {
            return finish(&method, Ok(probe::answer(probe, &self.store).await), &context);
        }
        let minio = administration::asked(&uri, bucket.as_deref());
        let certain = minio.filter(|_| administration::is_certain(request.headers()));
        let asked = BrowserRequest::new(&method, request.headers(), bucket);
        let response = if method == Method::OPTIONS {
            asked.preflight(&self.store).await
        } else if let Some(call) = certain {
            Err(administration::refusal(call))
        } else {
            let one_host = one_host(request.version(), request.headers());
            match one_host.and_then(|()| self.admit(&method, &uri, request.headers())) {
                Ok(selected) => self.run(request, selected).await,
                Err(refusal) => Err(refusal),
            }
        };
        let response = match minio {
            Some(call) if administration::is_all(&response) => Err(administration::refusal(call)),
            _ => response,
        };
        let mut response = finish(&method, response, &context);
        if method != Method::OPTIONS {
            asked.grant(&self.store, response.headers_mut()).await;
        }
        response
    }

    async fn run<B>(&self, incoming: Request<B>, selected: Selected) -> Result<Response<s3s::Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let operation = selected.operation;
        request::operation(operation.name);
        let (mut parts, body) = incoming.into_parts();
        if let (BodyKind::Form, Some(bucket)) = (operation.body, &selected.bucket) {
            let frames = BodyStream::new(body).filter_map(|frame| {
                let data = frame.map(|frame| frame.into_data().ok()).map_err(Into::into).transpose();
                futures::future::ready(data)
            });
            let answer = self.forms.answer(&parts, bucket, frames.boxed());
            let (response, namespace) = Box::pin(auth::scoped(answer)).await;
            return Ok(labelled(response, namespace));
        }
        if post::is_form(&parts.method, &parts.headers) {
            // s3s would parse a form before it authenticates the sender, for any operation.
            return Err(Refusal::not_implemented("A form is implemented for PostObject only."));
        }
        let document_bytes_max = operation.body.document_bytes_max();
        if document_bytes_max.is_some() && chunked::are_announced(&parts.headers) {
            return Err(documents::in_chunks());
        }
        let fault = BodyFault::default();
        if document_bytes_max.is_some_and(|bytes_max| body.size_hint().lower() > bytes_max) {
            return Ok(answered(bounded::too_long()));
        }
        parts.extensions.insert(selected);
        headers::date_as_amz_date(&mut parts.headers);
        headers::join_repeated(&mut parts.headers);
        let empty = body.is_end_stream();
        let signer = resign::admit(&mut parts, &self.forms.access, empty).await?;
        if self.forms.sigv2 {
            bucket_path::admit(&mut parts, &self.forms.access).await;
            let domain = self.domain.as_deref();
            let hosted = host(&parts.headers, &parts.uri)
                .zip(domain)
                .and_then(|(host, domain)| bucket_of_host(host, domain))
                .map(str::to_ascii_lowercase);
            old_dates::admit(&mut parts, hosted.as_deref(), &self.forms.access).await;
        }
        let said = unsigned::admit(&mut parts)?;
        if document_bytes_max.is_some() && said.chunks.is_some() {
            return Err(documents::in_chunks());
        }
        let body = Digested::new(Box::pin(body.map_err(Into::into)), &said, &fault);
        let mut memory = None;
        let body = if let Some(bytes_max) = document_bytes_max {
            let (body, kept) = Bounded::whole(body, bytes_max, self.store.room(None), &fault);
            memory = Some(kept);
            s3s::Body::http_body_unsync(body)
        } else if let Some(trailer) = said.chunks {
            parts.extensions.insert(trailer.clone());
            s3s::Body::http_body_unsync(Chunks::unframed(Bounded::stream(body, &fault), trailer))
        } else if chunked::are_announced(&parts.headers) {
            match signer {
                Some(signer) => {
                    let chunked = Chunked::new(Bounded::stream(body, &fault));
                    s3s::Body::http_body_unsync(Chunks::verified(chunked, signer))
                }
                None if chunked::are_signed(&parts.headers) => {
                    let chunks = Bounded::chunks(body, self.store.room(None), &fault);
                    s3s::Body::http_body_unsync(Chunked::new(chunks))
                }
                None => s3s::Body::http_body_unsync(Chunked::new(Bounded::stream(body, &fault))),
            }
        } else {
            s3s::Body::http_body_unsync(Bounded::stream(body, &fault))
        };
        let (result, namespace) = auth::scoped(self.s3.call(Request::from_parts(parts, body))).await;
        drop(memory);
        let mut response = result.map_err(|error| {
            tracing::error!(%error, "S3 request could not be answered");
            Refusal::internal()
        })?;
        if let Some(own) = fault.take().filter(|_| !response.status().is_success()) {
            response = answered(own);
        }
        // s3s ignores the status of an operation, and differs from S3 for some.
        if response.status() == StatusCode::OK {
            *response.status_mut() = operation.status;
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
    context: &ErrorContext<'_>,
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
    // A HEAD states the object's length; for an error it would be the length of a body that is not sent.
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
        let parts = self.0.clone();
        Box::pin(async move { Ok(parts.answer(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
