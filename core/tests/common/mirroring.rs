//! What sends the changes of a space to an upstream in memory, and what the tests do to both.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use bytes::Bytes;
use juststorage_core::application::admin::UpstreamChange;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::application::objects::update::Change;
use juststorage_core::application::ports::metadata::{OutboxTarget, Stuck};
use juststorage_core::application::uploads::{Completion, UploadRef, UploadRequest};
use juststorage_core::application::workers::outbox::{Delivery, Passed};
use juststorage_core::application::workers::{Deliveries, MirrorSink, worker::run_dry};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::Key;
use juststorage_core::domain::multipart::{PartClaim, PartNumber};
use juststorage_core::domain::object::{Attributes, Tags};
use juststorage_core::domain::patch::AttributesPatch;
use juststorage_core::domain::space::SpaceId;
use juststorage_core::domain::upstream::Mode;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bound::Bound;
use crate::common::{noise, object, place, put_request, root, space};

pub const MIB: usize = 1 << 20;

/// What delivers.
pub struct Sending(pub Delivery);

impl Sending {
    pub async fn of(bound: &Bound) -> Self {
        Self::as_holder(bound, 1).await
    }

    pub async fn as_holder(bound: &Bound, holder: u128) -> Self {
        let run = &bound.run;
        let target = target(bound).await.expect("a target");
        let sink = Arc::new(MirrorSink::new(run.store.clone()));
        let holder = Uuid::from_u128(holder);
        Self(Delivery::new(
            run.metadata.clone(),
            run.clock.clone(),
            holder,
            sink,
            target,
            Deliveries::default(),
        ))
    }

    pub async fn pass(&mut self) -> Passed {
        self.0.pass(&CancellationToken::new()).await.unwrap()
    }

    /// Sends until nothing is due.
    pub async fn all(&mut self) {
        loop {
            match self.pass().await {
                Passed::More => {}
                Passed::Nothing => return,
                Passed::Away(_) => tokio::task::yield_now().await,
                Passed::Elsewhere => panic!("another one sends"),
            }
        }
    }
}

pub async fn target(bound: &Bound) -> Option<OutboxTarget> {
    bound.run.metadata.outbox_targets().await.unwrap().pop()
}

pub async fn waiting(bound: &Bound) -> u64 {
    bound.run.metadata.outbox_figures().await.unwrap()[0].waiting
}

pub async fn aside(bound: &Bound) -> Vec<Stuck> {
    bound.run.metadata.stuck_under("outbox", "event:", 100).await.unwrap()
}

/// What both sides have must be the same: keys, tags, bytes, headers, metadata and tags.
pub async fn is_equal(bound: &Bound) {
    let here = bound.keys("", None, 1000).await;
    for key in bound.upstream.keys() {
        assert!(here.contains(&key), "{key} is there and not here");
    }
    for key in here {
        let (bytes, said, tags) = bound.upstream.object(&key).unwrap_or_else(|| panic!("{key} is not there"));
        let head =
            bound.run.store.head(&root(), &object(&key), &ReadOptions::default()).await.unwrap().object;
        assert_eq!(said.etag, head.etag.as_str(), "{key}");
        assert_eq!((said.headers, said.metadata, tags), (head.headers, head.metadata, head.tags), "{key}");
        assert_eq!(bytes, bound.run.read(&key).await.unwrap(), "{key}");
    }
}

pub async fn mirrored() -> Bound {
    Bound::new(Mode::Mirror).await
}

/// With an MD5 as its entity tag, as S3 clients have it.
pub async fn put(bound: &Bound, key: &str, bytes: Bytes) {
    let request = PutRequest { etag: EtagStyle::Md5, ..put_request(key) };
    bound.run.store.put(&root(), request, Body::of_bytes(bytes)).await.unwrap();
}

/// As an upload in parts of these sizes.
pub async fn put_parts(bound: &Bound, key: &str, parts: &[usize]) {
    let store = &bound.run.store;
    let attributes = Attributes {
        metadata: [("owner".to_owned(), "me".to_owned())].into(),
        tags: [("a".to_owned(), "b c".to_owned())].into(),
        ..Attributes::default()
    };
    let key = Some(Key::new(key).unwrap());
    let request = UploadRequest { place: place(), key, attributes, checksum: None };
    let upload = store.create_upload(&root(), request).await.unwrap();
    let (reference, mut claims) = (UploadRef { id: upload.id, at: None }, Vec::new());
    for (index, size) in (1..).zip(parts) {
        let number = PartNumber::new(index).unwrap();
        let body = Body::of_bytes(noise(*size as u64, *size));
        store.put_part(&root(), &reference, number, EtagStyle::Md5, None, body).await.unwrap();
        claims.push(PartClaim { number, etag: None, checksum: None });
    }
    let completion = Completion { claims: Some(claims.into()), ..Completion::default() };
    store.complete_upload(&root(), &reference, completion).await.unwrap();
}

pub async fn change(bound: &Bound, key: &str, patch: AttributesPatch) {
    let change = Change { attributes: Some(patch), ..Change::default() };
    bound.run.store.update(&root(), Action::PutObject, &object(key), change).await.unwrap();
}

pub async fn tag(bound: &Bound, key: &str, tags: Tags) {
    change(bound, key, AttributesPatch { tags: Some(tags), ..AttributesPatch::default() }).await;
}

pub async fn set(bound: &Bound, change: UpstreamChange) {
    bound.admin.set_upstream(&root(), &space(), &change).await.unwrap();
    run_dry(&bound.worker()).await.unwrap();
}

pub async fn space_id(bound: &Bound) -> SpaceId {
    bound.run.metadata.space(&place()).await.unwrap().unwrap().id
}
