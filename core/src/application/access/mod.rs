//! Who asks, and what they may do: one answer for both fronts.

pub mod authenticate;
pub mod authorize;
pub mod keys;
mod seal;

pub use authenticate::{Access, AuthMode, RootKey, S3Identity};
pub use keys::{NewKey, NewKeyRequest};
pub use seal::MasterKey;
