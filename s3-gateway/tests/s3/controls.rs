//! Characters that XML 1.0 cannot hold (section 2.2): keys may have them, documents may not, and no answer becomes a
//! 500 for having to repeat one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use juststorage_core::domain::address::{BucketName, Tenant};
use juststorage_core::domain::cors::{CorsConfig, CorsRule};
use juststorage_core::domain::lifecycle::{Expiration, Filter, Lifecycle, Rule};
use juststorage_core::domain::principal::Principal;
use juststorage_core::domain::settings::Setting;
use sha2::{Digest as _, Sha256};

use crate::server::{Answer, Client, Server};

async fn delete_many(s3: &Client, bucket: &str, objects: &str) -> Answer {
    let xml = format!("<Delete>{objects}</Delete>");
    let sum = STANDARD.encode(Sha256::digest(xml.as_bytes()));
    let call = s3.call("POST", format!("/{bucket}?delete")).header("x-amz-checksum-sha256", &sum);
    call.body(&xml).send().await
}

#[tokio::test]
async fn a_key_with_one_is_uploaded_in_parts_and_deleted_like_any_other() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/odd", b"").await.ok();
    let begun = s3.call("POST", "/odd/k%01?uploads").send().await.ok();
    assert_eq!(begun.xml("Key"), Some("k\u{fffd}".into()));
    let upload = begun.xml("UploadId").unwrap();
    let part = s3.put(&format!("/odd/k%01?partNumber=1&uploadId={upload}"), b"hello").await.ok();
    let etag = part.header("etag").unwrap();
    let parts = s3.get(&format!("/odd/k%01?uploadId={upload}")).await.ok();
    assert_eq!((parts.xml("Key"), parts.all("Part").len()), (Some("k\u{fffd}".into()), 1));
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let completed = s3.call("POST", format!("/odd/k%01?uploadId={upload}")).body(&list).send().await.ok();
    assert_eq!(completed.xml("Key"), Some("k\u{fffd}".into()));
    assert_eq!(s3.get("/odd/k%01").await.ok().text(), "hello");

    // Python's library, for one, writes a character into XML as it is.
    let deleted = delete_many(&s3, "odd", "<Object><Key>k\u{1}</Key></Object>").await.ok();
    assert_eq!(deleted.all("Key"), ["k\u{fffd}"]);
    assert_eq!(s3.get("/odd/k%01").await.error(), (404, "NoSuchKey".into()));
    let no_version = "<Object><Key>k</Key><VersionId>\u{1}</VersionId></Object>";
    let refused = delete_many(&s3, "odd", no_version).await.ok();
    assert_eq!(refused.all("VersionId"), ["\u{fffd}"]);
}

#[tokio::test]
async fn a_document_with_one_is_malformed_and_changes_nothing() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/documents", b"").await.ok();
    s3.put("/documents/k", b"x").await.ok();
    let tagging = "<Tagging><TagSet><Tag><Key>a\u{1}</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let lifecycle = "<LifecycleConfiguration><Rule><ID>a\u{1}</ID><Filter><Prefix>p</Prefix></Filter>\
         <Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
    let cors = "<CORSConfiguration><CORSRule><ID>a\u{1}</ID><AllowedOrigin>*</AllowedOrigin>\
         <AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    for (target, document) in [
        ("/documents?tagging", tagging),
        ("/documents/k?tagging", tagging),
        ("/documents?lifecycle", lifecycle),
        ("/documents?cors", cors),
    ] {
        for document in [document.to_owned(), document.replace('\u{1}', "&#1;")] {
            let refused = s3.call("PUT", target).body(&document).send().await;
            assert_eq!(refused.error(), (400, "MalformedXML".into()), "{target} {document:?}");
        }
        s3.call("PUT", target).body(document.replace('\u{1}', " ")).send().await.ok();
        s3.get(target).await.ok();
    }
    let header = s3.call("PUT", "/documents/k").header("x-amz-tagging", "a%01=b").body("y").send().await;
    assert_eq!(header.error(), (400, "InvalidTag".into()));
    assert_eq!(s3.get("/documents/k").await.ok().text(), "x");
}

/// Releases that did not look for them stored such rules.
#[tokio::test]
async fn a_stored_rule_with_one_is_read() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/rules", b"").await.ok();
    let odd = || "a\u{1}".to_owned();
    let tags = [(odd(), odd())].into();
    let rule = |id: &str, filter| Rule {
        id: id.to_owned(),
        filter,
        expiration: Some(Expiration::Days(1)),
        ..Rule::default()
    };
    let rules = vec![
        rule("a\u{1}", Filter { legacy: true, prefix: Some(odd()), ..Filter::default() }),
        rule("b", Filter { prefix: Some(odd()), ..Filter::default() }),
        rule("c", Filter { prefix: Some(odd()), tags, ..Filter::default() }),
    ];
    let rule = CorsRule {
        id: Some(odd()),
        origins: vec!["*".to_owned()],
        methods: vec!["GET".to_owned()],
        ..CorsRule::default()
    };
    let who = Principal::unrestricted("test", Tenant::new("default").unwrap());
    let bucket = BucketName::new("rules").unwrap();
    for setting in [
        Setting::Lifecycle(Lifecycle { rules, small_objects_move: false }),
        Setting::Cors(CorsConfig { rules: vec![rule] }),
    ] {
        server.store.put_setting(&who, &bucket, setting).await.unwrap();
    }
    let lifecycle = s3.get("/rules?lifecycle").await.ok();
    assert_eq!(lifecycle.all("ID"), ["a\u{fffd}", "b", "c"]);
    assert_eq!(lifecycle.all("Prefix"), ["a\u{fffd}"; 3]);
    assert_eq!(
        (lifecycle.all("Key"), lifecycle.all("Value")),
        (vec!["a\u{fffd}".into()], vec!["a\u{fffd}".into()])
    );
    assert_eq!(s3.get("/rules?cors").await.ok().xml("ID"), Some("a\u{fffd}".into()));
}

#[tokio::test]
async fn a_query_with_one_is_answered() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/queries", b"").await.ok();
    assert_eq!(s3.get("/?prefix=%01").await.ok().xml("Prefix"), Some("\u{fffd}".into()));
    for kind in ["", "list-type=2&", "versions&", "uploads&"] {
        let listed = s3.get(&format!("/queries?{kind}delimiter=%01")).await.ok();
        let said = (listed.xml("Delimiter"), listed.xml("EncodingType"));
        assert_eq!(said, (Some("%01".into()), Some("url".into())), "{kind}");
    }
    for target in [
        "/?max-buckets=%01",
        "/queries?max-keys=%01",
        "/queries?list-type=2&fetch-owner=%01",
        "/queries?uploads&max-uploads=%01",
        "/queries/k?partNumber=%01",
        "/queries/k?uploadId=0192f0c12b3c7d4e8f50123456789abc&max-parts=%01",
        "/queries/k?uploadId=0192f0c12b3c7d4e8f50123456789abc&part-number-marker=%01",
        "/queries?encoding-type=%01",
        "/queries?versions&version-id-marker=%01&key-marker=k",
        "/queries/k?versionId=%01",
    ] {
        let refused = s3.get(target).await;
        assert_eq!(refused.error(), (400, "InvalidArgument".into()), "{target}");
        assert!(refused.xml("Message").is_some(), "{target}");
    }
}
