//! The HTTP that both fronts share: listeners, connections, and the layers around every request.

mod arrival;
mod connections;
mod counted;
mod head;
mod linger;
mod listener;
mod observe;
mod origin;
mod patience;
mod request_id;
mod sending;
mod spelling;
mod tls;

pub use arrival::{InHand, Peer};
pub use connections::Connections;
pub(crate) use counted::FAILURES;
pub use linger::Lingering;
pub use listener::{Listener, Server, Times};
pub use observe::{NamespaceLabels, Observe, Observing};
pub use origin::Proxies;
pub use patience::{Patience, Patient};
use request_id::RequestId;
use spelling::Spelling;
pub use tls::Tls;

/// One of the two fronts.
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
