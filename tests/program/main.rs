//! The program as its users meet it: started as a process, spoken to over HTTP, ended by signals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admin;
mod alike;
mod audit;
mod bootstrap;
mod commands;
mod harness;
mod headers;
mod identity;
mod import;
mod refusals;
mod remote;
mod secure;
mod serve;
