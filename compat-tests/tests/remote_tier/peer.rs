//! Object stores to put a tier into.

use juststorage_compat_tests::other_store::{OtherStore, Setup};

/// The bucket of every tier.
pub(super) const BUCKET: &str = "tiers";

const ACCESS_KEY: &str = "peersaccess";
const SECRET_KEY: &str = "a-secret-that-no-log-may-show";

const SETUP: Setup = Setup { access_key: ACCESS_KEY, secret_key: SECRET_KEY, bucket: BUCKET };

/// A running object store with an empty bucket.
pub(super) struct Peer(OtherStore);

impl Peer {
    /// This program.
    pub(super) async fn gateway() -> Self {
        Self(OtherStore::gateway(SETUP).await)
    }

    /// `SeaweedFS`; `None` where tests go on without it.
    pub(super) async fn seaweedfs() -> Option<Self> {
        OtherStore::seaweedfs("a tier in SeaweedFS", SETUP).await.map(Self)
    }

    /// What a command says of the peer, which is this program.
    pub(super) fn run(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.0.run(arguments)).unwrap_or_default()
    }

    /// The URL of a tier there.
    pub(super) fn url(prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// The options of the tier's client.
    pub(super) fn options(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ENDPOINT", self.0.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// The settings of a server whose cold tier is there.
    pub(super) fn settings(&self, prefix: &str) -> Vec<(&'static str, String)> {
        vec![
            ("JUSTSTORAGE_COLD_URL", Self::url(prefix)),
            ("JUSTSTORAGE_COLD_AWS_ENDPOINT", self.0.endpoint.clone()),
            ("JUSTSTORAGE_COLD_AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("JUSTSTORAGE_COLD_AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// The keys of all objects under a prefix.
    pub(super) async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut pages = self.0.client.list_objects_v2().bucket(BUCKET).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
        }
        keys
    }

    /// How many uploads in parts are open.
    pub(super) async fn uploads(&self) -> usize {
        let answer = self.0.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
        answer.uploads().len()
    }

    /// Removes an object.
    pub(super) async fn remove(&self, key: &str) {
        self.0.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
}
