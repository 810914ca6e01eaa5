//! `GetObjectAttributes`.

use juststorage_core::application::objects::attributes::ObjectParts;
use juststorage_core::application::objects::list::PAGE_MAX;
use s3s::dto::{
    Checksum, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts,
    ObjectAttributes, ObjectPart, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::{action, note_namespace, who};
use crate::dto::checksums::{self, set_checksum};
use crate::dto::values::{self, count};
use crate::dto::{address, fields::joined};
use crate::errors::{bad_request, translate, wrong_argument};

/// The attributes that a request may name.
const KNOWN: [&str; 5] = [
    ObjectAttributes::ETAG,
    ObjectAttributes::CHECKSUM,
    ObjectAttributes::OBJECT_PARTS,
    ObjectAttributes::STORAGE_CLASS,
    ObjectAttributes::OBJECT_SIZE,
];

pub(crate) async fn get(
    api: &Api,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = &request.input;
    // SDKs send one header, or one for each attribute.
    let asked = joined(&request.headers, "x-amz-object-attributes").unwrap_or_default();
    let asked: Vec<_> = asked.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if asked.is_empty() {
        // A missing object is the graver fault.
        let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
        let who = who(&request)?;
        api.store.object(who, action(&request)?, &reference).await.map_err(translate)?;
        return Err(bad_request(
            "InvalidRequest",
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ));
    }
    if let Some(unknown) = asked.iter().find(|name| !KNOWN.contains(*name)) {
        let why = "Invalid attribute name specified.";
        return Err(wrong_argument("x-amz-object-attributes", unknown, why));
    }
    let asks = |name: &str| asked.contains(&name);
    let limit = values::page_size(input.max_parts, PAGE_MAX, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or_default();
    let after = u32::try_from(marker).map_err(|_| {
        let why = "Argument part-number-marker must be an integer of 0 or more";
        wrong_argument("part-number-marker", &marker.to_string(), why)
    })?;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let (object, parts) =
        api.store.object_parts(who(&request)?, &reference, after, limit).await.map_err(translate)?;
    note_namespace(object.address.namespace.as_str());
    let checksum = object.checksum.as_ref().filter(|_| asks(ObjectAttributes::CHECKSUM)).map(|checksum| {
        let mut output = Checksum::default();
        set_checksum!(output, Some(checksum));
        output.checksum_type = Some(checksums::kind_out(checksum.kind));
        output
    });
    let output = GetObjectAttributesOutput {
        checksum,
        e_tag: asks(ObjectAttributes::ETAG).then(|| values::etag(&object.etag)),
        last_modified: Some(values::timestamp(object.created_at)),
        object_parts: parts
            .filter(|_| asks(ObjectAttributes::OBJECT_PARTS))
            .map(|parts| page(&parts, marker, limit)),
        object_size: asks(ObjectAttributes::OBJECT_SIZE).then(|| values::size(object.size())),
        storage_class: asks(ObjectAttributes::STORAGE_CLASS)
            .then(|| StorageClass::from_static(values::class(object.class, object.class_name))),
        version_id: object.s3_version_id(),
        ..GetObjectAttributesOutput::default()
    };
    Ok(S3Response::new(output))
}

fn number(of: u32) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

fn page(parts: &ObjectParts, marker: i32, limit: u32) -> GetObjectAttributesParts {
    let written = parts.page.iter().map(|part| {
        let mut output = ObjectPart {
            part_number: Some(number(part.number)),
            size: Some(values::size(part.size)),
            ..ObjectPart::default()
        };
        set_checksum!(output, &part.checksum);
        output
    });
    GetObjectAttributesParts {
        is_truncated: Some(parts.more),
        max_parts: Some(count(limit)),
        next_part_number_marker: Some(parts.page.last().map_or(marker, |part| number(part.number))),
        part_number_marker: Some(marker),
        parts: Some(written.collect()),
        total_parts_count: Some(number(parts.total)),
    }
}
