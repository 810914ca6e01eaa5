//! A throw-away PostgreSQL: the distribution's server over a temporary directory.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tempfile::TempDir;

/// A running cluster. Dropping it stops the server and removes its files.
pub struct Cluster {
    directory: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    databases: AtomicU64,
}

impl Cluster {
    /// The cluster that the tests of this process share while any of them holds it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start());
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    /// Makes a cluster and starts it. As root the server runs as `postgres`, since it refuses to be root.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("juststorage-pg-").tempdir().unwrap();
        let user = rustix::process::geteuid().is_root().then(unprivileged);
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { directory, programs: programs(), user, port, databases: AtomicU64::new(0) };
        cluster.run("initdb", &["-D", &cluster.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]);
        cluster.resume();
        cluster
    }

    /// Starts the server again, over the same files and port. Returns once it answers.
    pub fn resume(&self) {
        // No sync: the tests kill the store, never the machine. `log_min_messages` keeps the log readable.
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories= -c fsync=off \
             -c max_connections=200 -c log_min_messages=error",
            self.port
        );
        let log = self.directory.path().join("log");
        self.run(
            "pg_ctl",
            &["start", "-w", "-D", &self.data(), "-l", &log.to_string_lossy(), "-o", &options],
        );
    }

    /// Stops the server as a crash would: at once, every connection cut.
    pub fn cut(&self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &self.data()]);
    }

    /// Makes an empty database and returns its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run("createdb", &["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", &name]);
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    fn data(&self) -> String {
        self.directory.path().join("data").to_string_lossy().into_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        let status = command.status().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} {arguments:?}: {status}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = Command::new(self.programs.join("pg_ctl"));
        command.args(["stop", "-w", "-m", "immediate", "-D", &self.data()]);
        command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        // It may be stopped already.
        let _ = command.status();
    }
}

/// Where the newest installed server's programs are. Debian keeps them out of the path.
fn programs() -> PathBuf {
    let versions = Path::new("/usr/lib/postgresql");
    let mut found: Vec<(u32, PathBuf)> = versions
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs).expect("PostgreSQL is installed: apt-get install postgresql")
}

fn unprivileged() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let mut ids = users.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        Some((*fields.first()?, fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    });
    let (_, uid, gid) = ids.find(|(name, ..)| *name == "postgres").expect("user postgres");
    (uid, gid)
}
