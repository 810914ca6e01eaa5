//! Settings, commands and directories that are a little wrong.

use std::path::Path;
use std::process::{Command, Output};

use juststorage_compat_tests::{Content, Database, Server, binary, on_both_databases};

on_both_databases!(what_was_tidied_away_is_made_again);

/// Runs the program in `place` with these variables and no others.
fn run(place: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::path());
    command.env_clear().current_dir(place).args(arguments);
    command.envs(variables.iter().copied()).output().expect("the binary starts")
}

fn refused(place: &Path, variables: &[(&str, &str)], arguments: &[&str], code: i32) -> String {
    let output = run(place, variables, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{variables:?} {arguments:?}: {said}");
    assert_eq!(place.read_dir().unwrap().count(), 0, "{arguments:?} left something behind: {said}");
    said
}

/// A word that is no level silences everything, the audit log too.
#[test]
fn a_log_without_a_level_is_refused() {
    let place = tempfile::tempdir().unwrap();
    for wrong in ["warning", "verbose", "info,juststorage_core"] {
        let said = refused(place.path(), &[("RUST_LOG", wrong)], &["serve"], 2);
        assert!(said.contains("RUST_LOG") && said.contains("level"), "{said}");
    }
    println!("A8 small slips, RUST_LOG without a level: refused");
}

#[test]
fn a_misspelt_setting_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    for (wrong, meant) in [
        ("JUSTSTORAGE_DATADIR", "JUSTSTORAGE_DATA_DIR"),
        ("JUSTSTORAGE_MASTERKEY", "JUSTSTORAGE_MASTER_KEY"),
        ("JUSTSTORAGE_COLD_URI", "JUSTSTORAGE_COLD_URL"),
    ] {
        for command in ["serve", "stats"] {
            let said = refused(place.path(), &[(wrong, "hush")], &[command], 2);
            assert!(said.contains(wrong) && said.contains(meant) && !said.contains("hush"), "{said}");
        }
    }
    println!("A8 small slips, misspelt settings: refused by name");
}

/// Only `serve` and `migrate` make a store.
#[test]
fn no_command_makes_a_second_store() {
    let place = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 10] = [
        &["validate"],
        &["validate", "--rebuild"],
        &["scrub"],
        &["gc"],
        &["lifecycle"],
        &["stats"],
        &["key", "create", "--kind", "s3", "--tenant", "t"],
        &["key", "list"],
        &["limits", "list"],
        &["bucket", "create", "demo"],
    ];
    for command in commands {
        let said = refused(place.path(), &[], command, 3);
        assert!(said.contains("JUSTSTORAGE_DATA_DIR"), "{command:?}: {said}");
    }
    println!("A8 small slips, commands in another directory: stores made: 0");
    // One that was made and never served holds keys and buckets; there is nothing in its tiers yet.
    assert!(run(place.path(), &[], &["migrate"]).status.success());
    for command in [&["bucket", "create", "demo"][..], &["key", "create", "--kind", "s3", "--tenant", "t"]] {
        let output = run(place.path(), &[], command);
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let output = run(place.path(), &[], &["gc"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("juststorage serve"));
    assert!(!place.path().join("data/hot").exists(), "a command made a tier");
}

/// `hot/staging`, and what processes that were killed left of small files.
async fn what_was_tidied_away_is_made_again(database: Database) {
    let mut server = Server::start(database).await;
    let native = server.native();
    std::fs::remove_dir_all(server.data().join("hot/staging")).unwrap();
    let large = Content::new(1, 2 << 20).bytes();
    native.put("bucket", "large", large.clone()).await;
    assert!(native.read("bucket", "large").await == large);
    server.kill();
    let drafts = [
        "master.1c8b2f0e-8f4b-4a53-9d0a-0d3f6a1f1b11.draft",
        "master.key.1c8b2f0e-8f4b-4a53-9d0a-0d3f6a1f1b11.new",
    ];
    for draft in drafts {
        std::fs::write(server.data().join(draft), "half a key").unwrap();
    }
    std::fs::remove_dir_all(server.data().join("cold/staging")).unwrap();
    server.resume().await;
    for draft in drafts {
        assert!(!server.data().join(draft).exists(), "{draft} is still there");
    }
    assert!(server.data().join("cold/staging").is_dir());
    assert!(server.native().read("bucket", "large").await == large);
    println!("A8 small slips, staging removed: writes refused: 0; drafts left: 0");
}
