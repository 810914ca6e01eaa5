//! Errors that end a command, by exit code.

use juststorage_core::application::error::Error;
use juststorage_core::application::ports::metadata::MetadataError;

use crate::config::ConfigError;

/// A reason for people, and an exit code for programs.
#[derive(Debug, thiserror::Error)]
pub enum ExitError {
    /// The command ran, and the answer is no: a finding, no such credential, the bucket is not empty.
    #[error("{0}")]
    No(String),
    /// The command line or a setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The work could not be done: the database or a tier is out of reach, the data directory is in use, the
    /// schema is newer than this program.
    #[error("{0}")]
    Unable(String),
    /// A tier or the database has no room for it.
    #[error("the storage is full")]
    Full,
}

impl ExitError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::No(_) => 1,
            Self::Config(_) => 2,
            Self::Unable(_) | Self::Full => 3,
        }
    }

    /// `action` failed because of `error`.
    pub fn unable(action: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Unable(format!("cannot {action}: {error}"))
    }
}

impl From<MetadataError> for ExitError {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::NewerSchema { .. } => {
                Self::Unable(format!("{error}; use the binary that wrote it, or a newer one"))
            }
            error => Self::Unable(error.to_string()),
        }
    }
}

impl From<Error> for ExitError {
    fn from(error: Error) -> Self {
        match error {
            Error::Full => Self::Full,
            Error::Busy
            | Error::Unavailable
            | Error::TierAbsent { .. }
            | Error::Unreadable
            | Error::Corrupt
            | Error::Internal => Self::Unable(error.to_string()),
            error => Self::No(error.to_string()),
        }
    }
}
