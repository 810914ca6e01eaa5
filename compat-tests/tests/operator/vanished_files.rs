//! Files that vanish under a running server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::native::{Native, problem};
use juststorage_compat_tests::{Content, Database, Options, Server, disk, on_both_databases, skipped, wait};
use reqwest::Method;

on_both_databases!(
    a_shelf_removed_under_the_open_pack,
    a_tier_unmounted_under_a_server,
    many_files_gone_are_one_finding_and_one_is_healed,
);

const BUCKET: &str = "bucket";
const PATIENCE: Duration = Duration::from_secs(60);

/// What was acknowledged, by key.
type Acknowledged = Vec<(String, Content)>;

/// Puts an object; whether it was acknowledged. A refusal is one that passes.
async fn put(native: &Native, acknowledged: &mut Acknowledged, seed: u64, length: usize) -> bool {
    let (key, content) = (format!("{seed:05}"), Content::new(0x0a_7000 + seed, length));
    let answer = native.post(BUCKET, &key).body(content.bytes()).send().await.unwrap();
    if answer.status() == 201 {
        acknowledged.push((key, content));
        return true;
    }
    let (status, code, _) = problem(answer).await;
    assert_eq!((status, code.as_str()), (503, "unavailable"));
    false
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

async fn readiness(native: &Native) -> u16 {
    native.request(Method::GET, "/ready").send().await.unwrap().status().as_u16()
}

fn segment_files(server: &Server) -> Vec<PathBuf> {
    disk::files(&server.data().join("hot/segments")).into_iter().map(|(path, _)| path).collect()
}

/// The directory of the open pack is removed. The next batch is not acknowledged, the one behind it is, in a new pack, and
/// is there after a restart.
async fn a_shelf_removed_under_the_open_pack(database: Database) {
    let mut server = Server::start_with(database, Options::terse()).await;
    let native = server.native();
    let (mut before, mut after) = (Acknowledged::new(), Acknowledged::new());
    assert!(put(&native, &mut before, 0, 3000).await);
    for path in segment_files(&server) {
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
    let refused = u64::from(!put(&native, &mut after, 1, 3000).await);
    for seed in 2..10 {
        let length = if seed == 5 { (1 << 20) + 99 } else { 3000 };
        assert!(put(&native, &mut after, seed, length).await, "after one refusal");
    }
    assert_eq!(refused, 1, "acknowledged into a file that is gone");
    server.kill();
    server.resume().await;
    let lost = lost(&server.native(), &after).await;
    println!("A7 a shelf removed, {database:?}: refused: {refused}, acknowledged behind it and lost: {lost}");
    assert_eq!(lost, 0);
}

fn mount(arguments: &[&str]) -> Result<(), String> {
    let output =
        Command::new(arguments[0]).args(&arguments[1..]).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(text) }
}

/// A directory mounted at another place, until dropped.
struct Mounted<'a> {
    from: &'a Path,
    at: &'a Path,
}

impl Mounted<'_> {
    fn mount(&self) -> Result<(), String> {
        mount(&["mount", "--bind", &self.from.display().to_string(), &self.at.display().to_string()])
    }

    fn unmount(&self) {
        mount(&["umount", "-l", &self.at.display().to_string()]).unwrap();
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = mount(&["umount", "-l", &self.at.display().to_string()]);
    }
}

/// The hot tier is unmounted under the server. Nothing is acknowledged then and nothing is written where it was mounted;
/// the server is not ready. Mounted again, everything goes on without a restart.
async fn a_tier_unmounted_under_a_server(database: Database) {
    let directory = tempfile::tempdir().unwrap();
    let (from, at) = (directory.path().join("disk"), directory.path().join("hot"));
    for path in [&from, &at] {
        std::fs::create_dir(path).unwrap();
    }
    let mounted = Mounted { from: &from, at: &at };
    if let Err(error) = mounted.mount() {
        let allowed = std::env::var_os("JUSTSTORAGE_TEST_NO_MOUNT").is_some();
        assert!(allowed, "{error}: run as root, or set JUSTSTORAGE_TEST_NO_MOUNT to do without this test");
        return skipped::note("a tier that is unmounted", &format!("nothing can be mounted: {error}"));
    }
    let settings = vec![("JUSTSTORAGE_HOT_URL", format!("file://{}", at.display()))];
    let mut server = Server::start_with(database, Options { settings, ..Options::terse() }).await;
    let native = server.native();
    let mut acknowledged = Acknowledged::new();
    let (mut seed, mut refused) = (0, 0);
    for _ in 0..2 {
        for length in [3000, (1 << 20) + 99, 3000] {
            seed += 1;
            assert!(put(&native, &mut acknowledged, seed, length).await);
        }
        mounted.unmount();
        wait::until("/ready says no", PATIENCE, async || (readiness(&native).await == 503).then_some(()))
            .await;
        for length in [3000, (1 << 20) + 99, 3000] {
            seed += 1;
            assert!(!put(&native, &mut acknowledged, seed, length).await, "acknowledged without the tier");
            refused += 1;
        }
        assert_eq!(disk::files(&at), [], "written where the tier was mounted");
        mounted.mount().unwrap();
        wait::until("/ready says yes", PATIENCE, async || (readiness(&native).await == 200).then_some(()))
            .await;
    }
    seed += 1;
    assert!(put(&native, &mut acknowledged, seed, 3000).await);
    server.stop().await;
    server.resume().await;
    let lost = lost(&server.native(), &acknowledged).await;
    println!(
        "A7 a tier unmounted, {database:?}: refused: {refused}, acknowledged: {}, lost: {lost}",
        acknowledged.len()
    );
    assert_eq!(lost, 0);
    server.stop().await;
    server.assert_valid();
}

/// One absent file is a verdict about its blobs: it is quarantined and the next upload of its bytes heals it. Where most
/// are absent nothing is concluded: the scrubber stops, `validate` has one finding, the server is not ready, and nothing is
/// quarantined. With the files back all is as it was.
async fn many_files_gone_are_one_finding_and_one_is_healed(database: Database) {
    let mut server = Server::start_with(database, Options::terse()).await;
    let native = server.native();
    let mut acknowledged = Acknowledged::new();
    // A file each.
    for seed in 0..8 {
        assert!(put(&native, &mut acknowledged, seed, (1 << 20) + 99).await);
    }
    let aside = |path: &Path| path.with_extension("aside");
    let files = segment_files(&server);
    std::fs::rename(&files[0], aside(&files[0])).unwrap();
    assert_eq!(readiness(&native).await, 200, "one file");
    assert_eq!(server.run(&["scrub"]).status.code(), Some(1), "it is found");
    for (_, content) in acknowledged.clone() {
        native.put(BUCKET, "again", content.bytes()).await;
    }
    assert_eq!(lost(&native, &acknowledged).await, 0, "not healed");
    server.assert_valid();

    let files: Vec<_> = segment_files(&server)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    for path in &files {
        std::fs::rename(path, aside(path)).unwrap();
    }
    let (key, _) = &acknowledged[0];
    let (status, code, _) = problem(native.get(BUCKET, key).await).await;
    assert_eq!((status, code.as_str()), (503, "unavailable"));
    assert_eq!(readiness(&native).await, 503);
    let scrubbed = server.run(&["scrub"]);
    assert_eq!(scrubbed.status.code(), Some(3), "{}", String::from_utf8_lossy(&scrubbed.stderr));
    let found = server.run(&["validate", "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let codes: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
    assert_eq!(codes, ["tier-absent"], "{report}");
    for path in &files {
        std::fs::rename(aside(path), path).unwrap();
    }
    assert_eq!(readiness(&native).await, 200);
    let lost = lost(&native, &acknowledged).await;
    println!(
        "A1 files absent, {database:?}: one healed, {} at once concluded nothing; objects lost: {lost}",
        files.len()
    );
    assert_eq!(lost, 0);
    server.stop().await;
    server.run_ok(&["scrub"]);
    server.assert_valid();
}
