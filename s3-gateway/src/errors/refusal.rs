//! Refusals and errors: a status, a code and a message.

use std::str::FromStr as _;

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

use super::members::with_member;
use super::text::writable;

/// An answer that the gateway gives before s3s sees the request.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Further members of the body: [`Refusal::with`].
    pub(crate) members: Vec<(String, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), members: Vec::new() }
    }

    /// The same with one more member in its body.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.members.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    pub(crate) fn method_not_allowed(message: String) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    pub(crate) fn invalid_token() -> Self {
        let message = "Session tokens are not issued here: sign with an access key alone.";
        Self::new(StatusCode::BAD_REQUEST, "InvalidToken", message)
    }

    pub(crate) fn acl_not_supported() -> Self {
        let message = "The bucket does not allow ACLs other than private and bucket-owner-full-control.";
        Self::new(StatusCode::BAD_REQUEST, "AccessControlListNotSupported", message)
    }

    pub(crate) fn loop_detected() -> Self {
        let message = "The request came from this very store: it is the upstream of one of its own buckets.";
        Self::new(StatusCode::LOOP_DETECTED, "LoopDetected", message)
    }

    pub(crate) fn unavailable() -> Self {
        let message = "The metadata store cannot be reached. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    pub(crate) fn internal() -> Self {
        let message = "We encountered an internal error. Please try again.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }
}

/// An error with exactly this status, code and message, but for what XML cannot hold of it.
pub(crate) fn fail(status: StatusCode, code: &str, message: impl Into<String>) -> S3Error {
    let code = S3ErrorCode::from_str(code).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, writable(message.into()));
    error.set_status_code(status);
    error
}

/// 400 for a body that is not what the schema asks for, and why.
pub(crate) fn malformed_xml(why: &str) -> S3Error {
    bad_request(
        "MalformedXML",
        format!(
            "The XML you provided was not well-formed or did not validate against our published schema: {why}."
        ),
    )
}

/// A refusal as an operation answers it.
pub(crate) fn refusal(of: Refusal) -> S3Error {
    let error = fail(of.status, of.code, of.message);
    of.members.iter().fold(error, |error, (name, value)| with_member(error, name, value))
}

/// 400 with a code.
pub(crate) fn bad_request(code: &str, message: impl Into<String>) -> S3Error {
    fail(StatusCode::BAD_REQUEST, code, message)
}

/// 400 `InvalidArgument`.
pub(crate) fn invalid_argument(message: impl Into<String>) -> S3Error {
    bad_request("InvalidArgument", message)
}

/// 400 `InvalidArgument` that names the argument and its value.
pub(crate) fn wrong_argument(name: &str, value: &str, message: impl Into<String>) -> S3Error {
    with_member(with_member(invalid_argument(message), "ArgumentName", name), "ArgumentValue", value)
}

/// 501, naming what is missing.
pub(crate) fn not_implemented(message: impl Into<String>) -> S3Error {
    fail(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
}

/// 500 without a word on the cause, which is in the log.
pub(crate) fn internal() -> S3Error {
    refusal(Refusal::internal())
}
