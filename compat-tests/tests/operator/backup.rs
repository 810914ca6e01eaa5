//! A live backup, restored: the commands of `docs/backup.md`, run under load, with deletes, moves and compaction
//! between the copy of the database and that of the tiers.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use juststorage_compat_tests::native::Native;
use juststorage_compat_tests::{Content, Database, Options, Server, binary, on_both_databases, wait};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

on_both_databases!(a_backup_that_holds_removal, a_backup_within_the_retention);

/// With no retention at all: the hold is what keeps the bytes.
async fn a_backup_that_holds_removal(database: Database) {
    back_up_and_restore(database, "hold", "0s").await;
}

/// With the default retention, and without `backup begin` and `backup end`.
async fn a_backup_within_the_retention(database: Database) {
    back_up_and_restore(database, "retention", "1h").await;
}

/// Objects that are there before the load begins: every third stays, every third of these on another tier.
const OBJECTS: u64 = 90;
const NAMESPACE: &str = "backup";

type Acknowledged = Arc<Mutex<BTreeMap<String, Content>>>;

async fn back_up_and_restore(database: Database, how: &str, retention: &'static str) {
    let page = Page::read(database);
    let settings = vec![("JUSTSTORAGE_RETENTION", retention.to_owned())];
    let mut server = Server::start_with(database, Options { settings, ..Options::terse() }).await;
    let place = TempDir::new().unwrap();
    let native = server.native();
    let acknowledged = Acknowledged::default();
    let mut ids = Vec::new();
    for seed in 0..OBJECTS {
        let length = if seed % 15 == 0 { 2 << 20 } else { 3_000 + 200 * usize::try_from(seed).unwrap() };
        let (key, content) = (format!("base/{seed}"), Content::new(seed, length));
        let made = native.put(NAMESPACE, &key, content.bytes()).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
        acknowledged.lock().unwrap().insert(key, content);
    }
    let load = Load::start(&server, &acknowledged);

    if how == "hold" {
        page.run(&server, "Back up", 0, place.path());
    }
    // Every write acknowledged by now must be in the copy.
    let expected = acknowledged.lock().unwrap().clone();
    page.run(&server, "Back up", 1, place.path());
    load.deletes.store(true, Ordering::Relaxed);
    for (seed, id) in (0..OBJECTS).zip(&ids) {
        let key = format!("base/{seed}");
        if seed % 3 != 0 {
            assert_eq!(native.delete(NAMESPACE, &key).await, StatusCode::NO_CONTENT);
        } else if seed % 9 == 0 {
            let patch = native.request(Method::PATCH, &format!("/v1/objects/{id}"));
            let patch = patch.header("content-type", "application/merge-patch+json");
            let answer = patch.body(json!({ "storage_class": "cold" }).to_string()).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        }
    }
    // Without the server's leases the command does all that waits: collects, moves and compacts.
    server.stop().await;
    let done: Value = serde_json::from_str(&server.run_ok(&["gc", "--json"])).unwrap();
    // A server that was quick may have done some of it before it stopped.
    let (moved, compacted) = (done["moved"].as_u64().unwrap_or(0), done["compacted"].as_u64().unwrap_or(0));
    let cold = server.data().join("cold");
    assert!(server.data_files().iter().any(|(path, _)| path.starts_with(&cold)), "nothing was moved: {done}");
    let kept = retained(&server);
    assert!(kept > 0, "nothing waits to be removed, so nothing was shown");
    server.resume().await;
    load.goes_on_at(&server);

    page.run(&server, "Back up", 2, place.path());
    if how == "hold" {
        page.run(&server, "Back up", 3, place.path());
    }
    let written = load.end().await;
    server.stop().await;
    if how == "hold" {
        server.run_ok(&["gc"]);
        assert_eq!(retained(&server), 0, "removal goes on once the hold has ended");
    }

    let data = place.path().join("restored");
    let mut restored = Server::prepare(database, Options { data: Some(data), ..Options::terse() });
    for block in 0..page.blocks("Restore") {
        page.run(&restored, "Restore", block, place.path());
    }
    restored.resume().await;
    let native = restored.native();
    let mut lost = Vec::new();
    for (key, content) in &expected {
        let answer = native.get(NAMESPACE, key).await;
        if answer.status() != StatusCode::OK || answer.bytes().await.ok() != Some(content.bytes()) {
            lost.push(key);
        }
    }
    let shown = native.list(NAMESPACE, "", 1000).await;
    let mut unreadable = 0;
    for object in &shown {
        let answer = native.get(NAMESPACE, object["key"].as_str().unwrap()).await;
        unreadable += u32::from(!answer.status().is_success() || answer.bytes().await.is_err());
    }
    println!(
        "A3 backup ({how}, {database:?}): objects lost: {} of {}, unreadable in the copy: {unreadable} of {}; \
         {moved} moved and {compacted} compacted between the copies, {kept} files kept, {written} written meanwhile",
        lost.len(),
        expected.len(),
        shown.len()
    );
    assert!(lost.is_empty() && unreadable == 0, "{lost:?}");
    // What the restored store does not need or know is named, and nothing else is wrong with it.
    restored.stop().await;
    let findings = restored.run(&["validate", "--json"]);
    let findings: Value = serde_json::from_slice(&findings.stdout).unwrap();
    let codes =
        findings["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap());
    let other: Vec<_> = codes.filter(|code| !["file-unknown", "segment-kept"].contains(code)).collect();
    assert_eq!(other, Vec::<&str>::new());
}

fn retained(server: &Server) -> u64 {
    let list: Value = serde_json::from_str(&server.run_ok(&["backup", "list", "--json"])).unwrap();
    list["retained"]["segments"].as_u64().unwrap()
}

/// Objects written all the time, and deleted again from a moment on. A server that is away costs it a while.
struct Load {
    deletes: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    url: Arc<Mutex<String>>,
    task: tokio::task::JoinHandle<u64>,
}

impl Load {
    fn start(server: &Server, acknowledged: &Acknowledged) -> Self {
        let (deletes, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let url = Arc::new(Mutex::new(server.native_url().to_owned()));
        let task = tokio::spawn(write(acknowledged.clone(), deletes.clone(), stop.clone(), url.clone()));
        Self { deletes, stop, url, task }
    }

    fn goes_on_at(&self, server: &Server) {
        server.native_url().clone_into(&mut self.url.lock().unwrap());
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn write(
    acknowledged: Acknowledged,
    deletes: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    url: Arc<Mutex<String>>,
) -> u64 {
    let (mut written, mut seed) = (0, 1_000_000);
    while !stop.load(Ordering::Relaxed) {
        seed += 1;
        let native = Native::new(&url.lock().unwrap().clone());
        let length = if seed % 20 == 0 { 1_500_000 } else { 20_000 };
        let (key, content) = (format!("load/{seed}"), Content::new(seed, length));
        let sent = native.post(NAMESPACE, &key).body(content.bytes()).send().await;
        if !sent.is_ok_and(|answer| answer.status() == StatusCode::CREATED) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        acknowledged.lock().unwrap().insert(key, content);
        written += 1;
        if deletes.load(Ordering::Relaxed) && written % 2 == 0 {
            let path = native.path(NAMESPACE, &format!("load/{}", seed - 1));
            let _ = native.request(Method::DELETE, &path).send().await;
        }
    }
    written
}

/// The commands of `docs/backup.md` for one database, by heading, in order.
struct Page(Vec<(String, String)>);

impl Page {
    fn read(database: Database) -> Self {
        let engine = if database == Database::Sqlite { "sqlite" } else { "postgres" };
        let text = std::fs::read_to_string(binary::workspace().join("docs/backup.md")).unwrap();
        let (mut blocks, mut heading) = (Vec::new(), String::new());
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("## ") {
                title.clone_into(&mut heading);
            }
            let Some(fence) = line.strip_prefix("```") else { continue };
            let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let whose = fence.strip_prefix("sh test").map(str::trim);
            if whose.is_some_and(|whose| whose.is_empty() || whose == engine) {
                blocks.push((heading.clone(), body.join("\n")));
            }
        }
        let page = Self(blocks);
        assert_eq!((page.blocks("Back up"), page.blocks("Restore")), (4, 2), "the page has other steps");
        page
    }

    fn blocks(&self, heading: &str) -> usize {
        self.0.iter().filter(|(under, _)| under == heading).count()
    }

    /// Runs a step of the page as printed, but for the two directories.
    fn run(&self, server: &Server, heading: &str, step: usize, place: &Path) {
        let block = self.0.iter().filter(|(under, _)| under == heading).nth(step).expect("such a step");
        let script = block
            .1
            .replace("/var/lib/juststorage", server.data().to_str().unwrap())
            .replace("/srv/backup", place.join("backup").to_str().unwrap());
        // The page tells to take 24 as success.
        let vanished = |output: &Output| script.contains("rsync ") && output.status.code() == Some(24);
        let output = server.shell(&script);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || vanished(&output), "{script}\n{}\n{errors}", output.status);
    }
}

/// A hold that is not ended is shown, and expires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_hold_expires() {
    let settings = vec![("JUSTSTORAGE_RETENTION", "0s".to_owned())];
    let mut server = Server::start_with(Database::Sqlite, Options { settings, ..Options::default() }).await;
    let native = server.native();
    assert!((native.metric("activestorage_backup_holds").await).abs() < 0.5);
    let none = server.run(&["backup", "end"]);
    assert_eq!(none.status.code(), Some(1), "{}", String::from_utf8_lossy(&none.stderr));
    server.run_ok(&["backup", "begin", "--hold", "1h"]);
    server.run_ok(&["backup", "begin", "--hold", "2h"]);
    assert!((native.metric("activestorage_backup_holds").await - 2.0).abs() < 0.5);
    assert_eq!(server.run(&["backup", "end"]).status.code(), Some(1), "which one?");
    server.run_ok(&["backup", "end", "--all"]);
    server.run_ok(&["backup", "begin", "--hold", "1s"]);
    native.put("n", "k", Content::new(1, 2 << 20).bytes()).await;
    assert_eq!(native.delete("n", "k").await, StatusCode::NO_CONTENT);
    wait::until("the hold ends by itself", Duration::from_secs(60), async || {
        server.run_ok(&["gc"]);
        (server.data_files().is_empty()).then_some(())
    })
    .await;
    let list: Value = serde_json::from_str(&server.run_ok(&["backup", "list", "--json"])).unwrap();
    assert_eq!(list["holds"], json!([]));
    server.stop().await;
}
