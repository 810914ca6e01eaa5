//! The heads of requests and answers, byte by byte: how names are spelt, and how much a head may hold.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Place, Server};

/// Sends a request without a body, on a connection that ends with it, and reads all that comes.
async fn raw(url: &str, head: &str) -> (Vec<String>, String) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer before it has read everything.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).await;
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    let received = String::from_utf8_lossy(&received).into_owned();
    let (head, body) = received.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {received}"));
    (head.split("\r\n").map(str::to_owned).collect(), body.to_owned())
}

/// The names of an answer's headers, as they are spelt.
fn names(lines: &[String]) -> Vec<&str> {
    lines[1..].iter().map(|line| line.split_once(": ").unwrap().0).collect()
}

async fn with_an_object(place: &Place) -> Server {
    let server = place.serve(&[]);
    let s3 = server.s3();
    s3.create_bucket().bucket("demo").send().await.unwrap();
    let put = s3.put_object().bucket("demo").key("k").metadata("Owner", "me").content_type("text/plain");
    put.cache_control("no-cache").body(b"body".to_vec().into()).send().await.unwrap();
    server
}

/// htslib and the AWS SDK for Java 1.7 look for `ETag` and `Content-Length` in just these letters.
#[tokio::test]
async fn names_are_spelt_as_s3_spells_them() {
    let place = Place::new();
    let server = with_an_object(&place).await;
    let presigned = |key: &str| {
        let (s3, key) = (server.s3(), key.to_owned());
        async move {
            let week =
                aws_sdk_s3::presigning::PresigningConfig::expires_in(std::time::Duration::from_secs(60));
            let request = s3.get_object().bucket("demo").key(key).presigned(week.unwrap()).await.unwrap();
            let (_, target) = request.uri().split_once("//").unwrap();
            let (host, target) = target.split_once('/').unwrap();
            (host.to_owned(), format!("/{target}"))
        }
    };
    let (host, target) = presigned("k").await;
    for (version, ends) in [("1.1", true), ("1.0", false)] {
        let close = if ends { "Connection: close\r\n" } else { "" };
        let request = format!("GET {target} HTTP/{version}\r\nHost: {host}\r\n{close}Range: bytes=1-2\r\n");
        let (lines, body) = raw(&server.s3, &request).await;
        assert_eq!(lines[0], format!("HTTP/{version} 206 Partial Content"));
        assert_eq!(body, "od");
        let names = names(&lines);
        for name in [
            "ETag",
            "Content-Length",
            "Last-Modified",
            "Content-Type",
            "Cache-Control",
            "Accept-Ranges",
            "Content-Range",
            "Date",
            "x-amz-request-id",
            "x-amz-id-2",
            "x-amz-meta-owner",
        ] {
            assert!(names.contains(&name), "{name}: {lines:?}");
        }
        assert_eq!(names.contains(&"Connection"), ends, "{lines:?}");
        let lower: Vec<_> = names.iter().filter(|name| name.starts_with(char::is_lowercase)).collect();
        assert!(lower.iter().all(|name| name.starts_with("x-")), "{lower:?}");
    }
    // Errors too, with a body whose length is known or not.
    let (host, missing) = presigned("none").await;
    let request = format!("GET {missing} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    let (lines, _) = raw(&server.s3, &request).await;
    assert!(lines[0].contains("404") && names(&lines).contains(&"Content-Type"), "{lines:?}");
    let framed = ["Content-Length", "Transfer-Encoding"];
    assert!(names(&lines).iter().any(|name| framed.contains(name)), "{lines:?}");

    let request =
        "GET /v1/objects/by-key/demo/default/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let (lines, body) = raw(&server.native, request).await;
    assert_eq!(body, "body");
    for name in
        ["ETag", "Content-Length", "Last-Modified", "Content-Type", "Accept-Ranges", "Date", "Connection"]
    {
        assert!(names(&lines).contains(&name), "{name}: {lines:?}");
    }
    server.stop();
}

/// 2 KB of metadata may be hundreds of entries.
#[tokio::test]
async fn many_headers_are_taken_and_too_many_answered_in_the_fronts_words() {
    let place = Place::new();
    let server = with_an_object(&place).await;
    let s3 = server.s3();
    let mut put = s3.put_object().bucket("demo").key("many").body(b"x".to_vec().into());
    for n in 0..200 {
        put = put.metadata(format!("m{n}"), "v");
    }
    put.send().await.unwrap();
    // The SDK's own client takes no more than a hundred headers of an answer.
    let request =
        "GET /v1/objects/by-key/demo/default/many HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let (answered, _) = raw(&server.native, request).await;
    let entries = answered.iter().filter(|line| line.to_ascii_lowercase().starts_with("x-meta-m"));
    assert_eq!(entries.count(), 200, "{answered:?}");

    let lines = |count: usize, value: &str| -> String {
        (0..count).flat_map(|n| [format!("x-amz-meta-{n}: "), value.to_owned(), "\r\n".to_owned()]).collect()
    };
    let long = "v".repeat(400);
    for (headers, what) in [
        (lines(1_200, ""), "1200 lines"),
        (lines(1_400, ""), "1400 lines"),
        (lines(100, &long), "40 KiB in 100 lines"),
        (format!("x-long: {}\r\n", "v".repeat(50 << 10)), "one line of 50 KiB"),
    ] {
        let request = format!("GET /demo/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
        let (lines, body) = raw(&server.s3, &request).await;
        assert_eq!(lines[0], "HTTP/1.1 400 Bad Request", "{what}");
        assert!(body.contains("<Code>RequestHeaderSectionTooLarge</Code>"), "{what}: {body}");
        let id = lines.iter().find_map(|line| line.strip_prefix("x-amz-request-id: ")).unwrap();
        assert!(body.contains(&format!("<RequestId>{id}</RequestId>")), "{what}: {body}");
        let (lines, body) = raw(&server.native, &request).await;
        assert_eq!(lines[0], "HTTP/1.1 431 Request Header Fields Too Large", "{what}");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["code"], "headers_too_large", "{what}");
    }
    server.stop();
    // A page that may call the API reads this answer, too, although no router gave it.
    let server = place.serve(&["--cors-origins", "https://app.example.com"]);
    for (origin, allowed) in [("https://app.example.com", true), ("https://other.example.com", false)] {
        let long = lines(1_200, "");
        let request = format!(
            "GET /v1/objects HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nConnection: close\r\n{long}"
        );
        let (lines, _) = raw(&server.native, &request).await;
        assert_eq!(lines[0], "HTTP/1.1 431 Request Header Fields Too Large");
        let named = lines
            .iter()
            .any(|line| line.eq_ignore_ascii_case(&format!("access-control-allow-origin: {origin}")));
        assert_eq!(named, allowed, "{lines:?}");
    }
    server.stop();
}

/// What answers and pasted lines call the store is what the operator says.
#[tokio::test]
async fn the_public_url_is_named() {
    let place = Place::new();
    let server = place.serve(&["--s3-public-url", "https://store.test/"]);
    let printed = server.printed.join("\n");
    let s3 = server.s3();
    s3.create_bucket().bucket("demo").send().await.unwrap();
    let upload = s3.create_multipart_upload().bucket("demo").key("a b").send().await.unwrap();
    let upload = upload.upload_id().unwrap();
    let part = s3.upload_part().bucket("demo").key("a b").upload_id(upload).part_number(1);
    let part = part.body(b"x".to_vec().into()).send().await.unwrap();
    let part = aws_sdk_s3::types::CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part).build();
    let done = s3.complete_multipart_upload().bucket("demo").key("a b").upload_id(upload);
    let done = done.multipart_upload(parts).send().await.unwrap();
    assert_eq!(done.location(), Some("https://store.test/demo/a%20b"));
    assert!(
        !printed.contains("s3 https://store.test"),
        "the line for programs says where it listens: {printed}"
    );
    let place = Place::new();
    for wrong in ["store.test", "ftp://store.test", "https://store.test?x=1", "https://me@store.test"] {
        let refused = place.run(&["--s3-public-url", wrong, "key", "list"]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
    }
    server.stop();
}
