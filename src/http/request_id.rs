//! The id of a request, which links its answer, its log lines and a report about it.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::Front;

/// The header of the native API, in both directions.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that SDKs of S3 show with every error.
const X_AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// Longest id accepted from a client.
const CHARS_MAX: usize = 64;

/// A request's id. Every request that a front sees carries it as `x-request-id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId(Arc<str>);

impl RequestId {
    /// The id of a request with these headers: the client's own if it is safe for a log; otherwise a new one, which
    /// is added to the headers for the front.
    pub(super) fn of(front: Front, headers: &mut HeaderMap) -> Self {
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        if let Some(name) = given.filter(|name| is_fit(name)) {
            return Self(name.into());
        }
        let id = Self(Uuid::now_v7().simple().to_string().into());
        // An S3 client may have signed the header: then it stays as it came.
        if (front == Front::Native || !headers.contains_key(X_REQUEST_ID))
            && let Ok(value) = HeaderValue::from_str(&id.0)
        {
            headers.insert(X_REQUEST_ID, value);
        }
        id
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds the id to an answer's headers.
    pub(super) fn mark(&self, front: Front, headers: &mut HeaderMap) {
        // It consists of letters, digits and a few marks: it is a header value.
        let Ok(value) = HeaderValue::from_str(&self.0) else { return };
        if front == Front::S3 {
            headers.insert(X_AMZ_REQUEST_ID, value.clone());
        }
        headers.insert(X_REQUEST_ID, value);
    }
}

fn is_fit(name: &str) -> bool {
    (1..=CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn headers(name: &str) -> HeaderMap {
        [(X_REQUEST_ID, HeaderValue::from_str(name).unwrap())].into_iter().collect()
    }

    #[test]
    fn a_clients_own_name_is_kept_if_it_is_sane() {
        for front in [Front::Native, Front::S3] {
            let mut given = headers("trace-1.a:b_C");
            assert_eq!(RequestId::of(front, &mut given).as_str(), "trace-1.a:b_C");
        }
        for bad in ["a b", "a\"b", &"x".repeat(65), ""] {
            let mut given = headers(bad);
            let id = RequestId::of(Front::Native, &mut given);
            assert_eq!(id.as_str().len(), 32, "{bad}");
            assert_eq!(given[X_REQUEST_ID], id.as_str(), "the front reads the same name");
        }
    }

    #[test]
    fn what_an_s3_client_signed_stays_as_it_came() {
        let mut given = headers("a b");
        assert_eq!(RequestId::of(Front::S3, &mut given).as_str().len(), 32);
        assert_eq!(given[X_REQUEST_ID], "a b");
    }

    #[test]
    fn every_answer_carries_the_name() {
        let id = RequestId::of(Front::S3, &mut HeaderMap::new());
        let mut answer = HeaderMap::new();
        id.mark(Front::S3, &mut answer);
        assert_eq!(answer[X_AMZ_REQUEST_ID], id.as_str());
        assert_eq!(answer[X_REQUEST_ID], id.as_str());
    }
}
