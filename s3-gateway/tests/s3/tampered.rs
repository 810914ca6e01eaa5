//! Signatures that were right once: every part of a request that version 4 covers is changed in turn, and no
//! request that was changed is carried out.

mod signer;

use std::time::SystemTime;

use signer::{EMPTY, Request, Signer, hash};

use crate::server::{Client, Server};

fn flip(text: &str, at: usize) -> String {
    let mut bytes = text.to_owned().into_bytes();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).unwrap()
}

async fn bucket() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.tenant("acme", "read,write,delete").await;
    client.put("/sealed", b"").await.ok();
    client.put("/sealed/k", b"untouched").await.ok();
    (server, client)
}

fn put(server: &Server, body: &[u8]) -> Request {
    Request {
        method: "PUT".into(),
        path: "/sealed/k".into(),
        query: Vec::new(),
        headers: vec![
            ("host".into(), server.address.to_string()),
            ("content-type".into(), "text/plain".into()),
            ("x-amz-meta-owner".into(), "me".into()),
        ],
        body: body.to_vec(),
    }
}

/// That every one is refused, and changed nothing; and that the request they were made of is carried out.
async fn refused(server: &Server, client: &Client, good: Request, corpus: Vec<(String, Request)>) {
    for (what, request) in corpus {
        let answer = request.send(server).await;
        assert!(matches!(answer.status, 400..=499 | 501), "{what}: {} {}", answer.status, answer.text());
        let kept = client.get("/sealed/k").await.ok();
        assert_eq!(kept.text(), "untouched", "{what} was carried out");
        assert_eq!(client.get("/sealed").await.ok().all("Key"), ["k"], "{what} was carried out");
    }
    good.send(server).await.ok();
    assert_ne!(client.get("/sealed/k").await.text(), "untouched", "the request itself is good");
}

#[tokio::test]
async fn a_changed_header_signature_opens_nothing() {
    let (server, client) = bucket().await;
    let body = b"new content";
    let signer = Signer::new(&client, SystemTime::now());
    let good = signer.header(put(&server, body), &hash(body));
    let mut corpus = Vec::new();
    let mut change = |what: &str, change: &dyn Fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        corpus.push((what.to_owned(), request));
    };
    change("method", &|r| r.method = "DELETE".into());
    change("path", &|r| r.path = "/sealed/other".into());
    change("path's case", &|r| r.path = "/sealed/K".into());
    change("query", &|r| r.query.push(("versionId".into(), "null".into())));
    change("tagging", &|r| r.query.push(("tagging".into(), String::new())));
    change("host", &|r| r.set("host", "elsewhere"));
    change("signed header", &|r| r.set("x-amz-meta-owner", "you"));
    change("content type", &|r| r.set("content-type", "text/html"));
    change("body", &|r| r.body = b"other bytes".to_vec());
    change("longer body", &|r| r.body.push(b'x'));
    change("shorter body", &|r| r.body.truncate(r.body.len() - 1));
    change("declared hash", &|r| r.set("x-amz-content-sha256", EMPTY));
    change("hash and body", &|r| {
        r.body = b"forged".to_vec();
        r.set("x-amz-content-sha256", hash(b"forged"));
    });
    change("unsigned payload", &|r| r.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"));
    change("streaming", &|r| r.set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"));
    change("copy source", &|r| r.set("x-amz-copy-source", "/sealed/k"));
    change("date", &|r| r.set("x-amz-date", flip(r.header("x-amz-date"), 14)));
    change("no date", &|r| r.headers.retain(|(name, _)| name != "x-amz-date"));
    change("no hash", &|r| r.headers.retain(|(name, _)| name != "x-amz-content-sha256"));
    change("no authorization", &|r| r.headers.retain(|(name, _)| name != "authorization"));
    for (from, to) in [
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA1 "),
        ("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 "),
        ("AWS4-HMAC-SHA256 ", "none "),
        ("AWS4-HMAC-SHA256 ", ""),
        ("Credential=", "Credential=x"),
        ("/us-east-1/", "/us-west-2/"),
        ("/us-east-1/", "/"),
        ("/s3/", "/sts/"),
        ("/s3/", "/S3/"),
        ("aws4_request", "aws4_reques"),
        ("SignedHeaders=", "SignedHeaders=x-amz-meta-a;"),
        ("content-type;", ""),
        ("host;", ""),
        (";x-amz-date", ""),
        (";x-amz-content-sha256", ""),
        (";x-amz-meta-owner", ""),
        ("Signature=", "Signature="),
        ("Signature=", "Signature=0"),
        (", Signature=", ", Signature"),
        (", SignedHeaders=", ", SignedHeader="),
    ] {
        if from != to {
            change(&format!("{from} for {to}"), &|r| r.replace("authorization", from, to));
        }
    }
    let date = signer.date[..8].to_owned();
    change("scope's date", &|r| r.replace("authorization", &date, "20200101"));
    change("two authorizations", &|r| {
        r.headers.push(("authorization".into(), r.header("authorization").into()));
    });
    let signature = good.header("authorization").rsplit('=').next().unwrap().to_owned();
    for at in 0..signature.len() {
        change("signature", &|r| r.replace("authorization", &signature, &flip(&signature, at)));
    }
    for forged in
        ["", "0", &signature[..63], &signature.to_uppercase(), &"f".repeat(64), &"\u{e9}".repeat(32)]
    {
        if forged != signature {
            change("signature", &|r| r.replace("authorization", &signature, forged));
        }
    }
    // Signed rightly, at the wrong time or with somebody's wrong secret.
    for minutes in [16, 60 * 24 * 365] {
        let span = std::time::Duration::from_secs(minutes * 60);
        for at in [SystemTime::now() - span, SystemTime::now() + span] {
            let late = Signer::new(&client, at).header(put(&server, body), &hash(body));
            corpus.push((format!("{minutes} minutes off"), late));
        }
    }
    let wrong = Client { secret_key: "wrong".into(), ..client.clone() };
    let forged = Signer::new(&wrong, SystemTime::now()).header(put(&server, body), &hash(body));
    corpus.push(("another secret".into(), forged));
    refused(&server, &client, good, corpus).await;
}

#[tokio::test]
async fn a_changed_presigned_url_opens_nothing() {
    let (server, client) = bucket().await;
    let signer = Signer::new(&client, SystemTime::now());
    let mut plain = put(&server, b"new content");
    plain.headers.truncate(1);
    let good = signer.query(plain.clone(), "600");
    let mut corpus = Vec::new();
    let mut change = |what: &str, change: &dyn Fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        corpus.push((what.to_owned(), request));
    };
    change("method", &|r| r.method = "DELETE".into());
    change("path", &|r| r.path = "/sealed/other".into());
    change("host", &|r| r.set("host", "elsewhere"));
    change("parameter", &|r| r.query.push(("x-id".into(), "PutObject".into())));
    change("metadata", &|r| r.query.push(("x-amz-meta-a".into(), "b".into())));
    change("copy source", &|r| r.set("x-amz-copy-source", "/sealed/k"));
    for (at, (name, value)) in good.query.iter().enumerate() {
        let longer = format!("{value}0");
        change(&format!("longer {name}"), &|r| r.query[at].1.clone_from(&longer));
        change(&format!("no {name}"), &|r| {
            r.query.remove(at);
        });
        change(&format!("empty {name}"), &|r| r.query[at].1.clear());
        change(&format!("two of {name}"), &|r| r.query.push((name.clone(), value.clone())));
    }
    let signature = good.query.len() - 1;
    for at in 0..64 {
        change("signature", &|r| r.query[signature].1 = flip(&r.query[signature].1, at));
    }
    // Signed rightly, but for too long, for no time, or long ago.
    for expires in ["0", "-1", "604801", "99999999999999999999", "x"] {
        corpus.push((format!("expires {expires}"), signer.query(plain.clone(), expires)));
    }
    let earlier = SystemTime::now() - std::time::Duration::from_secs(700);
    corpus.push(("expired".into(), Signer::new(&client, earlier).query(plain.clone(), "600")));
    let later = SystemTime::now() + std::time::Duration::from_secs(3600);
    corpus.push(("from the future".into(), Signer::new(&client, later).query(plain, "600")));
    refused(&server, &client, good, corpus).await;
}

#[tokio::test]
async fn a_changed_chunk_opens_nothing() {
    let (server, client) = bucket().await;
    let signer = Signer::new(&client, SystemTime::now());
    // All chunks but the last have at least 8 KiB.
    let (first, second) = (vec![b'a'; 8192], vec![b'b'; 8192]);
    let good = signer.chunked(put(&server, b""), &[&first, &second, b"end"], None);
    let mut corpus: Vec<(String, Request)> = Vec::new();
    for at in 0..4 {
        for place in [0, 31, 63] {
            corpus.push((
                "chunk signature".into(),
                good.changed(|c| c.chunks[at].1 = flip(&c.chunks[at].1, place)),
            ));
        }
        corpus.push(("no chunk signature".into(), good.changed(|c| c.chunks[at].1.clear())));
    }
    for at in 0..3 {
        corpus.push(("chunk's bytes".into(), good.changed(|c| c.chunks[at].2[0] ^= 1)));
        corpus.push(("longer chunk".into(), good.changed(|c| c.chunks[at].0 += 1)));
        corpus.push(("shorter chunk".into(), good.changed(|c| c.chunks[at].0 -= 1)));
        corpus.push(("chunk left out".into(), good.changed(|c| drop(c.chunks.remove(at)))));
        corpus.push(("chunk twice".into(), good.changed(|c| c.chunks.insert(at, c.chunks[at].clone()))));
        corpus.push(("huge chunk".into(), good.changed(|c| c.chunks[at].0 = usize::MAX)));
    }
    corpus.push(("chunks in another order".into(), good.changed(|c| c.chunks.swap(0, 1))));
    corpus.push(("last chunk first".into(), good.changed(|c| c.chunks.swap(0, 3))));
    corpus.push((
        "longer declared".into(),
        good.changed(|c| c.request.set("x-amz-decoded-content-length", "16388")),
    ));
    let other = signer.chunked(put(&server, b""), &[&second, &first, b"end"], None);
    corpus.push(("another request's chunk".into(), good.changed(|c| c.chunks[2] = other.chunks[2].clone())));
    corpus.push((
        "unsigned chunks".into(),
        good.changed(|c| {
            c.request.set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        }),
    ));
    let mut cut = good.request();
    cut.body.truncate(9000);
    corpus.push(("body cut off".into(), cut));
    // Every byte has come, but not the chunk that ends the body.
    corpus.push(("no last chunk".into(), good.changed(|c| drop(c.chunks.pop()))));
    refused(&server, &client, good.request(), corpus).await;
}

#[tokio::test]
async fn a_changed_trailer_opens_nothing() {
    let (server, client) = bucket().await;
    let signer = Signer::new(&client, SystemTime::now());
    // CRC-32 of "123456789" (the check value of its catalogue), in base64.
    let trailer = Some(("x-amz-checksum-crc32", "y/Q5Jg=="));
    let good = signer.chunked(put(&server, b""), &[b"123456789"], trailer);
    let mut corpus: Vec<(String, Request)> = Vec::new();
    let mut change = |what: &str, change: &dyn Fn(&mut (String, String, String))| {
        corpus.push((what.to_owned(), good.changed(|c| change(c.trailer.as_mut().unwrap()))));
    };
    change("value", &|t| t.1 = "y/Q5Jw==".into());
    change("empty value", &|t| t.1.clear());
    change("name", &|t| t.0 = "x-amz-checksum-crc32c".into());
    change("no signature", &|t| t.2.clear());
    for at in [0, 31, 63] {
        change("signature", &|t| t.2 = flip(&t.2, at));
    }
    corpus.push(("no trailer".into(), good.changed(|c| c.trailer = None)));
    corpus.push(("chunk signature".into(), good.changed(|c| c.chunks[0].1 = flip(&c.chunks[0].1, 5))));
    corpus.push((
        "announced otherwise".into(),
        good.changed(|c| c.request.set("x-amz-trailer", "x-amz-checksum-sha1")),
    ));
    // Signed rightly, over a value that is not the body's.
    let wrong =
        signer.chunked(put(&server, b""), &[b"123456789"], Some(("x-amz-checksum-crc32", "AAAAAA==")));
    corpus.push(("a wrong checksum".into(), wrong.request()));
    refused(&server, &client, good.request(), corpus).await;
}

/// A body in chunks is whole with its last chunk, which is empty: cut off anywhere before, it is not, though every
/// byte of the content may have come.
#[tokio::test]
async fn chunks_without_an_end_are_incomplete() {
    let (server, client) = bucket().await;
    let signer = Signer::new(&client, SystemTime::now());
    let content = b"123456789";
    let trailer = ("x-amz-checksum-crc32", "y/Q5Jg==");
    let mut unsigned = put(&server, b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n");
    unsigned.set("content-encoding", "aws-chunked");
    unsigned.set("x-amz-decoded-content-length", "9");
    unsigned.set("x-amz-trailer", trailer.0);
    let streams = [
        signer.chunked(put(&server, b""), &[content], None).request(),
        signer.chunked(put(&server, b""), &[content], Some(trailer)).request(),
        signer.header(unsigned, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ];
    for good in streams {
        let mode = good.header("x-amz-content-sha256").to_owned();
        let begins = good.body.windows(content.len()).position(|part| part == content).unwrap();
        let line = good.body[begins..].windows(4).position(|part| part == b"\r\n0;" || part == b"\r\n0\r");
        let line = begins + line.unwrap() + 2;
        let ends = line + good.body[line..].iter().position(|byte| *byte == b'\n').unwrap();
        for cut in begins..=ends {
            let request = Request { body: good.body[..cut].to_vec(), ..good.clone() };
            let answer = request.send(&server).await;
            assert_eq!(answer.error(), (400, "IncompleteBody".into()), "{mode}, {} behind", cut - begins);
        }
        assert_eq!(client.get("/sealed/k").await.ok().text(), "untouched", "{mode}");
        good.send(&server).await.ok();
        assert_eq!(client.get("/sealed/k").await.ok().body, content, "{mode}");
        client.put("/sealed/k", b"untouched").await.ok();
    }
}

/// A client that signs `Date` and sends no `x-amz-date` is held to the clock by that.
#[tokio::test]
async fn a_signed_date_is_held_to_the_clock() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/dated", b"").await.ok();
    let send = async |at: SystemTime| {
        let signer = Signer::new(&s3, at);
        let mut request = Request {
            method: "GET".into(),
            path: "/dated".into(),
            query: Vec::new(),
            headers: vec![
                ("date".into(), httpdate::fmt_http_date(at)),
                ("host".into(), server.address.to_string()),
                ("x-amz-content-sha256".into(), EMPTY.into()),
            ],
            body: Vec::new(),
        };
        signer.authorize(&mut request, &["date", "host", "x-amz-content-sha256"], EMPTY);
        request.send(&server).await
    };
    let (now, minute) = (SystemTime::now(), std::time::Duration::from_secs(60));
    for near in [now, now - 14 * minute, now + 14 * minute] {
        let answer = send(near).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for far in [now - 16 * minute, now + 16 * minute] {
        assert_eq!(send(far).await.error(), (403, "RequestTimeTooSkewed".into()));
    }
}
