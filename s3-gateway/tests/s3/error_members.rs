//! The members of error bodies beside code, message and ids: what SDKs parse and people look for.

use std::time::{Duration, SystemTime};

use crate::server::{Answer, Client, Server};

/// The named members of an answer, and that it has this status and code.
#[track_caller]
fn expect(answer: &Answer, error: (u16, &str), members: &[(&str, &str)]) {
    assert_eq!(answer.error(), (error.0, error.1.to_owned()), "{}", answer.text());
    for (name, value) in members {
        assert_eq!(answer.xml(name).as_deref(), Some(*value), "{name} in {}", answer.text());
    }
    assert!(answer.headers.keys().all(|name| !name.as_str().contains("juststorage")), "{:?}", answer.headers);
}

async fn with_object(bucket: &str) -> (Server, Client) {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put(&format!("/{bucket}"), b"").await.ok();
    s3.put(&format!("/{bucket}/k"), b"0123456789").await.ok();
    (server, s3)
}

/// CRT clients read the size of an object out of this answer, that of an empty object first of all.
#[tokio::test]
async fn an_unsatisfiable_range_says_the_size() {
    let (_server, s3) = with_object("ranges").await;
    s3.put("/ranges/empty", b"").await.ok();
    for (key, size, range) in [("k", "10", "bytes=10-"), ("empty", "0", "bytes=0-8388607")] {
        let answer = s3.call("GET", format!("/ranges/{key}")).header("range", range).send().await;
        expect(
            &answer,
            (416, "InvalidRange"),
            &[("ActualObjectSize", size), ("RangeRequested", range), ("Resource", &format!("/ranges/{key}"))],
        );
        assert_eq!(answer.header("content-range"), Some(&*format!("bytes */{size}")));
    }
    expect(
        &s3.get("/ranges/k?partNumber=7").await,
        (416, "InvalidPartNumber"),
        &[("PartNumberRequested", "7")],
    );
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (_server, s3) = with_object("named").await;
    let version = "0190b2f0-0000-7000-8000-000000000000";
    let upload = "0190b2f0-0000-7000-8000-000000000001";
    let (of_version, of_upload) =
        (format!("/named/k?versionId={version}"), format!("/named/k?uploadId={upload}"));
    #[allow(clippy::type_complexity)] // one table
    let cases: [(&str, &str, (u16, &str), &[(&str, &str)]); 8] = [
        ("GET", "/named/a%26b", (404, "NoSuchKey"), &[("Key", "a&amp;b")]),
        ("GET", "/nowhere", (404, "NoSuchBucket"), &[("BucketName", "nowhere")]),
        ("GET", "/nowhere/k", (404, "NoSuchBucket"), &[("BucketName", "nowhere")]),
        ("GET", &of_version, (404, "NoSuchVersion"), &[("Key", "k"), ("VersionId", version)]),
        ("GET", &of_upload, (404, "NoSuchUpload"), &[("UploadId", upload)]),
        ("DELETE", "/named", (409, "BucketNotEmpty"), &[("BucketName", "named")]),
        ("GET", "/named?cors", (404, "NoSuchCORSConfiguration"), &[("BucketName", "named")]),
        ("POST", "/", (405, "MethodNotAllowed"), &[("Method", "POST"), ("ResourceType", "SERVICE")]),
    ];
    for (method, target, error, members) in cases {
        expect(&s3.call(method, target).send().await, error, members);
    }
}

#[tokio::test]
async fn a_wrong_argument_is_named_with_its_value() {
    let (_server, s3) = with_object("arguments").await;
    for (target, name, value) in [
        ("/arguments?max-keys=-1", "max-keys", "-1"),
        ("/arguments?max-keys=x", "max-keys", "x"),
        ("/arguments?encoding-type=a%26b", "encoding-type", "a&amp;b"),
        ("/arguments?list-type=3", "list-type", "3"),
        ("/arguments?list-type=2&continuation-token=no", "continuation-token", "no"),
        ("/arguments/k?versionId=no", "versionId", "no"),
        ("/arguments/k?partNumber=0", "partNumber", "0"),
    ] {
        let members = [("ArgumentName", name), ("ArgumentValue", value)];
        expect(&s3.get(target).await, (400, "InvalidArgument"), &members);
    }
    let hold = s3.call("PUT", "/arguments/k").header("x-amz-object-lock-legal-hold", "on").send().await;
    expect(
        &hold,
        (400, "InvalidArgument"),
        &[("ArgumentName", "x-amz-object-lock-legal-hold"), ("ArgumentValue", "on")],
    );
    let class = s3.call("PUT", "/arguments/k").header("x-amz-storage-class", "GLACIER").send().await;
    expect(&class, (400, "InvalidStorageClass"), &[("StorageClassRequested", "GLACIER")]);
}

#[tokio::test]
async fn the_condition_that_failed_is_named() {
    let (_server, s3) = with_object("conditions").await;
    let long_ago = "Thu, 01 Jan 1970 00:00:00 GMT";
    for (method, header, value, condition) in [
        ("GET", "if-match", "\"0\"", "If-Match"),
        ("GET", "if-unmodified-since", long_ago, "If-Unmodified-Since"),
        ("PUT", "if-none-match", "*", "If-None-Match"),
        ("PUT", "if-match", "\"0\"", "If-Match"),
        ("DELETE", "if-match", "\"0\"", "If-Match"),
        ("DELETE", "x-amz-if-match-size", "9", "x-amz-if-match-size"),
    ] {
        let answer = s3.call(method, "/conditions/k").header(header, value).send().await;
        expect(&answer, (412, "PreconditionFailed"), &[("Condition", condition)]);
    }
    let copy = s3
        .call("PUT", "/conditions/copy")
        .header("x-amz-copy-source", "/conditions/k")
        .header("x-amz-copy-source-if-none-match", "*")
        .send()
        .await;
    expect(&copy, (412, "PreconditionFailed"), &[("Condition", "x-amz-copy-source-if-none-match")]);
}

/// An error of a copy names its source where that is at fault, and the target where that is.
#[tokio::test]
async fn copies_name_the_side_that_is_missing() {
    let (_server, s3) = with_object("sides").await;
    let copy = async |target: &str, source: &str, condition: Option<&str>| {
        let call = s3.call("PUT", target).header("x-amz-copy-source", source);
        let call = match condition {
            Some(tag) => call.header("if-match", tag),
            None => call,
        };
        call.send().await
    };
    let missing = copy("/sides/to", "/sides/none", None).await;
    expect(&missing, (404, "NoSuchKey"), &[("Key", "none")]);
    expect(&copy("/sides/to", "/none/k", None).await, (404, "NoSuchBucket"), &[("BucketName", "none")]);
    expect(&copy("/none/to", "/sides/k", None).await, (404, "NoSuchBucket"), &[("BucketName", "none")]);
    expect(&copy("/sides/to", "/sides/k", Some("\"0\"")).await, (404, "NoSuchKey"), &[("Key", "to")]);
}

#[tokio::test]
async fn parts_that_do_not_fit_are_named() {
    let (_server, s3) = with_object("parts").await;
    let id = s3.call("POST", "/parts/u?uploads").send().await.ok().xml("UploadId").unwrap();
    let mut tags = Vec::new();
    for number in [1, 2] {
        let part = s3.put(&format!("/parts/u?partNumber={number}&uploadId={id}"), b"small").await.ok();
        tags.push(part.header("etag").unwrap().to_owned());
    }
    let complete = async |numbers: &[usize]| {
        let parts: String = numbers
            .iter()
            .map(|number| {
                let tag = tags.get(number - 1).map_or("\"0\"", String::as_str);
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        s3.call("POST", format!("/parts/u?uploadId={id}")).body(body).send().await
    };
    expect(
        &complete(&[1, 2]).await,
        (400, "EntityTooSmall"),
        &[("PartNumber", "1"), ("ProposedSize", "5"), ("MinSizeAllowed", "5242880")],
    );
    // A part that does not exist is the graver fault, as S3 has it.
    expect(&complete(&[1, 2, 3]).await, (400, "InvalidPart"), &[("PartNumber", "3"), ("UploadId", &id)]);
}

#[tokio::test]
async fn signatures_that_are_refused_say_why() {
    let (_server, s3) = with_object("signed").await;
    let early = SystemTime::now() - Duration::from_secs(3600);
    let skewed = s3.call("GET", "/signed/k").at(early).send().await;
    expect(&skewed, (403, "RequestTimeTooSkewed"), &[("MaxAllowedSkewMilliseconds", "900000")]);
    let (request, server) = (skewed.xml("RequestTime").unwrap(), skewed.xml("ServerTime").unwrap());
    assert!(request.len() == 16 && request.ends_with('Z'), "{request}");
    assert!(server.len() == 20 && server.ends_with('Z'), "{server}");

    let presigned = s3.presign("PUT", "/signed/k");
    let more = s3.call("PUT", presigned).header("x-amz-acl", "private").header("x-amz-meta-a", "1");
    expect(&more.send().await, (403, "AccessDenied"), &[("HeadersNotSigned", "x-amz-acl, x-amz-meta-a")]);
}
