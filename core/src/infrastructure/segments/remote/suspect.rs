//! Which of its settings is wrong when an object store refuses.

use std::error::Error as StdError;

use object_store::Error;

use crate::application::ports::segments::SegmentError;

/// What to look at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// The URL: there is no such bucket.
    Bucket,
    /// The credentials: none were found, they are unknown, wrong or expired, or lack rights.
    Credentials,
    /// The endpoint: nobody answers there, or not as an object store does.
    Endpoint,
    /// The store itself: it lacks something.
    Store,
}

/// Where clients of object stores ask for the credentials of the machine that they run on.
const METADATA_SERVICES: [&str; 3] = ["169.254.169.254", "169.254.170.2", "metadata.google.internal"];

impl Suspect {
    /// What is the likely cause of an error of a tier in an object store; `None` where another error was met.
    pub fn of(error: &SegmentError) -> Option<Self> {
        let SegmentError::Unavailable { source, .. } = error else { return None };
        let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let Some(error) = inner else { return Some(Self::Store) };
        let chain = std::iter::successors(Some(error as &dyn StdError), |error| (*error).source());
        let text: String = chain.map(ToString::to_string).collect();
        Some(match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Credentials,
            _ if METADATA_SERVICES.iter().any(|service| text.contains(service)) => Self::Credentials,
            Error::NotFound { .. } => Self::Bucket,
            Error::NotImplemented { .. } | Error::NotSupported { .. } => Self::Store,
            // An access key that is not one, or a token that is past its time, is a bad request to some stores.
            _ if ["InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "SignatureDoesNotMatch"]
                .iter()
                .any(|code| text.contains(code)) =>
            {
                Self::Credentials
            }
            _ => Self::Endpoint,
        })
    }
}
