//! Bucket policies: what they give to whom, and what they take from everybody.

use base64::Engine as _;
use md5::Digest as _;
use uuid::Uuid;

use crate::server::{Answer, Client, Options, Server, unsigned, unsigned_with};

const ALL: &str = "read,write,delete,admin";

/// Sets a policy of one statement, or of a list, on bucket `box`; `@` is its address.
async fn set(s3: &Client, statement: &str) -> Answer {
    let statement = statement.replace('@', "arn:aws:s3:::box");
    s3.put("/box?policy", format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#).as_bytes()).await
}

fn allow(principal: &str, actions: &str, resources: &str) -> String {
    format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":{actions},"Resource":{resources}}}"#)
}

fn deny(principal: &str, actions: &str, resources: &str) -> String {
    allow(principal, actions, resources).replace("Allow", "Deny")
}

const DOWNLOAD: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"@/*"}"#;

/// Bucket `box` of tenant alice, with an object `k`.
async fn made(server: &Server) -> Client {
    let alice = server.tenant("alice", ALL).await;
    alice.put("/box", b"").await.ok();
    alice.put("/box/k", b"bytes").await.ok();
    alice
}

async fn id_of(server: &Server, client: &Client) -> Uuid {
    let keys = server.access.list_keys(None).await.unwrap();
    keys.iter().find(|key| key.lookup == client.access_key).unwrap().id
}

async fn anybody(server: &Server, target: &str) -> (u16, String) {
    unsigned(server.address, "GET", target, &[]).await.error()
}

fn denied() -> (u16, String) {
    (403, "AccessDenied".to_owned())
}

fn ok(answer: &Answer) -> u16 {
    answer.status
}

#[tokio::test]
async fn a_policy_is_set_read_and_removed() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let missing = (404, "NoSuchBucketPolicy".to_owned());
    assert_eq!(alice.get("/box?policy").await.error(), missing);
    assert_eq!(alice.get("/box?policyStatus").await.error(), missing);
    // As it was written, white space included.
    let text = format!(
        "{{\n \"Version\": \"2012-10-17\",\n \"Statement\": [ {} ] }}",
        DOWNLOAD.replace('@', "arn:aws:s3:::box")
    );
    let put = alice.put("/box?policy", text.as_bytes()).await;
    assert_eq!((put.status, put.body.len()), (204, 0));
    assert_eq!(alice.get("/box?policy").await.ok().text(), text);
    assert_eq!(alice.get("/box?policyStatus").await.ok().xml("IsPublic").unwrap(), "true");
    set(&alice, &allow(r#"{"AWS":"bob"}"#, r#""s3:GetObject""#, r#""@/*""#)).await.ok();
    assert_eq!(alice.get("/box?policyStatus").await.ok().xml("IsPublic").unwrap(), "false");
    assert_eq!(alice.call("DELETE", "/box?policy").send().await.status, 204);
    assert_eq!(alice.call("DELETE", "/box?policy").send().await.status, 204, "there need be none");
    assert_eq!(alice.get("/box?policy").await.error(), missing);
    for query in ["policy", "policyStatus"] {
        assert_eq!(alice.get(&format!("/none-such?{query}")).await.error(), (404, "NoSuchBucket".into()));
    }
}

#[tokio::test]
async fn what_is_no_policy_of_the_bucket_is_refused() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let bob = server.tenant("bob", ALL).await;
    let (own, theirs) = (id_of(&server, &alice).await, id_of(&server, &bob).await);
    let user = |tenant: &str, id: Uuid| format!(r#"{{"AWS":"arn:aws:iam::{tenant}:user/{id}"}}"#);
    for (document, says) in [
        (String::new(), "first byte"),
        ("{".to_owned(), "invalid Json"),
        (r#"{"Statement":[]}"#.to_owned(), "Statement is empty"),
        (format!(r#"{{"Statement":{}}}"#, DOWNLOAD.replace('@', "arn:aws:s3:::other")), "invalid resource"),
        (
            format!(
                r#"{{"Statement":{}}}"#,
                DOWNLOAD.replace("GetObject", "RestoreObject").replace('@', "arn:aws:s3:::box")
            ),
            "s3:RestoreObject",
        ),
        (
            format!(
                r#"{{"Statement":{}}}"#,
                allow(&user("alice", theirs), r#""s3:GetObject""#, r#""arn:aws:s3:::box/*""#)
            ),
            "Invalid principal",
        ),
        ("{".to_owned() + &" ".repeat(20 << 10), "maximum allowed document size"),
    ] {
        let refused = alice.put("/box?policy", document.as_bytes()).await;
        assert_eq!(refused.error(), (400, "MalformedPolicy".into()), "{document:.80}");
        assert!(refused.xml("Message").unwrap().contains(says), "{document:.80}: {}", refused.text());
    }
    let binary = alice.put("/box?policy", b"{\xff}").await;
    assert_eq!(binary.error(), (400, "MalformedPolicy".into()));
    let long = alice.put("/box?policy", " ".repeat(100 << 10).as_bytes()).await;
    assert!([400, 413].contains(&long.status), "{}", long.text());
    let digest = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(b"other"));
    let wrong = alice.call("PUT", "/box?policy").header("content-md5", &digest).body("{}").send().await;
    assert_eq!(wrong.error(), (400, "BadDigest".into()));
    assert_eq!(alice.get("/box?policy").await.status, 404, "nothing of it was set");
    set(&alice, &allow(&user("alice", own), r#""s3:GetObject""#, r#""@/*""#)).await.ok();
    set(&alice, &allow(&user("bob", theirs), r#""s3:GetObject""#, r#""@/*""#)).await.ok();
}

/// Without any switch, and only for as long as the policy says so.
#[tokio::test]
async fn anybody_gets_what_a_policy_grants_and_nothing_else() {
    let server = Server::start().await;
    let alice = made(&server).await;
    alice.put("/other", b"").await.ok();
    alice.put("/other/k", b"secret").await.ok();
    assert_eq!(anybody(&server, "/box/k").await, denied());
    set(&alice, DOWNLOAD).await.ok();
    let read = unsigned(server.address, "GET", "/box/k", &[]).await;
    assert_eq!(read.ok().text(), "bytes");
    assert_eq!(unsigned(server.address, "HEAD", "/box/k", &[]).await.status, 200);
    // Who may not list does not learn what is not there.
    for target in [
        "/box/none",
        "/box",
        "/box?versions",
        "/box?uploads",
        "/box?policy",
        "/box?acl",
        "/box/k?tagging",
        "/box/k?acl",
        "/other/k",
        "/other",
        "/none-such/k",
        "/",
        "/box?location",
        "/box/k?versionId=null",
        "/box/k?attributes",
    ] {
        let headers = [("x-amz-object-attributes", "ETag")];
        let answer = unsigned(server.address, "GET", target, &headers).await;
        assert_eq!(answer.error(), denied(), "{target}");
    }
    for (method, target, body) in [
        ("PUT", "/box/k", "theirs"),
        ("DELETE", "/box/k", ""),
        ("POST", "/box/u?uploads", ""),
        ("PUT", "/box?policy", "{}"),
        ("DELETE", "/box?policy", ""),
        ("DELETE", "/box", ""),
        ("PUT", "/box/k?tagging", "<Tagging><TagSet></TagSet></Tagging>"),
        ("PUT", "/mine", ""),
    ] {
        let answer = unsigned_with(server.address, method, target, &[], body).await;
        assert_eq!(answer.error(), denied(), "{method} {target}");
    }
    // Nor may they have it say what they like.
    assert_eq!(
        anybody(&server, "/box/k?response-content-type=text/html").await,
        (400, "InvalidRequest".into())
    );
    set(&alice, &format!("[{DOWNLOAD},{}]", allow(r#""*""#, r#""s3:ListBucket""#, r#""@""#))).await.ok();
    assert_eq!(unsigned(server.address, "GET", "/box?list-type=2", &[]).await.ok().all("Key"), ["k"]);
    assert_eq!(anybody(&server, "/box/none").await, (404, "NoSuchKey".into()));
    assert_eq!(unsigned(server.address, "HEAD", "/box", &[]).await.status, 200);
    alice.call("DELETE", "/box?policy").send().await.ok();
    assert_eq!(anybody(&server, "/box/k").await, denied());
    assert_eq!(anybody(&server, "/box").await, denied());
}

/// What is granted with an address, over TLS, from a page.
#[tokio::test]
async fn conditions_are_asked_of_the_request() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let with = |condition: &str| DOWNLOAD.replacen('}', &format!(r#","Condition":{condition}}}"#), 1);
    for (condition, headers, status) in [
        (r#"{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}"#, &[][..], 200),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#, &[], 403),
        (r#"{"Bool":{"aws:SecureTransport":"false"}}"#, &[], 200),
        (r#"{"Bool":{"aws:SecureTransport":"true"}}"#, &[], 403),
        (r#"{"StringLike":{"aws:Referer":"http://a/*"}}"#, &[("referer", "http://a/b")], 200),
        (r#"{"StringLike":{"aws:Referer":"http://a/*"}}"#, &[("referer", "http://b/")], 403),
        (r#"{"StringLike":{"aws:Referer":"http://a/*"}}"#, &[], 403),
        (r#"{"StringEquals":{"s3:ExistingObjectTag/open":"yes"}}"#, &[], 403),
    ] {
        set(&alice, &with(condition)).await.ok();
        let answer = unsigned(server.address, "GET", "/box/k", headers).await;
        assert_eq!(answer.status, status, "{condition} {headers:?}");
    }
    alice
        .put(
            "/box/k?tagging",
            b"<Tagging><TagSet><Tag><Key>open</Key><Value>yes</Value></Tag></TagSet></Tagging>",
        )
        .await
        .ok();
    assert_eq!(anybody(&server, "/box/k").await.0, 200);
    assert_eq!(anybody(&server, "/box/none").await, denied());
    let listing = r#"{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"@","Condition":{"StringEquals":{"s3:prefix":"a/","s3:delimiter":"/"},"NumericLessThanEquals":{"s3:max-keys":"10"}}}"#;
    set(&alice, listing).await.ok();
    for (query, status) in [
        ("prefix=a%2F&delimiter=/&max-keys=10", 200),
        ("list-type=2&prefix=a/&delimiter=%2F&max-keys=1", 200),
        ("prefix=a%2F&delimiter=/&max-keys=11", 403),
        ("prefix=a%2F&delimiter=/", 403),
        ("prefix=b&delimiter=/&max-keys=1", 403),
        ("prefix=a/&max-keys=1", 403),
        ("", 403),
    ] {
        assert_eq!(anybody(&server, &format!("/box?{query}")).await.0, status, "{query}");
    }
    let writing = r#"[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"@/*","Condition":{"StringNotEquals":{"s3:x-amz-storage-class":"STANDARD_IA"}}},{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"@/*","Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}}}]"#;
    set(&alice, writing).await.ok();
    let put = async |headers: &[(&str, &str)]| {
        let call = alice.call("PUT", "/box/new").body("x");
        headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await.status
    };
    let class = ("x-amz-storage-class", "STANDARD_IA");
    assert_eq!(put(&[]).await, 403);
    assert_eq!(put(&[class]).await, 200);
    assert_eq!(put(&[class, ("x-amz-acl", "private")]).await, 200);
    assert_eq!(put(&[class, ("x-amz-acl", "bucket-owner-full-control")]).await, 403);
    // In the query of a signed URL, too.
    for (query, status) in [("x-amz-storage-class=STANDARD_IA", 200), ("x-amz-storage-class=STANDARD", 403)] {
        let target = alice.presign("PUT", &format!("/box/new?{query}"));
        assert_eq!(alice.call("PUT", target).body("x").send().await.status, status, "{query}");
    }
}

/// Another tenant's credentials do what is granted to them, and as far as they may do such a thing at all.
#[tokio::test]
async fn other_tenants_get_what_is_granted_to_them() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let (bob, reader) = (server.tenant("bob", ALL).await, server.tenant("bob", "read").await);
    let carol = server.tenant("carol", ALL).await;
    let id = id_of(&server, &bob).await;
    let actions = r#"["s3:GetObject","s3:PutObject","s3:DeleteObject"]"#;
    for principal in [r#"{"AWS":"arn:aws:iam::bob:root"}"#.to_owned(), r#"{"AWS":"bob"}"#.to_owned()] {
        set(&alice, &allow(&principal, actions, r#""@/shared/*""#)).await.ok();
        alice.put("/box/shared/a", b"alice's").await.ok();
        assert_eq!(bob.get("/box/shared/a").await.ok().text(), "alice's");
        assert_eq!(reader.get("/box/shared/a").await.ok().text(), "alice's");
        assert_eq!(reader.put("/box/shared/a", b"x").await.error(), denied(), "it may write nowhere");
        bob.put("/box/shared/b", b"bob's").await.ok();
        assert_eq!(alice.get("/box/shared/b").await.ok().text(), "bob's", "what is brought is the owner's");
        bob.call("DELETE", "/box/shared/b").send().await.ok();
        for (client, target) in
            [(&bob, "/box/k"), (&carol, "/box/shared/a"), (&bob, "/box"), (&bob, "/box?policy")]
        {
            assert_eq!(client.get(target).await.error(), denied(), "{target}");
        }
        assert_eq!(anybody(&server, "/box/shared/a").await, denied());
    }
    set(&alice, &allow(&format!(r#"{{"AWS":"arn:aws:iam::bob:user/{id}"}}"#), actions, r#""@/*""#))
        .await
        .ok();
    assert_eq!((ok(&bob.get("/box/k").await), ok(&reader.get("/box/k").await)), (200, 403));
    // Whose the bucket is may be told to those who may do something there.
    let expecting = async |owner: &str| {
        bob.call("GET", "/box/k").header("x-amz-expected-bucket-owner", owner).send().await.status
    };
    assert_eq!((expecting("alice").await, expecting("bob").await), (200, 403));
    // Everything, and still not the policy.
    set(&alice, &allow(r#"{"AWS":"bob"}"#, r#""s3:*""#, r#"["@","@/*"]"#)).await.ok();
    bob.get("/box?versioning").await.ok();
    for (method, query) in [("GET", "policy"), ("DELETE", "policy"), ("GET", "policyStatus")] {
        let answer = bob.call(method, format!("/box?{query}")).send().await;
        assert_eq!(answer.error(), denied(), "{method} ?{query}");
    }
}

/// Of the same tenant: what names a credential is added to its rights, what names the tenant is not.
#[tokio::test]
async fn own_credentials_get_what_is_granted_to_them() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let reader = server.tenant("alice", "read").await;
    let id = id_of(&server, &reader).await;
    set(&alice, &allow(r#"{"AWS":"alice"}"#, r#""s3:PutObject""#, r#""@/*""#)).await.ok();
    assert_eq!(reader.put("/box/new", b"x").await.error(), denied());
    let named = format!(r#"{{"AWS":"arn:aws:iam::alice:user/{id}"}}"#);
    set(&alice, &allow(&named, r#""s3:PutObject""#, r#""@/*""#)).await.ok();
    reader.put("/box/new", b"x").await.ok();
    assert_eq!(reader.call("DELETE", "/box/new").send().await.error(), denied());
    let tagged = reader.call("PUT", "/box/new").header("x-amz-tagging", "a=b").body("x").send().await;
    assert_eq!(tagged.error(), denied(), "tags are another action");
    let listed = reader.call("PUT", "/box/new").header("x-amz-acl", "private").body("x").send().await;
    assert_eq!(listed.error(), denied(), "so is an ACL");
    set(&alice, &allow(&named, r#"["s3:PutObject","s3:PutObjectTagging","s3:PutObjectAcl"]"#, r#""@/*""#))
        .await
        .ok();
    let call = reader.call("PUT", "/box/new").header("x-amz-tagging", "a=b").header("x-amz-acl", "private");
    call.body("x").send().await.ok();
}

#[tokio::test]
async fn a_denial_binds_everybody_and_can_be_mended() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let (root, writer) = (server.root(), server.tenant("alice", "read,write,delete").await);
    set(&alice, &deny(r#""*""#, r#""s3:*""#, r#"["@","@/*"]"#)).await.ok();
    for client in [&alice, &root, &writer] {
        for (method, target) in [
            ("GET", "/box/k"),
            ("PUT", "/box/k"),
            ("DELETE", "/box/k"),
            ("GET", "/box"),
            ("GET", "/box?location"),
            ("DELETE", "/box"),
            ("POST", "/box/u?uploads"),
            ("GET", "/box?policyStatus"),
            ("GET", "/box/k?tagging"),
        ] {
            if target != "/box?policyStatus" || client.access_key == writer.access_key {
                assert_eq!(client.call(method, target).send().await.error(), denied(), "{method} {target}");
            }
        }
    }
    assert_eq!(writer.get("/box?policy").await.error(), denied());
    assert_eq!(writer.call("DELETE", "/box?policy").send().await.error(), denied());
    // Whoever administers the bucket takes it back, as AWS's root account can.
    alice.get("/box?policy").await.ok();
    set(&alice, &deny(r#""*""#, r#""s3:DeleteObject*""#, r#""@/keep/*""#)).await.ok();
    alice.put("/box/keep/a", b"kept").await.ok();
    assert_eq!(alice.call("DELETE", "/box/keep/a").send().await.error(), denied());
    assert_eq!(root.call("DELETE", "/box/keep/a").send().await.error(), denied());
    alice.call("DELETE", "/box/k").send().await.ok();
    root.call("DELETE", "/box?policy").send().await.ok();
    alice.call("DELETE", "/box/keep/a").send().await.ok();
    // One of several credentials.
    let id = id_of(&server, &writer).await;
    let named = format!(r#"{{"AWS":"arn:aws:iam::alice:user/{id}"}}"#);
    set(&alice, &deny(&named, r#""s3:PutObject""#, r#""@/*""#)).await.ok();
    assert_eq!((ok(&writer.put("/box/a", b"").await), ok(&alice.put("/box/a", b"").await)), (403, 200));
}

#[tokio::test]
async fn public_policies_can_be_blocked_and_restricted() {
    let server = Server::start().await;
    let alice = made(&server).await;
    let bob = server.tenant("bob", ALL).await;
    let block = async |block: bool, restrict: bool| {
        let document = format!(
            "<PublicAccessBlockConfiguration><BlockPublicPolicy>{block}</BlockPublicPolicy>\
             <RestrictPublicBuckets>{restrict}</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
        );
        alice.put("/box?publicAccessBlock", document.as_bytes()).await.ok();
    };
    let read = alice.get("/box?publicAccessBlock").await.ok();
    assert_eq!(read.xml("BlockPublicPolicy").as_deref(), Some("false"), "what holds is what is shown");
    assert_eq!(read.xml("BlockPublicAcls").as_deref(), Some("true"));
    block(true, false).await;
    assert_eq!(set(&alice, DOWNLOAD).await.error(), denied());
    assert_eq!(anybody(&server, "/box/k").await, denied());
    let confined = DOWNLOAD.replacen('}', r#","Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.1"}}}"#, 1);
    for fixed in [confined.as_str(), &allow(r#"{"AWS":"bob"}"#, r#""s3:GetObject""#, r#""@/*""#)] {
        set(&alice, fixed).await.ok();
        bob.get("/box/k").await.ok();
    }
    block(false, false).await;
    set(&alice, DOWNLOAD).await.ok();
    assert_eq!((anybody(&server, "/box/k").await.0, ok(&bob.get("/box/k").await)), (200, 200));
    // What was set before counts for the owner's own alone.
    block(true, true).await;
    assert_eq!((anybody(&server, "/box/k").await, bob.get("/box/k").await.error()), (denied(), denied()));
    alice.get("/box/k").await.ok();
    let writer = server.tenant("alice", "write").await;
    writer.get("/box/k").await.ok();
    alice.call("DELETE", "/box?publicAccessBlock").send().await.ok();
    assert_eq!((anybody(&server, "/box/k").await.0, ok(&bob.get("/box/k").await)), (200, 200));
}

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
    assert_eq!((anybody(&server, "/box/v").await.0, anybody(&server, &named).await), (200, denied()));
    set(&alice, &DOWNLOAD.replace("s3:GetObject", "s3:GetObjectVersion")).await.ok();
    assert_eq!((anybody(&server, "/box/v").await, anybody(&server, &named).await.0), (denied(), 200));
    set(&alice, &deny(r#""*""#, r#""s3:DeleteObjectVersion""#, r#""@/*""#)).await.ok();
    assert_eq!(alice.call("DELETE", named.as_str()).send().await.error(), denied());
    alice.call("DELETE", "/box/v").send().await.ok();
    // A delete marker is nothing to read: who may not list is not told that there is one.
    set(&alice, DOWNLOAD).await.ok();
    assert_eq!(anybody(&server, "/box/v").await, denied());
    set(&alice, &format!("[{DOWNLOAD},{}]", allow(r#""*""#, r#""s3:ListBucket""#, r#""@""#))).await.ok();
    assert_eq!(anybody(&server, "/box/v").await, (404, "NoSuchKey".into()));
    set(&alice, &allow(r#""*""#, r#""s3:ListBucketVersions""#, r#""@""#)).await.ok();
    assert_eq!((anybody(&server, "/box?versions").await.0, anybody(&server, "/box").await), (200, denied()));
}

/// In parts and by form, from nobody.
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
    assert_eq!(anybody(&server, &target).await, denied(), "to list parts is another action");
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

/// An ACL that counts gives nothing that a policy denies.
#[tokio::test]
async fn a_denial_overrides_an_acl() {
    let server = Server::start_with(Options { acls: true, ..Options::default() }).await;
    let alice = made(&server).await;
    let bob = server.tenant("bob", ALL).await;
    for target in ["/box?acl", "/box/k?acl"] {
        alice.call("PUT", target).header("x-amz-acl", "public-read-write").send().await.ok();
    }
    assert_eq!((anybody(&server, "/box").await.0, anybody(&server, "/box/k").await.0), (200, 200));
    set(
        &alice,
        &deny(r#"{"AWS":"bob"}"#, r#"["s3:ListBucket","s3:GetObject","s3:PutObject"]"#, r#"["@","@/*"]"#),
    )
    .await
    .ok();
    assert_eq!((anybody(&server, "/box").await.0, anybody(&server, "/box/k").await.0), (200, 200));
    for target in ["/box", "/box/k"] {
        assert_eq!(bob.get(target).await.error(), denied(), "{target}");
    }
    assert_eq!(bob.put("/box/k", b"x").await.error(), denied());
    set(&alice, &deny(r#""*""#, r#""s3:PutObjectAcl""#, r#""@/*""#)).await.ok();
    let shared = unsigned(server.address, "PUT", "/box/new", &[("x-amz-acl", "public-read")]).await;
    assert_eq!(shared.error(), denied());
    assert_eq!(unsigned(server.address, "PUT", "/box/new", &[]).await.status, 200);
}

/// A bucket that is made again begins without the policy of the one before.
#[tokio::test]
async fn a_policy_goes_with_its_bucket() {
    let server = Server::start().await;
    let alice = made(&server).await;
    set(&alice, DOWNLOAD).await.ok();
    assert_eq!(anybody(&server, "/box/k").await.0, 200);
    alice.call("DELETE", "/box/k").send().await.ok();
    alice.call("DELETE", "/box").send().await.ok();
    alice.put("/box", b"").await.ok();
    alice.put("/box/k", b"new").await.ok();
    assert_eq!(anybody(&server, "/box/k").await, denied());
    assert_eq!(alice.get("/box?policy").await.error(), (404, "NoSuchBucketPolicy".into()));
}
