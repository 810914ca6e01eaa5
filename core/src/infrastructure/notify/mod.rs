//! Event notifications: what an event looks like, and how it is sent.

mod nats;
mod payload;
mod signature;
mod webhook;

pub use nats::NatsSink;
pub use payload::{Payload, payload};
pub use signature::{SignatureKey, sign};
pub use webhook::{OpenSecret, WebhookSink};
