#![allow(clippy::unwrap_used, clippy::panic)]

use http::HeaderMap;

use super::Level::{Bucket, Object, Service};
use super::*;
use crate::operations::{OFFERED, REFUSED};
use crate::query::query_pairs;

fn operation(name: &str) -> &'static Operation {
    OFFERED.iter().find(|operation| operation.name == name).unwrap()
}

fn decide(method: &Method, level: Level, query: &str) -> Result<&'static str, Refusal> {
    let (query, headers) = (query_pairs(query), HeaderMap::new());
    admit(&Criteria { method, level, query: &query, headers: &headers }).map(|operation| operation.name)
}

#[test]
fn operations_are_chosen_by_their_keys() {
    let chosen = [
        (Method::GET, Service, "", "ListBuckets"),
        (Method::GET, Bucket, "list-type=2&prefix=a%2F&delimiter=", "ListObjectsV2"),
        (Method::GET, Bucket, "marker=a+b&max-keys=0", "ListObjects"),
        (Method::GET, Bucket, "uploads", "ListMultipartUploads"),
        (Method::GET, Bucket, "location=", "GetBucketLocation"),
        (Method::POST, Bucket, "delete", "DeleteObjects"),
        (Method::PUT, Object, "x-id=PutObject", "PutObject"),
        (Method::PUT, Object, "partNumber=1&uploadId=x", "UploadPart"),
        (Method::POST, Object, "uploads=", "CreateMultipartUpload"),
        (Method::GET, Object, "versionId=null&response-content-type=a", "GetObject"),
        (Method::GET, Object, "X-Amz-Signature=a&X-Amz-Expires=5&x-amz-checksum-mode=ENABLED", "GetObject"),
        (Method::PUT, Object, "X-Amz-Signature=a&x-amz-meta-a=b", "PutObject"),
    ];
    for (method, level, query, name) in chosen {
        assert_eq!(decide(&method, level, query).unwrap(), name, "{method} {query}");
    }
}

/// S3 ignores what it does not know, where nothing is changed.
#[test]
fn reads_ignore_unknown_keys_but_no_sub_resource() {
    for (method, level, plain) in [
        (Method::GET, Object, "GetObject"),
        (Method::HEAD, Object, "HeadObject"),
        (Method::GET, Bucket, "ListObjects"),
        (Method::HEAD, Bucket, "HeadBucket"),
        (Method::GET, Service, "ListBuckets"),
    ] {
        for key in
            ["v=3", "utm_source=x", "Version=2006-03-01", "20260101", "x-my-key=1", "id=7", "X-Amz-Foo=1"]
        {
            assert_eq!(decide(&method, level, key).unwrap(), plain, "{method} ?{key}");
        }
        for key in ["renameObject", "torrent", "restore", "delete"] {
            if level != Service {
                assert_eq!(
                    decide(&method, level, key).map_err(|r| r.status.as_u16()),
                    Err(501),
                    "{method} ?{key}"
                );
            }
        }
    }
    let token = decide(&Method::GET, Object, "X-Amz-Security-Token=x").unwrap_err();
    assert_eq!(token.code, "InvalidToken");
    let key = "x-amz-server-side-encryption-customer-key=x";
    assert_eq!(decide(&Method::GET, Object, key).unwrap_err().status, 501);
}

/// The point of the list: no key that is not known may fall through to a plain write.
#[test]
fn unknown_keys_of_writes_are_refused_by_name() {
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        for level in [Service, Bucket, Object] {
            for key in ["futureThing", "Tagging", "RENAMEOBJECT", "intelligent-tiering2"] {
                let Err(refusal) = decide(&method, level, &format!("{key}=1")) else {
                    panic!("{method} ?{key} on {level:?} was let through")
                };
                assert!(matches!(refusal.status.as_u16(), 501 | 405), "{method} {key}");
                assert!(refusal.status != 501 || refusal.message.contains(key) || method == Method::POST);
            }
        }
    }
}

/// A selector of one operation never runs another, and half of a pair of selectors runs nothing.
#[test]
fn selectors_never_fall_through_to_the_plain_operation() {
    let plain = ["PutObject", "GetObject", "DeleteObject", "HeadObject", "CreateBucket", "DeleteBucket"];
    let keys: std::collections::BTreeSet<_> = OFFERED
        .iter()
        .flat_map(|operation| operation.selectors)
        .chain(REFUSED.iter().flat_map(|refused| refused.selectors))
        .collect();
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        for level in [Bucket, Object] {
            for key in &keys {
                if [Method::GET, Method::HEAD].contains(&method) && NO_SUB_RESOURCES.contains(key) {
                    continue;
                }
                if let Ok(name) = decide(&method, level, key) {
                    assert!(!plain.contains(&name), "{method} ?{key} ran {name}");
                }
            }
        }
    }
}

#[test]
fn refused_operations_are_named() {
    for operation in REFUSED {
        let query = format!("{}&more=1", operation.selectors.join("&"));
        let refusal = decide(&operation.method, operation.level, &query).unwrap_err();
        assert_eq!(refusal.status, 501);
        assert!(refusal.message.contains(operation.name), "{}", refusal.message);
    }
    let directories = decide(&Method::GET, Service, "x-id=ListDirectoryBuckets").unwrap_err();
    assert!(directories.message.contains("ListDirectoryBuckets"), "{}", directories.message);
    assert!(decide(&Method::PUT, Object, "x-id=CopyObject").is_ok());
}

#[test]
fn headers_that_cannot_be_honoured_are_refused() {
    let (put, get) = (operation("PutObject"), operation("GetObject"));
    let with_on = |operation: &Operation, name: &'static str, value: &'static str| {
        check_headers(
            operation,
            &[(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))]
                .into_iter()
                .collect(),
        )
    };
    let with = |name, value| with_on(put, name, value);
    for name in [
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-bucket-object-lock-enabled",
        "x-amz-write-offset-bytes",
        "x-amz-checksum-blake3",
        "x-minio-force-delete",
    ] {
        assert_eq!(with(name, "v").unwrap_err().status, 501, "{name}");
    }
    assert_eq!(with_on(get, "x-amz-object-lock-mode", "GOVERNANCE").unwrap_err().status, 501);
    assert!(with("x-amz-object-lock-mode", "GOVERNANCE").is_ok());
    assert!(with_on(operation("CreateBucket"), "x-amz-bucket-object-lock-enabled", "true").is_ok());
    assert!(with("x-amz-acl", "private").is_ok());
    assert!(with("x-amz-checksum-sha256", "v").is_ok());
    assert!(with("x-amz-meta-object-lock-mode", "v").is_ok());
    for name in [
        "x-amz-bucket-namespace",
        "x-amz-if-match-initiated-time",
        "x-amz-if-match-size",
        "x-amz-future-thing",
        "x-amz-copy-source-future",
    ] {
        let refusal = with(name, "v").unwrap_err();
        assert!(refusal.status == 501 && refusal.message.contains(name), "{name}: {}", refusal.message);
        assert_eq!(refusal.members, [("Header".to_owned(), name.to_owned())]);
    }
    assert!(with_on(get, "x-amz-future-thing", "v").is_ok(), "a read of nothing else");
    assert!(with_on(operation("DeleteObject"), "x-amz-if-match-size", "1").is_ok());
    assert!(with_on(operation("DeleteObjects"), "x-amz-if-match-size", "1").is_err());
    assert!(with_on(operation("CopyObject"), "x-amz-copy-source", "b/k").is_ok());
    for name in ["PutObject", "PutObjectTagging", "CreateMultipartUpload"] {
        let refusal = with_on(operation(name), "x-amz-copy-source", "b/k").unwrap_err();
        assert_eq!(refusal.code, "InvalidArgument", "{name}");
    }
}

#[test]
fn headers_in_the_query_of_a_presigned_put_are_known() {
    for key in crate::hoisted::PRESIGNED {
        for query in [format!("X-Amz-Signature=a&{key}=b"), format!("Signature=a&{}=b", key.to_uppercase())] {
            assert!(decide(&Method::PUT, Object, &query).is_ok(), "{query}");
        }
        if *key != "expires" {
            assert_eq!(decide(&Method::PUT, Object, &format!("{key}=b")).unwrap_err().status, 501, "{key}");
        }
    }
    let query = query_pairs("X-Amz-Signature=a&Expires=b");
    assert_eq!(presigned_header("Expires", &query), Some("expires"));
    assert_eq!(presigned_header("Expires", &query_pairs("Signature=a&Expires=1")), None);
    assert_eq!(decide(&Method::DELETE, Object, "X-Amz-Signature=a&If-Match=b").unwrap_err().status, 501);
}
