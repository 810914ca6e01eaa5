//! Operations that ask for several actions, or for many objects.

use base64::Engine as _;
use md5::Digest as _;

use super::{ALL, DOWNLOAD, allow, anonymous, denied, deny, made, set};
use crate::server::{Client, Server, unsigned, unsigned_with};

#[tokio::test]
async fn of_many_deletions_each_is_decided_by_itself() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let bob = server.tenant("bob", ALL).await;
    let keys = ["open/a", "open/b", "shut/a", "k"];
    let document: String = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
    let document = format!("<Delete>{document}</Delete>");
    let digest = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(document.as_bytes()));
    let statements = format!(
        "[{},{}]",
        allow(r#""*""#, r#""s3:DeleteObject""#, r#""@/open/*""#),
        deny(r#""*""#, r#""s3:DeleteObject""#, r#""@/shut/*""#)
    );
    set(&alice, &statements).await.ok();
    let delete = async |who: Option<&Client>| {
        for key in keys {
            alice.put(&format!("/box/{key}"), b"x").await.ok();
        }
        let answer = match who {
            None => {
                let headers = [("content-md5", digest.as_str())];
                unsigned_with(server.address, "POST", "/box?delete", &headers, &document).await
            }
            Some(who) => {
                who.call("POST", "/box?delete").header("content-md5", &digest).body(&document).send().await
            }
        };
        let answer = answer.ok();
        let left = alice.get("/box").await.ok().all("Key");
        (answer.all("Code"), left)
    };
    let two = vec!["AccessDenied".to_owned(); 2];
    let strangers = (two, vec!["k".to_owned(), "shut/a".to_owned()]);
    assert_eq!(delete(None).await, strangers);
    assert_eq!(delete(Some(&bob)).await, strangers);
    let owners = (vec!["AccessDenied".to_owned()], vec!["shut/a".to_owned()]);
    assert_eq!(delete(Some(&alice)).await, owners);
}

#[tokio::test]
async fn copies_read_their_source_and_write_their_target() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let bob = server.tenant("bob", ALL).await;
    bob.put("/bobs", b"").await.ok();
    let copy = async |who: &Client, source: &str, target: &str| {
        who.call("PUT", target).header("x-amz-copy-source", source).send().await
    };
    assert_eq!(copy(&bob, "/box/k", "/bobs/k").await.error(), denied());
    set(&alice, &allow(r#"{"AWS":"bob"}"#, r#""s3:GetObject""#, r#""@/*""#)).await.ok();
    copy(&bob, "/box/k", "/bobs/k").await.ok();
    assert_eq!(bob.get("/bobs/k").await.ok().text(), "bytes");
    assert_eq!(copy(&bob, "/bobs/k", "/box/new").await.error(), denied());
    assert_eq!(
        copy(&bob, "/box/k?versionId=null", "/bobs/k").await.error(),
        denied(),
        "a version is another"
    );
    // Tags that are copied are read.
    alice.call("PUT", "/box/k").header("x-amz-tagging", "a=b").body("bytes").send().await.ok();
    assert_eq!(copy(&bob, "/box/k", "/bobs/k").await.error(), denied());
    let replaced = bob.call("PUT", "/bobs/k").header("x-amz-copy-source", "/box/k");
    replaced.header("x-amz-tagging-directive", "REPLACE").send().await.ok();
    set(&alice, &allow(r#"{"AWS":"bob"}"#, r#"["s3:GetObject","s3:GetObjectTagging"]"#, r#""@/*""#))
        .await
        .ok();
    copy(&bob, "/box/k", "/bobs/k").await.ok();
    // Into a bucket of another, and part by part.
    set(&alice, &allow(r#"{"AWS":"bob"}"#, r#""s3:PutObject""#, r#""@/in/*""#)).await.ok();
    assert_eq!(copy(&bob, "/box/k", "/bobs/k").await.error(), denied());
    let upload = bob.call("POST", "/box/in/u?uploads").send().await.ok().xml("UploadId").unwrap();
    let target = format!("/box/in/u?partNumber=1&uploadId={upload}");
    copy(&bob, "/bobs/k", &target).await.ok();
    assert_eq!(copy(&bob, "/box/k", &target).await.error(), denied());
    // A denial of the source is one for its owner, too.
    set(&alice, &deny(r#""*""#, r#""s3:GetObject""#, r#""@/k""#)).await.ok();
    assert_eq!(copy(&alice, "/box/k", "/box/again").await.error(), denied());
}

#[tokio::test]
async fn versions_are_actions_of_their_own() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    alice.put("/box?versioning", enabled.as_bytes()).await.ok();
    let first = alice.put("/box/v", b"1").await.ok().header("x-amz-version-id").unwrap().to_owned();
    alice.put("/box/v", b"2").await.ok();
    let named = format!("/box/v?versionId={first}");
    set(&alice, DOWNLOAD).await.ok();
    assert_eq!((anonymous(&server, "/box/v").await.0, anonymous(&server, &named).await), (200, denied()));
    set(&alice, &DOWNLOAD.replace("s3:GetObject", "s3:GetObjectVersion")).await.ok();
    assert_eq!((anonymous(&server, "/box/v").await, anonymous(&server, &named).await.0), (denied(), 200));
    set(&alice, &deny(r#""*""#, r#""s3:DeleteObjectVersion""#, r#""@/*""#)).await.ok();
    assert_eq!(alice.call("DELETE", named.as_str()).send().await.error(), denied());
    alice.call("DELETE", "/box/v").send().await.ok();
    // A delete marker is nothing to read: who may not list is not told that there is one.
    set(&alice, DOWNLOAD).await.ok();
    assert_eq!(anonymous(&server, "/box/v").await, denied());
    set(&alice, &format!("[{DOWNLOAD},{}]", allow(r#""*""#, r#""s3:ListBucket""#, r#""@""#))).await.ok();
    assert_eq!(anonymous(&server, "/box/v").await, (404, "NoSuchKey".into()));
    set(&alice, &allow(r#""*""#, r#""s3:ListBucketVersions""#, r#""@""#)).await.ok();
    assert_eq!(
        (anonymous(&server, "/box?versions").await.0, anonymous(&server, "/box").await),
        (200, denied())
    );
}

/// Anonymous uploads in parts and by form.
#[tokio::test]
async fn uploads_are_writes() {
    let server = Server::start().await;
    let alice = made(&server).await;
    set(&alice, &allow(r#""*""#, r#""s3:PutObject""#, r#""@/in/*""#)).await.ok();
    let post =
        async |target: &str, body: &str| unsigned_with(server.address, "POST", target, &[], body).await;
    assert_eq!(post("/box/out?uploads", "").await.error(), denied());
    let upload = post("/box/in/u?uploads", "").await.ok().xml("UploadId").unwrap();
    let target = format!("/box/in/u?uploadId={upload}");
    let part =
        unsigned_with(server.address, "PUT", &format!("{target}&partNumber=1"), &[], "part").await.ok();
    let etag = part.header("etag").unwrap();
    assert_eq!(anonymous(&server, &target).await, denied(), "to list parts is another action");
    assert_eq!(unsigned(server.address, "DELETE", &target, &[]).await.error(), denied());
    let complete = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    post(&target, &complete).await.ok();
    assert_eq!(alice.get("/box/in/u").await.ok().text(), "part");
    let form = |key: &str| {
        format!(
            "--XX\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{key}\r\n--XX\r\nContent-Disposition: \
             form-data; name=\"file\"\r\n\r\nform\r\n--XX--\r\n"
        )
    };
    let headers = [("content-type", "multipart/form-data; boundary=XX")];
    let posted = unsigned_with(server.address, "POST", "/box", &headers, &form("in/form")).await;
    assert_eq!(posted.status, 204, "{}", posted.text());
    let refused = unsigned_with(server.address, "POST", "/box", &headers, &form("out")).await;
    assert_eq!(refused.error(), denied());
    assert_eq!(alice.get("/box/in/form").await.ok().text(), "form");
}
