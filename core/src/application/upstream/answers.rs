//! What is answered when an upstream does not serve.

use crate::application::error::Error;
use crate::application::ports::upstream::UpstreamError;
use crate::domain::invalid::Invalid;

/// What a request is answered that the upstream did not serve. Logged where it happened.
pub(crate) fn answer(error: &UpstreamError) -> Error {
    match error {
        UpstreamError::Away(_) | UpstreamError::LeftAlone(_) | UpstreamError::Changed => Error::UpstreamAway,
        _ => Error::UpstreamFailed,
    }
}

/// What an operator is told who binds a space to an upstream that cannot be used.
pub(crate) fn refusal(error: &UpstreamError) -> Error {
    let field = match error {
        UpstreamError::Refused(_) => "access_key",
        UpstreamError::NoSuchBucket(_) => "upstream_bucket",
        UpstreamError::Elsewhere(_) => "region",
        _ => "endpoint",
    };
    Invalid::new(field, error.to_string()).into()
}
