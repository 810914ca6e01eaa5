use juststorage_core::domain::checksum::{ChecksumAlgorithm, ChecksumHasher};

use crate::server::{Answer, Client, Server};

const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const SUSPENDED: &str = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";

async fn delete(s3: &Client, target: &str, headers: &[(&str, &str)]) -> Answer {
    let call = s3.call("DELETE", target);
    headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
}

#[tokio::test]
async fn versions_are_kept_from_when_they_are_asked_for() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/kept", b"").await.ok();
    assert_eq!(s3.get("/kept?versioning").await.ok().xml("Status"), None);
    assert_eq!(s3.put("/kept/k", b"before").await.ok().header("x-amz-version-id"), None);
    for wrong in [
        "<VersioningConfiguration/>",
        "<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>",
    ] {
        let refused = s3.put("/kept?versioning", wrong.as_bytes()).await.error();
        assert_eq!(refused.0, 400, "{wrong}");
    }
    let mfa = ENABLED.replace("<Status>", "<MfaDelete>Enabled</MfaDelete><Status>");
    assert_eq!(s3.put("/kept?versioning", mfa.as_bytes()).await.error(), (501, "NotImplemented".into()));
    s3.put("/kept?versioning", ENABLED.as_bytes()).await.ok();
    assert_eq!(s3.get("/kept?versioning").await.ok().xml("Status"), Some("Enabled".into()));

    let second = s3.put("/kept/k", b"second").await.ok().header("x-amz-version-id").unwrap().to_owned();
    let gone = delete(&s3, "/kept/k", &[]).await.ok();
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    let marker = gone.header("x-amz-version-id").unwrap().to_owned();
    let missing = s3.get("/kept/k").await;
    assert_eq!((missing.status, missing.header("x-amz-delete-marker")), (404, Some("true")));
    assert_eq!(
        s3.get(&format!("/kept/k?versionId={marker}")).await.error(),
        (405, "MethodNotAllowed".into())
    );
    assert_eq!(s3.get("/kept/k?versionId=null").await.ok().text(), "before");
    assert_eq!(s3.get(&format!("/kept/k?versionId={second}")).await.ok().text(), "second");
    let listed = s3.get("/kept?versions").await.ok();
    assert_eq!(listed.all("VersionId"), [marker.clone(), second.clone(), "null".to_owned()]);
    assert_eq!(listed.all("IsLatest"), ["true", "false", "false"]);

    // The marker's end brings back what it hid.
    let unhidden = delete(&s3, &format!("/kept/k?versionId={marker}"), &[]).await.ok();
    assert_eq!(unhidden.header("x-amz-delete-marker"), Some("true"));
    assert_eq!(s3.get("/kept/k").await.ok().text(), "second");

    s3.put("/kept?versioning", SUSPENDED.as_bytes()).await.ok();
    assert_eq!(s3.put("/kept/k", b"third").await.ok().header("x-amz-version-id"), None);
    let head = s3.get("/kept/k").await.ok();
    assert_eq!((head.text(), head.header("x-amz-version-id")), ("third".into(), Some("null")));
    assert_eq!(
        s3.get("/kept?versions").await.ok().all("VersionId").len(),
        2,
        "the null version was replaced"
    );
    assert_eq!(s3.call("DELETE", "/kept").send().await.error(), (409, "BucketNotEmpty".into()));
}

#[tokio::test]
async fn settings_need_the_right_to_them() {
    let server = Server::start().await;
    let (writer, admin) =
        (server.tenant("a", "read,write,delete").await, server.tenant("a", "read,write,delete,admin").await);
    writer.put("/set", b"").await.ok();
    let refused = writer.put("/set?versioning", ENABLED.as_bytes()).await.error();
    assert_eq!(refused, (403, "AccessDenied".into()));
    admin.put("/set?versioning", ENABLED.as_bytes()).await.ok();
    let stranger = server.tenant("b", "read,write,delete,admin").await;
    assert_eq!(stranger.put("/set?versioning", SUSPENDED.as_bytes()).await.error().0, 403);
}

/// What is there is deleted only if every condition holds. Where nothing is, `If-Match` is 404, and what another
/// condition protects is gone.
#[tokio::test]
async fn deletes_are_conditional() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/careful", b"").await.ok();
    for (name, wrong, right) in [
        ("if-match", "\"00000000000000000000000000000000\"", "*"),
        ("x-amz-if-match-size", "4", "3"),
        ("x-amz-if-match-last-modified-time", "Thu, 01 Jan 2015 00:00:00 GMT", ""),
    ] {
        s3.put("/careful/k", b"abc").await.ok();
        let modified = s3.get("/careful/k").await.ok().header("last-modified").unwrap().to_owned();
        let right = if right.is_empty() { modified.as_str() } else { right };
        let refused = delete(&s3, "/careful/k", &[(name, wrong)]).await.error();
        assert_eq!(refused, (412, "PreconditionFailed".into()), "{name}");
        assert_eq!(s3.get("/careful/k").await.status, 200, "{name}");
        delete(&s3, "/careful/k", &[(name, right)]).await.ok();
        assert_eq!(s3.get("/careful/k").await.status, 404, "{name}");
        let gone = delete(&s3, "/careful/k", &[(name, wrong)]).await;
        if name == "if-match" {
            assert_eq!(gone.error(), (404, "NoSuchKey".into()));
            let gone = delete(&s3, "/careful/k", &[(name, "*")]).await;
            assert_eq!(gone.error(), (404, "NoSuchKey".into()));
        } else {
            gone.ok();
        }
    }
    for (name, nonsense) in [("x-amz-if-match-size", "many"), ("x-amz-if-match-last-modified-time", "now")] {
        s3.put("/careful/k", b"abc").await.ok();
        assert_eq!(delete(&s3, "/careful/k", &[(name, nonsense)]).await.status, 400, "{name}");
    }
}

/// A delete marker is a missing key to `If-Match`, and no condition puts a second marker over it.
#[tokio::test]
async fn a_conditional_delete_makes_no_second_marker() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/marked", b"").await.ok();
    s3.put("/marked?versioning", ENABLED.as_bytes()).await.ok();
    let version = s3.put("/marked/k", b"").await.ok().header("x-amz-version-id").unwrap().to_owned();
    delete(&s3, "/marked/k", &[("if-match", "*")]).await.ok();
    let markers = async || s3.get("/marked?versions").await.ok().text().matches("<DeleteMarker>").count();
    assert_eq!(markers().await, 1);
    for condition in [("if-match", "*"), ("if-match", "\"d41d8cd98f00b204e9800998ecf8427e\"")] {
        assert_eq!(delete(&s3, "/marked/k", &[condition]).await.error(), (404, "NoSuchKey".into()));
        assert_eq!(delete(&s3, "/marked/never", &[condition]).await.error(), (404, "NoSuchKey".into()));
    }
    // It holds of the marker; there is nothing more to do.
    delete(&s3, "/marked/k", &[("x-amz-if-match-size", "0")]).await.ok();
    assert_eq!(markers().await, 1);
    delete(&s3, "/marked/k", &[]).await.ok();
    assert_eq!(markers().await, 2, "without a condition S3 makes another");
    let gone = format!("/marked/k?versionId={version}");
    delete(&s3, &gone, &[("if-match", "*")]).await.ok();
    assert_eq!(delete(&s3, &gone, &[("if-match", "*")]).await.error(), (404, "NoSuchKey".into()));
    delete(&s3, &gone, &[]).await.ok();
}

#[tokio::test]
async fn attributes_tell_what_an_object_consists_of() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/told", b"").await.ok();
    s3.put("/told/k", b"abc").await.ok();
    let ask = async |target: &str, names: &str, page: &[(&str, &str)]| {
        let call = s3.call("GET", format!("{target}?attributes")).header("x-amz-object-attributes", names);
        page.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
    };
    let plain = ask("/told/k", "ETag,ObjectSize, StorageClass,Checksum,ObjectParts", &[]).await.ok();
    assert_eq!(plain.xml("ETag"), Some("900150983cd24fb0d6963f7d28e17f72".into()));
    assert_eq!(plain.xml("ObjectSize"), Some("3".into()));
    assert!(plain.xml("ChecksumCRC64NVME").is_some() && plain.xml("ObjectParts").is_none());
    assert_eq!(ask("/told/k", "ETag", &[]).await.ok().xml("ObjectSize"), None);
    assert_eq!(ask("/told/k", "ETag,Colour", &[]).await.error(), (400, "InvalidArgument".into()));
    assert_eq!(ask("/told/none", "ETag", &[]).await.error(), (404, "NoSuchKey".into()));

    let begun =
        s3.call("POST", "/told/m?uploads").header("x-amz-checksum-algorithm", "SHA256").send().await.ok();
    let upload = begun.xml("UploadId").unwrap();
    let mut parts = String::new();
    let mut sums = Vec::new();
    for (number, bytes) in [(1, vec![1; 5 << 20]), (2, vec![2; 5 << 20]), (3, vec![3; 10])] {
        let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Sha256);
        hasher.update(&bytes);
        let put = s3
            .call("PUT", format!("/told/m?partNumber={number}&uploadId={upload}"))
            .header("x-amz-checksum-sha256", &hasher.finish().value)
            .body(&bytes)
            .send()
            .await
            .ok();
        let (etag, sum) =
            (put.header("etag").unwrap(), put.header("x-amz-checksum-sha256").unwrap().to_owned());
        let part = format!("<PartNumber>{number}</PartNumber><ETag>{etag}</ETag>");
        parts.extend(["<Part>", &part, "<ChecksumSHA256>", &sum, "</ChecksumSHA256></Part>"]);
        sums.push(sum);
    }
    let xml = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    s3.call("POST", format!("/told/m?uploadId={upload}")).body(xml).send().await.ok();
    let page = [("x-amz-max-parts", "1"), ("x-amz-part-number-marker", "1")];
    let page = ask("/told/m", "ObjectParts", &page).await.ok();
    assert_eq!(page.xml("PartsCount"), Some("3".into()));
    assert_eq!(
        (page.all("PartNumber"), page.all("Size")),
        (vec!["2".to_owned()], vec!["5242880".to_owned()])
    );
    assert_eq!(page.all("ChecksumSHA256"), [sums[1].clone()]);
    assert_eq!(page.xml("NextPartNumberMarker"), Some("2".into()));
    assert_eq!(page.xml("IsTruncated"), Some("true".into()));
    // A part that is read comes with its own checksum, never with the whole object's.
    let part =
        s3.call("GET", "/told/m?partNumber=3").header("x-amz-checksum-mode", "ENABLED").send().await.ok();
    assert_eq!(part.header("x-amz-checksum-sha256"), Some(sums[2].as_str()));
    assert_eq!(part.header("x-amz-checksum-type"), Some("COMPOSITE"));
    let range =
        s3.call("GET", "/told/m").header("x-amz-checksum-mode", "ENABLED").header("range", "bytes=0-1");
    assert_eq!(range.send().await.ok().header("x-amz-checksum-sha256"), None);
}
