//! The API from its router down to SQLite and files: every call, and what bad requests are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod admin;
mod conditions;
mod copies;
mod deletions;
mod document;
mod examples;
mod idempotency;
mod listing;
mod locks;
mod moves;
mod objects;
mod operations;
mod pages;
mod prefixes;
mod presigned;
mod refusals;
mod support;
mod tags;
mod uploads;
mod walls;
