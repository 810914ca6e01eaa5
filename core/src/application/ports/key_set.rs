//! Where an identity provider publishes the keys that it signs JSON web tokens with.

use futures::future::BoxFuture;

/// Fetches a JWK set.
pub trait KeySetSource: Send + Sync + 'static {
    /// The set as JSON, of a bounded length. The error is for the log. May take for ever: the caller limits it.
    fn fetch(&self) -> BoxFuture<'_, Result<String, String>>;
}
