//! Every crash point: each operation is done again and again, and ended at its first step that changes what is
//! durable, then at its second, and so on until it gets through. No sample is taken: the pairs are all there are.
//! After each, on both databases: every acknowledged object is there and right (A, B, D), the operation happened
//! whole or not at all, `validate` finds nothing, and once everything is deleted not a file is left (C).
//!
//! `JUSTSTORAGE_CRASH_POINT_ROUNDS` (1) says how often every point is met: first by a power cut, then by a kill of
//! the process alone, then by power cuts that keep and lose other things.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/play.rs"]
mod play;
#[path = "common/points.rs"]
mod points;

use std::time::Instant;

use common::Buckets;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::put::PutRequest;
use juststorage_core::domain::idempotency::IdempotencyKey;
use juststorage_core::testing::disk::{Dice, Kind};
use play::{Engine, Operation, Play};

use Operation::{Abandon, Collect, Copy, Crash, Delete, Move, Put, Rename, Restart, Upload};

/// What there is before, and what is done.
struct Scenario {
    name: &'static str,
    before: Vec<Operation>,
    done: Operation,
}

const fn small(key: usize) -> Operation {
    Put { key, content: 1, cold: false }
}

const fn block(key: usize) -> Operation {
    Put { key, content: 2, cold: false }
}

const fn large(key: usize) -> Operation {
    Put { key, content: 3, cold: false }
}

fn scenarios() -> Vec<Scenario> {
    let scenario = |name, before: &[Operation], done| Scenario { name, before: before.to_vec(), done };
    vec![
        scenario("the first small put", &[], small(0)),
        scenario("a small put into an open pack", &[block(1)], small(0)),
        scenario("an empty put", &[block(1)], Put { key: 0, content: 0, cold: false }),
        scenario("a cold put", &[block(1)], Put { key: 0, content: 1, cold: true }),
        scenario("a large put", &[small(1)], large(0)),
        scenario("an overwrite, small by small", &[small(0)], block(0)),
        scenario("an overwrite, large by small", &[large(0)], small(0)),
        scenario("an overwrite, small by large", &[small(0)], large(0)),
        scenario("a small duplicate", &[small(1)], small(0)),
        scenario("a large duplicate", &[large(1)], large(0)),
        scenario("a large duplicate of what was just deleted", &[large(1), Delete { key: 1 }], large(0)),
        scenario("a hotter duplicate", &[Put { key: 1, content: 3, cold: true }], large(0)),
        scenario("a deletion", &[small(0), small(1)], Delete { key: 0 }),
        scenario("a copy", &[large(0)], Copy { from: 0, to: 1 }),
        scenario("a copy over another", &[large(0), small(1)], Copy { from: 0, to: 1 }),
        scenario("a rename", &[large(0)], Rename { from: 0, to: 1 }),
        scenario("a rename over another", &[small(0), large(1)], Rename { from: 0, to: 1 }),
        scenario("an upload in parts", &[small(1)], Upload { key: 0, last: 1 }),
        scenario("an upload in parts over a large one", &[large(0)], Upload { key: 0, last: 3 }),
        scenario("an abandoned upload", &[small(1)], Abandon { key: 0, content: 3 }),
        scenario("a change of class", &[large(0)], Move { key: 0, cold: true }),
        scenario("a move of a small blob", &[small(0), block(1), Move { key: 0, cold: true }], Collect),
        scenario("a move of a large blob", &[large(0), Move { key: 0, cold: true }], Collect),
        scenario(
            "a move back",
            &[Put { key: 0, content: 3, cold: true }, Move { key: 0, cold: false }],
            Collect,
        ),
        scenario("collecting a large blob", &[small(1), large(0), Delete { key: 0 }], Collect),
        scenario("collecting a whole pack", &[small(0), Restart, Delete { key: 0 }], Collect),
        scenario("compaction", &[small(0), block(1), Restart, Delete { key: 1 }], Collect),
        scenario("collecting a composite", &[Upload { key: 0, last: 1 }, Delete { key: 0 }], Collect),
        scenario("an end that seals", &[small(0), Put { key: 1, content: 1, cold: true }], Restart),
        scenario("a start after a kill", &[small(0), block(1), Crash, large(2), Crash, small(1)], Restart),
    ]
}

/// The round in which processes are killed.
const KILLS: u64 = 1;

/// Ends `scenario` at its step `at`. The step's kind; `None` if there are not so many.
fn end_at(play: &mut Play, scenario: &Scenario, at: u64, round: u64) -> Option<Kind> {
    let power = round != KILLS;
    let what =
        format!("{} ended at step {at} by {}", scenario.name, if power { "a power cut" } else { "a kill" });
    for operation in &scenario.before {
        play.attempt(operation).unwrap();
    }
    play.disk.die_after(at);
    let done = play.attempt(&scenario.done);
    let ended = play.disk.is_dead().then(|| *play.disk.steps().last().unwrap());
    if ended.is_none() {
        done.unwrap();
    }
    if power {
        play.cut_power(&mut Dice::new(round << 32 | at));
    } else {
        play.kill();
        play.disk.revive();
        play.resume();
    }
    play.disk.die_after(u64::MAX >> 2);
    play.compare(&what);
    play.assert_valid(&what);
    // Life goes on: with what is there, and with the same operation again.
    play.attempt(&scenario.done).unwrap();
    play.compare(&what);
    play.attempt(&Collect).unwrap();
    play.compare(&what);
    play.empty(&what);
    ended
}

fn every_point(engine: Engine, buckets: fn() -> Buckets, kinds: &[Kind]) {
    let rounds = points::rounds().unwrap_or(1);
    let begun = Instant::now();
    let scenarios = scenarios();
    let todo = scenarios.iter().flat_map(|scenario| (0..rounds).map(move |round| (scenario, round)));
    let play = || Play::new_on(engine, buckets());
    let pairs = points::on_all_processors(todo, play, |play, (scenario, round), note| {
        for at in 0.. {
            let Some(kind) = end_at(play, scenario, at, round) else { break };
            note(scenario.name, kind);
        }
    });
    let points: u64 = pairs.values().sum();
    println!(
        "figures: crash points: {engine:?}, tiers {}: {} operations ended {points} times, at {} pairs of operation and \
         step, {rounds} rounds, 0 lost, 0 left; {} s",
        if buckets().cold.is_some() { "in buckets" } else { "in directories" },
        scenarios.len(),
        pairs.len(),
        begun.elapsed().as_secs()
    );
    points::assert_met(&pairs, kinds);
}

/// The steps of tiers in directories.
const FILES: [Kind; 9] = [
    Kind::CreateDirectory,
    Kind::CreateFile,
    Kind::Write,
    Kind::SyncFile,
    Kind::Rename,
    Kind::SyncDirectory,
    Kind::Commit,
    Kind::Committed,
    Kind::Remove,
];

#[test]
fn every_operation_survives_every_point_on_sqlite() {
    every_point(Engine::Sqlite, Buckets::default, &FILES);
}

#[test]
fn every_operation_survives_every_point_on_postgres() {
    every_point(Engine::Postgres, Buckets::default, &FILES);
}

/// Before each request that changes an object store, and before each of its answers.
#[test]
fn every_operation_survives_every_point_in_buckets() {
    let kinds = [Kind::Commit, Kind::Committed, Kind::Request, Kind::Answer];
    every_point(Engine::Sqlite, Buckets::both, &kinds);
}

/// Only where `JUSTSTORAGE_CRASH_POINT_ROUNDS` asks for more than CI has time for.
#[test]
fn every_operation_survives_every_point_with_a_cold_bucket_on_postgres() {
    if std::env::var_os("JUSTSTORAGE_CRASH_POINT_ROUNDS").is_none() {
        return;
    }
    let cold = || Buckets { hot: None, cold: Some(std::sync::Arc::default()) };
    every_point(Engine::Postgres, cold, &[Kind::Commit, Kind::Request, Kind::Answer, Kind::SyncFile]);
}

/// A request with an idempotency key that ends at any step, its answer lost: repeated after the restart it makes the object,
/// or finds that it was made, and there is one.
fn a_lost_answer_is_given_again(engine: Engine) {
    let key = IdempotencyKey::parse("k").unwrap();
    let put = async |running: &common::Running| {
        let request = PutRequest { key: None, ..common::put_request("k") };
        let body = Body::of_bytes(play::content(1));
        running.store.put_once(&common::root(), request, &key, body).await
    };
    let (mut made, mut lost) = (0, 0);
    for at in 0.. {
        let mut play = Play::new(engine);
        play.disk.die_after(at);
        let first = play.with(put);
        let ended = play.disk.is_dead();
        play.cut_power(&mut Dice::new(at));
        let again = play.with(put).unwrap();
        let there = play.with(async |running: &common::Running| running.keyless().await);
        assert_eq!(there, [again.id], "after step {at}");
        if let Ok(first) = first {
            assert_eq!(first.id, again.id, "after step {at}");
            made += 1;
        } else {
            lost += 1;
        }
        if !ended {
            break;
        }
    }
    assert!(made > 0 && lost > 0, "{made} {lost}");
    println!("figures: idempotency: {engine:?}: {made} answered, {lost} lost, one object after each");
}

#[test]
fn a_lost_answer_is_given_again_on_sqlite() {
    a_lost_answer_is_given_again(Engine::Sqlite);
}

#[test]
fn a_lost_answer_is_given_again_on_postgres() {
    a_lost_answer_is_given_again(Engine::Postgres);
}
