//! A start on metadata older than the tiers.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;

use juststorage_compat_tests::content::{assert_same, sha256};
use juststorage_compat_tests::native::Native;
use juststorage_compat_tests::{Content, Database, Options, Server, on_both_databases};
use serde_json::Value;

on_both_databases!(an_older_backup_costs_nothing);

const BUCKET: &str = "bucket";
const OLDER: &str = "the database is older than the tiers: restore a newer one; nothing was removed";

type Acknowledged = BTreeMap<String, Content>;

/// Puts `number` small objects, and a large one.
async fn put(native: &Native, acknowledged: &mut Acknowledged, number: u64) {
    for _ in 0..number {
        let key = format!("{:05}", acknowledged.len());
        let length = if acknowledged.len() as u64 % number == 7 { (1 << 20) + 99 } else { 3000 };
        let content = Content::new(0x0a_2000 + acknowledged.len() as u64, length);
        native.put(BUCKET, &key, content.bytes()).await;
        acknowledged.insert(key, content);
    }
}

async fn lost(native: &Native, acknowledged: &Acknowledged) -> usize {
    let mut lost = 0;
    for (key, content) in acknowledged {
        let answer = native.get(BUCKET, key).await;
        if answer.status() == 200 {
            assert_same(key, &answer.bytes().await.unwrap(), &content.bytes());
        } else {
            lost += 1;
        }
    }
    lost
}

fn times(server: &Server) -> usize {
    server.log().matches(OLDER).count()
}

fn findings(output: &std::process::Output) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |finding: &Value, field| finding[field].as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| (text(finding, "code"), text(finding, "detail"))).collect()
}

/// A server is killed, an older backup of its database restored, the server started and garbage collected. It says that
/// the database is old. Once the newer database is put back everything acknowledged is there; and without any database
/// all of its bytes are.
async fn an_older_backup_costs_nothing(database: Database) {
    let mut server = Server::start_with(database, Options::terse()).await;
    let mut acknowledged = Acknowledged::new();
    put(&server.native(), &mut acknowledged, 20).await;
    server.kill();
    assert_eq!(times(&server), 0);
    let older = server.copy_metadata();
    let then = acknowledged.clone();
    // A kill alone raises no alarm.
    server.resume().await;
    put(&server.native(), &mut acknowledged, 120).await;
    server.kill();
    assert_eq!(times(&server), 0);
    let newer = server.copy_metadata();

    server.put_back_metadata(Some(&older));
    server.resume().await;
    assert_eq!(times(&server), 1, "it is not told");
    assert_eq!(lost(&server.native(), &then).await, 0, "of what the older database knows");
    server.run_ok(&["gc"]);
    server.stop().await;
    server.run_ok(&["gc"]);
    let found = server.run(&["validate", "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let codes = findings(&found);
    assert!(codes.iter().any(|(code, _)| code == "segment-kept" || code == "file-unknown"), "{codes:?}");
    assert!(codes.iter().all(|(_, detail)| detail.contains("older than the tier")), "{codes:?}");
    server.resume().await;
    assert_eq!(times(&server), 1, "it is told again of what was accepted");
    server.kill();

    server.put_back_metadata(Some(&newer));
    server.resume().await;
    assert_eq!(times(&server), 1);
    let lost_in_the_end = lost(&server.native(), &acknowledged).await;
    server.run_ok(&["gc"]);
    assert_eq!(lost_in_the_end + lost(&server.native(), &acknowledged).await, 0);
    server.stop().await;
    server.assert_valid();

    server.put_back_metadata(None);
    let rebuilt: Value = serde_json::from_str(&server.run_ok(&["validate", "--rebuild", "--json"])).unwrap();
    assert_eq!(rebuilt["rebuilt"]["findings"].as_array().unwrap().len(), 0);
    server.resume().await;
    assert_eq!(times(&server), 1, "a rebuilt database is as new as there is");
    let native = server.native();
    for content in acknowledged.values() {
        let read = native.read("recovered", &format!("sha256/{}", sha256(&content.bytes()))).await;
        assert_same("rebuilt", &read, &content.bytes());
    }
    println!(
        "A2 older metadata, {database:?}: {} acknowledged, {} of them unknown to the older database; objects lost: 0",
        acknowledged.len(),
        acknowledged.len() - then.len()
    );
}

/// One bit in the middle of SQLite's log, so that what is behind it is lost.
fn flip_a_bit_of_the_log(server: &Server) {
    let log =
        std::fs::File::options().read(true).write(true).open(server.data().join("metadata.db-wal")).unwrap();
    let middle = log.metadata().unwrap().len() / 2;
    let mut byte = [0];
    log.read_exact_at(&mut byte, middle).unwrap();
    log.write_all_at(&[byte[0] ^ 1], middle).unwrap();
}

/// One bit of SQLite's log flips after a kill: SQLite reads what lies before it and says nothing. The store does; with the
/// bit put right everything is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_tail_of_the_log_is_noticed() {
    let mut server = Server::start_with(Database::Sqlite, Options::terse()).await;
    let mut acknowledged = Acknowledged::new();
    put(&server.native(), &mut acknowledged, 60).await;
    server.kill();
    let whole = server.copy_metadata();
    flip_a_bit_of_the_log(&server);
    server.resume().await;
    assert_eq!(times(&server), 1, "{}", server.log());
    let missing = lost(&server.native(), &acknowledged).await;
    assert!(missing > 0, "the bit was in vain");
    server.run_ok(&["gc"]);
    server.stop().await;
    server.put_back_metadata(Some(&whole));
    server.resume().await;
    assert_eq!(lost(&server.native(), &acknowledged).await, 0);
    server.stop().await;
    server.assert_valid();
    println!(
        "A2 lost tail of the log: {} acknowledged, {missing} unreadable and said so; objects lost: 0",
        acknowledged.len()
    );
}

/// The newer database is gone for good: what the kept segments hold beyond the older one is given up, by name, once
/// somebody says so, and the store is whole without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_segment_is_given_up_when_asked() {
    let mut server = Server::start_with(Database::Sqlite, Options::terse()).await;
    let mut acknowledged = Acknowledged::new();
    put(&server.native(), &mut acknowledged, 60).await;
    server.kill();
    flip_a_bit_of_the_log(&server);
    server.resume().await;
    assert_eq!(times(&server), 1, "{}", server.log());
    let native = server.native();
    let missing = lost(&native, &acknowledged).await;
    let kept: Vec<_> = findings(&server.run(&["validate", "--json"]));
    assert!(
        kept.iter().any(|(code, detail)| code == "segment-kept" && detail.contains("stuck give-up")),
        "{kept:?}"
    );
    let kept = kept.iter().filter(|(code, _)| code == "segment-kept").count();

    let give_up = |more: &[&str]| -> Value {
        serde_json::from_str(&server.run_ok(&[&["stuck", "give-up", "--json"], more].concat())).unwrap()
    };
    let told = give_up(&["--all"]);
    assert_eq!((&told["given_up"], told["segments"].as_array().unwrap().len()), (&Value::Bool(false), kept));
    let records = |segment: &Value| segment["lost"].as_array().unwrap().clone();
    let told_lost: Vec<_> = told["segments"].as_array().unwrap().iter().flat_map(records).collect();
    // Each object that is missing is named by its hash, and none that is there.
    assert_eq!(told_lost.len(), missing, "{told}");
    for (key, content) in &acknowledged {
        let there = native.get(BUCKET, key).await.status() == 200;
        let hash = sha256(&content.bytes());
        assert_eq!(told_lost.iter().any(|record| record["sha256"] == hash.as_str()), !there, "{key}");
    }
    assert_eq!(findings(&server.run(&["validate", "--json"])).len(), kept, "a dry run changed something");

    let segment = told["segments"][0]["segment"].as_str().unwrap().to_owned();
    assert_eq!(give_up(&[&segment, "--yes"])["given_up"], true);
    assert_eq!(
        server.run(&["stuck", "give-up", &segment, "--yes"]).status.code(),
        Some(1),
        "it is not kept any more"
    );
    if kept > 1 {
        give_up(&["--all", "--yes"]);
    }
    server.stop().await;
    server.run_ok(&["gc", "--retention", "0s"]);
    server.assert_valid();
    server.resume().await;
    assert_eq!(lost(&server.native(), &acknowledged).await, missing, "more was lost than was said");
    println!(
        "A2 kept segments given up: {kept}, with {missing} records that no object named, each told before"
    );
}
