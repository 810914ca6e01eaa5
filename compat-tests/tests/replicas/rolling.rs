//! A rolling restart behind nginx: clients notice nothing.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use juststorage_compat_tests::{Content, Server, ports, tools, wait};
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::peer::Peer;
use super::{BUCKET, pair, start, states};

const CLIENTS: u64 = 6;

/// Longest wait for anything, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// nginx in front of the native API of several servers. Dropping it ends it.
struct Nginx {
    directory: TempDir,
    port: u16,
    child: Child,
}

impl Nginx {
    /// Over servers at these URLs.
    async fn start(servers: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("juststorage-nginx-").tempdir().unwrap();
        let port = ports::free();
        let configuration = directory.path().join("nginx.conf");
        std::fs::write(&configuration, Self::configuration(&directory, port, servers)).unwrap();
        let child = Command::new(program())
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        wait::until("nginx listens", PATIENCE, async || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        Self { directory, port, child }
    }

    /// As docs/deployment.md has it.
    fn configuration(directory: &TempDir, port: u16, servers: &[&str]) -> String {
        let at = directory.path().display();
        let mut upstream = String::new();
        for server in servers {
            let _ = writeln!(upstream, "server {};", server.trim_start_matches("http://"));
        }
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        format!(
            "{user} daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
    upstream store {{ {upstream} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://store;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection \"\";
            proxy_request_buffering off;
            proxy_buffering off;
            client_max_body_size 0;
        }}
    }}
}}
"
        )
    }

    /// Sends requests to these servers from now on, as an orchestrator does once a server is not ready.
    fn point_at(&self, servers: &[&str]) {
        let configuration = self.directory.path().join("nginx.conf");
        std::fs::write(configuration, Self::configuration(&self.directory, self.port, servers)).unwrap();
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // In order, so that its workers end too.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let places: Vec<_> = std::env::split_paths(&tools::path()).collect();
    let further = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let found = places.into_iter().chain(further).map(|place| place.join("nginx")).find(|path| path.exists());
    found.unwrap_or_else(|| "nginx".into())
}

async fn is_ready(url: &str) -> bool {
    let answer = reqwest::Client::new().get(format!("{url}/ready")).send().await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

/// Puts and reads through the proxy until it is told to stop. Every answer must be right.
async fn client(url: &str, number: u64, stop: &AtomicBool, answered: &AtomicUsize) {
    // A connection for each request: nginx ends idle ones when it is told of other servers.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let mut next = 0;
    while !stop.load(Ordering::SeqCst) {
        next += 1;
        let length = if next % 5 == 0 { 2 << 20 } else { 3000 };
        let content = Content::new(number << 32 | next, length);
        let key = format!("{number}/{next}");
        let put = client.post(format!("{url}/v1/objects")).header("X-Tenant", "default");
        let put = put.header("X-Namespace", BUCKET).header("X-Key", &key).body(content.bytes());
        let answer = put.send().await.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        let status = answer.status();
        assert_eq!(status, StatusCode::CREATED, "{key}: {}", answer.text().await.unwrap_or_default());
        let get = client.get(format!("{url}/v1/objects/by-key/{BUCKET}/default/{key}"));
        let answer = get.header("X-Tenant", "default").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{key}");
        assert!(answer.bytes().await.unwrap() == content.bytes(), "{key} reads otherwise");
        answered.fetch_add(2, Ordering::SeqCst);
    }
}

/// Restarts each of the servers, one after the other, in the way of an orchestrator: SIGTERM, no more requests to what is not
/// ready, a new server on an empty directory, requests to it once it is ready.
async fn restart_each(servers: &mut [Server; 2], nginx: &Nginx, answered: &AtomicUsize) {
    let more = async |number: usize| {
        let begun = answered.load(Ordering::SeqCst);
        wait::until("requests are answered", PATIENCE, async || {
            (answered.load(Ordering::SeqCst) >= begun + number).then_some(())
        })
        .await;
    };
    more(40).await;
    for at in [0, 1] {
        let (leaves, stays) = (servers[at].native_url().to_owned(), servers[1 - at].native_url().to_owned());
        let id = Pid::from_raw(i32::try_from(servers[at].process_id()).unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        wait::until("the server says that it is not ready", PATIENCE, async || {
            (!is_ready(&leaves).await).then_some(())
        })
        .await;
        // It writes that down for the others while it begins to say so.
        wait::until("the other server knows", PATIENCE, async || {
            let mut known = states(&servers[1 - at]).await;
            known.sort();
            (known == ["draining", "serving"]).then_some(())
        })
        .await;
        nginx.point_at(&[stays.as_str()]);
        more(10).await;
        servers[at].ended().await;
        start(&mut servers[at]).await;
        nginx.point_at(&[stays.as_str(), servers[at].native_url()]);
        more(40).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    if !program().exists() && !tools::are_there("a rolling restart behind nginx", &["nginx"]) {
        return;
    }
    let peer = Peer::gateway().await;
    let mut servers = pair(&peer, &[("JUSTSTORAGE_SHUTDOWN_DELAY", "5s".to_owned())]).await;
    let nginx = Nginx::start(&[servers[0].native_url(), servers[1].native_url()]).await;
    let url = format!("http://127.0.0.1:{}", nginx.port);
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = join_all((0..CLIENTS).map(|number| client(&url, number, &stop, &answered)));
    let rolled = async {
        restart_each(&mut servers, &nginx, &answered).await;
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(load, rolled);
    println!(
        "figures: rolling restart: both servers restarted behind nginx, {} requests answered, 0 failed; {} lines in its log",
        answered.load(Ordering::SeqCst),
        nginx.errors().lines().count()
    );
    for server in &mut servers {
        server.stop().await;
    }
    servers[0].assert_valid();
}
