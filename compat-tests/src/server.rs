//! One `juststorage` process with what it stands on.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::database::{Database, MetadataCopy, Provided};
use crate::native::Native;
use crate::tls::Certificate;
use crate::{binary, s3, wait};
use juststorage_core::testing::postgres::Cluster;
use juststorage_core::testing::secrets::{EVERYTHING, no_kind_shows, none_shows};

/// How long a server may take to print its endpoints and to become ready, on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// How long a server may take to stop when asked: its own grace period and a little.
const STOP_MAX: Duration = Duration::from_secs(45);

/// What a server is started with, beyond its database.
#[derive(Default)]
pub struct Options {
    /// The data directory, if not a temporary one.
    pub data: Option<PathBuf>,
    /// The PostgreSQL cluster, if not the shared one.
    pub cluster: Option<Arc<Cluster>>,
    /// More settings, by their environment names.
    pub settings: Vec<(&'static str, String)>,
    /// Whether both fronts speak TLS, with a certificate of the server's own.
    pub tls: bool,
    /// How many file descriptors it may have, if fewer than this process.
    pub descriptors: Option<u32>,
    /// Whether it logs as much as in production only: where its speed is what matters, or that nothing is written
    /// beside the data.
    pub terse: bool,
}

impl Options {
    /// Of a server that is not to spend its time on its log.
    pub fn terse() -> Self {
        Self { terse: true, ..Self::default() }
    }
}

/// Of servers over PostgreSQL: only beside an embedded database does the binary make and keep a key of its own.
const MASTER_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// A server, which logs all that it can be made to say. Dropping it kills the process and removes its data, and
/// panics if its log shows a secret: one that was made by a command or given in a setting, one that a test tells
/// of, or any signature or token that a client sent.
pub struct Server {
    database: Provided,
    _directory: TempDir,
    data: PathBuf,
    log: PathBuf,
    settings: Vec<(&'static str, String)>,
    descriptors: Option<u32>,
    /// Its `RUST_LOG`.
    level: String,
    /// Secrets that were made or given: they must not show in the log.
    secrets: Mutex<Vec<String>>,
    certificate: Option<Certificate>,
    running: Option<Running>,
}

struct Running {
    child: Child,
    native: String,
    s3: String,
}

impl Server {
    /// Starts a server over an empty store.
    pub async fn start(database: Database) -> Self {
        Self::start_with(database, Options::default()).await
    }

    /// Starts a server as `options` say.
    pub async fn start_with(database: Database, options: Options) -> Self {
        let mut server = Self::prepare(database, options);
        server.resume().await;
        server
    }

    /// Makes everything ready for a server without starting it.
    pub fn prepare(database: Database, options: Options) -> Self {
        let directory = tempfile::Builder::new().prefix("juststorage-").tempdir().unwrap();
        let data = options.data.unwrap_or_else(|| directory.path().join("data"));
        let log = directory.path().join("log");
        let database = Provided::new(database, options.cluster);
        let certificate = options.tls.then(Certificate::make);
        let settings = options.settings;
        let given = settings.iter().filter(|(name, _)| name.ends_with("_SECRET") || name.ends_with("_KEY"));
        let given = given.map(|(_, value)| value.clone()).filter(|value| value.len() >= 16);
        let secrets = Mutex::new(given.chain([MASTER_KEY.to_owned()]).collect());
        let level = std::env::var("JUSTSTORAGE_TEST_LOG")
            .unwrap_or_else(|_| if options.terse { "info" } else { EVERYTHING }.to_owned());
        Self {
            database,
            _directory: directory,
            data,
            log,
            settings,
            descriptors: options.descriptors,
            level,
            secrets,
            certificate,
            running: None,
        }
    }

    /// Starts the process again over what the last one left. Returns once it is ready. The ports are new.
    pub async fn resume(&mut self) {
        assert!(self.running.is_none(), "the server is running");
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut child = self
            .command()
            .arg("serve")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let lines = lines_of(&mut child);
        let mut endpoint = |name: &str| {
            loop {
                match lines.recv_timeout(START_MAX) {
                    Ok(line) => {
                        if let Some(url) = line.trim().strip_prefix(name) {
                            return url.trim().trim_end_matches('/').to_owned();
                        }
                    }
                    Err(error) => {
                        let _ = child.kill();
                        panic!("no endpoint {name:?} printed ({error}); its log:\n{}", self.log());
                    }
                }
            }
        };
        let native = endpoint("native ");
        let s3 = endpoint("s3 ");
        self.running = Some(Running { child, native, s3 });
        let (client, url) = (reqwest::Client::new(), format!("{}/ready", self.native_url()));
        wait::until("the server is ready", START_MAX, async || {
            let ready = match self.certificate() {
                // The client knows no TLS.
                Some(path) => curl(path, &url),
                None => client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()),
            };
            ready.then_some(())
        })
        .await;
    }

    /// Starts the process, which must refuse to serve with exit code 3; what it says.
    pub fn refused(&self) -> String {
        let said = self.log.with_extension("refused");
        let mut child = self
            .command()
            .arg("serve")
            .stdout(Stdio::null())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .expect("the binary starts");
        let deadline = std::time::Instant::now() + START_MAX;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if std::time::Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the server was not refused:\n{}", std::fs::read_to_string(&said).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let said = std::fs::read_to_string(said).unwrap_or_default();
        assert_eq!(status.code(), Some(3), "{said}");
        said
    }

    /// Runs a command that must end with exit code 3; what it says.
    pub fn unable(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
        said
    }

    /// Kills the process with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// Asks the process to stop (SIGTERM) and panics unless it exits with 0.
    pub async fn stop(&mut self) {
        let running = self.running.as_ref().expect("the server is running");
        let id = rustix::process::Pid::from_child(&running.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.ended().await;
    }

    /// Waits until the process, which was asked to stop, has. Panics unless it exits with 0.
    pub async fn ended(&mut self) {
        let mut running = self.running.take().expect("the server is running");
        let status =
            wait::until("the server stops", STOP_MAX, async || running.child.try_wait().unwrap()).await;
        assert!(status.success(), "the server stopped with {status}; its log:\n{}", self.log());
    }

    /// Runs one of the binary's commands with the server's settings.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).stdin(Stdio::null()).output().expect("the binary starts");
        let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        for secret in ["token", "secret_key"].iter().filter_map(|field| printed[field].as_str()) {
            none_shows(&String::from_utf8_lossy(&output.stderr), "a command's log", secret);
            self.made(secret);
        }
        output
    }

    /// As [`Self::run`], told at which addresses the server is, and not searched for secrets.
    pub fn run_here(&self, arguments: &[&str]) -> String {
        let at = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
        let mut command = self.command();
        command.env("JUSTSTORAGE_NATIVE_ADDR", at(self.native_url()));
        command.env("JUSTSTORAGE_S3_ADDR", at(self.s3_url()));
        let output = command.args(arguments).stdin(Stdio::null()).output().expect("the binary starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a script as an operator would, with the server's settings, and the binary and PostgreSQL's programs on the
    /// path.
    pub fn shell(&self, script: &str) -> Output {
        let mut path = vec![binary::path().parent().expect("a directory").to_owned()];
        let found = std::env::var_os("PATH").unwrap_or_default();
        path.extend(std::env::split_paths(&found));
        let versions = Path::new("/usr/lib/postgresql").read_dir();
        let mut versions: Vec<_> =
            versions.into_iter().flatten().flatten().map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        path.extend(versions.into_iter().rev());
        let mut command = Command::new("bash");
        let own = self.command();
        for (name, value) in own.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .env("PATH", std::env::join_paths(path).expect("paths without colons"))
            .env("RUST_LOG", "warn");
        command.args(["-euo", "pipefail", "-c", script]).stdin(Stdio::null());
        command.current_dir(self.log.parent().unwrap()).output().expect("bash")
    }

    /// This must not show in the log.
    pub fn made(&self, secret: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned());
    }

    /// As [`Self::run`], and panics with what it printed unless it succeeds. Returns its standard output.
    pub fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
        out.into_owned()
    }

    /// Panics unless `validate` finds the store whole.
    pub fn assert_valid(&self) {
        self.run_ok(&["validate"]);
    }

    /// Stops the server, collects garbage, and panics unless the store is whole and holds no data file.
    pub async fn assert_nothing_left(&mut self) {
        if self.running.is_some() {
            self.stop().await;
        }
        self.run_ok(&["gc"]);
        self.assert_valid();
        assert_eq!(self.data_files(), [], "files left after everything was deleted and collected");
    }

    /// The files of both tiers, with their sizes in bytes.
    pub fn data_files(&self) -> Vec<(PathBuf, u64)> {
        let mut files = crate::disk::segments(&self.data.join("hot"));
        files.extend(crate::disk::segments(&self.data.join("cold")));
        files
    }

    /// A client of the S3 front with the root key.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        s3::client(self.s3_url(), s3::ROOT_KEY, s3::ROOT_KEY)
    }

    /// A client of the native API.
    pub fn native(&self) -> Native {
        Native::new(self.native_url())
    }

    /// `http://127.0.0.1:PORT` of the S3 front; `https` with TLS.
    pub fn s3_url(&self) -> &str {
        &self.running().s3
    }

    /// `http://127.0.0.1:PORT` of the native API.
    pub fn native_url(&self) -> &str {
        &self.running().native
    }

    /// The certificate that clients must trust, where the server speaks TLS.
    pub fn certificate(&self) -> Option<PathBuf> {
        self.certificate.as_ref().map(Certificate::path)
    }

    /// The process's number.
    pub fn process_id(&self) -> u32 {
        self.running().child.id()
    }

    /// The value of `DATABASE_URL`, where it is not the default.
    pub fn database_url(&self) -> Option<&str> {
        self.database.url.as_deref()
    }

    /// The metadata as they are; no server may run.
    pub fn copy_metadata(&self) -> MetadataCopy {
        assert!(self.running.is_none(), "the server is running");
        self.database.copy(&self.data)
    }

    /// Puts a copy of the metadata in their place, or, with none, an empty database; no server may run.
    pub fn put_back_metadata(&self, copy: Option<&MetadataCopy>) {
        assert!(self.running.is_none(), "the server is running");
        self.database.put_back(&self.data, copy);
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What the server has logged so far, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server is running")
    }

    fn command(&self) -> Command {
        let mut command = match self.descriptors {
            None => Command::new(binary::path()),
            // The hard limit, too: the server raises its own to it.
            Some(limit) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]).arg(binary::path());
                command
            }
        };
        command
            .env("JUSTSTORAGE_DATA_DIR", &self.data)
            .env("JUSTSTORAGE_NATIVE_ADDR", "127.0.0.1:0")
            .env("JUSTSTORAGE_S3_ADDR", "127.0.0.1:0")
            .env("RUST_LOG", &self.level)
            .env_remove("DATABASE_URL")
            // Tests ask what is left behind; one of its own is about the default (`operator/backup.rs`).
            .env("JUSTSTORAGE_RETENTION", "0s")
            // Relative paths of the binary, if it has any, stay inside.
            .current_dir(self.log.parent().unwrap());
        if let Some(url) = &self.database.url {
            command.env("DATABASE_URL", url).env("JUSTSTORAGE_MASTER_KEY", MASTER_KEY);
        }
        if let Some(certificate) = &self.certificate {
            command
                .env("JUSTSTORAGE_TLS_CERT", certificate.path())
                .env("JUSTSTORAGE_TLS_KEY", certificate.key());
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- the server's last lines ---");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
            return;
        }
        let log = self.log();
        if let Ok(key) = std::fs::read_to_string(self.data.join("master.key")) {
            none_shows(&log, "the server's log", key.trim());
        }
        no_kind_shows(&log, "the server's log");
        for secret in self.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            none_shows(&log, "the server's log", secret);
        }
    }
}

/// Whether `url` answers with success, trusting `certificate`.
fn curl(certificate: PathBuf, url: &str) -> bool {
    let mut command = Command::new("curl");
    command.args(["--silent", "--fail", "--noproxy", "*", "--output", "/dev/null", "--cacert"]);
    command.arg(certificate).arg(url).stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The lines that the process prints. They are read to the end, so that it never blocks on a full pipe.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let out = BufReader::new(child.stdout.take().expect("piped"));
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
