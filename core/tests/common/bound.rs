//! A store of which one space reads through to an upstream in memory.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use juststorage_core::application::admin::{Admin, UpstreamChange};
use juststorage_core::application::error::Result;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::list::ListRequest;
use juststorage_core::application::ports::metadata::PassKind;
use juststorage_core::application::workers::{UpstreamWorker, worker::run_dry};
use juststorage_core::domain::address::Key;
use juststorage_core::domain::upstream::{Mode, Source};
use juststorage_core::testing::upstream::FakeUpstream;
use serde_json::Value;

use crate::common::{Running, object, place, root, space};

/// A store of which one space is bound to an upstream in memory.
pub struct Bound {
    pub run: Running,
    pub upstream: FakeUpstream,
    pub admin: Admin,
    _directory: tempfile::TempDir,
}

impl Bound {
    pub async fn new(mode: Mode) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (run, upstream) = (Running::open(directory.path()).await, FakeUpstream::default());
        Self::over(run, upstream, mode, directory).await
    }

    /// With room for few of everything.
    pub async fn narrow(mode: Mode) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (run, upstream) = (Running::open_narrow(directory.path()).await, FakeUpstream::default());
        Self::over(run, upstream, mode, directory).await
    }

    pub async fn over(
        mut run: Running,
        upstream: FakeUpstream,
        mode: Mode,
        directory: tempfile::TempDir,
    ) -> Self {
        run.reach(&upstream);
        let admin = run.admin();
        let bound = Self { run, upstream, admin, _directory: directory };
        let change = UpstreamChange {
            endpoint: Some("http://old".into()),
            bucket: Some("old".into()),
            access_key: Some("K".into()),
            secret_key: Some("S".into()),
            ..UpstreamChange::default()
        };
        bound.admin.set_upstream(&root(), &space(), &change).await.unwrap();
        bound.set(mode).await;
        run_dry(&bound.worker()).await.unwrap();
        bound
    }

    /// What is here wins, if the space comes again.
    pub async fn set(&self, mode: Mode) {
        let change = UpstreamChange { mode: Some(mode), keep_here: true, ..UpstreamChange::default() };
        self.admin.set_upstream(&root(), &space(), &change).await.unwrap();
    }

    pub fn worker(&self) -> UpstreamWorker {
        UpstreamWorker::new(self.run.store.clone())
    }

    /// Does a whole pass; its report.
    pub async fn pass(&self, kind: PassKind) -> Value {
        self.admin.begin_pass(&root(), &space(), kind).await.unwrap();
        run_dry(&self.worker()).await.unwrap();
        let status = self.admin.upstream(&root(), &space()).await.unwrap();
        let pass = status.passes.into_iter().find(|pass| pass.kind == kind).unwrap();
        assert!(pass.finished_at.is_some());
        serde_json::from_str(&pass.report).unwrap()
    }

    /// What a read answers: where from, and the bytes.
    pub async fn get(&self, key: &str) -> Result<(Option<Source>, Bytes)> {
        self.get_with(key, &ReadOptions::default()).await
    }

    pub async fn get_with(&self, key: &str, options: &ReadOptions) -> Result<(Option<Source>, Bytes)> {
        let download = self.run.store.get(&root(), &object(key), options).await?;
        let chunks: Vec<Bytes> = download.body.try_collect().await?;
        Ok((download.head.source, chunks.concat().into()))
    }

    pub async fn is_here(&self, key: &str) -> bool {
        self.run.metadata.latest(&place(), &Key::new(key).unwrap()).await.unwrap().is_some()
    }

    pub async fn keys(&self, prefix: &str, delimiter: Option<&str>, limit: u32) -> Vec<String> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let request = ListRequest {
                place: place(),
                prefix: prefix.to_owned(),
                delimiter: delimiter.map(str::to_owned),
                after,
                versions: false,
                keyless: false,
                limit,
            };
            let page = self.run.store.list_latest(&root(), &request).await.unwrap();
            all.extend(page.entries.iter().map(|entry| entry.key().to_owned()));
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// Waits until what was read is here: a body may end before it is committed.
    pub async fn settled(&self) {
        while !self.is_here("cut").await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn end(self) {
        assert_eq!(self.run.findings().await, [], "the store is whole");
        self.run.close().await;
    }
}
