//! Every statement of the metadata store is prepared on both engines, run or not: a typing error in a rare
//! path shows here and not in production.
//!
//! Statements are made by the macro `sql!` only, from literals and named fragments; this test reads them out
//! of the sources and puts them together as the macro does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use juststorage_core::application::ports::metadata::{
    MetadataStore, Outbox as _, OutboxTarget, Spaces as _, Upstreams as _,
};
use juststorage_core::domain::event::{
    EventName, NotificationRule, Notifications, Overflow, TargetKind, TargetName,
};
use juststorage_core::domain::settings::Setting;
use juststorage_core::domain::state::{ObjectState, SegmentState};
use juststorage_core::domain::upstream::{Binding, Mode};
use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::testing::disk::{DurableStep, Watch, Watcher};
use juststorage_core::testing::metadata::bench::Bench;
use juststorage_core::testing::postgres;
use juststorage_core::testing::upstream::target;

/// One piece of a statement, as written.
#[derive(Debug, PartialEq)]
enum Piece {
    Literal(String),
    Fragment(String),
}

/// The pieces between the parentheses of a macro call, whose text begins at `rest`.
fn pieces(rest: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ')' => return pieces,
            '"' => {
                let mut text = String::new();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        // The line ends in `\`: the literal goes on at the next visible character.
                        '\\' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                        c => text.push(c),
                    }
                }
                pieces.push(Piece::Literal(text));
            }
            c if c.is_ascii_alphabetic() => {
                let mut name = c.to_string();
                while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                pieces.push(Piece::Fragment(name));
            }
            _ => {}
        }
    }
    panic!("a statement does not end: {rest:.80}");
}

/// Every file of core, as (path below `src`, text): a statement counts wherever it stands.
fn sources() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                sources.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort();
    sources
}

/// The fragments that the macro `piece!` knows, for one engine: a literal each, or others joined.
fn fragments(dialect: &str, engine: &str) -> BTreeMap<String, Vec<Piece>> {
    let mut fragments = BTreeMap::new();
    for head in [format!("({engine} "), "($engine:ident ".to_owned()] {
        for (at, _) in dialect.match_indices(&head) {
            let rest = &dialect[at + head.len()..];
            let Some((name, body)) = rest.split_once(") => {") else { continue };
            let body = body.split_once("};").unwrap().0;
            if let Some((_, joined)) = body.split_once("dialect::joined!(") {
                fragments.insert(name.to_owned(), pieces(joined.split_once(':').unwrap().1));
            } else if let Some(literal) = pieces(&format!("{body})")).into_iter().next() {
                fragments.insert(name.to_owned(), vec![literal]);
            }
        }
    }
    fragments
}

/// Every statement, as (where, pieces).
fn statements() -> Vec<(String, Vec<Piece>)> {
    let mut statements = Vec::new();
    for (file, text) in sources() {
        for (at, call) in text.match_indices("sql!(") {
            let line = text[..at].lines().count();
            statements.push((format!("{file}:{line}"), pieces(&text[at + call.len()..])));
        }
    }
    statements
}

fn joined(pieces: &[Piece], fragments: &BTreeMap<String, Vec<Piece>>) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Fragment(name) => {
            joined(fragments.get(name).unwrap_or_else(|| panic!("no fragment {name}")), fragments)
        }
    };
    pieces.iter().map(text).collect()
}

fn assemble(pieces: &[Piece], fragments: &BTreeMap<String, Vec<Piece>>) -> String {
    let text = joined(pieces, fragments);
    // A list is tried with two values, a multi-row statement with two rows.
    let fixed = (1..=64).take_while(|n| text.contains(&format!("${n}"))).count();
    let text = text.replace("{list}", &format!("${}, ${}", fixed + 1, fixed + 2));
    let Some((before, after)) = text.split_once("{rows}") else { return text };
    let columns = before.rsplit('(').next().unwrap().split(',').count();
    let row = |n: usize| {
        let values: Vec<_> = (1..=columns).map(|column| format!("${}", n * columns + column)).collect();
        format!("({})", values.join(", "))
    };
    format!("{before}{}, {}{after}", row(0), row(1))
}

/// Every statement in both engines' words.
fn assembled() -> Vec<(String, String, String)> {
    let dialect = sources().into_iter().find(|(file, _)| file.ends_with("session/dialect.rs")).unwrap().1;
    let (on_sqlite, on_postgres) = (fragments(&dialect, "sqlite"), fragments(&dialect, "postgres"));
    let text = |fragment: &str, known| joined(&[Piece::Fragment(fragment.to_owned())], known);
    assert!(text("for_update", &on_postgres).contains("FOR UPDATE"));
    assert!(text("for_update", &on_sqlite).is_empty());
    assert!(text("found", &on_sqlite).ends_with("LEFT JOIN segments g ON g.id = b.segment_id"));
    let statements = statements();
    assert!(statements.len() > 100, "only {} statements were found", statements.len());
    let both = |pieces: &[Piece]| (assemble(pieces, &on_sqlite), assemble(pieces, &on_postgres));
    statements
        .into_iter()
        .map(|(place, pieces)| {
            let (sqlite, postgres) = both(&pieces);
            (place, sqlite, postgres)
        })
        .collect()
}

async fn store(url: &str) -> SqlMetadata {
    let store = SqlMetadata::connect(url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn prepare_all(url: &str) {
    let store = store(url).await;
    let mut failures = Vec::new();
    for (place, sqlite, postgres) in assembled() {
        if let Err(error) = store.prepare(sqlite.clone(), postgres).await {
            failures.push(format!("{place}: {error}\n  {sqlite}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Files whose statements read whole tables because that is their purpose, and no request waits for them.
const READ_EVERYTHING: [&str; 3] = ["/upkeep/recount.rs:", "/read/sample.rs:", "/read/validate.rs:"];

/// Statements over tables that stay small: a row for a space, a credential, a writer, a lease, the store, a tier, an item
/// that failed, a segment that is kept, an event target and who names it, a
/// space that has an upstream.
const SMALL: [&str; 17] = [
    "usage",
    "spaces",
    "buckets",
    "credentials",
    "writers",
    "leases",
    "store",
    "store_tiers",
    "incarnations",
    "backup_holds",
    "stuck",
    "commit_counts",
    "kept_segments",
    "outbox_targets",
    "outbox_routes",
    "upstreams",
    "upstream_passes",
];

/// Indexes of nothing but work that waits to be done, which is read in portions.
const WHAT_WAITS: [&str; 6] = [
    "objects_deleting",
    "objects_writing",
    "segments_condemned",
    // From its sparsest end, up to a limit.
    "segments_by_live_share",
    "autoindex_gc_candidates",
    "autoindex_move_candidates",
];

/// No statement's cost grows with the store: each seeks in an index what it wants, or begins at a place in
/// one and ends at a limit.
async fn plan_all(url: &str, reads_on: impl Fn(&str) -> Option<String>) {
    let store = store(url).await;
    let mut failures = Vec::new();
    for (place, sqlite, postgres) in assembled() {
        if READ_EVERYTHING.iter().any(|file| place.contains(file)) {
            continue;
        }
        let plan =
            store.plan(sqlite.clone(), postgres).await.unwrap_or_else(|e| panic!("{place}: {e}\n{sqlite}"));
        let read: Vec<_> = plan.iter().filter_map(|line| reads_on(line)).collect();
        if !read.is_empty() {
            failures.push(format!("{place}: {read:?}\n  {sqlite}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn no_statement_reads_a_whole_table_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    // "EXPLAIN QUERY PLAN", sqlite.org/eqp.html: SEARCH visits a subset of a table's rows, SCAN all of them.
    plan_all(&format!("sqlite://{}/metadata.db", directory.path().display()), |line| {
        let scanned = line.strip_prefix("SCAN ")?.split(' ').next()?;
        let large = [
            "o",
            "b",
            "e",
            "f",
            "g",
            "p",
            "objects",
            "blobs",
            "extents",
            "segments",
            "uploads",
            "upload_parts",
            "gc_candidates",
            "move_candidates",
            "part_checksums",
            "upstream_keys",
            "upstream_versions",
        ];
        let of_what_waits = WHAT_WAITS.iter().any(|index| line.contains(index));
        (large.contains(&scanned) && !of_what_waits).then(|| line.to_owned())
    })
    .await;
}

#[tokio::test]
async fn no_statement_reads_a_whole_table_on_postgres() {
    plan_all(&postgres::shared().create_database(), |line| {
        let scanned = line.split("Seq Scan on ").nth(1)?.split(' ').next()?;
        (!SMALL.contains(&scanned)).then(|| line.trim().to_owned())
    })
    .await;
}

#[tokio::test]
async fn every_statement_is_understood_by_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    prepare_all(&format!("sqlite://{}/metadata.db", directory.path().display())).await;
}

#[tokio::test]
async fn every_statement_is_understood_by_postgres() {
    prepare_all(&postgres::shared().create_database()).await;
}

/// The names of states that begin at a place, one or a list.
fn states_behind(pieces: &[Piece], at: usize) -> Vec<String> {
    let mut states = Vec::new();
    for piece in &pieces[at..] {
        match piece {
            Piece::Fragment(name) => states.push(name.clone()),
            Piece::Literal(text) if text == ", " => {}
            Piece::Literal(_) => break,
        }
    }
    states
}

/// What a statement does to the states of a table: from which, to which (`None`: the row goes).
fn transitions(pieces: &[Piece]) -> Option<(&'static str, Vec<String>, Option<String>)> {
    let Some(Piece::Literal(head)) = pieces.first() else { return None };
    let table = ["objects", "segments"].into_iter().find(|table| {
        head.starts_with(&format!("UPDATE {table} SET state = "))
            || head.starts_with(&format!("DELETE FROM {table} "))
    })?;
    // The last comparison: an inner select of the same statement says the same.
    let compares = |piece: &Piece| matches!(piece, Piece::Literal(text) if text.ends_with("state = ") || text.ends_with("state IN ("));
    let compared = (1..pieces.len())
        .rev()
        .find(|at| compares(&pieces[*at]))
        .or_else(|| (head.starts_with("DELETE") && compares(&pieces[0])).then_some(0));
    let from = compared.map(|at| states_behind(pieces, at + 1)).unwrap_or_default();
    let to = head.starts_with("UPDATE").then(|| states_behind(pieces, 1).remove(0));
    Some((table, from, to))
}

/// Every statement that changes a state, or removes a row that has one, names the state that it begins from, and goes
/// where the domain lets that state go.
#[test]
fn statements_change_states_as_the_domain_allows() {
    let object = |name: &str| ObjectState::ALL.into_iter().find(|state| state.as_str() == name);
    let segment = |name: &str| SegmentState::ALL.into_iter().find(|state| state.as_str() == name);
    let mut seen = 0;
    for (place, pieces) in statements() {
        let Some((table, from, to)) = transitions(&pieces) else { continue };
        assert!(!from.is_empty(), "{place}: from which state?");
        for from in from {
            let allowed = if table == "objects" {
                let from = object(&from).unwrap_or_else(|| panic!("{place}: {from}"));
                from.may_become(to.as_deref().map(|to| object(to).unwrap()))
            } else {
                let from = segment(&from).unwrap_or_else(|| panic!("{place}: {from}"));
                from.may_become(to.as_deref().map(|to| segment(to).unwrap()))
            };
            assert!(allowed, "{place}: {table} from {from} to {to:?}");
            seen += 1;
        }
    }
    assert!(seen >= 14, "only {seen} changes of states were found");
}

/// Counts the statements of transactions (on PostgreSQL, where each is announced), or the answers that they wait for (on
/// SQLite).
#[derive(Default)]
struct Counted(AtomicU64);

impl Watcher for Counted {
    fn before(&self, _: &DurableStep<'_>) -> io::Result<u64> {
        Ok(0)
    }

    fn after(&self, _: &DurableStep<'_>, _: u64) {}

    fn point(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn trip(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many statements a put over an object takes.
async fn statements_of_a_put(bench: &Bench<'_>) -> u64 {
    let counted = Arc::new(Counted::default());
    let watch = Watch::begin(counted.clone());
    bench.has_put("k", b"body").await;
    drop(watch);
    counted.0.load(Ordering::Relaxed)
}

/// A space that tells nobody of its changes costs no statement more than one without settings; one that does costs the row.
#[tokio::test]
async fn who_tells_nobody_pays_nothing() {
    let store: &'static SqlMetadata = Box::leak(Box::new(store(&postgres::shared().create_database()).await));
    let bench = Bench::new(store).await;
    bench.has_put("k", b"body").await;
    let plain = statements_of_a_put(&bench).await;
    assert!(plain > 4, "only {plain} statements were seen");
    let tags = Setting::Tags([("a".to_owned(), "b".to_owned())].into());
    store.put_setting(&bench.space, None, &tags, None).await.unwrap().unwrap();
    // Its settings are read once, and again once they change.
    assert_eq!(statements_of_a_put(&bench).await, plain + 1);
    assert_eq!(statements_of_a_put(&bench).await, plain);
    let target = OutboxTarget {
        name: TargetName::new("hooks").unwrap(),
        kind: TargetKind::Webhook,
        settings: "{}".to_owned(),
        secret: None,
        rows_max: 100,
        overflow: Overflow::Refuse,
        keep: Duration::ZERO,
        created_at: bench.now(),
    };
    assert!(store.put_outbox_target(&target).await.unwrap());
    let rule = NotificationRule {
        id: "r".to_owned(),
        target: target.name,
        kind: target.kind,
        events: vec![EventName::parse("s3:ObjectCreated:*").unwrap()],
        prefix: None,
        suffix: None,
    };
    let rules = Setting::Notifications(Notifications { bucket: None, rules: vec![rule] });
    store.put_setting(&bench.space, None, &rules, None).await.unwrap().unwrap();
    assert_eq!(statements_of_a_put(&bench).await, plain + 2);
    assert_eq!(statements_of_a_put(&bench).await, plain + 1);
    println!(
        "figures: outbox: {plain} statements for a put where nobody is told, {} where somebody is",
        plain + 1
    );
    MetadataStore::close(store).await;
}

/// What the macro does not make is not prepared here: it is about the engine and its connections, not about what is stored.
#[test]
fn other_statements_are_about_the_engine() {
    let engine = ["session/", "read/inspect.rs", "read/validate.rs"]
        .map(|place| format!("infrastructure/metadata/{place}"));
    for (file, text) in sources() {
        let asks =
            ["sqlx::query", "sqlx::raw_sql", "sqlx::query_scalar"].iter().any(|call| text.contains(call));
        assert!(
            !asks || engine.iter().any(|place| file.starts_with(place)),
            "{file} asks the database without `sql!`"
        );
    }
}

/// A state, a kind or a class stands in a statement by its name.
#[test]
fn no_statement_writes_a_state_as_a_number() {
    for (place, pieces) in statements() {
        for piece in &pieces {
            let Piece::Literal(text) = piece else { continue };
            for column in ["state", "kind", "class", "tier", "versioning"] {
                for comparison in [" = ", " <> ", " IN ("] {
                    for (at, found) in text.match_indices(&format!("{column}{comparison}")) {
                        let next = text[at + found.len()..].chars().next();
                        assert!(!next.is_some_and(|c| c.is_ascii_digit()), "{place}: {text}");
                    }
                }
            }
        }
    }
}

/// What a change by itself waits for on SQLite: one answer to all that it is decided by, and one to all that it writes and to
/// its commit.
#[tokio::test]
async fn a_change_by_itself_takes_two_trips_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/metadata.db", directory.path().display());
    let store: &'static SqlMetadata = Box::leak(Box::new(store(&url).await));
    let bench = Bench::new(store).await;
    bench.has_put("k", b"first").await;
    for (key, body) in
        [("k", "another body"), ("new key", "a third"), ("new again", "first"), ("k", "a third")]
    {
        let counted = Arc::new(Counted::default());
        let watch = Watch::begin(counted.clone());
        bench.has_put(key, body.as_bytes()).await;
        drop(watch);
        assert_eq!(counted.0.load(Ordering::Relaxed), 2, "{key}: {body}");
    }
    MetadataStore::close(store).await;
}

/// That the upstream is told of a change costs a row, and on SQLite no answer that is waited for: neither for the row nor for the
/// one whose place it takes.
#[tokio::test]
async fn who_is_mirrored_waits_for_no_more_answers() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/a.db", folder.path().display());
    let store: &'static SqlMetadata = Box::leak(Box::new(store(&url).await));
    let bench = Bench::new(store).await;
    bench.has_put("k", b"body").await;
    let plain = statements_of_a_put(&bench).await;
    assert!(plain > 0);
    let binding = Binding { mode: Mode::Mirror, target: target(), sealed: vec![1] };
    store.bind_upstream(&bench.space, &binding, None, &[], bench.now()).await.unwrap().unwrap();
    // Its settings are read once.
    bench.has_put("k", b"body").await;
    assert_eq!(statements_of_a_put(&bench).await, plain);
    // The rows that wait are counted all the same: one that takes the place of another is none more.
    let mut target = store.outbox_targets().await.unwrap().remove(0);
    (target.rows_max, target.overflow) = (3, Overflow::Refuse);
    assert!(store.put_outbox_target(&target).await.unwrap());
    assert_eq!(store.outbox_figures().await.unwrap()[0].waiting, 1);
    for _ in 0..5 {
        bench.has_put("other", b"body").await;
        bench.has_put("k", b"body").await;
    }
    MetadataStore::close(store).await;
}
