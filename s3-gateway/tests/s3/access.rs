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
    // A header that nobody signed would turn this put into a copy.
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
    assert_eq!(bob.get("/alices/k").await.error(), (404, "NoSuchBucket".into()));
    assert_eq!(bob.get("/alices").await.error(), (404, "NoSuchBucket".into()));
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
