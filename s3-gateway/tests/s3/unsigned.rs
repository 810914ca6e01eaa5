//! Bodies of unsigned requests, and of those that version 2 signs: what is stored is what was sent, or nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::server::{Answer, Client, Options, Server, unsigned_with};

const CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const FRAMED: &str = "3\r\nabc\r\n2\r\n\r\n\r\n0\r\n\r\n";
/// With the CRC-32 of `abc`.
const WITH_TRAILER: &str = "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n";

async fn open() -> (Server, Client) {
    let server = Server::start_with(Options { acls: true, sigv2: true, ..Options::default() }).await;
    let s3 = server.root();
    s3.call("PUT", "/open").header("x-amz-acl", "public-read-write").send().await.ok();
    (server, s3)
}

const ANONYMOUS: &str = "/open/anonymous";
const VERSION_2: &str = "/open/version-2";

/// What lies under both keys.
async fn stored(s3: &Client) -> [Answer; 2] {
    [s3.get(ANONYMOUS).await.ok(), s3.get(VERSION_2).await.ok()]
}

async fn keep(s3: &Client) {
    for key in [ANONYMOUS, VERSION_2] {
        s3.put(key, b"kept").await.ok();
    }
}

async fn are_kept(s3: &Client) {
    assert_eq!(stored(s3).await.map(|answer| answer.text()), ["kept", "kept"]);
}

/// Anonymous uploads, and those signed by version 2.
async fn both(s3: &Client, headers: &[(&str, &str)], body: &str) -> [Answer; 2] {
    let anonymous = unsigned_with(s3.address, "PUT", ANONYMOUS, headers, body).await;
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let mut amz: Vec<_> = headers.iter().filter(|(name, _)| name.starts_with("x-amz-")).collect();
    amz.sort_unstable();
    let amz: String = amz.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(s3.secret_key.as_bytes()).unwrap();
    mac.update(format!("PUT\n\n\n{date}\n{amz}{VERSION_2}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let authorization = format!("AWS {}:{signature}", s3.access_key);
    let mut headers = headers.to_vec();
    headers.extend([("date", date.as_str()), ("authorization", authorization.as_str())]);
    [anonymous, unsigned_with(s3.address, "PUT", VERSION_2, &headers, body).await]
}

#[tokio::test]
async fn a_digest_that_nobody_signed_is_compared_all_the_same() {
    let (_server, s3) = open().await;
    let digest = |body: &str| hex::encode(Sha256::digest(body.as_bytes()));
    for body in ["abc", ""] {
        let whole = digest(body);
        for said in [whole.as_str(), "UNSIGNED-PAYLOAD"] {
            let answers = both(&s3, &[("x-amz-content-sha256", said)], body).await;
            assert_eq!(answers.map(|answer| answer.status), [200, 200], "{said}");
            assert_eq!(stored(&s3).await.map(|answer| answer.text()), [body, body], "{said}");
            keep(&s3).await;
        }
        for said in [digest("another").as_str(), "incorrect_hash", "00"] {
            for answer in both(&s3, &[("x-amz-content-sha256", said)], body).await {
                assert_eq!(answer.error(), (400, "XAmzContentSHA256Mismatch".into()), "{body:?} {said}");
                assert_eq!(answer.xml("ClientComputedContentSHA256").as_deref(), Some(said));
                assert_eq!(answer.xml("S3ComputedContentSHA256").as_deref(), Some(whole.as_str()));
            }
        }
        are_kept(&s3).await;
    }
    let deletion = "<Delete><Object><Key>anonymous</Key></Object></Delete>";
    let md5 = STANDARD.encode(<md5::Md5 as md5::Digest>::digest(deletion));
    let headers = [("x-amz-content-sha256", "incorrect_hash"), ("content-md5", md5.as_str())];
    let refused = unsigned_with(s3.address, "POST", "/open?delete", &headers, deletion).await;
    assert_eq!(refused.error(), (400, "XAmzContentSHA256Mismatch".into()), "a document");
    are_kept(&s3).await;
}

/// boto3 without credentials sends over TLS what the last case has: only its encoding announces the chunks.
#[tokio::test]
async fn chunks_that_nobody_signed_lose_their_framing() {
    let (_server, s3) = open().await;
    let id = s3.call("POST", "/open/u?uploads").send().await.ok().xml("UploadId").unwrap();
    let part = format!("/open/u?partNumber=1&uploadId={id}");
    let sha256 = ("x-amz-content-sha256", CHUNKS);
    let encoding = ("content-encoding", "aws-chunked");
    let trailer = ("x-amz-trailer", "x-amz-checksum-crc32");
    for (headers, framed, length, bytes) in [
        (vec![sha256, encoding], FRAMED, "5", "abc\r\n"),
        (vec![sha256], FRAMED, "5", "abc\r\n"),
        (vec![sha256, encoding, trailer], WITH_TRAILER, "3", "abc"),
        (vec![encoding], FRAMED, "5", "abc\r\n"),
        (vec![encoding, trailer], WITH_TRAILER, "3", "abc"),
    ] {
        let decoded = ("x-amz-decoded-content-length", length);
        let said = [headers.as_slice(), &[decoded]].concat();
        let answers = both(&s3, &said, framed).await;
        assert_eq!(answers.map(|answer| answer.status), [200, 200], "{headers:?}");
        for read in stored(&s3).await {
            assert_eq!((read.text().as_str(), read.header("content-encoding")), (bytes, None), "{headers:?}");
        }
        keep(&s3).await;
        let taken = unsigned_with(s3.address, "PUT", &part, &said, framed).await.ok();
        let etag = format!("\"{}\"", hex::encode(<md5::Md5 as md5::Digest>::digest(bytes)));
        assert_eq!(taken.header("etag"), Some(etag.as_str()), "{headers:?}");
        let wrong = framed.replace("NSRBwg==", "NSRBwQ==").replace("0\r\n\r\n", "");
        let longer = ("x-amz-decoded-content-length", "9");
        for (said, framed) in
            [(said.as_slice(), wrong.as_str()), (&[&headers[..], &[longer]].concat(), framed)]
        {
            for answer in both(&s3, said, framed).await {
                assert_eq!(answer.status, 400, "{headers:?} {framed:?}: {}", answer.text());
            }
        }
        are_kept(&s3).await;
        if headers.contains(&sha256) {
            for answer in both(&s3, &headers, framed).await {
                assert_eq!(answer.error(), (411, "MissingContentLength".into()), "{headers:?}");
            }
        }
    }
    let document = [sha256, ("x-amz-decoded-content-length", "3")];
    let refused = unsigned_with(s3.address, "PUT", "/open?tagging", &document, FRAMED).await;
    assert_eq!(refused.error(), (400, "InvalidRequest".into()), "a document");
}

#[tokio::test]
async fn chunks_are_not_signed_where_the_request_is_not() {
    let (_server, s3) = open().await;
    keep(&s3).await;
    for payload in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] {
        let headers = [("x-amz-content-sha256", payload), ("x-amz-decoded-content-length", "5")];
        for answer in both(&s3, &headers, FRAMED).await {
            assert_eq!(answer.error(), (400, "InvalidRequest".into()), "{payload}");
            assert!(answer.xml("Message").unwrap().starts_with("Anonymous requests don't support"));
        }
    }
    are_kept(&s3).await;
}
