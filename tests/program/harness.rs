//! Starts the program in a directory of its own and takes everything away again, after a failure too.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use juststorage_core::testing::secrets::{EVERYTHING, no_kind_shows, none_shows};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A guard, so that a test which waits in vain ends. It says nothing about how fast something should be.
const HANGS: Duration = Duration::from_secs(60);

/// Asks until `condition` holds; `what` is said if it never does.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(HANGS, asked).await.unwrap_or_else(|_| panic!("it hangs: {what}"));
}

/// As [`until`], on a thread of its own.
pub(crate) fn blocking_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANGS, "it hangs: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A directory with a store in it. When it goes, no secret that a command printed may show in the server's log, nor
/// any signature or token that a client sent.
pub(crate) struct Place {
    directory: TempDir,
    secrets: RefCell<Vec<String>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = text(&std::fs::read(self.file("server.log")).unwrap_or_default());
        no_kind_shows(&log, "the server's log");
        for secret in self.secrets.take() {
            none_shows(&log, "the server's log", &secret);
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), secrets: RefCell::default() }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A file beside it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program on this store, with nothing of this test's own environment.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.current_dir(self.directory.path()).env("JUSTSTORAGE_DATA_DIR", self.data());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, with `--json`; what it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        for secret in ["token", "secret_key"].iter().filter_map(|field| printed[field].as_str()) {
            none_shows(&text(&output.stderr), "a command's log", secret);
            self.secrets.borrow_mut().push(secret.to_owned());
        }
        printed
    }

    /// Starts a server on free ports.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.start(self.program(arguments))
    }

    /// Starts a server with a command of its own.
    pub(crate) fn start(&self, command: Command) -> Server {
        Server::start(command, &self.file("server.log"))
    }
}

/// The program without any setting. `JUSTSTORAGE_TEST_LOG` is how much it logs: everything, without it.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_juststorage"));
    command
        .env_clear()
        .env("JUSTSTORAGE_NATIVE_ADDR", "127.0.0.1:0")
        .env("JUSTSTORAGE_S3_ADDR", "127.0.0.1:0")
        .env("RUST_LOG", std::env::var("JUSTSTORAGE_TEST_LOG").unwrap_or_else(|_| EVERYTHING.to_owned()))
        .args(arguments);
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    pub(crate) native: String,
    pub(crate) s3: String,
    /// What it printed on standard output until both endpoints were known.
    pub(crate) printed: Vec<String>,
}

impl Server {
    fn start(mut command: Command, log: &Path) -> Self {
        let errors = File::options().create(true).append(true).open(log).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut native, mut s3, mut printed) = (None, None, Vec::new());
        while native.is_none() || s3.is_none() {
            let Some(Ok(line)) = lines.next() else {
                let status = child.wait().unwrap();
                panic!("no endpoints, {status}: {}", std::fs::read_to_string(log).unwrap());
            };
            native = native.or(line.strip_prefix("native ").map(str::to_owned));
            s3 = s3.or(line.strip_prefix("s3 ").map(str::to_owned));
            printed.push(line);
        }
        // Further output must neither fill the pipe nor find it closed.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, log: log.to_owned(), native: native.unwrap(), s3: s3.unwrap(), printed }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Its process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Asks it to end, and sees that it ends well.
    pub(crate) fn stop(self) {
        self.signal(Signal::TERM);
        let log = self.log.clone();
        let status = self.wait();
        assert!(status.success(), "{status}: {}", std::fs::read_to_string(log).unwrap());
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// An unmodified S3 client with the default root key.
    pub(crate) fn s3(&self) -> Client {
        self.s3_as("juststorage", "juststorage")
    }

    pub(crate) fn s3_as(&self, access_key: &str, secret_key: &str) -> Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.s3)
            .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
            .force_path_style(true)
            .build();
        Client::from_conf(config)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either fails only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
