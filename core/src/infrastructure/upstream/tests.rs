//! Answers of real sockets: what each of them means.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use futures::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::answers::{Raw, failure};
use super::{ANSWER_BYTES_MAX, S3Connector};
use crate::application::ports::upstream::{
    Upstream, UpstreamConnector as _, UpstreamError, UpstreamQuery, VersionsAfter, VersionsQuery,
};
use crate::domain::address::Key;
use crate::domain::identity::StoreId;
use crate::domain::range::Span;
use crate::domain::upstream::{Addressing, MirrorSettings, Target};

/// An upstream at `endpoint`.
fn target(endpoint: String, allow_private: bool) -> Target {
    Target {
        endpoint,
        bucket: "old".into(),
        prefix: "p/".into(),
        region: "us-east-1".into(),
        addressing: Addressing::Path,
        access_key: "KEY".into(),
        allow_private,
        requests_per_second: None,
        bytes_per_second: None,
        mirror: MirrorSettings::default(),
    }
}

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
    let target = target(format!("http://127.0.0.1:{port}"), true);
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

/// Versions and delete markers come apart from each other; of a key both are told together, each kind in its order.
#[tokio::test]
async fn listings_of_versions_go_on_where_they_ended() {
    let body = "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>p/b</NextKeyMarker>\
        <NextVersionIdMarker>v1</NextVersionIdMarker>\
        <Version><Key>p/a</Key><VersionId>v2</VersionId><IsLatest>false</IsLatest><Size>2</Size><ETag>\"e\"</ETag>\
        <LastModified>2026-11-30T10:00:00.000Z</LastModified></Version>\
        <Version><Key>p/b</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>\
        <DeleteMarker><Key>p/a</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest></DeleteMarker>\
        </ListVersionsResult>";
    let text =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let text: &'static str = Box::leak(text.into_boxed_str());
    let (upstream, seen) = answering(text).await;
    let query = VersionsQuery { after: VersionsAfter::Version("a".into(), "v9".into()), limit: 5 };
    let page = upstream.list_versions(&query).await.unwrap();
    assert_eq!(page.next, VersionsAfter::Version("b".into(), "v1".into()));
    let told =
        page.lines.iter().map(|(key, listed)| (key.as_str(), listed.id.as_str(), listed.etag.as_deref()));
    let told: Vec<_> = told.collect();
    assert_eq!(told, [("a", "v2", Some("e")), ("a", "v3", None), ("b", "v1", Some(""))]);
    let (first, marker) = (&page.lines[0].1, &page.lines[1].1);
    assert_eq!((first.size, first.is_latest, marker.is_latest), (2, false, true));
    assert_eq!(first.modified.rfc3339(), "2026-11-30T10:00:00Z");
    let seen = seen.lock().unwrap();
    assert!(seen[0].contains("key-marker=p%2Fa") && seen[0].contains("version-id-marker=v9"), "{}", seen[0]);
}

/// What an answer takes in memory is not up to the upstream: neither a page of a listing nor an error. An object has any size.
#[tokio::test]
async fn an_answer_that_never_ends_is_not_read_to_its_end() {
    let long = |status: &str| -> &'static str {
        let body = "x".repeat(ANSWER_BYTES_MAX + 1);
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"abc\"\r\n", body.len());
        Box::leak(format!("{head}Connection: close\r\n\r\n{body}").into_boxed_str())
    };
    let is_too_long =
        |error: &UpstreamError| matches!(error, UpstreamError::Unusable(why) if why.contains("8388608"));
    let (upstream, _) = answering(long("200 OK")).await;
    let listed = upstream.list(&UpstreamQuery { limit: 5, ..UpstreamQuery::default() }).await.unwrap_err();
    assert!(is_too_long(&listed), "{listed:?}");
    let body = upstream.get(&key(), None, None).await.unwrap().unwrap();
    let bytes: Vec<bytes::Bytes> = body.stream.try_collect().await.unwrap();
    assert_eq!(bytes.concat().len(), ANSWER_BYTES_MAX + 1);
    let (upstream, _) = answering(long("400 Bad Request")).await;
    let refused = upstream.get(&key(), None, None).await.err().unwrap();
    assert!(is_too_long(&refused), "{refused:?}");
}

/// That an address is out of reach is told by the error itself, not by what a server or a name says.
#[tokio::test]
async fn an_address_out_of_reach_is_told_by_its_type() {
    let connector = S3Connector::new(StoreId(Uuid::from_u128(7)));
    let upstream = connector.connect(&target("http://localhost:1".into(), false), "SECRET").unwrap();
    let refused = upstream.probe().await.unwrap_err();
    assert!(
        matches!(&refused, UpstreamError::Forbidden(why) if why.contains("allow_private")),
        "{refused:?}"
    );
    let broken = ConnectorError::io("allow_private, said the server".into());
    let broken: SdkError<HeadObjectError, Raw> = SdkError::dispatch_failure(broken);
    assert!(matches!(failure(broken), UpstreamError::Away(_)));
}
