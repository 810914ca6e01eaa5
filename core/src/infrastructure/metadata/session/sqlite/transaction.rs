//! Transactions whose statements go to SQLite's thread together.

use std::fmt::Write as _;

use futures::TryStreamExt as _;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Executor as _, SqlSafeStr as _, SqliteConnection, Type};

use super::pool::{Held, Owes};
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::watch;

/// Values that wait together at most. Statements of few rows go together, which saves them a trip each; of those of many
/// rows there would be too many different texts to keep them all prepared.
const VALUES_MAX: usize = 512;

/// Fails unless the statement before it changed so many rows: what is behind it in the same text, the commit too, is then
/// not run.
const CHANGED: &str = "SELECT CASE WHEN changes() = $1 THEN 1 ELSE json('') END";

/// How a transaction begins.
#[derive(Clone, Copy)]
pub(crate) enum Begin {
    /// With the write lock at once: one that began by reading could not upgrade after another's commit.
    Write,
    /// To read one state of everything.
    Snapshot,
}

/// What is wanted of a statement's answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Nothing,
    Count,
    FirstRow,
    Rows,
}

/// The answer to a statement.
pub(crate) struct Answer {
    /// Rows that it changed.
    pub(crate) changed: u64,
    pub(crate) rows: Vec<SqliteRow>,
}

/// The place of an answer that is kept until somebody wants it.
#[derive(Clone, Copy)]
pub(crate) struct Slot(usize);

/// The rows of answers that were kept.
#[derive(Default)]
pub(crate) struct Kept(Vec<Vec<SqliteRow>>);

impl Kept {
    /// Those of one answer.
    pub(crate) fn take(&mut self, slot: Slot) -> Vec<SqliteRow> {
        self.0.get_mut(slot.0).map(std::mem::take).unwrap_or_default()
    }
}

/// Why the number of rows that a statement changed is not the one that was expected.
pub(crate) type Unexpected = Box<dyn FnOnce(u64) -> Fault + Send>;

/// A transaction on a connection, rolled back unless committed.
pub(crate) struct SqliteTransaction {
    held: Held,
    begun: bool,
    waiting: Waiting,
    /// The rows of statements whose answers are kept, by their slots.
    kept: Kept,
}

/// Statements that run before the next answer, with the one that is being made.
#[derive(Default)]
struct Waiting {
    /// Their texts. A `$n` is the nth of all values.
    text: String,
    values: SqliteArguments,
    /// A value that could not be encoded.
    invalid: Option<sqlx::error::BoxDynError>,
    /// How many of them are whole, which is the number of the one that is being made.
    statements: usize,
    /// Whether one is being made.
    making: bool,
    /// How many rows statements before it are to change, by their numbers.
    expected: Vec<(usize, u64, Unexpected)>,
    /// The slots of statements whose answers are kept, by their numbers.
    kept: Vec<(usize, Slot)>,
}

impl SqliteTransaction {
    /// Begins with its first statement.
    pub(crate) fn begin(held: Held, begin: Begin) -> Self {
        let text = match begin {
            Begin::Write => "BEGIN IMMEDIATE",
            Begin::Snapshot => "BEGIN",
        };
        let waiting = Waiting { text: text.to_owned(), statements: 1, ..Waiting::default() };
        Self { held, begun: false, waiting, kept: Kept::default() }
    }

    /// Begins a statement: its values follow.
    pub(crate) fn statement(&mut self, text: &str) {
        let waiting = &mut self.waiting;
        if std::mem::replace(&mut waiting.making, true) {
            waiting.invalid.get_or_insert_with(|| "a statement was left half made".into());
        }
        if !waiting.text.is_empty() {
            waiting.text.push_str("; ");
        }
        push_numbered_from(&mut waiting.text, text, waiting.values.len());
    }

    /// The next value of the statement.
    pub(crate) fn bind<'q>(&mut self, value: impl Encode<'q, Sqlite> + Type<Sqlite>) {
        if let Err(error) = self.waiting.values.add(value) {
            self.waiting.invalid.get_or_insert(error);
        }
    }

    /// Lets the statement run before the next one whose answer is waited for, or before the commit. That changes as many
    /// rows as are `expected`, or the transaction fails.
    pub(crate) async fn later(&mut self, expected: Option<(u64, Unexpected)>) -> Result<(), Fault> {
        let Some((count, otherwise)) = expected else { return self.made().await };
        let waiting = &mut self.waiting;
        waiting.expected.push((waiting.statements, count, otherwise));
        waiting.statements += 1;
        waiting.making = false;
        self.statement(CHANGED);
        self.bind(i64::try_from(count).unwrap_or(i64::MAX));
        self.made().await
    }

    /// Lets the statement run as [`Self::later`] does. Its rows are kept for [`Self::take`].
    pub(crate) async fn keep(&mut self) -> Result<Slot, Fault> {
        let slot = Slot(self.kept.0.len());
        self.kept.0.push(Vec::new());
        self.waiting.kept.push((self.waiting.statements, slot));
        self.made().await?;
        Ok(slot)
    }

    /// The rows that were kept; whatever waits runs first.
    pub(crate) async fn take(&mut self, slot: Slot) -> Result<Vec<SqliteRow>, Fault> {
        if self.waiting.kept.iter().any(|(_, waiting)| waiting.0 == slot.0) {
            self.run_all().await?;
        }
        Ok(self.kept.take(slot))
    }

    /// A statement that waits is whole.
    async fn made(&mut self) -> Result<(), Fault> {
        let waiting = &mut self.waiting;
        waiting.statements += 1;
        waiting.making = false;
        if waiting.values.len() > VALUES_MAX { self.run_all().await } else { Ok(()) }
    }

    /// Runs the statement, and those that wait before it.
    pub(crate) async fn ask(&mut self, want: Want) -> Result<Answer, Fault> {
        let Waiting { text, values, invalid, statements, expected, kept, .. } =
            std::mem::take(&mut self.waiting);
        if let Some(error) = invalid {
            return Err(sqlx::Error::Encode(error).into());
        }
        self.begun = true;
        watch::trip();
        let connection = self.held.asked(Owes::Rollback)?;
        let mut expected = expected.into_iter().peekable();
        let mut answer = Answer { changed: 0, rows: Vec::new() };
        let query = sqlx::query_with(AssertSqlSafe(text).into_sql_str(), values);
        let mut parts = connection.fetch_many(query);
        let mut at = 0;
        while let Some(part) = parts.try_next().await? {
            match part {
                sqlx::Either::Right(row) if at == statements && want != Want::Nothing => {
                    answer.rows.push(row);
                    if want == Want::FirstRow {
                        break;
                    }
                }
                sqlx::Either::Right(row) => {
                    let slot = kept.iter().find(|(of, _)| *of == at).map(|(_, slot)| slot.0);
                    if let Some(rows) = slot.and_then(|slot| self.kept.0.get_mut(slot)) {
                        rows.push(row);
                    }
                }
                sqlx::Either::Left(done) => {
                    answer.changed = done.rows_affected();
                    if let Some((_, count, otherwise)) = expected.next_if(|(of, ..)| *of == at)
                        && count != answer.changed
                    {
                        return Err(otherwise(answer.changed));
                    }
                    at += 1;
                }
            }
        }
        Ok(answer)
    }

    /// Runs what waits.
    async fn run_all(&mut self) -> Result<(), Fault> {
        if self.waiting.statements > 0 {
            // It counts what is before the one that is being made, and none is.
            self.waiting.statements -= 1;
            self.ask(Want::Nothing).await?;
        }
        Ok(())
    }

    /// Its connection, behind everything that was asked so far.
    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        self.run_all().await?;
        Ok(self.held.asked(Owes::Rollback)?)
    }

    /// Makes it durable. What waits goes to SQLite's thread together with the commit. The rows that were kept and not taken.
    pub(crate) async fn commit(mut self) -> Result<Kept, Fault> {
        // It has begun with its first statement.
        if self.begun || self.waiting.statements > 1 {
            self.statement("COMMIT");
            self.ask(Want::Nothing).await?;
            self.held.settled();
        }
        Ok(self.kept)
    }
}

/// Appends a statement whose values are numbered from one, as one whose values are behind `before` others.
fn push_numbered_from(text: &mut String, statement: &str, before: usize) {
    if before == 0 {
        text.push_str(statement);
        return;
    }
    let mut pieces = statement.split('$');
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        match number.parse::<usize>() {
            Ok(number) => {
                let _ = write!(text, "${}", before + number);
            }
            Err(_) => text.push('$'),
        }
        text.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::str::FromStr as _;
    use std::time::Duration;

    use sqlx::Row as _;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::super::pool::Pool;
    use super::*;

    struct Bench {
        pool: Pool,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}/a.db", folder.path().display());
            let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
            let pool = Pool::new(options, 1, Duration::from_secs(30));
            let bench = Self { pool, _folder: folder };
            let mut tx = bench.begin().await;
            tx.statement("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");
            tx.later(None).await.unwrap();
            tx.commit().await.unwrap();
            bench
        }

        async fn begin(&self) -> SqliteTransaction {
            SqliteTransaction::begin(self.pool.acquire().await.unwrap(), Begin::Write)
        }

        async fn rows(&self) -> Vec<(i64, String)> {
            let mut tx = self.begin().await;
            tx.statement("SELECT a, b FROM t ORDER BY a");
            let rows = tx.ask(Want::Rows).await.unwrap().rows;
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        }
    }

    async fn insert_later(tx: &mut SqliteTransaction, a: i64, b: &str) {
        tx.statement("INSERT INTO t (b, a) VALUES ($2, $1)");
        tx.bind(a);
        tx.bind(b.to_owned());
        tx.later(None).await.unwrap();
    }

    fn otherwise(changed: u64) -> Fault {
        Fault::Collision(format!("{changed} changed"))
    }

    #[tokio::test]
    async fn statements_that_wait_run_in_order_before_the_next_answer_each_with_its_own_values() {
        let bench = Bench::new().await;
        let mut tx = bench.begin().await;
        insert_later(&mut tx, 1, "one").await;
        insert_later(&mut tx, 2, "costs $1").await;
        tx.statement("UPDATE t SET b = b || $2 WHERE a >= $1 AND b <> '$1'");
        tx.bind(2_i64);
        tx.bind("!".to_owned());
        let answer = tx.ask(Want::Count).await.unwrap();
        assert_eq!((answer.changed, answer.rows.len()), (1, 0));
        insert_later(&mut tx, 3, "three").await;
        tx.statement("SELECT a FROM t ORDER BY a DESC");
        let first = tx.ask(Want::FirstRow).await.unwrap().rows;
        assert_eq!(first.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [3]);
        insert_later(&mut tx, 4, "four").await;
        tx.commit().await.unwrap();
        let rows = bench.rows().await;
        let rows: Vec<_> = rows.iter().map(|(a, b)| (*a, b.as_str())).collect();
        assert_eq!(rows, [(1, "one"), (2, "costs $1!"), (3, "three"), (4, "four")]);
    }

    #[tokio::test]
    async fn nothing_is_committed_where_a_statement_that_waited_changed_other_rows_than_expected() {
        let bench = Bench::new().await;
        for (count, stands) in [(1, true), (2, false)] {
            let mut tx = bench.begin().await;
            insert_later(&mut tx, count, "new").await;
            tx.statement("UPDATE t SET b = 'changed' WHERE a = $1");
            tx.bind(count);
            let expected: Unexpected = Box::new(otherwise);
            tx.later(Some((u64::try_from(count).unwrap(), expected))).await.unwrap();
            insert_later(&mut tx, 10 + count, "behind it").await;
            match tx.commit().await {
                Ok(_) => assert!(stands),
                Err(Fault::Collision(why)) => assert_eq!((why.as_str(), stands), ("1 changed", false)),
                Err(fault) => panic!("{fault:?}"),
            }
        }
        assert_eq!(bench.rows().await.len(), 2, "those of the first only");
    }

    #[tokio::test]
    async fn a_statement_that_waits_and_fails_fails_the_transaction() {
        let bench = Bench::new().await;
        let mut tx = bench.begin().await;
        insert_later(&mut tx, 1, "one").await;
        insert_later(&mut tx, 1, "again").await;
        assert!(matches!(tx.commit().await, Err(Fault::Collision(_))));
        assert_eq!(bench.rows().await, []);
    }

    #[tokio::test]
    async fn many_values_do_not_wait() {
        let bench = Bench::new().await;
        let mut tx = bench.begin().await;
        for a in 0..1000 {
            insert_later(&mut tx, a, "row").await;
            assert!(tx.waiting.values.len() <= VALUES_MAX);
        }
        tx.commit().await.unwrap();
        assert_eq!(bench.rows().await.len(), 1000);
    }

    #[tokio::test]
    async fn a_statement_that_was_left_half_made_fails_the_transaction() {
        let bench = Bench::new().await;
        let mut tx = bench.begin().await;
        tx.statement("INSERT INTO t (a) VALUES ($1)");
        insert_later(&mut tx, 1, "one").await;
        assert!(tx.commit().await.is_err());
        assert_eq!(bench.rows().await, []);
    }

    #[tokio::test]
    async fn a_transaction_without_statements_takes_no_lock() {
        let bench = Bench::new().await;
        let tx = bench.begin().await;
        tx.commit().await.unwrap();
        assert_eq!(bench.rows().await, []);
    }
}
