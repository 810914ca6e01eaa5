use crate::server::{Client, Server, raw};

#[tokio::test]
async fn nobody_is_let_in_without_a_good_signature() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/walls", b"").await.ok();
    s3.put("/walls/k", b"secret").await.ok();
    for request in ["GET /walls/k", "GET /", "GET //", "HEAD /walls", "DELETE /walls/k"] {
        let bytes = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(server.address, bytes.as_bytes(), false).await;
        assert_eq!(answer.status, 403, "{request}");
        assert!(!answer.text().contains("secret"));
    }
    let unknown = Client { access_key: "NOBODY".into(), ..s3.clone() };
    assert_eq!(unknown.get("/walls/k").await.error(), (403, "InvalidAccessKeyId".into()));
    let wrong = Client { secret_key: "wrong".into(), ..s3.clone() };
    assert_eq!(wrong.get("/walls/k").await.error(), (403, "SignatureDoesNotMatch".into()));
    let v2 = "GET /walls/k HTTP/1.1\r\nhost: x\r\nconnection: close\r\ndate: Thu, 01 Dec 2033 16:00:00 GMT\r\n\
              authorization: AWS juststorage:AAAA\r\n\r\n";
    let v2 = raw(server.address, v2.as_bytes(), false).await;
    assert_eq!(v2.error(), (400, "InvalidRequest".into()));
    assert!(v2.text().contains("JUSTSTORAGE_S3_SIGV2=1"), "{}", v2.text());
    let token = s3.call("GET", "/walls/k").header("x-amz-security-token", "t").send().await;
    assert_eq!(token.error(), (400, "InvalidToken".into()));
}

#[tokio::test]
async fn presigned_urls_do_what_was_signed_and_nothing_else() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/signed", b"").await.ok();
    s3.put("/signed/secret", b"secret").await.ok();
    let put = s3.presign("PUT", "/signed/k");
    s3.call("PUT", &put).body("body").send().await.ok();
    assert_eq!(s3.call("GET", s3.presign("GET", "/signed/k")).send().await.ok().text(), "body");
    // An unsigned header would turn this put into a copy.
    let copy = s3.call("PUT", &put).unsigned_header("x-amz-copy-source", "/signed/secret").send().await;
    assert_eq!(copy.error(), (403, "AccessDenied".into()));
    assert_eq!(s3.get("/signed/k").await.text(), "body");
    assert_eq!(s3.call("DELETE", &put).send().await.error(), (403, "SignatureDoesNotMatch".into()));
    let other = put.replace("/signed/k", "/signed/other");
    assert_eq!(s3.call("PUT", other).send().await.error(), (403, "SignatureDoesNotMatch".into()));
    // Headers that SDKs move into the query are honoured there.
    let hoisted = s3.presign("PUT", "/signed/h?x-amz-meta-a=1&x-amz-checksum-crc32=26gLsg%3D%3D");
    assert_eq!(s3.call("PUT", &hoisted).body("other").send().await.error(), (400, "BadDigest".into()));
    s3.call("PUT", &hoisted).body("body").send().await.ok();
    // The SDK for JavaScript signs the checksum of nothing: it has no body yet.
    let nothing = "/signed/js?x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";
    s3.call("PUT", s3.presign("PUT", nothing)).body("body").send().await.ok();
    assert_eq!(s3.get("/signed/js").await.text(), "body");
    assert_eq!(s3.get("/signed/h").await.ok().header("x-amz-meta-a"), Some("1"));
    let refused = s3.presign("PUT", "/signed/h?x-amz-copy-source=%2Fsigned%2Fsecret");
    assert_eq!(s3.call("PUT", &refused).send().await.error(), (501, "NotImplemented".into()));
}

#[tokio::test]
async fn tenants_see_only_their_own() {
    let server = Server::start().await;
    let (alice, bob) =
        (server.tenant("alice", "read,write,delete").await, server.tenant("bob", "read,write,delete").await);
    alice.put("/alices", b"").await.ok();
    alice.put("/alices/k", b"x").await.ok();
    // As S3 has it in its first region, which this server says to be in.
    alice.put("/alices", b"").await.ok();
    assert_eq!(alice.get("/alices/k").await.text(), "x");
    assert_eq!(bob.put("/alices", b"").await.error(), (409, "BucketAlreadyExists".into()));
    for target in ["/alices/k", "/alices/missing", "/alices", "/alices/k?tagging", "/alices?cors"] {
        assert_eq!(bob.get(target).await.error(), (403, "AccessDenied".into()), "{target}");
    }
    assert_eq!(bob.get("/nowhere/k").await.error(), (404, "NoSuchBucket".into()));
    assert!(bob.get("/").await.ok().all("Name").is_empty());
    let mine = alice.call("GET", "/alices/k").header("x-amz-expected-bucket-owner", "alice").send().await;
    assert_eq!(mine.status, 200);
    let not = alice.call("GET", "/alices/k").header("x-amz-expected-bucket-owner", "bob").send().await;
    assert_eq!(not.error(), (403, "AccessDenied".into()));
    let reader = server.tenant("alice", "read").await;
    assert_eq!(reader.get("/alices/k").await.status, 200);
    assert_eq!(reader.put("/alices/k", b"y").await.error(), (403, "AccessDenied".into()));
    assert_eq!(reader.call("DELETE", "/alices/k").send().await.error(), (403, "AccessDenied".into()));
}

/// Through doors of one's own: another tenant's object as a copy's source, its version's id, its upload's id. The
/// answers are those for what does not exist.
#[tokio::test]
async fn what_others_own_is_not_there() {
    let server = Server::start().await;
    let rights = "read,write,delete,admin";
    let (alice, bob) = (server.tenant("alice", rights).await, server.tenant("bob", rights).await);
    let versioned = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    for (client, bucket) in [(&alice, "alices"), (&bob, "bobs")] {
        client.put(&format!("/{bucket}"), b"").await.ok();
        client.call("PUT", format!("/{bucket}?versioning")).body(versioned).send().await.ok();
        client.put(&format!("/{bucket}/k"), client.access_key.as_bytes()).await.ok();
    }
    let version = alice.get("/alices/k").await.ok().header("x-amz-version-id").unwrap().to_owned();
    let begun = alice.call("POST", "/alices/k?uploads").send().await.ok();
    let upload = begun.xml("UploadId").unwrap();
    alice.put(&format!("/alices/k?partNumber=1&uploadId={upload}"), b"part").await.ok();
    let own_upload = bob.call("POST", "/bobs/k?uploads").send().await.ok().xml("UploadId").unwrap();

    let none = "018bcfe5-687b-7fff-bfff-ffffffffffff";
    let tell = |answer: &crate::server::Answer| (answer.error(), answer.xml("Message"));
    for source in ["/alices/k".to_owned(), format!("/alices/k?versionId={version}")] {
        for target in ["/bobs/copy".to_owned(), format!("/bobs/k?partNumber=1&uploadId={own_upload}")] {
            let copy = async |source: &str| {
                bob.call("PUT", &target).header("x-amz-copy-source", source).send().await
            };
            // The bucket is no secret; what is in it is.
            let (hidden, missing) =
                (copy(&source).await, copy(&source.replace("alices/k", "alices/no")).await);
            assert_eq!(hidden.error(), (403, "AccessDenied".into()), "{source} to {target}");
            assert_eq!(tell(&hidden), tell(&missing));
        }
    }
    let complete = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>\
                    </CompleteMultipartUpload>";
    for (method, target, body) in [
        ("GET", "/bobs/k?versionId=VERSION", ""),
        ("HEAD", "/bobs/k?versionId=VERSION", ""),
        ("GET", "/bobs/k?tagging&versionId=VERSION", ""),
        ("GET", "/bobs/k?uploadId=UPLOAD", ""),
        ("PUT", "/bobs/k?partNumber=1&uploadId=UPLOAD", "part"),
        ("POST", "/bobs/k?uploadId=UPLOAD", complete),
        ("DELETE", "/bobs/k?uploadId=UPLOAD", ""),
        ("DELETE", "/bobs/k?versionId=VERSION", ""),
    ] {
        let ask = async |version: &str, upload: &str| {
            let target = target.replace("VERSION", version).replace("UPLOAD", upload);
            bob.call(method, target).body(body).send().await
        };
        let (hidden, missing) = (ask(&version, &upload).await, ask(none, none).await);
        assert_eq!((hidden.status, tell(&hidden)), (missing.status, tell(&missing)), "{method} {target}");
        // To delete a version that is not there succeeds, and deletes nothing.
        assert!(
            hidden.status == 404 || (method, hidden.status) == ("DELETE", 204),
            "{method} {target}: {hidden:?}"
        );
    }
    let both = format!("<Delete><Object><Key>k</Key><VersionId>{version}</VersionId></Object></Delete>");
    let digest = {
        use base64::Engine as _;
        use md5::Digest as _;
        base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(both.as_bytes()))
    };
    bob.call("POST", "/bobs?delete").header("content-md5", &digest).body(&both).send().await.ok();

    let kept = alice.get(&format!("/alices/k?versionId={version}")).await.ok();
    assert_eq!(kept.text(), alice.access_key);
    assert_eq!(alice.get(&format!("/alices/k?uploadId={upload}")).await.ok().all("PartNumber"), ["1"]);
    for (listing, element) in [("", "Key"), ("?versions", "VersionId"), ("?uploads", "UploadId")] {
        let listed = bob.get(&format!("/bobs{listing}")).await.ok().all(element);
        assert_eq!(listed.len(), 1, "{listing}: {listed:?}");
        assert!(!listed.contains(&version) && !listed.contains(&upload), "{listed:?}");
    }
}

/// Some clients encode the whole key, slashes too, and sign what they send.
#[tokio::test]
async fn encoded_slashes_are_verified_as_they_were_sent() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/encoded", b"").await.ok();
    s3.put("/encoded/a%2Fb%20c", b"one").await.ok();
    assert_eq!(s3.get("/encoded/a/b%20c").await.ok().text(), "one");
    let call = s3.call("PUT", "/encoded/a%2fd?x-id=PutObject").header("x-amz-meta-a", "two  words");
    call.body("two").send().await.ok();
    assert_eq!(s3.get("/encoded/a%2Fd").await.ok().header("x-amz-meta-a"), Some("two  words"));
    let url = s3.presign("GET", "/encoded/a%2Fb%20c?response-content-type=a%2Fb");
    assert_eq!(s3.call("GET", &url).send().await.ok().text(), "one");
    let unsigned = s3.call("GET", &url).unsigned_header("x-amz-checksum-mode", "ENABLED").send().await;
    assert_eq!(unsigned.error(), (403, "AccessDenied".into()));
    let moved = url.replace("a%2Fb%20c?", "a%2Fd?");
    assert_eq!(s3.call("GET", moved).send().await.error(), (403, "SignatureDoesNotMatch".into()));
    let wrong = Client { secret_key: "wrong".into(), ..s3.clone() };
    assert_eq!(wrong.get("/encoded/a%2Fd").await.error(), (403, "SignatureDoesNotMatch".into()));
}
