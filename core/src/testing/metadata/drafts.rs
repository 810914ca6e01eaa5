//! Composites that are drafted before their completion.

use super::bench::{Bench, object, refusal};
use super::uploads::{claims, complete, copied_parts, new_upload, part};
use crate::application::ports::metadata::{CompleteUpload, Draft, MetadataStore, Mutation, Refusal};
use crate::domain::blob::BlobId;
use crate::domain::multipart::{PORTION_PIECES_MAX, UploadId, UploadParts};
use crate::domain::range::Span;

/// The least size of a part that is not the last.
const MIN: u64 = 5 << 20;

/// More stretches than one transaction writes, in parts of a hundred.
const PARTS: i64 = 25;

/// A composite of a hundred stretches.
async fn hundred(bench: &Bench<'_>) -> BlobId {
    let leaf = part(bench, new_upload(bench, "leaf").await, 1, "leaf", MIN).await.blob;
    let upload = new_upload(bench, "hundred").await;
    copy(bench, upload, 100, leaf).await;
    let made = object(complete(bench, upload, claims(&(1..=100).collect::<Vec<_>>())).await);
    made.content.unwrap().blob
}

async fn copy(bench: &Bench<'_>, upload: UploadId, count: i64, of: BlobId) {
    for outcome in bench.commit(copied_parts(bench, upload, count, of)).await {
        outcome.unwrap();
    }
}

/// An upload of 2,500 stretches and one small part behind them.
async fn long_upload(bench: &Bench<'_>, name: &str, of: BlobId) -> UploadId {
    let upload = new_upload(bench, name).await;
    copy(bench, upload, PARTS, of).await;
    part(bench, upload, PARTS + 1, name, 7).await;
    upload
}

async fn read(bench: &Bench<'_>, upload: UploadId) -> UploadParts {
    bench.store.upload_parts(upload).await.unwrap().unwrap()
}

async fn draft(bench: &Bench<'_>, upload: UploadId, read: &UploadParts) -> Option<Draft> {
    let parts = read.select(None).unwrap();
    assert!(read.pieces_of(&parts) > 2 * PORTION_PIECES_MAX, "in three portions at least");
    bench.store.draft_composite(upload, &bench.domain, read, &parts, bench.now()).await.unwrap()
}

async fn completion(
    bench: &Bench<'_>,
    upload: UploadId,
    read: &UploadParts,
    draft: Option<Draft>,
) -> Mutation {
    let read = read.clone().into();
    Mutation::Complete(Box::new(CompleteUpload {
        read,
        claims: None,
        draft,
        ..bench.complete(upload, Vec::new()).await
    }))
}

/// A long composite is refused unless it was drafted, and then consists of the stretches of its parts, in their order.
/// GC leaves the draft alone as long as the upload refers to it.
pub async fn a_long_composite_is_drafted_first(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let of = hundred(&bench).await;
    let upload = long_upload(&bench, "long", of).await;
    let read = read(&bench, upload).await;
    assert_eq!(refusal(bench.one(completion(&bench, upload, &read, None).await).await), Refusal::Changed);
    let drafted = draft(&bench, upload, &read).await.unwrap();
    bench.finish().await;
    bench.collect().await;
    let made = object(bench.one(completion(&bench, upload, &read, Some(drafted)).await).await);
    let content = made.content.unwrap();
    let size = 2500 * MIN + 7;
    assert_eq!((content.blob, content.size, content.parts.0), (drafted.blob, size, 26));
    let extents = store.extents(content.blob, Span::whole(size)).await.unwrap();
    assert_eq!(extents.len(), 2501);
    assert_eq!(extents.iter().map(|extent| extent.length).sum::<u64>(), size);
    let last = store.part_span(content.blob, 26).await.unwrap();
    assert_eq!(last, Some((Span { start: 2500 * MIN, end: size }, 26)));

    // The same content again is found, and needs no draft.
    let again = long_upload(&bench, "long", of).await;
    let parts = self::read(&bench, again).await;
    let same = object(bench.one(completion(&bench, again, &parts, None).await).await);
    assert_eq!(same.content.unwrap().blob, drafted.blob);
    bench.collect().await;
    bench.finish().await;
}

/// A draft of parts that have changed, or whose place another draft took, is not taken. Each draft that nothing comes of
/// is collected, at the latest when its upload ends.
pub async fn a_stale_draft_is_not_taken(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let of = hundred(&bench).await;
    let upload = long_upload(&bench, "long", of).await;
    let before = read(&bench, upload).await;
    let first = draft(&bench, upload, &before).await.unwrap();
    let second = draft(&bench, upload, &before).await.unwrap();
    let stale = bench.one(completion(&bench, upload, &before, Some(first)).await).await;
    assert_eq!(refusal(stale), Refusal::Changed, "another draft took its place");
    assert_eq!(bench.collect().await, 1, "the first draft");

    part(&bench, upload, PARTS + 1, "other", 8).await;
    let after = read(&bench, upload).await;
    let stale = bench.one(completion(&bench, upload, &after, Some(second)).await).await;
    assert_eq!(refusal(stale), Refusal::Changed, "a part changed");
    assert_eq!(draft(&bench, upload, &before).await, None, "a part changed before the draft");

    bench.finish().await;
    assert!(store.abort_upload(upload).await.unwrap());
    bench.finish().await;
    bench.collect().await;
    assert_eq!(store.extents(second.blob, Span::whole(1)).await.unwrap(), [], "the second draft");
    assert_eq!(draft(&bench, upload, &before).await, None, "the upload is gone");
    bench.finish().await;
}
