//! HTTP, as far as both fronts share it: listeners, connections, and what wraps every request.

mod arrival;
mod head;
mod linger;
mod listener;
mod observe;
mod request_id;
mod spelling;
mod tls;

pub use arrival::Peer;
pub use linger::{Linger, Lingering};
pub use listener::{Listener, Server};
pub use observe::{NamespaceLabels, Observe};
use request_id::RequestId;
use spelling::Spelling;
pub use tls::Tls;

/// Which of the two fronts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// The native API.
    Native,
    /// The S3 gateway.
    S3,
}

impl Front {
    /// Its name in logs and in the lines that announce the endpoints.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::S3 => "s3",
        }
    }
}
