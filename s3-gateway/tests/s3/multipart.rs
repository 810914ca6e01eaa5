use juststorage_core::domain::checksum::{ChecksumAlgorithm, ChecksumHasher};

use crate::server::{Answer, Client, Server};

const MIB: usize = 1 << 20;

fn crc32(bytes: &[u8]) -> String {
    let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32);
    hasher.update(bytes);
    hasher.finish().value
}

async fn begin(s3: &Client, key: &str, headers: &[(&str, &str)]) -> String {
    let call = s3.call("POST", format!("{key}?uploads"));
    let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
    call.send().await.ok().xml("UploadId").unwrap()
}

async fn part(s3: &Client, key: &str, upload: &str, number: usize, bytes: &[u8]) -> String {
    let put = s3.put(&format!("{key}?partNumber={number}&uploadId={upload}"), bytes).await.ok();
    put.header("etag").unwrap().to_owned()
}

fn list(parts: &[(usize, &str)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

async fn complete(s3: &Client, key: &str, upload: &str, xml: &str, headers: &[(&str, &str)]) -> Answer {
    let call = s3.call("POST", format!("{key}?uploadId={upload}")).body(xml);
    headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
}

#[tokio::test]
async fn parts_make_an_object_and_stay_addressable() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/parts", b"").await.ok();
    let (one, two) = (vec![1_u8; 5 * MIB], vec![2_u8; 1000]);
    let upload = begin(&s3, "/parts/k", &[("x-amz-meta-a", "1"), ("content-type", "text/plain")]).await;
    let first = part(&s3, "/parts/k", &upload, 1, &one).await;
    let second = part(&s3, "/parts/k", &upload, 3, &two).await;
    let listed = s3.get(&format!("/parts/k?uploadId={upload}&max-parts=1")).await.ok();
    assert_eq!(listed.xml("IsTruncated"), Some("true".into()));
    assert_eq!(listed.xml("NextPartNumberMarker"), Some("1".into()));
    let listed = s3.get(&format!("/parts/k?uploadId={upload}&part-number-marker=1")).await.ok();
    assert_eq!(listed.xml("PartNumber"), Some("3".into()));
    let uploads = s3.get("/parts?uploads").await.ok();
    assert_eq!((uploads.xml("Key"), uploads.xml("UploadId")), (Some("k".into()), Some(upload.clone())));

    let refuse = async |xml: &str| complete(&s3, "/parts/k", &upload, xml, &[]).await.error();
    assert_eq!(refuse(&list(&[])).await, (400, "MalformedXML".into()));
    assert_eq!(refuse(&list(&[(3, &second), (1, &first)])).await, (400, "InvalidPartOrder".into()));
    assert_eq!(refuse(&list(&[(1, &second), (3, &second)])).await, (400, "InvalidPart".into()));
    assert_eq!(refuse("<CompleteMultipartUpload><Part>").await, (400, "MalformedXML".into()));
    let sized = [("x-amz-mp-object-size", "7")];
    let whole = list(&[(1, &first), (3, &second)]);
    let wrong = complete(&s3, "/parts/k", &upload, &whole, &sized).await;
    assert_eq!(wrong.error(), (400, "InvalidRequest".into()));

    let size = (one.len() + two.len()).to_string();
    let done = complete(&s3, "/parts/k", &upload, &whole, &[("x-amz-mp-object-size", &size)]).await.ok();
    assert!(done.xml("ETag").unwrap().ends_with("-2&quot;"), "{}", done.text());
    assert!(done.xml("Location").unwrap().ends_with("/parts/k"));
    // A client that saw no answer asks again.
    complete(&s3, "/parts/k", &upload, &whole, &[]).await.ok();
    let get = s3.get("/parts/k").await.ok();
    assert_eq!(get.body, [one, two.clone()].concat());
    assert_eq!((get.header("x-amz-meta-a"), get.header("content-type")), (Some("1"), Some("text/plain")));
    let second = s3.get("/parts/k?partNumber=2").await;
    assert_eq!((second.status, &second.body), (206, &two));
    assert_eq!(second.header("x-amz-mp-parts-count"), Some("2"));
    assert_eq!(s3.get("/parts/k?partNumber=3").await.error(), (416, "InvalidPartNumber".into()));
}

#[tokio::test]
async fn checksums_of_uploads_are_composite_or_of_the_whole() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/types", b"").await.ok();
    let (one, two) = (vec![1_u8; 5 * MIB], vec![2_u8; 1000]);
    let whole_sum = crc32(&[one.clone(), two.clone()].concat());
    for (kind, suffix) in [("COMPOSITE", "-2"), ("FULL_OBJECT", "")] {
        let headers = [("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", kind)];
        let upload = begin(&s3, "/types/k", &headers).await;
        let first = part(&s3, "/types/k", &upload, 1, &one).await;
        let second = part(&s3, "/types/k", &upload, 2, &two).await;
        let xml = list(&[(1, &first), (2, &second)]);
        let wrong = [("x-amz-checksum-crc32", "AAAAAA==")];
        let refused = complete(&s3, "/types/k", &upload, &xml, &wrong).await;
        assert_eq!(refused.error(), (400, "BadDigest".into()), "{kind}");
        let done = complete(&s3, "/types/k", &upload, &xml, &[("x-amz-checksum-type", kind)]).await.ok();
        assert_eq!(done.xml("ChecksumType"), Some(kind.into()));
        let sum = done.xml("ChecksumCRC32").unwrap();
        assert!(sum.ends_with(suffix));
        assert_eq!(sum == whole_sum, kind == "FULL_OBJECT");
        let head = s3.call("HEAD", "/types/k").header("x-amz-checksum-mode", "ENABLED").send().await.ok();
        assert_eq!(head.header("x-amz-checksum-crc32"), Some(sum.as_str()));
        assert_eq!(head.header("x-amz-checksum-type"), Some(kind));
    }
    for (algorithm, kind) in [("CRC64NVME", "COMPOSITE"), ("SHA256", "FULL_OBJECT")] {
        let refused = s3
            .call("POST", "/types/k?uploads")
            .header("x-amz-checksum-algorithm", algorithm)
            .header("x-amz-checksum-type", kind)
            .send()
            .await;
        assert_eq!(refused.error(), (400, "InvalidRequest".into()), "{algorithm} {kind}");
    }
}

#[tokio::test]
async fn parts_are_copied_and_uploads_end() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/ends", b"").await.ok();
    s3.put("/ends/source", b"0123456789").await.ok();
    let upload = begin(&s3, "/ends/k", &[]).await;
    let copy = async |range: &str| {
        s3.call("PUT", format!("/ends/k?partNumber=1&uploadId={upload}"))
            .header("x-amz-copy-source", "ends/source")
            .header("x-amz-copy-source-range", range)
            .send()
            .await
    };
    for bad in ["bytes=2-", "bytes=-2", "0-2", "bytes=5-20"] {
        assert_eq!(copy(bad).await.status, 400, "{bad}");
    }
    let etag = copy("bytes=2-4").await.ok().xml("ETag").unwrap().replace("&quot;", "\"");
    complete(&s3, "/ends/k", &upload, &list(&[(1, &etag)]), &[]).await.ok();
    assert_eq!(s3.get("/ends/k").await.ok().text(), "234");

    let upload = begin(&s3, "/ends/gone", &[]).await;
    let at = format!("/ends/gone?uploadId={upload}");
    assert_eq!(s3.call("DELETE", &at).send().await.status, 204);
    assert_eq!(s3.call("DELETE", &at).send().await.error(), (404, "NoSuchUpload".into()));
    assert_eq!(s3.get(&at).await.error(), (404, "NoSuchUpload".into()));
    let nonsense = s3.put("/ends/k?partNumber=1&uploadId=nonsense", b"x").await;
    assert_eq!(nonsense.error(), (404, "NoSuchUpload".into()));
    let number = s3.put(&format!("/ends/gone?partNumber=0&uploadId={upload}"), b"x").await;
    assert_eq!(number.error(), (400, "InvalidArgument".into()));
    // Half of the pair must not write an object.
    let half = s3.put(&format!("/ends/half?uploadId={upload}"), b"x").await;
    assert_eq!(half.error(), (501, "NotImplemented".into()));
    assert_eq!(s3.get("/ends/half").await.status, 404);
}
