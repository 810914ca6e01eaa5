//! Replicas: several processes over one PostgreSQL and tiers in an object store, with an empty data directory at each start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod oracle;
#[path = "../remote_tier/peer.rs"]
#[allow(dead_code, reason = "the other tests of remote tiers use the rest")]
mod peer;
mod rolling;
mod shared;
mod sudden;

use juststorage_compat_tests::{Database, Options, Server};
use reqwest::Method;
use serde_json::Value;

use peer::Peer;

const BUCKET: &str = "bucket";

/// Two servers of one store. The first makes it.
async fn pair(peer: &Peer, more: &[(&'static str, String)]) -> [Server; 2] {
    let tier = |tier: &str| {
        let options = peer.options().map(|(name, value)| (format!("JUSTSTORAGE_{tier}_{name}"), value));
        let url = (format!("JUSTSTORAGE_{tier}_URL"), Peer::url(&tier.to_lowercase()));
        options.into_iter().chain([url])
    };
    let tiers = tier("HOT").chain(tier("COLD"));
    // Settings live as long as the test does.
    let mut settings: Vec<(&'static str, String)> =
        tiers.map(|(name, value)| (&*Box::leak(name.into_boxed_str()), value)).collect();
    settings.extend(more.iter().cloned());
    pair_on(settings).await
}

/// As [`pair`], with tiers wherever `settings` say.
async fn pair_on(mut settings: Vec<(&'static str, String)>) -> [Server; 2] {
    let one = Server::prepare(Database::Postgres, Options { settings: settings.clone(), ..Options::terse() });
    settings.push(("DATABASE_URL", one.database_url().unwrap().to_owned()));
    let two = Server::prepare(Database::Postgres, Options { settings, ..Options::terse() });
    let mut pair = [one, two];
    for server in &mut pair {
        start(server).await;
    }
    pair[0].s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    pair
}

/// Starts a server on a machine that never saw the store.
async fn start(server: &mut Server) {
    let _ = std::fs::remove_dir_all(server.data());
    server.resume().await;
}

/// The states of the servers as `server` knows them, or why it does not say.
async fn states(server: &Server) -> Vec<String> {
    let answer = server.native().request(Method::GET, "/v1/admin/replicas").send().await;
    let Ok(answer) = answer else { return Vec::new() };
    let body: Value = answer.json().await.unwrap_or_default();
    let all = body["replicas"].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| one["state"].as_str().unwrap_or_default().to_owned()).collect()
}
