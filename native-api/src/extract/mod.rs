//! Readers of requests: each file reads one kind of value, and refuses invalid ones.

mod address;
mod attributes;
mod auth;
mod body;
mod call;
mod conditions;
mod json;
mod key_path;
mod presigned;

use juststorage_core::domain::invalid::Invalid;

pub(crate) use address::Address;
pub(crate) use attributes::attributes;
pub(crate) use auth::{Named, Proven};
pub(crate) use body::body;
pub(crate) use call::{Call, IdPath, Params, PartPath, PathNames, UploadPath, label_namespace};
pub(crate) use conditions::{preconditions, read_options};
pub(crate) use json::{JSON_BYTES_MAX, LIST_BYTES_MAX, bounded, moment, patched};
pub(crate) use key_path::KeyPath;
pub(crate) use presigned::signed_query;

/// How many entries a page has: as many as `asked`, which must be 1 to `most`. A larger number is refused, not cut: a client
/// that asked for more than it gets could take a full page for the last one.
pub(crate) fn page_limit(asked: Option<u32>, default: u32, most: u32) -> Result<u32, Invalid> {
    match asked.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(Invalid::new("limit", format!("must be 1 to {most}"))),
    }
}
