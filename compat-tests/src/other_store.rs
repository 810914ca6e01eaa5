//! S3 stores other than the server under test: another server of ours, and the programs of others.
//!
//! `weed` (`SeaweedFS`) is installed by `scripts/prepare clients`. The others are used where they are on the `PATH`: `minio` and
//! `versitygw` (`go install`), `garage` (`cargo install`), `moto_server` (`pip install moto[server]`).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use crate::{Database, Options, Server, ports, s3, skipped, tools, wait};

/// Longest start, on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// Longest wait for two answers of a store that starts.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// How often a program is started, if it does not serve.
const STARTS_MAX: usize = 3;

/// An access key in Garage's form, and its secret key.
const GARAGE_KEY: &str = "GK0123456789abcdef01234567";
const GARAGE_SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// So much of a program's output is shown, in bytes.
const LAST_WORDS: u64 = 4096;

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
    /// Garage on one node.
    Garage,
    /// `moto`, which keeps everything in memory.
    Moto,
}

impl Kind {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "our own gateway",
            Self::Seaweedfs => "SeaweedFS",
            Self::Minio => "MinIO",
            Self::Versitygw => "versitygw",
            Self::Garage => "Garage",
            Self::Moto => "moto",
        }
    }
}

enum Process {
    Ours(Box<Server>),
    Other(Box<Program>),
}

/// A program of others, and how it is started.
struct Program {
    command: Command,
    child: Option<Child>,
    /// What it writes to its standard output and error.
    output: File,
    #[allow(dead_code, reason = "is removed with the store")]
    directory: TempDir,
}

impl Program {
    fn begin(mut command: Command, directory: TempDir) -> Self {
        let output = tempfile::tempfile().unwrap();
        command.env("PATH", tools::path()).current_dir(directory.path()).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap());
        let mut program = Self { command, child: None, output, directory };
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

    /// Its status, if it ended by itself.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().unwrap())
    }

    /// The end of its output.
    fn last_words(&self) -> String {
        let length = self.output.metadata().unwrap().len();
        let mut last = vec![0; usize::try_from(length.min(LAST_WORDS)).unwrap()];
        self.output.read_exact_at(&mut last, length.saturating_sub(LAST_WORDS)).unwrap();
        String::from_utf8_lossy(&last).into_owned()
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
                let program = there("minio", what)?;
                Self::of(kind, setup, |port, directory| {
                    let mut command = Command::new(&program);
                    command.args(["server", "data", "--quiet", "--address"]).arg(format!("127.0.0.1:{port}"));
                    command.args(["--console-address", &format!("127.0.0.1:{}", ports::free())]);
                    command.env("MINIO_ROOT_USER", setup.access_key);
                    command.env("MINIO_ROOT_PASSWORD", setup.secret_key);
                    command.env("MINIO_UPDATE", "off").env("HOME", directory);
                    command
                })
                .await
            }
            Kind::Versitygw => {
                let program = there("versitygw", what)?;
                Self::of(kind, setup, |port, directory| {
                    std::fs::create_dir(directory.join("data")).unwrap();
                    let mut command = Command::new(&program);
                    command.args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "--keep-alive"]);
                    command.args(["--access", setup.access_key, "--secret", setup.secret_key]);
                    command.args(["posix", "data"]);
                    command
                })
                .await
            }
            Kind::Garage => {
                let program = there("garage", what)?;
                // It takes keys of its own form alone.
                let setup = Setup { access_key: GARAGE_KEY, secret_key: GARAGE_SECRET, ..setup };
                Self::of(kind, setup, |port, directory| {
                    let rpc = format!("127.0.0.1:{}", ports::free());
                    let configuration = format!(
                        "metadata_dir = \"meta\"\ndata_dir = \"data\"\ndb_engine = \"lmdb\"\nreplication_factor = 1\n\
                         rpc_bind_addr = \"{rpc}\"\nrpc_public_addr = \"{rpc}\"\nrpc_secret = \"{GARAGE_SECRET}\"\n\
                         [s3_api]\ns3_region = \"us-east-1\"\napi_bind_addr = \"127.0.0.1:{port}\"\n"
                    );
                    std::fs::write(directory.join("garage.toml"), configuration).unwrap();
                    let mut command = Command::new(&program);
                    command.args(["-c", "garage.toml", "server", "--single-node", "--default-access-key"]);
                    command.env("GARAGE_DEFAULT_ACCESS_KEY", setup.access_key);
                    command.env("GARAGE_DEFAULT_SECRET_KEY", setup.secret_key);
                    command
                })
                .await
            }
            Kind::Moto => {
                let program = there("moto_server", what)?;
                Self::of(kind, setup, |port, _| {
                    let mut command = Command::new(&program);
                    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
                    command
                })
                .await
            }
        })
    }

    /// This program.
    pub async fn gateway(setup: Setup) -> Self {
        let settings = vec![
            ("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", setup.access_key.to_owned()),
            ("JUSTSTORAGE_S3_ROOT_SECRET_KEY", setup.secret_key.to_owned()),
            // The same after a restart.
            ("JUSTSTORAGE_S3_ADDR", format!("127.0.0.1:{}", ports::free())),
        ];
        let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
        let endpoint = server.s3_url().to_owned();
        let process = Process::Ours(Box::new(server));
        Self::ready(Kind::Ours, endpoint, process, setup).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// `SeaweedFS`, all its parts in one process; `None` where tests go on without it. `what` is what is skipped then.
    pub async fn seaweedfs(what: &str, setup: Setup) -> Option<Self> {
        if !tools::are_there(what, &["weed"]) {
            return None;
        }
        let store = Self::of(Kind::Seaweedfs, setup, |port, directory| {
            let identity = serde_json::json!({"identities": [{
                "name": "root",
                "credentials": [{"accessKey": setup.access_key, "secretKey": setup.secret_key}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }]});
            std::fs::write(directory.join("s3.json"), identity.to_string()).unwrap();
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
                command.arg(format!("-{part}.port={}", ports::free()));
            }
            command.arg(format!("-s3.port.grpc={}", ports::free()));
            command
        });
        Some(store.await)
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
        is_ready(&self.client, &mut self.process).await.unwrap_or_else(|why| panic!("{why}"));
    }

    /// A program of others, by the command that is made for its port and its directory. One that does not serve is started anew with
    /// another port: what was free may have been taken since.
    async fn of(kind: Kind, setup: Setup, command: impl Fn(u16, &Path) -> Command) -> Self {
        let mut refused = Vec::new();
        while refused.len() < STARTS_MAX {
            let directory = tempfile::Builder::new().prefix("juststorage-peer-").tempdir().unwrap();
            let port = ports::free();
            let program = Program::begin(command(port, directory.path()), directory);
            let process = Process::Other(Box::new(program));
            match Self::ready(kind, format!("http://127.0.0.1:{port}"), process, setup).await {
                Ok(store) => return store,
                Err(why) => refused.push(why),
            }
        }
        panic!("{} does not serve:\n{}", kind.name(), refused.join("\n"));
    }

    async fn ready(kind: Kind, endpoint: String, mut process: Process, setup: Setup) -> Result<Self, String> {
        let client = s3::client(&endpoint, setup.access_key, setup.secret_key);
        is_ready(&client, &mut process).await?;
        client.create_bucket().bucket(setup.bucket).send().await.expect("a bucket");
        Ok(Self { name: kind.name(), endpoint, client, setup, process })
    }
}

/// The path of a program that nothing here installs; `None` if it is not on the `PATH`, which is noted.
fn there(program: &str, what: &str) -> Option<PathBuf> {
    let path =
        std::env::split_paths(&tools::path()).map(|place| place.join(program)).find(|path| path.exists());
    if path.is_none() {
        skipped::note(what, &format!("{program} is not on the PATH, and nothing here installs it"));
    }
    path
}

/// Waits until a store takes a bucket and an object; not the bucket that a test looks at. Says why, with the store's last words, if it
/// ends instead or is not ready in time.
async fn is_ready(client: &Client, process: &mut Process) -> Result<(), String> {
    let ready = wait::within(START_MAX, async || {
        if let Process::Other(program) = &mut *process
            && let Some(status) = program.ended()
        {
            return Some(Err(format!("it ended with {status}")));
        }
        let taken = async {
            let _ = client.create_bucket().bucket(READY).send().await;
            let put = client.put_object().bucket(READY).key("ready");
            put.body(ByteStream::from_static(b"x")).send().await.is_ok()
        };
        tokio::time::timeout(ANSWER_MAX, taken).await.unwrap_or(false).then_some(Ok(()))
    });
    let why = match ready.await {
        Some(Ok(())) => return Ok(()),
        Some(Err(why)) => why,
        None => format!("it takes no object within {START_MAX:?}"),
    };
    let words = match process {
        Process::Other(program) => program.last_words(),
        Process::Ours(_) => String::new(),
    };
    Err(format!("{why}\n{words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_ends_is_not_waited_for_and_its_last_words_are_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo the port is taken >&2; exit 3"]);
        let program = Program::begin(command, tempfile::tempdir().unwrap());
        let client = s3::client(&format!("http://127.0.0.1:{}", ports::free()), "key", "secret");
        let why = is_ready(&client, &mut Process::Other(Box::new(program))).await.unwrap_err();
        assert!(why.contains("exit status: 3") && why.contains("the port is taken"), "{why}");
    }
}
