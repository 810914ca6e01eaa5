//! A real PgBouncer in front of a throw-away PostgreSQL.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use juststorage_core::testing::ports;
use juststorage_core::testing::postgres::unprivileged_user;

use crate::wait;

/// How long it may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

/// A running PgBouncer. Dropping it ends it.
pub struct Pooler {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Pooler {
    /// Starts one in front of the server at `port`, in the mode `mode` (`session`, `transaction`, `statement`), with more
    /// lines of its configuration. Panics if PgBouncer is not installed.
    pub async fn start(port: u16, mode: &str, more: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("juststorage-pooler-").tempdir().unwrap();
        let own = ports::free();
        let configuration = directory.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={port} user=juststorage\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {own}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 24\n\
             max_client_conn = 200\n{more}\n"
        );
        fs::write(&configuration, text).unwrap();
        let mut command = command(directory.path(), &configuration);
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("PgBouncer runs (scripts/prepare pooler installs it)");
        let mut pooler = Self { child, port: own, directory };
        wait::until("PgBouncer listens", START_MAX, async || {
            if let Some(status) = pooler.child.try_wait().unwrap() {
                panic!("PgBouncer ended with {status}: {}", pooler.log());
            }
            TcpStream::connect(("127.0.0.1", own)).ok()
        })
        .await;
        pooler
    }

    /// `url` of a database behind it, through it.
    pub fn through(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, database) = rest.split_once('/').unwrap();
        let user = authority.split_once('@').unwrap().0;
        format!("{scheme}://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Sends its clients to the server at `port` from now on, while their connections stay open.
    pub fn point_at(&self, port: u16) {
        let configuration = self.directory.path().join("pgbouncer.ini");
        let text = fs::read_to_string(&configuration).unwrap();
        let at = text.find(" port=").unwrap() + 6;
        let end = at + text[at..].find(' ').unwrap();
        fs::write(&configuration, format!("{}{port}{}", &text[..at], &text[end..])).unwrap();
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program: `PGBOUNCER_PROGRAM`, or the one that is installed.
fn program() -> String {
    std::env::var("PGBOUNCER_PROGRAM").unwrap_or_else(|_| {
        let mut usual = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter();
        usual.find(|path| Path::new(path).exists()).unwrap_or("pgbouncer").to_owned()
    })
}

/// Its version: `(1, 18)`. Panics if it does not say.
pub fn version() -> (u32, u32) {
    let said = Command::new(program()).arg("--version").output().expect("PgBouncer runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let number = said.split_whitespace().nth(1).unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor),
        _ => panic!("PgBouncer says {said:?}"),
    }
}

/// It refuses to run as root.
fn command(directory: &Path, configuration: &Path) -> Command {
    let program = program();
    let program = program.as_str();
    let mut command = match unprivileged_user().unwrap() {
        Some((user, group)) => {
            chown(directory, Some(user), Some(group)).unwrap();
            chown(configuration, Some(user), Some(group)).unwrap();
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.args(["--clear-groups", "--", program]);
            command
        }
        None => Command::new(program),
    };
    command.arg(configuration);
    command
}
