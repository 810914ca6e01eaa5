//! S3 stores other than the server under test: another server of ours, and the programs of others.
//!
//! `weed` (`SeaweedFS`) is installed by `scripts/prepare clients`. The others are used where they are on the `PATH`: `minio` and
//! `versitygw` (`go install`), `moto_server` (`pip install moto[server]`).

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use crate::{Database, Options, Server, s3, skipped, tools, wait};

/// Longest start, on a busy machine.
const START_MAX: Duration = Duration::from_secs(120);

/// The bucket in which it is tried whether a store takes objects.
const READY: &str = "is-ready";

/// A running store with one empty bucket. It ends with this value.
pub struct OtherStore {
    /// What it is.
    pub name: &'static str,
    /// Its URL, the same for every start.
    pub endpoint: String,
    /// A client with all rights.
    pub client: Client,
    /// Its root credential and its bucket.
    pub setup: Setup,
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

/// The stores that can be started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This program.
    Ours,
    /// `SeaweedFS`, all its parts in one process.
    Seaweedfs,
    /// `MinIO` on one directory.
    Minio,
    /// `versitygw` over plain files.
    Versitygw,
    /// `moto`, which keeps everything in memory.
    Moto,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Ours, Self::Seaweedfs, Self::Minio, Self::Versitygw, Self::Moto];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "our own gateway",
            Self::Seaweedfs => "SeaweedFS",
            Self::Minio => "MinIO",
            Self::Versitygw => "versitygw",
            Self::Moto => "moto",
        }
    }
}

enum Process {
    Ours(Box<Server>),
    Other(Box<Program>),
}

/// A program, and how it is started.
struct Program {
    command: Command,
    child: Option<Child>,
    #[allow(dead_code, reason = "is removed with the store")]
    directory: TempDir,
}

impl Program {
    fn begin(mut command: Command, directory: TempDir) -> Self {
        command.env("PATH", tools::path()).current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut program = Self { command, child: None, directory };
        program.resume();
        program
    }

    fn resume(&mut self) {
        assert!(self.child.is_none(), "the other store is running");
        self.child = Some(self.command.spawn().expect("the other store starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

impl OtherStore {
    /// A store of this kind; `None` where tests go on without it. `what` is what is skipped then.
    pub async fn start(kind: Kind, what: &str, setup: Setup) -> Option<Self> {
        Some(match kind {
            Kind::Ours => Self::gateway(setup).await,
            Kind::Seaweedfs => return Self::seaweedfs(what, setup).await,
            Kind::Minio => {
                let (mut command, directory) = there("minio", what)?;
                let (port, console) = (free_port(), free_port());
                command.args(["server", "data", "--quiet", "--address"]).arg(format!("127.0.0.1:{port}"));
                command.args(["--console-address", &format!("127.0.0.1:{console}")]);
                command.env("MINIO_ROOT_USER", setup.access_key).env("MINIO_ROOT_PASSWORD", setup.secret_key);
                command.env("MINIO_UPDATE", "off").env("HOME", directory.path());
                Self::of(kind, port, Program::begin(command, directory), setup).await
            }
            Kind::Versitygw => {
                let (mut command, directory) = there("versitygw", what)?;
                std::fs::create_dir(directory.path().join("data")).unwrap();
                let port = free_port();
                command.args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "--keep-alive", "--access"]);
                command.args([setup.access_key, "--secret", setup.secret_key, "posix", "data"]);
                Self::of(kind, port, Program::begin(command, directory), setup).await
            }
            Kind::Moto => {
                let (mut command, directory) = there("moto_server", what)?;
                let port = free_port();
                command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
                Self::of(kind, port, Program::begin(command, directory), setup).await
            }
        })
    }

    /// This program.
    pub async fn gateway(setup: Setup) -> Self {
        let settings = vec![
            ("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", setup.access_key.to_owned()),
            ("JUSTSTORAGE_S3_ROOT_SECRET_KEY", setup.secret_key.to_owned()),
            // The same after a restart.
            ("JUSTSTORAGE_S3_ADDR", format!("127.0.0.1:{}", free_port())),
        ];
        let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
        let endpoint = server.s3_url().to_owned();
        Self::ready(Kind::Ours, endpoint, Process::Ours(Box::new(server)), setup).await
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
        command.arg("server").args([
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
        Some(Self::of(Kind::Seaweedfs, port, Program::begin(command, directory), setup).await)
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

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        match &mut self.process {
            Process::Ours(server) => server.kill(),
            Process::Other(program) => program.kill(),
        }
    }

    /// Starts it again where it was, over what it left.
    pub async fn resume(&mut self) {
        match &mut self.process {
            Process::Ours(server) => server.resume().await,
            Process::Other(program) => program.resume(),
        }
        is_ready(&self.client).await;
    }

    async fn of(kind: Kind, port: u16, program: Program, setup: Setup) -> Self {
        Self::ready(kind, format!("http://127.0.0.1:{port}"), Process::Other(Box::new(program)), setup).await
    }

    async fn ready(kind: Kind, endpoint: String, process: Process, setup: Setup) -> Self {
        let client = s3::client(&endpoint, setup.access_key, setup.secret_key);
        is_ready(&client).await;
        client.create_bucket().bucket(setup.bucket).send().await.expect("a bucket");
        Self { name: kind.name(), endpoint, client, setup, process }
    }
}

/// A command of a program that nothing here installs, and a directory for it; `None` if it is not on the `PATH`, which is noted.
fn there(program: &str, what: &str) -> Option<(Command, TempDir)> {
    let path =
        std::env::split_paths(&tools::path()).map(|place| place.join(program)).find(|path| path.exists());
    let Some(path) = path else {
        skipped::note(what, &format!("{program} is not on the PATH, and nothing here installs it"));
        return None;
    };
    let directory = tempfile::Builder::new().prefix("juststorage-peer-").tempdir().unwrap();
    Some((Command::new(path), directory))
}

/// Waits until a store takes a bucket and an object; not the bucket that a test looks at.
async fn is_ready(client: &Client) {
    wait::until("the other store takes a bucket and an object", START_MAX, async || {
        let _ = client.create_bucket().bucket(READY).send().await;
        let put = client.put_object().bucket(READY).key("ready").body(ByteStream::from_static(b"x"));
        put.send().await.is_ok().then_some(())
    })
    .await;
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
