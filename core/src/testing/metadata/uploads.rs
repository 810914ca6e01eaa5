//! Uploads in parts.

use std::ops::Bound;

use super::bench::{Bench, etag, key, md5, object, refusal};
use crate::application::ports::metadata::{
    CompleteUpload, ListUploadsQuery, MetadataStore, Mutation, MutationOutcome, NewContent, PutPart, Refusal,
};
use crate::domain::acl::CannedAcl;
use crate::domain::blob::{BlobId, Hash};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumHasher, ChecksumKind, ExpectedChecksum};
use crate::domain::etag::Etag;
use crate::domain::multipart::{
    CompleteRefusal, PART_PIECES_MAX, PIECES_MAX, PORTION_PIECES_MAX, Part, PartClaim, PartNumber, UploadId,
};
use crate::domain::naming::ContentName;
use crate::domain::object::{Attributes, ObjectId};
use crate::domain::range::Span;
use crate::domain::storage_class::{ClassName, StorageClass};

/// The least size of a part that is not the last.
const MIN: u64 = 5 << 20;

/// A part's number.
pub fn number(n: i64) -> PartNumber {
    PartNumber::new(n).unwrap()
}

/// Begins an upload of a key.
pub(super) async fn new_upload(bench: &Bench<'_>, name: &str) -> UploadId {
    begin(bench, name, None).await
}

async fn begin(
    bench: &Bench<'_>,
    name: &str,
    checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
) -> UploadId {
    let id = UploadId(ObjectId::fresh(bench.now()).0);
    let attributes = Attributes {
        metadata: [("from".to_owned(), "upload".to_owned())].into(),
        class: Some(StorageClass::Hot),
        class_name: Some(ClassName::ReducedRedundancy),
        acl: CannedAcl::PublicRead,
        ..Attributes::default()
    };
    let now = bench.now();
    let upload = bench
        .store
        .create_upload(id, &bench.space, None, Some(&key(name)), &attributes, checksum, now)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bench.store.find_upload(id).await.unwrap(), Some(upload));
    id
}

/// Puts a part whose bytes are named by a text, of a size that need not be written.
pub(super) async fn part(bench: &Bench<'_>, upload: UploadId, n: i64, body: &str, size: u64) -> Part {
    let leaf = bench.staged_as(Hash::of(body.as_bytes()), size, StorageClass::Hot);
    part_of(bench, upload, n, body, NewContent::Staged(leaf), None).await
}

async fn part_of(
    bench: &Bench<'_>,
    upload: UploadId,
    n: i64,
    body: &str,
    content: NewContent,
    checksum: Option<Checksum>,
) -> Part {
    let put = PutPart {
        upload,
        number: number(n),
        domain: bench.domain.clone(),
        content,
        etag: etag(body.as_bytes()),
        md5: Some(md5(body.as_bytes())),
        checksum,
        announced: None,
        quota: None,
    };
    match bench.one(Mutation::PutPart(Box::new(put))).await {
        Ok(MutationOutcome::Part { part, .. }) => *part,
        other => panic!("not a part: {other:?}"),
    }
}

/// Copies of a blob, as the first `count` parts of an upload.
pub(super) fn copied_parts(bench: &Bench<'_>, upload: UploadId, count: i64, of: BlobId) -> Vec<Mutation> {
    let copy = |n| {
        Mutation::PutPart(Box::new(PutPart {
            upload,
            number: number(n),
            domain: bench.domain.clone(),
            content: NewContent::Existing(of),
            etag: etag(b"copied"),
            md5: None,
            checksum: None,
            announced: None,
            quota: None,
        }))
    };
    (1..=count).map(copy).collect()
}

/// Claims of these numbers, without tags.
pub(super) fn claims(numbers: &[i64]) -> Vec<PartClaim> {
    numbers.iter().map(|n| PartClaim { number: number(*n), etag: None, checksum: None }).collect()
}

/// Completes an upload.
pub(super) async fn complete(
    bench: &Bench<'_>,
    upload: UploadId,
    claims: Vec<PartClaim>,
) -> Result<MutationOutcome, Refusal> {
    complete_expecting(bench, upload, claims, None).await
}

async fn complete_expecting(
    bench: &Bench<'_>,
    upload: UploadId,
    claims: Vec<PartClaim>,
    expected: Option<ExpectedChecksum>,
) -> Result<MutationOutcome, Refusal> {
    // As the store does it: with the parts as they were read before, and a draft if they are many.
    let mut complete = CompleteUpload { expected, ..bench.complete(upload, claims.clone()).await };
    let read = complete.read.clone();
    if let Ok(parts) = read.select(Some(&claims))
        && read.pieces_of(&parts) > PORTION_PIECES_MAX
    {
        let draft = bench.store.draft_composite(upload, &bench.domain, &read, &parts, bench.now());
        complete.draft = draft.await.unwrap();
    }
    bench.one(Mutation::Complete(Box::new(complete))).await
}

/// Hash, tag, size, extents, part boundaries: all as S3 has them; the parts' order is their numbers'.
pub async fn parts_become_one_object(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.has_put("k", b"before").await;
    let upload = new_upload(&bench, "k").await;
    let third = part(&bench, upload, 7, "third", 11).await;
    let first = part(&bench, upload, 2, "first", MIN).await;
    let second = part(&bench, upload, 5, "second", MIN + 1).await;
    let listed = store.list_parts(upload, Some(number(2)), 10).await.unwrap();
    assert_eq!(listed, [second.clone(), third.clone()]);
    assert_eq!(store.list_parts(upload, None, 1).await.unwrap(), std::slice::from_ref(&first));

    let made = object(complete(&bench, upload, claims(&[2, 5, 7])).await);
    let content = made.content.unwrap();
    let hashes = [Hash::of(b"first"), Hash::of(b"second"), Hash::of(b"third")];
    assert_eq!(content.name, ContentName::of_leaves(&hashes));
    assert_eq!(content.size, 2 * MIN + 12);
    assert_eq!(made.etag, Etag::multipart([&md5(b"first"), &md5(b"second"), &md5(b"third")]));
    assert_eq!((made.metadata["from"].as_str(), made.acl), ("upload", CannedAcl::PublicRead));
    assert_eq!(made.class_name, Some(ClassName::ReducedRedundancy));
    assert_eq!(bench.find("k").await.unwrap().object, made);
    assert_eq!(store.completed_by(upload).await.unwrap(), Some(made.clone()));
    assert_eq!(store.find_upload(upload).await.unwrap(), None);
    assert_eq!(refusal(complete(&bench, upload, claims(&[2])).await), Refusal::NoSuchUpload);

    let whole = store.extents(content.blob, Span::whole(content.size)).await.unwrap();
    let read: Vec<_> = whole.iter().map(|extent| (extent.hash, extent.offset, extent.length)).collect();
    assert_eq!(read, [(hashes[0], 0, MIN), (hashes[1], 0, MIN + 1), (hashes[2], 0, 11)]);
    let inner = store.extents(content.blob, Span { start: MIN - 2, end: MIN + 3 }).await.unwrap();
    let read: Vec<_> = inner.iter().map(|extent| (extent.hash, extent.offset, extent.length)).collect();
    assert_eq!(read, [(hashes[0], MIN - 2, 2), (hashes[1], 0, 3)]);
    let spans = [(1, 0, MIN), (2, MIN, 2 * MIN + 1), (3, 2 * MIN + 1, 2 * MIN + 12)];
    for (part, start, end) in spans {
        let span = store.part_span(content.blob, part).await.unwrap();
        assert_eq!(span, Some((Span { start, end }, 3)));
    }
    assert_eq!(store.part_span(content.blob, 4).await.unwrap(), None);
    bench.collect().await;
    assert_eq!(store.extents(content.blob, Span::whole(content.size)).await.unwrap(), whole);
    bench.finish().await;
}

/// A part put again replaces the first; parts that the completion does not name go.
pub async fn parts_may_be_replaced_and_left_out(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let upload = new_upload(&bench, "k").await;
    part(&bench, upload, 1, "replaced", MIN).await;
    part(&bench, upload, 1, "replacing", MIN).await;
    part(&bench, upload, 2, "left out", MIN).await;
    part(&bench, upload, 3, "last", 3).await;
    assert_eq!(bench.collect().await, 1, "the replaced part");
    let made = object(complete(&bench, upload, claims(&[1, 3])).await);
    assert_eq!(
        made.content.unwrap().name,
        ContentName::of_leaves(&[Hash::of(b"replacing"), Hash::of(b"last")])
    );
    assert_eq!(bench.collect().await, 1, "the part left out");
    assert_eq!(store.part_span(made.content.unwrap().blob, 2).await.unwrap().map(|(_, n)| n), Some(2));
    bench.finish().await;
}

/// Wrong order, too small, missing, wrong tag, wrong checksum: refused, and the upload is still there.
pub async fn a_wrong_completion_is_refused_and_may_be_repeated(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let upload = new_upload(&bench, "k").await;
    part(&bench, upload, 1, "a", MIN).await;
    part(&bench, upload, 2, "b", 7).await;
    part(&bench, upload, 3, "c", 7).await;
    let refused = async |claims: Vec<PartClaim>| match complete(&bench, upload, claims).await {
        Err(Refusal::Complete(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(refused(vec![]).await, CompleteRefusal::NoParts);
    assert_eq!(refused(claims(&[2, 1])).await, CompleteRefusal::Order);
    assert_eq!(refused(claims(&[1, 4])).await, CompleteRefusal::Part(number(4)));
    let too_small = CompleteRefusal::TooSmall { number: number(2), size: 7 };
    assert_eq!(refused(claims(&[1, 2, 3])).await, too_small);
    let wrong = PartClaim { etag: Some(etag(b"x")), ..claims(&[1]).remove(0) };
    assert_eq!(refused(vec![wrong]).await, CompleteRefusal::Part(number(1)));
    let conditional = CompleteUpload {
        preconditions: super::bench::matching(b"x"),
        ..bench.complete(upload, claims(&[1, 2])).await
    };
    let outcome = bench.one(Mutation::Complete(Box::new(conditional))).await;
    assert_eq!(refusal(outcome), Refusal::NoSuchObject);
    assert_eq!(bench.find("k").await, None);
    assert_eq!(store.completed_by(upload).await.unwrap(), None);
    object(complete(&bench, upload, claims(&[1, 2])).await);
    bench.finish().await;
}

/// Parts copied from composites and slices: the new composite refers to leaves, with its own part numbers.
pub async fn composites_of_composites_are_flat(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let upload = new_upload(&bench, "source").await;
    part(&bench, upload, 1, "a", MIN).await;
    part(&bench, upload, 2, "b", MIN).await;
    part(&bench, upload, 3, "c", 10).await;
    let source = object(complete(&bench, upload, claims(&[1, 2, 3])).await).content.unwrap();

    let upload = new_upload(&bench, "copy").await;
    let whole = part_of(&bench, upload, 1, "1", NewContent::Existing(source.blob), None).await;
    assert_eq!(whole.name, source.name);
    let stretch = NewContent::Slice(source.blob, Span { start: 1, end: MIN + 5 });
    part_of(&bench, upload, 2, "2", stretch, None).await;
    part(&bench, upload, 3, "d", 4).await;
    let copy = object(complete(&bench, upload, claims(&[1, 2, 3])).await).content.unwrap();
    assert_eq!(copy.size, source.size + MIN + 4 + 4);
    let extents = store.extents(copy.blob, Span::whole(copy.size)).await.unwrap();
    let read: Vec<_> = extents.iter().map(|extent| (extent.hash, extent.offset, extent.length)).collect();
    let (a, b, c, d) = (Hash::of(b"a"), Hash::of(b"b"), Hash::of(b"c"), Hash::of(b"d"));
    assert_eq!(read, [(a, 0, MIN), (b, 0, MIN), (c, 0, 10), (a, 1, MIN - 1), (b, 0, 5), (d, 0, 4)]);
    let spans: Vec<_> = [1, 2, 3, 4].map(|n| store.part_span(copy.blob, n)).into();
    let spans: Vec<_> = futures::future::join_all(spans).await.into_iter().map(Result::unwrap).collect();
    let second = source.size + MIN + 4;
    assert_eq!(
        spans,
        [
            Some((Span { start: 0, end: source.size }, 3)),
            Some((Span { start: source.size, end: second }, 3)),
            Some((Span { start: second, end: copy.size }, 3)),
            None
        ]
    );
    // The source and the slice go, the leaves stay.
    bench.has_deleted(bench.delete("source")).await;
    assert_eq!(bench.collect().await, 2);
    assert_eq!(store.extents(copy.blob, Span::whole(copy.size)).await.unwrap(), extents);
    bench.has_deleted(bench.delete("copy")).await;
    assert_eq!(bench.collect().await, 5);
    bench.finish().await;
}

/// An empty last part is a part; an empty whole is an object.
pub async fn empty_parts_keep_their_numbers(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let upload = new_upload(&bench, "k").await;
    part(&bench, upload, 1, "a", MIN).await;
    part(&bench, upload, 2, "", 0).await;
    let content = object(complete(&bench, upload, claims(&[1, 2])).await).content.unwrap();
    let end = Span { start: MIN, end: MIN };
    assert_eq!(store.part_span(content.blob, 2).await.unwrap(), Some((end, 2)));
    assert_eq!(store.extents(content.blob, Span::whole(MIN)).await.unwrap().len(), 1);

    let upload = new_upload(&bench, "empty").await;
    part(&bench, upload, 1, "", 0).await;
    let content = object(complete(&bench, upload, claims(&[1])).await).content.unwrap();
    assert_eq!(content.size, 0);
    assert_eq!(store.extents(content.blob, Span::whole(0)).await.unwrap(), []);
    let upload = new_upload(&bench, "copied").await;
    part_of(&bench, upload, 1, "e", NewContent::Existing(content.blob), None).await;
    let copied = object(complete(&bench, upload, claims(&[1])).await).content.unwrap();
    let nothing = Span { start: 0, end: 0 };
    assert_eq!(store.part_span(copied.blob, 1).await.unwrap(), Some((nothing, 1)));
    bench.finish().await;
}

/// The whole's checksum is computed from the parts', and must be the one the client expects.
pub async fn checksums_of_parts_are_confirmed(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let crc = |body: &[u8]| {
        let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc64Nvme);
        hasher.update(body);
        hasher.finish()
    };
    let full = Some((ChecksumAlgorithm::Crc64Nvme, ChecksumKind::FullObject));
    let upload = begin(&bench, "k", full).await;
    let body = b"only part";
    let staged = bench.staged(body);
    part_of(&bench, upload, 1, "only part", staged, Some(crc(body))).await;
    let expecting = |digest| Some(ExpectedChecksum { digest, parts: None, kind: None });
    let wrong = complete_expecting(&bench, upload, claims(&[1]), expecting(crc(b"other"))).await;
    assert_eq!(refusal(wrong), Refusal::ChecksumMismatch);
    let made = object(complete_expecting(&bench, upload, claims(&[1]), expecting(crc(body))).await);
    assert_eq!(made.checksum, Some(crc(body)));
    assert_eq!(bench.find("k").await.unwrap().object.checksum, Some(crc(body)));
    bench.finish().await;
}

/// By key, then by age; pages join within a key, also after an upload that is gone.
pub async fn uploads_are_listed_by_key_and_age(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let mut expected = Vec::new();
    for name in ["B", "a/1", "a/2", "b"] {
        for _ in 0..3 {
            expected.push((name, new_upload(&bench, name).await));
        }
    }
    let space = bench.space().await.id;
    let list = async |prefix: &str, after: Option<(String, Option<UploadId>)>, limit| {
        let (from, from_upload) = match after {
            Some((key, upload)) => (Bound::Excluded(key), upload),
            None => (Bound::Unbounded, None),
        };
        let query = ListUploadsQuery { space, prefix: prefix.to_owned(), from, from_upload, limit };
        let page = store.list_uploads(&query).await.unwrap();
        page.iter().map(|upload| upload.id).collect::<Vec<_>>()
    };
    let ids = |wanted: &dyn Fn(usize, &str) -> bool| {
        let wanted = |(n, (name, _)): &(usize, &(&str, UploadId))| wanted(*n, name);
        expected.iter().enumerate().filter(wanted).map(|(_, (_, id))| *id).collect::<Vec<_>>()
    };
    assert_eq!(list("", None, 100).await, ids(&|_, _| true));
    assert_eq!(list("a", None, 100).await, ids(&|_, name| name.starts_with("a/")));
    assert_eq!(list("", Some(("a/1".to_owned(), None)), 100).await, ids(&|_, name| name > "a/1"));
    for (n, (name, id)) in expected.iter().enumerate() {
        let after = Some(((*name).to_owned(), Some(*id)));
        assert_eq!(list("", after, 4).await, ids(&|m, _| m > n && m <= n + 4));
    }
    let included = ListUploadsQuery {
        space,
        prefix: String::new(),
        from: Bound::Included("a/2".to_owned()),
        from_upload: None,
        limit: 100,
    };
    let page = store.list_uploads(&included).await.unwrap();
    assert_eq!(page.iter().map(|upload| upload.id).collect::<Vec<_>>(), ids(&|_, name| name >= "a/2"));
    let gone = expected[4];
    assert!(store.abort_upload(gone.1).await.unwrap());
    let after = Some((gone.0.to_owned(), Some(gone.1)));
    assert_eq!(list("", after, 100).await, ids(&|m, _| m > 4));

    let stale = store.stale_uploads(bench.later(1), 100_000).await.unwrap();
    let ours: Vec<_> = stale.into_iter().filter(|id| expected.iter().any(|(_, e)| e == id)).collect();
    assert_eq!(ours, ids(&|m, _| m != 4), "oldest first");
    assert!(store.stale_uploads(crate::domain::timestamp::Timestamp(0), 10).await.unwrap().is_empty());
    bench.finish().await;
}

/// An abort takes the parts along, and later parts are refused.
pub async fn an_aborted_upload_leaves_nothing(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let upload = new_upload(&bench, "k").await;
    let first = part(&bench, upload, 1, "a", 7).await;
    part(&bench, upload, 2, "b", 7).await;
    let keeper = bench.put_content("keeper", NewContent::Existing(first.blob), etag(b"a"));
    object(bench.try_put(keeper).await);
    assert!(store.abort_upload(upload).await.unwrap());
    assert!(!store.abort_upload(upload).await.unwrap());
    assert_eq!(store.list_parts(upload, None, 10).await.unwrap(), []);
    let late = PutPart {
        upload,
        number: number(3),
        domain: bench.domain.clone(),
        content: bench.staged(b"late"),
        etag: etag(b"late"),
        md5: None,
        checksum: None,
        announced: None,
        quota: None,
    };
    assert_eq!(refusal(bench.one(Mutation::PutPart(Box::new(late))).await), Refusal::NoSuchUpload);
    assert_eq!(bench.collect().await, 1, "an object keeps the other part's bytes");
    bench.assert_latest("keeper", Some(b"a")).await;
    bench.finish().await;
}

/// What an upload was completed of is known as long as its object, so that a repetition can be told from another
/// completion.
pub async fn what_was_completed_is_remembered(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let upload = new_upload(&bench, "k").await;
    let first = part(&bench, upload, 1, "a", MIN).await;
    part(&bench, upload, 2, "b", MIN).await;
    let last = part(&bench, upload, 9, "c", 3).await;
    assert_eq!(store.completion(upload).await.unwrap(), None);
    object(complete(&bench, upload, claims(&[1, 9])).await);
    let completed = store.completion(upload).await.unwrap().unwrap();
    assert!(completed.left_out && completed.conditions.is_empty());
    let of = |part: &Part| (part.number, part.size, part.etag.clone(), part.checksum.clone());
    let known: Vec<_> =
        completed.parts.iter().map(|p| (p.number, p.size, p.etag.clone(), p.checksum.clone())).collect();
    assert_eq!(known, [of(&first), of(&last)]);
    bench.has_deleted(bench.delete("k")).await;
    bench.collect().await;
    assert_eq!(store.completion(upload).await.unwrap(), None, "it goes with its object");
    bench.finish().await;
}

/// Parts that were read outside the transaction count only if none has changed since; replaced, added, or gone.
pub async fn a_completion_of_parts_that_changed_is_refused(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let upload = new_upload(&bench, "k").await;
    let mut bodies = ["one", "two"];
    part(&bench, upload, 1, "one", 10).await;
    for (number, body) in [(1, "other"), (2, "two")] {
        let stale = bench.complete(upload, claims(&[1])).await;
        part(&bench, upload, number, body, 10).await;
        assert_eq!(refusal(bench.one(Mutation::Complete(Box::new(stale))).await), Refusal::Changed);
    }
    bodies[0] = "other";
    let read = store.upload_parts(upload).await.unwrap().unwrap();
    let hashes: Vec<_> = read.parts.iter().map(|part| part.name.digest()).collect();
    assert_eq!(hashes, bodies.iter().map(|body| Hash::of(body.as_bytes())).collect::<Vec<_>>());
    object(complete(&bench, upload, claims(&[1])).await);
    assert_eq!(store.upload_parts(upload).await.unwrap(), None);
    let late = CompleteUpload { read: read.into(), ..bench.complete(upload, claims(&[1])).await };
    assert_eq!(refusal(bench.one(Mutation::Complete(Box::new(late))).await), Refusal::NoSuchUpload);
    bench.finish().await;
}

/// However often objects are copied into parts of others: no object consists of more than [`PIECES_MAX`] stretches.
/// The part that would bring too many is refused, and a completion too if the parts were not counted.
pub async fn copied_pieces_are_bounded(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let leaf = part(&bench, new_upload(&bench, "leaf").await, 1, "leaf", MIN).await.blob;
    let copies = async |name: &str, of: BlobId, count: i64| {
        let upload = new_upload(&bench, name).await;
        let outcomes = bench.commit(copied_parts(&bench, upload, count, of)).await;
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let why = outcomes.into_iter().find_map(Result::err);
        (upload, i64::try_from(made).unwrap(), why)
    };
    let completed = async |(upload, made, refused): (UploadId, i64, Option<Refusal>)| {
        assert_eq!(refused, None);
        object(complete(&bench, upload, claims(&(1..=made).collect::<Vec<_>>())).await).content.unwrap().blob
    };
    let hundred = completed(copies("100", leaf, 100).await).await;
    let thousand = completed(copies("2000", hundred, 20).await).await;
    let too_many = completed(copies("4000", thousand, 2).await).await;
    let (_, made, refused) = copies("too many at once", too_many, 1).await;
    let pieces = CompleteRefusal::TooManyPieces { pieces: 4000, max: PART_PIECES_MAX };
    assert_eq!((made, refused), (0, Some(Refusal::Complete(pieces))));
    let (upload, made, refused) = copies("20000", thousand, 11).await;
    let pieces = CompleteRefusal::TooManyPieces { pieces: 22_000, max: PIECES_MAX };
    assert_eq!((made, refused), (10, Some(Refusal::Complete(pieces))));
    // A part that was sent is always taken, and one in the place of another counts alone.
    part(&bench, upload, 1, "sent", MIN).await;
    let read = store.upload_parts(upload).await.unwrap().unwrap();
    assert_eq!(read.pieces_of(&read.parts), 18_001);
    let whole = object(complete(&bench, upload, claims(&(1..=10).collect::<Vec<_>>())).await);
    let extents = store.extents(whole.content.unwrap().blob, Span::whole(whole.size())).await.unwrap();
    assert_eq!(extents.len(), 18_001);
    bench.finish().await;
}
