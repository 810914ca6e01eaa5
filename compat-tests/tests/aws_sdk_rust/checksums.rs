//! Checksums that the SDK computes, sends and verifies.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedPart};
use juststorage_compat_tests::content::{assert_same, base64};
use juststorage_compat_tests::{Content, Database, on_both_databases, s3};
use sha1::Digest as _;

use super::{BUCKET, Fixture};

on_both_databases!(
    every_algorithm_is_verified_and_kept,
    wrong_ones_are_refused,
    whole_objects_in_parts_have_theirs
);

const ALGORITHMS: [ChecksumAlgorithm; 5] = [
    ChecksumAlgorithm::Crc32,
    ChecksumAlgorithm::Crc32C,
    ChecksumAlgorithm::Crc64Nvme,
    ChecksumAlgorithm::Sha1,
    ChecksumAlgorithm::Sha256,
];

/// The checksum as another implementation than the server's or the SDK's computes it, where there is one.
fn checksum(algorithm: &ChecksumAlgorithm, bytes: &[u8]) -> String {
    use crc_fast::CrcAlgorithm::{Crc32Iscsi, Crc32IsoHdlc, Crc64Nvme};
    let crc = |algorithm| crc_fast::checksum(algorithm, bytes);
    let crc32 = |algorithm| base64(&u32::try_from(crc(algorithm)).unwrap().to_be_bytes());
    match algorithm {
        ChecksumAlgorithm::Crc32 => crc32(Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32C => crc32(Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => base64(&crc(Crc64Nvme).to_be_bytes()),
        ChecksumAlgorithm::Sha1 => base64(&sha1::Sha1::digest(bytes)),
        ChecksumAlgorithm::Sha256 => base64(&sha2::Sha256::digest(bytes)),
        other => panic!("{other}"),
    }
}

macro_rules! given {
    ($answer:expr, $algorithm:expr) => {
        match $algorithm {
            ChecksumAlgorithm::Crc32 => $answer.checksum_crc32(),
            ChecksumAlgorithm::Crc32C => $answer.checksum_crc32_c(),
            ChecksumAlgorithm::Crc64Nvme => $answer.checksum_crc64_nvme(),
            ChecksumAlgorithm::Sha1 => $answer.checksum_sha1(),
            ChecksumAlgorithm::Sha256 => $answer.checksum_sha256(),
            other => panic!("{other}"),
        }
    };
}

async fn every_algorithm_is_verified_and_kept(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    for length in [0, 1000, 2 << 20] {
        let bytes = Content::new(11, length).bytes();
        for algorithm in ALGORITHMS {
            let what = format!("{algorithm} of {length}");
            let expected = checksum(&algorithm, &bytes);
            let put = client.put_object().bucket(BUCKET).key(&what).checksum_algorithm(algorithm.clone());
            let put = put.body(ByteStream::from(bytes.clone())).send().await;
            let put = put.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert_eq!(given!(put, algorithm), Some(expected.as_str()), "{what}, put");
            let get = client.get_object().bucket(BUCKET).key(&what).checksum_mode(ChecksumMode::Enabled);
            let get = get.send().await.unwrap();
            assert_eq!(given!(get, algorithm), Some(expected.as_str()), "{what}, get");
            assert_eq!(get.checksum_type(), Some(&ChecksumType::FullObject), "{what}");
            assert_same(&what, &s3::body(get).await, &bytes);
        }
    }
    // A range has no checksum of the whole: the SDK would compare it with the range's.
    let range = client.get_object().bucket(BUCKET).key("CRC32 of 1000").checksum_mode(ChecksumMode::Enabled);
    let range = range.range("bytes=10-19").send().await.unwrap();
    assert_eq!(range.checksum_crc32(), None);
    assert_eq!(s3::body(range).await.len(), 10);
}

async fn wrong_ones_are_refused(database: Database) {
    let Fixture { mut server, client } = Fixture::start(database).await;
    let bytes = Content::new(12, 2 << 20).bytes();
    let zeros = |length: usize| base64(&vec![0; length]);
    let bad = (400, "BadDigest".to_owned());
    for body in [bytes.slice(..1000), bytes] {
        let put = || client.put_object().bucket(BUCKET).key("object").body(ByteStream::from(body.clone()));
        assert_eq!(s3::refusal("MD5", put().content_md5(zeros(16)).send().await), bad);
        assert_eq!(s3::refusal("CRC32", put().checksum_crc32(zeros(4)).send().await), bad);
        assert_eq!(s3::refusal("CRC32C", put().checksum_crc32_c(zeros(4)).send().await), bad);
        assert_eq!(s3::refusal("CRC64NVME", put().checksum_crc64_nvme(zeros(8)).send().await), bad);
        assert_eq!(s3::refusal("SHA1", put().checksum_sha1(zeros(20)).send().await), bad);
        assert_eq!(s3::refusal("SHA256", put().checksum_sha256(zeros(32)).send().await), bad);
    }
    let put = client.put_object().bucket(BUCKET).key("object").body(ByteStream::from_static(b"x"));
    assert_eq!(
        s3::refusal("not base64", put.content_md5("not base64!").send().await),
        (400, "InvalidDigest".to_owned())
    );
    assert!(s3::keys(&client, BUCKET, "").await.is_empty());
    server.assert_nothing_left().await;
}

async fn whole_objects_in_parts_have_theirs(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let whole = Content::new(13, (11 << 20) + 77).bytes();
    let parts = [whole.slice(..5 << 20), whole.slice(5 << 20..10 << 20), whole.slice(10 << 20..)];
    let upload =
        async |key: &str, algorithm: ChecksumAlgorithm, kind: ChecksumType, claimed: Option<String>| {
            let begin = client.create_multipart_upload().bucket(BUCKET).key(key);
            let begin =
                begin.checksum_algorithm(algorithm.clone()).checksum_type(kind.clone()).send().await.unwrap();
            let id = begin.upload_id().unwrap();
            let mut done = Vec::new();
            for (number, bytes) in (1..).zip(&parts) {
                let part = client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number);
                let part = part.checksum_algorithm(algorithm.clone()).body(ByteStream::from(bytes.clone()));
                let part = part.send().await.unwrap();
                let given = given!(part, algorithm).map(str::to_owned);
                assert_eq!(given, Some(checksum(&algorithm, bytes)), "{key} part {number}");
                let completed = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag);
                let completed = match algorithm {
                    ChecksumAlgorithm::Crc32 => completed.set_checksum_crc32(given),
                    ChecksumAlgorithm::Crc32C => completed.set_checksum_crc32_c(given),
                    ChecksumAlgorithm::Crc64Nvme => completed.set_checksum_crc64_nvme(given),
                    ChecksumAlgorithm::Sha1 => completed.set_checksum_sha1(given),
                    _ => completed.set_checksum_sha256(given),
                };
                done.push(completed.build());
            }
            let complete = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id);
            let complete = complete.multipart_upload(s3::completed(done)).checksum_type(kind);
            let complete = match algorithm {
                ChecksumAlgorithm::Crc32 => complete.set_checksum_crc32(claimed),
                ChecksumAlgorithm::Crc64Nvme => complete.set_checksum_crc64_nvme(claimed),
                _ => complete,
            };
            complete.send().await
        };

    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32C, ChecksumAlgorithm::Crc64Nvme] {
        let expected = checksum(&algorithm, &whole);
        let key = format!("full {algorithm}");
        upload(&key, algorithm.clone(), ChecksumType::FullObject, None).await.unwrap();
        let get = client
            .get_object()
            .bucket(BUCKET)
            .key(&key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        assert_eq!(given!(get, algorithm), Some(expected.as_str()), "{key}");
        assert_eq!(get.checksum_type(), Some(&ChecksumType::FullObject));
        assert_same(&key, &s3::body(get).await, &whole);
    }
    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha256] {
        let key = format!("composite {algorithm}");
        upload(&key, algorithm.clone(), ChecksumType::Composite, None).await.unwrap();
        let head = client.head_object().bucket(BUCKET).key(&key).checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        assert!(given!(head, algorithm).is_some_and(|value| value.ends_with("-3")), "{key}: {head:?}");
        assert_eq!(head.checksum_type(), Some(&ChecksumType::Composite));
        assert_same(&key, &s3::get(&client, BUCKET, &key).await, &whole);
    }

    let wrong = Some(base64(&[0; 4]));
    let refused = upload("wrong", ChecksumAlgorithm::Crc32, ChecksumType::FullObject, wrong).await;
    let (status, code) = s3::refusal("a wrong checksum of the whole", refused);
    assert_eq!((status, code.as_str()), (400, "BadDigest"));
    let none = client.head_object().bucket(BUCKET).key("wrong").send().await;
    assert_eq!(s3::refusal("nothing was made", none).0, 404);
}
