//! Concurrency of the real code, step by step: one operation is held before each of its steps in turn, and meanwhile
//! another runs to its end, or as far as it gets: where it must wait, because a lock or the one packer stands between,
//! the first goes on after a moment. All pairs of [`PAIRS`], both ways round: what CHESS calls one pre-emption
//! (Musuvathi and others, OSDI 2008), over everything that is done, threads for files and the database included, which
//! loom and shuttle cannot drive. On SQLite both run in one process, on PostgreSQL in two replicas.
//!
//! A step is every change of durable state, each statement of the metadata store, and each opening of a file. On
//! SQLite statements of a transaction are not counted: none of another connection can come between.
//!
//! After each, one order of the two must explain what both were answered and what all keys hold (A, B, D, E);
//! `validate` finds nothing, and once everything is deleted no file is left (C).
//!
//! `JUSTSTORAGE_INTERLEAVINGS_EVERY` says at which steps one is held: at every third on SQLite and every eighth on
//! PostgreSQL, or at all of them (1), as the campaign does. `JUSTSTORAGE_INTERLEAVINGS_ONLY` is a part of the names of
//! those pairs that are to be run alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/hold.rs"]
mod hold;
#[path = "common/play.rs"]
mod play;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use common::{Running, put_request, root, segment_files};
use hold::Holder;
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::domain::precondition::{EtagCondition, Preconditions};
use juststorage_core::domain::space::DedupScope;
use juststorage_core::testing::disk::Watch;
use juststorage_core::testing::postgres;
use play::{Engine, KEYS, Operation, apply, content};
use tempfile::TempDir;

use Act::{Create, Do, End, Read};
use Operation::{Collect, Copy, Delete, Move, Put, Restart};

/// What is held, or runs meanwhile.
#[derive(Clone, Debug)]
enum Act {
    Do(Operation),
    /// Puts a content where there is nothing (`If-None-Match: *`).
    Create(usize, usize),
    Read(usize),
    /// Deletes, and collects what is left of it.
    End(usize),
}

const fn put(key: usize, content: usize) -> Operation {
    Put { key, content, cold: false }
}

const fn delete(key: usize) -> Operation {
    Delete { key }
}

const COPY: Act = Do(Copy { from: 0, to: 1 });
const COLLECT: Act = Do(Collect);
const SMALL: usize = 1;
const BLOCK: usize = 2;
const LARGE: usize = 3;

/// What there is before, what is held, and what runs meanwhile.
type Pair = (&'static str, &'static [Operation], Act, Act);

const PAIRS: [Pair; 21] = [
    ("a small re-upload and the collector", &[put(0, SMALL), Restart, delete(0)], Do(put(1, SMALL)), COLLECT),
    ("a large re-upload and the collector", &[put(0, LARGE), delete(0)], Do(put(1, LARGE)), COLLECT),
    ("two uploads of the same small bytes", &[], Do(put(0, BLOCK)), Do(put(1, BLOCK))),
    ("two uploads of the same large bytes", &[], Do(put(0, LARGE)), Do(put(1, LARGE))),
    ("two uploads to one key", &[put(0, LARGE)], Do(put(0, SMALL)), Do(put(0, BLOCK))),
    ("two that create one key", &[], Create(0, SMALL), Create(0, LARGE)),
    ("one that creates a key and its deletion", &[put(0, LARGE)], Create(0, SMALL), Do(delete(0))),
    ("a copy and the deletion of its source", &[put(0, LARGE)], COPY, Do(delete(0))),
    ("a copy and the overwriting of its source", &[put(0, LARGE)], COPY, Do(put(0, SMALL))),
    ("a copy and the collector", &[put(0, LARGE), put(2, LARGE), delete(2)], COPY, COLLECT),
    ("a copy and the end of its source", &[put(0, LARGE)], COPY, End(0)),
    ("an upload and the end of what it duplicates", &[put(0, LARGE)], Do(put(1, LARGE)), End(0)),
    ("a deletion and the collector", &[put(0, SMALL), put(1, BLOCK), Restart], Do(delete(0)), COLLECT),
    (
        "compaction and the deletion of what it rewrites",
        &[put(0, SMALL), put(1, BLOCK), Restart, delete(1)],
        COLLECT,
        Do(delete(0)),
    ),
    (
        "compaction and a re-upload of what it drops",
        &[put(0, SMALL), put(1, BLOCK), Restart, delete(1)],
        COLLECT,
        Do(put(2, BLOCK)),
    ),
    (
        "compaction and a reader of what it rewrites",
        &[put(0, SMALL), put(1, BLOCK), Restart, delete(1)],
        COLLECT,
        Read(0),
    ),
    (
        "a move and the deletion of what it moves",
        &[put(0, LARGE), Move { key: 0, cold: true }],
        COLLECT,
        Do(delete(0)),
    ),
    ("a move and a reader of what it moves", &[put(0, LARGE), Move { key: 0, cold: true }], COLLECT, Read(0)),
    ("a move and a hotter upload", &[Put { key: 0, content: LARGE, cold: true }], Do(put(1, LARGE)), COLLECT),
    ("an overwrite and a reader", &[put(0, LARGE)], Do(put(0, SMALL)), Read(0)),
    (
        "two collectors",
        &[put(0, SMALL), put(1, BLOCK), Restart, delete(1), put(2, LARGE), delete(2)],
        COLLECT,
        COLLECT,
    ),
];

/// What a key holds: nothing, or this content.
type State = [Option<usize>; KEYS.len()];

/// What came of an operation.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Done,
    /// The content that was read; an object that is not there.
    Is(Option<usize>),
    NoSuchObject,
    Refused,
}

/// What an operation is answered with in a state, which it changes: the store as a map.
fn model(state: &mut State, act: &Act) -> Answer {
    match *act {
        Read(key) => return Answer::Is(state[key]),
        Create(key, _) if state[key].is_some() => return Answer::Refused,
        Create(key, content) | Do(Put { key, content, .. }) => state[key] = Some(content),
        Do(Delete { key }) | End(key) => state[key] = None,
        Do(Copy { from, .. } | Move { key: from, .. }) if state[from].is_none() => {
            return Answer::NoSuchObject;
        }
        Do(Copy { from, to }) => state[to] = state[from],
        Do(_) => {}
    }
    Answer::Done
}

/// The states in which one order of the two, answered as they were, ends.
fn explanations(before: &State, acts: [(&Act, &Answer); 2]) -> Vec<State> {
    let [one, other] = acts;
    [[one, other], [other, one]]
        .into_iter()
        .filter_map(|order| {
            let mut state = *before;
            let explained = order.into_iter().all(|(act, answer)| {
                let mut next = state;
                let right = model(&mut next, act) == *answer;
                // A copy whose source changed under way may be refused: then it has done nothing.
                let refused = matches!(act, Do(Copy { .. })) && *answer == Answer::Refused;
                if right {
                    state = next;
                }
                right || refused
            });
            explained.then_some(state)
        })
        .collect()
}

async fn act(running: &Running, act: &Act) -> Answer {
    let done = match act {
        Do(operation) => apply(running, operation).await,
        Create(key, index) => {
            let preconditions =
                Preconditions { if_none_match: Some(EtagCondition::Any), ..Preconditions::default() };
            let mut request = put_request(KEYS[*key]);
            request.preconditions = preconditions;
            running.store.put(&root(), request, Body::of_bytes(content(*index))).await.map(drop)
        }
        Read(key) => return Answer::Is(read(running, KEYS[*key]).await),
        End(key) => {
            running.delete(KEYS[*key]).await;
            running.try_collect().await
        }
    };
    match done {
        Ok(()) => Answer::Done,
        Err(Error::NoSuchObject) => Answer::NoSuchObject,
        Err(Error::PreconditionFailed(_) | Error::Conflict) => Answer::Refused,
        Err(error) => panic!("{act:?} is refused: {error}"),
    }
}

/// Which content a key holds.
async fn read(running: &Running, key: &str) -> Option<usize> {
    match running.read(key).await {
        Ok(bytes) => {
            let found = (0..play::SIZES.len()).find(|index| content(*index) == bytes);
            Some(found.unwrap_or_else(|| panic!("{key} holds {} bytes of nobody's", bytes.len())))
        }
        Err(Error::NoSuchObject) => None,
        Err(error) => panic!("{key}: {error}"),
    }
}

fn start(running: &Arc<Running>, what: &Act) -> impl Future<Output = Answer> + Send + 'static {
    let (running, what) = (running.clone(), what.clone());
    async move { act(&running, &what).await }
}

/// A store that goes from one scene to the next, empty.
struct Scene {
    folder: TempDir,
    url: String,
    holder: Arc<Holder>,
    running: Arc<Running>,
    /// What the one that is not held runs on: another replica, where there can be one.
    other: Arc<Running>,
}

/// The other replica's name.
const OTHER: WriterId = WriterId(uuid::Uuid::from_u128(8));

/// What came of holding one at a step.
#[derive(Default)]
struct Tally {
    held: u64,
    /// The other got to its end meanwhile.
    through: u64,
}

impl Scene {
    async fn begin(engine: Engine, holder: Arc<Holder>) -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let url = match engine {
            Engine::Sqlite => format!("sqlite://{}", folder.path().join("metadata.db").display()),
            Engine::Postgres => postgres::shared().create_database(),
        };
        let (running, other) = Self::open(&folder, &url).await;
        Self { folder, url, holder, running, other }
    }

    async fn open(folder: &TempDir, url: &str) -> (Arc<Running>, Arc<Running>) {
        let (root, scope) = (folder.path(), DedupScope::Tenant);
        let running = Arc::new(Running::try_open(root, url, scope).await.unwrap());
        let other = if url.starts_with("postgres") {
            Arc::new(Running::try_open_as(OTHER, root, url, scope).await.unwrap())
        } else {
            running.clone()
        };
        (running, other)
    }

    async fn reopen(self) -> Self {
        let Self { folder, url, holder, running, other } = self;
        for last in [other, running] {
            // On SQLite the two are one.
            if let Some(last) = Arc::into_inner(last) {
                last.close().await;
            }
        }
        let (running, other) = Self::open(&folder, &url).await;
        Self { folder, url, holder, running, other }
    }

    /// Holds `first` before its step `at` while `second` runs; whether there is such a step.
    async fn play(
        mut self,
        (name, before, first, second): &Pair,
        at: u64,
        tally: &mut Tally,
    ) -> (Self, bool) {
        let what = format!("{name}: {first:?} held before its step {at}, meanwhile {second:?}");
        let mut state = State::default();
        for operation in *before {
            if *operation == Restart {
                self = self.reopen().await;
            } else {
                apply(&self.running, operation).await.unwrap();
            }
            model(&mut state, &Do(operation.clone()));
        }

        let (held, through, [answer, other]) = Box::pin(hold::one(
            &self.holder,
            at,
            &what,
            start(&self.running, first),
            start(&self.other, second),
            // Everything that two servers can wait for cannot be asked; a wrong answer only lets the held one go.
            async || true,
        ))
        .await;
        tally.held += u64::from(held);
        tally.through += u64::from(through);
        let answers = (answer, other);

        let ends = explanations(&state, [(first, &answers.0), (second, &answers.1)]);
        self.is_one_of(&what, &ends, &answers).await;
        // No other task works now: what is left is what was acknowledged, and collecting changes nothing.
        self.running.collect().await;
        self.is_one_of(&what, &ends, &answers).await;
        assert_eq!(self.running.findings().await, [], "{what}");
        for key in KEYS {
            self.running.delete(key).await;
        }
        // A restart seals the open packs, so that even the last of them can go.
        self = self.reopen().await;
        self.running.collect().await;
        assert_eq!(segment_files(self.folder.path()), [] as [PathBuf; 0], "{what}: left");
        assert_eq!(self.running.findings().await, [], "{what}");
        (self, held)
    }

    async fn is_one_of(&self, what: &str, ends: &[State], answers: &(Answer, Answer)) {
        let mut found = State::default();
        for (slot, key) in found.iter_mut().zip(KEYS) {
            *slot = read(&self.running, key).await;
        }
        assert!(
            ends.contains(&found),
            "{what}: answered {answers:?}, the keys hold {found:?}; an order of the two would leave {ends:?}"
        );
    }
}

async fn every_interleaving(engine: Engine) {
    let every = std::env::var("JUSTSTORAGE_INTERLEAVINGS_EVERY").ok().and_then(|text| text.parse().ok());
    let every: usize = every.unwrap_or(if engine == Engine::Sqlite { 3 } else { 8 });
    let only = std::env::var("JUSTSTORAGE_INTERLEAVINGS_ONLY").unwrap_or_default();
    let holder = Arc::new(Holder::new());
    let begun = Instant::now();
    let mut scene = Scene::begin(engine, holder.clone()).await;
    let _watch = Watch::begin(holder);
    let mut tally = Tally::default();
    let pairs = PAIRS.into_iter().filter(|(name, ..)| name.contains(&only));
    for (number, (name, before, first, second)) in pairs.enumerate() {
        for pair in [(name, before, first.clone(), second.clone()), (name, before, second, first)] {
            for at in (u64::try_from(number % every).unwrap()..).step_by(every) {
                let held;
                (scene, held) = Box::pin(scene.play(&pair, at, &mut tally)).await;
                if !held {
                    break;
                }
            }
        }
    }
    let Tally { held, through } = tally;
    println!(
        "figures: interleavings: {engine:?}: {} pairs both ways round, held at {held} steps (one in {every}), in \
         {through} of them the other ran to its end meanwhile, 0 lost, 0 left; {} s",
        PAIRS.len(),
        begun.elapsed().as_secs()
    );
    let enough = if only.is_empty() { 200 / u64::try_from(every).unwrap() } else { 0 };
    assert!(through * 3 > held && through > enough, "hardly anything was interleaved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_held_while_the_other_runs_on_sqlite() {
    Box::pin(every_interleaving(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_held_while_the_other_runs_on_postgres() {
    Box::pin(every_interleaving(Engine::Postgres)).await;
}
