//! Another tenant beside the attack, and what the attack costs the server.

use std::time::{Duration, Instant};

use bytes::Bytes;
use juststorage_compat_tests::Server;
use juststorage_compat_tests::native::Native;

/// What the server may take during any attack, in bytes.
pub(crate) const MEMORY_MAX: u64 = 256 << 20;

/// Puts of one measurement: enough that the 99th percentile is not the slowest of all.
pub(crate) const PUTS: usize = 200;

/// Long enough for anything on a busy machine. Without a guard the puts below never end.
const LONG: Duration = Duration::from_secs(60);

/// A tenant that puts small objects, one after the other.
pub(crate) struct Neighbour {
    url: String,
    native: Native,
    done: usize,
}

/// The neighbour's tenant.
const TENANT: &str = "neighbour";

async fn puts(native: Native, first: usize, count: usize) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(count);
    for number in first..first + count {
        let began = Instant::now();
        let bytes = Bytes::from(vec![u8::try_from(number % 251).unwrap(); 4096]);
        let key = format!("k{number}");
        let put = native.put("small", &key, bytes);
        tokio::time::timeout(LONG, put).await.expect("another tenant's put hangs");
        latencies.push(began.elapsed());
    }
    latencies
}

/// How long puts took.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn p99_ms(&self) -> f64 {
        self.0[self.0.len() * 99 / 100].as_secs_f64() * 1e3
    }

    pub(crate) fn p50_ms(&self) -> f64 {
        self.0[self.0.len() / 2].as_secs_f64() * 1e3
    }
}

impl Neighbour {
    /// Of a server that asks for no credentials on its native front.
    pub(crate) fn of(server: &Server) -> Self {
        let url = server.native_url().to_owned();
        Self { native: Native::of(&url, TENANT), url, done: 0 }
    }

    /// Puts `count` objects of 4 KiB. Every one of them must succeed.
    ///
    /// From a thread and a runtime of its own: beside the attackers' tasks on one thread, it would measure how busy the
    /// attackers are, not the server.
    pub(crate) async fn puts(&mut self, count: usize) -> Latencies {
        let (url, first) = (self.url.clone(), self.done + 1);
        self.done += count;
        let (done, latencies) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let puts = puts(Native::of(&url, TENANT), first, count);
            // Without a receiver the test has failed already.
            let _ = done.send(runtime.block_on(puts));
        });
        let Ok(mut latencies) = latencies.await else {
            std::panic::resume_unwind(thread.join().expect_err("it sent nothing"));
        };
        latencies.sort();
        Latencies(latencies)
    }

    /// The last object, read back.
    pub(crate) async fn read_back(&self) {
        let key = format!("k{}", self.done);
        let read = self.native.read("small", &key);
        assert_eq!(tokio::time::timeout(LONG, read).await.expect("another tenant's get hangs").len(), 4096);
    }

    /// Probes and metrics answer.
    pub(crate) async fn probe(&self) {
        for path in ["/health", "/ready", "/metrics"] {
            // Each on a connection of its own, as probes come.
            let client = reqwest::Client::new();
            let answer = client.get(format!("{}{path}", self.base())).send();
            let answer = tokio::time::timeout(LONG, answer).await.expect("a probe hangs").expect("an answer");
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
        }
    }

    pub(crate) async fn metric(&self, name: &str) -> f64 {
        self.native.metric(name).await
    }

    fn base(&self) -> String {
        let request = self.native.request(reqwest::Method::GET, "").build().unwrap();
        request.url().as_str().trim_end_matches('/').to_owned()
    }
}

/// The most memory that the server has had since [`watch`], in bytes.
pub(crate) fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the field");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

/// Measures the peak anew from here on.
pub(crate) fn watch(server: &Server) {
    std::fs::write(format!("/proc/{}/clear_refs", server.process_id()), "5").unwrap();
}

/// How many file descriptors the server has open.
pub(crate) fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.process_id())).unwrap().count()
}
