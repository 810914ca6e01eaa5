//! The layer around every request of both fronts: its id, its span, one line in the access log, its metrics, and an
//! answer even if a handler panics.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use juststorage_core::application::admin::{Event, EventResult, Events, History};
use juststorage_core::application::metrics::NamespaceLabel;
use juststorage_core::application::ports::clock::Clock as _;
use juststorage_core::application::request::{Noted, RequestNotes};
use juststorage_core::infrastructure::clock::SystemClock;
use tower::{BoxError, Service, ServiceExt as _};
use tracing::{Instrument as _, Span};

use super::own_words::own_words;
use super::{Front, InHand, Peer, RequestId, counted, head};

/// Namespaces with a label of their own in the metrics of requests; the others count as [`OTHER`].
const NAMESPACES_MAX: usize = 200;

const OTHER: &str = "other";

/// The label of requests without a namespace, or that fail before it is known.
const NO_NAMESPACE: &str = "-";

/// The status of a request whose client disconnected before the answer, as in nginx.
const CLIENT_GONE: u16 = 499;

/// The namespaces seen so far, bounded, so that invented ones cannot make the metrics grow.
#[derive(Default)]
pub struct NamespaceLabels(Mutex<HashSet<Arc<str>>>);

impl NamespaceLabels {
    /// The label of a namespace.
    fn of(&self, namespace: Option<&NamespaceLabel>) -> Arc<str> {
        let Some(NamespaceLabel(namespace)) = namespace else { return NO_NAMESPACE.into() };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = seen.get(namespace) {
            return label.clone();
        }
        if seen.len() >= NAMESPACES_MAX {
            return OTHER.into();
        }
        seen.insert(namespace.clone());
        namespace.clone()
    }
}

/// Shared by all fronts: metrics labels, audit events, history.
#[derive(Clone, Default)]
pub struct Observing {
    /// The labels of metrics.
    pub labels: Arc<NamespaceLabels>,
    /// The tail of the audit log.
    pub events: Events,
    /// Requests of the last hour.
    pub history: History,
}

/// Wraps the service of a front.
#[derive(Clone)]
pub struct Observe<S> {
    inner: S,
    front: Front,
    shared: Observing,
}

impl<S> Observe<S> {
    /// Observes `inner`. All fronts share `shared`.
    pub fn new(inner: S, front: Front, shared: Observing) -> Self {
        Self { inner, front, shared }
    }
}

impl<S, B, R> Service<Request<B>> for Observe<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: fmt::Display + Send,
    B: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Readiness is awaited with the request, so that waiting is measured too.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let front = self.front;
        let id = RequestId::of(front, request.headers_mut());
        let span = tracing::info_span!(
            "request",
            request_id = id.as_str(),
            front = front.as_str(),
            method = %request.method(),
            // Never the query: a presigned URL carries its signature there.
            path = request.uri().path(),
        );
        let peer = request.extensions().get::<Peer>().copied();
        let from = peer.map(|peer| peer.0.ip().to_canonical());
        let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let notes = Arc::new(RequestNotes::new(id.as_str(), from).by(agent));
        let mut observation = Observation {
            notes: notes.clone(),
            peer,
            _in_hand: request.extensions_mut().remove::<InHand>(),
            front,
            id: id.clone(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            started: Instant::now(),
            status: CLIENT_GONE,
            namespace: None,
            bytes_sent: 0,
            bytes_expected: None,
            outcome: AnswerEnd::ClientGone,
            shared: self.shared.clone(),
        };
        let refusal = head::refusal(front, &id, &request);
        let inner = self.inner.clone();
        // A request that is refused by its head alone does not reach the front.
        let answer = async move {
            match refusal {
                Some(refusal) => Ok(refusal),
                None => inner.oneshot(request).await.map(|response| response.map(Body::new)),
            }
        };
        let within = span.clone();
        Box::pin(
            async move {
                let mut response = match AssertUnwindSafe(notes.of(answer)).catch_unwind().await {
                    Ok(Ok(response)) => response,
                    Ok(Err(error)) => {
                        tracing::error!(%error, "front failed");
                        internal_error(front, &id)
                    }
                    // The panic's message and place went to standard error by the hook.
                    Err(_) => {
                        tracing::error!("handler panicked");
                        internal_error(front, &id)
                    }
                };
                id.mark(front, response.headers_mut());
                observation.answered(&response);
                Ok(response.map(|body| Body::new(Observed { body, observation, span: within })))
            }
            .instrument(span),
        )
    }
}

/// The answer if a front fails.
fn internal_error(front: Front, id: &RequestId) -> Response<Body> {
    let (code, message) = match front {
        Front::Native => ("internal", "an internal error"),
        Front::S3 => ("InternalError", "We encountered an internal error. Please try again."),
    };
    own_words(front, id, StatusCode::INTERNAL_SERVER_ERROR, code, message)
}

/// How an answer ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AnswerEnd {
    /// All of it was given to the connection.
    Complete,
    /// The connection ended first.
    ClientGone,
    /// Its body failed in the middle: the client sees a broken connection.
    Broken,
}

/// Facts about a request. Recorded when this is dropped: exactly once, however the request ends.
struct Observation {
    /// Holds the request's resources until its end.
    notes: Arc<RequestNotes>,
    peer: Option<Peer>,
    /// Its connection is not idle before the answer ends.
    _in_hand: Option<InHand>,
    front: Front,
    id: RequestId,
    method: Method,
    path: String,
    started: Instant,
    status: u16,
    namespace: Option<NamespaceLabel>,
    bytes_sent: u64,
    /// As the answer's header declares; hyper does not poll a body for its end after the last of these bytes.
    bytes_expected: Option<u64>,
    outcome: AnswerEnd,
    shared: Observing,
}

impl Drop for Observation {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let namespace = metrics::SharedString::from(self.shared.labels.of(self.namespace.as_ref()));
        let method = method_label(&self.method);
        let status = metrics::SharedString::from(self.status.to_string());
        metrics::counter!(
            "activestorage_requests_total",
            "method" => method, "status" => status, "namespace" => namespace.clone()
        )
        .increment(1);
        if self.status == StatusCode::INSUFFICIENT_STORAGE.as_u16() {
            counted::refused_full();
        }
        let failed = self.status >= 500 && counted::failed(self.status);
        if !self.is_probe() {
            self.shared.history.record(SystemClock.now(), elapsed, failed);
        }
        metrics::histogram!(
            "activestorage_request_duration_seconds",
            "method" => method, "namespace" => namespace
        )
        .record(elapsed.as_secs_f64());
        // To the microsecond: more digits are noise.
        let duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
        self.log(duration_ms);
        self.audit();
    }
}

impl Observation {
    /// Notes the head of the answer.
    fn answered(&mut self, response: &Response<Body>) {
        self.status = response.status().as_u16();
        self.namespace = response.extensions().get::<NamespaceLabel>().cloned();
        self.bytes_expected = response
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .or_else(|| response.body().size_hint().exact());
        if self.method == Method::HEAD || response.body().is_end_stream() || self.bytes_expected == Some(0) {
            self.outcome = AnswerEnd::Complete;
        }
    }

    /// Notes that `bytes` more were given to the connection, and whether the body ended.
    fn sent(&mut self, bytes: usize, ended: bool) {
        self.bytes_sent += bytes as u64;
        counted::sent(bytes);
        if ended || self.bytes_expected.is_some_and(|expected| self.bytes_sent >= expected) {
            self.outcome = AnswerEnd::Complete;
        }
    }

    /// Probes and scrapes come every few seconds for ever.
    fn is_probe(&self) -> bool {
        match self.front {
            Front::Native => matches!(self.path.as_str(), "/health" | "/ready" | "/metrics"),
            Front::S3 => self.notes.noted().operation == Some("Health"),
        }
    }

    fn log(&self, duration_ms: f64) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "access",
                    front = self.front.as_str(),
                    request_id = self.id.as_str(),
                    method = self.method.as_str(),
                    path = self.path,
                    status = self.status,
                    duration_ms,
                    bytes_sent = self.bytes_sent,
                    complete = self.outcome == AnswerEnd::Complete,
                )
            };
        }
        if self.is_probe() {
            line!(debug);
        } else {
            line!(info);
        }
    }
}

impl Observation {
    /// One audit line for every request that changes something or was denied. It has a target of its own, and never a
    /// query, which may contain a signature.
    fn audit(&self) {
        let Noted { who, tenant, operation, denied } = self.notes.noted();
        let refused = matches!(self.status, 401 | 403 | 429);
        let reads = matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if reads && denied.is_none() && !refused {
            return;
        }
        let result = match self.status {
            // A client that went away was not told; whether it was done is not known.
            CLIENT_GONE => EventResult::Unknown,
            _ if denied.is_some() || refused => EventResult::Denied,
            200..=399 => EventResult::Done,
            _ => EventResult::Failed,
        };
        self.shared.events.record(Event {
            at: SystemClock.now(),
            result,
            who: who.clone(),
            tenant: tenant.clone(),
            from: self.peer.map(|peer| peer.0.ip().to_canonical()),
            front: self.front.as_str(),
            operation,
            method: self.method.to_string(),
            path: self.path.clone(),
            status: self.status,
            denied,
            request_id: self.id.as_str().to_owned(),
        });
        tracing::info!(
            target: "audit",
            result = result.as_str(),
            who = who.as_deref().unwrap_or("-"),
            tenant = tenant.as_deref().unwrap_or("-"),
            from = %self.peer.map_or_else(|| "-".to_owned(), |peer| peer.0.to_string()),
            front = self.front.as_str(),
            operation = operation.unwrap_or("-"),
            method = self.method.as_str(),
            path = self.path,
            status = self.status,
            denied = denied.unwrap_or("-"),
            request_id = self.id.as_str(),
        );
    }
}

/// A method as a label: a client can send any token as a method.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

/// An answer's body on its way to the client.
struct Observed {
    body: Body,
    observation: Observation,
    span: Span,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.observation.sent(bytes, this.body.is_end_stream());
            }
            Poll::Ready(Some(Err(error))) => {
                this.observation.outcome = AnswerEnd::Broken;
                tracing::warn!(%error, "the body of an answer failed");
            }
            Poll::Ready(None) => this.observation.outcome = AnswerEnd::Complete,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use http_body_util::BodyExt as _;

    use super::*;

    async fn answer(front: Front, handler: fn() -> Response<Body>) -> (StatusCode, String, String) {
        let service =
            tower::service_fn(move |_: Request<Body>| async move { Ok::<_, Infallible>(handler()) });
        let observed = Observe::new(service, front, Observing::default());
        let response = observed.oneshot(Request::new(Body::empty())).await.unwrap();
        let (head, body) = response.into_parts();
        let id = head.headers["x-request-id"].to_str().unwrap().to_owned();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, id, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_the_fronts_own_words() {
        let (status, id, body) = answer(Front::S3, || panic!("on purpose")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("<Code>InternalError</Code>") && body.contains(&id), "{body}");
        let (status, id, body) = answer(Front::Native, || panic!("on purpose")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (problem["code"].as_str(), problem["request_id"].as_str()),
            (Some("internal"), Some(&*id))
        );
    }

    #[test]
    fn made_up_namespaces_do_not_make_metrics_grow() {
        let labels = NamespaceLabels::default();
        let of = |name: &str| labels.of(Some(&NamespaceLabel(name.into()))).to_string();
        for n in 0..NAMESPACES_MAX {
            assert_eq!(of(&format!("n{n}")), format!("n{n}"));
        }
        assert_eq!(of("one-more"), OTHER);
        assert_eq!(of("n0"), "n0");
        assert_eq!(&*labels.of(None), NO_NAMESPACE);
    }

    #[test]
    fn made_up_methods_share_a_label() {
        assert_eq!(method_label(&Method::PUT), "PUT");
        assert_eq!(method_label(&Method::from_bytes(b"BREW").unwrap()), "OTHER");
    }
}
