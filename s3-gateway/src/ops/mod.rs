//! The operations: each translates one request, calls the store once or twice, and translates the answer.

pub(crate) mod attributes;
pub(crate) mod buckets;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod found;
pub(crate) mod listing;
pub(crate) mod multipart;
pub(crate) mod object_lock;
pub(crate) mod objects;
pub(crate) mod settings;
pub(crate) mod tagging;
pub(crate) mod uploads;
