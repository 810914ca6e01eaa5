use juststorage_core::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumHasher, ChecksumKind};

use crate::server::{Answer, Client, Options, Server};

const MIB: usize = 1 << 20;

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
    assert!(done.xml("ETag").unwrap().ends_with("-2\""), "{}", done.text());
    assert!(done.xml("Location").unwrap().ends_with("/parts/k"));
    // A client that saw no answer asks again.
    let again = complete(&s3, "/parts/k", &upload, &whole, &[("x-amz-mp-object-size", &size)]).await.ok();
    assert_eq!(again.text(), done.text());
    complete(&s3, "/parts/k", &upload, &whole, &[]).await.ok();
    // One that asks for something else is refused, as it would have been before.
    let refuse = async |xml: &str, headers: &[(&str, &str)]| {
        complete(&s3, "/parts/k", &upload, xml, headers).await.error()
    };
    assert_eq!(refuse(&list(&[]), &[]).await, (400, "MalformedXML".into()));
    assert_eq!(refuse(&list(&[(3, &second), (1, &first)]), &[]).await, (400, "InvalidPartOrder".into()));
    for xml in [
        list(&[(1, &second), (3, &second)]),
        list(&[(1, &first)]),
        list(&[(1, &first), (2, &second)]),
        list(&[(1, &first), (2, &first), (3, &second)]),
    ] {
        assert_eq!(refuse(&xml, &[]).await, (400, "InvalidPart".into()), "{xml}");
    }
    assert_eq!(refuse(&whole, &sized).await, (400, "InvalidRequest".into()));
    assert_eq!(refuse(&whole, &[("x-amz-checksum-crc32", "AAAAAA==")]).await, (400, "BadDigest".into()));
    assert_eq!(refuse(&whole, &[("if-none-match", "*")]).await, (412, "PreconditionFailed".into()));
    assert_eq!(refuse(&whole, &[("if-match", "\"x\"")]).await, (412, "PreconditionFailed".into()));
    let get = s3.get("/parts/k").await.ok();
    assert_eq!(get.body, [one, two.clone()].concat());
    assert_eq!((get.header("x-amz-meta-a"), get.header("content-type")), (Some("1"), Some("text/plain")));
    let second = s3.get("/parts/k?partNumber=2").await;
    assert_eq!((second.status, &second.body), (206, &two));
    assert_eq!(second.header("x-amz-mp-parts-count"), Some("2"));
    assert_eq!(s3.get("/parts/k?partNumber=3").await.error(), (416, "InvalidPartNumber".into()));
}

/// A part with its checksum; its tag and the checksum.
async fn summed(
    s3: &Client,
    at: &str,
    number: usize,
    bytes: &[u8],
    algorithm: ChecksumAlgorithm,
) -> (String, String) {
    let mut hasher = ChecksumHasher::new(algorithm);
    hasher.update(bytes);
    let sum = hasher.finish().value;
    let header = format!("x-amz-checksum-{}", algorithm.as_str().to_lowercase());
    let call = s3.call("PUT", format!("{at}&partNumber={number}")).header(&header, &sum).body(bytes);
    (call.send().await.ok().header("etag").unwrap().to_owned(), sum)
}

/// Every algorithm and kind, declared with and without its type: the upload's kind decides, and a completion says the
/// whole's checksum with and without `-n`.
#[tokio::test]
async fn checksums_of_uploads_are_composite_or_of_the_whole() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/types", b"").await.ok();
    let (one, two) = (vec![1_u8; 5 * MIB], vec![2_u8; 1000]);
    for algorithm in ChecksumAlgorithm::ALL {
        let (name, element) = (algorithm.as_str(), format!("Checksum{}", algorithm.as_str()));
        let header = format!("x-amz-checksum-{}", name.to_lowercase());
        let default = algorithm.default_kind();
        let kinds = [ChecksumKind::Composite, ChecksumKind::FullObject].into_iter();
        let said = kinds.filter(|kind| algorithm.allows(*kind)).map(|kind| (kind, Some(kind)));
        for (kind, said) in said.chain([(default, None)]) {
            let case = format!("{name} {kind:?} {said:?}");
            let typed = said.map(|kind| ("x-amz-checksum-type", kind.as_str()));
            let declared: Vec<_> = [("x-amz-checksum-algorithm", name)].into_iter().chain(typed).collect();
            let upload = begin(&s3, "/types/k", &declared).await;
            let at = format!("/types/k?uploadId={upload}");
            let composite = kind == ChecksumKind::Composite;
            let bare = s3.call("PUT", format!("{at}&partNumber=3")).body("bare").send().await;
            let refused = if composite { (400, "InvalidRequest".into()) } else { (200, String::new()) };
            assert_eq!(bare.error(), refused, "{case}: a part without checksum");
            let first = summed(&s3, &at, 1, &one, algorithm).await;
            let second = summed(&s3, &at, 2, &two, algorithm).await;
            let parts = [(1, &first), (2, &second)];
            let full: String = parts
                .iter()
                .map(|(number, (etag, sum))| {
                    format!(
                        "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><{element}>{sum}</{element}></Part>"
                    )
                })
                .collect();
            let full = format!("<CompleteMultipartUpload>{full}</CompleteMultipartUpload>");
            let bare = list(&[(1, &first.0), (2, &second.0)]);
            if composite {
                let refused = complete(&s3, "/types/k", &upload, &bare, &[]).await;
                assert_eq!(refused.error(), (400, "InvalidRequest".into()), "{case}: no checksums of parts");
            }
            let parts = [(&one, &first.1), (&two, &second.1)]
                .map(|(bytes, sum)| (Some(Checksum::declared(algorithm, sum).unwrap()), bytes.len() as u64));
            let whole = Checksum::of_parts(algorithm, kind, &parts).unwrap().value;
            let digest = whole.split('-').next().unwrap();
            let zeros = Checksum::of_parts(algorithm, kind, &[(None, 0)])
                .map_or_else(|| ChecksumHasher::new(algorithm).finish().value, |checksum| checksum.value);
            for wrong in [format!("{digest}-3"), zeros.clone(), format!("{zeros}-2")] {
                let refused = complete(&s3, "/types/k", &upload, &full, &[(&header, &wrong)]).await;
                assert_eq!(refused.error(), (400, "BadDigest".into()), "{case}: {wrong}");
            }
            // With and without `-n`, each with and without the type. A completion may be repeated.
            for value in [digest, &whole] {
                for typed in [None, Some(("x-amz-checksum-type", kind.as_str()))] {
                    let headers: Vec<_> = [(header.as_str(), value)].into_iter().chain(typed).collect();
                    let done = complete(&s3, "/types/k", &upload, &full, &headers).await.ok();
                    assert_eq!(done.xml("ChecksumType"), Some(kind.as_str().into()), "{case}: {value}");
                    assert_eq!(done.xml(&element).as_deref(), Some(whole.as_str()), "{case}: {value}");
                }
            }
            let head = s3.call("HEAD", "/types/k").header("x-amz-checksum-mode", "ENABLED").send().await.ok();
            assert_eq!(head.header(&header), Some(whole.as_str()));
            assert_eq!(head.header("x-amz-checksum-type"), Some(kind.as_str()));
        }
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

/// What a completion says of a part's checksum: no digest, two of them, another algorithm's, another value.
#[tokio::test]
async fn a_part_is_not_named_by_another_checksum() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/named", b"").await.ok();
    let algorithm = ChecksumAlgorithm::Crc32c;
    let declared = [("x-amz-checksum-algorithm", "CRC32C"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let upload = begin(&s3, "/named/k", &declared).await;
    let (etag, sum) = summed(&s3, &format!("/named/k?uploadId={upload}"), 1, b"bytes", algorithm).await;
    let named = async |sums: &str| {
        let xml = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>{sums}</Part>\
             </CompleteMultipartUpload>"
        );
        complete(&s3, "/named/k", &upload, &xml, &[]).await
    };
    let sha1 = "<ChecksumSHA1>2jmj7l5rSw0yVb/vlWAYkK/YBwk=</ChecksumSHA1>";
    let own = format!("<ChecksumCRC32C>{sum}</ChecksumCRC32C>");
    for (sums, code) in [
        ("<ChecksumCRC32C>nonsense</ChecksumCRC32C>", "InvalidArgument"),
        (&format!("{own}{sha1}"), "InvalidArgument"),
        (sha1, "BadDigest"),
        ("<ChecksumXXHASH128>maoG0wFHmNhgAcMkRo1Jfw==</ChecksumXXHASH128>", "BadDigest"),
        ("<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>", "InvalidPart"),
    ] {
        assert_eq!(named(sums).await.error(), (400, code.into()), "{sums}");
    }
    named(&own).await.ok();
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
    let etag = copy("bytes=2-4").await.ok().xml("ETag").unwrap();
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
    assert_eq!(half.error(), (405, "MethodNotAllowed".into()));
    let half = s3.put("/ends/half?partNumber=1", b"x").await;
    assert_eq!(half.error(), (400, "InvalidArgument".into()));
    assert_eq!(s3.get("/ends/half").await.status, 404);
}

/// What answers call a new object.
#[tokio::test]
async fn locations_name_the_scheme_and_host_of_the_client() {
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(Options, Headers, &str); 5] = [
        (Options::default(), &[], "http://HOST/located/k"),
        (Options::default(), &[("x-forwarded-proto", "HTTPS, http")], "https://HOST/located/k"),
        (Options::default(), &[("x-forwarded-proto", "http, https")], "http://HOST/located/k"),
        (Options { tls: true, ..Options::default() }, &[], "https://HOST/located/k"),
        (
            Options { public_url: Some("https://store.test"), ..Options::default() },
            &[("x-forwarded-proto", "http")],
            "https://store.test/located/k",
        ),
    ];
    for (options, headers, location) in cases {
        let server = Server::start_with(options).await;
        let s3 = server.root();
        s3.put("/located", b"").await.ok();
        let upload = begin(&s3, "/located/k", &[]).await;
        let etag = part(&s3, "/located/k", &upload, 1, b"x").await;
        let done = complete(&s3, "/located/k", &upload, &list(&[(1, &etag)]), headers).await.ok();
        let location = location.replace("HOST", &server.address.to_string());
        assert_eq!(done.xml("Location"), Some(location), "{headers:?}");
    }
}
