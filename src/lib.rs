//! The `juststorage` program as a library, so that tests start the product in their own process.
//!
//! [`start`] is the whole server; [`commands`] has all commands. This crate contains no rule of the store: it reads
//! settings, composes the parts, and listens.

use std::net::SocketAddr;

pub mod bootstrap;
pub mod cli;
pub mod commands;
pub mod compose;
pub mod config;
pub mod data_dir;
pub mod descriptors;
pub mod exit_error;
pub mod home;
pub mod http;
pub mod jwks;
pub mod master_key;
pub mod minio;
pub mod remote;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod version;
pub mod watch;
pub mod writer;

pub use config::Config;
pub use exit_error::ExitError;
pub use serve::{Running, start};

/// Serves with `config` until SIGTERM or SIGINT, then ends gracefully. Calls `ready` with the addresses once both
/// fronts listen.
pub async fn run(config: Config, ready: impl FnOnce(&Endpoints)) -> Result<(), ExitError> {
    // Before anything is begun, so that a signal during the start is not lost.
    let mut signals =
        shutdown::Signals::listen().map_err(|error| ExitError::unable("listen for signals", error))?;
    let running = tokio::select! {
        running = start(config) => running?,
        name = signals.next() => {
            tracing::info!(signal = name, "a signal ends the start");
            return Ok(());
        }
    };
    ready(running.endpoints());
    let name = tokio::select! {
        name = signals.next() => name,
        () = running.superseded() => {
            // At once, and without tidying up: all that this server has begun is the other one's now.
            return Err(ExitError::Unable(
                "another server has started from a copy of this server's data directory and has taken its place: nothing \
                 more is acknowledged here. See docs/troubleshooting.md"
                    .to_owned(),
            ));
        }
    };
    tracing::info!(signal = name, "shutting down");
    running
        .shut_down(async move {
            let name = signals.next().await;
            tracing::warn!(signal = name, "second signal: ending open requests");
        })
        .await;
    tracing::info!("shut down");
    Ok(())
}

/// Addresses of the fronts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The native API.
    pub native: SocketAddr,
    /// The admin API, if it has an address of its own.
    pub admin: Option<SocketAddr>,
    /// The S3 front.
    pub s3: SocketAddr,
}
