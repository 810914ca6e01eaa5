use std::time::{Duration, SystemTime};

use crate::server::{Client, Server};

const MINUTE: Duration = Duration::from_secs(60);

/// A clock may be wrong by a quarter of an hour, in either direction.
#[tokio::test]
async fn clocks_may_differ_a_little() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/clocks", b"").await.ok();
    let now = SystemTime::now();
    for near in [now - 14 * MINUTE, now + 14 * MINUTE] {
        assert_eq!(s3.call("GET", "/clocks").at(near).send().await.status, 200);
    }
    for far in [now - 16 * MINUTE, now + 16 * MINUTE] {
        let refused = s3.call("GET", "/clocks").at(far).send().await;
        assert_eq!(refused.error(), (403, "RequestTimeTooSkewed".into()));
    }
}

#[tokio::test]
async fn presigned_urls_end() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/ending", b"").await.ok();
    s3.put("/ending/k", b"body").await.ok();
    let now = SystemTime::now();
    let status =
        async |at, seconds| s3.call("GET", s3.presign_at("GET", "/ending/k", at, seconds)).send().await;
    assert_eq!(status(now - 2 * MINUTE, 180).await.status, 200);
    assert_eq!(status(now - 2 * MINUTE, 60).await.error(), (403, "AccessDenied".into()));
    assert_eq!(status(now, 604_800).await.status, 200);
    let long = status(now, 604_801).await;
    assert_eq!(long.error(), (400, "AuthorizationQueryParametersError".into()));
    let longer = s3.presign_at("GET", "/ending/k", now, 60).replace("X-Amz-Expires=60", "X-Amz-Expires=90");
    assert_eq!(s3.call("GET", longer).send().await.error(), (403, "SignatureDoesNotMatch".into()));
}

/// Java, boto3 and Go wait for `100 Continue`: what is refused anyway is refused before the body is asked for.
#[tokio::test]
async fn a_refusal_comes_before_the_body_is_asked_for() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/waiting", b"").await.ok();
    s3.put("/waiting/there", b"x").await.ok();
    let ask = async |target: &str, condition: &str| {
        let call = s3.call("PUT", target).header("expect", "100-continue").unsigned_payload();
        let call = if condition.is_empty() { call } else { call.header("if-none-match", condition) };
        // Nothing of it is sent.
        call.length(5).send().await
    };
    assert_eq!(ask("/nowhere/k", "").await.error(), (404, "NoSuchBucket".into()));
    assert_eq!(ask("/waiting/there", "*").await.error(), (412, "PreconditionFailed".into()));
    assert_eq!(ask("/waiting/there?futureThing", "").await.error().0, 501);
    let of = async |client: &Client, at| {
        let call = client.call("PUT", "/waiting/k").header("expect", "100-continue").unsigned_payload();
        call.at(at).length(5).send().await.error()
    };
    let (unknown, wrong) = (
        Client { access_key: "NOBODY".into(), ..s3.clone() },
        Client { secret_key: "wrong".into(), ..s3.clone() },
    );
    let now = SystemTime::now();
    assert_eq!(of(&unknown, now).await, (403, "InvalidAccessKeyId".into()));
    assert_eq!(of(&wrong, now).await, (403, "SignatureDoesNotMatch".into()));
    assert_eq!(of(&s3, now - 16 * MINUTE).await, (403, "RequestTimeTooSkewed".into()));
    // What is not refused is asked for.
    assert_eq!(ask("/waiting/new", "*").await.status, 100);
}
