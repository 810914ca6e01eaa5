//! Headers and members that answers were missing, and refusals that came with another code than S3's.

use std::time::SystemTime;

use crate::server::{Server, raw};

#[tokio::test]
async fn listings_of_versions_say_their_checksums() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/sums", b"").await.ok();
    s3.put("/sums/default", b"x").await.ok();
    s3.call("PUT", "/sums/sha1")
        .header("x-amz-checksum-sha1", "EfatjsUqKYSrqv18O1FlA3hcIHI=")
        .body("x")
        .send()
        .await
        .ok();
    let listed = s3.get("/sums?versions").await.ok();
    assert_eq!(listed.all("ChecksumAlgorithm"), ["CRC64NVME", "SHA1"]);
    assert_eq!(listed.all("ChecksumType"), ["FULL_OBJECT", "FULL_OBJECT"]);
}

#[tokio::test]
async fn copies_of_versions_name_them_and_markers_are_no_source() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/versions", b"").await.ok();
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    s3.put("/versions?versioning", enabled.as_bytes()).await.ok();
    let version = s3.put("/versions/k", b"x").await.ok().header("x-amz-version-id").unwrap().to_owned();
    let before = httpdate::HttpDate::from(SystemTime::now());
    let marker = s3.call("DELETE", "/versions/k").send().await.ok();
    let after = httpdate::HttpDate::from(SystemTime::now());
    let marker = marker.header("x-amz-version-id").unwrap().to_owned();
    let id = s3.call("POST", "/versions/u?uploads").send().await.ok().xml("UploadId").unwrap();
    let part = format!("/versions/u?partNumber=1&uploadId={id}");
    for target in ["/versions/copy", &part] {
        let copy =
            async |source: String| s3.call("PUT", target).header("x-amz-copy-source", &source).send().await;
        let copied = copy(format!("/versions/k?versionId={version}")).await.ok();
        assert_eq!(copied.header("x-amz-copy-source-version-id"), Some(&*version), "{target}");
        let refused = copy(format!("/versions/k?versionId={marker}")).await;
        assert_eq!(refused.error(), (400, "InvalidRequest".into()), "{target}");
        let gone = copy("/versions/k".to_owned()).await;
        assert_eq!(gone.error(), (404, "NoSuchKey".into()), "{target}");
        assert_eq!(gone.xml("Key").as_deref(), Some("k"));
    }
    for method in ["GET", "HEAD"] {
        let read = s3.call(method, format!("/versions/k?versionId={marker}")).send().await;
        assert_eq!(read.status, 405, "{method}");
        let made: httpdate::HttpDate = read.header("last-modified").unwrap().parse().unwrap();
        assert!(before <= made && made <= after, "{method}: {made}");
        assert_eq!(read.header("x-amz-delete-marker"), Some("true"));
    }
}

#[tokio::test]
async fn tags_are_those_that_s3_takes() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/tags", b"").await.ok();
    s3.put("/tags/k", b"x").await.ok();
    let document = |key: &str, value: &str| {
        format!("<Tagging><TagSet><Tag><Key>{key}</Key><Value>{value}</Value></Tag></TagSet></Tagging>")
    };
    for (key, value) in [("aws:x", "1"), ("AWS:x", "1"), ("a!", "1"), ("a", "1,2"), ("a\t", "1"), ("a;b", "")]
    {
        for target in ["/tags?tagging", "/tags/k?tagging"] {
            let refused = s3.put(target, document(key, value).as_bytes()).await;
            assert_eq!(refused.error(), (400, "InvalidTag".into()), "{target} {key:?} {value:?}");
            assert_eq!(refused.xml("TagKey").as_deref(), Some(key));
        }
    }
    for header in ["aws%3Ax=1", "a=1%2C2"] {
        let refused = s3.call("PUT", "/tags/k").header("x-amz-tagging", header).body("y").send().await;
        assert_eq!(refused.error(), (400, "InvalidTag".into()), "{header}");
    }
    for (key, value) in [("größe", "日本"), ("a b", "+-=._:/@"), ("a:aws:", "")] {
        for target in ["/tags?tagging", "/tags/k?tagging"] {
            s3.put(target, document(key, value).as_bytes()).await.ok();
            assert_eq!(s3.get(target).await.ok().xml("Key").as_deref(), Some(key));
        }
    }
    assert_eq!(s3.get("/tags/k").await.ok().text(), "x");
}

/// Whether a bucket is there does not hang on what else is wrong.
#[tokio::test]
async fn a_malformed_upload_id_hides_no_missing_bucket() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/there", b"").await.ok();
    let document = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"0\"</ETag></Part>\
         </CompleteMultipartUpload>";
    for (method, query, body) in [
        ("GET", "uploadId=no", ""),
        ("PUT", "uploadId=no&partNumber=1", "x"),
        ("POST", "uploadId=no", document),
        ("DELETE", "uploadId=no", ""),
    ] {
        let at = async |bucket: &str| s3.call(method, format!("/{bucket}/k?{query}")).body(body).send().await;
        assert_eq!(at("none").await.error(), (404, "NoSuchBucket".into()), "{method}");
        let there = at("there").await;
        assert_eq!(there.error(), (404, "NoSuchUpload".into()), "{method}");
        assert_eq!(there.xml("UploadId").as_deref(), Some("no"));
    }
}

#[tokio::test]
async fn an_acl_that_s3_does_not_know_is_a_wrong_argument() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/canned", b"").await.ok();
    for target in ["/canned/k", "/canned?acl", "/made"] {
        let put = async |acl: &str| s3.call("PUT", target).header("x-amz-acl", acl).send().await;
        let unknown = put("public-reed").await;
        assert_eq!(unknown.error(), (400, "InvalidArgument".into()), "{target}");
        assert_eq!(unknown.xml("ArgumentName").as_deref(), Some("x-amz-acl"));
        assert_eq!(unknown.xml("ArgumentValue").as_deref(), Some("public-reed"));
        for known in ["public-read", "aws-exec-read", "log-delivery-write", "bucket-owner-read"] {
            assert_eq!(put(known).await.error().1, "AccessControlListNotSupported", "{target} {known}");
        }
    }
}

/// What a resumed download asks with: the date that it was told.
#[tokio::test]
async fn a_range_may_depend_on_a_date() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/resumed", b"").await.ok();
    s3.put("/resumed/k", b"0123456789").await.ok();
    let head = s3.call("HEAD", "/resumed/k").send().await.ok();
    let (etag, date) = (head.header("etag").unwrap(), head.header("last-modified").unwrap());
    let weak = format!("W/{etag}");
    for (state, status) in [
        (date, 206),
        (etag, 206),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 200),
        ("\"0123\"", 200),
        (&weak, 200),
        ("yesterday", 200),
    ] {
        let read = s3.call("GET", "/resumed/k").header("range", "bytes=4-").header("if-range", state);
        let read = read.send().await;
        assert_eq!(read.status, status, "{state}");
        assert_eq!(read.text(), if status == 206 { "456789" } else { "0123456789" }, "{state}");
    }
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = Server::start().await;
    for hosts in ["", "host: a\r\nhost: b\r\n", "host: a\r\nhost: a\r\n"] {
        let request = format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        let answer = raw(server.address, request.as_bytes(), false).await;
        assert_eq!(answer.error(), (400, "InvalidRequest".into()), "{hosts:?}");
        assert!(answer.xml("RequestId").is_some(), "{hosts:?}");
    }
    let old = raw(server.address, b"GET / HTTP/1.0\r\n\r\n", false).await;
    assert_eq!(old.error().0, 403, "HTTP/1.0 need not name one");
}

/// A header that could change what a write does is honoured or refused by its name.
#[tokio::test]
async fn headers_that_are_not_known_are_refused_by_name() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/headers", b"").await.ok();
    s3.put("/headers/k", b"kept").await.ok();
    for (method, target, name) in [
        ("PUT", "/made", "x-amz-bucket-namespace"),
        ("PUT", "/headers/k", "x-amz-future-thing"),
        ("PUT", "/headers/k", "x-amz-if-match-size"),
        ("PUT", "/headers/k", "x-amz-checksum-blake3"),
        ("DELETE", "/headers/k", "x-amz-if-match-initiated-time"),
        ("DELETE", "/headers", "x-amz-future-thing"),
        ("POST", "/headers/k?uploads", "x-amz-future-thing"),
        ("DELETE", "/headers/k", "x-minio-force-delete"),
        ("DELETE", "/headers", "x-minio-force-delete"),
        ("PUT", "/headers/k", "x-minio-source-mtime"),
    ] {
        let refused = s3.call(method, target).header(name, "1").send().await;
        assert_eq!(refused.error(), (501, "NotImplemented".into()), "{method} {target} {name}");
        assert_eq!(refused.xml("Header").as_deref(), Some(name));
        assert!(refused.xml("Message").unwrap().contains(name));
    }
    assert_eq!(s3.get("/made").await.error().0, 404);
    let read = s3.call("GET", "/headers/k").header("x-amz-future-thing", "1").send().await.ok();
    assert_eq!(read.text(), "kept");
}

/// A read or a delete that names a source is a copy gone wrong; sub-resources on the wrong level are no objects.
#[tokio::test]
async fn what_s3_has_elsewhere_is_refused_with_its_codes() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/wrong", b"").await.ok();
    s3.put("/wrong/k", b"kept").await.ok();
    for (method, target) in
        [("GET", "/wrong/k"), ("DELETE", "/wrong/k"), ("GET", "/wrong"), ("POST", "/wrong/k?uploadId=x")]
    {
        let refused = s3.call(method, target).header("x-amz-copy-source", "wrong/k").send().await;
        assert_eq!(refused.error(), (400, "InvalidArgument".into()), "{method} {target}");
        assert_eq!(refused.xml("ArgumentName"), Some("x-amz-copy-source".into()));
    }
    for target in ["/wrong/k?uploads", "/wrong/k?versions"] {
        assert_eq!(s3.get(target).await.error(), (400, "InvalidRequest".into()), "{target}");
    }
    for names in ["", ","] {
        let attributes = s3.call("GET", "/wrong/k?attributes").header("x-amz-object-attributes", names);
        assert_eq!(attributes.send().await.error(), (400, "InvalidRequest".into()), "{names:?}");
    }
    for (source, code) in [
        ("wrong/%zz", "InvalidArgument"),
        ("100%/k", "InvalidArgument"),
        ("my-buc@k/k", "InvalidArgument"),
        ("192.168.1.1/k", "InvalidArgument"),
        ("wrong", "InvalidArgument"),
        ("wrong/", "InvalidArgument"),
    ] {
        let copy = s3.call("PUT", "/wrong/copy").header("x-amz-copy-source", source).send().await;
        assert_eq!(copy.error(), (400, code.into()), "{source}");
    }
    for (size, code, what) in
        [("-1", "InvalidRequest", "less than zero"), ("many", "InvalidArgument", "many")]
    {
        let complete = s3.call("POST", "/wrong/k?uploadId=x").header("x-amz-mp-object-size", size);
        let complete = complete.body("<CompleteMultipartUpload/>").send().await;
        assert_eq!(complete.error(), (400, code.into()), "{size}");
        assert!(complete.xml("Message").unwrap().contains(what), "{size}");
    }
    let missing = s3.call("GET", "/wrong-too/k?attributes").header("x-amz-object-attributes", "");
    assert_eq!(missing.send().await.error(), (404, "NoSuchBucket".into()));
    let owned = s3.call("PUT", "/owned").header("x-amz-object-ownership", "nonsense").send().await;
    assert_eq!(owned.error(), (400, "InvalidArgument".into()));
    let owned = s3.call("PUT", "/owned").header("x-amz-object-ownership", "ObjectWriter").send().await;
    assert_eq!(owned.error(), (501, "NotImplemented".into()));
    let status = "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>";
    assert_eq!(s3.put("/wrong?versioning", status.as_bytes()).await.error(), (400, "MalformedXML".into()));
    let past = s3.call("PUT", "/wrong/k").header("x-amz-object-lock-mode", "GOVERNANCE");
    let past = past.header("x-amz-object-lock-retain-until-date", "2001-01-01T00:00:00Z").send().await;
    assert_eq!(past.error(), (400, "InvalidArgument".into()), "before the bucket without object lock");
    let until = "<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>";
    let retention = format!("<Retention><Mode>GOVERNANCE</Mode>{until}</Retention>");
    let hold = "<LegalHold><Status>ON</Status></LegalHold>".to_owned();
    for (what, document) in [("retention", retention), ("legal-hold", hold)] {
        assert_eq!(s3.get(&format!("/wrong/none?{what}")).await.error(), (404, "NoSuchKey".into()), "{what}");
        assert_eq!(
            s3.get(&format!("/wrong/k?{what}")).await.error(),
            (400, "InvalidRequest".into()),
            "{what}"
        );
        let nowhere = s3.put(&format!("/wrong-too/k?{what}"), document.as_bytes()).await;
        assert_eq!(nowhere.error(), (404, "NoSuchBucket".into()), "{what}");
    }
    let class = s3.call("PUT", "/wrong/copy").header("x-amz-storage-class", "NONE").send().await;
    assert_eq!(class.error(), (400, "InvalidStorageClass".into()));
    assert_eq!(class.header("content-type"), Some("application/xml"), "an error with a member of its own");
    let redirect = s3.call("PUT", "/wrong/copy").header("x-amz-website-redirect-location", "ftp://a");
    assert_eq!(redirect.send().await.error(), (400, "InvalidRedirectLocation".into()));
    assert_eq!(s3.get("/wrong/copy").await.status, 404);
    assert_eq!(s3.get("/wrong/k").await.ok().text(), "kept");
}
