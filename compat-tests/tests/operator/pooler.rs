//! PgBouncer between the store and PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::pooler::{self, Pooler};
use juststorage_compat_tests::{Cluster, Content, Database, Options, Server, s3, skipped, wait};

const BUCKET: &str = "bucket";

const PATIENCE: Duration = Duration::from_secs(60);

/// Each transaction that changes an object or a segment notes, when it commits, what it commits with.
const NOTED: &str = "CREATE TABLE noted (synchronous_commit text, lock_timeout text, statement_timeout text, isolation text); \
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    INSERT INTO public.noted VALUES (current_setting('synchronous_commit'), current_setting('lock_timeout'), \
    current_setting('statement_timeout'), current_setting('transaction_isolation')); RETURN NULL; END $$; \
    CREATE CONSTRAINT TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON objects DEFERRABLE INITIALLY DEFERRED \
    FOR EACH ROW EXECUTE FUNCTION note(); \
    CREATE CONSTRAINT TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON segments DEFERRABLE INITIALLY DEFERRED \
    FOR EACH ROW EXECUTE FUNCTION note()";

/// A database whose role and server would have it otherwise in everything, behind PgBouncer. Its URL, and the one
/// through the pooler.
async fn behind(cluster: &Cluster, mode: &str, more: &str) -> (Pooler, String, String) {
    let url = cluster.create_database();
    let name = url.rsplit_once('/').unwrap().1;
    for (setting, value) in [
        ("synchronous_commit", "off"),
        ("lock_timeout", "0"),
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("default_transaction_isolation", "'repeatable read'"),
    ] {
        cluster.sql(&url, &format!("ALTER DATABASE {name} SET {setting} TO {value}"));
    }
    let pooler = Pooler::start(cluster.port(), mode, more).await;
    let through = pooler.through(&url);
    (pooler, url, through)
}

fn options(cluster: &Arc<Cluster>, through: &str, prepared: bool) -> Options {
    let mut settings = vec![("DATABASE_URL", through.to_owned())];
    if !prepared {
        settings.push(("JUSTSTORAGE_DATABASE_PREPARED", "false".to_owned()));
    }
    settings.push(("JUSTSTORAGE_DATABASE_CONNECTIONS", "12".to_owned()));
    Options { cluster: Some(cluster.clone()), settings, ..Options::terse() }
}

/// Serves, is written to on both fronts at once, killed, started again, and ends with nothing lost and nothing left.
async fn works(mode: &str, more: &str, prepared: bool) {
    let cluster = Arc::new(Cluster::start_new());
    let (pooler, url, through) = behind(&cluster, mode, more).await;
    let mut server = Server::start_with(Database::Postgres, options(&cluster, &through, prepared)).await;
    cluster.sql(&url, NOTED);
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let (mut known, mut round) = (BTreeMap::new(), 0);
    for _ in 0..2 {
        let (client, native) = (server.s3(), server.native());
        let writes = (0..40_u64).map(|number| {
            let (client, native) = (&client, &native);
            async move {
                let number = round * 1000 + number;
                let (key, content) = (
                    format!("{number:05}"),
                    Content::new(number, if number % 8 == 0 { (1 << 20) + 99 } else { 3000 }),
                );
                if number % 2 == 0 {
                    s3::put(client, BUCKET, &key, content.bytes()).await;
                } else {
                    native.put(BUCKET, &key, content.bytes()).await;
                }
                (key, content)
            }
        });
        known.extend(futures::future::join_all(writes).await);
        let deleted = format!("{:05}", round * 1000 + 1);
        assert_eq!(native.delete(BUCKET, &deleted).await, 204);
        known.remove(&deleted);
        round += 1;
        server.kill();
        server.resume().await;
    }
    let client = server.s3();
    assert_eq!(s3::keys(&client, BUCKET, "").await, known.keys().cloned().collect::<Vec<_>>());
    for (key, content) in &known {
        assert_same(key, &server.native().read(BUCKET, key).await, &content.bytes());
    }
    // What it promises holds wherever it is asked: other processes are let in beside it.
    server.assert_valid();
    s3::empty(&client, BUCKET).await;
    server.assert_nothing_left().await;

    let commits = cluster.sql(&url, "SELECT count(*) FROM noted");
    assert!(commits.parse::<u64>().unwrap() > 80, "{commits} changes noted");
    let noted = cluster.sql(&url, "SELECT DISTINCT * FROM noted");
    assert_eq!(noted, "on|10s|20s|read committed", "what transactions committed with");
    let left = cluster.sql(&url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
    assert_eq!(left, "0", "locks of a migration are left in the pooler's sessions");
    let unsupported = pooler.log().matches("unsupported startup parameter").count();
    assert_eq!(unsupported, 0, "{}", pooler.log());
    println!(
        "A6 pooler: {mode} mode ({}), prepared {prepared}: changes committed: {commits}, with other settings than ours: 0, \
         objects lost: 0 of {}",
        if more.is_empty() { "as it is" } else { more },
        known.len()
    );
}

/// The work-around that is found in every forum, and that drops settings in silence.
const IGNORES: &str = "ignore_startup_parameters = extra_float_digits,options";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_session_mode() {
    works("session", "", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_session_mode_that_ignores_options() {
    works("session", IGNORES, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_transaction_mode() {
    works("transaction", "", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_transaction_mode_that_ignores_options() {
    works("transaction", IGNORES, false).await;
}

/// PgBouncer 1.21 and newer keep the prepared statements of their clients apart where they are told to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_transaction_mode_with_prepared_statements() {
    let version @ (major, minor) = pooler::version();
    if version < (1, 21) {
        return skipped::note(
            "prepared statements behind PgBouncer in transaction mode",
            &format!("PgBouncer {major}.{minor} is older than 1.21; PGBOUNCER_PROGRAM names another one"),
        );
    }
    works("transaction", "max_prepared_statements = 256", true).await;
}

/// What cannot work is refused at the start, by name and with what to do: exit code 3, and nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_is_refused_by_name() {
    let cluster = Arc::new(Cluster::start_new());
    // On by default where it can be had.
    let apart = if pooler::version() < (1, 21) { "" } else { "max_prepared_statements = 0" };
    let refuses = async |mode: &str, prepared: bool, says: &[&str]| {
        let (_pooler, url, through) = behind(&cluster, mode, apart).await;
        let server = Server::prepare(Database::Postgres, options(&cluster, &through, prepared));
        for command in ["serve", "stats"] {
            let output = server.run(&[command]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(3), "{mode} {command}: {said}");
            assert!(says.iter().all(|word| said.contains(word)), "{mode} {command}: {said}");
        }
        let tables = cluster.sql(&url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'");
        assert_eq!(tables, "0", "{mode}: it was refused and went on");
    };
    refuses("statement", true, &["pool_mode"]).await;
    refuses("statement", false, &["pool_mode"]).await;
    // PgBouncer 1.21 and newer keep the names of prepared statements apart where they are told to; older ones cannot.
    refuses("transaction", true, &["JUSTSTORAGE_DATABASE_PREPARED=false"]).await;
    println!("A6 pooler: refused by name: statement mode, and prepared statements in transaction mode");
}

/// A pooler keeps its clients' connections when it goes over to another server. If that is a standby, nothing is answered
/// from what it shows: it may be a minute behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_goes_over_to_a_standby() {
    let cluster = Arc::new(Cluster::start_new());
    let (pooler, _, through) = behind(&cluster, "transaction", "").await;
    let standby = cluster.synchronous_standby();
    let server = Server::start_with(Database::Postgres, options(&cluster, &through, false)).await;
    let native = server.native();
    let (first, second) = (Content::new(1, 3000), Content::new(2, 3000));
    native.put(BUCKET, "first", first.bytes()).await;
    standby.sql(&standby.url("postgres"), "SELECT pg_wal_replay_pause()");
    native.put(BUCKET, "second", second.bytes()).await;

    pooler.point_at(standby.port());
    let status = async |key: &str| native.get(BUCKET, key).await.status().as_u16();
    wait::until("the standby is behind the pooler", PATIENCE, async || {
        (status("first").await == 503).then_some(())
    })
    .await;
    for _ in 0..20 {
        // What it does not have yet is not answered with 404.
        assert_eq!((status("second").await, status("first").await), (503, 503));
    }
    for command in [&["gc"][..], &["validate"], &["scrub"], &["stats"]] {
        let said = server.unable(command);
        assert!(said.contains("standby"), "{command:?}: {said}");
    }
    pooler.point_at(cluster.port());
    wait::until("the primary is back", PATIENCE, async || (status("second").await == 200).then_some(()))
        .await;
    assert_same("second", &native.read(BUCKET, "second").await, &second.bytes());
    standby.sql(&standby.url("postgres"), "SELECT pg_wal_replay_resume()");
    server.assert_valid();
    println!(
        "A6 pooler: behind one that goes over to a standby: answers from it: 0 of 40 reads and 4 commands"
    );
}
