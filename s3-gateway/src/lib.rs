//! The S3 front. An offered operation behaves as on S3; every other one is refused by its name.
//!
//! A request passes three stages. [`service()`] gives it an id, finds the row of its operation (`operations`) and
//! refuses query keys and headers that the row does not have (the allow-list). s3s verifies the signature and reads
//! the request; `wire` does so where s3s differs from S3. The functions in `ops` translate to and from [`juststorage_core::application::store::Store`], which decides everything. Types of s3s never leave
//! this crate.

mod acl;
mod addressing;
mod administration;
mod allowlist;
mod api;
mod auth;
mod dispatch;
pub mod documents;
mod dto;
mod errors;
mod hoisted;
mod location;
mod operations;
mod ops;
mod post;
mod preflight;
mod probe;
mod query;
mod route;
mod service;
mod wire;

use juststorage_core::domain::action::Action;

#[cfg(feature = "testing")]
pub use service::testing;
pub use service::{Gateway, ResponseBody, S3Gateway, service};
pub use wire::signatures::claims::is_region;

/// An operation that the gateway carries out, for tests that try every one.
#[derive(Clone, Copy, Debug)]
pub struct Offered {
    /// S3's name for it.
    pub name: &'static str,
    /// The status of a success.
    pub status: u16,
    /// Whether its body is a document (XML or JSON), whose declared digests are compared.
    pub takes_document: bool,
    /// The actions that the caller must be allowed, as policies name them.
    pub actions: &'static [Action],
}

/// Every operation that the gateway carries out.
pub fn operations() -> impl Iterator<Item = Offered> {
    operations::OFFERED.iter().map(|operation| Offered {
        name: operation.name,
        status: operation.status.as_u16(),
        takes_document: operation.body.document_bytes_max().is_some(),
        actions: operation.actions,
    })
}
