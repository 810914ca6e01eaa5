use crate::server::Server;

/// S3 ignores the keys of a read that it does not know, and verifies them.
#[tokio::test]
async fn unknown_keys_of_reads_are_ignored() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/queries", b"").await.ok();
    s3.put("/queries/k", b"body").await.ok();
    for query in
        ["v=3", "utm_source=mail", "Version=2006-03-01", "20260101", "x-my-key=1", "id=4&acl2", "Tagging"]
    {
        for target in ["/queries/k", "/queries"] {
            for method in ["GET", "HEAD"] {
                let answer = s3.call(method, format!("{target}?{query}")).send().await;
                assert_eq!(answer.status, 200, "{method} {target}?{query}: {}", answer.text());
            }
        }
        assert_eq!(s3.get(&format!("/queries/k?{query}")).await.text(), "body");
        assert_eq!(s3.get(&format!("/queries?{query}")).await.xml("Key"), Some("k".into()));
        let url = s3.presign("GET", &format!("/queries/k?{query}"));
        assert_eq!(s3.call("GET", &url).send().await.ok().text(), "body", "{url}");
        let other = url.replace(query, "v=4");
        assert_eq!(s3.call("GET", other).send().await.error(), (403, "SignatureDoesNotMatch".into()));
        let write = s3.call("PUT", format!("/queries/k?{query}")).body("lost").send().await;
        assert_eq!(write.error(), (501, "NotImplemented".into()), "{query}");
    }
    for query in ["torrent", "restore", "replication", "renameObject"] {
        assert_eq!(s3.get(&format!("/queries/k?{query}")).await.error().0, 501, "{query}");
    }
    assert_eq!(s3.get("/queries/k").await.text(), "body");
}

/// aws-sdk-js 2 writes headers into the query of a presigned put.
#[tokio::test]
async fn headers_in_the_query_of_a_presigned_put_count() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/presigned", b"").await.ok();
    let query = "Content-Type=text%2Fplain&Cache-Control=max-age%3D60&Content-Disposition=attachment\
                 &Content-Language=de&Expires=Sun%2C%2006%20Nov%202094%2008%3A49%3A37%20GMT\
                 &Content-MD5=hBotaJrYa9FhFEdFPCLG%2FA%3D%3D&If-None-Match=%2A&x-amz-meta-a=1";
    let url = s3.presign("PUT", &format!("/presigned/k?{query}"));
    let wrong = s3.call("PUT", &url).body("other").send().await;
    assert_eq!(wrong.error(), (400, "BadDigest".into()));
    // What the signer bound holds, whatever header comes along.
    let put = s3.call("PUT", &url).unsigned_header("content-type", "text/html").body("body").send().await;
    assert_eq!(put.status, 200, "{}", put.text());
    let get = s3.get("/presigned/k").await.ok();
    for (name, value) in [
        ("content-type", "text/plain"),
        ("cache-control", "max-age=60"),
        ("content-disposition", "attachment"),
        ("content-language", "de"),
        ("expires", "Sun, 06 Nov 2094 08:49:37 GMT"),
        ("x-amz-meta-a", "1"),
    ] {
        assert_eq!(get.header(name), Some(value), "{name}");
    }
    assert_eq!(get.text(), "body");
    let again = s3.call("PUT", &url).unsigned_header("if-none-match", "\"x\"").body("body").send().await;
    assert_eq!(again.error(), (412, "PreconditionFailed".into()));
    let other = url.replace("text%2Fplain", "text%2Fhtml");
    assert_eq!(
        s3.call("PUT", other).body("body").send().await.error(),
        (403, "SignatureDoesNotMatch".into())
    );
    let empty = s3.presign("PUT", "/presigned/k?If-None-Match=");
    assert_eq!(s3.call("PUT", empty).body("lost").send().await.error(), (400, "InvalidArgument".into()));
    let unsigned = s3.call("PUT", "/presigned/k?Content-Type=text%2Fplain").body("lost").send().await;
    assert_eq!(unsigned.error(), (501, "NotImplemented".into()), "no presigned put");
}
