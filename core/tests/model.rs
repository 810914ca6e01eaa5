//! Random operations on the real store and on a map, compared after every step, on SQLite and PostgreSQL, with
//! kills, power cuts and failing syncs in between: at any step of any operation, and of the recovery after it.
//!
//! Versions of keys have a model of their own: lists of them, which the rules of the domain alone change (`history`).
//!
//! A failure shrinks to a short list of operations and prints its seed; `PROPTEST_CASES` sets how many runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/history.rs"]
mod history;
#[path = "common/play.rs"]
mod play;

use std::cell::Cell;
use std::time::Instant;

use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::testing::disk::{Dice, Kind};
use play::{Engine, Operation, Play, operation};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What a run consists of.
#[derive(Clone, Debug)]
enum Act {
    Do(Operation),
    /// The power goes after so many steps of the operation, or right behind it.
    PowerCut(Operation, u64, u64),
    /// A sync of the operation fails; later the power goes.
    FailedSync(Operation, u64, u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => operation().prop_map(Act::Do),
        4 => (operation(), 0..40_u64, any::<u64>()).prop_map(|(done, steps, seed)| Act::PowerCut(done, steps, seed)),
        1 => (operation(), 1..8_u64, any::<u64>()).prop_map(|(done, nth, seed)| Act::FailedSync(done, nth, seed)),
    ]
}

fn run(engine: Engine, acts: &[Act]) {
    let mut play = Play::new(engine);
    for act in acts {
        match act {
            Act::Do(operation) => play.attempt(operation).unwrap(),
            Act::PowerCut(Operation::Crash, _, seed) => play.cut_power(&mut Dice::new(*seed)),
            Act::PowerCut(operation, steps, seed) => {
                play.disk.die_after(*steps);
                // What was acknowledged is known; what was not is one of two states.
                let _ = play.attempt(operation);
                play.cut_power(&mut Dice::new(*seed));
            }
            Act::FailedSync(Operation::Crash | Operation::Restart, ..) => {}
            Act::FailedSync(operation, nth, seed) => {
                play.disk.fail(Kind::SyncFile, *nth);
                let _ = play.attempt(operation);
                play.compare(act);
                play.cut_power(&mut Dice::new(*seed));
            }
        }
        play.compare(act);
    }
    play.assert_valid(&"all");
    play.empty(&"all");
}

fn behaves_as_a_map(engine: Engine, cases: u32) {
    let config = Config { cases, max_shrink_iters: 200, ..Config::default() };
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    // The seed that a failure prints is enough: a list kept beside this file would mean something else as soon as
    // the strategy changes.
    let config = Config { cases, failure_persistence: None, ..config };
    let (begun, operations, cuts) = (Instant::now(), Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config).run(&prop::collection::vec(act(), 1..25), |acts| {
        run(engine, &acts);
        operations.set(operations.get() + acts.len());
        cuts.set(cuts.get() + acts.iter().filter(|act| !matches!(act, Act::Do(_))).count());
        Ok(())
    });
    if let Err(error) = result {
        panic!("{engine:?}: {error}");
    }
    println!(
        "figures: map: {engine:?}: {cases} runs, {} operations, {} of them with a power cut, 0 differences; {} s",
        operations.get(),
        cuts.get(),
        begun.elapsed().as_secs()
    );
}

#[test]
fn the_store_behaves_as_a_map_on_sqlite() {
    behaves_as_a_map(Engine::Sqlite, 24);
}

#[test]
fn the_store_behaves_as_a_map_on_postgres() {
    behaves_as_a_map(Engine::Postgres, 8);
}

/// Batches come to what the rules say of their changes one by one, whatever statements share.
fn versions_follow_the_rules(engine: Engine, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = match engine {
        Engine::Sqlite => format!("sqlite://{}", directory.path().join("metadata.db").display()),
        Engine::Postgres => juststorage_core::testing::postgres::shared().create_database(),
    };
    let store = runtime.block_on(async {
        let store = SqlMetadata::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        store
    });
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let done = Cell::new(0);
    let result = TestRunner::new(config).run(&history::acts(), |acts| {
        runtime.block_on(async {
            let mut play = history::Play::new(&store).await;
            for act in &acts {
                play.act(act).await;
            }
            play.finish().await;
        });
        done.set(done.get() + acts.len());
        Ok(())
    });
    if let Err(error) = result {
        panic!("{engine:?}: {error}");
    }
    println!(
        "figures: versions: {engine:?}: {cases} runs, {} batches and changes of versioning, 0 differences",
        done.get()
    );
}

#[test]
fn versions_follow_the_rules_on_sqlite() {
    versions_follow_the_rules(Engine::Sqlite, 64);
}

#[test]
fn versions_follow_the_rules_on_postgres() {
    versions_follow_the_rules(Engine::Postgres, 16);
}
