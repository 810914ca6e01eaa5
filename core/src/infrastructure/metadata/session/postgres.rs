//! What every connection to PostgreSQL is told, and held to.
//!
//! Nothing is a startup parameter: poolers refuse them, or drop them in silence. Settings are set by `SET` on a
//! connection that has a server session of its own, and by `SET LOCAL` in the message that begins each transaction
//! always, so that a commit is durable however the server session was reached. What is set is read back on every new
//! connection; one that does not keep its word is refused by the setting's name.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::fault::Fault;
use super::patience::ACQUIRE_TIMEOUT;
use crate::application::ports::metadata::MetadataError;

/// The settings, each in the words that both `SET` and `current_setting` use. A lock or a statement that takes longer is
/// given up; a transaction that was forgotten ends.
macro_rules! settings {
    ($set:literal) => {
        concat!(
            $set,
            "synchronous_commit TO 'on'; ",
            $set,
            "lock_timeout TO '10s'; ",
            $set,
            "statement_timeout TO '20s'; ",
            $set,
            "idle_in_transaction_session_timeout TO '1min'"
        )
    };
}

/// What they are read back as.
const TOLD: [(&str, &str); 4] = [
    ("synchronous_commit", "on"),
    ("lock_timeout", "10s"),
    ("statement_timeout", "20s"),
    ("idle_in_transaction_session_timeout", "1min"),
];

/// For a connection with a server session of its own: also for statements outside of transactions.
const SESSION: &str = concat!(settings!("SET "), "; SET default_transaction_isolation TO 'read committed'");

/// Begins a transaction that may write. One message, so it costs no journey more than `BEGIN` alone.
pub(crate) const BEGIN: &str = concat!("BEGIN ISOLATION LEVEL READ COMMITTED; ", settings!("SET LOCAL "));

/// Begins one that reads one state of everything, for as long as it takes.
pub(crate) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
     SET LOCAL statement_timeout TO 0; SET LOCAL idle_in_transaction_session_timeout TO 0";

/// Begins a migration: waiting for another process's, and a long one itself, are no reason to give up.
pub(crate) const BEGIN_MIGRATION: &str = concat!(
    "BEGIN ISOLATION LEVEL READ COMMITTED; ",
    settings!("SET LOCAL "),
    "; SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0; \
     SET LOCAL idle_in_transaction_session_timeout TO 0"
);

/// What a connection says of itself, in the order of [`Facts`].
const FACTS: &str = "SELECT current_setting('synchronous_commit'), current_setting('lock_timeout'), \
     current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'), \
     current_setting('transaction_isolation'), current_setting('client_encoding'), \
     current_setting('server_encoding'), current_setting('standard_conforming_strings'), current_setting('fsync'), \
     COALESCE(current_schema()::text, '')";

/// How long a pooler may take to find a second server session, when there is one.
const SECOND: Duration = Duration::from_secs(2);

/// Between two attempts to reach a server that starts.
const AGAIN: Duration = Duration::from_millis(200);

/// How a connection reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It has one server session for as long as it lasts, directly or through a pooler in session mode.
    Own,
    /// A pooler gives each transaction whichever server session is free: settings go with the transaction, and a
    /// statement outside of one has none.
    Shared,
}

/// What every connection must agree on with the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) reach: Reach,
    /// Where tables are found that are named without a schema.
    schema: String,
}

/// Connects for the first time, waiting a little for a server that starts, and finds out what is in between.
pub(crate) async fn first(options: &PgConnectOptions, prepared: bool) -> Result<Terms, Fault> {
    let mut connection = reach(options).await?;
    // First of all: without transactions nothing else that is found out is of use.
    begin(&mut connection).await?.rollback().await.map_err(Fault::from)?;
    let reach = if prepared { examine(options, &mut connection).await? } else { Reach::Shared };
    let facts = settle(&mut connection, reach).await?;
    if facts.fsync != "on" {
        tracing::error!(
            "the PostgreSQL server runs with fsync=off: a crash of its machine loses acknowledged writes; set \
             fsync=on in postgresql.conf"
        );
    }
    if reach == Reach::Shared {
        tracing::info!(
            prepared,
            "connections to PostgreSQL share server sessions: settings go with each transaction"
        );
    }
    // With or without a good-bye does not matter.
    let _ = connection.close().await;
    Ok(Terms { reach, schema: facts.schema })
}

/// Holds a new connection to `terms`.
pub(crate) async fn hold(connection: &mut PgConnection, terms: &Terms) -> Result<(), sqlx::Error> {
    let refused = |what: String| sqlx::Error::Configuration(what.into());
    let facts = match settle(connection, terms.reach).await {
        Ok(facts) => facts,
        Err(fault) => return Err(refused(MetadataError::from(fault).to_string())),
    };
    if facts.schema != terms.schema {
        return Err(refused(format!(
            "search_path differs between connections: one finds tables in the schema \"{}\", another in \"{}\"; set it \
             for the role with ALTER ROLE ... SET search_path",
            terms.schema, facts.schema
        )));
    }
    Ok(())
}

/// A connection, or why there is none, by host and port.
async fn reach(options: &PgConnectOptions) -> Result<PgConnection, Fault> {
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

fn unavailable(what: String) -> Fault {
    MetadataError::Unavailable(what).into()
}

/// Where the server should be.
fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("{} (port {})", socket.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

fn no_answer(options: &PgConnectOptions) -> String {
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

/// Whether a second connection, while the first one is open, is given the server session that the first one used. Only a
/// pooler does that, and gives what was used last first. If so, both prepare a statement of the same name: a pooler that
/// does not keep the names of two clients apart shows it here, and not under load.
async fn examine(options: &PgConnectOptions, first: &mut PgConnection) -> Result<Reach, Fault> {
    let Ok(Ok(mut second)) = tokio::time::timeout(SECOND, options.connect()).await else {
        // No room for a second one: no pooler that would be of use.
        return Ok(Reach::Own);
    };
    let mut reach = Reach::Own;
    for _ in 0..3 {
        let one = session(first).await?;
        let Ok(other) = tokio::time::timeout(SECOND, session(&mut second)).await else { break };
        if one == other? {
            reach = Reach::Shared;
            break;
        }
    }
    if reach == Reach::Shared {
        for connection in [&mut *first, &mut second] {
            let answer: Result<i32, sqlx::Error> = sqlx::query_scalar("SELECT 1").fetch_one(connection).await;
            answer.map_err(Fault::from)?;
        }
    }
    let _ = second.close().await;
    Ok(reach)
}

/// The number of the server process that answers. Asked without preparing anything.
async fn session(connection: &mut PgConnection) -> Result<i32, Fault> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?;
    Ok(row.try_get(0)?)
}

/// What a connection said.
struct Facts {
    schema: String,
    fsync: String,
}

/// Tells a connection its settings, and reads back whether they hold inside a transaction and, where it has a session of
/// its own, outside.
async fn settle(connection: &mut PgConnection, reach: Reach) -> Result<Facts, Fault> {
    if reach == Reach::Own {
        sqlx::raw_sql(SESSION).execute(&mut *connection).await?;
        check(&ask(connection).await?, "for the session (SET)")?;
    }
    let mut tx = begin(connection).await?;
    let row = ask(&mut tx).await?;
    tx.rollback().await?;
    check(&row, "in a transaction (SET LOCAL)")?;
    let text = |at: usize| row.get(at).cloned().unwrap_or_default();
    for (name, found, wanted, advice) in [
        ("client_encoding", text(5), "UTF8", "ALTER ROLE ... SET client_encoding TO 'UTF8'"),
        ("server_encoding", text(6), "UTF8", "make the database with ENCODING 'UTF8'"),
        (
            "standard_conforming_strings",
            text(7),
            "on",
            "ALTER ROLE ... SET standard_conforming_strings TO on",
        ),
    ] {
        if found != wanted {
            return Err(Fault::failed(format!(
                "PostgreSQL's {name} is {found} and must be {wanted}: {advice}"
            )));
        }
    }
    if text(9).is_empty() {
        return Err(Fault::failed(
            "PostgreSQL's search_path names no schema that exists: create it, or ALTER ROLE ... SET search_path",
        ));
    }
    Ok(Facts { schema: text(9), fsync: text(8) })
}

/// A transaction that may write, as every one of them begins.
async fn begin(connection: &mut PgConnection) -> Result<sqlx::Transaction<'_, sqlx::Postgres>, Fault> {
    connection.begin_with(BEGIN).await.map_err(|error| match &error {
        sqlx::Error::Database(refused) if refused.message().contains("statement pooling mode") => {
            Fault::failed(format!("{refused}: the pooler must be in session or transaction mode (pool_mode)"))
        }
        _ => Fault::from(error),
    })
}

/// Every fact as text. Asked without preparing anything.
async fn ask(connection: &mut PgConnection) -> Result<Vec<String>, Fault> {
    let row = sqlx::raw_sql(FACTS).fetch_one(connection).await?;
    (0..row.len()).map(|at| Ok(row.try_get(at)?)).collect()
}

/// Whether what was set is what is in force.
fn check(row: &[String], how: &str) -> Result<(), Fault> {
    let told = TOLD.into_iter().chain([("transaction_isolation", "read committed")]);
    for ((name, wanted), found) in told.zip(row) {
        if found != wanted {
            return Err(Fault::failed(format!(
                "PostgreSQL's {name} was set to {wanted} {how} and is {found}: something between the store and the \
                 server drops settings; connect directly, or through a pooler that passes SET on"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn facts(synchronous_commit: &str) -> Vec<String> {
        let told =
            TOLD.map(|(name, wanted)| if name == "synchronous_commit" { synchronous_commit } else { wanted });
        told.into_iter().chain(["read committed"]).map(str::to_owned).collect()
    }

    #[test]
    fn a_setting_that_was_dropped_is_named() {
        assert!(check(&facts("on"), "here").is_ok());
        let refused = MetadataError::from(check(&facts("off"), "here").unwrap_err()).to_string();
        assert!(refused.contains("synchronous_commit was set to on here and is off"), "{refused}");
    }

    #[test]
    fn every_setting_stands_in_every_text() {
        for (name, value) in TOLD {
            assert!(SESSION.contains(&format!("SET {name} TO '{value}'")), "{name}");
            assert!(BEGIN.contains(&format!("SET LOCAL {name} TO '{value}'")), "{name}");
            assert!(BEGIN_MIGRATION.contains(&format!("SET LOCAL {name} TO")), "{name}");
        }
    }
}
