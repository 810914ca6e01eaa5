use crate::server::Server;

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let server = Server::start().await;
    let s3 = server.root();
    assert_eq!(s3.put("/things", b"").await.ok().header("location"), Some("/things"));
    let put = s3
        .call("PUT", "/things/a%20b/%C3%BC%2B.txt")
        .header("content-type", "text/plain")
        .header("cache-control", "no-cache")
        .header("content-disposition", "attachment")
        .header("expires", "Thu, 01 Dec 2033 16:00:00 GMT")
        .header("x-amz-meta-color", "blue")
        .header("x-amz-meta-name", "=?UTF-8?B?Z3LDtsOfZQ==?=")
        .header("x-amz-storage-class", "GLACIER_IR")
        .header("x-amz-tagging", "a=1&b=2")
        .body("hello")
        .send()
        .await
        .ok();
    assert_eq!(put.header("etag"), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    // S3 computes this one when the client declares none.
    assert!(put.header("x-amz-checksum-crc64nvme").is_some());
    assert_eq!(put.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    assert_eq!(put.header("x-amz-version-id"), None);

    let get = s3.get("/things/a%20b/%C3%BC%2B.txt").await.ok();
    assert_eq!(get.text(), "hello");
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("cache-control", "no-cache"),
        ("content-disposition", "attachment"),
        ("expires", "Thu, 01 Dec 2033 16:00:00 GMT"),
        ("x-amz-meta-color", "blue"),
        ("x-amz-meta-name", "=?UTF-8?B?Z3LDtsOfZQ==?="),
        ("x-amz-storage-class", "GLACIER_IR"),
        ("x-amz-tagging-count", "2"),
        ("accept-ranges", "bytes"),
        ("etag", "\"5d41402abc4b2a76b9719d911017c592\""),
    ] {
        assert_eq!(get.header(name), Some(value), "{name}");
    }
    assert_eq!(get.header("x-amz-checksum-crc64nvme"), None);
    assert!(get.header("last-modified").is_some() && get.header("x-amz-id-2").is_some());

    let head = s3
        .call("HEAD", "/things/a%20b/%C3%BC%2B.txt")
        .header("x-amz-checksum-mode", "ENABLED")
        .send()
        .await
        .ok();
    assert_eq!((head.header("content-length"), head.body.len()), (Some("5"), 0));
    assert!(head.header("x-amz-checksum-crc64nvme").is_some());
    let tags = s3.get("/things/a%20b/%C3%BC%2B.txt?tagging").await.ok();
    assert_eq!(
        (tags.all("Key"), tags.all("Value")),
        (vec!["a".into(), "b".into()], vec!["1".into(), "2".into()])
    );
}

#[tokio::test]
async fn ranges_follow_http() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/ranges", b"").await.ok();
    s3.put("/ranges/k", b"0123456789").await.ok();
    let range = async |range: &str| {
        s3.call("GET", "/ranges/k")
            .header("range", range)
            .header("x-amz-checksum-mode", "ENABLED")
            .send()
            .await
    };
    let some = range("bytes=2-4").await;
    assert_eq!((some.status, some.text().as_str()), (206, "234"));
    assert_eq!(some.header("content-range"), Some("bytes 2-4/10"));
    // A whole object's checksum on a part of it breaks SDKs (boto3 #4512).
    assert_eq!(some.header("x-amz-checksum-crc64nvme"), None);
    assert_eq!(range("bytes=-3").await.text(), "789");
    for ignored in ["bytes=0-1,3-4", "bytes=5-2", "lines=1-2"] {
        let whole = range(ignored).await;
        assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"), "{ignored}");
    }
    let beyond = range("bytes=10-").await;
    assert_eq!(beyond.error(), (416, "InvalidRange".into()));
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    let part = s3.get("/ranges/k?partNumber=1").await;
    assert_eq!((part.status, part.text().as_str()), (206, "0123456789"));
    assert_eq!(s3.get("/ranges/k?partNumber=2").await.error(), (416, "InvalidPartNumber".into()));
    let overridden =
        s3.get("/ranges/k?response-content-type=text%2Fcsv&response-cache-control=private").await.ok();
    assert_eq!(overridden.header("content-type"), Some("text/csv"));
    assert_eq!(overridden.header("cache-control"), Some("private"));
}

#[tokio::test]
async fn conditions_hold_on_reads_and_writes() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/conditions", b"").await.ok();
    let etag = s3.put("/conditions/k", b"1").await.ok().header("etag").unwrap().to_owned();
    let with = async |method, name: &str, value: &str| {
        s3.call(method, "/conditions/k").header(name, value).send().await
    };
    assert_eq!(with("GET", "if-match", &format!("\"other\", {etag}")).await.status, 200);
    assert_eq!(with("GET", "if-match", "\"other\"").await.error(), (412, "PreconditionFailed".into()));
    let unmodified = with("GET", "if-none-match", &etag).await;
    assert_eq!((unmodified.status, unmodified.body.len()), (304, 0));
    assert_eq!(unmodified.header("etag"), Some(etag.as_str()));
    assert_eq!(with("GET", "if-modified-since", "not a date").await.status, 200);
    assert_eq!(with("HEAD", "if-match", "\"other\"").await.status, 412);

    assert_eq!(with("PUT", "if-none-match", "*").await.error(), (412, "PreconditionFailed".into()));
    assert_eq!(with("PUT", "if-match", "\"other\"").await.error(), (412, "PreconditionFailed".into()));
    assert_eq!(with("PUT", "if-match", &etag).await.status, 200);
    let missing = s3.call("PUT", "/conditions/new").header("if-match", &etag).send().await;
    assert_eq!(missing.error(), (404, "NoSuchKey".into()));
    assert_eq!(s3.call("PUT", "/conditions/new").header("if-none-match", "*").send().await.status, 200);
    assert_eq!(with("DELETE", "if-match", "\"other\"").await.error(), (412, "PreconditionFailed".into()));
    assert_eq!(with("DELETE", "if-match", "*").await.status, 204);
    assert_eq!(s3.get("/conditions/k").await.error(), (404, "NoSuchKey".into()));
    assert_eq!(with("DELETE", "if-match", "*").await.error(), (404, "NoSuchKey".into()));
}

/// The last bytes of an empty object are all of it; a range with a position in it is outside.
#[tokio::test]
async fn a_suffix_of_nothing_is_nothing() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/empty", b"").await.ok();
    s3.put("/empty/k", b"").await.ok();
    for method in ["GET", "HEAD"] {
        for (range, status) in
            [("bytes=-1", 200), ("bytes=-65536", 200), ("bytes=0-", 416), ("bytes=-0", 416)]
        {
            let answer = s3.call(method, "/empty/k").header("range", range).send().await;
            assert_eq!(answer.status, status, "{method} {range}");
            if status == 200 {
                assert_eq!(
                    (answer.header("content-length"), answer.header("content-range")),
                    (Some("0"), None)
                );
            }
        }
    }
}

#[tokio::test]
async fn copies_keep_or_replace_and_never_onto_themselves() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/copies", b"").await.ok();
    s3.call("PUT", "/copies/from").header("x-amz-meta-a", "1").body("bytes").send().await.ok();
    let copy = async |to: &str, headers: &[(&str, &str)]| {
        let call = s3.call("PUT", format!("/copies/{to}")).header("x-amz-copy-source", "/copies/from");
        headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
    };
    let kept = copy("kept", &[]).await.ok();
    assert_eq!(kept.xml("ETag"), Some("\"4b3a6218bb3e3a7303e8a171a60fcf92\"".into()));
    let kept = s3.get("/copies/kept").await.ok();
    assert_eq!((kept.text().as_str(), kept.header("x-amz-meta-a")), ("bytes", Some("1")));
    copy("new", &[("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2")]).await.ok();
    let new = s3.get("/copies/new").await.ok();
    assert_eq!((new.header("x-amz-meta-a"), new.header("x-amz-meta-b")), (None, Some("2")));
    assert_eq!(copy("from", &[]).await.error(), (400, "InvalidRequest".into()));
    copy("from", &[("x-amz-metadata-directive", "REPLACE")]).await.ok();
    assert_eq!(
        copy("x", &[("x-amz-copy-source-if-match", "\"other\"")]).await.error(),
        (412, "PreconditionFailed".into())
    );
    assert_eq!(copy("kept", &[("if-none-match", "*")]).await.error(), (412, "PreconditionFailed".into()));
    let missing = s3.call("PUT", "/copies/x").header("x-amz-copy-source", "/copies/none").send().await;
    assert_eq!(missing.error(), (404, "NoSuchKey".into()));
    let summed = copy("summed", &[("x-amz-checksum-algorithm", "SHA256")]).await.ok();
    assert!(summed.xml("ChecksumSHA256").is_some());
}

/// A key that is being overwritten has tags all the same: those of the version that is current when they are set.
#[tokio::test]
async fn tags_are_set_while_the_key_is_overwritten() {
    const ROUNDS: usize = 40;
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/busy", b"").await.ok();
    s3.put("/busy/k", b"first").await.ok();
    let overwriters = futures::future::join_all((0..4).map(|n| {
        let s3 = s3.clone();
        async move {
            for round in 0..ROUNDS {
                s3.put("/busy/k", format!("{n}.{round}").as_bytes()).await.ok();
            }
        }
    }));
    let tags = async {
        let xml = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
        for _ in 0..ROUNDS {
            s3.call("PUT", "/busy/k?tagging").body(xml).send().await.ok();
            s3.call("DELETE", "/busy/k?tagging").send().await.ok();
        }
    };
    futures::future::join(overwriters, tags).await;
}

/// A document over its bound is the client's fault, and says so.
#[tokio::test]
async fn a_list_of_keys_that_is_too_long_is_refused() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/long", b"").await.ok();
    // Little more than the 8 MiB that are read, so that the answer is not lost behind bytes that are not read.
    let key = "<Object><Key>k</Key></Object>";
    let xml = format!("<Delete>{}</Delete>", key.repeat((8 << 20) / key.len() + 10));
    let md5 = {
        use base64::Engine as _;
        use md5::Digest as _;
        base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(xml.as_bytes()))
    };
    for target in ["/long?delete", "/long/k?tagging", "/long?cors"] {
        let method = if target.ends_with("delete") { "POST" } else { "PUT" };
        let refused = s3.call(method, target).header("content-md5", &md5).body(xml.clone()).send().await;
        assert_eq!(refused.error(), (400, "MaxMessageLengthExceeded".into()), "{target}");
    }
}

#[tokio::test]
async fn tags_are_replaced_and_everything_else_stays() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/tags", b"").await.ok();
    s3.call("PUT", "/tags/k").header("x-amz-meta-a", "1").body("x").send().await.ok();
    let put = async |set: &str| {
        let xml = format!("<Tagging><TagSet>{set}</TagSet></Tagging>");
        s3.call("PUT", "/tags/k?tagging").body(xml).send().await
    };
    put("<Tag><Key>colour</Key><Value>blue</Value></Tag>").await.ok();
    let head = s3.call("HEAD", "/tags/k").send().await.ok();
    assert_eq!((head.header("x-amz-tagging-count"), head.header("x-amz-meta-a")), (Some("1"), Some("1")));
    let twice = "<Tag><Key>a</Key><Value>1</Value></Tag>".repeat(2);
    assert_eq!(put(&twice).await.error(), (400, "InvalidTag".into()));
    let many: String = (0..11).map(|n| format!("<Tag><Key>{n}</Key><Value>1</Value></Tag>")).collect();
    assert_eq!(put(&many).await.error(), (400, "InvalidTag".into()));
    assert_eq!(s3.call("DELETE", "/tags/k?tagging").send().await.status, 204);
    assert!(s3.get("/tags/k?tagging").await.ok().all("Key").is_empty());
}

#[tokio::test]
async fn many_keys_are_deleted_at_once_and_only_as_declared() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/many", b"").await.ok();
    for key in ["a", "b", "c"] {
        s3.put(&format!("/many/{key}"), b"x").await.ok();
    }
    let body = |keys: &[&str], quiet: bool| {
        let keys: String = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
        format!("<Delete><Quiet>{quiet}</Quiet>{keys}</Delete>")
    };
    let delete = async |xml: &str, header: Option<(&str, &str)>| {
        let call = s3.call("POST", "/many?delete").body(xml);
        match header {
            Some((name, value)) => call.header(name, value).send().await,
            None => call.send().await,
        }
    };
    let two = body(&["a", "none"], false);
    assert_eq!(delete(&two, None).await.error(), (400, "InvalidRequest".into()));
    let wrong = Some(("content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="));
    assert_eq!(delete(&two, wrong).await.error(), (400, "BadDigest".into()));
    assert_eq!(
        delete(&two, Some(("x-amz-checksum-crc32", "AAAAAA=="))).await.error(),
        (400, "BadDigest".into())
    );
    assert_eq!(s3.get("/many/a").await.status, 200);

    let crc = |xml: &str| {
        use juststorage_core::domain::checksum::{ChecksumAlgorithm, ChecksumHasher};
        let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32);
        hasher.update(xml.as_bytes());
        hasher.finish().value
    };
    let deleted = delete(&two, Some(("x-amz-checksum-crc32", &crc(&two)))).await.ok();
    assert_eq!(deleted.all("Key"), ["a", "none"]);
    let quiet = body(&["b"], true);
    let silent = delete(&quiet, Some(("x-amz-checksum-crc32", &crc(&quiet)))).await.ok();
    assert!(silent.all("Key").is_empty());
    assert_eq!(s3.get("/many/b").await.status, 404);
    let tagged = "<Delete><Object><Key>b</Key><ETag>\"x\"</ETag></Object></Delete>";
    let missing = delete(tagged, Some(("x-amz-checksum-crc32", &crc(tagged)))).await.ok();
    assert_eq!((missing.all("Code"), missing.all("Deleted").len()), (vec!["NoSuchKey".into()], 0));
    let long = "k".repeat(1025);
    let mixed = body(&["c", &long], false);
    let mixed = delete(&mixed, Some(("x-amz-checksum-crc32", &crc(&mixed)))).await.ok();
    assert_eq!(mixed.all("Code"), ["KeyTooLongError"]);
    assert_eq!(s3.get("/many/c").await.status, 404);
    let keys: Vec<_> = (0..1001).map(|n| n.to_string()).collect();
    let too_many = body(&keys.iter().map(String::as_str).collect::<Vec<_>>(), false);
    let refused = delete(&too_many, Some(("x-amz-checksum-crc32", &crc(&too_many)))).await;
    assert_eq!(refused.error(), (400, "MalformedXML".into()));
}
