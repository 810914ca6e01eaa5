//! What a request says of its signature: errors as AWS gives them, any region, and what proxies take away.

use std::time::SystemTime;

use aws_sigv4::http_request::SignableBody;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::server::{Answer, Client, Server, raw};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A signed `GET` of `target` as lines, whose headers a test changes.
fn signed(s3: &Client, target: &str, headers: &[(&str, &str)]) -> Vec<(String, String)> {
    signed_for(s3, &s3.address.to_string(), target, headers)
}

/// As [`signed`], by a client that signs `host` and sends the address.
fn signed_for(s3: &Client, host: &str, target: &str, headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let url = format!("http://{host}{target}");
    let mut request = http::Request::get(&url).body(()).unwrap();
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    s3.sign(&mut request, &headers, SignableBody::Bytes(b""), Client::settings(), SystemTime::now());
    let made =
        request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
    [("host".to_owned(), s3.address.to_string())].into_iter().chain(made).collect()
}

async fn send(s3: &Client, method: &str, target: &str, headers: &[(String, String)]) -> Answer {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n{lines}\r\n");
    raw(s3.address, request.as_bytes(), false).await
}

#[tokio::test]
async fn errors_of_the_authorization_header_are_those_of_aws() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/auth", b"").await.ok();
    let good = signed(&s3, "/auth", &[]);
    assert_eq!(send(&s3, "GET", "/auth", &good).await.status, 200);
    let authorization = &good.iter().find(|(name, _)| name == "authorization").unwrap().1;
    let changed = async |name: &str, value: Option<&str>| {
        let mut headers = good.clone();
        headers.retain(|(other, _)| other != name);
        headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        send(&s3, "GET", "/auth", &headers).await
    };
    let malformed = (400, "AuthorizationHeaderMalformed".to_owned());
    for (from, to, error) in [
        ("Credential=", "Credentials=", malformed.clone()),
        ("SignedHeaders=", "Signed=", malformed.clone()),
        (", Signature=", ", Sig=", malformed.clone()),
        ("/s3/", "/ec2/", malformed.clone()),
        ("aws4_request", "aws5_request", malformed.clone()),
        ("/eu-north-7/", "/", malformed.clone()),
        ("/eu-north-7/", "/eu north/", malformed.clone()),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA1 ", (400, "InvalidRequest".into())),
        ("AWS4-HMAC-SHA256 ", "Basic ", (400, "InvalidArgument".into())),
        ("Signature=", "Signature=0", (403, "SignatureDoesNotMatch".into())),
    ] {
        let text = authorization.replace(from, to);
        let answer = changed("authorization", Some(&text)).await;
        assert_eq!(answer.error(), error, "{from} -> {to}");
        // The region that would be right is told where the region is wrong, and only there.
        let region = (to == "/eu north/").then(|| "us-east-1".to_owned());
        assert_eq!(answer.xml("Region"), region, "{from} -> {to}");
    }
    for date in [None, Some("yesterday"), Some("20261301T000000Z")] {
        let answer = changed("x-amz-date", date).await;
        assert_eq!(answer.error(), (403, "AccessDenied".into()), "{date:?}");
        assert!(answer.xml("Message").unwrap().contains("valid Date"), "{}", answer.text());
    }
    let other_day = changed("x-amz-date", Some("20200101T000000Z")).await;
    assert_eq!(other_day.error(), malformed);
    let hash = changed("x-amz-content-sha256", Some("nonsense")).await;
    assert_eq!(hash.error(), (400, "InvalidArgument".into()));
    assert_eq!(hash.xml("ArgumentName"), Some("x-amz-content-sha256".into()));
    assert_eq!(changed("x-amz-content-sha256", None).await.error(), (400, "InvalidRequest".into()));
    // The fields may come in any order.
    let fields: Vec<_> = authorization.strip_prefix("AWS4-HMAC-SHA256 ").unwrap().split(", ").collect();
    let turned = format!("AWS4-HMAC-SHA256 {},{},{}", fields[2], fields[0], fields[1]);
    assert_eq!(changed("authorization", Some(&turned)).await.status, 200);
}

#[tokio::test]
async fn errors_of_presigned_urls_are_those_of_aws() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/auth", b"").await.ok();
    let url = s3.presign("GET", "/auth?list-type=2");
    let host = vec![("host".to_owned(), s3.address.to_string())];
    assert_eq!(send(&s3, "GET", &url, &host).await.status, 200);
    let error = (400, "AuthorizationQueryParametersError".to_owned());
    for key in [
        "X-Amz-Signature",
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
    ] {
        let (path, query) = url.split_once('?').unwrap();
        let rest: Vec<_> = query.split('&').filter(|pair| !pair.starts_with(key)).collect();
        let answer = send(&s3, "GET", &format!("{path}?{}", rest.join("&")), &host).await;
        assert_eq!(answer.error(), error, "without {key}");
    }
    for (from, to) in [
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("%2Fs3%2F", "%2Fsts%2F"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1"),
    ] {
        assert_eq!(send(&s3, "GET", &url.replace(from, to), &host).await.error(), error, "{to}");
    }
    // Two ways at once.
    let header = signed(&s3, "/auth", &[]);
    let both = send(&s3, "GET", &url, &header).await;
    assert_eq!(both.error(), (400, "InvalidArgument".into()));
    assert!(both.xml("Message").unwrap().starts_with("Only one auth mechanism"), "{}", both.text());
}

/// s3s reads XML before an operation runs; a body that is not what was signed is the client's fault there too.
#[tokio::test]
async fn xml_that_is_not_what_was_signed_is_refused() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/xml", b"").await.ok();
    let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    for (method, target) in
        [("PUT", "/xml?versioning"), ("PUT", "/xml?tagging"), ("POST", "/xml?delete"), ("PUT", "/new")]
    {
        let call = s3.call(method, target).header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==").body(body);
        let wrong = call.instead(body.replace("Enabled", "Suspend")).send().await;
        assert_eq!(wrong.error(), (400, "XAmzContentSHA256Mismatch".into()), "{method} {target}");
    }
    assert!(!s3.get("/xml?versioning").await.ok().text().contains("Status"));
    assert_eq!(s3.get("/new").await.status, 404);
}

/// Any text without a slash is verified as it was signed.
#[tokio::test]
async fn any_region_may_be_signed_for() {
    let server = Server::start().await;
    for region in ["RegionOne", "EU", "us_east_1", "s3.example.test", "us-east-1"] {
        let s3 = Client { region, ..server.root() };
        let bucket = format!("/for-{}", region.to_lowercase().replace('_', "-"));
        s3.put(&bucket, b"").await.ok();
        s3.call("PUT", format!("{bucket}/a%20b?x-id=PutObject")).body("body").send().await.ok();
        assert_eq!(s3.get(&format!("{bucket}/a%20b")).await.ok().text(), "body", "{region}");
        let url = s3.presign("GET", &format!("{bucket}/a%20b?response-content-type=a%2Fb"));
        let get = s3.call("GET", &url).send().await.ok();
        assert_eq!((get.text().as_str(), get.header("content-type")), ("body", Some("a/b")), "{region}");
        let sum = "x-amz-checksum-sha1";
        let put = s3.call("PUT", format!("{bucket}/t")).body("");
        put.chunked(sum, &format!("{sum}:2jmj7l5rSw0yVb/vlWAYkK/YBwk=\r\n")).send().await.ok();
        let moved = url.replace("a%20b?", "other?");
        assert_eq!(
            s3.call("GET", moved).send().await.error(),
            (403, "SignatureDoesNotMatch".into()),
            "{region}"
        );
        let wrong = Client { secret_key: "wrong".into(), ..s3.clone() };
        assert_eq!(wrong.get(&bucket).await.error(), (403, "SignatureDoesNotMatch".into()), "{region}");
        let added =
            s3.call("PUT", format!("{bucket}/c")).unsigned_header("x-amz-copy-source", "a/b").send().await;
        assert_eq!(added.error(), (403, "AccessDenied".into()), "{region}");
    }
}

/// git-annex signs the host without its port, and as the region. Another host is another request.
#[tokio::test]
async fn a_host_may_be_signed_without_its_port() {
    let server = Server::start().await;
    server.root().put("/annex", b"").await.ok();
    let s3 = Client { region: "127.0.0.1", ..server.root() };
    for (host, status) in [("127.0.0.1", 200), ("127.0.0.2", 403), ("127.0.0.1:1", 403)] {
        let headers = signed_for(&s3, host, "/annex", &[]);
        assert_eq!(send(&s3, "GET", "/annex", &headers).await.status, status, "{host}");
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A put in signed chunks, as minio-go and restic send it over plain HTTP. `forge` changes a byte behind the signature.
async fn put_chunks(s3: &Client, target: &str, chunks: &[&[u8]], forge: bool) -> Answer {
    let length: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let now = time::OffsetDateTime::now_utc();
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let date = now.format(format).unwrap();
    let scope = format!("{}/{}/s3/aws4_request", &date[..8], s3.region);
    let payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let headers = [
        ("host", s3.address.to_string()),
        ("x-amz-content-sha256", payload.to_owned()),
        ("x-amz-date", date.clone()),
        ("x-amz-decoded-content-length", length.to_string()),
    ];
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let request = format!("PUT\n{target}\n\n{lines}\n{}\n{payload}", names.join(";"));
    let mut key = format!("AWS4{}", s3.secret_key).into_bytes();
    for step in scope.split('/') {
        key = mac(&key, step);
    }
    let digest = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", digest(request.as_bytes()));
    let mut previous = hex::encode(mac(&key, &to_sign));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={},Signature={previous}",
        s3.access_key,
        names.join(";")
    );
    let mut body = Vec::new();
    for chunk in chunks.iter().chain(&[&b""[..]]) {
        let to_sign =
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{EMPTY}\n{}", digest(chunk));
        previous = hex::encode(mac(&key, &to_sign));
        body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    if forge {
        body[85] ^= 1;
    }
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut bytes = format!(
        "PUT {target} HTTP/1.1\r\n{lines}authorization: {authorization}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    raw(s3.address, &bytes, false).await
}

#[tokio::test]
async fn signed_chunks_are_verified_for_any_region_and_path() {
    let server = Server::start().await;
    server.root().put("/chunks", b"").await.ok();
    let large = vec![b'x'; 70_000];
    for region in ["us-east-1", "RegionOne"] {
        let s3 = Client { region, ..server.root() };
        for target in ["/chunks/k", "/chunks/a%2Fb"] {
            put_chunks(&s3, target, &[&large[..65536], &large[65536..]], false).await.ok();
            assert_eq!(s3.get(target).await.ok().body, large, "{region} {target}");
            let forged = put_chunks(&s3, target, &[b"other", b"!"], true).await;
            assert_eq!(forged.error(), (403, "SignatureDoesNotMatch".into()), "{region} {target}");
            assert_eq!(s3.get(target).await.ok().body, large, "{region} {target}");
        }
    }
}

/// Caddy drops the length of an empty body, nginx the expectation; both may have been signed.
#[tokio::test]
async fn headers_that_proxies_strip_are_put_back() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/stripped", b"").await.ok();
    for (name, value) in [("content-length", "0"), ("expect", "100-continue")] {
        let mut headers = signed(&s3, "/stripped", &[(name, value)]);
        headers.retain(|(header, _)| header != name);
        let authorization = &headers.iter().find(|(header, _)| header == "authorization").unwrap().1;
        assert!(authorization.contains(name), "{name} is signed");
        assert_eq!(send(&s3, "GET", "/stripped", &headers).await.status, 200, "{name}");
        // Another value than the one that is put back was signed.
        let mut headers = signed(&s3, "/stripped", &[(name, "7")]);
        headers.retain(|(header, _)| header != name);
        let other = send(&s3, "GET", "/stripped", &headers).await;
        assert_eq!(other.error(), (403, "SignatureDoesNotMatch".into()), "{name}");
    }
}
