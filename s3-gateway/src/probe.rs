//! Health checks as MinIO answers them, so that a deployment that comes from there keeps its probes.
//!
//! Only a request without any credential is one: a signed request for the key `health/live` of a bucket `minio` gets that
//! object. Without a credential the probe always wins, so that no owner of a bucket of that name can answer in the place of
//! the server. What everybody may read in such a bucket is reached by another address: with any query, or by its host.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use juststorage_core::application::request;
use juststorage_core::application::store::Store;

/// The probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Whether the process answers.
    Live,
    /// Whether it can serve: database and tiers answer.
    Ready,
}

/// The probe that a request is, if it is one. `bucket` is what it addresses: the host may name another one.
pub(crate) fn asked(method: &Method, uri: &Uri, headers: &HeaderMap, bucket: Option<&str>) -> Option<Probe> {
    let anonymous = uri.query().is_none() && !headers.contains_key(AUTHORIZATION);
    if !anonymous || bucket != Some("minio") || !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    match uri.path() {
        "/minio/health/live" => Some(Probe::Live),
        "/minio/health/ready" | "/minio/health/cluster" | "/minio/health/cluster/read" => Some(Probe::Ready),
        _ => None,
    }
}

/// The answer: 200, or 503 where the server is not ready, without a body.
pub(crate) async fn answer(probe: Probe, store: &Store) -> Response<s3s::Body> {
    request::operation("Health");
    let well = match probe {
        Probe::Live => true,
        Probe::Ready => store.readiness().await.iter().all(|(_, answer)| answer.is_ok()),
    };
    let mut response = Response::new(s3s::Body::empty());
    if !well {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_requests_without_credentials_for_those_paths_are_probes() {
        let none = HeaderMap::new();
        let asks = |method: Method, uri: &str, bucket: &str, headers: &HeaderMap| {
            asked(&method, &uri.parse().unwrap(), headers, Some(bucket))
        };
        assert_eq!(asks(Method::GET, "/minio/health/live", "minio", &none), Some(Probe::Live));
        assert_eq!(asks(Method::HEAD, "/minio/health/ready", "minio", &none), Some(Probe::Ready));
        assert_eq!(asks(Method::GET, "/minio/health/cluster", "minio", &none), Some(Probe::Ready));
        // Of another bucket, by its host.
        assert_eq!(asks(Method::GET, "/minio/health/live", "photos", &none), None);
        for path in
            ["/minio/health", "/minio/health/", "/minio/health/other", "/minio/health/live?x", "/minio/"]
        {
            assert_eq!(asks(Method::GET, path, "minio", &none), None, "{path}");
        }
        for method in [Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS] {
            assert_eq!(asks(method, "/minio/health/live", "minio", &none), None);
        }
        let signed = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("AWS4-HMAC-SHA256 x"))]);
        assert_eq!(asks(Method::GET, "/minio/health/live", "minio", &signed), None);
    }
}
