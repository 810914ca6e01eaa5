//! Listings of open uploads and of their parts.

use juststorage_core::application::objects::list::{Cursor, PAGE_MAX};
use juststorage_core::application::uploads::ListUploadsRequest;
use juststorage_core::domain::address::Key;
use juststorage_core::domain::multipart::{PartNumber, UploadId};
use s3s::dto::{
    CommonPrefix, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, Part, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::listing::asked;
use super::multipart::upload;
use crate::api::Api;
use crate::auth::{note_namespace, who};
use crate::dto::checksums::{self, set_checksum};
use crate::dto::values::{self, count};
use crate::errors::{translate, writable, wrong_argument};

pub(crate) async fn parts(
    api: &Api,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = &request.input;
    let limit = values::page_size(input.max_parts, PAGE_MAX, "max-parts")?;
    let upload = upload(&input.bucket, &input.key, &input.upload_id)?;
    let marker = input.part_number_marker.unwrap_or_default();
    let after = match marker {
        0 => None,
        // Nothing follows a number beyond the largest.
        marker => Some(PartNumber::new(i64::from(marker.min(10_000))).map_err(|_| {
            let why = "Argument part-number-marker must be an integer of 0 or more";
            wrong_argument("part-number-marker", &marker.to_string(), why)
        })?),
    };
    let page = api.store.list_parts(who(&request)?, &upload, after, limit).await.map_err(translate)?;
    note_namespace(page.upload.space.address.namespace.as_str());
    let last = page.parts.last().map(|part| i32::from(part.number.get()));
    let parts = page.parts.iter().map(|part| {
        let mut output = Part {
            part_number: Some(i32::from(part.number.get())),
            size: Some(values::size(part.size)),
            e_tag: Some(values::etag(&part.etag)),
            last_modified: Some(values::timestamp(part.created_at)),
            ..Part::default()
        };
        set_checksum!(output, &part.checksum);
        output
    });
    let parts = parts.collect();
    let owner = values::owner(&page.upload.space.address.tenant);
    let output = ListPartsOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(writable(input.key.clone())),
        upload_id: Some(input.upload_id.clone()),
        part_number_marker: Some(marker),
        next_part_number_marker: last.or(Some(0)),
        max_parts: Some(count(limit)),
        is_truncated: Some(page.more),
        parts: Some(parts),
        initiator: Some(Initiator { id: owner.id.clone(), display_name: owner.display_name.clone() }),
        owner: Some(owner),
        storage_class: Some(StorageClass::from_static(values::class_of_upload(&page.upload))),
        checksum_algorithm: page.upload.checksum.map(|(algorithm, _)| checksums::algorithm_out(algorithm)),
        checksum_type: page.upload.checksum.map(|(_, kind)| checksums::kind_out(kind)),
        ..ListPartsOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(crate) async fn list(
    api: &Api,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = &request.input;
    let asked = asked!(input, max_uploads: "max-uploads")?;
    let marker = input.key_marker.as_deref().unwrap_or_default();
    // S3 ignores the upload marker without a key marker.
    let upload_marker = input.upload_id_marker.as_deref().filter(|id| !id.is_empty() && !marker.is_empty());
    let after = match upload_marker {
        None => asked.behind(marker),
        Some(id) => {
            let id = UploadId::parse(id)
                .ok_or_else(|| wrong_argument("upload-id-marker", id, "Invalid uploadId marker"))?;
            Some(Cursor::Version(marker.to_owned(), id.0))
        }
    };
    let list = ListUploadsRequest {
        place: asked.place()?,
        prefix: asked.prefix.to_owned(),
        delimiter: asked.delimiter.map(str::to_owned),
        after,
        limit: asked.limit,
    };
    let page = api.store.list_uploads(who(&request)?, &list).await.map_err(translate)?;
    if let Some(space) = &page.space {
        note_namespace(space.address.namespace.as_str());
    }
    let keys = page.uploads.iter().filter_map(|upload| upload.key.as_ref()).map(Key::as_str);
    let encoding = asked.fitting(keys.chain(page.prefixes.iter().map(String::as_str)).chain([marker]));
    let uploads = page.uploads.iter().map(|upload| {
        let owner = values::owner(&upload.space.address.tenant);
        MultipartUpload {
            key: Some(encoding.write(upload.key.as_ref().map_or("", |key| key.as_str()))),
            upload_id: Some(upload.id.to_string()),
            initiated: Some(values::timestamp(upload.created_at)),
            initiator: Some(Initiator { id: owner.id.clone(), display_name: owner.display_name.clone() }),
            owner: Some(owner),
            storage_class: Some(StorageClass::from_static(values::class_of_upload(upload))),
            checksum_algorithm: upload.checksum.map(|(algorithm, _)| checksums::algorithm_out(algorithm)),
            checksum_type: upload.checksum.map(|(_, kind)| checksums::kind_out(kind)),
        }
    });
    let prefixes = page.prefixes.iter().map(|common| CommonPrefix { prefix: Some(encoding.write(common)) });
    let (next_key, next_upload) = match &page.next {
        None => (None, None),
        Some(Cursor::Version(key, id)) => (Some(encoding.write(key)), Some(UploadId(*id).to_string())),
        Some(next) => (Some(encoding.write(next.key())), None),
    };
    let output = ListMultipartUploadsOutput {
        bucket: Some(input.bucket.clone()),
        key_marker: Some(encoding.write(marker)),
        upload_id_marker: Some(upload_marker.unwrap_or_default().to_owned()),
        next_key_marker: next_key,
        next_upload_id_marker: next_upload,
        prefix: Some(encoding.write(asked.prefix)),
        delimiter: asked.delimiter_in(encoding),
        max_uploads: Some(count(asked.limit)),
        is_truncated: Some(page.next.is_some()),
        uploads: Some(uploads.collect()),
        common_prefixes: Some(prefixes.collect()),
        encoding_type: encoding.echo(),
        ..ListMultipartUploadsOutput::default()
    };
    Ok(S3Response::new(output))
}
