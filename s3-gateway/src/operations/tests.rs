//! Every row, against the router.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};

use super::*;
use crate::allowlist::{admit, check_headers};

/// The simplest request that a row describes.
fn request<'s>(selectors: &[&'s str], header: Option<&'static str>) -> (Vec<QueryPair<'s>>, HeaderMap) {
    // `list-type` has one value only.
    let query = selectors.iter().map(|key| (Cow::Borrowed(*key), Cow::Borrowed("2"))).collect();
    let headers = header.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("b/k")));
    (query, headers.into_iter().collect())
}

fn admitted(
    operation: &Operation,
    query: &[QueryPair<'_>],
    headers: &HeaderMap,
) -> Result<&'static str, u16> {
    let (method, level) = (&operation.method, operation.level);
    let criteria = Criteria { method, level, query, headers };
    let admitted = admit(&criteria).and_then(|admitted| {
        check_headers(admitted, headers)?;
        Ok(admitted.name)
    });
    admitted.map_err(|refusal| refusal.status.as_u16())
}

#[test]
fn every_row_is_reached_and_knows_its_own_keys_and_headers() {
    for operation in OFFERED {
        let (query, headers) = request(operation.selectors, operation.header);
        assert_eq!(admitted(operation, &query, &headers), Ok(operation.name));
        for param in operation.params {
            let with: Vec<_> =
                query.iter().cloned().chain([(Cow::Borrowed(*param), Cow::Borrowed("1"))]).collect();
            assert_eq!(admitted(operation, &with, &headers), Ok(operation.name), "?{param}");
        }
        for header in operation.headers {
            let mut with = headers.clone();
            with.insert(HeaderName::from_static(header), HeaderValue::from_static("1"));
            assert_eq!(admitted(operation, &query, &with), Ok(operation.name), "{header}");
        }
    }
}

#[test]
fn every_write_refuses_the_keys_and_headers_of_other_rows() {
    let params: BTreeSet<_> = OFFERED.iter().flat_map(|operation| operation.params).collect();
    let own = |operation: &'static Operation| operation.headers.iter().chain(&operation.header).copied();
    let headers: BTreeSet<_> = OFFERED.iter().flat_map(own).collect();
    for operation in OFFERED.iter().filter(|operation| !operation.reads()) {
        let (query, plain) = request(operation.selectors, operation.header);
        for param in params.iter().filter(|param| !operation.params.contains(param)) {
            let known = operation.selectors.contains(param);
            let with: Vec<_> =
                query.iter().cloned().chain([(Cow::Borrowed(**param), Cow::Borrowed("1"))]).collect();
            let answer = admitted(operation, &with, &plain);
            assert!(known || answer != Ok(operation.name), "{} ?{param}", operation.name);
        }
        for header in headers.iter().filter(|header| !operation.knows(header)) {
            let mut with = plain.clone();
            with.insert(HeaderName::from_static(header), HeaderValue::from_static("1"));
            let answer = admitted(operation, &query, &with);
            assert_ne!(answer, Ok(operation.name), "{} {header}", operation.name);
        }
    }
}

#[test]
fn every_refused_operation_is_refused_by_name() {
    for refused in REFUSED {
        let (query, headers) = request(refused.selectors, None);
        let (method, level) = (&refused.method, refused.level);
        let refusal = admit(&Criteria { method, level, query: &query, headers: &headers }).unwrap_err();
        assert_eq!(refusal.message, format!("{} is not implemented.", refused.name));
    }
}

#[test]
fn names_are_unique_and_rows_say_nothing_that_cannot_be() {
    let names: Vec<_> =
        OFFERED.iter().map(|row| row.name).chain(REFUSED.iter().map(|row| row.name)).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for operation in OFFERED {
        let name = operation.name;
        assert!(operation.status.is_success(), "{name}");
        let document = matches!(operation.body, BodyKind::Xml { .. } | BodyKind::Json { .. });
        assert!(!(operation.reads() && document), "{name}: a read has no document");
        let raw = operation.reader == ReadBy::Raw(Raw::PutBucketPolicy);
        assert_eq!(raw, matches!(operation.body, BodyKind::Json { .. }), "{name}: s3s reads no JSON");
        assert_eq!(operation.level == Level::Service, operation.bucket == NamedBucket::Unnamed, "{name}");
        // ListBuckets shows the caller's own; a bucket that is made has no policy yet.
        let free = ["ListBuckets", "CreateBucket"].contains(&name);
        assert_eq!(operation.actions.is_empty(), free, "{name}");
    }
}

/// Operations whose action has another name than they have (Service Authorization Reference, "Actions, resources, and
/// condition keys for Amazon S3", and "Required permissions for Amazon S3 API operations").
const OTHER_NAMES: &[(&str, &[&str])] = &[
    ("CompleteMultipartUpload", &["PutObject"]),
    ("CopyObject", &["PutObject", "GetObject"]),
    ("CreateMultipartUpload", &["PutObject"]),
    ("DeleteBucketCors", &["PutBucketCORS"]),
    ("DeleteBucketLifecycle", &["PutLifecycleConfiguration"]),
    ("DeleteBucketOwnershipControls", &["PutBucketOwnershipControls"]),
    ("DeleteBucketTagging", &["PutBucketTagging"]),
    ("DeleteObjects", &["DeleteObject"]),
    ("DeletePublicAccessBlock", &["PutBucketPublicAccessBlock"]),
    ("GetBucketAccelerateConfiguration", &["GetAccelerateConfiguration"]),
    ("GetBucketCors", &["GetBucketCORS"]),
    ("GetBucketEncryption", &["GetEncryptionConfiguration"]),
    ("GetBucketLifecycleConfiguration", &["GetLifecycleConfiguration"]),
    ("GetBucketNotificationConfiguration", &["GetBucketNotification"]),
    ("GetBucketReplication", &["GetReplicationConfiguration"]),
    ("GetObjectAttributes", &["GetObjectAttributes", "GetObject"]),
    ("GetObjectLockConfiguration", &["GetBucketObjectLockConfiguration"]),
    ("GetPublicAccessBlock", &["GetBucketPublicAccessBlock"]),
    ("HeadBucket", &["ListBucket"]),
    ("HeadObject", &["GetObject"]),
    ("ListMultipartUploads", &["ListBucketMultipartUploads"]),
    ("ListObjectVersions", &["ListBucketVersions"]),
    ("ListObjects", &["ListBucket"]),
    ("ListObjectsV2", &["ListBucket"]),
    ("ListParts", &["ListMultipartUploadParts"]),
    ("PostObject", &["PutObject"]),
    ("PutBucketCors", &["PutBucketCORS"]),
    ("PutBucketLifecycleConfiguration", &["PutLifecycleConfiguration"]),
    ("PutBucketNotificationConfiguration", &["PutBucketNotification"]),
    ("PutObjectLockConfiguration", &["PutBucketObjectLockConfiguration"]),
    ("PutPublicAccessBlock", &["PutBucketPublicAccessBlock"]),
    ("UploadPart", &["PutObject"]),
    ("UploadPartCopy", &["PutObject", "GetObject"]),
];

/// The other tests take the actions from the row itself, so that a wrong row would please them.
#[test]
fn every_row_asks_for_the_actions_that_aws_names() {
    for operation in OFFERED.iter().filter(|operation| !operation.actions.is_empty()) {
        let other = OTHER_NAMES.iter().find(|(name, _)| *name == operation.name);
        let expected = other.map_or(std::slice::from_ref(&operation.name), |(_, actions)| *actions);
        let actions: Vec<_> = operation.actions.iter().map(|action| action.name()).collect();
        assert_eq!(actions, expected, "{}", operation.name);
    }
}
