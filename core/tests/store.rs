//! The use cases over the real database and real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use bytes::Bytes;
use common::{Running, copy_to, noise, object, place, put_request, root, segment_files};
use futures::StreamExt as _;
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::list::{Entry, ListRequest};
use juststorage_core::application::objects::put::EtagStyle;
use juststorage_core::application::objects::tagged::LOOKED_AT_MAX;
use juststorage_core::application::objects::update::Change;
use juststorage_core::application::ports::clock::Clock as _;
use juststorage_core::application::ports::metadata::{Mutation, NewContent, PutObject, WriterId};
use juststorage_core::application::uploads::{Completion, CopyPartRequest, UploadRef, UploadRequest};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::{Key, Tenant};
use juststorage_core::domain::blob::Hash;
use juststorage_core::domain::context::Context;
use juststorage_core::domain::event::Cause;
use juststorage_core::domain::multipart::{CompleteRefusal, PART_BYTES_MIN, PartClaim, PartNumber};
use juststorage_core::domain::object::{Attributes, ObjectId};
use juststorage_core::domain::precondition::{EtagCondition, Preconditions};
use juststorage_core::domain::principal::{Principal, Proof, Rights, Tenants};
use juststorage_core::domain::range::ByteRange;
use juststorage_core::domain::space::DedupScope;
use juststorage_core::domain::storage_class::StorageClass;
use tempfile::TempDir;

fn range(text: &str) -> ReadOptions {
    ReadOptions { range: ByteRange::from_header(text), ..ReadOptions::default() }
}

/// A store that lasts as long as its folder.
async fn opened() -> (TempDir, Running) {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    (folder, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_size_comes_back_whole_and_in_ranges() {
    let (_folder, running) = opened().await;
    let sizes = [0, 1, 65_535, 65_536, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000];
    for (seed, size) in sizes.into_iter().enumerate() {
        let (key, bytes) = (format!("k{size}"), noise(seed as u64, size));
        let put = running.put(&key, bytes.clone()).await.unwrap();
        assert_eq!(put.content.unwrap().name.digest(), Hash::of(&bytes), "{size}");
        assert_eq!(running.read(&key).await.unwrap(), bytes, "{size}");
        if size > 2 {
            let middle = size / 2;
            let read = running.read_with(&key, &range(&format!("bytes={middle}-{}", size - 2))).await;
            assert_eq!(read.unwrap(), bytes.slice(middle..size - 1), "{size}");
        }
    }
    assert_eq!(running.findings().await, []);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_content_is_stored_once_and_goes_with_its_last_owner() {
    let (folder, running) = opened().await;
    let bytes = noise(1, 3_000_000);
    for key in ["a", "b", "c", "d"] {
        running.put(key, bytes.clone()).await.unwrap();
    }
    running.collect().await;
    assert_eq!(segment_files(folder.path()).len(), 1, "four keys, one segment");
    for key in ["a", "b", "c"] {
        running.delete(key).await;
        running.collect().await;
        assert_eq!(running.read("d").await.unwrap(), bytes);
    }
    running.delete("d").await;
    running.collect().await;
    assert_eq!(segment_files(folder.path()), [] as [std::path::PathBuf; 0]);
    assert_eq!(running.findings().await, []);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing_acknowledged_and_leaves_nothing_else() {
    let (folder, running) = opened().await;
    let (small, large) = (noise(1, 1000), noise(2, 2_000_000));
    running.put("small", small.clone()).await.unwrap();
    running.put("large", large.clone()).await.unwrap();
    // An upload that is under way when the process dies.
    let (sender, frames) = tokio::sync::mpsc::channel::<Bytes>(1);
    let stream = futures::stream::unfold(frames, |mut frames| async {
        frames.recv().await.map(|frame| (Ok(frame), frames))
    });
    let store = running.store.clone();
    let body = Body { length: Some(4_000_000), ..Body::new(stream.boxed()) };
    let upload = tokio::spawn(async move { store.put(&root(), put_request("half"), body).await });
    for seed in 0..4 {
        sender.send(noise(seed, 600_000)).await.unwrap();
    }
    upload.abort();
    running.crash().await;
    drop(sender);

    let running = Running::open(folder.path()).await;
    assert_eq!(running.read("small").await.unwrap(), small);
    assert_eq!(running.read("large").await.unwrap(), large);
    assert!(matches!(running.read("half").await, Err(Error::NoSuchObject)));
    running.collect().await;
    assert_eq!(segment_files(folder.path()).len(), 2, "one pack, one single, nothing staged");
    assert_eq!(running.findings().await, []);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_become_one_object_without_moving_a_byte() {
    let (folder, running) = opened().await;
    let part = usize::try_from(PART_BYTES_MIN).unwrap();
    let parts = [noise(1, part), noise(2, part + 7), noise(3, 11)];
    let request = UploadRequest {
        place: place(),
        key: Some(Key::new("whole").unwrap()),
        attributes: Attributes::default(),
        checksum: None,
    };
    let upload = running.store.create_upload(&root(), request).await.unwrap();
    let reference = UploadRef { id: upload.id, at: None };
    let mut claims = Vec::new();
    for (index, bytes) in (1..).zip(&parts) {
        let number = PartNumber::new(index).unwrap();
        let body = Body::of_bytes(bytes.clone());
        let part =
            running.store.put_part(&root(), &reference, number, EtagStyle::Md5, None, body).await.unwrap();
        claims.push(PartClaim { number, etag: Some(part.etag), checksum: None });
    }
    // A fourth part is a range of an object that exists.
    running.put("source", noise(4, 100_000)).await.unwrap();
    let number = PartNumber::new(4).unwrap();
    let copy = CopyPartRequest {
        source: object("source"),
        source_preconditions: Preconditions::default(),
        range: ByteRange::from_header("bytes=10-70000"),
    };
    let refused = Completion {
        claims: Some([&claims[..], &[PartClaim { number, etag: None, checksum: None }]].concat().into()),
        ..Completion::default()
    };
    assert!(matches!(
        running.store.complete_upload(&root(), &reference, refused).await,
        Err(Error::Complete(_))
    ));
    claims.pop();
    let (_, last) = running.store.copy_part(&root(), &reference, number, &copy).await.unwrap();
    claims.push(PartClaim { number, etag: Some(last.etag), checksum: None });
    let completion = Completion { claims: Some(claims.as_slice().into()), ..Completion::default() };
    let complete = async |completion| running.store.complete_upload(&root(), &reference, completion).await;
    let made = complete(completion.clone()).await.unwrap();
    assert_eq!(complete(completion.clone()).await.unwrap(), made, "a repeated completion is answered alike");
    // A part had been left out: all that had arrived is something else.
    assert!(matches!(complete(Completion::default()).await, Err(Error::NoSuchUpload)));
    assert!(matches!(
        complete(Completion { claims: Some(claims[..2].into()), ..Completion::default() }).await,
        Err(Error::Complete(CompleteRefusal::Part(left_out))) if left_out == number
    ));
    let sized = |expected_size| Completion { expected_size, ..completion.clone() };
    assert_eq!(complete(sized(Some(made.size()))).await.unwrap(), made);
    assert!(matches!(
        complete(sized(Some(7))).await,
        Err(Error::Complete(CompleteRefusal::Size { expected: 7, .. }))
    ));
    let absent = Preconditions { if_none_match: Some(EtagCondition::Any), ..Preconditions::default() };
    assert!(matches!(
        complete(Completion { preconditions: absent, ..completion }).await,
        Err(Error::PreconditionFailed(_))
    ));

    let whole: Bytes = [&parts[0][..], &parts[1][..], &noise(4, 100_000)[10..=70_000]].concat().into();
    running.delete("source").await;
    running.collect().await;
    assert_eq!(running.read("whole").await.unwrap(), whole);
    let border = range(&format!("bytes={}-{}", part - 3, part + 3));
    assert_eq!(running.read_with("whole", &border).await.unwrap(), whole.slice(part - 3..part + 4));
    let second = ReadOptions { part: Some(2), ..ReadOptions::default() };
    assert_eq!(running.read_with("whole", &second).await.unwrap(), parts[1]);
    assert_eq!(running.findings().await, []);

    running.delete("whole").await;
    running.collect().await;
    running.close().await;
    let running = Running::open(folder.path()).await;
    running.collect().await;
    assert_eq!(segment_files(folder.path()), [] as [std::path::PathBuf; 0]);
    running.close().await;
}

/// The second part's pack is compacted away between the first byte and the last: the reader follows the leaf to
/// where it lies now, and nothing is taken for damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_while_its_pack_is_compacted() {
    let (folder, running) = opened().await;
    running.put("junk", noise(9, 900_000)).await.unwrap();
    let request = UploadRequest {
        place: place(),
        key: Some(Key::new("whole").unwrap()),
        attributes: Attributes::default(),
        checksum: None,
    };
    let upload = running.store.create_upload(&root(), request).await.unwrap();
    let reference = UploadRef { id: upload.id, at: None };
    let parts = [noise(1, usize::try_from(PART_BYTES_MIN).unwrap()), noise(2, 50_000)];
    let mut claims = Vec::new();
    for (index, bytes) in (1..).zip(&parts) {
        let number = PartNumber::new(index).unwrap();
        let body = Body::of_bytes(bytes.clone());
        running.store.put_part(&root(), &reference, number, EtagStyle::Content, None, body).await.unwrap();
        claims.push(PartClaim { number, etag: None, checksum: None });
    }
    let completion = Completion { claims: Some(claims.into()), ..Completion::default() };
    running.store.complete_upload(&root(), &reference, completion).await.unwrap();
    running.close().await;

    let running = Running::open(folder.path()).await;
    let before = segment_files(folder.path());
    let options = ReadOptions::default();
    let download = running.store.get(&root(), &object("whole"), &options).await.unwrap();
    running.delete("junk").await;
    running.collect().await;
    assert_ne!(segment_files(folder.path()), before, "the pack was rewritten");
    let chunks: Vec<Bytes> = download.body.map(Result::unwrap).collect().await;
    assert!(chunks.concat() == parts.concat());
    assert_eq!(running.findings().await, []);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_decided_in_the_transaction() {
    let (_folder, running) = opened().await;
    let create = || {
        let mut request = put_request("k");
        request.preconditions.if_none_match = Some(EtagCondition::Any);
        request
    };
    let writers = (0..32_u8).map(|n| {
        let store = running.store.clone();
        async move { store.put(&root(), create(), Body::of_bytes(vec![n; 10].into())).await }
    });
    let results = futures::future::join_all(writers).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|r| matches!(r, Ok(_) | Err(Error::PreconditionFailed(_)))));
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_class_moves_the_bytes_and_reads_never_notice() {
    let (_folder, running) = opened().await;
    let objects = [("small", noise(1, 1000)), ("large", noise(2, 3_000_000))];
    for class in [StorageClass::Cold, StorageClass::Hot] {
        for (key, bytes) in &objects {
            running.put(key, bytes.clone()).await.unwrap();
            let change = Change { class: Some(class), ..Change::default() };
            running.store.update(&root(), Action::PutObject, &object(key), change).await.unwrap();
        }
        running.collect().await;
        for (key, bytes) in &objects {
            assert_eq!(running.read(key).await.unwrap(), *bytes);
        }
        let usage = running.store.usage(&root(), None, None).await.unwrap();
        let physical =
            |class| -> u64 { usage.iter().filter(|u| u.class == class).map(|u| u.physical_bytes).sum() };
        assert_eq!(physical(class), 3_001_000, "{class:?}");
        assert_eq!(running.findings().await, []);
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_reclaims_the_dead_half_of_a_pack() {
    let (folder, running) = opened().await;
    for n in 0..100 {
        running.put(&format!("k{n:03}"), noise(n, 10_000)).await.unwrap();
    }
    running.close().await;
    let running = Running::open(folder.path()).await;
    for n in 0..90 {
        running.delete(&format!("k{n:03}")).await;
    }
    running.collect().await;
    let bytes: u64 = segment_files(folder.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes < 200_000, "{bytes} bytes for ten objects of 10,000");
    for n in 90..100 {
        assert_eq!(running.read(&format!("k{n:03}")).await.unwrap(), noise(n, 10_000));
    }
    assert_eq!(running.findings().await, []);
    running.close().await;
}

/// A pack of one tiny blob is mostly framing; rewriting it would gain nothing, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_lost_nothing_is_left_alone() {
    let (folder, running) = opened().await;
    running.put("tiny", "x").await.unwrap();
    running.close().await;
    let running = Running::open(folder.path()).await;
    let before = segment_files(folder.path());
    running.collect().await;
    assert_eq!(segment_files(folder.path()), before);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_share_bytes_inside_a_domain_and_never_across() {
    let folder = TempDir::new().unwrap();
    let running = Running::open_with(folder.path(), DedupScope::Tenant).await;
    let bytes = noise(1, 2_000_000);
    running.put("a", bytes.clone()).await.unwrap();
    let (source, copy) = running.store.copy(&root(), copy_to(object("a"), "b")).await.unwrap();
    assert_eq!(source.content.unwrap().blob, copy.content.unwrap().blob);
    let mut other = copy_to(object("a"), "a");
    let mut address = common::space();
    address.tenant = Tenant::new("other").unwrap();
    other.place = juststorage_core::application::ports::metadata::SpaceRef::Space(address);
    let (source, copy) = running.store.copy(&root(), other).await.unwrap();
    assert_ne!(source.content.unwrap().blob, copy.content.unwrap().blob);
    assert_eq!(source.content.unwrap().name, copy.content.unwrap().name);
    assert_eq!(segment_files(folder.path()).len(), 2);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_object_is_as_absent_as_none() {
    let (_folder, running) = opened().await;
    let object_id = running.put("a", "secret").await.unwrap().id;
    let stranger = Principal {
        name: "stranger".into(),
        tenant: Tenant::new("evil").unwrap(),
        tenants: Tenants::Own,
        namespaces: None,
        prefixes: None,
        rights: Rights::all(),
        proof: Proof::Nothing,
        context: Context::default(),
    };
    let options = ReadOptions::default();
    for reference in [object("a"), object("nothing"), ObjectRef::Id(object_id)] {
        let denied = running.store.head(&stranger, &reference, &options).await;
        assert!(matches!(denied, Err(Error::NoSuchObject)));
        let denied = running.store.delete(&stranger, &reference, Preconditions::default()).await;
        assert!(matches!(denied, Err(Error::NoSuchObject)));
    }
    assert!(running.store.usage(&stranger, None, None).await.unwrap().is_empty());
    running.close().await;
}

/// Flips one stored bit: that read fails and says so, others go on, and the same bytes sent again heal it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_never_served() {
    let (folder, running) = opened().await;
    let bytes = noise(1, 3_000_000);
    running.put("other", noise(2, 2_000_000)).await.unwrap();
    running.put("damaged", bytes.clone()).await.unwrap();
    let files = segment_files(folder.path());
    let file = files.iter().find(|f| f.metadata().unwrap().len() > 2_900_000).unwrap();
    let mut stored = std::fs::read(file).unwrap();
    stored[1_500_000] ^= 1;
    std::fs::write(file, stored).unwrap();

    assert!(matches!(running.read("damaged").await, Err(Error::Corrupt)));
    assert!(running.read("other").await.is_ok());
    assert!(running.findings().await.iter().any(|finding| finding.code == "blob-quarantined"));
    running.put("again", bytes.clone()).await.unwrap();
    assert_eq!(running.read("damaged").await.unwrap(), bytes);
    assert_eq!(running.findings().await, []);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_up_while_others_write() {
    let (_folder, running) = opened().await;
    for folder in 0..5 {
        for file in 0..20 {
            running.put(&format!("{folder}/{file:02}"), "x").await.unwrap();
        }
    }
    running.put("top", "x").await.unwrap();
    let request = |delimiter: Option<&str>, after, limit| ListRequest {
        place: place(),
        prefix: String::new(),
        delimiter: delimiter.map(str::to_owned),
        after,
        versions: false,
        keyless: false,
        limit,
    };
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = running.store.list(&root(), &request(None, after, 7)).await.unwrap();
        for entry in &page.entries {
            let Entry::Object(object) = entry else { panic!("no prefixes were asked for") };
            seen.push(object.key.as_ref().unwrap().as_str().to_owned());
        }
        running.put(&format!("0/{}-new", seen.len()), "x").await.unwrap();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let old: Vec<_> = seen.iter().filter(|key| !key.ends_with("-new")).collect();
    assert_eq!(old.len(), 101, "no old key twice or missing");
    assert!(seen.is_sorted());

    let mut rolled = Vec::new();
    let mut after = None;
    loop {
        let page = running.store.list(&root(), &request(Some("/"), after, 2)).await.unwrap();
        assert!(page.entries.len() <= 2);
        rolled.extend(page.entries.into_iter().map(|entry| match entry {
            Entry::Prefix(prefix) => prefix,
            Entry::Object(object) => object.key.unwrap().as_str().to_owned(),
        }));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(rolled, ["0/", "1/", "2/", "3/", "4/", "top"]);
    running.close().await;
}

/// However few objects carry the tags, a page is over after so many that were looked at, and the next one goes on behind
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_by_tags_ends() {
    let (_folder, running) = opened().await;
    let first = running.store.put(&root(), put_request("a"), Body::of_bytes(Bytes::from("x"))).await.unwrap();
    let put = |number: usize| PutObject {
        space: first.address.clone(),
        bucket: None,
        key: Some(Key::new(&format!("k{number:05}")).unwrap()),
        id: ObjectId(uuid::Uuid::from_u128(number as u128 + 1)),
        domain: DedupScope::Tenant.domain(&first.address),
        content: NewContent::Existing(first.content.unwrap().blob),
        etag: first.etag.clone(),
        attributes: Attributes {
            tags: (number == LOOKED_AT_MAX).then(|| ("t".to_owned(), "v".to_owned())).into_iter().collect(),
            ..Attributes::default()
        },
        checksum: None,
        preconditions: Preconditions::default(),
        quota: None,
        announced: None,
        once: None,
        cause: Cause::default(),
        pulled: None,
    };
    let numbers: Vec<_> = (0..=LOOKED_AT_MAX).collect();
    for portion in numbers.chunks(1000) {
        let batch = portion.iter().map(|number| Mutation::Put(Box::new(put(*number)))).collect();
        let writer = WriterId(uuid::Uuid::from_u128(7));
        let outcomes = running.metadata.commit(writer, batch, running.clock.now()).await.unwrap();
        assert!(outcomes.iter().all(Result::is_ok));
    }
    let tags = [("t".to_owned(), "v".to_owned())].into();
    let mut request = ListRequest {
        place: place(),
        prefix: String::new(),
        delimiter: None,
        after: None,
        versions: false,
        keyless: true,
        limit: 10,
    };
    let page = running.store.list_tagged(&root(), &request, &tags).await.unwrap();
    assert!(page.entries.is_empty() && page.next.is_some(), "{page:?}");
    request.after = page.next;
    let page = running.store.list_tagged(&root(), &request, &tags).await.unwrap();
    let found: Vec<_> = page.entries.iter().map(|entry| entry.key().to_owned()).collect();
    assert_eq!((found, page.next), (vec![format!("k{LOOKED_AT_MAX:05}")], None));
}
