//! The two engines: how they are opened, asked and told apart.

pub(crate) mod ballast;
pub(crate) mod database;
pub(crate) mod dialect;
pub(crate) mod fault;
pub(crate) mod fence;
pub(crate) mod migrate;
pub(crate) mod open;
pub(crate) mod page;
mod patience;
pub(crate) mod postgres;
pub(crate) mod server;
pub(crate) mod sqlite;
pub(crate) mod statement;
pub(crate) mod transaction;
