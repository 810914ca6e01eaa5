//! A bucket of ours and the one of the old store that it is bound to, side by side: the SDK as a client of both, the commands as the
//! operator.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde_json::Value;

use crate::other_store::OtherStore;
use crate::service::Place;
use crate::{Server, s3, wait};

/// The bucket here.
pub const BUCKET: &str = "demo";

/// Longest time until everything is sent, on a busy machine.
const SENT_MAX: Duration = Duration::from_secs(240);

/// What a client sees of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Entity tag with its quotes.
    pub etag: String,
    /// Content type, encoding, language and disposition, cache control, expiry.
    pub headers: [Option<String>; 6],
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Everything.
    pub bytes: Bytes,
}

/// What a client sees of an object; its tags, where the old store has some.
pub async fn see(Place { client, bucket, .. }: &Place, key: &str, tags: bool) -> Seen {
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{key}: {error:?}"));
    let tags = if tags {
        client.get_object_tagging().bucket(bucket).key(key).send().await.unwrap().tag_set
    } else {
        Vec::new()
    };
    // A store that was told no content type shows one of its own.
    let usual = |kind: &&str| !matches!(*kind, "binary/octet-stream" | "application/octet-stream");
    let headers = [
        answer.content_type().filter(usual),
        answer.content_encoding(),
        answer.content_language(),
        answer.content_disposition(),
        answer.cache_control(),
        answer.expires_string(),
    ];
    Seen {
        etag: answer.e_tag().unwrap().to_owned(),
        headers: headers.map(|value| value.map(str::to_owned)),
        metadata: answer.metadata().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
        tags: tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
        bytes: answer.body.collect().await.unwrap_or_else(|error| panic!("{key}: {error:?}")).into_bytes(),
    }
}

/// Everything that a client sees in a bucket.
pub async fn all(place: &Place, tags: bool) -> BTreeMap<String, Seen> {
    let keys = s3::keys(&place.client, &place.bucket, "").await;
    let seen = stream::iter(keys).map(async |key| (key.clone(), see(place, &key, tags).await));
    seen.buffer_unordered(8).collect().await
}

/// Panics unless both sides are the same.
pub fn assert_equal(here: &BTreeMap<String, Seen>, there: &BTreeMap<String, Seen>) {
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (key, seen) in here {
        assert!(*seen == there[key], "{key}: {seen:?} and {:?}", there[key]);
    }
}

/// The old store, and ours.
pub struct Both {
    /// The old one, with its bucket.
    pub old: OtherStore,
    /// Ours, with [`BUCKET`].
    pub new: Server,
    /// Whether the old one has tags.
    pub tags: bool,
}

impl Both {
    /// The bucket of the old store.
    pub fn there(&self) -> Place {
        Place {
            store: self.old.name,
            client: self.old.client.clone(),
            bucket: self.old.setup.bucket.to_owned(),
        }
    }

    /// The bucket here.
    pub fn here(&self) -> Place {
        Place { store: "ours", client: self.new.s3(), bucket: BUCKET.to_owned() }
    }

    /// Runs `juststorage upstream` for the bucket.
    pub fn run(&self, arguments: &[&str]) -> Value {
        let base = ["upstream"].into_iter().chain(arguments.iter().copied());
        let all: Vec<&str> = base.chain(["--bucket", BUCKET, "--json"]).collect();
        serde_json::from_str(&self.new.run_ok(&all)).unwrap()
    }

    /// Binds the bucket to the old store's.
    pub fn bind(&self, mode: &str) {
        let target =
            ["--endpoint", &self.old.endpoint, "--upstream-bucket", self.old.setup.bucket, "--allow-private"];
        let account = [
            "--access-key",
            self.old.setup.access_key,
            "--secret-key",
            self.old.setup.secret_key,
            "--mode",
            mode,
        ];
        self.run(&[&["set"], &target[..], &account].concat());
    }

    /// Sets the mode.
    pub fn mode(&self, mode: &str) {
        self.run(&["set", "--mode", mode]);
    }

    /// Fetches everything.
    pub fn backfill(&self) {
        let done = self.run(&["backfill"]);
        assert_eq!((&done["clean"], &done["failed"]), (&true.into(), &0.into()), "{done}");
    }

    /// Compares both sides, which must be clean.
    pub fn verify(&self) -> Value {
        let done = self.run(&["verify"]);
        assert_eq!(done["clean"], true, "{done}");
        done
    }

    /// Waits until nothing waits to be sent, and the pass over all keys is done.
    pub async fn sent(&self) {
        let mut mirror = Value::Null;
        let sent = wait::within(SENT_MAX, async || {
            mirror = self.run(&["status"])["mirror"].clone();
            (mirror["waiting"] == 0 && !mirror["pass"]["finished_at"].is_null()).then_some(())
        });
        let sent = sent.await;
        assert!(sent.is_some(), "not everything is sent to the old store within {SENT_MAX:?}: {mirror}");
    }

    /// Panics unless both sides are the same once everything is sent.
    pub async fn are_equal(&self) {
        self.sent().await;
        let (here, there) = (self.here(), self.there());
        assert_equal(&all(&here, self.tags).await, &all(&there, self.tags).await);
    }
}
