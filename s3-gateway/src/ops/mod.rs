//! The operations: each translates one request, calls the store once or twice, and translates the answer.

pub(crate) mod access;
pub(crate) mod attributes;
pub(crate) mod buckets;
pub(crate) mod copy;
pub(crate) mod cors;
pub(crate) mod delete;
pub(crate) mod lifecycle;
pub(crate) mod listing;
pub(crate) mod multipart;
pub(crate) mod object_lock;
pub(crate) mod objects;
pub(crate) mod policy;
pub(crate) mod tagging;
pub(crate) mod unset;
pub(crate) mod uploads;
pub(crate) mod versioning;
