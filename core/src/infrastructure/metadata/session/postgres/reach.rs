//! A connection to a host, or why there is none.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::application::ports::metadata::MetadataError;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::patience::ACQUIRE_TIMEOUT;

/// Between two attempts to reach a server that starts.
pub(crate) const AGAIN: Duration = Duration::from_millis(200);

/// A connection, or why there is none, by host and port.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Fault> {
    let deadline = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
    loop {
        let error = match tokio::time::timeout_at(deadline, options.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => return Err(unavailable(no_answer(options))),
        };
        let starts = match &error {
            sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
            _ => false,
        };
        if !starts || tokio::time::Instant::now() + AGAIN >= deadline {
            return Err(unreached(options, error));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

pub(crate) fn unavailable(what: String) -> Fault {
    MetadataError::Unavailable(what).into()
}

/// Where the server should be.
pub(crate) fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("{} (port {})", socket.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

pub(crate) fn no_answer(options: &PgConnectOptions) -> String {
    format!(
        "no answer from {} within {} s: is the host right, and is a firewall in between?",
        address(options),
        ACQUIRE_TIMEOUT.as_secs()
    )
}

/// Why a server could not be reached, with its address: neither the system nor sqlx names it.
pub(crate) fn unreached(options: &PgConnectOptions, error: sqlx::Error) -> Fault {
    match &error {
        sqlx::Error::Io(io) if io.kind() == ErrorKind::ConnectionRefused => unavailable(format!(
            "connection refused by {}: PostgreSQL does not run there, or does not listen on that address \
             (listen_addresses, port)",
            address(options)
        )),
        sqlx::Error::Io(io) => unavailable(format!("cannot connect to {}: {io}", address(options))),
        _ => match Fault::from(error) {
            Fault::Final(MetadataError::Failed(what)) => {
                Fault::failed(format!("{} refuses the connection: {what}", address(options)))
            }
            fault => fault,
        },
    }
}
