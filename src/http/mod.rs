//! The HTTP that both fronts share: listeners, connections, and the layers around every request.

mod activity;
mod arrival;
mod connections;
mod counted;
mod front;
mod head;
mod linger;
mod listener;
mod observe;
mod origin;
mod own_words;
mod patience;
mod request_id;
mod reserved;
mod sending;
mod spelling;
mod tls;

pub use arrival::{InHand, Peer};
pub use connections::Connections;
pub(crate) use counted::{FAILURES, certificate_expires};
pub use front::Front;
pub use linger::Lingering;
pub use listener::{Listener, Server, Times};
pub use observe::{NamespaceLabels, Observe, Observing};
pub use origin::Proxies;
pub use patience::{Patience, Patient};
use request_id::RequestId;
use spelling::Spelling;
pub use tls::Tls;
