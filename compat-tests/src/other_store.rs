//! S3 stores other than the server under test: another server of ours, and `SeaweedFS` (`weed`, which `scripts/prepare
//! clients` installs).

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use crate::{Database, Options, Server, s3, tools, wait};

/// Longest start, on a busy machine.
const START_MAX: Duration = Duration::from_secs(120);

/// A running store with one empty bucket. It ends with this value.
pub struct OtherStore {
    /// Its URL.
    pub endpoint: String,
    /// A client with all rights.
    pub client: Client,
    process: Process,
}

/// The root credential of a store, and its bucket.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The access key.
    pub access_key: &'static str,
    /// The secret key.
    pub secret_key: &'static str,
    /// The bucket.
    pub bucket: &'static str,
}

enum Process {
    Ours(Box<Server>),
    Other(Child, #[allow(dead_code, reason = "is removed with the store")] TempDir),
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Other(child, _) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl OtherStore {
    /// This program.
    pub async fn gateway(setup: Setup) -> Self {
        let settings = vec![
            ("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", setup.access_key.to_owned()),
            ("JUSTSTORAGE_S3_ROOT_SECRET_KEY", setup.secret_key.to_owned()),
        ];
        let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
        let endpoint = server.s3_url().to_owned();
        Self::ready(endpoint, Process::Ours(Box::new(server)), setup).await
    }

    /// `SeaweedFS`, all its parts in one process; `None` where tests go on without it. `what` is what is skipped then.
    pub async fn seaweedfs(what: &str, setup: Setup) -> Option<Self> {
        if !tools::are_there(what, &["weed"]) {
            return None;
        }
        let directory = tempfile::Builder::new().prefix("juststorage-weed-").tempdir().unwrap();
        let identity = serde_json::json!({"identities": [{
            "name": "root",
            "credentials": [{"accessKey": setup.access_key, "secretKey": setup.secret_key}],
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
            // Their ports are fixed unless they are off: of two servers on one machine the second would end.
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]);
        command.arg(format!("-s3.port={port}"));
        for part in ["master", "volume", "filer"] {
            command.arg(format!("-{part}.port={}", free_port()));
        }
        command.arg(format!("-s3.port.grpc={}", free_port()));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("weed starts");
        let process = Process::Other(child, directory);
        Some(Self::ready(format!("http://127.0.0.1:{port}"), process, setup).await)
    }

    /// The output of a command beside the store, which is this program.
    ///
    /// # Panics
    ///
    /// If the store is another program, or the command fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        let Process::Ours(server) = &self.process else { panic!("the store is another program") };
        server.run_ok(arguments)
    }

    /// Waits until it takes a bucket and an object.
    async fn ready(endpoint: String, process: Process, setup: Setup) -> Self {
        let client = s3::client(&endpoint, setup.access_key, setup.secret_key);
        let bucket = setup.bucket;
        wait::until("the other store takes a bucket and an object", START_MAX, async || {
            let made = client.create_bucket().bucket(bucket).send().await;
            let there = made.is_ok() || client.head_bucket().bucket(bucket).send().await.is_ok();
            let put = client.put_object().bucket(bucket).key("ready").body(ByteStream::from_static(b"x"));
            (there && put.send().await.is_ok()).then_some(())
        })
        .await;
        client.delete_object().bucket(bucket).key("ready").send().await.unwrap();
        Self { endpoint, client, process }
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
