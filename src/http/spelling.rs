//! Spells the header names of answers as S3 does.
//!
//! Header names are case-insensitive (RFC 9110 section 5.1), but htslib, the AWS SDK for Java 1.7 and others look for
//! `ETag` and `Content-Length` and do not find `etag`. hyper writes lower case, and its title case gives `Etag`.
//!
//! hyper repeats the spelling of a head that it parsed, if the extensions of that head are in the answer; the type of
//! the extension is private to hyper. So the program parses one request at its start, in memory, with every name that
//! an answer may have, and adds its extensions to each answer over HTTP/1. Other names stay in lower case, as S3
//! writes `x-amz-…`. HTTP/2 has lower case only (RFC 9113 section 8.2.1).

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{Extensions, Response, Version};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;

use crate::exit_error::ExitError;

/// The names, as S3 spells them; those of HTTP that S3 does not send, as their RFC does. The two that frame the body
/// stand in [`REQUEST`].
const NAMES: &[&str] = &[
    "Accept-Ranges",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Range",
    "Content-Security-Policy",
    "Content-Type",
    "Date",
    "ETag",
    "Expires",
    "Last-Modified",
    "Location",
    "Referrer-Policy",
    "Retry-After",
    "Vary",
    "WWW-Authenticate",
    "X-Content-Type-Options",
    "X-Frame-Options",
];

/// The rest of the request: hyper ignores a length after a transfer coding.
const REQUEST: &str = "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

/// The spelling of every name, for hyper.
#[derive(Clone)]
pub(super) struct Spelling(Arc<Extensions>);

impl Spelling {
    /// Makes hyper parse the names.
    pub(super) async fn learn() -> Result<Self, ExitError> {
        let unable =
            |error: &dyn std::fmt::Display| ExitError::Unable(format!("spell headers as S3 does: {error}"));
        let lines: String = NAMES.iter().flat_map(|name| [*name, ": -\r\n"]).collect();
        let request = format!("GET / HTTP/1.1\r\n{lines}{REQUEST}");
        let (mut client, server) = tokio::io::duplex(request.len().max(4096));
        client.write_all(request.as_bytes()).await.map_err(|error| unable(&error))?;
        let (tell, mut learnt) = oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let parsed = service_fn(|mut request: axum::http::Request<hyper::body::Incoming>| {
            if let Some(tell) = tell.lock().unwrap_or_else(PoisonError::into_inner).take() {
                // The other end waits below.
                let _ = tell.send(std::mem::take(request.extensions_mut()));
            }
            std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
        });
        let connection =
            http1::Builder::new().preserve_header_case(true).serve_connection(TokioIo::new(server), parsed);
        // How the connection ends does not matter once its one request is parsed, and either may come first.
        let learnt = tokio::select! {
            biased;
            told = &mut learnt => told.map_err(|error| unable(&error))?,
            ended = connection => learnt
                .try_recv()
                .map_err(|_| unable(&format!("the request was not parsed: {ended:?}")))?,
        };
        if learnt.is_empty() {
            Err(unable(&"hyper kept no spelling of it"))
        } else {
            Ok(Self(Arc::new(learnt)))
        }
    }

    /// Sets the spelling of an answer to a request of this version.
    pub(super) fn spell<B>(&self, version: Version, answer: &mut Response<B>) {
        if version < Version::HTTP_2 {
            answer.extensions_mut().extend(Extensions::clone(&self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::http::{HeaderName, HeaderValue, Request};
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// The bytes that hyper writes for an answer with every known name and an unknown one.
    #[tokio::test]
    async fn hyper_writes_what_it_was_taught() {
        let spelling = Spelling::learn().await.unwrap();
        let (mut client, server) = tokio::io::duplex(16 << 10);
        client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.unwrap();
        let answer = service_fn(|_: Request<hyper::body::Incoming>| {
            let mut answer = Response::new(Empty::<Bytes>::new());
            for name in NAMES.iter().chain(&["x-amz-meta-owner"]) {
                let name = HeaderName::try_from(*name).unwrap();
                answer.headers_mut().insert(name, HeaderValue::from_static("1"));
            }
            spelling.spell(Version::HTTP_11, &mut answer);
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        http1::Builder::new().serve_connection(TokioIo::new(server), answer).await.unwrap();
        let mut written = String::new();
        client.read_to_string(&mut written).await.unwrap();
        for name in NAMES.iter().chain(&["Content-Length", "x-amz-meta-owner"]) {
            assert!(written.contains(&format!("\r\n{name}: ")), "{name}: {written}");
        }
    }

    #[tokio::test]
    async fn http_2_is_left_alone() {
        let mut answer = Response::new(());
        Spelling::learn().await.unwrap().spell(Version::HTTP_2, &mut answer);
        assert!(answer.extensions().is_empty());
    }
}
