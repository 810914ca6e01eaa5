//! What a request says of itself, as far as conditions ask for it.

use std::net::IpAddr;

/// What conditions are compared with, beside the object's tags. What a request leaves out is `None`, and so is what is
/// not known of it: see each field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// `aws:SourceIp`: where the request comes from. Every request comes from somewhere: `None` is not known.
    pub source_ip: Option<IpAddr>,
    /// `aws:SecureTransport`: whether it came through TLS. `None` is not known.
    pub secure: Option<bool>,
    /// `aws:Referer`.
    pub referer: Option<String>,
    /// `s3:prefix` of a listing.
    pub prefix: Option<String>,
    /// `s3:delimiter` of a listing.
    pub delimiter: Option<String>,
    /// `s3:max-keys` of a listing, as it was sent.
    pub max_keys: Option<String>,
    /// `s3:x-amz-acl`, as it was sent.
    pub acl: Option<String>,
    /// Whether it sets an ACL by a header, that one or one that grants something.
    pub sets_acl: bool,
    /// `s3:x-amz-storage-class`, as it was sent.
    pub storage_class: Option<String>,
}

impl Context {
    /// The same request, asking for what begins with `prefix`.
    #[must_use]
    pub fn listing(&self, prefix: &str) -> Self {
        Self { prefix: Some(prefix.to_owned()), ..self.clone() }
    }
}

/// Where a request comes from, as the listener that took it knows. What is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Whether the client speaks TLS, with this process or with a proxy that is trusted.
    pub secure: Option<bool>,
}
