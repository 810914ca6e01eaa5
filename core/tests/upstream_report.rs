//! What an operator is told while a space leaves its upstream: the signed report of a comparison, and who asks here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;

use bound::Bound;
use common::{noise, object, root, space};
use juststorage_core::application::admin::check_report;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::ports::metadata::PassKind;
use juststorage_core::application::workers::{ClientsWorker, Worker as _};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::upstream::Mode;
use juststorage_core::domain::upstream::clients::Counts;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A byte that changes anywhere in a report is noticed, and so is a key that is not the store's.
#[tokio::test]
async fn a_report_tells_what_was_found_and_cannot_be_changed() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let hostile = "a\"<script>\u{202e}\n";
    let mut expected = String::new();
    for key in [hostile, "b", "gone", "other"] {
        bound.upstream.put(key, noise(key.len() as u64, 1000));
    }
    bound.upstream.put_as("twice", noise(7, 500), "not-a-digest", None);
    assert!(bound.admin.comparison(&root(), &space()).await.is_err(), "nothing was compared");
    bound.pass(PassKind::Backfill).await;
    // A client that nobody thought of still writes to the old store.
    bound.upstream.put("other", noise(99, 10));
    bound.upstream.remove("gone");
    let found = bound.pass(PassKind::Verify).await;
    assert_eq!((&found["matched"], &found["differ"]), (&json!(3), &json!(2)), "{found}");

    let document = bound.admin.comparison(&root(), &space()).await.unwrap();
    let report = &document["report"];
    assert_eq!(
        report["upstream"],
        json!({"endpoint": "http://old", "bucket": "old", "prefix": "", "region": "us-east-1"})
    );
    assert_eq!((&report["mode"], &report["clean"]), (&json!("read-through"), &json!(false)), "{report}");
    assert_eq!((&report["found"], &report["changed_there"]), (&json!(2), &json!(2)), "{report}");
    assert_eq!(report["proved"], json!({"md5": 2, "twice": 1}));
    assert_eq!(report["read_twice"], json!({"count": 1, "keys": ["twice"]}));
    let named: Vec<&Value> = report["findings"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
    assert_eq!(named, ["gone", "other"]);
    // Whoever lists one of the stores makes the list again.
    for key in [hostile, "b", "twice"] {
        let key = juststorage_core::domain::address::Key::new(key).unwrap();
        let kept = bound.run.metadata.latest(&common::place(), &key).await.unwrap().unwrap().object;
        let line = json!([key.as_str(), kept.size(), kept.etag.as_str()]);
        expected += &line.to_string();
        expected.push('\n');
    }
    assert_eq!(report["list"]["lines"], 3);
    assert_eq!(report["list"]["sha256"], hex::encode(Sha256::digest(&expected)), "{expected}");

    let keys = bound.admin.report_keys(&root()).unwrap();
    assert_eq!(check_report(&document, &keys).unwrap(), keys[0]);
    // Every member that is changed.
    for (name, value) in report.as_object().unwrap() {
        let mut changed = document.clone();
        changed["report"][name] = if *value == json!("x") { json!("y") } else { json!("x") };
        assert!(check_report(&changed, &keys).is_err(), "{name}");
        changed["report"].as_object_mut().unwrap().remove(name);
        assert!(check_report(&changed, &keys).is_err(), "{name} left out");
    }
    // Every byte of its text that is changed to another one, as far as it is JSON then.
    let text = document.to_string();
    let start = text.find("\"report\"").unwrap();
    for at in (start..text.len()).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = serde_json::from_slice::<Value>(&bytes) else { continue };
        assert!(changed == document || check_report(&changed, &keys).is_err(), "byte {at}");
    }
    let other = "00".repeat(32);
    assert!(check_report(&document, std::slice::from_ref(&other)).is_err(), "another store's key");
    let mut forged = document.clone();
    forged["signature"]["key"] = json!(other);
    assert!(check_report(&forged, std::slice::from_ref(&other)).is_err(), "no key of anybody");
    bound.end().await;
}

/// By where the answer came from, and without a statement of the request.
#[tokio::test]
async fn who_asks_is_counted() {
    let bound = Bound::new(Mode::ReadThrough).await;
    let store = &bound.run.store;
    bound.upstream.put("k", noise(1, 100));
    store.head(&root(), &object("k"), &ReadOptions::default()).await.unwrap();
    for _ in 0..3 {
        bound.get("k").await.unwrap();
    }
    store.head(&root(), &object("k"), &ReadOptions::default()).await.unwrap();
    bound.run.put("mine", noise(2, 10)).await.unwrap();
    store.delete(&root(), &object("k"), Preconditions::default()).await.unwrap();
    store.object(&root(), Action::GetObjectTagging, &object("mine")).await.unwrap();
    let kept = bound.run.metadata.space(&common::place()).await.unwrap().unwrap();
    assert_eq!(bound.run.metadata.clients(kept.id).await.unwrap(), [], "nothing is written by a request");
    // A server that ends writes down what it counted.
    ClientsWorker::new(store.clone()).end().await;
    let written = bound.run.metadata.clients(kept.id).await.unwrap();
    let seen = bound.admin.upstream_clients(&root(), &space()).await.unwrap();
    let counts: Vec<_> = seen.iter().map(|one| (one.client.who.as_str(), one.counts)).collect();
    let expected = Counts { local: 3, upstream: 1, pulled: 1, changes: 2, other: 1 };
    assert_eq!(counts, [(root().name.as_str(), expected)]);
    assert_eq!(seen, written);
    bound.end().await;
}

/// Where nothing is read through, nobody is seen.
#[tokio::test]
async fn nobody_is_counted_in_other_modes() {
    let bound = Bound::new(Mode::Observe).await;
    bound.run.put("mine", noise(2, 10)).await.unwrap();
    bound.get("mine").await.unwrap();
    assert_eq!(bound.admin.upstream_clients(&root(), &space()).await.unwrap(), []);
    bound.end().await;
}
