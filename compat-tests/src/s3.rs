//! The AWS SDK for Rust, pointed at a server.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

/// The root access key on loopback addresses, and its secret.
pub const ROOT_KEY: &str = "juststorage";

/// A client as a service would make it, but for retries: a test wants to see the first answer.
pub fn client(endpoint: &str, access_key: &str, secret_key: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        // A busy two-core machine may well stall for seconds without anything being wrong.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .build();
    Client::from_conf(config)
}

/// The status and code of a refusal. Panics on a success, naming `what`, and on a failure to get an answer.
pub fn refusal<T, E: ProvideErrorMetadata + std::fmt::Debug>(
    what: &str,
    result: Result<T, SdkError<E>>,
) -> (u16, String) {
    let Err(error) = result else { panic!("{what}: succeeded") };
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let status = status.unwrap_or_else(|| panic!("{what}: no answer: {error:?}"));
    (status, error.code().unwrap_or_default().to_owned())
}

/// Puts `bytes` at `key`.
pub async fn put(client: &Client, bucket: &str, key: &str, bytes: Bytes) -> String {
    let answer = client.put_object().bucket(bucket).key(key).body(ByteStream::from(bytes)).send().await;
    answer.unwrap_or_else(|error| panic!("put {key:?}: {error:?}")).e_tag.expect("an ETag")
}

/// The bytes at `key`.
pub async fn get(client: &Client, bucket: &str, key: &str) -> Bytes {
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    body(answer.unwrap_or_else(|error| panic!("get {key:?}: {error:?}"))).await
}

/// The body of an answer. The SDK verifies its checksum, if it carries one.
pub async fn body(answer: GetObjectOutput) -> Bytes {
    answer.body.collect().await.expect("the whole body").into_bytes()
}

/// Begins an upload of `key` and returns its id.
pub async fn begin(client: &Client, bucket: &str, key: &str) -> String {
    let answer = client.create_multipart_upload().bucket(bucket).key(key).send().await.unwrap();
    answer.upload_id.expect("an upload id")
}

/// Uploads a part.
pub async fn part(
    client: &Client,
    bucket: &str,
    key: &str,
    upload: &str,
    number: i32,
    bytes: Bytes,
) -> CompletedPart {
    let request = client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(number);
    let answer = request.body(ByteStream::from(bytes)).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("part {number} of {key:?}: {error:?}"));
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(answer.e_tag)
        .set_checksum_crc32(answer.checksum_crc32)
        .build()
}

/// The list that completes an upload.
pub fn completed(parts: impl IntoIterator<Item = CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.into_iter().collect())).build()
}

/// Writes `parts` to `key` as one upload and returns the object's entity tag.
pub async fn put_in_parts(client: &Client, bucket: &str, key: &str, parts: &[Bytes]) -> String {
    let upload = begin(client, bucket, key).await;
    let mut done = Vec::new();
    for (number, bytes) in (1..).zip(parts) {
        done.push(part(client, bucket, key, &upload, number, bytes.clone()).await);
    }
    let request = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(&upload);
    let answer = request.multipart_upload(completed(done)).send().await;
    answer.unwrap_or_else(|error| panic!("complete {key:?}: {error:?}")).e_tag.expect("an ETag")
}

/// Every key of the bucket that begins with `prefix`, page after page.
pub async fn keys(client: &Client, bucket: &str, prefix: &str) -> Vec<String> {
    let mut pages = client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
    }
    keys
}

/// Deletes every object and every upload of the bucket.
pub async fn empty(client: &Client, bucket: &str) {
    for key in keys(client, bucket, "").await {
        client.delete_object().bucket(bucket).key(key).send().await.expect("deleted");
    }
    abort_all(client, bucket).await;
}

/// Aborts every upload of the bucket, page after page.
pub async fn abort_all(client: &Client, bucket: &str) {
    loop {
        let page = client.list_multipart_uploads().bucket(bucket).send().await.expect("a list of uploads");
        if page.uploads().is_empty() {
            return;
        }
        for upload in page.uploads() {
            let request = client.abort_multipart_upload().bucket(bucket);
            let request = request.set_key(upload.key.clone()).set_upload_id(upload.upload_id.clone());
            request.send().await.expect("aborted");
        }
    }
}
