//! Bucket policies: the documents themselves. What they grant and deny stands in [`grants`], how operations ask in
//! [`operations`].

use base64::Engine as _;
use md5::Digest as _;
use uuid::Uuid;

use crate::server::{Answer, Client, Server, unsigned};

mod grants;
mod operations;

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

async fn anonymous(server: &Server, target: &str) -> (u16, String) {
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
    assert_eq!(anonymous(&server, "/box/k").await, denied());
    let confined = DOWNLOAD.replacen('}', r#","Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.1"}}}"#, 1);
    for fixed in [confined.as_str(), &allow(r#"{"AWS":"bob"}"#, r#""s3:GetObject""#, r#""@/*""#)] {
        set(&alice, fixed).await.ok();
        bob.get("/box/k").await.ok();
    }
    block(false, false).await;
    set(&alice, DOWNLOAD).await.ok();
    assert_eq!((anonymous(&server, "/box/k").await.0, ok(&bob.get("/box/k").await)), (200, 200));
    // What was set before counts for the owner's own alone.
    block(true, true).await;
    assert_eq!((anonymous(&server, "/box/k").await, bob.get("/box/k").await.error()), (denied(), denied()));
    alice.get("/box/k").await.ok();
    let writer = server.tenant("alice", "write").await;
    writer.get("/box/k").await.ok();
    alice.call("DELETE", "/box?publicAccessBlock").send().await.ok();
    assert_eq!((anonymous(&server, "/box/k").await.0, ok(&bob.get("/box/k").await)), (200, 200));
}

/// A bucket that is made again begins without the policy of the one before.
#[tokio::test]
async fn a_policy_goes_with_its_bucket() {
    let server = Server::start().await;
    let alice = made(&server).await;
    set(&alice, DOWNLOAD).await.ok();
    assert_eq!(anonymous(&server, "/box/k").await.0, 200);
    alice.call("DELETE", "/box/k").send().await.ok();
    alice.call("DELETE", "/box").send().await.ok();
    alice.put("/box", b"").await.ok();
    alice.put("/box/k", b"new").await.ok();
    assert_eq!(anonymous(&server, "/box/k").await, denied());
    assert_eq!(alice.get("/box?policy").await.error(), (404, "NoSuchBucketPolicy".into()));
}
