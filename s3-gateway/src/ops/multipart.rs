//! Multipart uploads: create, upload parts, complete, abort.

use std::sync::Arc;

use http::HeaderMap;
use juststorage_core::application::objects::put::EtagStyle;
use juststorage_core::application::uploads::{Completion, UploadRef, UploadRequest};
use juststorage_core::domain::checksum::{Checksum, ChecksumAlgorithm};
use juststorage_core::domain::etag::Etag;
use juststorage_core::domain::multipart::{CompleteRefusal, PartClaim, PartNumber, UploadId};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::objects::body_length;
use super::settings::lifecycle::expiration;
use crate::api::Api;
use crate::auth::{note_namespace, who};
use crate::dto::checksums::{self, set_checksum};
use crate::dto::{address, attributes, conditions, effective_headers, fields::text, values};
use crate::errors::{bad_request, translate, writable, wrong_argument};
use crate::wire::body::{self, Trailing};

/// The upload that a request names. An invalid id names no upload; this is answered after the check that the bucket
/// exists and that the caller may know.
pub(crate) fn upload(bucket: &str, key: &str, id: &str) -> S3Result<UploadRef> {
    let at = (address::place(bucket)?, address::key(key)?);
    let id = UploadId::parse(id).unwrap_or(UploadId(uuid::Uuid::nil()));
    Ok(UploadRef { id, at: Some(at) })
}

/// A part's number.
pub(crate) fn part_number(number: i32) -> S3Result<PartNumber> {
    PartNumber::new(i64::from(number)).map_err(|_| {
        let why = "Part number must be an integer between 1 and 10000, inclusive";
        wrong_argument("partNumber", &number.to_string(), why)
    })
}

pub(crate) async fn create(
    api: &Api,
    mut request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let headers = effective_headers(&request.headers, &request.uri);
    let checksum = checksums::of_upload(&headers)?;
    let upload = UploadRequest {
        place: address::place(&request.input.bucket)?,
        key: Some(address::key(&request.input.key)?),
        attributes: attributes::attributes(&headers, request.input.metadata.take())?,
        checksum,
    };
    let upload = api.store.create_upload(who(&request)?, upload).await.map_err(translate)?;
    note_namespace(upload.space.address.namespace.as_str());
    let output = CreateMultipartUploadOutput {
        bucket: Some(request.input.bucket),
        key: Some(writable(request.input.key)),
        upload_id: Some(upload.id.to_string()),
        checksum_algorithm: checksum.map(|(algorithm, _)| checksums::algorithm_out(algorithm)),
        checksum_type: checksum.map(|(_, kind)| checksums::kind_out(kind)),
        ..CreateMultipartUploadOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(crate) async fn part(
    api: &Api,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let headers = effective_headers(&request.headers, &request.uri);
    let declared = checksums::declared(&headers)?;
    let algorithm = declared.algorithm();
    let upload = upload(&request.input.bucket, &request.input.key, &request.input.upload_id)?;
    let number = part_number(request.input.part_number)?;
    let length = body_length(request.input.content_length)?;
    let trailing = Trailing::take(&mut request);
    let (body, failure) = body::incoming(request.input.body.take(), length, declared, trailing);
    let part = api
        .store
        .put_part(who(&request)?, &upload, number, EtagStyle::Md5, algorithm, body)
        .await
        .map_err(|error| failure.explain(error))?;
    let mut output =
        UploadPartOutput { e_tag: Some(values::etag(&part.etag)), ..UploadPartOutput::default() };
    set_checksum!(output, &part.checksum);
    Ok(S3Response::new(output))
}

pub(crate) async fn complete(
    api: &Api,
    mut request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let upload = upload(&request.input.bucket, &request.input.key, &request.input.upload_id)?;
    let parts = request.input.multipart_upload.take().and_then(|list| list.parts).unwrap_or_default();
    let claims = parts.into_iter().map(|part| claim(&part)).collect::<S3Result<Arc<[_]>>>()?;
    let completion = Completion {
        expected: checksums::of_completion(&request.headers)?,
        checksums_required: true,
        preconditions: conditions::of_write(&request.headers)?,
        claims: Some(claims),
        expected_kind: checksums::kind_header(&request.headers)?,
        expected_size: expected_size(&request.headers)?,
    };
    let object = api.store.complete_upload(who(&request)?, &upload, completion).await.map_err(translate)?;
    note_namespace(object.address.namespace.as_str());
    let input = &request.input;
    let location = api.locations.of(&request.headers, &request.uri, &input.bucket, &input.key);
    let mut output = CompleteMultipartUploadOutput {
        location: Some(writable(location)),
        bucket: Some(request.input.bucket),
        key: Some(writable(request.input.key)),
        e_tag: Some(values::etag(&object.etag)),
        version_id: values::written_version(&object),
        expiration: expiration(api, &object).await?,
        ..CompleteMultipartUploadOutput::default()
    };
    set_checksum!(output, &object.checksum);
    output.checksum_type = object.checksum.as_ref().map(|checksum| checksums::kind_out(checksum.kind));
    Ok(S3Response::new(output))
}

/// A part in a completion.
fn claim(part: &CompletedPart) -> S3Result<PartClaim> {
    let malformed = || {
        bad_request(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let number = part_number(part.part_number.ok_or_else(malformed)?)?;
    let etag = part.e_tag.as_ref().ok_or_else(malformed)?;
    let etag = Etag::parse(etag.value()).map_err(|_| translate(CompleteRefusal::Part(number).into()))?;
    let declared = [
        (ChecksumAlgorithm::Crc32, &part.checksum_crc32),
        (ChecksumAlgorithm::Crc32c, &part.checksum_crc32c),
        (ChecksumAlgorithm::Crc64Nvme, &part.checksum_crc64nvme),
        (ChecksumAlgorithm::Sha1, &part.checksum_sha1),
        (ChecksumAlgorithm::Sha256, &part.checksum_sha256),
        (ChecksumAlgorithm::Sha512, &part.checksum_sha512),
        (ChecksumAlgorithm::Md5, &part.checksum_md5),
        (ChecksumAlgorithm::XxHash64, &part.checksum_xxhash64),
        (ChecksumAlgorithm::XxHash3, &part.checksum_xxhash3),
        (ChecksumAlgorithm::XxHash128, &part.checksum_xxhash128),
    ];
    let named: Vec<_> =
        declared.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value.as_deref()?))).collect();
    let checksum = match named.as_slice() {
        [] => None,
        [(algorithm, value)] => Some(Checksum::declared(*algorithm, value).map_err(|_| wrong_sum(value))?),
        several => {
            let written = several.iter().map(|(algorithm, value)| format!("{}:{value};", algorithm.as_str()));
            return Err(wrong_sum(&written.collect::<String>()));
        }
    };
    Ok(PartClaim { number, etag: Some(etag), checksum })
}

fn wrong_sum(value: &str) -> S3Error {
    wrong_argument("Checksum", value, "Invalid Base64 or multiple checksums present in request")
}

/// The size that the client expects of the object.
fn expected_size(headers: &HeaderMap) -> S3Result<Option<u64>> {
    let Some(size) = text(headers, "x-amz-mp-object-size") else { return Ok(None) };
    size.parse().map(Some).map_err(|_| {
        let negative =
            size.strip_prefix('-').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let what = if negative { "less than zero" } else { "invalid" };
        bad_request("InvalidRequest", format!("Value for x-amz-mp-object-size header is {what}: '{size}'"))
    })
}

pub(crate) async fn abort(
    api: &Api,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = &request.input;
    let upload = upload(&input.bucket, &input.key, &input.upload_id)?;
    api.store.abort_upload(who(&request)?, &upload).await.map_err(translate)?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
