//! What keeps a key from being made equal.

use crate::application::error::Error;
use crate::application::ports::metadata::MetadataError;
use crate::application::ports::sink::Undelivered;
use crate::application::ports::upstream::UpstreamError;

/// Why a key was not made equal.
pub(super) enum Trouble {
    /// Its row is not delivered.
    Undelivered(Undelivered),
    /// It was changed here meanwhile.
    Changed,
}

impl From<UpstreamError> for Trouble {
    fn from(error: UpstreamError) -> Self {
        let text = error.to_string();
        Self::Undelivered(match error {
            // What no request about the bucket succeeds with is about the upstream. Where it is about one key after all,
            // others are taken, and the row is put aside for that.
            UpstreamError::Away(_)
            | UpstreamError::Refused(_)
            | UpstreamError::NoSuchBucket(_)
            | UpstreamError::Elsewhere(_)
            | UpstreamError::Ourselves
            | UpstreamError::Forbidden(_)
            | UpstreamError::Changed => Undelivered::Away(text),
            UpstreamError::LeftAlone(rest) => Undelivered::NotTried(rest),
            UpstreamError::NotProved(_) | UpstreamError::Unusable(_) => Undelivered::Refused(text),
        })
    }
}

impl From<MetadataError> for Trouble {
    fn from(error: MetadataError) -> Self {
        Error::from(error).into()
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            // Deleted and collected since it was looked up.
            Error::NoSuchObject | Error::NoSuchSpace => Self::Changed,
            Error::Unavailable
            | Error::Busy
            | Error::TierAbsent { .. }
            | Error::UpstreamAway
            | Error::UpstreamFailed
            | Error::Internal => Self::Undelivered(Undelivered::Away(format!("this store: {error}"))),
            error => Self::Undelivered(Undelivered::Refused(format!("it cannot be read here: {error}"))),
        }
    }
}
