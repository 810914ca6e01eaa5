//! Tiers that cannot be what the settings say: exit code 3 with the object store's own message.

use juststorage_compat_tests::{Database, Options, Server};

use super::peer::Peer;

fn prepare(settings: Vec<(&'static str, String)>) -> Server {
    Server::prepare(Database::Sqlite, Options { settings, ..Options::terse() })
}

/// The peer's settings, one of them replaced.
fn but(peer: &Peer, setting: &str, value: &str) -> Vec<(&'static str, String)> {
    let mut settings = peer.settings("cold");
    for (name, held) in &mut settings {
        if *name == setting {
            value.clone_into(held);
        }
    }
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bucket_credentials_or_endpoint() {
    let peer = Peer::gateway().await;
    // The setting to check is named, and no other.
    let names = ["COLD_URL)", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY)", "AWS_ENDPOINT)"];
    for (setting, value, said) in [
        ("JUSTSTORAGE_COLD_URL", "s3://no-such-bucket/cold", "NoSuchBucket"),
        ("JUSTSTORAGE_COLD_AWS_ACCESS_KEY_ID", "nobodys", "InvalidAccessKeyId"),
        ("JUSTSTORAGE_COLD_AWS_SECRET_ACCESS_KEY", "not-the-secret-of-it", "SignatureDoesNotMatch"),
        ("JUSTSTORAGE_COLD_AWS_ENDPOINT", "http://127.0.0.1:1", "onnect"),
    ] {
        let credentials = |name: &str| name.contains("_ACCESS_KEY");
        let server = prepare(but(&peer, setting, value));
        let refused = server.refused();
        assert!(refused.contains(said) && refused.contains("cold tier"), "{setting}: {refused}");
        assert!(!refused.contains("not-the-secret-of-it"), "{refused}");
        for name in names {
            let named =
                setting.ends_with(name.trim_end_matches(')')) || credentials(setting) && credentials(name);
            assert_eq!(refused.contains(name), named, "{setting}, {name}: {refused}");
        }
    }
    assert_eq!(peer.keys("cold").await, [] as [String; 0], "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tier_of_another_store() {
    let peer = Peer::gateway().await;
    let mut one =
        Server::start_with(Database::Sqlite, Options { settings: peer.settings("cold"), ..Options::terse() })
            .await;
    one.stop().await;
    let without_database = prepare(peer.settings("cold")).refused();
    assert!(
        without_database.contains("no database") && without_database.contains("s3://tiers/cold"),
        "{without_database}"
    );
    let mut own = Server::start_with(Database::Sqlite, Options::terse()).await;
    own.stop().await;
    let data = Some(own.data().to_owned());
    let settings = peer.settings("cold");
    let refused = Server::prepare(Database::Sqlite, Options { settings, data, ..Options::terse() }).refused();
    for named in ["s3://tiers/cold", "store ", "JUSTSTORAGE_COLD_URL"] {
        assert!(refused.contains(named), "{named}: {refused}");
    }
    // And one that has lost its mark is not taken for a new one.
    peer.remove("cold/juststorage-tier.json").await;
    let refused = one.refused();
    assert!(refused.contains("s3://tiers/cold/juststorage-tier.json"), "{refused}");
}
