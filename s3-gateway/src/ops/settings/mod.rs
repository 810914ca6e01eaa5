//! Settings of a bucket: each setting is a document of its own.

pub(crate) mod access;
pub(crate) mod cors;
pub(crate) mod lifecycle;
pub(crate) mod notification;
pub(crate) mod policy;
pub(crate) mod unset;
pub(crate) mod versioning;
