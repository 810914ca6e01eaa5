//! Writers that know what each key may hold, whichever replica they ask.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use juststorage_compat_tests::Content;
use juststorage_compat_tests::native::Native;
use reqwest::{Method, StatusCode};

use super::BUCKET;

/// Keys that a writer has in use.
const KEYS: u64 = 9;

/// How long a client waits for an answer: a paused replica gives none.
const PATIENCE: Duration = Duration::from_secs(4);

/// The replicas that are asked, and what came of it.
#[derive(Default)]
pub(super) struct Load {
    /// One for each replica; `None` while it is down.
    pub(super) replicas: Mutex<Vec<Option<Native>>>,
    pub(super) stop: AtomicBool,
    pub(super) acknowledged: AtomicUsize,
    pub(super) read_back: AtomicUsize,
    /// Acknowledged by each replica.
    pub(super) of: [AtomicUsize; 2],
}

impl Load {
    fn pick(&self, number: u64) -> Option<(usize, Native)> {
        let replicas = self.replicas.lock().unwrap();
        let at = usize::try_from(number).unwrap() % replicas.len();
        replicas[at].clone().map(|native| (at, native))
    }
}

/// What a key may hold: `None` for nothing. More than one only where a request was not answered.
type May = Vec<Option<Content>>;

pub(super) struct Writer {
    number: u64,
    next: u64,
    /// Keys whose last request was not answered are not used again: what a paused replica does of it when it wakes comes
    /// behind everything.
    retired: u64,
    pub(super) known: BTreeMap<String, May>,
}

impl Writer {
    pub(super) fn new(number: u64) -> Self {
        Self { number, next: 0, retired: 0, known: BTreeMap::new() }
    }

    pub(super) async fn run(&mut self, load: &Load) {
        while !load.stop.load(Ordering::SeqCst) {
            self.next += 1;
            let Some((at, native)) = load.pick(self.number + self.next) else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let key = format!("{}/{}/{}", self.number, self.retired, self.next % KEYS);
            let state = Content::of_step(self.number, self.next);
            let request = native.change(BUCKET, &key, state);
            let status = request.timeout(PATIENCE).send().await.ok().map(|answer| answer.status());
            let may = self.known.entry(key.clone()).or_insert_with(|| vec![None]);
            match status {
                Some(StatusCode::CREATED | StatusCode::NO_CONTENT | StatusCode::NOT_FOUND) => {
                    *may = vec![state];
                    load.acknowledged.fetch_add(1, Ordering::SeqCst);
                    load.of[at].fetch_add(1, Ordering::SeqCst);
                    self.read_elsewhere(load, &key, state).await;
                }
                Some(status) if status != StatusCode::SERVICE_UNAVAILABLE => panic!("{status}"),
                _ => {
                    may.push(state);
                    self.retired += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// What one replica acknowledged, the other one shows at once.
    async fn read_elsewhere(&self, load: &Load, key: &str, state: Option<Content>) {
        let Some((_, other)) = load.pick(self.number + self.next + 1) else { return };
        let request = other.request(Method::GET, &other.path(BUCKET, key)).timeout(PATIENCE);
        let Ok(answer) = request.send().await else { return };
        let found = match answer.status() {
            StatusCode::OK => match answer.bytes().await {
                Ok(bytes) => Some(bytes),
                // It was cut off.
                Err(_) => return,
            },
            StatusCode::NOT_FOUND => None,
            StatusCode::SERVICE_UNAVAILABLE => return,
            status => panic!("{key}: {status}"),
        };
        assert!(found == state.map(Content::bytes), "{key} reads otherwise through the other replica");
        load.read_back.fetch_add(1, Ordering::SeqCst);
    }

    /// Every key holds what was acknowledged last, or what came of a request that was not answered.
    pub(super) async fn verify(&self, native: &Native) {
        for (key, may) in &self.known {
            let answer = native.get(BUCKET, key).await;
            let found: Option<Bytes> = match answer.status() {
                StatusCode::OK => Some(answer.bytes().await.unwrap()),
                StatusCode::NOT_FOUND => None,
                status => panic!("{key}: {status}"),
            };
            let fits = may.iter().any(|state| state.map(Content::bytes) == found);
            assert!(fits, "{key} holds {:?} bytes, and may hold {may:?}", found.map(|bytes| bytes.len()));
        }
    }
}
