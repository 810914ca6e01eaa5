//! Pages of a space.

use std::collections::BTreeSet;
use std::ops::Bound;

use futures::future::join;

use super::bench::Bench;
use crate::application::ports::metadata::{ListQuery, MetadataStore, Mutation};
use crate::domain::object::{Object, ObjectId};
use crate::domain::space::Versioning;

const KEYS: [&str; 14] =
    ["!", "A", "B/", "B/1", "B/2", "B0", "Z", "a", "a b", "a%b_c", "a~", "z", "é", "\u{10ffff}"];

async fn put_all(bench: &Bench<'_>, keys: &[&str]) {
    let batch = keys.iter().map(|key| Mutation::Put(Box::new(bench.put(key, key.as_bytes())))).collect();
    assert!(bench.commit(batch).await.iter().all(Result::is_ok));
}

/// Capitals before small letters, whatever the database's locale; in the middle of other spaces' keys.
pub async fn keys_come_in_order_of_their_bytes(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let mut shuffled = KEYS;
    shuffled.reverse();
    put_all(&bench, &shuffled).await;
    put_all(&Bench::new(store).await, &["A", "AA"]).await;
    let names = bench.names(&bench.everything().await).await;
    assert_eq!(names, KEYS);
    let mut sorted = names.clone();
    sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(names, sorted);
    bench.finish().await;
}

/// Any page size, from any place, inclusive and exclusive.
pub async fn pages_join_without_gap_or_repetition(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    put_all(&bench, &KEYS).await;
    for limit in 1..=KEYS.len() + 1 {
        let mut query = ListQuery { limit: u32::try_from(limit).unwrap(), ..bench.everything().await };
        let mut all = Vec::new();
        loop {
            let page = bench.names(&query).await;
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            query.from = Bound::Excluded(last.clone());
            all.extend(page);
        }
        assert_eq!(all, KEYS);
    }
    for (n, from) in KEYS.iter().enumerate() {
        let included = Bound::Included((*from).to_owned());
        let query = ListQuery { from: included, ..bench.everything().await };
        assert_eq!(bench.names(&query).await, KEYS[n..]);
        let excluded = Bound::Excluded(format!("{from}!"));
        let query = ListQuery { from: excluded, ..bench.everything().await };
        let expected: Vec<_> = KEYS.iter().filter(|key| **key > format!("{from}!").as_str()).collect();
        assert_eq!(bench.names(&query).await.iter().collect::<Vec<_>>(), expected);
    }
    let query = ListQuery { limit: 0, ..bench.everything().await };
    assert_eq!(bench.names(&query).await, Vec::<String>::new());
    bench.finish().await;
}

/// A prefix is bytes, not a pattern.
pub async fn prefixes_bound_a_page(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    put_all(&bench, &KEYS).await;
    for prefix in ["B", "B/", "a", "a%", "a_", "é", "\u{10ffff}", "nothing", "A", "b/"] {
        let query = ListQuery { prefix: prefix.to_owned(), ..bench.everything().await };
        let expected: Vec<_> = KEYS.iter().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(bench.names(&query).await.iter().collect::<Vec<_>>(), expected, "{prefix}");
        // From a place before, inside and after the prefix.
        for from in ["", "B/1", "a b", "zz"] {
            let query = ListQuery { from: Bound::Excluded(from.to_owned()), ..query.clone() };
            let expected: Vec<_> =
                KEYS.iter().filter(|key| key.starts_with(prefix) && **key > from).collect();
            assert_eq!(bench.names(&query).await.iter().collect::<Vec<_>>(), expected, "{prefix} {from}");
        }
    }
    bench.finish().await;
}

/// Newest first within a key; a page may end between two versions of one.
pub async fn versions_come_newest_first_and_page_within_a_key(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.set_versioning(Versioning::Enabled).await;
    let mut expected: Vec<ObjectId> = Vec::new();
    for key in ["a", "b", "c"] {
        let mut of_key = Vec::new();
        for n in 0..4 {
            of_key.push(bench.has_put(key, format!("{key}{n}").as_bytes()).await.id);
        }
        if key == "b" {
            of_key.push(bench.has_deleted(bench.delete(key)).await.0.unwrap().id);
        }
        expected.extend(of_key.into_iter().rev());
    }
    assert_eq!(bench.names(&bench.everything().await).await, ["a", "c"], "no markers without versions");
    for limit in 1..=expected.len() + 1 {
        let mut query =
            ListQuery { versions: true, limit: u32::try_from(limit).unwrap(), ..bench.everything().await };
        let mut all = Vec::new();
        loop {
            let page: Vec<Object> = store.list(&query).await.unwrap();
            let Some(last) = page.last() else { break };
            query.from = Bound::Excluded(last.key.as_ref().unwrap().to_string());
            query.from_version = Some(last.id);
            all.extend(page.iter().map(|object| object.id));
        }
        assert_eq!(all, expected, "limit {limit}");
    }
    let after_a =
        ListQuery { versions: true, from: Bound::Excluded("a".to_owned()), ..bench.everything().await };
    let page = store.list(&after_a).await.unwrap();
    assert_eq!(page.iter().map(|object| object.id).collect::<Vec<_>>(), expected[4..]);
    bench.finish().await;
}

/// Keyless objects are listed before all keys, but only where they are wanted and no prefix excludes them.
pub async fn keyless_objects_come_first_if_asked_for(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let mut keyless = BTreeSet::new();
    for n in 0..5 {
        keyless.insert(bench.has_put("", format!("{n}").as_bytes()).await.id);
    }
    put_all(&bench, &["a", "b"]).await;
    assert_eq!(bench.names(&bench.everything().await).await, ["a", "b"]);
    for versions in [false, true] {
        let all = ListQuery { keyless: true, versions, ..bench.everything().await };
        for limit in 1..=8 {
            let mut query = ListQuery { limit, ..all.clone() };
            let (mut seen, mut keys) = (Vec::new(), Vec::new());
            loop {
                let page = store.list(&query).await.unwrap();
                let Some(last) = page.last() else { break };
                let last_key = last.key.as_ref().map(ToString::to_string).unwrap_or_default();
                query.from_version = last_key.is_empty().then_some(last.id);
                query.from = Bound::Excluded(last_key);
                for object in page {
                    match object.key {
                        Some(key) => keys.push(key.to_string()),
                        None if keys.is_empty() => seen.push(object.id),
                        None => panic!("a keyless object after a key"),
                    }
                }
            }
            assert_eq!(seen.len(), keyless.len());
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), keyless);
            assert_eq!(keys, ["a", "b"]);
        }
        let prefixed = ListQuery { prefix: "a".to_owned(), ..all.clone() };
        assert_eq!(bench.names(&prefixed).await, ["a"]);
    }
    bench.finish().await;
}

/// While others write and delete, a walk sees every key that stays, once, in order.
pub async fn a_page_during_writes_misses_nothing_that_stays(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let staying: Vec<_> = (0..60).map(|n| format!("{n:03}")).collect();
    put_all(&bench, &staying.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let query = ListQuery { limit: 7, ..bench.everything().await };
    let writing = async {
        for stays in &staying {
            let name = format!("{stays}x");
            bench.has_put(&name, b"x").await;
            bench.has_put(stays, b"overwritten").await;
            bench.has_deleted(bench.delete(&name)).await;
        }
    };
    let walking = async {
        for round in 0..6 {
            let mut query = query.clone();
            let mut seen: Vec<String> = Vec::new();
            loop {
                let page: Vec<_> = if round % 2 == 0 {
                    let page = store.list(&query).await.unwrap();
                    page.into_iter().filter_map(|object| object.key).map(|key| key.to_string()).collect()
                } else {
                    let page = store.list_latest(&query).await.unwrap();
                    page.into_iter().map(|line| line.key.to_string()).collect()
                };
                let Some(last) = page.last() else { break };
                query.from = Bound::Excluded(last.clone());
                seen.extend(page);
            }
            assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
            seen.retain(|key| !key.ends_with('x'));
            assert_eq!(seen, staying);
        }
    };
    join(writing, walking).await;
    bench.finish().await;
}

/// A walk yields the first key behind each common prefix and ends at a key that stands for itself; with any
/// delimiter, even one that nothing is larger than.
pub async fn a_walk_goes_from_prefix_to_prefix(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let keys = ["a/1", "a/2", "b/1/x", "b/2", "c", "d/1", "é--1", "é--2", "\u{10ffff}\u{10ffff}1"];
    put_all(&bench, &keys).await;
    let walk = async |prefix: &str, from: &str, delimiter: &str, limit: u32| {
        let everything = bench.everything().await;
        let (prefix, from) = (prefix.to_owned(), Bound::Included(from.to_owned()));
        let mut query = ListQuery { prefix, from, limit, ..everything };
        let latest = store.walk(&query, delimiter).await.unwrap();
        query.versions = true;
        assert_eq!(latest, store.walk(&query, delimiter).await.unwrap());
        latest
    };
    assert_eq!(walk("", "a", "/", 100).await, ["a/1", "b/1/x", "c"]);
    assert_eq!(walk("", "a/2", "/", 100).await, ["a/2", "b/1/x", "c"]);
    assert_eq!(walk("", "a", "/", 2).await, ["a/1", "b/1/x"]);
    assert_eq!(walk("b/", "b/", "/", 100).await, ["b/1/x", "b/2"]);
    assert_eq!(walk("", "d", "--", 100).await, ["d/1"]);
    assert_eq!(walk("é", "é", "--", 100).await, ["é--1"]);
    assert_eq!(walk("", "zz", "\u{10ffff}", 1).await.len(), 1);
    assert_eq!(walk("d/", "d/2", "/", 100).await, Vec::<String>::new());
    bench.finish().await;
}
