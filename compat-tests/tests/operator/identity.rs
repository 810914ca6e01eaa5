//! A store that finds another directory, database or copy than its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::native::Native;
use juststorage_compat_tests::{Content, Database, Options, Server, on_both_databases, wait};

on_both_databases!(
    another_directory_is_refused,
    a_volume_that_goes_away_shows,
    tiers_that_are_mixed_up_are_refused,
    a_lost_database_is_not_begun_anew,
    an_old_store_is_marked_only_with_its_tiers,
);

const NAMESPACE: &str = "bucket";

/// Commands that look into a store.
const COMMANDS: [&[&str]; 7] =
    [&["scrub"], &["gc"], &["validate"], &["lifecycle"], &["stats"], &["key", "list"], &["bucket", "list"]];

/// Small ones share a pack, a large one has a file of its own.
fn contents() -> Vec<(String, Bytes)> {
    let sizes = [100, 3000, 70_000, (1 << 20) + 5, 0, 9000];
    let numbered = sizes.into_iter().enumerate();
    numbered.map(|(at, size)| (format!("k{at}"), Content::new(at as u64, size).bytes())).collect()
}

async fn put_all(native: &Native) {
    for (key, bytes) in contents() {
        native.put(NAMESPACE, &key, bytes).await;
    }
}

/// How many of the objects are lost: each is read, and is right or the test fails.
async fn lost(native: &Native) -> usize {
    let mut lost = 0;
    for (key, bytes) in contents() {
        let answer = native.get(NAMESPACE, &key).await;
        if answer.status().is_success() {
            assert_same(&key, &answer.bytes().await.unwrap(), &bytes);
        } else {
            lost += 1;
        }
    }
    lost
}

/// The setting that leads to a server's database.
fn database_of(server: &Server) -> String {
    let embedded = || format!("sqlite://{}", server.data().join("metadata.db").display());
    server.database_url().map_or_else(embedded, str::to_owned)
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// Another server over the same database, with settings of its own.
fn beside(server: &Server, database: Database, more: &[(&'static str, String)]) -> Server {
    let mut settings = vec![("DATABASE_URL", database_of(server))];
    settings.extend_from_slice(more);
    Server::prepare(database, Options { settings, ..Options::default() })
}

/// With the right database and another, empty data directory nothing starts and nothing is touched.
async fn another_directory_is_refused(database: Database) {
    let mut server = Server::start_with(database, Options::default()).await;
    put_all(&server.native()).await;
    server.stop().await;

    let other = beside(&server, database, &[]);
    let said = other.refused();
    for named in ["hot", "store ", "JUSTSTORAGE_DATA_DIR", other.data().join("hot").to_str().unwrap()] {
        assert!(said.contains(named), "{named}: {said}");
    }
    for command in COMMANDS {
        let said = other.unable(command);
        assert!(said.contains("do not belong together"), "{command:?}: {said}");
    }
    assert!(!other.data().join("hot").exists(), "something was made in the wrong directory");

    server.resume().await;
    let lost = lost(&server.native()).await;
    println!("A1 identity, another directory: objects lost: {lost} of {}", contents().len());
    assert_eq!(lost, 0);
    server.assert_valid();
}

/// A tier whose volume is unmounted under a server: it is not ready and says why, and is whole again afterwards.
async fn a_volume_that_goes_away_shows(database: Database) {
    let server = Server::start_with(database, Options::default()).await;
    let native = server.native();
    put_all(&native).await;
    let (hot, away) = (server.data().join("hot"), server.data().join("away"));
    std::fs::rename(&hot, &away).unwrap();
    std::fs::create_dir(&hot).unwrap();
    let ready = native.request(reqwest::Method::GET, "/ready").send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let said: serde_json::Value = ready.json().await.unwrap();
    assert!(said["checks"]["hot"].as_str().unwrap().contains("mount"), "{said}");
    assert_eq!(said["checks"]["cold"], "ok");
    let large = Content::new(99, 2 << 20).bytes();
    let put = native.post(NAMESPACE, "large").body(large).send().await.unwrap();
    assert!(put.status().is_server_error(), "acknowledged into the wrong directory: {}", put.status());
    assert_eq!(std::fs::read_dir(&hot).unwrap().count(), 0, "something was made in the wrong directory");
    server.unable(&["scrub"]);

    std::fs::remove_dir(&hot).unwrap();
    std::fs::rename(&away, &hot).unwrap();
    let ready = native.request(reqwest::Method::GET, "/ready").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let lost = lost(&native).await;
    println!("A1 identity, a volume that went away: objects lost: {lost} of {}", contents().len());
    assert_eq!(lost, 0);
}

/// The directory of one tier as the other's, or one for both.
async fn tiers_that_are_mixed_up_are_refused(database: Database) {
    let mut server = Server::start_with(database, Options::default()).await;
    put_all(&server.native()).await;
    server.stop().await;
    let (hot, cold) = (server.data().join("hot"), server.data().join("cold"));
    let settings = [("JUSTSTORAGE_HOT_URL", url(&cold)), ("JUSTSTORAGE_COLD_URL", url(&hot))];
    let said = beside(&server, database, &settings).refused();
    assert!(said.contains("mixed up"), "{said}");

    // A new store whose two tiers are one directory under two names.
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("hot")).unwrap();
    std::os::unix::fs::symlink(place.path().join("hot"), place.path().join("cold")).unwrap();
    let settings = vec![
        ("JUSTSTORAGE_HOT_URL", url(&place.path().join("hot"))),
        ("JUSTSTORAGE_COLD_URL", url(&place.path().join("cold"))),
    ];
    let said = Server::prepare(database, Options { settings, ..Options::default() }).refused();
    assert!(said.contains("one directory"), "{said}");

    server.resume().await;
    let lost = lost(&server.native()).await;
    println!("A1 identity, tiers mixed up: objects lost: {lost} of {}", contents().len());
    assert_eq!(lost, 0);
}

/// A new, empty database in the place of the store's is refused, and rebuilt from the tiers when that is asked for. The
/// old one, found again, still fits.
async fn a_lost_database_is_not_begun_anew(database: Database) {
    let mut server = Server::start_with(database, Options::default()).await;
    put_all(&server.native()).await;
    server.stop().await;
    let tiers = [
        ("JUSTSTORAGE_HOT_URL", url(&server.data().join("hot"))),
        ("JUSTSTORAGE_COLD_URL", url(&server.data().join("cold"))),
    ];
    let mut empty = Server::prepare(database, Options { settings: tiers.to_vec(), ..Options::default() });
    let said = empty.refused();
    assert!(said.contains("--rebuild"), "{said}");
    assert!(!empty.data().join("metadata.db").exists(), "an empty database was left");
    empty.run_ok(&["validate", "--rebuild"]);
    empty.resume().await;
    let rebuilt = empty.native().list("recovered", "", 100).await.len();
    assert_eq!(rebuilt, contents().len(), "not every blob was found");
    empty.stop().await;
    server.resume().await;
    let lost = lost(&server.native()).await;
    println!(
        "A1 identity, an empty database: objects lost: {lost} of {}, rebuilt: {rebuilt}",
        contents().len()
    );
    assert_eq!(lost, 0);
}

/// A store that an older release left, its tiers not mounted at the first start of this one.
async fn an_old_store_is_marked_only_with_its_tiers(database: Database) {
    if database == Database::Postgres {
        // The fixture is of an embedded database; what is decided is the same.
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/format-1.tar.gz");
    let unpacked = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(place.path()).status().unwrap();
    assert!(unpacked.success());
    let data = place.path().join("data");
    let mut server = Server::prepare(database, Options { data: Some(data.clone()), ..Options::default() });
    let (hot, away) = (data.join("hot"), data.join("away"));
    std::fs::rename(&hot, &away).unwrap();
    std::fs::create_dir(&hot).unwrap();
    let said = server.refused();
    assert!(said.contains("absent"), "{said}");
    server.unable(&["gc"]);
    assert_eq!(std::fs::read_dir(&hot).unwrap().count(), 0, "the wrong directory was marked");

    std::fs::remove_dir(&hot).unwrap();
    std::fs::rename(&away, &hot).unwrap();
    server.resume().await;
    server.assert_valid();
    for tier in ["hot", "cold"] {
        assert!(data.join(tier).join("juststorage-tier.json").exists(), "{tier}");
    }
    println!("A1 identity, an old store without its tier: refused, then whole");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// A copy of a data directory beside the original on one database is refused: while the original runs, and ever after it
/// has started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_data_directory_is_refused() {
    let mut server = Server::start(Database::Postgres).await;
    put_all(&server.native()).await;
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    copy(server.data(), &data);
    let options = Options {
        data: Some(data.clone()),
        settings: vec![("DATABASE_URL", database_of(&server))],
        ..Options::default()
    };
    let twin = Server::prepare(Database::Postgres, options);
    let said = twin.unable(&["gc"]);
    assert!(said.contains("running") && said.contains("writer.id"), "{said}");
    let said = twin.refused();
    assert!(said.contains("running") && said.contains(server.data().to_str().unwrap()), "{said}");
    server.native().put(NAMESPACE, "after", Bytes::from_static(b"acknowledged")).await;

    // It starts again at once, killed or not: its directory is its own.
    server.kill();
    server.resume().await;
    server.stop().await;
    let said = twin.refused();
    assert!(said.contains("is a copy"), "{said}");
    let said = twin.unable(&["gc"]);
    assert!(said.contains("is a copy"), "{said}");
    server.resume().await;
    let lost = lost(&server.native()).await;
    assert_same("after", &server.native().read(NAMESPACE, "after").await, b"acknowledged");
    println!("A1 identity, a copied data directory: objects lost: {lost} of {}", contents().len());
    assert_eq!(lost, 0);
    server.assert_valid();
}

/// Two new servers on one database, each with a volume of its own: the second is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_share_no_tier_are_refused() {
    let server = Server::start(Database::Postgres).await;
    let other = beside(&server, Database::Postgres, &[]);
    let said = other.refused();
    assert!(said.contains("carries no mark"), "{said}");
    // Those that share their tiers go on together.
    let shared = |name: &str| url(&server.data().join(name));
    let settings = [("JUSTSTORAGE_HOT_URL", shared("hot")), ("JUSTSTORAGE_COLD_URL", shared("cold"))];
    let mut third = beside(&server, Database::Postgres, &settings);
    third.resume().await;
    put_all(&third.native()).await;
    assert_eq!(lost(&server.native()).await, 0);
    println!("A1 identity, replicas: one with a volume of its own refused, one with shared tiers serves");
}

/// Says in the database that the starts which were noted just now were noted long ago, so that their notes must be in sight;
/// waits until there is one. Whether it could.
async fn age_notes(server: &Server) -> bool {
    const AGE: &str = "UPDATE incarnations SET noted_at = noted_at - 300000 \
                       WHERE noted_at > extract(epoch FROM now()) * 1000 - 200000";
    let age = || Command::new("psql").args(["-c", AGE]).arg(database_of(server)).output();
    let Ok(first) = age() else { return false };
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let some = |said: &[u8]| !String::from_utf8_lossy(said).contains("UPDATE 0");
    if !some(&first.stdout) {
        wait::until("a start is noted", Duration::from_secs(60), async || {
            some(&age().unwrap().stdout).then_some(())
        })
        .await;
    }
    true
}

async fn apart(server: &Server) -> String {
    let metrics =
        server.native().request(reqwest::Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let value = metrics.lines().find_map(|line| line.strip_prefix("activestorage_servers_apart "));
    value.expect("a gauge").to_owned()
}

/// Copies of the tiers, marks and all, beside the originals on one database: a copy of before the other server's start is
/// refused, a copy of after it is told by the servers that run. Servers that share the tiers are told from those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_the_tiers_are_noticed() {
    let mut server = Server::start(Database::Postgres).await;
    put_all(&server.native()).await;
    server.stop().await;
    let place = tempfile::tempdir().unwrap();
    let tiers_in = |name: &str| {
        let tier = |class: &str| url(&place.path().join(name).join(class));
        [("JUSTSTORAGE_HOT_URL", tier("hot")), ("JUSTSTORAGE_COLD_URL", tier("cold"))]
    };
    let copy_tiers = |server: &Server, name: &str| {
        std::fs::create_dir(place.path().join(name)).unwrap();
        for class in ["hot", "cold"] {
            copy(&server.data().join(class), &place.path().join(name).join(class));
        }
    };
    copy_tiers(&server, "before");
    server.resume().await;
    if !age_notes(&server).await {
        eprintln!("NOT TESTED: copies of tiers, since there is no psql");
        return;
    }
    let stale = beside(&server, Database::Postgres, &tiers_in("before"));
    let said = stale.refused();
    for named in ["is a copy", "JUSTSTORAGE_", server.data().to_str().unwrap()] {
        assert!(said.contains(named), "{named}: {said}");
    }
    let said = stale.unable(&["scrub"]);
    assert!(said.contains("is a copy"), "{said}");

    // With the same directories it serves, and logs no warning.
    let own = |class: &str| url(&server.data().join(class));
    let settings = [("JUSTSTORAGE_HOT_URL", own("hot")), ("JUSTSTORAGE_COLD_URL", own("cold"))];
    let mut third = beside(&server, Database::Postgres, &settings);
    third.resume().await;
    assert!(age_notes(&server).await);
    // Longer than the servers rest between two looks.
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!((apart(&server).await, apart(&third).await), ("0".to_owned(), "0".to_owned()));
    third.stop().await;

    // A copy that has the running server's note in it starts; that server says so.
    copy_tiers(&server, "after");
    let mut twin = beside(&server, Database::Postgres, &tiers_in("after"));
    twin.resume().await;
    assert!(age_notes(&server).await);
    wait::until("the copy is told", Duration::from_secs(60), async || {
        (apart(&server).await == "2").then_some(())
    })
    .await;
    assert_eq!(server.log().matches("a copy of it").count(), 2, "once for each tier: {}", server.log());
    twin.stop().await;
    wait::until("the copy is gone", Duration::from_secs(60), async || {
        (apart(&server).await == "0").then_some(())
    })
    .await;
    let lost = lost(&server.native()).await;
    println!(
        "A1 identity, copies of the tiers: one refused, one told by the running server; objects lost: {lost}"
    );
    assert_eq!(lost, 0);
}

/// A server whose place another one has taken ends by itself, with exit code 3. The other one is played by a statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_place_ends() {
    let place = tempfile::tempdir().unwrap();
    let data: PathBuf = place.path().join("data");
    let server =
        Server::start_with(Database::Postgres, Options { data: Some(data), ..Options::default() }).await;
    let native = server.native();
    native.put(NAMESPACE, "before", Bytes::from_static(b"acknowledged")).await;
    let taken = Command::new("psql")
        .args(["-qc", "UPDATE incarnations SET generation = generation + 1, token = gen_random_uuid()"])
        .args([
            "-qc",
            "UPDATE commit_counts c SET token = i.token FROM incarnations i WHERE i.writer = c.writer",
        ])
        .arg(database_of(&server))
        .status();
    let Ok(taken) = taken else {
        eprintln!("NOT TESTED: a server that lost its place, since there is no psql");
        return;
    };
    assert!(taken.success());
    // At once, long before it next says that it lives: neither what takes no bytes nor what does.
    assert_eq!(native.delete(NAMESPACE, "before").await, 503, "a delete after its place was taken");
    let small = native.post(NAMESPACE, "small").body("small").send().await.unwrap();
    assert_eq!(small.status(), 503, "a put after its place was taken");
    assert_same("before", &native.read(NAMESPACE, "before").await, b"acknowledged");
    let large = native.post(NAMESPACE, "large").body(Content::new(7, 2 << 20).bytes()).send().await;
    assert!(
        !large.is_ok_and(|answer| answer.status().is_success()),
        "acknowledged after its place was taken"
    );
    wait::until("the server ends", Duration::from_secs(60), async || {
        native.request(reqwest::Method::GET, "/health").send().await.is_err().then_some(())
    })
    .await;
    assert!(server.log().contains("has taken its place"), "{}", server.log());
    let said = server.refused();
    assert!(said.contains("is a copy"), "{said}");
    println!("A1 identity, a server that lost its place: acknowledged afterwards: 0");
}
