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

pub(crate) use address::Address;
pub(crate) use attributes::attributes;
pub(crate) use auth::{Named, Proven};
pub(crate) use body::body;
pub(crate) use call::{Call, IdPath, Params, PartPath, PathNames, UploadPath, label_namespace};
pub(crate) use conditions::{preconditions, read_options};
pub(crate) use json::{JSON_BYTES_MAX, LIST_BYTES_MAX, bounded, moment, patched};
pub(crate) use key_path::KeyPath;
pub(crate) use presigned::signed_query;
