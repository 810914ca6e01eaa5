//! How long a connection and an answer are waited for.

use std::time::Duration;

use futures::FutureExt as _;

use super::fault::Fault;
use crate::application::ports::metadata::MetadataError;

/// How long to wait for a connection before the database counts as unavailable.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long any answer of PostgreSQL may take: a machine that vanished does not say so.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// Gives up on an answer that does not come.
pub(crate) fn patiently<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> impl Future<Output = Result<T, Fault>> + Send {
    tokio::time::timeout(patience, answer).map(|answer| match answer {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(MetadataError::Unavailable("the database did not answer in time".to_owned()).into()),
    })
}
