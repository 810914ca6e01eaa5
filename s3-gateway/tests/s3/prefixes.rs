//! Access keys that are bound to prefixes of keys.

use crate::server::{Answer, Client, Server};

/// A bucket with keys inside and outside of `reports/`, and a client that is bound to that prefix.
async fn story(server: &Server) -> (Client, Client) {
    let root = server.root();
    root.put("/box", b"").await.ok();
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    root.put("/box?versioning", enabled.as_bytes()).await.ok();
    for key in ["reports/a", "reports/b/c", "other/a"] {
        root.put(&format!("/box/{key}"), b"bytes").await.ok();
    }
    (root, server.bound("default", "read,write,delete", &["reports/"]).await)
}

#[track_caller]
fn refused(answer: &Answer) {
    assert_eq!(answer.error(), (403, "AccessDenied".to_owned()), "{}", answer.text());
    assert!(answer.text().contains("begin with certain prefixes"), "{}", answer.text());
}

#[tokio::test]
async fn listings_stay_inside_the_prefix() {
    let server = Server::start().await;
    let (root, bound) = story(&server).await;
    root.call("POST", "/box/other/u?uploads").send().await.ok();
    bound.call("POST", "/box/reports/u?uploads").send().await.ok();
    for listing in ["list-type=2&", "", "versions&", "uploads&"] {
        for inside in ["prefix=reports/", "prefix=reports/b", "prefix=reports/&delimiter=/"] {
            let answer = bound.get(&format!("/box?{listing}{inside}")).await.ok();
            assert!(answer.all("Key").iter().all(|key| key.starts_with("reports/")), "{}", answer.text());
        }
        for outside in [
            "",
            "prefix=",
            "prefix=r",
            "prefix=reports",
            "prefix=other/",
            "delimiter=/",
            "prefix=&delimiter=/",
        ] {
            refused(&bound.get(&format!("/box?{listing}{outside}")).await);
        }
        // A marker inside makes no wider listing lawful.
        refused(
            &bound
                .get(&format!("/box?{listing}start-after=reports/&marker=reports/&key-marker=reports/"))
                .await,
        );
    }
    let listed = bound.get("/box?list-type=2&prefix=reports/&delimiter=/").await.ok();
    assert_eq!(listed.all("Key"), ["reports/a"]);
    refused(&bound.call("GET", bound.presign("GET", "/box?list-type=2")).send().await);
    bound.call("HEAD", "/box").send().await.ok();
    assert_eq!(bound.get("/").await.ok().all("Name").first().map(String::as_str), Some("box"));
}

#[tokio::test]
async fn a_copy_is_judged_at_both_ends() {
    let server = Server::start().await;
    let (root, bound) = story(&server).await;
    let begun = bound.call("POST", "/box/reports/u?uploads").send().await.ok();
    let part = format!("/box/reports/u?partNumber=1&uploadId={}", begun.xml("UploadId").unwrap());
    let foreign = root.call("POST", "/box/other/u?uploads").send().await.ok();
    let foreign = format!("/box/other/u?partNumber=1&uploadId={}", foreign.xml("UploadId").unwrap());
    for (from, to, allowed) in [
        ("reports/a", "/box/reports/copy", true),
        ("reports/a", part.as_str(), true),
        ("other/a", "/box/reports/copy", false),
        ("other/a", part.as_str(), false),
        ("other/none", "/box/reports/copy", false),
        ("reports/a", "/box/other/copy", false),
        ("reports/a", foreign.as_str(), false),
        ("other/a", "/box/other/copy", false),
    ] {
        let copied = bound.call("PUT", to).header("x-amz-copy-source", &format!("/box/{from}")).send().await;
        if allowed {
            copied.ok()
        } else {
            refused(&copied);
            copied
        };
    }
    assert_eq!(root.get("/box/other/copy").await.status, 404);
    // An upload of another key is none of its keys, although it names one of its own.
    let id = foreign.split_once("uploadId=").unwrap().1;
    assert_eq!(bound.get(&format!("/box/reports/u?uploadId={id}")).await.status, 403);
}

#[tokio::test]
async fn many_deletions_are_judged_one_by_one() {
    let server = Server::start().await;
    let (root, bound) = story(&server).await;
    let body = "<Delete><Object><Key>reports/a</Key></Object><Object><Key>other/a</Key></Object>\
                <Object><Key>other/none</Key></Object></Delete>";
    let call = bound.call("POST", "/box?delete").header("content-md5", &crate::walls::md5(body));
    let answer = call.body(body).send().await.ok();
    assert_eq!(answer.all("Code"), ["AccessDenied", "AccessDenied"]);
    assert_eq!(root.get("/box/reports/a").await.status, 404);
    root.get("/box/other/a").await.ok();
    // Versions, too.
    let version =
        root.call("HEAD", "/box/other/a").send().await.ok().header("x-amz-version-id").unwrap().to_owned();
    for method in ["GET", "DELETE"] {
        refused(&bound.call(method, format!("/box/other/a?versionId={version}")).send().await);
    }
}
