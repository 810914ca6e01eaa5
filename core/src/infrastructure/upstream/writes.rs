//! What is written to an upstream.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier, StorageClass, Tag, Tagging,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{BoxStream, StreamExt as _};
use http_body::Frame;
use http_body_util::StreamBody;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::PATIENCE;
use super::answers::{failure, is_absent, opaque, tag, version};
use crate::application::ports::upstream::{
    Answer, UpstreamCarried, UpstreamError, UpstreamSent, UpstreamTold,
};
use crate::domain::object::Tags;

/// What stays as it is in a query of tags.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An object there.
pub(super) struct Place<'a> {
    pub(super) client: &'a Client,
    /// Sends bytes.
    pub(super) sending: &'a Client,
    pub(super) bucket: &'a str,
    pub(super) key: String,
}

/// Sets on a request what an object carries: the SDK has a type for each.
macro_rules! carrying {
    ($request:expr, $carried:expr) => {{
        let (carried, headers) = ($carried, &$carried.headers);
        $request
            .set_content_type(headers.content_type.clone())
            .set_content_encoding(headers.content_encoding.clone())
            .set_content_language(headers.content_language.clone())
            .set_content_disposition(headers.content_disposition.clone())
            .set_cache_control(headers.cache_control.clone())
            .set_website_redirect_location(headers.website_redirect.clone())
            .set_metadata((!carried.metadata.is_empty()).then(|| {
                carried.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }))
            .set_tagging((!carried.tags.is_empty()).then(|| query(&carried.tags)))
            .set_storage_class(carried.class.as_deref().map(StorageClass::from))
    }};
}

/// Sends a request with `Expires` as it was given, which need not be a date.
macro_rules! send {
    ($request:expr, $expires:expr) => {{
        let expires: Option<String> = $expires;
        $request
            .customize()
            .mutate_request(move |request| {
                // A value that no header can have was never taken.
                if let Some(value) =
                    expires.as_deref().and_then(|text| http::HeaderValue::from_str(text).ok())
                    && let Ok(value) = value.to_str()
                {
                    request.headers_mut().insert("expires", value.to_owned());
                }
            })
            .send()
            .await
    }};
}

impl Place<'_> {
    pub(super) async fn put(&self, carried: &UpstreamCarried, sent: UpstreamSent) -> Answer<UpstreamTold> {
        let (body, going) = body(sent.stream);
        let request = self.sending.put_object().bucket(self.bucket).key(&self.key);
        let request = carrying!(request, carried)
            .content_length(length(sent.length)?)
            .set_content_md5(sent.md5.map(|md5| STANDARD.encode(md5)))
            .set_checksum_sha256(sent.sha256.map(|sha256| STANDARD.encode(sha256.0)))
            .body(body);
        let expires = carried.headers.expires.clone();
        let output = going.watch(async move { send!(request, expires).map_err(failure) }.boxed()).await?;
        let opaque = opaque(output.server_side_encryption(), output.sse_customer_algorithm());
        Ok(UpstreamTold { etag: tag(output.e_tag()), opaque, version: version(output.version_id()) })
    }

    pub(super) async fn begin_upload(&self, carried: &UpstreamCarried) -> Answer<String> {
        let request = self.client.create_multipart_upload().bucket(self.bucket).key(&self.key);
        let request = carrying!(request, carried);
        let output = send!(request, carried.headers.expires.clone()).map_err(failure)?;
        let untold = || UpstreamError::Unusable("it does not tell the id of an upload".to_owned());
        output.upload_id().map(str::to_owned).ok_or_else(untold)
    }

    pub(super) async fn put_part(
        &self,
        upload: &str,
        number: u32,
        sent: UpstreamSent,
    ) -> Answer<UpstreamTold> {
        let (body, going) = body(sent.stream);
        let request = self
            .sending
            .upload_part()
            .bucket(self.bucket)
            .key(&self.key)
            .upload_id(upload)
            .part_number(part_number(number)?)
            .content_length(length(sent.length)?)
            .set_content_md5(sent.md5.map(|md5| STANDARD.encode(md5)))
            .body(body);
        let output = going.watch(async move { request.send().await.map_err(failure) }.boxed()).await?;
        let opaque = opaque(output.server_side_encryption(), output.sse_customer_algorithm());
        Ok(UpstreamTold { etag: tag(output.e_tag()), opaque, version: None })
    }

    pub(super) async fn complete_upload(&self, upload: &str, parts: &[String]) -> Answer<UpstreamTold> {
        let mut completed = CompletedMultipartUpload::builder();
        for (number, etag) in (1_u32..).zip(parts) {
            let part = CompletedPart::builder().part_number(part_number(number)?).e_tag(etag);
            completed = completed.parts(part.build());
        }
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(self.bucket)
            .key(&self.key)
            .upload_id(upload)
            .multipart_upload(completed.build());
        let output = request.send().await.map_err(failure)?;
        let opaque = opaque(output.server_side_encryption(), None);
        Ok(UpstreamTold { etag: tag(output.e_tag()), opaque, version: version(output.version_id()) })
    }

    pub(super) async fn abort_upload(&self, upload: &str) -> Answer<()> {
        let request =
            self.client.abort_multipart_upload().bucket(self.bucket).key(&self.key).upload_id(upload);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(failure(error)),
        }
    }

    pub(super) async fn set_tags(&self, tags: &Tags) -> Answer<()> {
        let (bucket, key) = (self.bucket, &self.key);
        if tags.is_empty() {
            let request = self.client.delete_object_tagging().bucket(bucket).key(key);
            return request.send().await.map(drop).map_err(failure);
        }
        let unusable = |error: aws_sdk_s3::error::BuildError| UpstreamError::Unusable(error.to_string());
        let mut tagging = Tagging::builder();
        for (name, value) in tags {
            tagging = tagging.tag_set(Tag::builder().key(name).value(value).build().map_err(unusable)?);
        }
        let tagging = tagging.build().map_err(unusable)?;
        let request = self.client.put_object_tagging().bucket(bucket).key(key).tagging(tagging);
        request.send().await.map(drop).map_err(failure)
    }

    /// The id of the delete marker that was made, if one was.
    pub(super) async fn remove(&self) -> Answer<Option<String>> {
        match self.client.delete_object().bucket(self.bucket).key(&self.key).send().await {
            Ok(output) if output.delete_marker() == Some(true) => Ok(version(output.version_id())),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    /// The id of the delete marker that was made, if one was.
    pub(super) async fn add_marker(&self) -> Answer<Option<String>> {
        let object = ObjectIdentifier::builder().key(&self.key).build();
        let delete = object.and_then(|object| Delete::builder().objects(object).build());
        let delete = delete.map_err(|error| UpstreamError::Unusable(error.to_string()))?;
        match self.client.delete_objects().bucket(self.bucket).delete(delete).send().await {
            Ok(output) => {
                Ok(output.deleted().first().and_then(|gone| version(gone.delete_marker_version_id())))
            }
            Err(error) => match failure(error) {
                error if error.is_outage() => Err(error),
                // Google's store offers no such request.
                error => {
                    tracing::debug!(%error, "an upstream makes no delete marker on another one");
                    Ok(None)
                }
            },
        }
    }

    pub(super) async fn remove_version(&self, id: &str) -> Answer<()> {
        let request = self.client.delete_object().bucket(self.bucket).key(&self.key).version_id(id);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(failure(error)),
        }
    }
}

fn query(tags: &Tags) -> String {
    let pair = |(name, value): (&String, &String)| {
        format!("{}={}", utf8_percent_encode(name, QUERY), utf8_percent_encode(value, QUERY))
    };
    tags.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn length(length: u64) -> Answer<i64> {
    i64::try_from(length).map_err(|_| UpstreamError::Unusable("the object is too large".to_owned()))
}

fn part_number(number: u32) -> Answer<i32> {
    i32::try_from(number).map_err(|_| UpstreamError::Unusable("too many parts".to_owned()))
}

/// A body that is sent as it comes, and whether it goes. It cannot be sent again: whoever sends it begins anew.
fn body(stream: BoxStream<'static, Answer<Bytes>>) -> (ByteStream, Going) {
    let going = Going::default();
    let pieces = going.0.clone();
    let frames = stream.map(move |piece| {
        pieces.fetch_add(1, Ordering::Relaxed);
        piece.map(Frame::data)
    });
    let body = SdkBody::from_body_1_x(StreamBody::new(Shared(Mutex::new(frames.boxed()))));
    (ByteStream::new(body), going)
}

/// Counts the pieces of a body that were taken.
#[derive(Default)]
struct Going(Arc<AtomicU64>);

impl Going {
    /// Waits for an answer, as long as pieces of the body are taken.
    async fn watch<T>(&self, mut answer: BoxFuture<'_, Answer<T>>) -> Answer<T> {
        let mut seen = 0;
        loop {
            if let Ok(answer) = tokio::time::timeout(PATIENCE, &mut answer).await {
                return answer;
            }
            let taken = self.0.load(Ordering::Relaxed);
            if taken == seen {
                return Err(UpstreamError::Away("it takes no bytes, and does not answer".to_owned()));
            }
            seen = taken;
        }
    }
}

/// A stream that only its owner polls: a body must be shareable between threads, which the lock makes of it. Nobody ever waits
/// for the lock.
struct Shared(Mutex<BoxStream<'static, Answer<Frame<Bytes>>>>);

impl futures::Stream for Shared {
    type Item = Answer<Frame<Bytes>>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        match self.0.get_mut() {
            Ok(stream) => stream.poll_next_unpin(context),
            Err(_) => std::task::Poll::Ready(None),
        }
    }
}
