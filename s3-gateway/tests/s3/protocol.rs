use crate::server::Server;

#[tokio::test]
async fn unknown_sub_resources_never_run_the_plain_operation() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/subs", b"").await.ok();
    s3.put("/subs/k", b"kept").await.ok();
    for method in ["GET", "PUT", "DELETE", "POST"] {
        for query in [
            "renameObject",
            "legal-hold",
            "retention",
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
            assert_eq!(answer.error(), (501, "NotImplemented".into()), "{method} ?{query}");
            assert!(answer.xml("Message").is_some());
        }
    }
    for query in ["policy", "cors", "replication", "futureThing", "publicAccessBlock"] {
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
    assert_eq!(put("x-amz-object-lock-mode", "COMPLIANCE").await, (501, "NotImplemented".into()));
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

#[tokio::test]
async fn keys_are_kept_as_they_are() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/keys", b"").await.ok();
    for key in ["a%2Fb", "a//b", "../../etc", "%2F", "a%20b", "a+b", "a@b=c", "%E6%97%A5", "a/", "%25zz"] {
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
async fn configurations_that_nobody_can_set_read_as_unset() {
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
