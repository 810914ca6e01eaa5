//! A service that uses a bucket all the time over the SDK, and knows what every answer must be.
//!
//! Each of its workers has keys of its own and does one thing after the other, so that what an answer must be is certain. The
//! store that they use is changed between two requests, as a service that is given another endpoint does.

mod worker;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio::task::JoinHandle;

use crate::content::Content;
use crate::{s3, wait};
pub use worker::{set_tags, tags};

/// Longest time for a few hundred answers, on a busy machine.
const ANSWERS_MAX: Duration = Duration::from_secs(180);

/// A bucket of a store, as a service is told of it.
#[derive(Clone)]
pub struct Place {
    /// The store's name, in what is told at the end.
    pub store: &'static str,
    /// A client without retries: every answer counts.
    pub client: Client,
    /// The bucket.
    pub bucket: String,
}

/// What the store offers that the service was made for: it uses nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offers {
    /// Conditions on writes.
    pub conditions: bool,
    /// Tags of objects.
    pub tags: bool,
    /// Uploads in parts that the SDK understands.
    pub parts: bool,
}

impl Offers {
    /// Tries what a store offers, in the bucket that the service is about to use.
    pub async fn of(place: &Place) -> Self {
        let Place { client, bucket, .. } = place;
        let key = "what does it offer";
        s3::put(client, bucket, key, Content::new(1, 10).bytes()).await;
        let again = client.put_object().bucket(bucket).key(key).if_none_match("*").send().await;
        let other = client.put_object().bucket(bucket).key(key).if_match("\"0123\"").send().await;
        let tags = set_tags(place, key, &[("k".to_owned(), "v".to_owned())].into()).await.is_ok()
            && self::tags(place, key).await.is_ok_and(|tags| tags.len() == 1);
        let upload = s3::begin(client, bucket, key).await;
        let part = s3::part(client, bucket, key, &upload, 1, Content::new(2, 10).bytes()).await;
        let complete = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(&upload);
        let parts = complete.multipart_upload(s3::completed([part])).send().await.is_ok();
        client.delete_object().bucket(bucket).key(key).send().await.expect("deleted");
        Self { conditions: again.is_err() && other.is_err(), tags, parts }
    }
}

/// What an object must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its bytes: more than one where it was uploaded in parts.
    pub parts: Vec<Content>,
    /// As it was answered to the write.
    pub etag: String,
    /// Whether its `Content-Type` and `Cache-Control` are those that the service sets.
    pub headers: bool,
    /// Its user metadata.
    pub owner: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What the answers came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answers that were as they had to be, by store and kind.
    pub right: BTreeMap<(&'static str, &'static str), u64>,
    /// Answers that were not: what was asked, and what came.
    pub wrong: Vec<String>,
    /// Requests that failed.
    pub failed: Vec<String>,
    /// Requests that failed while the old store was away, which the answer had to be asked of.
    pub excused: u64,
}

/// What the workers share.
struct Common {
    place: RwLock<Place>,
    offers: Offers,
    answers: AtomicU64,
    /// Whether the old store is away.
    away: AtomicBool,
    over: AtomicBool,
    tally: Mutex<Tally>,
}

impl Common {
    /// Where the next request goes. Nobody changes it, nor looks at both sides, while it is under way.
    async fn place(&self) -> RwLockReadGuard<'_, Place> {
        self.place.read().await
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A service that runs.
pub struct Service {
    common: Arc<Common>,
    workers: Vec<JoinHandle<BTreeMap<String, Option<Known>>>>,
}

impl Service {
    /// Begins to use a bucket, with so many requests at a time.
    pub fn start(place: Place, workers: u64, offers: Offers) -> Self {
        let common = Arc::new(Common {
            place: RwLock::new(place),
            offers,
            answers: AtomicU64::new(0),
            away: AtomicBool::new(false),
            over: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        let workers = (0..workers).map(|number| {
            let worker = worker::Worker::new(number, common.clone());
            tokio::spawn(worker.run())
        });
        Self { workers: workers.collect(), common }
    }

    /// Waits until it has had so many more answers.
    pub async fn runs(&self, answers: u64) {
        let until = self.common.answers.load(Ordering::Relaxed) + answers;
        wait::until("the service has had its answers", ANSWERS_MAX, async || {
            let ended = self.workers.iter().any(JoinHandle::is_finished);
            (ended || self.common.answers.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    /// Gives it another place, from the next request of each worker on.
    pub async fn switch(&self, place: Place) {
        *self.common.place.write().await = place;
    }

    /// Whether the old store is away, by which requests fail that it has to be asked for.
    pub fn old_store_is_away(&self, away: bool) {
        self.common.away.store(away, Ordering::Relaxed);
    }

    /// Does something while no request is under way: the service waits, and has the place that this returns afterwards.
    pub async fn held<F: Future<Output = Option<Place>>>(&self, what: impl FnOnce() -> F) {
        let mut place = self.common.place.write().await;
        if let Some(next) = what().await {
            *place = next;
        }
    }

    /// Ends it: what its answers came to, and what must be in the bucket.
    pub async fn stop(self) -> (Tally, BTreeMap<String, Known>) {
        self.common.over.store(true, Ordering::Relaxed);
        let mut known = BTreeMap::new();
        for worker in self.workers {
            let keys = worker.await.expect("a worker ends well");
            known.extend(keys.into_iter().filter_map(|(key, known)| Some((key, known?))));
        }
        let tally = std::mem::take(&mut *self.common.tally());
        (tally, known)
    }
}
