//! Answers of real sockets: what each of them means.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use futures::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::S3Connector;
use crate::application::ports::upstream::{Upstream, UpstreamConnector as _, UpstreamError, UpstreamQuery};
use crate::domain::address::Key;
use crate::domain::identity::StoreId;
use crate::domain::range::Span;
use crate::domain::upstream::{Addressing, Target};

/// A server that answers every request with the same text, and closes; and the requests that it got.
async fn answering(text: &'static str) -> (Arc<dyn Upstream>, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let noted = noted.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                    match socket.read(&mut piece).await {
                        Ok(0) | Err(_) => return,
                        Ok(n) => request.extend_from_slice(&piece[..n]),
                    }
                }
                noted.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                let _ = socket.write_all(text.as_bytes()).await;
                let _ = socket.shutdown().await;
            });
        }
    });
    let target = Target {
        endpoint: format!("http://127.0.0.1:{port}"),
        bucket: "old".into(),
        prefix: "p/".into(),
        region: "us-east-1".into(),
        addressing: Addressing::Path,
        access_key: "KEY".into(),
        allow_private: true,
        requests_per_second: None,
        bytes_per_second: None,
    };
    let connector = S3Connector::new(StoreId(Uuid::from_u128(7)));
    let private = Target { allow_private: false, ..target.clone() };
    assert!(matches!(connector.connect(&private, "SECRET"), Err(UpstreamError::Forbidden(_))));
    (connector.connect(&target, "SECRET").unwrap(), seen)
}

/// Whether an error is the one that is meant.
type Is = fn(&UpstreamError) -> bool;

fn key() -> Key {
    Key::new("a b").unwrap()
}

#[tokio::test]
async fn answers_mean_what_they_say() {
    let error = |status: &str, code: &str| -> &'static str {
        let body = format!("<Error><Code>{code}</Code><Message>words</Message></Error>");
        Box::leak(
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                .into_boxed_str(),
        )
    };
    let cases: [(&'static str, Is); 8] = [
        (error("503 Slow Down", "SlowDown"), |e| matches!(e, UpstreamError::Away(_))),
        (error("500 Internal Server Error", "InternalError"), |e| matches!(e, UpstreamError::Away(_))),
        (
            error("403 Forbidden", "SignatureDoesNotMatch"),
            |e| matches!(e, UpstreamError::Refused(why) if why.contains("SignatureDoesNotMatch")),
        ),
        (error("404 Not Found", "NoSuchBucket"), |e| matches!(e, UpstreamError::NoSuchBucket(_))),
        (error("301 Moved Permanently", "PermanentRedirect"), |e| matches!(e, UpstreamError::Elsewhere(_))),
        (error("400 Bad Request", "AuthorizationHeaderMalformed"), |e| {
            matches!(e, UpstreamError::Elsewhere(_))
        }),
        (error("412 Precondition Failed", "PreconditionFailed"), |e| matches!(e, UpstreamError::Changed)),
        (error("508 Loop Detected", "LoopDetected"), |e| matches!(e, UpstreamError::Ourselves)),
    ];
    for (text, is) in cases {
        let (upstream, seen) = answering(text).await;
        let error = upstream.get(&key(), None, None).await.err().unwrap_or_else(|| panic!("{text}"));
        assert!(is(&error), "{text}: {error:?}");
        let seen = seen.lock().unwrap();
        assert!(seen[0].starts_with("GET /old/p/a%20b?x-id=GetObject "), "{}", seen[0]);
        assert!(seen[0].contains("x-juststorage-via: 00000000-0000-0000-0000-000000000007"), "{}", seen[0]);
        assert!(!seen[0].contains("SECRET"));
    }
    let (upstream, _) = answering(error("404 Not Found", "NoSuchKey")).await;
    assert!(upstream.get(&key(), None, None).await.unwrap().is_none());
    let (upstream, _) =
        answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert!(upstream.head(&key()).await.unwrap().is_none());
}

/// A body that is cut or stops is an error, never an end.
#[tokio::test]
async fn a_body_that_ends_early_is_no_body() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"abc\"\r\nContent-Type: text/x\r\n\
                 x-amz-meta-Owner: me\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\nhello";
    let (upstream, _) = answering(whole).await;
    let body = upstream.get(&key(), None, None).await.unwrap().unwrap();
    assert_eq!((body.object.etag.as_str(), body.object.size), ("abc", 5));
    assert_eq!(body.object.modified.seconds(), 784_111_777);
    assert_eq!(body.object.metadata["owner"], "me");
    let bytes: Vec<bytes::Bytes> = body.stream.try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"hello");
    let (upstream, _) =
        answering("HTTP/1.1 200 OK\r\nContent-Length: 50\r\nETag: \"abc\"\r\nConnection: close\r\n\r\nhello")
            .await;
    let body = upstream.get(&key(), None, None).await.unwrap().unwrap();
    let cut = body.stream.try_collect::<Vec<bytes::Bytes>>().await.unwrap_err();
    assert!(matches!(cut, UpstreamError::Away(_)), "{cut:?}");
    // A range that is not the one asked for, and another object than the one that was looked at.
    let (upstream, _) = answering(whole).await;
    let ignored = upstream.get(&key(), Some(Span { start: 1, end: 3 }), None).await.err().unwrap();
    assert!(matches!(ignored, UpstreamError::Unusable(_)), "{ignored:?}");
    let other = upstream.get(&key(), None, Some("other")).await.err().unwrap();
    assert!(matches!(other, UpstreamError::Changed), "{other:?}");
}

#[tokio::test]
async fn listings_are_told_without_the_prefix() {
    let body = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>\
        <Contents><Key>p/</Key><Size>0</Size></Contents>\
        <Contents><Key>p/b</Key><Size>3</Size><ETag>\"e\"</ETag><StorageClass>STANDARD_IA</StorageClass></Contents>\
        <Contents><Key>q</Key><Size>1</Size></Contents>\
        <CommonPrefixes><Prefix>p/a/</Prefix></CommonPrefixes></ListBucketResult>";
    let text =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let text: &'static str = Box::leak(text.into_boxed_str());
    let (upstream, seen) = answering(text).await;
    let query = UpstreamQuery {
        delimiter: Some("/".into()),
        after: Some("a".into()),
        limit: 5,
        ..UpstreamQuery::default()
    };
    let page = upstream.list(&query).await.unwrap();
    let keys: Vec<_> = page.lines.iter().map(|line| line.key().to_owned()).collect();
    assert_eq!((keys, page.next.as_deref()), (vec!["a/".to_owned(), "b".to_owned()], Some("t")));
    let seen = seen.lock().unwrap();
    assert!(seen[0].contains("prefix=p%2F") && seen[0].contains("start-after=p%2Fa"), "{}", seen[0]);
}
