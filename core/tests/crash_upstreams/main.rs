//! Every crash point of a space that leaves another store: each step of each mode is done again and again, and the process is
//! ended at its first step that changes what is durable, here or upstream, then at its second, and so on until it gets
//! through. After each, on both databases, the next process goes on by itself: nothing acknowledged is lost, nothing deleted
//! comes back, the upstream was sent nothing twice that differs, and where everything goes to both sides they are equal.
//!
//! `JUSTSTORAGE_CRASH_POINT_ROUNDS` (1) says how often every point is met: first by a power cut, then by a kill of the process
//! alone, then by one after which another server goes on (on PostgreSQL that comes first), then by power cuts that keep and lose other things. Without it every sixth point is met on SQLite, every sixteenth on
//! PostgreSQL; each scenario begins at another one. `JUSTSTORAGE_CRASH_POINT_ONLY` takes the scenarios with this in their names.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod model;
mod oracle;
#[path = "../common/play.rs"]
mod play;
#[path = "../common/points.rs"]
mod points;
mod space;

use std::time::Instant;

use juststorage_core::domain::upstream::Mode::{Mirror, Observe, ReadThrough};
use juststorage_core::testing::disk::{Dice, Kind};
use model::Act::{self, Backfill, Copy, Delete, Detach, Mode, Paced, Put, Read, Remove, Rename, Tag, Upload};
use model::Act::{Elsewhere, Gone, Refresh, Return, Verify, Versioned};
use model::{FAR, LARGE, NEW, PARTS};
use oracle::Leaving;
use play::{Engine, Operation};

/// What there is before, and what is done.
struct Scenario {
    name: &'static str,
    /// Whether the upstream keeps versions.
    versions: bool,
    before: Vec<Act>,
    done: Act,
}

/// Everything as a client finds it who only reads and writes.
fn read_through() -> Vec<Scenario> {
    let on = |name, before: &[Act], done| {
        let before = [&[Mode(ReadThrough)], before].concat();
        Scenario { name, versions: false, before, done }
    };
    vec![
        on("a read that fetches", &[], Read(FAR)),
        on("a read that fetches what is large", &[], Read(LARGE)),
        on("a read that fetches parts", &[], Read(PARTS)),
        on("a delete of what is upstream", &[], Delete(FAR)),
        on("a delete of what was fetched", &[Read(LARGE)], Delete(LARGE)),
        on("a write again of what was deleted", &[Delete(FAR)], Put(FAR, 2)),
        on("an overwrite of what is upstream", &[], Put(FAR, 3)),
        on("an overwrite of what was fetched", &[Read(FAR)], Put(FAR, 2)),
        on("an upload over what is upstream", &[], Upload(LARGE)),
        on("a copy of what is upstream", &[], Copy(FAR, NEW)),
        on("a rename of what is upstream", &[], Rename(LARGE, NEW)),
        on("a change of tags of what is upstream", &[], Tag(FAR)),
        on("versions: a delete of what is upstream", &[Versioned], Delete(FAR)),
        on("versions: an overwrite of what is upstream", &[Versioned], Put(LARGE, 1)),
        on("versions: a rename of what is upstream", &[Versioned], Rename(FAR, NEW)),
        on("versions: what is upstream shows again", &[Versioned, Delete(FAR)], Remove(FAR, 1)),
    ]
}

/// Every change reaches the upstream.
fn mirror() -> Vec<Scenario> {
    let on = |name, before: &[Act], done| {
        let before = [&[Mode(ReadThrough), Mode(Mirror)], before].concat();
        Scenario { name, versions: false, before, done }
    };
    vec![
        on("mirror: a read that fetches", &[], Read(FAR)),
        on("mirror: a put", &[], Put(NEW, 1)),
        on("mirror: an overwrite of what is upstream", &[], Put(FAR, 3)),
        on("mirror: an overwrite of what was fetched", &[Read(FAR)], Put(FAR, 2)),
        on("mirror: an overwrite of what was sent", &[Put(NEW, 1)], Put(NEW, 2)),
        on("mirror: a delete of what is upstream", &[], Delete(FAR)),
        on("mirror: a delete of what was sent", &[Put(NEW, 1)], Delete(NEW)),
        on("mirror: an upload in parts", &[], Upload(NEW)),
        on("mirror: an upload over what was sent in parts", &[Upload(NEW)], Put(NEW, 1)),
        on("mirror: a copy of what is upstream", &[], Copy(FAR, NEW)),
        on("mirror: a rename", &[Put(FAR, 1)], Rename(FAR, NEW)),
        on("mirror: a change of tags", &[Put(NEW, 1)], Tag(NEW)),
    ]
}

/// Every version reaches an upstream that keeps versions.
fn versions() -> Vec<Scenario> {
    let on = |name, before: &[Act], done| {
        let before = [&[Mode(ReadThrough), Versioned, Mode(Mirror)], before].concat();
        Scenario { name, versions: true, before, done }
    };
    vec![
        on("mirrored versions: a put", &[], Put(NEW, 1)),
        on("mirrored versions: another", &[Put(NEW, 1)], Put(NEW, 1)),
        on("mirrored versions: over what is upstream", &[], Put(FAR, 2)),
        on("mirrored versions: an upload in parts", &[Put(NEW, 1)], Upload(NEW)),
        on("mirrored versions: a marker", &[Put(NEW, 1)], Delete(NEW)),
        on("mirrored versions: a marker on what is upstream", &[], Delete(FAR)),
        on("mirrored versions: one goes", &[Put(NEW, 1), Put(NEW, 2)], Remove(NEW, 0)),
        on("mirrored versions: the latest goes", &[Put(NEW, 1), Put(NEW, 2)], Remove(NEW, 1)),
        on("mirrored versions: a marker goes", &[Put(NEW, 1), Delete(NEW)], Remove(NEW, 1)),
        on("mirrored versions: a change of tags", &[Put(NEW, 1)], Tag(NEW)),
        on("mirrored versions: a rename", &[Put(NEW, 1)], Rename(NEW, "other")),
    ]
}

/// What operators do, there and back.
fn modes() -> Vec<Scenario> {
    let on = |name, before: &[Act], done| Scenario { name, versions: false, before: before.to_vec(), done };
    let written = [Read(LARGE), Put(FAR, 2), Put(NEW, 1), Delete(PARTS), Delete("more/1"), Tag(LARGE)];
    let through = [&[Mode(Observe), Mode(ReadThrough)][..], &written].concat();
    let mirrored = [&through[..], &[Mode(Mirror)]].concat();
    let back = [&mirrored[..], &[Delete(NEW), Mode(ReadThrough), Put(NEW, 2), Delete(FAR)]].concat();
    let whole = [&mirrored[..], &[Backfill]].concat();
    // Its clients go back, and write there.
    let there = [
        Elsewhere(FAR, 1),
        Elsewhere(NEW, 3),
        Elsewhere("more/1", 2),
        Elsewhere("more/2", 1),
        Gone("more/3"),
    ];
    let changed = [&whole[..], &[Mode(Observe)], &there].concat();
    vec![
        on("a space is bound", &[], Mode(Observe)),
        on("a space begins to read through", &[Mode(Observe)], Mode(ReadThrough)),
        on("a backfill", &[&through[..], &[Paced]].concat(), Backfill),
        on("a comparison", &[&through[..], &[Backfill, Paced]].concat(), Verify),
        on("a mirror begins", &through, Mode(Mirror)),
        on("a mirror begins, page by page", &[&through[..], &[Paced]].concat(), Mode(Mirror)),
        on("a backfill of a mirror", &mirrored, Backfill),
        on("back to reading through", &mirrored, Mode(ReadThrough)),
        on("a mirror begins again", &back, Mode(Mirror)),
        on("back to looking on", &whole, Mode(Observe)),
        on("a space is detached", &whole, Detach),
        on("back from detached", &[&whole[..], &[Detach]].concat(), Mode(ReadThrough)),
        on("a refresh", &changed, Refresh),
        on("a refresh, page by page", &[&changed[..], &[Paced]].concat(), Refresh),
        on("coming again", &[&changed[..], &[Refresh]].concat(), Return),
    ]
}

/// The round in which processes are killed, and start again.
const KILLS: u64 = 1;

/// The round in which another server goes on in place of the one that was killed.
const REPLICAS: u64 = 2;

/// Ends `scenario` at its step `at`. The step's kind; `None` if there are not so many.
fn end_at(leaving: &mut Leaving, scenario: &Scenario, at: u64, round: u64) -> Option<Kind> {
    let how = match round {
        KILLS => "a kill",
        REPLICAS => "a kill, and taken over by another server",
        _ => "a power cut",
    };
    let what = format!("{} ended at step {at} by {how}", scenario.name);
    leaving.begin(scenario.versions);
    for act in &scenario.before {
        leaving.attempt(act).unwrap();
        leaving.work().unwrap();
    }
    leaving.compare(&"what there was before");
    leaving.compare_upstream(&"what there was before");
    leaving.play.disk.die_after(at);
    let done = leaving.attempt(&scenario.done);
    let worked = if done.is_ok() { leaving.work() } else { Ok(()) };
    let ended = leaving.play.disk.is_dead().then(|| *leaving.play.disk.steps().last().unwrap());
    if ended.is_none() {
        done.unwrap();
        worked.unwrap();
        leaving.came_to(&scenario.done, &what);
    }
    if round == KILLS || round == REPLICAS {
        leaving.play.kill();
        leaving.play.disk.revive();
    }
    match round {
        KILLS => leaving.play.resume(),
        REPLICAS => leaving.play.take_over(),
        _ => leaving.play.cut_power(&mut Dice::new(round << 32 | at)),
    }
    leaving.play.disk.die_after(u64::MAX >> 2);
    leaving.died();
    leaving.compare(&what);
    leaving.play.assert_valid(&what);
    // Nobody does anything: what was begun is brought to its end.
    leaving.work().unwrap();
    leaving.compare(&what);
    leaving.compare_upstream(&what);
    // Life goes on: with the same act again.
    leaving.attempt(&scenario.done).unwrap();
    leaving.work().unwrap();
    leaving.came_to(&scenario.done, &what);
    leaving.compare(&what);
    leaving.compare_upstream(&what);
    leaving.play.attempt(&Operation::Collect).unwrap();
    if scenario.done == Refresh {
        leaving.attempt(&Refresh).unwrap();
        leaving.attempt(&Return).unwrap();
        leaving.work().unwrap();
        leaving.compare(&what);
    }
    leaving.read_all(&what);
    leaving.empty(&what);
    ended
}

/// Replicas share PostgreSQL: there the first round is theirs.
fn order(engine: Engine, round: u64) -> u64 {
    match (engine, round) {
        (Engine::Postgres, 0) => REPLICAS,
        (Engine::Postgres, REPLICAS) => 0,
        (_, round) => round,
    }
}

fn every_point(engine: Engine) {
    let rounds = points::rounds();
    let every = match (rounds, engine) {
        (Some(_), _) => 1,
        (None, Engine::Sqlite) => 6,
        (None, Engine::Postgres) => 16,
    };
    let rounds = rounds.unwrap_or(1);
    let begun = Instant::now();
    let scenarios: Vec<_> = [read_through(), mirror(), versions(), modes()].into_iter().flatten().collect();
    let only = std::env::var("JUSTSTORAGE_CRASH_POINT_ONLY").unwrap_or_default();
    let scenarios: Vec<_> = scenarios.into_iter().filter(|scenario| scenario.name.contains(&only)).collect();
    let todo = scenarios.iter().enumerate().flat_map(|(number, scenario)| {
        (0..rounds).map(move |round| (number as u64, scenario, order(engine, round)))
    });
    let leaving = || Leaving::new(engine);
    let pairs = points::on_all_processors(todo, leaving, |leaving, (number, scenario, round), note| {
        // So no kind of points is left out.
        for at in (number % every..).step_by(usize::try_from(every).unwrap()) {
            let Some(kind) = end_at(leaving, scenario, at, round) else { break };
            note(scenario.name, kind);
        }
    });
    let points: u64 = pairs.values().sum();
    println!(
        "figures: crash points of upstreams: {engine:?}: {} operations ended {points} times, at {} pairs of operation and \
         step, {rounds} rounds, 0 lost, 0 came back, 0 sent out of order; {} s",
        scenarios.len(),
        pairs.len(),
        begun.elapsed().as_secs()
    );
    if !only.is_empty() {
        return;
    }
    points::assert_met(&pairs, &[Kind::Commit, Kind::Committed, Kind::Request, Kind::Answer, Kind::SyncFile]);
}

#[test]
fn a_space_that_leaves_survives_every_point_on_sqlite() {
    every_point(Engine::Sqlite);
}

#[test]
fn a_space_that_leaves_survives_every_point_on_postgres() {
    every_point(Engine::Postgres);
}
