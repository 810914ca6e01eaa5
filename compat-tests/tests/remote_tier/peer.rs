//! Object stores to put a tier into.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::Client;
use juststorage_compat_tests::{Database, Options, Server, s3, tools, wait};
use tempfile::TempDir;

/// The bucket of every tier.
pub(super) const BUCKET: &str = "tiers";

const ACCESS_KEY: &str = "peersaccess";
const SECRET_KEY: &str = "a-secret-that-no-log-may-show";

/// Longest start of a peer, on a busy machine.
const START_MAX: Duration = Duration::from_secs(120);

/// A running object store with an empty bucket.
pub(super) struct Peer {
    endpoint: String,
    client: Client,
    _process: Process,
}

enum Process {
    Ours(#[allow(dead_code, reason = "ends with the peer")] Box<Server>),
    Other(Child, #[allow(dead_code, reason = "is removed with the peer")] TempDir),
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Other(child, _) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Peer {
    /// This program.
    pub(super) async fn gateway() -> Self {
        let settings = vec![
            ("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("JUSTSTORAGE_S3_ROOT_SECRET_KEY", SECRET_KEY.to_owned()),
        ];
        let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
        let endpoint = server.s3_url().to_owned();
        Self::ready(endpoint, Process::Ours(Box::new(server))).await
    }

    /// `SeaweedFS`, all its parts in one process; `None` where tests go on without it.
    pub(super) async fn seaweedfs() -> Option<Self> {
        if !tools::are_there("a tier in SeaweedFS", &["weed"]) {
            return None;
        }
        let directory = tempfile::Builder::new().prefix("juststorage-peer-").tempdir().unwrap();
        let identity = serde_json::json!({"identities": [{
            "name": "tier",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        std::fs::write(directory.path().join("s3.json"), identity.to_string()).unwrap();
        let port = free_port();
        let mut command = Command::new("weed");
        command.env("PATH", tools::path()).current_dir(directory.path()).arg("server").args([
            "-dir=.",
            "-ip=127.0.0.1",
            "-s3",
            "-s3.config=s3.json",
            "-volume.max=20",
            "-master.volumeSizeLimitMB=256",
        ]);
        command.arg(format!("-s3.port={port}"));
        for part in ["master", "volume", "filer"] {
            command.arg(format!("-{part}.port={}", free_port()));
        }
        command.arg(format!("-s3.port.grpc={}", free_port()));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("weed starts");
        Some(Self::ready(format!("http://127.0.0.1:{port}"), Process::Other(child, directory)).await)
    }

    /// Waits until it takes a bucket.
    async fn ready(endpoint: String, process: Process) -> Self {
        let client = s3::client(&endpoint, ACCESS_KEY, SECRET_KEY);
        wait::until("the peer takes a bucket and an object", START_MAX, async || {
            let made = client.create_bucket().bucket(BUCKET).send().await;
            let there = made.is_ok() || client.head_bucket().bucket(BUCKET).send().await.is_ok();
            let body = aws_sdk_s3::primitives::ByteStream::from_static(b"x");
            let put =
                async || client.put_object().bucket(BUCKET).key("ready").body(body).send().await.is_ok();
            (there && put().await).then_some(())
        })
        .await;
        Self { endpoint, client, _process: process }
    }

    /// The URL of a tier there.
    pub(super) fn url(prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// The options of the tier's client.
    pub(super) fn options(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ENDPOINT", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// The settings of a server whose cold tier is there.
    pub(super) fn settings(&self, prefix: &str) -> Vec<(&'static str, String)> {
        vec![
            ("JUSTSTORAGE_COLD_URL", Self::url(prefix)),
            ("JUSTSTORAGE_COLD_AWS_ENDPOINT", self.endpoint.clone()),
            ("JUSTSTORAGE_COLD_AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("JUSTSTORAGE_COLD_AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }

    /// The keys of all objects under a prefix.
    pub(super) async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut pages = self.client.list_objects_v2().bucket(BUCKET).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
        }
        keys
    }

    /// How many uploads in parts are open.
    pub(super) async fn uploads(&self) -> usize {
        let answer = self.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
        answer.uploads().len()
    }

    /// Removes an object.
    pub(super) async fn remove(&self, key: &str) {
        self.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
}

/// A port that was free, and of which the one 10,000 above is one too: `SeaweedFS` takes both.
fn free_port() -> u16 {
    loop {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        if port < 50_000 && std::net::TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}
