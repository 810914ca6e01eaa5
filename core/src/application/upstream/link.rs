//! A connected upstream, its breaker and its count of calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::pacer::Pacer;
use crate::application::metrics;
use crate::application::ports::upstream::{
    Answer, Upstream, UpstreamBody, UpstreamCarried, UpstreamError, UpstreamFacts, UpstreamObject,
    UpstreamPage, UpstreamQuery, UpstreamSent, UpstreamTold, VersionsPage, VersionsQuery,
};
use crate::domain::address::Key;
use crate::domain::mirror::versions::Listed;
use crate::domain::object::Tags;
use crate::domain::range::Span;
use crate::domain::upstream::Target;

/// How often a body that breaks is taken up again where it broke.
const RESUMES_MAX: u32 = 3;

/// How long it is remembered whether a bucket keeps versions.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// A connected upstream.
pub(crate) struct Link {
    upstream: Arc<dyn Upstream>,
    answers: Breaker,
    /// Of bodies: they may stop or break although every answer begins well.
    bodies: Breaker,
    /// What background work takes of it.
    pub(crate) pacer: Pacer,
    /// Whether its bucket keeps versions, and when it said so.
    versions: Mutex<Option<(Instant, bool)>>,
    pub(crate) target: Target,
}

impl Link {
    pub(super) fn new(upstream: Arc<dyn Upstream>, target: Target) -> Self {
        let pacer = Pacer::of(&target);
        Self {
            upstream,
            answers: Breaker::default(),
            bodies: Breaker::default(),
            pacer,
            versions: Mutex::default(),
            target,
        }
    }

    /// Makes a call, unless the upstream is left alone.
    async fn call<T>(&self, name: &'static str, call: impl Future<Output = Answer<T>>) -> Answer<T> {
        self.answers.admits(Instant::now()).map_err(|rest| left_alone(name, rest))?;
        let answer = call.await;
        self.note(name, &self.answers, answer.as_ref().err());
        answer
    }

    /// Asks for the bytes of an object, unless its bodies do not come.
    async fn open(&self, key: &Key, span: Option<Span>, etag: Option<&str>) -> Answer<Option<UpstreamBody>> {
        self.bodies.admits(Instant::now()).map_err(|rest| left_alone("get", rest))?;
        self.call("get", self.upstream.get(key, span, etag)).await
    }

    /// A call, or the body of an answer, came to this.
    fn note(&self, name: &'static str, breaker: &Breaker, error: Option<&UpstreamError>) {
        match error {
            Some(error) if error.is_outage() => {
                metrics::upstream_call(name, "away");
                if breaker.failed(Instant::now()) {
                    tracing::error!(endpoint = self.target.endpoint, bucket = self.target.bucket, %error, "upstream is away");
                }
            }
            Some(error) => {
                breaker.succeeded();
                metrics::upstream_call(name, "refused");
                tracing::warn!(endpoint = self.target.endpoint, bucket = self.target.bucket, %error, "upstream refused a call");
            }
            None => {
                breaker.succeeded();
                metrics::upstream_call(name, "done");
            }
        }
    }

    /// A listing was not waited for any longer.
    pub(crate) fn gave_up(&self, error: &UpstreamError) {
        self.note("list", &self.answers, Some(error));
    }

    /// Whether it is left alone just now.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.answers.is_open() || self.bodies.is_open()
    }

    /// Hears from now on when it is asked again that was left alone, and answers.
    pub(crate) fn closings(&self) -> watch::Receiver<u64> {
        self.answers.closings()
    }

    pub(crate) async fn probe(&self) -> Answer<()> {
        self.call("list", self.upstream.probe()).await
    }

    pub(crate) async fn facts(&self) -> Answer<UpstreamFacts> {
        self.call("settings", self.upstream.facts()).await
    }

    pub(crate) async fn head(&self, key: &Key) -> Answer<Option<UpstreamObject>> {
        self.call("head", self.upstream.head(key)).await
    }

    pub(crate) async fn tags(&self, key: &Key) -> Answer<Tags> {
        self.call("tags", self.upstream.tags(key)).await
    }

    pub(crate) async fn part_sizes(&self, key: &Key) -> Answer<Option<Vec<u64>>> {
        self.call("attributes", self.upstream.part_sizes(key)).await
    }

    pub(crate) async fn first_part(&self, key: &Key) -> Answer<Option<u64>> {
        self.call("head", self.upstream.first_part(key)).await
    }

    pub(crate) async fn list(&self, query: &UpstreamQuery) -> Answer<UpstreamPage> {
        self.call("list", self.upstream.list(query)).await
    }

    pub(crate) async fn put(
        &self,
        key: &Key,
        carried: &UpstreamCarried,
        sent: UpstreamSent,
    ) -> Answer<UpstreamTold> {
        self.call("put", self.upstream.put(key, carried, sent)).await
    }

    pub(crate) async fn begin_upload(&self, key: &Key, carried: &UpstreamCarried) -> Answer<String> {
        self.call("put", self.upstream.begin_upload(key, carried)).await
    }

    pub(crate) async fn put_part(
        &self,
        key: &Key,
        upload: &str,
        number: u32,
        sent: UpstreamSent,
    ) -> Answer<UpstreamTold> {
        self.call("put", self.upstream.put_part(key, upload, number, sent)).await
    }

    pub(crate) async fn complete_upload(
        &self,
        key: &Key,
        upload: &str,
        parts: &[String],
    ) -> Answer<UpstreamTold> {
        self.call("put", self.upstream.complete_upload(key, upload, parts)).await
    }

    pub(crate) async fn abort_upload(&self, key: &Key, upload: &str) -> Answer<()> {
        self.call("delete", self.upstream.abort_upload(key, upload)).await
    }

    pub(crate) async fn set_tags(&self, key: &Key, tags: &Tags) -> Answer<()> {
        self.call("put", self.upstream.set_tags(key, tags)).await
    }

    pub(crate) async fn remove(&self, key: &Key) -> Answer<Option<String>> {
        self.call("delete", self.upstream.remove(key)).await
    }

    pub(crate) async fn add_marker(&self, key: &Key) -> Answer<Option<String>> {
        self.call("delete", self.upstream.add_marker(key)).await
    }

    /// Whether the bucket keeps versions, as it said within the last minute.
    pub(crate) async fn keeps_versions(&self) -> Answer<bool> {
        let known = *self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, keeps)) = known
            && asked.elapsed() < KNOWN_FOR
        {
            return Ok(keeps);
        }
        let keeps = self.call("settings", self.upstream.keeps_versions()).await?;
        *self.versions.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), keeps));
        Ok(keeps)
    }

    /// It made an object without a version: it is asked again whether it keeps them.
    pub(crate) fn made_no_version(&self) {
        *self.versions.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) async fn versions(&self, key: &Key) -> Answer<Vec<Listed>> {
        self.call("list", self.upstream.versions(key)).await
    }

    pub(crate) async fn list_versions(&self, query: &VersionsQuery) -> Answer<VersionsPage> {
        self.call("list", self.upstream.list_versions(query)).await
    }

    pub(crate) async fn remove_version(&self, key: &Key, version: &str) -> Answer<()> {
        self.call("delete", self.upstream.remove_version(key, version)).await
    }

    /// Reads an object or a stretch of it. A body that breaks is taken up again where it broke, as long as the object is the
    /// same one.
    pub(crate) async fn get(
        self: &Arc<Self>,
        key: &Key,
        span: Option<Span>,
        etag: Option<&str>,
    ) -> Answer<Option<UpstreamBody>> {
        let Some(body) = self.open(key, span, etag).await? else { return Ok(None) };
        let start = span.map_or(0, |span| span.start);
        let rest = Rest {
            link: self.clone(),
            key: key.clone(),
            etag: body.object.etag.clone(),
            at: start,
            end: start + body.object.size,
            resumes: RESUMES_MAX,
            stream: body.stream,
        };
        Ok(Some(UpstreamBody { object: body.object, stream: rest.into_stream() }))
    }
}

fn left_alone(call: &'static str, rest: Duration) -> UpstreamError {
    metrics::upstream_call(call, "not_tried");
    UpstreamError::LeftAlone(rest)
}

/// What is still to come of a body.
struct Rest {
    link: Arc<Link>,
    key: Key,
    etag: String,
    at: u64,
    end: u64,
    resumes: u32,
    stream: BoxStream<'static, Answer<Bytes>>,
}

impl Rest {
    fn into_stream(self) -> BoxStream<'static, Answer<Bytes>> {
        stream::try_unfold(self, |mut rest| async move {
            loop {
                match rest.stream.next().await {
                    Some(Ok(bytes)) => {
                        rest.at += bytes.len() as u64;
                        return Ok(Some((bytes, rest)));
                    }
                    None => {
                        rest.link.note("body", &rest.link.bodies, None);
                        return Ok(None);
                    }
                    Some(Err(error)) => rest.resume(error).await?,
                }
            }
        })
        .boxed()
    }

    /// Takes the body up again behind what has come. Without a tag nothing tells whether it is the same object.
    async fn resume(&mut self, error: UpstreamError) -> Answer<()> {
        self.link.note("body", &self.link.bodies, Some(&error));
        if !error.is_outage() || self.resumes == 0 || self.etag.is_empty() || self.at >= self.end {
            return Err(error);
        }
        self.resumes -= 1;
        let span = Span { start: self.at, end: self.end };
        let again = self.link.open(&self.key, Some(span), Some(&self.etag)).await?;
        let Some(again) = again else { return Err(UpstreamError::Changed) };
        self.stream = again.stream;
        Ok(())
    }
}
