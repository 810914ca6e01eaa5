//! Which of the servers is the one that accepts writes, and what is no PostgreSQL at all.
//!
//! A standby shows a past: whatever is read there may be decided wrongly, and nothing may be removed by it. So no
//! statement runs on a server before it has said that it is the primary.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use uuid::Uuid;

use super::reach::{address, no_answer, unreached};
use crate::application::ports::metadata::MetadataError;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::patience::ACQUIRE_TIMEOUT;

/// Once a primary has answered, the others have this long to say that they are one too, of a newer timeline.
const OTHERS: Duration = Duration::from_millis(500);

/// The oldest major version that the store is tested with.
const OLDEST: u32 = 14;

/// Databases that speak PostgreSQL's protocol, by a word of their `version()`, and what stands in the way.
const OTHERS_BY_NAME: [(&str, &str, &str); 4] = [
    (
        "CockroachDB",
        "CockroachDB",
        "its advisory locks do nothing, so that two servers would change the schema at once, and it ends transactions \
         where PostgreSQL lets them wait for a row",
    ),
    (
        "-YB-",
        "YugabyteDB",
        "its schema changes are no part of a transaction, so that a migration that fails would stay half done",
    ),
    (
        "Redshift",
        "Amazon Redshift",
        "it does not enforce unique and foreign keys, which keep every blob alive",
    ),
    ("Materialize", "Materialize", "it has no foreign keys, which keep every blob alive"),
];

/// What a server is to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It accepts writes. Its timeline goes up with each promotion; `None` where the server does not tell.
    Primary(Option<u32>),
    /// It is up and is not to be used: a standby, or another store's.
    Unfit(String),
    /// It is up and let nobody in, for a reason that may pass: too many connections, for one.
    Busy(String),
    /// There was no answer.
    Away(String),
}

/// The server to use: of those that accept writes the one of the newest timeline, and the current one rather than another.
/// None of an older timeline than `least`: a primary that was replaced and came back still accepts writes, and would lose
/// them. One that lets nobody in is kept if it is the current one.
pub(crate) fn choose(verdicts: &[Verdict], current: Option<usize>, least: u32) -> Option<usize> {
    let timeline = |verdict: &Verdict| match verdict {
        Verdict::Primary(timeline) => timeline.unwrap_or(least.max(1)).into(),
        _ => None,
    };
    let primaries = verdicts.iter().enumerate().filter_map(|(at, verdict)| Some((at, timeline(verdict)?)));
    let best = primaries
        .filter(|(_, timeline)| *timeline >= least)
        .max_by_key(|(at, timeline)| (*timeline, Some(*at) == current, std::cmp::Reverse(*at)));
    let kept = || current.filter(|at| matches!(verdicts.get(*at), Some(Verdict::Busy(_))));
    best.map(|(at, _)| at).or_else(kept)
}

/// Why there is no server to use, by each host.
pub(crate) fn explain(hosts: &[PgConnectOptions], verdicts: &[Verdict], least: u32) -> String {
    let why: Vec<_> = hosts
        .iter()
        .zip(verdicts)
        .map(|(host, verdict)| match verdict {
            Verdict::Primary(timeline) => {
                format!(
                    "{} is a primary of timeline {}, and timeline {least} was seen already",
                    address(host),
                    timeline.unwrap_or_default()
                )
            }
            Verdict::Unfit(why) => format!("{} {why}", address(host)),
            Verdict::Busy(why) | Verdict::Away(why) => why.clone(),
        })
        .collect();
    match why.as_slice() {
        [one] => one.clone(),
        all => format!("none of the hosts accepts writes: {}", all.join("; ")),
    }
}

/// Asks every host at once. `store` is the store's id where it is known: a server that holds another is unfit.
pub(crate) async fn survey(hosts: &[PgConnectOptions], store: Option<Uuid>) -> Vec<Verdict> {
    let mut verdicts: Vec<_> = hosts.iter().map(|host| Verdict::Away(no_answer(host))).collect();
    let mut asked: FuturesUnordered<_> =
        hosts.iter().enumerate().map(async |(at, host)| (at, ask(host, store).await)).collect();
    let mut deadline = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
    while let Ok(Some((at, verdict))) = tokio::time::timeout_at(deadline, asked.next()).await {
        if matches!(verdict, Verdict::Primary(_)) {
            deadline = deadline.min(tokio::time::Instant::now() + OTHERS);
        }
        verdicts[at] = verdict;
    }
    verdicts
}

async fn ask(host: &PgConnectOptions, store: Option<Uuid>) -> Verdict {
    let mut connection = match host.connect().await {
        Ok(connection) => connection,
        Err(error) => return refusal(host, error),
    };
    let verdict = match look(&mut connection, store).await {
        Ok(timeline) => Verdict::Primary(timeline),
        Err(Fault::Final(MetadataError::Unavailable(why))) => Verdict::Away(why),
        Err(fault) => Verdict::Unfit(MetadataError::from(fault).to_string()),
    };
    // Whether it goes with a good-bye or without does not matter.
    let _ = connection.close().await;
    verdict
}

fn refusal(host: &PgConnectOptions, error: sqlx::Error) -> Verdict {
    // It is there and refuses this connection, unless it says that it starts or ends.
    let busy = matches!(&error, sqlx::Error::Database(refused)
        if refused.code().is_none_or(|code| !code.starts_with("57P")));
    let why = MetadataError::from(unreached(host, error)).to_string();
    if busy { Verdict::Busy(why) } else { Verdict::Away(why) }
}

/// The timeline of the primary that `connection` reaches; an error if it is no server to use.
async fn look(connection: &mut PgConnection, store: Option<Uuid>) -> Result<Option<u32>, Fault> {
    identify(connection).await?;
    is_primary(connection).await?;
    if let Some(store) = store {
        // In one message, as all that is asked outside of a transaction.
        let row = sqlx::raw_sql("SELECT id::text FROM store").fetch_one(&mut *connection).await;
        let found = row.and_then(|row| row.try_get::<String, _>(0));
        if found.ok().and_then(|found| found.parse::<Uuid>().ok()) != Some(store) {
            return Err(Fault::failed("holds another store, or none"));
        }
    }
    Ok(timeline(connection).await)
}

/// Refuses what is no PostgreSQL. Asked first, in words that every one of them understands.
pub(crate) async fn identify(connection: &mut PgConnection) -> Result<(), Fault> {
    let row = sqlx::raw_sql("SELECT version()").fetch_one(connection).await?;
    judge_version(&row.try_get::<String, _>(0)?).map_err(Fault::failed)
}

/// Refuses a server by what it says its version is; warns of one that is too old.
fn judge_version(version: &str) -> Result<(), String> {
    if let Some((_, name, why)) = OTHERS_BY_NAME.iter().find(|(word, ..)| version.contains(word)) {
        return Err(format!("the server is {name}, not PostgreSQL: {why}; see docs/deployment.md#databases"));
    }
    let major = version
        .strip_prefix("PostgreSQL ")
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok());
    if major.is_some_and(|major| major < OLDEST) {
        tracing::warn!(version, "the store is tested with PostgreSQL {OLDEST} and newer");
    }
    Ok(())
}

/// Refuses a standby, and a server that an operator has made read-only.
pub(crate) async fn is_primary(connection: &mut PgConnection) -> Result<(), Fault> {
    const ROLE: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')";
    let row = sqlx::raw_sql(ROLE).fetch_one(connection).await?;
    if row.try_get(0)? {
        return Err(Fault::Demoted("is a standby: it takes no writes".to_owned()));
    }
    if row.try_get::<String, _>(1)? != "off" {
        return Err(Fault::Demoted("takes no writes (default_transaction_read_only is on)".to_owned()));
    }
    Ok(())
}

/// The timeline of a primary; `None` where the server does not tell.
pub(crate) async fn timeline(connection: &mut PgConnection) -> Option<u32> {
    const TIMELINE: &str = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
    let row = sqlx::raw_sql(TIMELINE).fetch_one(connection).await.ok()?;
    u32::from_str_radix(&row.try_get::<String, _>(0).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDBY: fn() -> Verdict = || Verdict::Unfit("is a standby".to_owned());
    const AWAY: fn() -> Verdict = || Verdict::Away("no answer".to_owned());
    const BUSY: fn() -> Verdict = || Verdict::Busy("too many".to_owned());
    const PRIMARY: fn(u32) -> Verdict = |timeline| Verdict::Primary(Some(timeline));

    #[test]
    fn the_primary_is_chosen_and_never_an_older_one() {
        assert_eq!(choose(&[STANDBY(), PRIMARY(1)], Some(0), 0), Some(1));
        assert_eq!(choose(&[STANDBY(), AWAY()], Some(0), 0), None);
        assert_eq!(choose(&[PRIMARY(1), PRIMARY(1)], Some(1), 0), Some(1), "the current one");
        assert_eq!(choose(&[PRIMARY(1), PRIMARY(1)], None, 0), Some(0), "the first one");
        assert_eq!(choose(&[PRIMARY(1), PRIMARY(2)], Some(0), 1), Some(1), "it was promoted");
        assert_eq!(choose(&[PRIMARY(1), AWAY()], Some(0), 2), None, "it was replaced, and came back");
        assert_eq!(choose(&[Verdict::Primary(None), AWAY()], Some(1), 2), Some(0), "it does not tell");
    }

    #[test]
    fn a_server_that_lets_nobody_in_is_kept_and_not_gone_to() {
        assert_eq!(choose(&[BUSY(), AWAY()], Some(0), 0), Some(0));
        assert_eq!(choose(&[BUSY(), AWAY()], Some(1), 0), None);
        assert_eq!(choose(&[BUSY(), PRIMARY(2)], Some(0), 1), Some(1));
    }

    #[test]
    fn other_databases_are_refused_by_name() {
        for (version, name) in [
            ("CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu, built 2024/05/15)", "CockroachDB"),
            ("PostgreSQL 11.2-YB-2.21.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang", "YugabyteDB"),
            ("PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64-pc-linux-gnu", "YugabyteDB"),
            ("PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC, Redshift 1.0.77467", "Amazon Redshift"),
        ] {
            let refused = judge_version(version).unwrap_err();
            assert!(refused.contains(&format!("the server is {name}")), "{refused}");
        }
        for version in [
            "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu",
            "PostgreSQL 17.2 on aarch64-unknown-linux-gnu",
            "PostgreSQL 13.9 on x86_64",
            "EnterpriseDB Advanced Server 16",
        ] {
            assert_eq!(judge_version(version), Ok(()), "{version}");
        }
    }
}
