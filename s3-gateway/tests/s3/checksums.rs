use juststorage_core::domain::checksum::{ChecksumAlgorithm, ChecksumHasher};

use crate::server::Server;

fn checksum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> String {
    let mut hasher = ChecksumHasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish().value
}

#[tokio::test]
async fn every_algorithm_is_verified_stored_and_echoed() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/sums", b"").await.ok();
    for algorithm in ChecksumAlgorithm::ALL {
        let header = format!("x-amz-checksum-{}", algorithm.as_str().to_lowercase());
        let (right, wrong) = (checksum(algorithm, b"body"), checksum(algorithm, b"other"));
        let key = format!("/sums/{}", algorithm.as_str());
        let refused = s3.call("PUT", &key).header(&header, &wrong).body("body").send().await;
        assert_eq!(refused.error(), (400, "BadDigest".into()), "{algorithm:?}");
        assert_eq!(s3.get(&key).await.status, 404);
        let put = s3.call("PUT", &key).header(&header, &right).body("body").send().await.ok();
        assert_eq!(put.header(&header), Some(right.as_str()));
        let get = s3.call("GET", &key).header("x-amz-checksum-mode", "ENABLED").send().await.ok();
        assert_eq!(get.header(&header), Some(right.as_str()));
        // The same in a trailer.
        let key = format!("{key}-trailer");
        let trailer = |value: &str| format!("{header}:{value}\r\n");
        let wrong = s3.call("PUT", &key).body("body").chunked(&header, &trailer(&wrong)).send().await;
        assert_eq!(wrong.error(), (400, "BadDigest".into()), "{algorithm:?}");
        assert_eq!(s3.get(&key).await.status, 404);
        let put = s3.call("PUT", &key).body("body").chunked(&header, &trailer(&right)).send().await.ok();
        assert_eq!(put.header(&header), Some(right.as_str()));
        let get = s3.get(&key).await.ok();
        assert_eq!((get.text().as_str(), get.header("content-encoding")), ("body", None));
    }
}

#[tokio::test]
async fn an_announced_trailer_must_come() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/trailers", b"").await.ok();
    let missing = s3.call("PUT", "/trailers/k").body("body").chunked("x-amz-checksum-crc32", "").send().await;
    assert_eq!(missing.error(), (400, "MalformedTrailerError".into()));
    assert_eq!(s3.get("/trailers/k").await.status, 404);
    // Java sends the value as a header although it announced a trailer.
    let crc = checksum(ChecksumAlgorithm::Crc32, b"body");
    let header = s3
        .call("PUT", "/trailers/k")
        .header("x-amz-checksum-crc32", &crc)
        .body("body")
        .chunked("x-amz-checksum-crc32", "")
        .send()
        .await
        .ok();
    assert_eq!(header.header("x-amz-checksum-crc32"), Some(crc.as_str()));
    // An empty body, and one larger than a pack takes.
    let empty = format!("x-amz-checksum-crc32:{}\r\n", checksum(ChecksumAlgorithm::Crc32, b""));
    s3.call("PUT", "/trailers/e").chunked("x-amz-checksum-crc32", &empty).send().await.ok();
    let large = vec![7_u8; 3 << 20];
    let sum = format!("x-amz-checksum-crc32:{}\r\n", checksum(ChecksumAlgorithm::Crc32, &large));
    s3.call("PUT", "/trailers/l").body(&large).chunked("x-amz-checksum-crc32", &sum).send().await.ok();
    assert_eq!(s3.get("/trailers/l").await.ok().body, large);
}

#[tokio::test]
async fn digests_and_lengths_that_do_not_match_store_nothing() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/digests", b"").await.ok();
    let put = async |name: &str, value: &str| {
        s3.call("PUT", "/digests/k").header(name, value).body("body").send().await.error()
    };
    assert_eq!(put("content-md5", "nonsense").await, (400, "InvalidDigest".into()));
    assert_eq!(put("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==").await, (400, "BadDigest".into()));
    assert_eq!(put("x-amz-checksum-crc32", "nonsense").await, (400, "InvalidRequest".into()));
    assert_eq!(put("x-amz-checksum-sha512", "AA==").await, (400, "InvalidRequest".into()));
    assert_eq!(put("x-amz-checksum-blake3", "AA==").await, (501, "NotImplemented".into()));
    assert_eq!(put("x-amz-sdk-checksum-algorithm", "CRC32").await, (400, "InvalidRequest".into()));
    // The signature names other bytes than were sent.
    let mut signed = s3.call("PUT", "/digests/k").body("body");
    signed = signed.unsigned_header("x-amz-meta-note", "");
    assert_eq!(signed.send().await.error(), (403, "AccessDenied".into()));
    // A body that ends early, signed or not.
    let short = s3.call("PUT", "/digests/k").body("body").length(10).send().await;
    assert_eq!(short.error(), (400, "IncompleteBody".into()));
    let short = s3.call("PUT", "/digests/k").body("body").unsigned_payload().length(10).send().await;
    assert_eq!(short.error(), (400, "IncompleteBody".into()));
    assert_eq!(s3.get("/digests/k").await.status, 404);
}

/// S3 has chunks for objects and parts only; of XML they are refused before a byte of it is read, well framed or not.
#[tokio::test]
async fn xml_does_not_come_in_chunks() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/xml", b"").await.ok();
    for target in ["/made", "/xml?tagging", "/xml?versioning"] {
        let chunked = s3.call("PUT", target).body("<a/>").chunked("x-amz-checksum-crc32c", "x");
        assert_eq!(chunked.send().await.error(), (400, "InvalidRequest".into()), "{target}");
    }
    assert_eq!(s3.get("/made").await.error(), (404, "NoSuchBucket".into()));
    let wrong = s3.call("PUT", "/made").header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==").body("<x/>");
    assert_eq!(wrong.send().await.error(), (400, "BadDigest".into()), "what did not arrive is not read");
    let location = "<CreateBucketConfiguration/>";
    let wrong = s3.call("PUT", "/made").header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==").body(location);
    assert_eq!(wrong.send().await.error(), (400, "BadDigest".into()));
    s3.call("PUT", "/made").header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==").send().await.ok();
}

/// Copies, parts, attributes and listings know every algorithm.
#[tokio::test]
async fn every_algorithm_is_offered_everywhere() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/all", b"").await.ok();
    s3.put("/all/source", b"body").await.ok();
    for algorithm in ChecksumAlgorithm::ALL {
        let (name, right) = (algorithm.as_str(), checksum(algorithm, b"body"));
        let element = format!("Checksum{name}");
        let copy = s3.call("PUT", "/all/copy").header("x-amz-copy-source", "all/source");
        let copy = copy.header("x-amz-checksum-algorithm", name).send().await.ok();
        assert_eq!(copy.xml(&element).as_ref(), Some(&right));
        let attributes = s3.call("GET", "/all/copy?attributes");
        let attributes = attributes.header("x-amz-object-attributes", "Checksum").send().await.ok();
        assert_eq!(attributes.xml(&element).as_ref(), Some(&right));
        for listing in ["/all?prefix=copy", "/all?list-type=2&prefix=copy", "/all?versions&prefix=copy"] {
            assert_eq!(s3.get(listing).await.ok().xml("ChecksumAlgorithm"), Some(name.into()), "{listing}");
        }
        let upload = s3.call("POST", "/all/parts?uploads").header("x-amz-checksum-algorithm", name);
        let upload = upload.send().await.ok().xml("UploadId").unwrap();
        let at = format!("/all/parts?uploadId={upload}");
        let part = s3.call("PUT", format!("{at}&partNumber=1")).header("x-amz-copy-source", "all/source");
        let part = part.send().await.ok();
        assert_eq!(part.xml(&element).as_ref(), Some(&right));
        let listed = s3.get(&at).await.ok();
        assert_eq!(listed.xml(&element).as_ref(), Some(&right));
        assert_eq!(listed.xml("ChecksumAlgorithm"), Some(name.into()));
        assert_eq!(s3.get("/all?uploads").await.ok().xml("ChecksumAlgorithm"), Some(name.into()));
        let etag = part.xml("ETag").unwrap();
        let xml = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>\
             <{element}>{right}</{element}></Part></CompleteMultipartUpload>"
        );
        let done = s3.call("POST", &*at).body(xml).send().await.ok();
        let whole = done.xml(&element).unwrap();
        let attributes = s3.call("GET", "/all/parts?attributes");
        let attributes =
            attributes.header("x-amz-object-attributes", "Checksum,ObjectParts").send().await.ok();
        assert_eq!(attributes.all(&element), [whole, right]);
    }
    let unknown = s3.call("POST", "/all/k?uploads").header("x-amz-checksum-algorithm", "BLAKE3").send().await;
    assert_eq!(unknown.error(), (400, "InvalidRequest".into()));
}
