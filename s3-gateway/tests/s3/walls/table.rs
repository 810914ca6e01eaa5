//! What the gateway's table says of an operation, against what the operation does.

use std::collections::BTreeMap;

use juststorage_s3_gateway::Offered;

use super::rows::{Fixture, Row, rows};
use super::{ALL, fixture, md5};
use crate::server::{Answer, Client, Server};

/// Every row of the walls with the gateway's of the same operation.
fn pairs() -> Vec<(Row, Offered)> {
    let mut offered: BTreeMap<_, _> =
        juststorage_s3_gateway::operations().map(|operation| (operation.name, operation)).collect();
    let with_its_own = |row: Row| {
        let own = offered.remove(row.operation).unwrap();
        (row, own)
    };
    rows().into_iter().map(with_its_own).collect()
}

async fn send(client: &Client, row: &Row, fixture: &Fixture, more: &[(&str, &str)]) -> Answer {
    let call = client.call(row.method, (row.target)(fixture)).body((row.body)(fixture));
    let call = (row.headers)(fixture).iter().fold(call, |call, (name, value)| call.header(name, value));
    more.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
}

/// Whether an answer refuses access. A list of deletions does so key by key.
fn is_denied(answer: &Answer) -> bool {
    answer.status == 403 || answer.all("Code") == ["AccessDenied"]
}

/// A policy that denies everybody what its `Action` or `NotAction` names.
async fn deny(client: &Client, bucket: &str, which: &str, actions: &[&str]) {
    let actions: Vec<_> = actions.iter().map(|name| format!("\"s3:{name}\"")).collect();
    let document = format!(
        r#"{{"Statement":{{"Effect":"Deny","Principal":"*","{which}":[{}],
            "Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"]}}}}"#,
        actions.join(",")
    );
    let answer = client.put(&format!("/{bucket}?policy"), document.as_bytes()).await;
    assert_eq!(answer.status, 204, "{document}: {}", answer.text());
}

/// A policy that denies all other actions does not hinder an operation; one that denies any of its own stops it.
#[tokio::test]
async fn every_operation_asks_for_the_actions_of_its_row() {
    let server = Server::start().await;
    let owner = server.tenant("acme", ALL).await;
    for (number, (row, offered)) in pairs().into_iter().enumerate() {
        if offered.actions.is_empty() {
            continue;
        }
        let names: Vec<_> = offered.actions.iter().map(|action| action.name()).collect();
        let made = fixture(&owner, number, &row).await;
        let target = (row.target)(&made);
        let bucket = target.trim_start_matches('/').split(['/', '?']).next().unwrap().to_owned();
        let digest = md5(&(row.body)(&made));
        let digest = [("content-md5", digest.as_str())];
        for action in offered.actions {
            // Who administers a bucket can always mend its policy.
            if !action.is_about_policy() {
                deny(&owner, &bucket, "Action", &[action.name()]).await;
                let answer = send(&owner, &row, &made, &digest).await;
                assert!(is_denied(&answer), "{} without {action}: {}", row.operation, answer.text());
            }
        }
        deny(&owner, &bucket, "NotAction", &names).await;
        let answer = send(&owner, &row, &made, &digest).await;
        let context = format!("{} with {names:?}: {} {}", row.operation, answer.status, answer.text());
        assert!(!is_denied(&answer), "{context}");
        // To hear that a setting is not there takes the same.
        assert!(answer.status == offered.status || (answer.status, row.success) == (404, 404), "{context}");
    }
}

/// A digest that does not match refuses a document, whatever the operation.
#[tokio::test]
async fn every_document_is_compared_with_its_digests() {
    let server = Server::start().await;
    let owner = server.tenant("acme", ALL).await;
    let mut documents = 0;
    for (number, (row, offered)) in pairs().into_iter().enumerate() {
        if !offered.takes_document {
            continue;
        }
        documents += 1;
        let made = fixture(&owner, number, &row).await;
        let refused = |answer: &Answer, code: &str| {
            assert_eq!(answer.error(), (400, code.to_owned()), "{}: {}", row.operation, answer.text());
        };
        refused(&send(&owner, &row, &made, &[("content-md5", &md5("another"))]).await, "BadDigest");
        let answer = send(&owner, &row, &made, &[("x-amz-checksum-crc32", "AAAAAQ==")]).await;
        // Of a completion this is the object's checksum, which the core compares.
        if row.operation == "CompleteMultipartUpload" {
            assert_eq!(answer.status, 400, "{}", answer.text());
        } else {
            refused(&answer, "BadDigest");
        }
        if row.operation == "DeleteObjects" {
            refused(&send(&owner, &row, &made, &[]).await, "InvalidRequest");
        }
        assert_eq!(owner.get(&format!("/{}/k", made.bucket)).await.ok().text(), "bytes");
    }
    assert_eq!(documents, 17);
}
