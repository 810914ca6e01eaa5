//! Connections to addresses that a setting names: webhooks, upstream stores. Every one of them goes through
//! [`GuardedResolver`] or [`GuardedConnector`], so that no setting leads to an address that its operator did not allow
//! ([`Reach`](crate::domain::reach::Reach)).

mod client;
mod guard;
#[cfg(test)]
mod tests;

pub use client::{Answer, OutboundClient, OutboundFailure};
pub use guard::{GuardedConnector, GuardedResolver, ResolveError};
