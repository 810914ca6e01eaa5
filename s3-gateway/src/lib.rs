//! The S3 front: a restricted surface that behaves as S3 does where it is offered, and says so by name
//! where it is not.
//!
//! A request passes through three rooms. [`service()`] gives it an id, and refuses what no operation knows
//! (the allow-list). s3s verifies the signature and reads the protocol. The operations translate to and
//! from [`juststorage_core::application::store::Store`], which decides everything. Types of s3s never leave
//! this crate.

mod acl;
mod allowlist;
mod api;
mod auth;
mod body;
mod bounded;
mod chunks;
mod dto;
mod errors;
mod location;
mod ops;
mod post;
mod preflight;
mod route;
mod service;
mod wire;

use juststorage_core::application::access::Access;
use juststorage_core::application::store::Store;

#[cfg(feature = "testing")]
pub use service::testing;
pub use service::{BoxError, ResponseBody, S3Gateway, service};

/// The operations that the gateway carries out, by S3's names for them: for the test that tries every one.
pub fn operations() -> impl Iterator<Item = &'static str> {
    allowlist::offered_names()
}

/// Whether `name` is that of a region: of the setting, and in a signature's scope, which is verified as it was signed.
/// `OpenStack` says `RegionOne`, old tools `EU`, others the host's name. A slash ends it in the scope, a comma in the
/// header.
pub fn is_region(name: &str) -> bool {
    name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b','))
}

/// What the gateway is made of.
#[derive(Clone)]
pub struct Gateway {
    /// The store it fronts.
    pub store: Store,
    /// Where access keys are resolved. Who signs with none gets what ACLs grant to everybody, if the store heeds them.
    pub access: Access,
    /// The region that buckets are said to be in. Requests may be signed for any.
    pub region: String,
    /// The domain whose subdomains are buckets (`s3.example.com`, without a port); `None` for path-style
    /// addresses only.
    pub domain: Option<String>,
    /// What clients call the gateway, as answers name it; `None` for what each request says.
    pub public_url: Option<String>,
    /// Whether the gateway is reached over its own TLS.
    pub tls: bool,
    /// Whether signatures of version 2 are accepted: in the header, in the query, and on forms.
    pub sigv2: bool,
}
