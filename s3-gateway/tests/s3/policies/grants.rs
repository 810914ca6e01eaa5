//! What policies give to whom, and what they take from everybody.

use super::{ALL, DOWNLOAD, allow, anonymous, denied, deny, id_of, made, ok, set};
use crate::server::{Options, Server, unsigned, unsigned_with};

/// Without any switch, and only for as long as the policy says so.
#[tokio::test]
async fn anybody_gets_what_a_policy_grants_and_nothing_else() {
    let server = Server::start().await;
    let alice = made(&server).await;
    alice.put("/other", b"").await.ok();
    alice.put("/other/k", b"secret").await.ok();
    assert_eq!(anonymous(&server, "/box/k").await, denied());
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
        anonymous(&server, "/box/k?response-content-type=text/html").await,
        (400, "InvalidRequest".into())
    );
    set(&alice, &format!("[{DOWNLOAD},{}]", allow(r#""*""#, r#""s3:ListBucket""#, r#""@""#))).await.ok();
    assert_eq!(unsigned(server.address, "GET", "/box?list-type=2", &[]).await.ok().all("Key"), ["k"]);
    assert_eq!(anonymous(&server, "/box/none").await, (404, "NoSuchKey".into()));
    assert_eq!(unsigned(server.address, "HEAD", "/box", &[]).await.status, 200);
    alice.call("DELETE", "/box?policy").send().await.ok();
    assert_eq!(anonymous(&server, "/box/k").await, denied());
    assert_eq!(anonymous(&server, "/box").await, denied());
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
    assert_eq!(anonymous(&server, "/box/k").await.0, 200);
    assert_eq!(anonymous(&server, "/box/none").await, denied());
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
        assert_eq!(anonymous(&server, &format!("/box?{query}")).await.0, status, "{query}");
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
        assert_eq!(anonymous(&server, "/box/shared/a").await, denied());
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
    // An administrator of the bucket takes it back, as AWS's root account can.
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

/// An ACL that counts gives nothing that a policy denies.
#[tokio::test]
async fn a_denial_overrides_an_acl() {
    let server = Server::start_with(Options { acls: true, ..Options::default() }).await;
    let alice = made(&server).await;
    let bob = server.tenant("bob", ALL).await;
    for target in ["/box?acl", "/box/k?acl"] {
        alice.call("PUT", target).header("x-amz-acl", "public-read-write").send().await.ok();
    }
    assert_eq!((anonymous(&server, "/box").await.0, anonymous(&server, "/box/k").await.0), (200, 200));
    set(
        &alice,
        &deny(r#"{"AWS":"bob"}"#, r#"["s3:ListBucket","s3:GetObject","s3:PutObject"]"#, r#"["@","@/*"]"#),
    )
    .await
    .ok();
    assert_eq!((anonymous(&server, "/box").await.0, anonymous(&server, "/box/k").await.0), (200, 200));
    for target in ["/box", "/box/k"] {
        assert_eq!(bob.get(target).await.error(), denied(), "{target}");
    }
    assert_eq!(bob.put("/box/k", b"x").await.error(), denied());
    set(&alice, &deny(r#""*""#, r#""s3:PutObjectAcl""#, r#""@/*""#)).await.ok();
    let shared = unsigned(server.address, "PUT", "/box/new", &[("x-amz-acl", "public-read")]).await;
    assert_eq!(shared.error(), denied());
    assert_eq!(unsigned(server.address, "PUT", "/box/new", &[]).await.status, 200);
}
