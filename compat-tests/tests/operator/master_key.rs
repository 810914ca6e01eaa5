//! A master key that is wrong or lost.

use juststorage_compat_tests::{Database, Options, Server, on_both_databases, s3};

on_both_databases!(a_wrong_master_key_is_refused, a_lost_master_key_is_given_up_on_demand);

/// Not the one that the harness gives.
const OTHER: &str = "7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b";

/// A key, as `key create` prints it.
struct Made {
    id: String,
    access_key: String,
    secret_key: String,
}

fn create(server: &Server) -> Made {
    let printed = server.run_ok(&["key", "create", "--kind", "s3", "--tenant", "default", "--json"]);
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let field = |name: &str| printed[name].as_str().unwrap().to_owned();
    Made { id: field("id"), access_key: field("access_key"), secret_key: field("secret_key") }
}

async fn opens(server: &Server, key: &Made) -> bool {
    let client = s3::client(server.s3_url(), &key.access_key, &key.secret_key);
    client.list_buckets().send().await.is_ok()
}

/// The same store with another master key: the setting, or the file.
fn with_other_key(server: &Server, database: Database) -> Server {
    let mut settings = vec![("JUSTSTORAGE_MASTER_KEY", OTHER.to_owned())];
    if database == Database::Postgres {
        settings.push(("DATABASE_URL", server.database_url().unwrap().to_owned()));
    }
    let data = Some(server.data().to_owned());
    Server::prepare(database, Options { data, settings, ..Options::default() })
}

/// Refused by name, whether the database holds keys or not; and none is made in its place.
async fn a_wrong_master_key_is_refused(database: Database) {
    let mut server = Server::start(database).await;
    server.stop().await;
    let wrong = with_other_key(&server, database);
    let said = wrong.refused();
    assert!(said.contains("JUSTSTORAGE_MASTER_KEY is not the master key"), "{said}");
    let made = create(&server);
    for command in [&["key", "create", "--kind", "s3", "--tenant", "t"][..], &["key", "rotate-master"]] {
        let said = wrong.unable(command);
        assert!(said.contains("is not the master key"), "{said}");
    }
    wrong.run_ok(&["key", "list"]);

    if database == Database::Sqlite {
        let (file, away) = (server.data().join("master.key"), server.data().join("away"));
        std::fs::rename(&file, &away).unwrap();
        for said in [server.refused(), server.unable(&["key", "rotate-master"])] {
            assert!(said.contains("master.key is missing"), "{said}");
        }
        assert!(!file.exists(), "a key was made where secrets are sealed");
        std::fs::write(&file, OTHER).unwrap();
        let said = server.refused();
        assert!(said.contains("master.key is not the master key"), "{said}");
        server.unable(&["key", "rotate-master"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), OTHER, "it was replaced");
        std::fs::rename(&away, &file).unwrap();
    }
    server.resume().await;
    let open = usize::from(opens(&server, &made).await);
    println!("A4 master key, a wrong one: keys lost: {}", 1 - open);
    assert_eq!(open, 1);

    // Replaced rightly, the constant follows.
    if database == Database::Sqlite {
        server.stop().await;
        server.run_ok(&["key", "rotate-master"]);
        server.resume().await;
        assert!(opens(&server, &made).await);
    }
}

/// What its keys sealed is revoked when that is asked for, and the store goes on.
async fn a_lost_master_key_is_given_up_on_demand(database: Database) {
    let mut server = Server::start(database).await;
    let lost = create(&server);
    assert!(opens(&server, &lost).await);
    server.stop().await;
    let mut other = (database == Database::Postgres).then(|| with_other_key(&server, database));
    if database == Database::Sqlite {
        std::fs::remove_file(server.data().join("master.key")).unwrap();
    }
    let server = other.as_mut().unwrap_or(&mut server);
    server.refused();
    let printed = server.run_ok(&["key", "rotate-master", "--revoke-lost", "--json"]);
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["lost"], serde_json::json!([lost.id]));
    server.resume().await;
    assert!(!opens(server, &lost).await, "a revoked key opens");
    let made = create(server);
    assert!(opens(server, &made).await);
    println!("A4 master key, a lost one: keys revoked: 1, the store goes on");
}
