//! ACLs where an operator lets them count, and where not.

use base64::Engine as _;
use md5::Digest as _;

use crate::server::{Answer, Client, Options, Server, unsigned, unsigned_with};

const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const KNOWN: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

async fn with_acls() -> Server {
    Server::start_with(Options { acls: true, ..Options::default() }).await
}

async fn put(s3: &Client, target: &str, acl: &str, body: &str) -> Answer {
    s3.call("PUT", target).header("x-amz-acl", acl).body(body).send().await
}

/// Bucket `box` of alice with this ACL, and in it `private` and `public`, as their names say.
async fn shared(alice: &Client, bucket_acl: &str) {
    put(alice, "/box", bucket_acl, "").await.ok();
    alice.put("/box/private", b"mine").await.ok();
    put(alice, "/box/public", "public-read", "everybody's").await.ok();
}

fn access_block(block: bool, ignore: bool) -> String {
    format!(
        "<PublicAccessBlockConfiguration><BlockPublicAcls>{block}</BlockPublicAcls>\
         <IgnorePublicAcls>{ignore}</IgnorePublicAcls></PublicAccessBlockConfiguration>"
    )
}

/// Anonymous requests, and those of another tenant, at buckets of each ACL: what is granted, and what is refused.
#[tokio::test]
async fn strangers_get_what_was_granted_and_nothing_else() {
    let server = with_acls().await;
    let alice = server.tenant("alice", "read,write,delete,admin").await;
    let bob = server.tenant("bob", "read,write,delete,admin").await;
    // Expected answers of the anonymous request, and of bob's.
    let table = [
        ("private", [403, 403, 200, 403, 403, 403], [403, 403, 200, 403, 403, 403]),
        ("public-read", [200, 403, 200, 404, 403, 403], [200, 403, 200, 404, 403, 403]),
        ("public-read-write", [200, 403, 200, 404, 200, 403], [200, 403, 200, 404, 200, 403]),
        ("authenticated-read", [403, 403, 200, 403, 403, 403], [200, 403, 200, 404, 403, 403]),
    ];
    for (acl, anonymous, bobs) in table {
        shared(&alice, acl).await;
        let asked = [
            ("GET", "/box?list-type=2"),
            ("GET", "/box/private"),
            ("GET", "/box/public"),
            ("GET", "/box/missing"),
            ("PUT", "/box/new"),
            ("DELETE", "/box/public"),
        ];
        for ((method, target), (expected, bobs)) in asked.into_iter().zip(anonymous.into_iter().zip(bobs)) {
            let anonymous = unsigned(server.address, method, target, &[]).await;
            assert_eq!(
                anonymous.status,
                expected,
                "{acl}: {method} {target}, anonymous: {}",
                anonymous.text()
            );
            let bob = bob.call(method, target).send().await;
            assert_eq!(bob.status, bobs, "{acl}: {method} {target} of bob: {}", bob.text());
            if target == "/box/public" && method == "GET" {
                assert_eq!((anonymous.text(), bob.text()), ("everybody's".into(), "everybody's".into()));
            }
            assert!(
                !anonymous.text().contains("mine") && !bob.text().contains("mine"),
                "{acl}: {method} {target}"
            );
        }
        for key in ["private", "public", "new"] {
            alice.call("DELETE", format!("/box/{key}")).send().await.ok();
        }
        alice.call("DELETE", "/box").send().await.ok();
    }
    let gone = unsigned(server.address, "GET", "/box/public", &[]).await;
    assert_eq!(gone.error(), (404, "NoSuchBucket".into()));
}

/// A public-write bucket is still its owner's: settings, rights, versions, tags, other buckets.
#[tokio::test]
async fn what_no_acl_grants_strangers_do_not_get() {
    let server = with_acls().await;
    let alice = server.tenant("alice", "read,write,delete,admin").await;
    let bob = server.tenant("bob", "read,write,delete,admin").await;
    shared(&alice, "public-read-write").await;
    let upload = alice.call("POST", "/box/u?uploads").send().await.ok().xml("UploadId").unwrap();
    let delete = "<Delete><Object><Key>public</Key></Object></Delete>";
    for (method, target, body) in [
        ("GET", "/", ""),
        ("GET", "//", ""),
        ("PUT", "/anonymous", ""),
        ("DELETE", "/box", ""),
        ("GET", "/box?acl", ""),
        ("PUT", "/box?acl", ""),
        ("GET", "/box?versioning", ""),
        (
            "PUT",
            "/box?versioning",
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        ),
        ("GET", "/box?policy", ""),
        ("GET", "/box?lifecycle", ""),
        ("GET", "/box?location", ""),
        ("GET", "/box?tagging", ""),
        ("PUT", "/box?publicAccessBlock", "<PublicAccessBlockConfiguration/>"),
        ("GET", "/box/public?acl", ""),
        ("PUT", "/box/public?acl", ""),
        ("GET", "/box/public?tagging", ""),
        ("GET", "/box/public?attributes", ""),
        ("DELETE", "/box/public?tagging", ""),
        ("DELETE", "/box/public", ""),
        ("GET", &format!("/box/u?uploadId={upload}"), ""),
        ("DELETE", &format!("/box/u?uploadId={upload}"), ""),
    ] {
        let headers = [("x-amz-acl", "public-read"), ("x-amz-object-attributes", "ETag")];
        let anonymous = unsigned_with(server.address, method, target, &headers, body).await;
        assert_eq!(anonymous.error(), (403, "AccessDenied".into()), "{method} {target}");
        if !["/", "//", "/anonymous"].contains(&target) {
            let call = bob.call(method, target).body(body);
            let bob = headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await;
            assert_eq!(bob.error(), (403, "AccessDenied".into()), "{method} {target} of bob");
        }
    }
    // Of many at once each is refused by itself.
    let digest = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(delete.as_bytes()));
    let many =
        unsigned_with(server.address, "POST", "/box?delete", &[("content-md5", &digest)], delete).await;
    assert_eq!(many.ok().all("Code"), ["AccessDenied"]);
    assert_eq!(alice.get("/box/public").await.ok().text(), "everybody's");
    // Nor may everybody have it say what they like.
    let lie = unsigned(server.address, "GET", "/box/public?response-content-type=text/html", &[]).await;
    assert_eq!(lie.error(), (400, "InvalidRequest".into()));
    assert_eq!(
        alice.get("/box/public?response-content-type=text/html").await.ok().header("content-type"),
        Some("text/html")
    );
}

/// A hold that a stranger sets would keep the owner from its own.
#[tokio::test]
async fn strangers_lock_nothing() {
    let server = with_acls().await;
    let alice = server.tenant("alice", "read,write,delete,admin").await;
    let bucket = alice.call("PUT", "/locked").header("x-amz-acl", "public-read-write");
    bucket.header("x-amz-bucket-object-lock-enabled", "true").send().await.ok();
    let hold = ("x-amz-object-lock-legal-hold", "ON");
    for (method, target, more) in [
        ("PUT", "/locked/k", None),
        ("POST", "/locked/k?uploads", None),
        ("PUT", "/locked/copy", Some(("x-amz-copy-source", "/locked/theirs"))),
    ] {
        unsigned(server.address, "PUT", "/locked/theirs", &[("x-amz-acl", "public-read")]).await.ok();
        let headers: Vec<_> = [hold].into_iter().chain(more).collect();
        let refused = unsigned(server.address, method, target, &headers).await;
        assert_eq!(refused.error(), (403, "AccessDenied".into()), "{method} {target}");
        unsigned(server.address, method, target, &headers[1..]).await.ok();
    }
    alice.call("PUT", "/locked/k").header(hold.0, hold.1).send().await.ok();
}

/// What strangers write is the owner's, in parts too, and counts against it.
#[tokio::test]
async fn what_strangers_write_belongs_to_the_bucket() {
    let server = with_acls().await;
    let alice = server.tenant("alice", "read,write,delete,admin").await;
    let bob = server.tenant("bob", "read,write,delete,admin").await;
    shared(&alice, "public-read-write").await;
    unsigned_with(server.address, "PUT", "/box/theirs", &[("x-amz-meta-a", "1")], "anonymous").await.ok();
    assert_eq!(alice.get("/box/theirs").await.ok().text(), "anonymous");
    assert_eq!(
        unsigned(server.address, "GET", "/box/theirs", &[]).await.status,
        403,
        "private, as any new object"
    );
    let begun =
        unsigned(server.address, "POST", "/box/parts?uploads", &[("x-amz-acl", "public-read")]).await.ok();
    let upload = begun.xml("UploadId").unwrap();
    let part = format!("/box/parts?partNumber=1&uploadId={upload}");
    let etag = unsigned_with(server.address, "PUT", &part, &[], "part")
        .await
        .ok()
        .header("etag")
        .unwrap()
        .to_owned();
    let complete = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let target = format!("/box/parts?uploadId={upload}");
    unsigned_with(server.address, "POST", &target, &[], &complete).await.ok();
    assert_eq!(unsigned(server.address, "GET", "/box/parts", &[]).await.ok().text(), "part");

    // Copies: of what may be read, to where may be written.
    bob.put("/bobs", b"").await.ok();
    let copy = async |client: &Client, source: &str, target: &str| {
        client.call("PUT", target).header("x-amz-copy-source", source).send().await
    };
    copy(&bob, "/box/public", "/bobs/copy").await.ok();
    assert_eq!(bob.get("/bobs/copy").await.ok().text(), "everybody's");
    assert_eq!(unsigned(server.address, "GET", "/bobs/copy", &[]).await.status, 403, "an ACL is not copied");
    assert_eq!(copy(&bob, "/box/private", "/bobs/copy").await.error(), (403, "AccessDenied".into()));
    copy(&bob, "/box/public", "/box/again").await.ok();
    assert_eq!(copy(&alice, "/bobs/copy", "/box/again").await.error(), (403, "AccessDenied".into()));

    // Forms without a policy; one that claims to have one must have it.
    let form = |fields: &str| {
        format!("{fields}--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nform\r\n--XX--\r\n")
    };
    let field = |name: &str, value: &str| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let content_type = [("content-type", "multipart/form-data; boundary=XX")];
    let fields = field("key", "form") + &field("acl", "public-read");
    let posted = unsigned_with(server.address, "POST", "/box", &content_type, &form(&fields)).await;
    assert_eq!(posted.status, 204, "{}", posted.text());
    assert_eq!(unsigned(server.address, "GET", "/box/form", &[]).await.ok().text(), "form");
    for claim in ["policy", "x-amz-signature", "AWSAccessKeyId"] {
        let claimed = form(&(fields.clone() + &field(claim, "x")));
        let refused = unsigned_with(server.address, "POST", "/box", &content_type, &claimed).await;
        assert!([400, 403].contains(&refused.status), "{claim}: {}", refused.status);
    }
    let private = unsigned_with(server.address, "POST", "/bobs", &content_type, &form(&fields)).await;
    assert_eq!(private.error(), (403, "AccessDenied".into()));
}

/// An ACL is changed and read back, by name, by header and as a document; and taken back by each means there is.
#[tokio::test]
async fn owners_give_and_take_back() {
    let server = with_acls().await;
    let alice = server.tenant("alice", "read,write,delete,admin").await;
    let writer = server.tenant("alice", "read,write").await;
    alice.put("/box", b"").await.ok();
    alice.put("/box/k", b"x").await.ok();
    let anonymous = async || unsigned(server.address, "GET", "/box/k", &[]).await.status;
    let permissions = async |target: &str| {
        let read = alice.get(target).await.ok();
        (read.all("Permission"), read.all("URI"))
    };
    let owners = (vec!["FULL_CONTROL".to_owned()], Vec::<String>::new());
    assert_eq!(permissions("/box/k?acl").await, owners);
    assert_eq!(anonymous().await, 403);
    put(&writer, "/box/k?acl", "public-read", "").await.ok();
    assert_eq!(anonymous().await, 200);
    let public = (vec!["READ".to_owned(), "FULL_CONTROL".to_owned()], vec![EVERYBODY.to_owned()]);
    assert_eq!(permissions("/box/k?acl").await, public);
    // As a document, and back as it was read.
    let document = alice.get("/box/k?acl").await.ok().text();
    put(&alice, "/box/k?acl", "private", "").await.ok();
    assert_eq!(anonymous().await, 403);
    alice.put("/box/k?acl", document.as_bytes()).await.ok();
    assert_eq!(anonymous().await, 200);
    let grant = |name: &str, value: &str| alice.call("PUT", "/box/k?acl").header(name, value);
    grant("x-amz-grant-read", &format!("uri={KNOWN}")).send().await.ok();
    assert_eq!((anonymous().await, permissions("/box/k?acl").await.1), (403, vec![KNOWN.to_owned()]));
    for (name, value) in [
        ("x-amz-grant-read", "id=bob"),
        ("x-amz-grant-read-acp", &format!("uri={EVERYBODY}")),
        ("x-amz-grant-full-control", "id=bob"),
        ("x-amz-acl", "aws-exec-read"),
    ] {
        let refused = grant(name, value).send().await;
        assert_eq!(refused.error(), (400, "AccessControlListNotSupported".into()), "{name}: {value}");
    }
    // The bucket's own takes the right to change its settings.
    assert_eq!(put(&writer, "/box?acl", "public-read", "").await.error(), (403, "AccessDenied".into()));
    assert_eq!(put(&writer, "/made", "public-read", "").await.error(), (403, "AccessDenied".into()));
    assert_eq!(writer.get("/made").await.error(), (404, "NoSuchBucket".into()), "not half made");
    put(&alice, "/box?acl", "public-read", "").await.ok();
    assert_eq!(permissions("/box?acl").await, public);
    // A version keeps its own; a new one is private.
    alice
        .put(
            "/box?versioning",
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        )
        .await
        .ok();
    let old =
        put(&alice, "/box/k", "public-read", "old").await.ok().header("x-amz-version-id").unwrap().to_owned();
    alice.put("/box/k", b"new").await.ok();
    assert_eq!(anonymous().await, 403);
    let version = unsigned(server.address, "GET", &format!("/box/k?versionId={old}"), &[]).await;
    assert_eq!(version.ok().text(), "old");

    // Blocked: set is none, what is set counts on.
    assert_eq!(alice.get("/box?publicAccessBlock").await.error().1, "NoSuchPublicAccessBlockConfiguration");
    put(&alice, "/box/k?acl", "public-read", "").await.ok();
    alice.put("/box?publicAccessBlock", access_block(true, false).as_bytes()).await.ok();
    for target in ["/box?acl", "/box/k?acl", "/box/n"] {
        assert_eq!(
            put(&alice, target, "public-read", "").await.error(),
            (403, "AccessDenied".into()),
            "{target}"
        );
    }
    put(&alice, "/box/n", "private", "").await.ok();
    assert_eq!(anonymous().await, 200);
    // Ignored: nothing counts.
    alice.put("/box?publicAccessBlock", access_block(false, true).as_bytes()).await.ok();
    assert_eq!(anonymous().await, 403);
    assert_eq!(unsigned(server.address, "GET", "/box", &[]).await.status, 403);
    alice.call("DELETE", "/box?publicAccessBlock").send().await.ok();
    assert_eq!(anonymous().await, 200);
    // No ACLs at all: only once the bucket's own is private.
    assert_eq!(alice.get("/box?ownershipControls").await.error().1, "OwnershipControlsNotFoundError");
    let enforced = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
    let early = alice.put("/box?ownershipControls", enforced.as_bytes()).await;
    assert_eq!(early.error(), (400, "InvalidBucketAclWithObjectOwnership".into()));
    put(&alice, "/box?acl", "private", "").await.ok();
    let ownership = async |acl: &str| {
        let call = alice.call("PUT", "/enforced").header("x-amz-object-ownership", "BucketOwnerEnforced");
        call.header("x-amz-acl", acl).send().await
    };
    assert_eq!(ownership("public-read").await.error(), (400, "InvalidBucketAclWithObjectOwnership".into()));
    ownership("private").await.ok();
    assert!(alice.get("/enforced?ownershipControls").await.ok().text().contains("BucketOwnerEnforced"));
    alice.put("/box?ownershipControls", enforced.as_bytes()).await.ok();
    assert_eq!(anonymous().await, 403);
    assert_eq!(permissions("/box/k?acl").await, owners);
    let refused = put(&alice, "/box/n", "public-read", "").await;
    assert_eq!(refused.error(), (400, "AccessControlListNotSupported".into()));
}

/// Off, as it is by default: an ACL that was set while it was on grants nothing, and is refused.
#[tokio::test]
async fn acls_count_for_nothing_unless_they_are_turned_on() {
    let server = Server::start().await;
    let alice = server.tenant("alice", "read,write,delete,admin").await;
    alice.put("/box", b"").await.ok();
    alice.put("/box/k", b"x").await.ok();
    for target in ["/box?acl", "/box/k?acl", "/box/n", "/made"] {
        for acl in ["public-read", "public-read-write", "authenticated-read"] {
            let refused = put(&alice, target, acl, "").await;
            assert_eq!(refused.error(), (400, "AccessControlListNotSupported".into()), "{target} {acl}");
        }
    }
    assert_eq!(alice.get("/made").await.error(), (404, "NoSuchBucket".into()));
    for target in ["/box", "/box/k", "/none-such"] {
        let anonymous = unsigned(server.address, "GET", target, &[]).await;
        assert_eq!(anonymous.error(), (403, "AccessDenied".into()), "{target}");
    }
}
