//! Random operations on the real store and on a map, compared after every step, with crashes in between.
//!
//! A failure shrinks to a short list of operations and prints its seed; `PROPTEST_CASES` sets how many runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use common::{Running, noise, object, place, put_request, root, segment_files};
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::copy::CopyRequest;
use juststorage_core::application::objects::put::EtagStyle;
use juststorage_core::application::objects::update::Change;
use juststorage_core::application::uploads::{Completion, UploadRef, UploadRequest};
use juststorage_core::domain::address::Key;
use juststorage_core::domain::multipart::{PART_BYTES_MIN, PartClaim, PartNumber};
use juststorage_core::domain::object::Attributes;
use juststorage_core::domain::object_lock::ObjectLock;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::storage_class::StorageClass;
use proptest::prelude::*;
use proptest::test_runner::Config;
use tempfile::TempDir;

const KEYS: [&str; 3] = ["a", "b/1", "b/2"];

/// Two that go into packs, one that does not, one that is empty.
const SIZES: [usize; 4] = [0, 300, 70_000, 1_100_000];

#[derive(Clone, Debug)]
enum Operation {
    Put {
        key: usize,
        content: usize,
        cold: bool,
    },
    Delete {
        key: usize,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Move {
        key: usize,
        cold: bool,
    },
    Upload {
        key: usize,
        last: usize,
    },
    /// An upload whose client gives up.
    Abandon {
        key: usize,
        content: usize,
    },
    Collect,
    Crash,
    Restart,
}

fn operation() -> impl Strategy<Value = Operation> {
    let (key, content) = (0..KEYS.len(), 0..SIZES.len());
    prop_oneof![
        6 => (key.clone(), content.clone(), any::<bool>())
            .prop_map(|(key, content, cold)| Operation::Put { key, content, cold }),
        4 => key.clone().prop_map(|key| Operation::Delete { key }),
        3 => (key.clone(), key.clone()).prop_map(|(from, to)| Operation::Copy { from, to }),
        2 => (key.clone(), any::<bool>()).prop_map(|(key, cold)| Operation::Move { key, cold }),
        1 => (key.clone(), content.clone()).prop_map(|(key, last)| Operation::Upload { key, last }),
        1 => (key, content).prop_map(|(key, content)| Operation::Abandon { key, content }),
        3 => Just(Operation::Collect),
        2 => Just(Operation::Crash),
        1 => Just(Operation::Restart),
    ]
}

fn content(index: usize) -> Bytes {
    noise(index as u64, SIZES[index])
}

fn class(cold: bool) -> StorageClass {
    if cold { StorageClass::Cold } else { StorageClass::Hot }
}

struct Compared {
    folder: TempDir,
    running: Option<Running>,
    model: BTreeMap<&'static str, Bytes>,
}

impl Compared {
    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    async fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Put { key, content: index, cold } => {
                let mut request = put_request(KEYS[key]);
                request.attributes.class = Some(class(cold));
                let body = Body::of_bytes(content(index));
                self.running().store.put(&root(), request, body).await.unwrap();
                self.model.insert(KEYS[key], content(index));
            }
            Operation::Delete { key } => {
                self.running().delete(KEYS[key]).await;
                self.model.remove(KEYS[key]);
            }
            Operation::Copy { from, to } => self.copy(KEYS[from], KEYS[to]).await,
            Operation::Move { key, cold } => {
                let change = Change { class: Some(class(cold)), ..Change::default() };
                let moved = self.running().store.update(&root(), &object(KEYS[key]), change).await;
                assert_eq!(moved.is_ok(), self.model.contains_key(KEYS[key]));
            }
            Operation::Upload { key, last } => self.upload(KEYS[key], last).await,
            Operation::Abandon { key, content: index } => {
                let length = Some(SIZES[index] as u64 + 1);
                let body = Body { length, ..Body::of_bytes(content(index)) };
                let refused = self.running().store.put(&root(), put_request(KEYS[key]), body).await;
                assert!(matches!(refused, Err(Error::BodyTooShort { .. })));
            }
            Operation::Collect => self.running().collect().await,
            Operation::Crash => {
                self.running.take().unwrap().crash().await;
                self.running = Some(Running::open(self.folder.path()).await);
            }
            Operation::Restart => {
                self.running.take().unwrap().close().await;
                self.running = Some(Running::open(self.folder.path()).await);
            }
        }
    }

    async fn copy(&mut self, from: &'static str, to: &'static str) {
        let request = CopyRequest {
            source: object(from),
            source_preconditions: Preconditions::default(),
            place: place(),
            key: Some(Key::new(to).unwrap()),
            replace: None,
            replace_tags: None,
            lock: ObjectLock::default(),
            class: None,
            preconditions: Preconditions::default(),
            checksum: None,
        };
        let copied = self.running().store.copy(&root(), request).await;
        match self.model.get(from).cloned() {
            Some(bytes) => {
                copied.unwrap();
                self.model.insert(to, bytes);
            }
            None => assert!(matches!(copied, Err(Error::NoSuchObject))),
        }
    }

    async fn upload(&mut self, key: &'static str, last: usize) {
        let store = &self.running().store;
        let request = UploadRequest {
            place: place(),
            key: Some(Key::new(key).unwrap()),
            attributes: Attributes::default(),
            checksum: None,
        };
        let upload = store.create_upload(&root(), request).await.unwrap();
        let reference = UploadRef { id: upload.id, at: None };
        let parts = [noise(99, usize::try_from(PART_BYTES_MIN).unwrap()), content(last)];
        let mut claims = Vec::new();
        for (index, bytes) in (1..).zip(&parts) {
            let number = PartNumber::new(index).unwrap();
            let body = Body::of_bytes(bytes.clone());
            store.put_part(&root(), &reference, number, EtagStyle::Content, None, body).await.unwrap();
            claims.push(PartClaim { number, etag: None, checksum: None });
        }
        let completion = Completion { claims, ..Completion::default() };
        store.complete_upload(&root(), &reference, completion).await.unwrap();
        self.model.insert(key, parts.concat().into());
    }

    async fn compare(&self, after: &Operation) {
        for key in KEYS {
            match (self.running().read(key).await, self.model.get(key)) {
                (Ok(bytes), Some(expected)) => assert!(bytes == *expected, "{key} differs after {after:?}"),
                (Err(Error::NoSuchObject), None) => {}
                (read, expected) => {
                    let read = read.map(|bytes| bytes.len());
                    panic!("{key}: {read:?} against {:?} after {after:?}", expected.map(Bytes::len));
                }
            }
        }
    }
}

async fn run(operations: Vec<Operation>) {
    let folder = TempDir::new().unwrap();
    let running = Some(Running::open(folder.path()).await);
    let mut compared = Compared { folder, running, model: BTreeMap::new() };
    for operation in &operations {
        compared.apply(operation).await;
        compared.compare(operation).await;
    }
    assert_eq!(compared.running().findings().await, []);
    for key in KEYS {
        compared.running().delete(key).await;
    }
    // A restart seals the open packs, so that even the last of them can go.
    compared.apply(&Operation::Restart).await;
    compared.running().collect().await;
    assert_eq!(segment_files(compared.folder.path()), [] as [std::path::PathBuf; 0]);
    assert_eq!(compared.running().findings().await, []);
    compared.running.take().unwrap().close().await;
}

proptest! {
    #![proptest_config(Config { cases: 24, max_shrink_iters: 200, ..Config::default() })]

    #[test]
    fn the_store_behaves_as_a_map(operations in prop::collection::vec(operation(), 1..25)) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(operations));
    }
}
