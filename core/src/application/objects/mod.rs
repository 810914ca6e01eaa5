//! What is done with objects: one file for each use case.

pub mod attributes;
mod beyond;
pub mod copy;
mod cursor;
pub mod delete;
pub mod delete_many;
pub mod get;
mod line;
pub mod list;
mod merged;
pub(crate) mod once;
mod pull;
pub mod put;
pub mod rename;
pub mod rolling;
mod sent;
pub mod tagged;
pub mod update;

pub use super::object_ref::ObjectRef;
