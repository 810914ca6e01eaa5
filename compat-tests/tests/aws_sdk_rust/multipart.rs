//! Uploads in parts.

use aws_sdk_s3::operation::upload_part_copy::UploadPartCopyOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedPart, Part, StorageClass};
use bytes::Bytes;
use juststorage_compat_tests::content::{assert_same, multipart_etag};
use juststorage_compat_tests::{Content, Database, on_both_databases, s3};

use super::{BUCKET, Fixture};

on_both_databases!(
    odd_parts_make_one_object,
    parts_are_listed_replaced_and_aborted,
    parts_are_copied_from_objects,
    wrong_completions_are_refused,
    uploads_are_listed,
    a_completion_may_be_repeated,
    more_than_a_part_may_hold_is_copied_in_parts,
);

async fn odd_parts_make_one_object(database: Database) {
    let Fixture { mut server, client } = Fixture::start(database).await;
    let whole = Content::new(64, 64 << 20).bytes();
    let mut parts = Vec::new();
    let mut rest = whole.clone();
    for size in [(5 << 20) + 1, 5 << 20, (7 << 20) + 12_345, (11 << 20) + 65_537, 17_000_001] {
        parts.push(rest.split_to(size));
    }
    parts.push(rest);

    let begun = client.create_multipart_upload().bucket(BUCKET).key("object").content_type("x/parts");
    let begun = begun.metadata("who", "me").storage_class(StorageClass::StandardIa).send().await.unwrap();
    let upload = begun.upload_id().unwrap().to_owned();
    // Backwards, and one of them twice: numbers make the order, and the last of a number counts.
    let mut done = Vec::new();
    s3::part(&client, BUCKET, "object", &upload, 3, Bytes::from_static(b"replaced later")).await;
    for (number, bytes) in (1..).zip(&parts).collect::<Vec<_>>().into_iter().rev() {
        done.push(s3::part(&client, BUCKET, "object", &upload, number, bytes.clone()).await);
    }
    done.reverse();
    assert!(s3::keys(&client, BUCKET, "").await.is_empty(), "visible before it is complete");
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("object").upload_id(&upload);
    let answer = complete.multipart_upload(s3::completed(done)).send().await.unwrap();
    assert_eq!(answer.e_tag(), Some(multipart_etag(&parts).as_str()));

    let head = client.head_object().bucket(BUCKET).key("object").send().await.unwrap();
    assert_eq!(head.content_length(), Some(64 << 20));
    assert_eq!(
        (head.content_type(), head.storage_class()),
        (Some("x/parts"), Some(&StorageClass::StandardIa))
    );
    assert_eq!(head.metadata().unwrap()["who"], "me");
    assert_same("the whole", &s3::get(&client, BUCKET, "object").await, &whole);
    // Over a seam of two parts.
    let seam = 5 << 20;
    let range = format!("bytes={}-{}", seam - 100, seam + 200);
    let read = client.get_object().bucket(BUCKET).key("object").range(range).send().await.unwrap();
    assert_same("a seam", &s3::body(read).await, &whole[seam - 100..=seam + 200]);
    let second = client.get_object().bucket(BUCKET).key("object").part_number(2).send().await.unwrap();
    assert_eq!(second.parts_count(), Some(6));
    assert_same("part 2", &s3::body(second).await, &parts[1]);

    s3::empty(&client, BUCKET).await;
    server.assert_nothing_left().await;
}

async fn parts_are_listed_replaced_and_aborted(database: Database) {
    let Fixture { mut server, client } = Fixture::start(database).await;
    let upload = s3::begin(&client, BUCKET, "object").await;
    for number in [1, 2, 5, 9] {
        let bytes = Content::new(number, 1000 + usize::try_from(number).unwrap()).bytes();
        s3::part(&client, BUCKET, "object", &upload, i32::try_from(number).unwrap(), bytes).await;
    }
    let list = || client.list_parts().bucket(BUCKET).key("object").upload_id(&upload);
    let first = list().max_parts(3).send().await.unwrap();
    let described: Vec<_> =
        first.parts().iter().map(|p| (p.part_number().unwrap(), p.size().unwrap())).collect();
    assert_eq!(described, [(1, 1001), (2, 1002), (5, 1005)]);
    assert_eq!(first.is_truncated(), Some(true));
    let rest = list().part_number_marker(first.next_part_number_marker().unwrap()).send().await.unwrap();
    assert_eq!(rest.parts().iter().filter_map(Part::part_number).collect::<Vec<_>>(), [9]);
    assert_eq!(rest.is_truncated(), Some(false));

    let abort = || client.abort_multipart_upload().bucket(BUCKET).key("object").upload_id(&upload).send();
    abort().await.unwrap();
    assert_eq!(s3::refusal("twice", abort().await), (404, "NoSuchUpload".to_owned()));
    let no_upload = (404, "NoSuchUpload".to_owned());
    assert_eq!(s3::refusal("list", list().send().await), no_upload);
    let late = client.upload_part().bucket(BUCKET).key("object").upload_id(&upload).part_number(1);
    assert_eq!(s3::refusal("late", late.body(ByteStream::from_static(b"x")).send().await), no_upload);
    server.assert_nothing_left().await;
}

async fn parts_are_copied_from_objects(database: Database) {
    let Fixture { server, client } = Fixture::start(database).await;
    let source = Content::new(3, 12 << 20).bytes();
    s3::put(&client, BUCKET, "source", source.clone()).await;
    let before: u64 = server.data_files().iter().map(|(_, size)| size).sum();

    let upload = s3::begin(&client, BUCKET, "object").await;
    let mut done = Vec::new();
    let last = source.len() - 1;
    for (number, from, to) in [(1, 1, (6 << 20) + 1), (2, 70_000, last)] {
        let copy =
            client.upload_part_copy().bucket(BUCKET).key("object").upload_id(&upload).part_number(number);
        let copy = copy.copy_source("bucket/source").copy_source_range(format!("bytes={from}-{to}"));
        let answer = copy.send().await.unwrap();
        let etag = answer.copy_part_result().unwrap().e_tag().unwrap();
        done.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    let tail = Bytes::from_static(b"and a tail");
    done.push(s3::part(&client, BUCKET, "object", &upload, 3, tail.clone()).await);
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("object").upload_id(&upload);
    complete.multipart_upload(s3::completed(done)).send().await.unwrap();
    let expected = [&source[1..=(6 << 20) + 1], &source[70_000..=last], &tail].concat();
    assert_same("the whole", &s3::get(&client, BUCKET, "object").await, &expected);
    let after: u64 = server.data_files().iter().map(|(_, size)| size).sum();
    assert!(after < before + (2 << 20), "copied parts moved bytes: {before} became {after}");

    let upload = s3::begin(&client, BUCKET, "other").await;
    let beyond = client.upload_part_copy().bucket(BUCKET).key("other").upload_id(&upload).part_number(1);
    let beyond = beyond.copy_source("bucket/source").copy_source_range(format!("bytes=0-{}", last + 1));
    let (status, code) = s3::refusal("beyond", beyond.send().await);
    assert!(status == 400 || status == 416, "{status} {code}");
    let nothing = client.upload_part_copy().bucket(BUCKET).key("other").upload_id(&upload).part_number(1);
    let nothing = nothing.copy_source("bucket/nothing").send().await;
    assert_eq!(s3::refusal("of nothing", nothing), (404, "NoSuchKey".to_owned()));
}

async fn wrong_completions_are_refused(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let upload = s3::begin(&client, BUCKET, "object").await;
    let large = Content::new(1, 5 << 20).bytes();
    let first = s3::part(&client, BUCKET, "object", &upload, 1, large.clone()).await;
    let second = s3::part(&client, BUCKET, "object", &upload, 2, Bytes::from_static(b"small")).await;
    let third = s3::part(&client, BUCKET, "object", &upload, 3, Bytes::from_static(b"tail")).await;
    let complete = |key: &str, upload: &str, parts: Vec<CompletedPart>| {
        let request = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(upload);
        request.multipart_upload(s3::completed(parts)).send()
    };
    let refused = |what, answer, code: &str| assert_eq!(s3::refusal(what, answer), (400, code.to_owned()));
    let backwards = vec![second.clone(), first.clone()];
    refused("wrong order", complete("object", &upload, backwards).await, "InvalidPartOrder");
    let all = vec![first.clone(), second.clone(), third];
    refused("a small part", complete("object", &upload, all).await, "EntityTooSmall");
    let forged =
        CompletedPart::builder().part_number(1).e_tag("\"00000000000000000000000000000000\"").build();
    refused("a wrong ETag", complete("object", &upload, vec![forged]).await, "InvalidPart");
    let absent = CompletedPart::builder().part_number(7).e_tag(first.e_tag().unwrap()).build();
    refused("a part that never came", complete("object", &upload, vec![absent]).await, "InvalidPart");
    refused("no part", complete("object", &upload, vec![]).await, "MalformedXML");
    let no_upload = (404, "NoSuchUpload".to_owned());
    let other_key = complete("another key", &upload, vec![first.clone()]).await;
    assert_eq!(s3::refusal("another key", other_key), no_upload);
    for unknown in ["0190163d-8694-739b-aea5-966c26f8ad90", "no upload id", "../../etc"] {
        let answer = complete("object", unknown, vec![first.clone()]).await;
        assert_eq!(s3::refusal(unknown, answer), no_upload);
    }
    for number in [0, 10_001] {
        let part = client.upload_part().bucket(BUCKET).key("object").upload_id(&upload).part_number(number);
        let part = part.body(ByteStream::from_static(b"x")).send().await;
        assert_eq!(s3::refusal("part number", part), (400, "InvalidArgument".to_owned()));
    }

    // After all of these refusals it can still be completed.
    complete("object", &upload, vec![first, second]).await.unwrap();
    let whole = [&large[..], b"small"].concat();
    assert_same("the whole", &s3::get(&client, BUCKET, "object").await, &whole);
}

async fn uploads_are_listed(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let mut begun = Vec::new();
    for key in ["a", "b/1", "b/2", "c", "c"] {
        begun.push((key.to_owned(), s3::begin(&client, BUCKET, key).await));
    }
    begun.sort();
    let list = || client.list_multipart_uploads().bucket(BUCKET);
    let mut listed = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let request = list().max_uploads(2).set_key_marker(key_marker).set_upload_id_marker(id_marker);
        let page = request.send().await.unwrap();
        assert!(page.uploads().len() <= 2);
        listed.extend(
            page.uploads().iter().map(|u| (u.key().unwrap().to_owned(), u.upload_id().unwrap().to_owned())),
        );
        if page.is_truncated() != Some(true) {
            break;
        }
        (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
    }
    // Of one key, the one that began first comes first; the ids need not sort that way.
    assert_eq!(listed.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "b/1", "b/2", "c", "c"]);
    listed.sort();
    assert_eq!(listed, begun);
    let rolled = list().delimiter("/").send().await.unwrap();
    let prefixes: Vec<_> = rolled.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!((rolled.uploads().len(), prefixes), (3, vec!["b/"]));
    let some = list().prefix("b/").send().await.unwrap();
    assert_eq!(some.uploads().len(), 2);
}

/// A client whose connection broke before the answer repeats its completion, and must not be told that the
/// upload is unknown.
async fn a_completion_may_be_repeated(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let begun = client.create_multipart_upload().bucket(BUCKET).key("object");
    let begun = begun.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.unwrap();
    let upload = begun.upload_id().unwrap();
    let part = s3::part(&client, BUCKET, "object", upload, 1, Bytes::from_static(b"all")).await;
    let complete = || {
        let request = client.complete_multipart_upload().bucket(BUCKET).key("object").upload_id(upload);
        request.multipart_upload(s3::completed([part.clone()])).send()
    };
    let first = complete().await.unwrap();
    let second = complete().await.unwrap();
    assert_eq!(first.e_tag(), second.e_tag());
    assert_eq!(s3::keys(&client, BUCKET, "").await, ["object"]);
}

/// What is larger than a part may be cannot be copied as one; transfer managers copy it in ranges.
async fn more_than_a_part_may_hold_is_copied_in_parts(database: Database) {
    const MIB: i64 = 1 << 20;
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let piece = Content::new(5, 64 << 20).bytes();
    s3::put(&client, BUCKET, "piece", piece.clone()).await;
    let copy = async |key: &str, upload: &str, number: i32, source: &str, range: Option<String>| {
        let copy = client.upload_part_copy().bucket(BUCKET).key(key).upload_id(upload).part_number(number);
        copy.copy_source(format!("{BUCKET}/{source}")).set_copy_source_range(range).send().await
    };
    let complete = async |key: &str, upload: &str, parts: Vec<CompletedPart>| {
        let request = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(upload);
        request.multipart_upload(s3::completed(parts)).send().await.unwrap();
    };
    let done = |number: i32, answer: UploadPartCopyOutput| {
        let tag = answer.copy_part_result.unwrap().e_tag.unwrap();
        CompletedPart::builder().part_number(number).e_tag(tag).build()
    };

    // 5.5 GiB of the same.
    let upload = s3::begin(&client, BUCKET, "large").await;
    let mut parts = Vec::new();
    for number in 1..=88 {
        parts.push(done(number, copy("large", &upload, number, "piece", None).await.unwrap()));
    }
    complete("large", &upload, parts).await;

    let upload = s3::begin(&client, BUCKET, "copy").await;
    let range = |from: i64, to: i64| Some(format!("bytes={from}-{}", to - 1));
    let whole = 5632 * MIB;
    let too_much = copy("copy", &upload, 1, "large", range(0, 5120 * MIB + 1)).await;
    assert_eq!(s3::refusal("over 5 GiB", too_much).0, 400);
    let parts = vec![
        done(1, copy("copy", &upload, 1, "large", range(0, 5120 * MIB)).await.unwrap()),
        done(2, copy("copy", &upload, 2, "large", range(5120 * MIB, whole)).await.unwrap()),
    ];
    complete("copy", &upload, parts).await;

    let head = || client.head_object().bucket(BUCKET).key("copy");
    assert_eq!(head().send().await.unwrap().content_length(), Some(whole));
    let second = head().part_number(2).send().await.unwrap();
    assert_eq!((second.content_length(), second.parts_count()), (Some(512 * MIB), Some(2)));
    for at in [0, 64 * MIB, 5120 * MIB, whole - 10] {
        let from = (at - 10).max(0);
        let read = client.get_object().bucket(BUCKET).key("copy").range(format!("bytes={from}-{}", at + 9));
        let read = read.send().await.unwrap().body.collect().await.unwrap().into_bytes();
        let expected: Vec<_> =
            (from..at + 10).map(|at| piece[usize::try_from(at % (64 * MIB)).unwrap()]).collect();
        assert_same(&format!("around {at}"), &read, &expected);
    }
}
