//! One upstream: requests and answers.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, Object as SdkObject, ObjectAttributes};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::time::Instant;

use super::PATIENCE;
use super::answers::{self, failure, is_absent, object_of, tagged};
use super::writes::Place;
use super::{facts, versions};
use crate::application::ports::upstream::{
    Answer, Upstream, UpstreamBody, UpstreamCarried, UpstreamError, UpstreamFacts, UpstreamLine,
    UpstreamListed, UpstreamObject, UpstreamPage, UpstreamQuery, UpstreamSent, UpstreamTold, VersionsPage,
    VersionsQuery,
};
use crate::domain::address::Key;
use crate::domain::mirror::versions::Listed;
use crate::domain::object::Tags;
use crate::domain::range::Span;
use crate::domain::upstream::Target;

/// Least rate of a body, in bytes per second, over [`PATIENCE`] of waiting for it. Time in which nobody reads does not count.
const BYTES_PER_SECOND_MIN: u64 = 1024;

/// Parts of one page of `GetObjectAttributes`.
const PARTS: i32 = 1000;

/// An upstream that is asked over HTTP.
pub(super) struct S3Upstream {
    client: Client,
    /// Sends bytes.
    sending: Client,
    target: Target,
}

impl S3Upstream {
    pub(super) fn new(client: Client, sending: Client, target: Target) -> Self {
        Self { client, sending, target }
    }

    fn remote(&self, key: &Key) -> String {
        self.target.remote(key.as_str())
    }

    fn place(&self, key: &Key) -> Place<'_> {
        Place {
            client: &self.client,
            sending: &self.sending,
            bucket: &self.target.bucket,
            key: self.remote(key),
        }
    }

    /// A name there as it is called here; `None` if it is outside the prefix.
    fn local<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.target.prefix.as_str())
    }

    fn listed(&self, object: &SdkObject, page: &mut UpstreamPage) {
        let Some(name) = object.key() else { return };
        let Some(local) = self.local(name) else { return };
        // The prefix itself, as a folder has it.
        if local.is_empty() {
            return;
        }
        match Key::new(local) {
            Ok(key) => page.lines.push(UpstreamLine::Object(UpstreamListed {
                key,
                size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                etag: answers::tag(object.e_tag()),
                modified: answers::time(object.last_modified()),
                class: object.storage_class().map(|class| class.as_str().to_owned()),
            })),
            Err(_) => page.unusable.push(local.to_owned()),
        }
    }
}

#[async_trait]
impl Upstream for S3Upstream {
    async fn probe(&self) -> Answer<()> {
        let bucket = &self.target.bucket;
        self.client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(&self.target.prefix)
            .max_keys(1)
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                if is_absent(&error) { UpstreamError::NoSuchBucket(bucket.clone()) } else { failure(error) }
            })
    }

    async fn facts(&self) -> Answer<UpstreamFacts> {
        facts::facts(&self.client, &self.target.bucket).await
    }

    async fn head(&self, key: &Key) -> Answer<Option<UpstreamObject>> {
        let request = self.client.head_object().bucket(&self.target.bucket).key(self.remote(key));
        match request.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(output) => Ok(Some(tagged(object_of!(output), output.tag_count()))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    async fn get(&self, key: &Key, span: Option<Span>, etag: Option<&str>) -> Answer<Option<UpstreamBody>> {
        let mut request = self.client.get_object().bucket(&self.target.bucket).key(self.remote(key));
        if let Some(span) = span {
            request = request.range(format!("bytes={}-{}", span.start, span.end.saturating_sub(1)));
        }
        if let Some(etag) = etag.filter(|etag| !etag.is_empty()) {
            request = request.if_match(format!("\"{etag}\""));
        }
        let mut output = match request.send().await {
            Ok(output) => output,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failure(error)),
        };
        let object = tagged(object_of!(output), output.tag_count());
        if let Some(span) = span {
            let expected = format!("bytes {}-{}/", span.start, span.end.saturating_sub(1));
            if !output.content_range().is_some_and(|range| range.starts_with(&expected)) {
                return Err(UpstreamError::Unusable(
                    "it does not answer with the range asked for".to_owned(),
                ));
            }
        }
        if etag.is_some_and(|etag| !etag.is_empty() && etag != object.etag) {
            return Err(UpstreamError::Changed);
        }
        let (body, length) = (std::mem::take(&mut output.body), object.size);
        Ok(Some(UpstreamBody { object, stream: patient(body, length) }))
    }

    async fn tags(&self, key: &Key) -> Answer<Tags> {
        let request = self.client.get_object_tagging().bucket(&self.target.bucket).key(self.remote(key));
        let output = request.send().await.map_err(failure)?;
        Ok(output.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
    }

    async fn part_sizes(&self, key: &Key) -> Answer<Option<Vec<u64>>> {
        let (mut sizes, mut after) = (Vec::new(), None);
        loop {
            let request =
                self.client.get_object_attributes().bucket(&self.target.bucket).key(self.remote(key));
            let request = request.object_attributes(ObjectAttributes::ObjectParts).max_parts(PARTS);
            let output = match request.set_part_number_marker(after).send().await.map_err(failure) {
                Ok(output) => output,
                Err(UpstreamError::Away(why)) => return Err(UpstreamError::Away(why)),
                // Not every store has this call.
                Err(_) => return Ok(None),
            };
            let Some(parts) = output.object_parts().filter(|parts| !parts.parts().is_empty()) else {
                return Ok(None);
            };
            for part in parts.parts() {
                let Some(size) = part.size().and_then(|size| u64::try_from(size).ok()) else {
                    return Ok(None);
                };
                sizes.push(size);
            }
            if parts.is_truncated() != Some(true) {
                return Ok(Some(sizes));
            }
            after = parts.next_part_number_marker().map(str::to_owned);
            if after.is_none() {
                return Ok(None);
            }
        }
    }

    async fn first_part(&self, key: &Key) -> Answer<Option<u64>> {
        let request = self.client.head_object().bucket(&self.target.bucket).key(self.remote(key));
        match request.part_number(1).send().await.map_err(failure) {
            // A store that ignores the part number tells the whole.
            Ok(output) if output.parts_count().is_none_or(|parts| parts < 2) => Ok(None),
            Ok(output) => Ok(output.content_length().and_then(|size| u64::try_from(size).ok())),
            Err(UpstreamError::Away(why)) => Err(UpstreamError::Away(why)),
            Err(_) => Ok(None),
        }
    }

    async fn list(&self, query: &UpstreamQuery) -> Answer<UpstreamPage> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.target.bucket)
            .prefix(self.target.remote(&query.prefix))
            .max_keys(i32::try_from(query.limit.clamp(1, 1000)).unwrap_or(1000))
            .set_delimiter(query.delimiter.clone());
        let request = match &query.token {
            Some(token) => request.continuation_token(token),
            None => request.set_start_after(query.after.as_ref().map(|after| self.target.remote(after))),
        };
        let output = request.send().await.map_err(failure)?;
        let mut page = UpstreamPage {
            next: output
                .next_continuation_token()
                .filter(|_| output.is_truncated() == Some(true))
                .map(str::to_owned),
            ..UpstreamPage::default()
        };
        if output.is_truncated() == Some(true) && page.next.is_none() {
            return Err(UpstreamError::Unusable(
                "a page of a listing does not say where the next begins".to_owned(),
            ));
        }
        for object in output.contents() {
            self.listed(object, &mut page);
        }
        for common in output.common_prefixes() {
            if let Some(prefix) = common.prefix().and_then(|prefix| self.local(prefix)) {
                page.lines.push(UpstreamLine::Prefix(prefix.to_owned()));
            }
        }
        if query.delimiter.is_some() {
            // Objects and prefixes come apart from each other.
            page.lines.sort_by(|one, other| one.key().cmp(other.key()));
        }
        Ok(page)
    }

    async fn put(&self, key: &Key, carried: &UpstreamCarried, sent: UpstreamSent) -> Answer<UpstreamTold> {
        self.place(key).put(carried, sent).await
    }

    async fn begin_upload(&self, key: &Key, carried: &UpstreamCarried) -> Answer<String> {
        self.place(key).begin_upload(carried).await
    }

    async fn put_part(
        &self,
        key: &Key,
        upload: &str,
        number: u32,
        sent: UpstreamSent,
    ) -> Answer<UpstreamTold> {
        self.place(key).put_part(upload, number, sent).await
    }

    async fn complete_upload(&self, key: &Key, upload: &str, parts: &[String]) -> Answer<UpstreamTold> {
        self.place(key).complete_upload(upload, parts).await
    }

    async fn abort_upload(&self, key: &Key, upload: &str) -> Answer<()> {
        self.place(key).abort_upload(upload).await
    }

    async fn set_tags(&self, key: &Key, tags: &Tags) -> Answer<()> {
        self.place(key).set_tags(tags).await
    }

    async fn remove(&self, key: &Key) -> Answer<Option<String>> {
        self.place(key).remove().await
    }

    async fn add_marker(&self, key: &Key) -> Answer<Option<String>> {
        self.place(key).add_marker().await
    }

    async fn keeps_versions(&self) -> Answer<bool> {
        versions::are_kept(&self.client, &self.target.bucket).await
    }

    async fn versions(&self, key: &Key) -> Answer<Vec<Listed>> {
        versions::of_key(&self.client, &self.target.bucket, &self.remote(key)).await
    }

    async fn list_versions(&self, query: &VersionsQuery) -> Answer<VersionsPage> {
        versions::page(&self.client, &self.target, query).await
    }

    async fn remove_version(&self, key: &Key, version: &str) -> Answer<()> {
        self.place(key).remove_version(version).await
    }
}

/// The bytes of an answer, exactly as many as it announces; an error if they stop coming, trickle, or are fewer.
fn patient(body: ByteStream, length: u64) -> BoxStream<'static, Answer<Bytes>> {
    stream::try_unfold((body, 0_u64, Rate::default()), move |(mut body, sent, mut rate)| async move {
        let asked = Instant::now();
        let next = tokio::time::timeout(PATIENCE, body.next()).await;
        match next {
            Err(_) => Err(UpstreamError::Away("its body stopped".to_owned())),
            Ok(Some(Ok(bytes))) => {
                let sent = sent + bytes.len() as u64;
                if sent > length {
                    return Err(UpstreamError::NotProved("more bytes came than were announced".to_owned()));
                }
                if sent < length && !rate.suffices(bytes.len() as u64, asked.elapsed()) {
                    return Err(UpstreamError::Away("its body trickles".to_owned()));
                }
                Ok(Some((bytes, (body, sent, rate))))
            }
            Ok(Some(Err(error))) => Err(UpstreamError::Away(format!("its body broke: {error}"))),
            Ok(None) if sent < length => Err(UpstreamError::Away("its body ended early".to_owned())),
            Ok(None) => Ok(None),
        }
    })
    .boxed()
}

/// How fast a body comes, since its rate was last judged.
#[derive(Clone, Copy, Default)]
struct Rate {
    bytes: u64,
    waited: Duration,
}

impl Rate {
    /// So many bytes more came after a wait. Whether that is fast enough, judged once [`PATIENCE`] was waited.
    fn suffices(&mut self, bytes: u64, waited: Duration) -> bool {
        self.bytes += bytes;
        self.waited += waited;
        if self.waited < PATIENCE {
            return true;
        }
        let Self { bytes, waited } = std::mem::take(self);
        bytes >= BYTES_PER_SECOND_MIN * waited.as_secs()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_sdk_s3::primitives::SdkBody;
    use futures::TryStreamExt as _;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// A body of so many pieces of `size` bytes, each after a pause.
    fn body(pieces: u64, size: usize, pause: Duration) -> BoxStream<'static, Answer<Bytes>> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..pieces {
                tokio::time::sleep(pause).await;
                let _ = sender.send(Bytes::from(vec![0; size])).await;
            }
        });
        let pieces_of = stream::unfold(receiver, |mut receiver| async move {
            let piece = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(Frame::data(piece)), receiver))
        });
        let body = SdkBody::from_body_1_x(StreamBody::new(pieces_of));
        patient(ByteStream::new(body), pieces * size as u64)
    }

    /// One that sends a byte now and then holds a connection, a file and its client for ever.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_cut_off() {
        let trickling = body(100_000, 1, Duration::from_secs(1)).try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(trickling, UpstreamError::Away("its body trickles".to_owned()));
        let stopped = body(2, 1000, PATIENCE * 2).try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(stopped, UpstreamError::Away("its body stopped".to_owned()));
        // A slow one that keeps the least rate is read to its end, and so is a short one.
        let slow = body(100, 20_000, Duration::from_secs(15)).try_collect::<Vec<_>>().await.unwrap();
        assert_eq!(slow.len(), 100);
        assert_eq!(body(10, 1, Duration::from_secs(2)).try_collect::<Vec<_>>().await.unwrap().len(), 10);
    }

    /// Who reads slowly does not make the body slow.
    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_no_slow_upstream() {
        let mut fast = body(200, 1, Duration::from_millis(1));
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            fast.try_next().await.unwrap().unwrap();
        }
    }
}
