use crate::server::{Client, Server};

#[tokio::test]
async fn unknown_sub_resources_never_run_the_plain_operation() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/subs", b"").await.ok();
    s3.put("/subs/k", b"kept").await.ok();
    for method in ["GET", "PUT", "DELETE", "POST"] {
        for query in [
            "renameObject",
            "acl2",
            "torrent",
            "annotation",
            "restore",
            "select&select-type=2",
            "encryption",
            "versionid=x",
            "futureThing=1",
        ] {
            let answer = s3.call(method, format!("/subs/k?{query}")).body("lost").send().await;
            // S3 ignores what it does not know on reads.
            if method == "GET" && ["acl2", "versionid=x", "futureThing=1"].contains(&query) {
                assert_eq!(answer.ok().text(), "kept", "GET ?{query}");
                continue;
            }
            assert_eq!(answer.error(), (501, "NotImplemented".into()), "{method} ?{query}");
            assert!(answer.xml("Message").is_some());
        }
    }
    for query in ["website", "replication", "encryption", "futureThing"] {
        for method in ["PUT", "DELETE"] {
            let answer = s3.call(method, format!("/subs?{query}")).send().await;
            assert_eq!(answer.error(), (501, "NotImplemented".into()), "{method} ?{query}");
        }
    }
    assert_eq!(s3.get("/subs/k").await.ok().text(), "kept");
}

#[tokio::test]
async fn headers_are_honoured_or_refused() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/honour", b"").await.ok();
    let put = async |name: &str, value: &str| {
        s3.call("PUT", "/honour/k").header(name, value).body("x").send().await.error()
    };
    assert_eq!(put("x-amz-server-side-encryption", "AES256").await, (501, "NotImplemented".into()));
    assert_eq!(put("x-amz-object-lock-legal-hold", "ON").await, (400, "InvalidRequest".into()));
    assert_eq!(put("x-amz-bucket-object-lock-enabled", "true").await, (501, "NotImplemented".into()));
    assert_eq!(put("x-amz-acl", "public-read").await, (400, "AccessControlListNotSupported".into()));
    assert_eq!(put("x-amz-storage-class", "GLACIER").await, (400, "InvalidStorageClass".into()));
    assert_eq!(s3.get("/honour/k").await.status, 404);
    assert_eq!(put("x-amz-acl", "private").await.0, 200);
}

#[tokio::test]
async fn every_answer_has_ids_and_errors_say_them() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/ids", b"").await.ok();
    let missing = s3.call("GET", "/ids/no%26ne").unsigned_header("x-request-id", "abc-123").send().await;
    assert_eq!(missing.header("x-amz-request-id"), Some("abc-123"));
    assert_eq!(missing.xml("RequestId"), Some("abc-123".into()));
    assert_eq!(missing.xml("HostId").as_deref(), missing.header("x-amz-id-2"));
    assert_eq!(missing.xml("Resource"), Some("/ids/no&amp;ne".into()));
    let refused = s3.get("/ids?inventory").await;
    assert_eq!(refused.xml("RequestId").as_deref(), refused.header("x-amz-request-id"));
    for target in ["/ids/none", "/none-such", "/ids?versioning"] {
        let head = s3.call("HEAD", target).send().await;
        assert!(head.status >= 400 && head.body.is_empty(), "{target}");
        assert!(head.header("x-amz-request-id").is_some());
    }
}

/// HTTP allows no body with these answers; a client on a connection that stays would take one for the next answer.
#[tokio::test]
async fn no_body_comes_where_http_allows_none() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/bodiless", b"").await.ok();
    let put = s3.put("/bodiless/k", b"body").await.ok();
    let etag = put.header("etag").unwrap().to_owned();
    let call = |method, target: &str| s3.call(method, target.to_owned());
    let anonymous = Client { access_key: "NOBODY".into(), ..s3.clone() };
    for (answer, status) in [
        (call("HEAD", "/bodiless/k").send().await, 200),
        (call("HEAD", "/bodiless/k").header("range", "bytes=9-").send().await, 416),
        (call("HEAD", "/bodiless/k").header("if-match", "\"0\"").send().await, 412),
        (call("HEAD", "/bodiless/k").header("if-none-match", &etag).send().await, 304),
        (call("HEAD", "/bodiless/none").send().await, 404),
        (call("HEAD", "/bodiless/k?torrent").send().await, 501),
        (call("HEAD", "/bodiless").send().await, 200),
        (call("HEAD", "/nowhere").send().await, 404),
        (anonymous.call("HEAD", "/bodiless/k").send().await, 403),
        (call("GET", "/bodiless/k").header("if-none-match", &etag).send().await, 304),
        (call("GET", "/bodiless/k").header("if-none-match", "*").send().await, 304),
        (call("DELETE", "/bodiless/k?tagging").send().await, 204),
        (call("DELETE", "/bodiless?cors").send().await, 204),
        (call("DELETE", "/bodiless/k").send().await, 204),
        (call("DELETE", "/bodiless").send().await, 204),
    ] {
        assert_eq!((answer.status, answer.text().as_str()), (status, ""));
        assert_eq!(answer.header("transfer-encoding"), None, "{status}");
        assert!(status != 204 || answer.header("content-length").is_none(), "{status}");
    }
}

/// Requests as S3-SURFACE has them from the wire, of clients that `compat-tests` does not run or does not run so.
#[tokio::test]
async fn what_real_clients_send_is_understood() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.call("PUT", "/wire").header("x-amz-acl", "private").send().await.ok();
    // rclone, docker-registry.
    s3.call("PUT", "/wire/dir/k").header("x-amz-acl", "private").body("0123456789").send().await.ok();
    // minio-js, restic, s3fs.
    for query in ["delimiter=", "list-type=2&delimiter="] {
        assert_eq!(s3.get(&format!("/wire?{query}")).await.ok().all("Key"), ["dir/k"], "{query}");
    }
    // minio-js, docker-registry.
    let upload = s3.call("POST", "/wire/dir/u?uploads").send().await.ok().xml("UploadId").unwrap();
    let listed =
        s3.get("/wire?uploads=&prefix=dir/u&delimiter=&max-uploads=1000&encoding-type=url").await.ok();
    assert_eq!(listed.all("UploadId"), [upload]);
    // polars.
    let suffix = s3.call("GET", "/wire/dir/k").header("range", "bytes=-3").send().await;
    assert_eq!((suffix.status, suffix.text().as_str()), (206, "789"));
    assert_eq!(suffix.header("content-range"), Some("bytes 7-9/10"));
    // dvc, pyarrow, rclone: a prefix is no object.
    for prefix in ["/wire/dir", "/wire/dir/"] {
        assert_eq!(s3.call("HEAD", prefix).send().await.status, 404, "{prefix}");
    }
    // s3cmd, of a bucket and of an object.
    assert!(s3.get("/wire?acl").await.ok().text().contains("FULL_CONTROL"));
    assert!(s3.get("/wire/dir/k?acl").await.ok().text().contains("FULL_CONTROL"));
    assert_eq!(s3.get("/wire?policy").await.error(), (404, "NoSuchBucketPolicy".into()));
    assert_eq!(s3.get("/wire?cors").await.error(), (404, "NoSuchCORSConfiguration".into()));
    // git-annex.
    for target in ["/wire/none", "/nowhere", "/wire?policy", "/wire?inventory"] {
        let message = s3.get(target).await.xml("Message");
        assert!(message.is_some_and(|message| !message.is_empty()), "{target}");
    }
}

#[tokio::test]
async fn keys_are_kept_as_they_are() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/keys", b"").await.ok();
    for key in ["a//b", "../../etc", "a%20b", "a+b", "a@b=c", "%E6%97%A5", "a/", "%25zz"] {
        let target = format!("/keys/{key}");
        s3.put(&target, key.as_bytes()).await.ok();
        assert_eq!(s3.get(&target).await.ok().text(), key);
    }
    assert_eq!(s3.put("/keys/a%00b", b"x").await.error(), (400, "InvalidArgument".into()));
    let long = format!("/keys/{}", "k".repeat(1025));
    assert_eq!(s3.put(&long, b"x").await.error(), (400, "KeyTooLongError".into()));
    assert_eq!(s3.get(&long).await.error(), (400, "KeyTooLongError".into()));
    assert_eq!(s3.put("/No_Bucket", b"").await.error(), (400, "InvalidBucketName".into()));
}

#[tokio::test]
async fn buckets_have_a_region_and_a_virtual_host() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/hosted", b"").await.ok();
    let hosted = s3.call("PUT", "/k").header("host", "hosted.s3.test").body("x").send().await;
    assert_eq!(hosted.status, 200, "{}", hosted.text());
    assert_eq!(s3.get("/hosted/k").await.ok().text(), "x");
    let get = s3.call("GET", "/k").header("host", "hosted.s3.test:9000").send().await;
    assert_eq!(get.text(), "x");
    let head = s3.call("HEAD", "/hosted").send().await.ok();
    assert_eq!(head.header("x-amz-bucket-region"), Some("us-east-1"));
    let location = s3.get("/hosted?location").await.ok();
    assert!(location.text().contains("<LocationConstraint"), "{}", location.text());
    assert!(!location.text().contains("us-east-1"));
    assert_eq!(s3.call("DELETE", "/hosted").send().await.error(), (409, "BucketNotEmpty".into()));
    s3.call("DELETE", "/hosted/k").send().await.ok();
    assert_eq!(s3.call("DELETE", "/hosted").send().await.status, 204);
    assert_eq!(s3.call("HEAD", "/hosted").send().await.status, 404);
}

#[tokio::test]
async fn configurations_that_are_not_set_read_as_unset() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/unset", b"").await.ok();
    for (query, code) in [
        ("policy", "NoSuchBucketPolicy"),
        ("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("website", "NoSuchWebsiteConfiguration"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("cors", "NoSuchCORSConfiguration"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("tagging", "NoSuchTagSet"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ] {
        assert_eq!(s3.get(&format!("/unset?{query}")).await.error(), (404, code.into()));
        assert_eq!(s3.get(&format!("/none-such?{query}")).await.error(), (404, "NoSuchBucket".into()));
    }
    for query in [
        "logging",
        "notification",
        "accelerate",
        "requestPayment",
        "versioning",
        "acl",
        "ownershipControls",
        "publicAccessBlock",
    ] {
        assert_eq!(s3.get(&format!("/unset?{query}")).await.status, 200, "{query}");
    }
}

/// S3-SURFACE's list of what is never offered, each by its name. `compat-tests/tools/every_operation.py` tries
/// every operation that a current SDK knows.
#[tokio::test]
async fn what_is_never_offered_is_refused_by_name() {
    let server = Server::start().await;
    let s3 = server.root();
    let sts = "Action=AssumeRole&Version=2011-06-15&RoleArn=a&RoleSessionName=b";
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    let asked = s3.call("POST", "/").header("content-type", form).body(sts).send().await;
    assert_eq!(asked.error(), (501, "NotImplemented".into()), "temporary credentials");
    assert!(asked.xml("Message").unwrap().contains("STS"));
    assert_eq!(s3.call("POST", "/").send().await.error(), (405, "MethodNotAllowed".into()));
    s3.put("/refused", b"").await.ok();
    s3.put("/refused/k", b"kept").await.ok();
    let bucket = [
        ("PUT", "website", "PutBucketWebsite"),
        ("DELETE", "website", "DeleteBucketWebsite"),
        ("PUT", "logging", "PutBucketLogging"),
        ("PUT", "replication", "PutBucketReplication"),
        ("DELETE", "replication", "DeleteBucketReplication"),
        ("PUT", "encryption", "PutBucketEncryption"),
        ("DELETE", "encryption", "DeleteBucketEncryption"),
        ("PUT", "inventory&id=1", "PutBucketInventoryConfiguration"),
        ("GET", "inventory&id=1", "GetBucketInventoryConfiguration"),
        ("GET", "inventory", "ListBucketInventoryConfigurations"),
        ("DELETE", "inventory&id=1", "DeleteBucketInventoryConfiguration"),
        ("PUT", "analytics&id=1", "PutBucketAnalyticsConfiguration"),
        ("GET", "analytics&id=1", "GetBucketAnalyticsConfiguration"),
        ("GET", "analytics", "ListBucketAnalyticsConfigurations"),
        ("PUT", "metrics&id=1", "PutBucketMetricsConfiguration"),
        ("GET", "metrics&id=1", "GetBucketMetricsConfiguration"),
        ("GET", "metrics", "ListBucketMetricsConfigurations"),
        ("PUT", "accelerate", "PutBucketAccelerateConfiguration"),
        ("PUT", "requestPayment", "PutBucketRequestPayment"),
        ("PUT", "intelligent-tiering&id=1", "PutBucketIntelligentTieringConfiguration"),
        ("POST", "metadataConfiguration", "CreateBucketMetadataConfiguration"),
    ];
    let object = [
        ("PUT", "renameObject", "RenameObject"),
        ("POST", "restore", "RestoreObject"),
        ("POST", "select&select-type=2", "SelectObjectContent"),
        ("GET", "torrent", "GetObjectTorrent"),
        ("PUT", "annotation", "PutObjectAnnotation"),
        ("GET", "annotation&annotationName=a", "GetObjectAnnotation"),
        ("GET", "annotation", "ListObjectAnnotations"),
        ("PUT", "encryption", "UpdateObjectEncryption"),
    ];
    let targets = bucket
        .iter()
        .map(|(method, query, name)| (*method, format!("/refused?{query}"), *name))
        .chain(object.iter().map(|(method, query, name)| (*method, format!("/refused/k?{query}"), *name)))
        .chain([("POST", "/?Action=AssumeRole".to_owned(), "Action")]);
    for (method, target, name) in targets {
        let answer = s3.call(method, target.clone()).body("<x/>").send().await;
        assert_eq!(answer.error(), (501, "NotImplemented".into()), "{method} {target}");
        let message = answer.xml("Message").unwrap();
        assert!(message.contains(name), "{method} {target}: {message}");
    }
    for (header, name) in [
        ("x-amz-server-side-encryption-customer-algorithm", "encryption"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "encryption"),
        ("x-amz-write-offset-bytes", "Appending"),
        ("x-amz-request-route", "WriteGetObjectResponse"),
    ] {
        let answer = s3.call("PUT", "/refused/k").header(header, "1").body("lost").send().await;
        assert_eq!(answer.error(), (501, "NotImplemented".into()), "{header}");
        assert!(answer.xml("Message").unwrap().contains(name), "{header}");
    }
    assert_eq!(s3.get("/refused/k").await.ok().text(), "kept");
}
