//! The settings that every connection to PostgreSQL gets, and that are read back.
//!
//! Nothing is a startup parameter: poolers refuse them, or drop them in silence. Settings are set by `SET` on a
//! connection that has a server session of its own, and by `SET LOCAL` in the message that begins each transaction
//! always, so that a commit is durable however the server session was reached. What is set is read back on every new
//! connection; one that does not keep its word is refused by the setting's name.

pub(crate) mod hosts;
pub(crate) mod primary;
pub(crate) mod reach;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::fault::Fault;
use super::patience::ACQUIRE_TIMEOUT;
use reach::{AGAIN, address, unavailable};

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

/// The form in which they are read back.
const TOLD: [(&str, &str); 4] = [
    ("synchronous_commit", "on"),
    ("lock_timeout", "10s"),
    ("statement_timeout", "20s"),
    ("idle_in_transaction_session_timeout", "1min"),
];

/// For a connection with a server session of its own: also for statements outside of transactions.
const SESSION: &str = concat!(settings!("SET "), "; SET default_transaction_isolation TO 'read committed'");

macro_rules! begin {
    ($first:expr) => {
        concat!("BEGIN ISOLATION LEVEL READ COMMITTED; ", $first, settings!("SET LOCAL "))
    };
}

macro_rules! begin_snapshot {
    ($first:expr) => {
        concat!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ",
            $first,
            "SET LOCAL statement_timeout TO 0; SET LOCAL idle_in_transaction_session_timeout TO 0"
        )
    };
}

macro_rules! begin_migration {
    ($first:expr) => {
        concat!(
            begin!($first),
            "; SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0; \
             SET LOCAL idle_in_transaction_session_timeout TO 0"
        )
    };
}

/// Ends the server session on a standby, before anything is asked; does nothing on a primary. An error instead of the end
/// would leave a transaction behind that failed, in a connection that goes back to the pool.
macro_rules! primary_only {
    () => {
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_terminate_backend(pg_backend_pid()) END; "
    };
}

const BEGIN: &str = begin!("");
const BEGIN_SNAPSHOT: &str = begin_snapshot!("");
const BEGIN_MIGRATION: &str = begin_migration!("");

/// What a transaction is for, which decides how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It may write.
    Write,
    /// It reads one state of everything, for as long as it takes.
    Snapshot,
    /// It changes the schema: waiting for another process's, and a long one itself, are no reason to give up.
    Migration,
}

impl Begin {
    /// One message, so it costs no journey more than `BEGIN` alone. A connection with a server session of its own has
    /// shown that it reaches the primary, and a primary becomes a standby by a restart, which ends the session. A pooler
    /// may have gone over to another server behind an open connection: there each transaction asks.
    pub(crate) fn text(self, reach: Reach) -> &'static str {
        match (self, reach) {
            (Self::Write, Reach::Own) => BEGIN,
            (Self::Write, Reach::Shared) => begin!(primary_only!()),
            (Self::Snapshot, Reach::Own) => BEGIN_SNAPSHOT,
            (Self::Snapshot, Reach::Shared) => begin_snapshot!(primary_only!()),
            (Self::Migration, Reach::Own) => BEGIN_MIGRATION,
            (Self::Migration, Reach::Shared) => begin_migration!(primary_only!()),
        }
    }
}

/// The facts of a connection, in the order of [`Facts`].
const FACTS: &str = "SELECT current_setting('synchronous_commit'), current_setting('lock_timeout'), \
     current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'), \
     current_setting('transaction_isolation'), current_setting('client_encoding'), \
     current_setting('server_encoding'), current_setting('standard_conforming_strings'), current_setting('fsync'), \
     COALESCE(current_schema()::text, '')";

/// How long a pooler may take to find a second server session, when there is one.
const SECOND: Duration = Duration::from_secs(2);

/// What the operator says about connections to PostgreSQL. Embedded SQLite has none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// How many at most.
    pub most: u32,
    /// Whether statements are prepared by name and kept: not behind a pooler that cannot keep two clients' names apart.
    pub prepared: bool,
}

impl Default for Connections {
    fn default() -> Self {
        Self { most: 16, prepared: true }
    }
}

/// How a connection reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It has one server session for as long as it lasts, directly or through a pooler in session mode.
    Own,
    /// A pooler gives each transaction whichever server session is free: settings go with the transaction, and a
    /// statement outside of one has none.
    Shared,
}

/// The facts in which every connection must agree with the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) reach: Reach,
    /// Where tables are found that are named without a schema.
    schema: String,
    /// The timeline of the first connection's server; 0 where it does not tell.
    pub(crate) timeline: u32,
}

/// Finds the primary among `hosts`, waiting a little for servers that start. Its place.
pub(crate) async fn locate(hosts: &[PgConnectOptions]) -> Result<usize, Fault> {
    if hosts.len() == 1 {
        return Ok(0);
    }
    let deadline = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
    loop {
        let verdicts = primary::survey(hosts, None).await;
        if let Some(at) = primary::choose(&verdicts, None, 0) {
            return Ok(at);
        }
        if tokio::time::Instant::now() + AGAIN >= deadline {
            return Err(unavailable(primary::explain(hosts, &verdicts, 0)));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Connects for the first time, waiting a little for a server that starts, and finds out what is in between.
pub(crate) async fn first(options: &PgConnectOptions, prepared: bool) -> Result<Terms, Fault> {
    let mut connection = reach::connect(options).await?;
    primary::identify(&mut connection).await?;
    primary::is_primary(&mut connection).await.map_err(|fault| match fault {
        Fault::Demoted(why) => {
            unavailable(format!("{} {why}; name the primary, or all hosts", address(options)))
        }
        fault => fault,
    })?;
    // Of the rest first: without transactions nothing else that is found out is of use.
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
    let timeline = primary::timeline(&mut connection).await.unwrap_or_default();
    // With or without a good-bye does not matter.
    let _ = connection.close().await;
    Ok(Terms { reach, schema: facts.schema, timeline })
}

/// Holds a new connection to `terms`, and to a primary of the timeline `least` or a newer one. Its timeline.
pub(crate) async fn hold(connection: &mut PgConnection, terms: &Terms, least: u32) -> Result<u32, Fault> {
    primary::is_primary(connection).await?;
    let facts = settle(connection, terms.reach).await?;
    if facts.schema != terms.schema {
        return Err(Fault::failed(format!(
            "search_path differs between connections: one finds tables in the schema \"{}\", another in \"{}\"; set it \
             for the role with ALTER ROLE ... SET search_path",
            terms.schema, facts.schema
        )));
    }
    if terms.timeline == 0 {
        return Ok(0);
    }
    let timeline = primary::timeline(connection).await.unwrap_or(least);
    if timeline < least {
        return Err(Fault::Demoted(format!(
            "is a primary of timeline {timeline}, and timeline {least} was seen already: it was replaced, and came back"
        )));
    }
    Ok(timeline)
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

/// The facts of a connection.
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
    use crate::application::ports::metadata::MetadataError;

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
        for begin in [Begin::Write, Begin::Snapshot, Begin::Migration] {
            let asks = |reach| begin.text(reach).contains("pg_is_in_recovery()");
            assert_eq!((asks(Reach::Own), asks(Reach::Shared)), (false, true), "{begin:?}");
        }
    }
}
