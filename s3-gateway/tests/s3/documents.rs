//! XML documents as other writers write them, through every operation that takes one: what is stored is what was
//! meant, and what is not known is refused by name and changes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::server::{Answer, Client, Server};

const S3: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// `plain` with every text as CDATA beside white space and a comment, every name with a prefix.
fn dressed(plain: &str) -> String {
    let mut written = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut root = true;
    for piece in plain.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap();
        let text = text.replace("&amp;", "&");
        let name = match tag.strip_prefix('/') {
            Some(name) => format!("</ns2:{name}>"),
            None if root => format!("<ns2:{tag} xmlns:ns2=\"{S3}\">"),
            None => format!("<ns2:{tag}>"),
        };
        root = false;
        let content = match text.char_indices().nth(1).map(|(at, _)| text.split_at(at)) {
            Some((first, rest)) => format!("<![CDATA[{first}]]><!-- and --><![CDATA[{rest}]]>"),
            None if text.is_empty() => String::new(),
            None => format!("<![CDATA[{text}]]>"),
        };
        written += &(name + &content);
    }
    written
}

fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Every way that the tests write a document.
fn ways(plain: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("CDATA and a prefix", dressed(plain).into_bytes()),
        ("UTF-16", utf16(plain)),
        ("UTF-16 and CDATA", utf16(&dressed(plain).replace("UTF-8", "UTF-16"))),
        ("a byte order mark", format!("\u{feff}{plain}").into_bytes()),
        ("plain", plain.as_bytes().to_vec()),
    ]
}

async fn send(s3: &Client, method: &'static str, target: &str, body: &[u8]) -> Answer {
    let md5 = STANDARD.encode(Md5::digest(body));
    s3.call(method, target).header("content-md5", &md5).body(body).send().await
}

/// For every setting: what is read back is the same, however it was written.
#[tokio::test]
async fn settings_are_stored_as_they_were_meant() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.call("PUT", "/meant").header("x-amz-bucket-object-lock-enabled", "true").send().await.ok();
    s3.put("/meant/k", b"x").await.ok();
    let tags = "<Tagging><TagSet><Tag><Key> a/b </Key><Value>1 2</Value></Tag></TagSet></Tagging>";
    let settings = [
        (
            "/meant?lifecycle",
            "<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix>logs/</Prefix></Filter>\
             <Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule><Rule><ID>s</ID><Filter><And>\
             <Prefix>a b/</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter>\
             <Status>Disabled</Status><NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays>\
             </NoncurrentVersionExpiration></Rule></LifecycleConfiguration>",
        ),
        (
            "/meant?cors",
            "<CORSConfiguration><CORSRule><ID>c</ID><AllowedOrigin>https://a.test</AllowedOrigin>\
             <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><MaxAgeSeconds>60</MaxAgeSeconds>\
             </CORSRule></CORSConfiguration>",
        ),
        ("/meant?tagging", tags),
        ("/meant/k?tagging", tags),
        ("/meant?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        (
            "/meant?publicAccessBlock",
            "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
             <IgnorePublicAcls>false</IgnorePublicAcls></PublicAccessBlockConfiguration>",
        ),
        (
            "/meant?ownershipControls",
            "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>\
             </OwnershipControls>",
        ),
        (
            "/meant?object-lock",
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
             <Mode>GOVERNANCE</Mode><Days>3</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
        ),
        ("/meant/k?legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>"),
        (
            "/meant/k?retention",
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>",
        ),
    ];
    for (target, plain) in settings {
        let mut stored: Vec<(&str, String)> = Vec::new();
        for (way, body) in ways(plain) {
            send(&s3, "PUT", target, &body).await.ok();
            stored.push((way, s3.get(target).await.ok().text()));
        }
        let (_, meant) = stored.last().unwrap().clone();
        for (way, read) in &stored {
            assert_eq!(*read, meant, "{target} in {way}");
        }
        assert!(meant.len() > plain.len() / 2, "{target}: {meant}");
    }
    let lifecycle = s3.get("/meant?lifecycle").await.ok();
    assert_eq!(lifecycle.all("Prefix"), ["logs/", "a b/"]);
    assert_eq!(s3.get("/meant?tagging").await.ok().xml("Key"), Some(" a/b ".into()));
}

#[tokio::test]
async fn keys_and_parts_are_those_that_were_meant() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/keys", b"").await.ok();
    let deletion = "<Delete><Object><Key>a &amp; b</Key></Object><Object><Key>c</Key></Object></Delete>";
    for (way, body) in ways(deletion) {
        for key in ["a%20%26%20b", "c", "kept"] {
            s3.put(&format!("/keys/{key}"), b"x").await.ok();
        }
        let deleted = send(&s3, "POST", "/keys?delete", &body).await.ok();
        assert_eq!(deleted.all("Key"), ["a &amp; b", "c"], "{way}");
        assert_eq!(s3.get("/keys").await.ok().all("Key"), ["kept"], "{way}");
    }
    for way in 0..5 {
        let begun = s3.call("POST", "/keys/u?uploads").send().await.ok();
        let upload = begun.xml("UploadId").unwrap();
        let part = s3.put(&format!("/keys/u?partNumber=1&uploadId={upload}"), b"hello").await.ok();
        let etag = part.header("etag").unwrap().trim_matches('"');
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
             </CompleteMultipartUpload>"
        );
        let (way, body) = ways(&list).swap_remove(way);
        let completed = send(&s3, "POST", &format!("/keys/u?uploadId={upload}"), &body).await;
        assert_eq!(completed.status, 200, "{way}: {}", completed.text());
        assert_eq!(s3.get("/keys/u").await.ok().text(), "hello", "{way}");
    }
}

#[tokio::test]
async fn buckets_are_made_with_their_tags_and_nothing_that_is_not_understood() {
    let server = Server::start().await;
    let s3 = server.root();
    let tags = "<CreateBucketConfiguration><LocationConstraint>eu-north-7</LocationConstraint><Tags><Tag>\
         <Key>team</Key><Value>a</Value></Tag></Tags></CreateBucketConfiguration>";
    for (at, (way, body)) in ways(tags).into_iter().enumerate() {
        s3.put(&format!("/made{at}"), &body).await.ok();
        let read = s3.get(&format!("/made{at}?tagging")).await.ok();
        assert_eq!((read.all("Key"), read.all("Value")), (vec!["team".into()], vec!["a".into()]), "{way}");
    }
    // Repeated in the first region: 200, and the tags are those that were asked for last.
    s3.put("/made0", tags.replace("<Value>a", "<Value>b").as_bytes()).await.ok();
    assert_eq!(s3.get("/made0?tagging").await.ok().xml("Value"), Some("b".into()));
    let within = |inner: &str| format!("<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>");
    for (inner, error, named) in [
        ("<Bucket><Type>Directory</Type></Bucket>", (501, "NotImplemented"), "Bucket"),
        (
            "<Location><Type>AvailabilityZone</Type><Name>a</Name></Location>",
            (501, "NotImplemented"),
            "Location",
        ),
        ("<Nonsense>1</Nonsense>", (400, "MalformedXML"), "Nonsense"),
        ("<Tags><Tag><Key>aws:x</Key><Value>1</Value></Tag></Tags>", (400, "InvalidTag"), "aws:"),
    ] {
        let refused = s3.put("/unmade", within(inner).as_bytes()).await;
        assert_eq!(refused.error(), (error.0, error.1.into()), "{inner}");
        assert!(refused.xml("Message").unwrap().contains(named), "{}", refused.text());
        assert_eq!(s3.get("/unmade").await.error().0, 404, "{inner}");
    }
    let writer = server.tenant("writers", "read,write,delete").await;
    assert_eq!(writer.put("/tagged", tags.as_bytes()).await.error(), (403, "AccessDenied".into()));
    assert_eq!(writer.get("/tagged").await.error().0, 404);
}

#[tokio::test]
async fn an_element_that_is_not_known_changes_nothing() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.call("PUT", "/unknown").header("x-amz-bucket-object-lock-enabled", "true").send().await.ok();
    s3.put("/unknown/k", b"x").await.ok();
    for (target, document) in [
        (
            "/unknown?versioning",
            "<VersioningConfiguration><Status>Enabled</Status><X>1</X></VersioningConfiguration>",
        ),
        (
            "/unknown?publicAccessBlock",
            "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><X>1</X>\
             </PublicAccessBlockConfiguration>",
        ),
        (
            "/unknown?object-lock",
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><X/></ObjectLockConfiguration>",
        ),
        ("/unknown/k?legal-hold", "<LegalHold><Status>ON</Status><X/></LegalHold>"),
        (
            "/unknown/k?retention",
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate><X/>\
             </Retention>",
        ),
        ("/unknown/k?tagging", "<Tagging><TagSet/><X/></Tagging>"),
    ] {
        let before = s3.get(target).await.text();
        let refused = send(&s3, "PUT", target, document.as_bytes()).await;
        assert_eq!(refused.error(), (400, "MalformedXML".into()), "{target}");
        assert!(refused.xml("Message").unwrap().contains("element X"), "{}", refused.text());
        let without_ids = |text: &str| text.split("<RequestId>").next().unwrap().to_owned();
        assert_eq!(without_ids(&s3.get(target).await.text()), without_ids(&before), "{target}");
    }
    let begun = s3.call("POST", "/unknown/u?uploads").send().await.ok();
    let upload = begun.xml("UploadId").unwrap();
    let list = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"0\"</ETag></Part><X/>\
         </CompleteMultipartUpload>";
    let refused = s3.call("POST", format!("/unknown/u?uploadId={upload}")).body(list).send().await;
    assert_eq!(refused.error(), (400, "MalformedXML".into()));
}

/// What was signed is what was sent, not what s3s is given.
#[tokio::test]
async fn digests_are_those_of_the_bytes_that_came() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/signed", b"").await.ok();
    let document = dressed("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
    let suspended = document.replace("nabled", "nebled");
    let wrong = s3.call("PUT", "/signed?versioning").body(&document).instead(suspended);
    assert_eq!(wrong.send().await.error(), (400, "XAmzContentSHA256Mismatch".into()));
    assert_eq!(s3.get("/signed?versioning").await.ok().xml("Status"), None);
    let presigned = s3.presign("PUT", "/signed?versioning");
    s3.call("PUT", presigned).body(&document).send().await.ok();
    assert_eq!(s3.get("/signed?versioning").await.ok().xml("Status"), Some("Enabled".into()));
    for target in ["/signed?tagging", "/signed?cors"] {
        let empty = s3.call("PUT", target).send().await;
        assert_eq!(empty.error(), (400, "MissingRequestBodyError".into()), "{target}");
    }
}

/// Whether a bucket is there does not hang on what is wrong with the document, as long as who asks may know of it.
#[tokio::test]
async fn a_wrong_document_hides_no_missing_bucket() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/there", b"").await.ok();
    s3.put("/there/k", b"x").await.ok();
    let stranger = server.tenant("strangers", "read,write,delete,admin").await;
    let cases = [
        ("PUT", "?acl", "MalformedXML"),
        ("PUT", "?cors", "MissingRequestBodyError"),
        ("PUT", "?lifecycle", "MalformedXML"),
        ("PUT", "?object-lock", "MissingRequestBodyError"),
        ("PUT", "?ownershipControls", "MissingRequestBodyError"),
        ("PUT", "?policy", "MalformedPolicy"),
        ("PUT", "?publicAccessBlock", "MissingRequestBodyError"),
        ("PUT", "?tagging", "MissingRequestBodyError"),
        ("PUT", "?versioning", "MissingRequestBodyError"),
        ("POST", "?delete", "MissingRequestBodyError"),
        ("PUT", "/k?acl", "MalformedXML"),
        ("PUT", "/k?legal-hold", "MalformedXML"),
        ("PUT", "/k?retention", "MalformedXML"),
        ("PUT", "/k?tagging", "MissingRequestBodyError"),
        ("POST", "/k?uploadId=0", "MalformedXML"),
    ];
    for (method, target, empty) in cases {
        for (document, code) in [("", empty), ("<", "MalformedXML"), ("<Nonsense/>", "MalformedXML")] {
            let code = if target == "?policy" { empty } else { code };
            let to = async |client: &Client, bucket: &str| {
                send(client, method, &format!("/{bucket}{target}"), document.as_bytes()).await.error()
            };
            let what = format!("{method} {target} {document:?}");
            assert_eq!(to(&s3, "none").await, (404, "NoSuchBucket".into()), "{what}");
            assert_eq!(to(&s3, "there").await, (400, code.into()), "{what}");
            assert_eq!(to(&stranger, "there").await, (403, "AccessDenied".into()), "{what}");
        }
    }
    let words = "The XML you provided was not well-formed or did not validate against our published schema.";
    for (target, document) in [("?cors", "CORSConfiguration"), ("?ownershipControls", "OwnershipControls")] {
        let lacking = send(&s3, "PUT", &format!("/there{target}"), format!("<{document}/>").as_bytes()).await;
        assert_eq!(lacking.xml("Message").as_deref(), Some(words), "{target}");
    }
    let document = "<VersioningConfiguration/>";
    let other = s3.call("PUT", "/none?versioning").body(document).instead(document.replace('V', "v"));
    assert_eq!(
        other.send().await.error(),
        (400, "XAmzContentSHA256Mismatch".into()),
        "what was signed comes first"
    );
    for document in ["<", "<Nonsense/>"] {
        let made = s3.put("/none", document.as_bytes()).await;
        assert_eq!(made.error(), (400, "MalformedXML".into()), "a bucket that is to be made: {document}");
    }
}

/// A second s3s carries these operations out, behind no door of its own: nothing but a good signature gets there.
#[tokio::test]
async fn nobody_reaches_an_operation_without_a_signature() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/doors", b"").await.ok();
    let document = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let address = server.address;
    let refused = crate::server::unsigned_with(address, "PUT", "/doors?versioning", &[], document).await;
    assert_eq!(refused.error(), (403, "AccessDenied".into()));
    let stranger = Client { secret_key: "wrong".into(), ..s3.clone() };
    let refused = stranger.call("PUT", "/doors?versioning").body(document).send().await;
    assert_eq!(refused.error(), (403, "SignatureDoesNotMatch".into()));
    let other = server.tenant("others", "read,write,delete,admin").await;
    assert!(other.call("PUT", "/doors?versioning").body(document).send().await.status >= 403);
    assert_eq!(s3.get("/doors?versioning").await.ok().xml("Status"), None);
}
