//! The gateway's own edges, over the real store: what SDKs depend on and what they must not get away with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::format_collect)] // a few lines of XML
#![allow(missing_docs)] // a test crate

mod access;
mod acls;
mod authorization;
mod checksums;
mod classes;
mod conditions;
mod controls;
mod documents;
mod error_members;
mod forms;
mod further;
mod listing;
mod multipart;
mod objects;
mod policies;
mod prefixes;
mod probes;
mod protocol;
mod queries;
mod server;
mod settings;
mod signatures;
mod sigv2;
mod tampered;
mod unsigned;
mod versions;
mod walls;
