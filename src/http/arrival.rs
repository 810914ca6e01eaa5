//! Facts that a connection gives to its requests: the client's address, and that the connection is in use.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use futures::future::BoxFuture;
use juststorage_native_api::Origins;
use tower::Service;

use super::activity::{Activity, UnderWay};
use super::patience::{Patience, Patient};
use super::{Proxies, Spelling, sending};

/// The client's address, in a request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Marks a request as under way, in its extensions, until its answer was given to the connection.
#[derive(Clone)]
pub struct InHand(#[allow(dead_code)] Arc<UnderWay>); // held, never read

/// Wraps the service of one connection.
#[derive(Clone)]
pub(super) struct Arrival<S> {
    pub(super) inner: S,
    pub(super) peer: SocketAddr,
    /// Whether the other side speaks TLS with this process.
    pub(super) tls: bool,
    pub(super) proxies: Proxies,
    /// Origins whose pages may read the answers; of the native front.
    pub(super) origins: Arc<Origins>,
    pub(super) activity: Arc<Activity>,
    pub(super) spelling: Spelling,
    pub(super) patience: Patience,
    /// Whether the connection ends with its first answer: it is reserved for probes and metrics.
    pub(super) ends: bool,
}

impl<S, B> Service<Request<B>> for Arrival<S>
where
    S: Service<Request<Patient<B>>, Response = Response<Body>>,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let under_way = InHand(Arc::new(self.activity.clone().begin()));
        let origin = self.proxies.origin(self.peer.ip(), self.tls, request.headers());
        request.extensions_mut().insert(Peer(self.peer));
        request.extensions_mut().insert(origin);
        request.extensions_mut().insert(under_way.clone());
        let (version, spelling, patience) = (request.version(), self.spelling.clone(), self.patience);
        // Answers of the layers between here and the router too.
        let page = request.headers().get(header::ORIGIN).filter(|_| *self.origins != Origins::None);
        let page = page.map(|origin| (origin.clone(), request.uri().path().to_owned()));
        let origins = self.origins.clone();
        let answer = self.inner.call(request.map(|body| Patient::new(body, patience)));
        let ends = self.ends;
        Box::pin(async move {
            let _under_way = under_way;
            let mut response = answer.await?;
            if ends {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if let Some((origin, path)) = page {
                origins.mark(Some(&origin), &path, response.headers_mut());
            }
            spelling.spell(version, &mut response);
            Ok(sending::watched(response))
        })
    }
}
