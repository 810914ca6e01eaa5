//! A client for short requests to addresses that a setting names.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::guard::{GuardedConnector, GuardedResolver, ResolveError};
use crate::domain::reach::OutOfReach;
use crate::infrastructure::trust;

/// Most bytes of an answer that are read: enough for the first words of an error.
const ANSWER_BYTES_MAX: usize = 4096;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(50);

/// Idle connections that are kept.
const IDLE_MAX: usize = 8;

/// A client. It follows no redirect and uses no proxy, cookie or credential of its own. Cheap to clone.
#[derive(Clone)]
pub struct OutboundClient(Client<HttpsConnector<GuardedConnector>, Full<Bytes>>);

/// An answer, its body cut off at 4 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// The begin of its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFailure {
    /// The address is not one that may be reached.
    #[error("{0}")]
    OutOfReach(String),
    /// It did not come in time.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// No connection, or one that broke.
    #[error("{0}")]
    Broken(String),
}

impl OutboundClient {
    /// A client that reaches what `resolver` gives out. Servers are trusted by the authorities of this machine, or those of
    /// `SSL_CERT_FILE`; where none can be read, only URLs without TLS can be reached.
    pub fn new(resolver: GuardedResolver) -> Result<Self, String> {
        let connector = trust::authorities_or_none()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(GuardedConnector::new(resolver));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self(client))
    }

    /// Sends a request and reads its answer, both within `patience`.
    pub async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Answer, OutboundFailure> {
        let agent = HeaderValue::from_static(concat!("juststorage/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(USER_AGENT).or_insert(agent);
        let answered = async {
            let answer = self.0.request(request).await.map_err(|error| failure(&error))?;
            let (head, body) = answer.into_parts();
            Ok(Answer { status: head.status, body: beginning(body).await? })
        };
        let answered = tokio::time::timeout(patience, answered).await;
        answered.unwrap_or(Err(OutboundFailure::TimedOut(patience)))
    }
}

/// The first bytes of a body. One that is longer is not read to its end, so its connection is not used again.
async fn beginning(mut body: Incoming) -> Result<Bytes, OutboundFailure> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure(&error))?;
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(&data[..data.len().min(ANSWER_BYTES_MAX - read.len())]);
        }
        if read.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(read.into())
}

fn failure(error: &(dyn StdError + 'static)) -> OutboundFailure {
    let chain = || std::iter::successors(Some(error), |error: &&(dyn StdError + 'static)| (**error).source());
    for cause in chain() {
        let resolved = cause.downcast_ref::<ResolveError>();
        if matches!(resolved, Some(ResolveError::OutOfReach { .. })) || cause.is::<OutOfReach>() {
            return OutboundFailure::OutOfReach(cause.to_string());
        }
    }
    OutboundFailure::Broken(chain().map(ToString::to_string).collect::<Vec<_>>().join(": "))
}
