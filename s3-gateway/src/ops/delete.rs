//! Deleting objects, one or a thousand at a time.

use std::time::SystemTime;

use juststorage_core::application::error::Error as CoreError;
use juststorage_core::application::objects::delete::Deletion;
use juststorage_core::application::objects::delete_many::{DELETIONS_MAX, Removal};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::precondition::{EtagCondition, Preconditions};
use juststorage_core::domain::timestamp::Timestamp;
use s3s::dto::{
    Delete, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    Error, ObjectIdentifier,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::{note_namespace, who};
use crate::dto::{address, conditions, lock};
use crate::errors::{bad_request, translate, writable};

pub(crate) async fn one(
    api: &Api,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let preconditions = conditions::of_delete(&request.headers)?;
    let bypass = lock::bypass(&request.headers);
    let deletion = api
        .store
        .delete_bypassing(who(&request)?, &reference, preconditions, bypass)
        .await
        .map_err(translate)?;
    let Deleted { delete_marker, version_id } = outcome(&deletion, input.version_id.is_some());
    let output = DeleteObjectOutput { delete_marker, version_id, ..DeleteObjectOutput::default() };
    Ok(S3Response::new(output))
}

/// The result of a deletion in an answer.
struct Deleted {
    delete_marker: Option<bool>,
    version_id: Option<String>,
}

fn outcome(deletion: &Deletion, addressed: bool) -> Deleted {
    let Some(object) = &deletion.object else { return Deleted { delete_marker: None, version_id: None } };
    note_namespace(object.address.namespace.as_str());
    let marker = deletion.marker_made || (addressed && object.is_delete_marker());
    Deleted {
        delete_marker: marker.then_some(true),
        version_id: object.s3_version_id().filter(|_| marker || addressed),
    }
}

pub(crate) async fn many(
    api: &Api,
    mut request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let Delete { objects, quiet } =
        std::mem::replace(&mut request.input.delete, Delete { objects: Vec::new(), quiet: None });
    if objects.is_empty() || objects.len() > DELETIONS_MAX {
        return Err(bad_request(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema: \
             1 to 1000 keys are expected.",
        ));
    }
    let who = who(&request)?;
    let bucket = &request.input.bucket;
    let bypass = lock::bypass(&request.headers);
    address::bucket(bucket)?;
    let mut read = Vec::with_capacity(objects.len());
    let mut removals = Vec::with_capacity(objects.len());
    for object in objects {
        let refused = match removal(bucket, &object, bypass) {
            Ok(removal) => {
                removals.push(removal);
                None
            }
            Err(error) => Some(error),
        };
        read.push((object, refused));
    }
    let mut done = api.store.delete_many(who, removals).await.into_iter();
    let results = read.into_iter().map(|(object, refused)| {
        let result = match refused {
            Some(error) => Err(error),
            None => done.next().unwrap_or(Err(CoreError::Internal)).map_err(translate),
        };
        (object, result)
    });
    let results: Vec<_> = results.collect();
    let denied = |(_, result): &(_, Result<_, S3Error>)| {
        result.as_ref().is_err_and(|error| error.code().as_str() == "AccessDenied")
    };
    if results.iter().any(denied) {
        // A stranger is refused as a whole, and not key by key.
        api.store
            .face_bucket(who, &address::bucket(bucket)?, Action::DeleteObject)
            .await
            .map_err(translate)?;
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (object, result) in results {
        match result {
            Ok(deletion) => {
                let Deleted { delete_marker, version_id } = outcome(&deletion, object.version_id.is_some());
                if quiet != Some(true) {
                    deleted.push(DeletedObject {
                        delete_marker,
                        delete_marker_version_id: version_id.filter(|_| delete_marker == Some(true)),
                        key: Some(writable(object.key)),
                        version_id: object.version_id.map(writable),
                    });
                }
            }
            // The bucket is the request's, not the key's.
            Err(error) if error.code().as_str() == "NoSuchBucket" => return Err(error),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(writable(object.key)),
                message: error.message().map(str::to_owned),
                version_id: object.version_id.map(writable),
            }),
        }
    }
    let output = DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..DeleteObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}

fn removal(bucket: &str, object: &ObjectIdentifier, bypass: bool) -> Result<Removal, S3Error> {
    let reference = address::object(bucket, &object.key, object.version_id.as_deref())?;
    // Its quotes again: `""` is a tag that matches nothing.
    let quoted = |tag: &s3s::dto::ETag| EtagCondition::parse("ETag", &format!("\"{}\"", tag.value()));
    let if_match = object.e_tag.as_ref().map(quoted).transpose();
    // No object has a negative size.
    let if_size = object.size.map(|size| u64::try_from(size).unwrap_or(u64::MAX));
    let if_modified_at = object
        .last_modified_time
        .as_ref()
        .map(|time| Timestamp::from(SystemTime::from(time::OffsetDateTime::from(time.clone()))));
    let preconditions = Preconditions {
        if_size,
        if_modified_at,
        if_match: if_match.map_err(|invalid| translate(CoreError::Invalid(invalid)))?,
        ..Preconditions::default()
    };
    Ok(Removal { object: reference, preconditions, bypass })
}
