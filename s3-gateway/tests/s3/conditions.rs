use crate::server::{Answer, Client, Server};

async fn with(s3: &Client, method: &'static str, target: &str, header: (&str, &str)) -> (u16, String) {
    let call = s3.call(method, target).header(header.0, header.1);
    let call = if method == "PUT" { call.body("new") } else { call };
    call.send().await.error()
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A condition that is present and says nothing never lets a write through.
#[tokio::test]
async fn an_empty_condition_never_overwrites() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/guarded", b"").await.ok();
    s3.put("/guarded/k", b"old").await.ok();
    for name in ["if-match", "if-none-match"] {
        assert_eq!(with(&s3, "PUT", "/guarded/k", (name, "")).await, error(400, "InvalidArgument"), "{name}");
        assert_eq!(
            with(&s3, "DELETE", "/guarded/k", (name, "")).await,
            error(400, "InvalidArgument"),
            "{name}"
        );
        let copy = s3.call("PUT", "/guarded/copy").header("x-amz-copy-source", "guarded/k").header(name, "");
        assert_eq!(copy.send().await.error(), error(400, "InvalidArgument"), "copy {name}");
        let source = format!("x-amz-copy-source-{name}");
        let copy =
            s3.call("PUT", "/guarded/copy").header("x-amz-copy-source", "guarded/k").header(&source, "");
        assert_eq!(copy.send().await.error(), error(400, "InvalidArgument"), "copy {source}");
        assert_eq!(with(&s3, "POST", "/guarded/k?uploadId=0", (name, "")).await.0 / 100, 4, "{name}");
    }
    for name in ["x-amz-if-match-size", "x-amz-if-match-last-modified-time"] {
        assert_eq!(
            with(&s3, "DELETE", "/guarded/k", (name, "")).await,
            error(400, "InvalidArgument"),
            "{name}"
        );
    }
    assert_eq!(s3.get("/guarded/k").await.ok().text(), "old");
    assert_eq!(s3.get("/guarded/copy").await.status, 404);
}

/// `""` and `W/""` are tags, and no object has them.
#[tokio::test]
async fn an_empty_tag_matches_nothing() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/tags", b"").await.ok();
    s3.put("/tags/there", b"old").await.ok();
    for tag in ["\"\"", "W/\"\""] {
        for (method, missing) in [("PUT", 404), ("GET", 404), ("HEAD", 404)] {
            let found = with(&s3, method, "/tags/there", ("if-match", tag)).await;
            assert_eq!(found.0, 412, "{method} {tag}");
            assert_eq!(with(&s3, method, "/tags/none", ("if-match", tag)).await.0, missing, "{method} {tag}");
        }
        assert_eq!(
            with(&s3, "DELETE", "/tags/there", ("if-match", tag)).await,
            error(412, "PreconditionFailed")
        );
        let copy = s3.call("PUT", "/tags/there").header("x-amz-copy-source", "tags/there");
        let copy = copy.header("x-amz-metadata-directive", "REPLACE").header("if-match", tag).send().await;
        assert_eq!(copy.error(), error(412, "PreconditionFailed"), "{tag}");
        let copy = s3.call("PUT", "/tags/copy").header("x-amz-copy-source", "tags/there");
        let copy = copy.header("x-amz-copy-source-if-match", tag).send().await;
        assert_eq!(copy.error(), error(412, "PreconditionFailed"), "{tag}");
        let several: Answer = s3
            .call("POST", "/tags?delete")
            .header("content-md5", "")
            .body(format!("<Delete><Object><Key>there</Key><ETag>{tag}</ETag></Object></Delete>"))
            .send()
            .await;
        assert!(several.status == 400 || several.xml("Code") == Some("PreconditionFailed".into()), "{tag}");
        assert_eq!(s3.get("/tags/there").await.ok().text(), "old", "{tag}");
        // A condition that matches nothing refuses nothing.
        assert_eq!(with(&s3, "GET", "/tags/there", ("if-none-match", tag)).await.0, 200, "{tag}");
        assert_eq!(with(&s3, "PUT", "/tags/fresh", ("if-none-match", tag)).await.0, 200, "{tag}");
    }
}

/// As in a query: `+` is a blank, `%2B` a plus, and both may exist.
#[tokio::test]
async fn a_plus_in_a_copy_source_is_a_blank() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/plus", b"").await.ok();
    s3.put("/plus/a%20b", b"blank").await.ok();
    s3.put("/plus/a%2Bb", b"plus").await.ok();
    for (source, body) in
        [("plus/a+b", "blank"), ("/plus/a%20b", "blank"), ("plus/a%2Bb", "plus"), ("/plus/a%2bb", "plus")]
    {
        s3.call("PUT", "/plus/copy").header("x-amz-copy-source", source).send().await.ok();
        assert_eq!(s3.get("/plus/copy").await.ok().text(), body, "{source}");
        let upload = s3.call("POST", "/plus/parts?uploads").send().await.ok().xml("UploadId").unwrap();
        let target = format!("/plus/parts?partNumber=1&uploadId={upload}");
        let part = s3.call("PUT", target).header("x-amz-copy-source", source).send().await.ok();
        let etag = part.xml("ETag").unwrap();
        let xml = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
        );
        s3.call("POST", format!("/plus/parts?uploadId={upload}")).body(xml).send().await.ok();
        assert_eq!(s3.get("/plus/parts").await.ok().text(), body, "part {source}");
    }
}

/// A date that is none says nothing, as on S3; one in ISO 8601 is one.
#[tokio::test]
async fn dates_among_the_conditions_on_a_source_are_read_as_s3_reads_them() {
    const SINCE: &str = "x-amz-copy-source-if-modified-since";
    const NOT_SINCE: &str = "x-amz-copy-source-if-unmodified-since";
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/dated", b"").await.ok();
    s3.put("/dated/k", b"old").await.ok();
    let copy = async |name: &str, value: &str| {
        let copy = s3.call("PUT", "/dated/copy").header("x-amz-copy-source", "dated/k");
        copy.header(name, value).send().await
    };
    for name in [SINCE, NOT_SINCE] {
        for value in ["", " ", "Invalid Date", "0"] {
            copy(name, value).await.ok();
        }
    }
    let failed = error(412, "PreconditionFailed");
    for past in ["Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z", "1994-11-06T09:49:37+01:00"] {
        copy(SINCE, past).await.ok();
        assert_eq!(copy(NOT_SINCE, past).await.error(), failed, "{past}");
    }
}

/// S3 takes a tag without quotes as the same tag with them, whatever it looks like.
#[tokio::test]
async fn tags_without_quotes_are_tags() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/bare", b"").await.ok();
    let tag = s3.put("/bare/k", b"old").await.ok().header("etag").unwrap().trim_matches('"').to_owned();
    let failed = error(412, "PreconditionFailed");
    let copy = async |target: &str, name: &str, value: &str| {
        let call =
            s3.call("PUT", target.to_owned()).header("x-amz-copy-source", "bare/k").header(name, value);
        call.send().await
    };
    let upload = s3.call("POST", "/bare/parts?uploads").send().await.ok().xml("UploadId").unwrap();
    for target in ["/bare/copy", &format!("/bare/parts?partNumber=1&uploadId={upload}")] {
        assert_eq!(
            copy(target, "x-amz-copy-source-if-match", "no-such-tag").await.error(),
            failed,
            "{target}"
        );
        assert_eq!(copy(target, "x-amz-copy-source-if-none-match", &tag).await.error(), failed, "{target}");
        copy(target, "x-amz-copy-source-if-match", &tag).await.ok();
        copy(target, "x-amz-copy-source-if-none-match", "no-such-tag").await.ok();
    }
    assert_eq!(copy("/bare/copy", "if-match", "no-such-tag").await.error(), failed);
    assert_eq!(s3.get("/bare/copy").await.ok().text(), "old");
    let stranger = server.tenant("evil", "read,write,delete").await;
    let call = stranger.call("DELETE", "/bare/k").header("if-match", &tag);
    assert_eq!(call.send().await.error(), error(403, "AccessDenied"), "the same door");
    assert_eq!(with(&s3, "DELETE", "/bare/k", ("if-match", "no-such-tag")).await, failed);
    assert_eq!(with(&s3, "DELETE", "/bare/k", ("if-match", &tag)).await.0, 204);
}
