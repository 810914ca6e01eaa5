//! A throw-away PostgreSQL cluster, for tests.
//!
//! It is made with the distribution's server in a directory of its own, listens on a free port of 127.0.0.1
//! (and on a socket in that directory), syncs as in production, and is gone when its process is: stopped by
//! [`Cluster`]'s drop, and by a guard process otherwise, however the test ends. Plain `std`, so that any
//! test may use it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use crate::testing::ports;

/// The superuser of every cluster; needs no password, as the cluster listens on the loopback only.
const USER: &str = "juststorage";

/// The cluster of this process, started by the first who asks.
///
/// # Panics
///
/// If PostgreSQL is not installed or does not start: a test that needs it must fail, not be skipped.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start_new)
}

/// A cluster of one's own, or [`shared`].
pub struct Cluster {
    programs: PathBuf,
    directory: PathBuf,
    port: u16,
    databases: AtomicU32,
    owner: Option<(u32, u32)>,
    /// Open as long as this process lives; the guard acts when it closes.
    guard: Mutex<Option<(Child, ChildStdin)>>,
}

impl Cluster {
    /// Makes a cluster and starts it.
    ///
    /// # Panics
    ///
    /// As [`shared`].
    pub fn start_new() -> Self {
        Self::try_start_new().unwrap_or_else(|error| {
            panic!("no PostgreSQL for this test: {error}\n(run `make test`, or install postgresql)")
        })
    }

    fn try_start_new() -> io::Result<Self> {
        let cluster = Self::prepare()?;
        let mut initdb = cluster.program("initdb");
        initdb.arg("--pgdata").arg(cluster.data());
        initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--username", USER]);
        check("initdb", &initdb.output()?)?;
        cluster.started()
    }

    /// A directory for a cluster, which is gone when this process is.
    fn prepare() -> io::Result<Self> {
        let cluster = Self {
            programs: find_programs()?,
            directory: tempfile::Builder::new().prefix("juststorage-postgres-").tempdir()?.keep(),
            port: ports::free(),
            databases: AtomicU32::new(0),
            owner: unprivileged_user()?,
            guard: Mutex::new(None),
        };
        cluster.watch()?;
        fs::set_permissions(&cluster.directory, fs::Permissions::from_mode(0o755))?;
        if let Some((user, group)) = cluster.owner {
            chown(&cluster.directory, Some(user), Some(group))?;
        }
        Ok(cluster)
    }

    fn started(self) -> io::Result<Self> {
        let mut cluster = self;
        // Another process may take the port between our look and the server's start: then another is tried.
        let mut attempts = 0;
        loop {
            match cluster.try_start() {
                Err(_) if attempts < 4 => {
                    attempts += 1;
                    cluster.port = ports::free();
                }
                result => break result.map(|()| cluster),
            }
        }
    }

    /// Makes an empty database; its URL.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut createdb = self.program("createdb");
        createdb.arg("--host").arg(&self.directory).args(["--port", &self.port.to_string()]);
        createdb.args(["--template=template0", "--username", USER, &name]);
        let output = createdb.output().expect("createdb runs");
        check("createdb", &output).expect("a database can be made");
        self.url(&name)
    }

    /// Makes `to` a copy of the database `of`, both by their URLs, in place of what it was. No connection may use either.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub fn copy_database(&self, of: &str, to: &str) {
        let name = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
        for (program, arguments) in [
            ("dropdb", vec!["--if-exists".to_owned(), "--force".to_owned(), name(to)]),
            ("createdb", vec![format!("--template={}", name(of)), name(to)]),
        ] {
            let mut command = self.program(program);
            command.arg("--host").arg(&self.directory).args([
                "--port",
                &self.port.to_string(),
                "--username",
                USER,
            ]);
            check(program, &command.args(arguments).output().expect("it runs"))
                .expect("a database is copied");
        }
    }

    /// A server that follows this one, and without which this one, started anew, acknowledges nothing any more
    /// (`synchronous_standby_names`).
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    #[must_use]
    pub fn synchronous_standby(&self) -> Self {
        self.try_synchronous_standby().expect("a standby can be made")
    }

    fn try_synchronous_standby(&self) -> io::Result<Self> {
        const NAME: &str = "standby";
        let standby = Self::prepare()?;
        let mut backup = standby.program("pg_basebackup");
        let primary = format!("host=127.0.0.1 port={} user={USER} application_name={NAME}", self.port);
        // It leaves behind how the standby finds the primary, and under which name.
        backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", &primary]);
        check("pg_basebackup", &backup.arg("--pgdata").arg(standby.data()).output()?)?;
        let standby = standby.started()?;
        self.stop();
        let mut settings = fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"))?;
        writeln!(settings, "synchronous_standby_names = '{NAME}'")?;
        drop(settings);
        self.try_start()?;
        // What is made now is acknowledged once the standby has it: from here on it follows.
        self.create_database();
        Ok(standby)
    }

    /// Makes a standby the primary, and returns once it is.
    ///
    /// # Panics
    ///
    /// If it cannot be promoted.
    pub fn promote(&self) {
        let output = self.control("promote").args(["--wait", "--timeout=60"]).output().expect("pg_ctl runs");
        check("pg_ctl promote", &output).expect("the standby is promoted");
    }

    /// Kills every process of the server at once (SIGKILL), as the loss of its machine would.
    ///
    /// # Panics
    ///
    /// If there is no server to kill.
    pub fn kill(&self) {
        self.try_kill().expect("the server is killed");
    }

    fn try_kill(&self) -> io::Result<()> {
        let file = self.data().join("postmaster.pid");
        let first = fs::read_to_string(&file)?.lines().next().unwrap_or_default().to_owned();
        let number = |text: &str| text.trim().parse::<i32>().map_err(io::Error::other);
        let main = number(&first)?;
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"))?;
        for process in [Ok(main)].into_iter().chain(children.split_whitespace().map(number)) {
            if let Some(process) = Pid::from_raw(process?) {
                // One that has ended by itself meanwhile is as dead.
                let _ = kill_process(process, Signal::KILL);
            }
        }
        // Its number may soon be another process's, and the guard goes by it.
        fs::remove_file(file)
    }

    /// Runs SQL in the database of `url`, as its superuser; what it prints, without headings.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn sql(&self, url: &str, sql: &str) -> String {
        let mut psql = self.program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]);
        let output = psql.args(["--dbname", url, "--command", sql]).output().expect("psql runs");
        check("psql", &output).expect("the server takes it");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Stops the server at once, cutting every connection, as a crash of the server would: `immediate` mode,
    /// after which the next start recovers from the log.
    ///
    /// # Panics
    ///
    /// If it cannot be stopped.
    pub fn stop(&self) {
        let output = self.control("stop").args(["--mode=immediate", "--wait"]).output().expect("pg_ctl runs");
        check("pg_ctl stop", &output).expect("the server stops");
    }

    /// Starts the server again, on the same port with the same data.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(&self) {
        self.try_start().expect("the server starts");
    }

    /// As [`Self::start`], without waiting for any standby with its commits: a primary that was replaced and comes back.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start_alone(&self) {
        let path = self.data().join("postgresql.conf");
        let mut settings = fs::OpenOptions::new().append(true).open(path).expect("its settings");
        writeln!(settings, "synchronous_standby_names = ''").expect("its settings");
        self.start();
    }

    fn try_start(&self) -> io::Result<()> {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c fsync=on \
             -c max_connections=200 -c shared_buffers=64MB",
            self.port,
            self.directory.display()
        );
        let mut start = self.control("start");
        start.arg("--log").arg(self.directory.join("log")).args(["--wait", "--timeout=60", "-o", &options]);
        // The server keeps what it inherits open: it must not be a pipe that anyone waits on.
        let status = start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() {
            return Ok(());
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        Err(io::Error::other(format!("pg_ctl start: {status}; its log: {log}")))
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn control(&self, action: &str) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg(action).arg("--pgdata").arg(self.data());
        command
    }

    /// A program of PostgreSQL's, which refuses to run as root: as an unprivileged user then.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = match self.owner {
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}")]);
                command.args(["--clear-groups", "--"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        command.current_dir(&self.directory);
        command
    }

    /// Starts a process that waits for the end of this one, whose standard input closes then, and removes
    /// what is left: also when a test was killed.
    fn watch(&self) -> io::Result<()> {
        const SCRIPT: &str = r#"
            trap '' INT TERM HUP
            cat >/dev/null
            pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
            if [ -n "$pid" ]; then
                kill -QUIT "$pid" 2>/dev/null
                for _ in 1 2 3 4 5 6 7 8 9 10; do
                    kill -0 "$pid" 2>/dev/null || break
                    sleep 0.2
                done
            fi
            rm -rf "$1"
        "#;
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "juststorage-postgres-guard"])
            .arg(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let stdin = child.stdin.take();
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        *guard = stdin.map(|stdin| (child, stdin));
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut child, stdin)) = guard {
            drop(stdin);
            let _ = child.wait();
        }
    }
}

/// Where the distribution keeps the server's programs, the newest version first; or what is in the path.
fn find_programs() -> io::Result<PathBuf> {
    let complete = |directory: &Path| {
        ["initdb", "pg_ctl", "postgres", "createdb"].iter().all(|program| directory.join(program).is_file())
    };
    let mut versions: Vec<PathBuf> = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt"]
        .iter()
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|directory| complete(directory))
        .collect();
    versions.sort_by_key(|directory| {
        let version =
            directory.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        version.and_then(|version| version.parse::<u32>().ok()).unwrap_or_default()
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions
        .pop()
        .or_else(|| std::env::split_paths(&path).find(|directory| complete(directory)))
        .ok_or_else(|| io::Error::other("initdb, pg_ctl, postgres and createdb were not found together"))
}

/// User and group to run a server as that refuses to run as root; `None` if we are not root.
pub fn unprivileged_user() -> io::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let mut fields = users.lines().find_map(|line| line.strip_prefix(&format!("{name}:")))?.split(':');
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let user = find("postgres").or_else(|| find("nobody"));
    user.map(Some).ok_or_else(|| io::Error::other("neither the user postgres nor nobody exists"))
}

fn check(what: &str, output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::new();
    let _ = output.stderr.as_slice().read_to_string(&mut text);
    Err(io::Error::other(format!("{what}: {}: {text}", output.status)))
}
