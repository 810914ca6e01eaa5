//! Puts, reads, conditions, updates.

use uuid::Uuid;

use super::bench::{Bench, absent, etag, key, matching, object, refusal};
use crate::application::ports::metadata::{
    MetadataStore, Mutation, MutationOutcome, NewContent, ObjectAddress, Refusal, SpaceRef, UpdateObject,
};
use crate::domain::acl::CannedAcl;
use crate::domain::blob::{BlobId, Hash};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumHasher};
use crate::domain::event::Cause;
use crate::domain::naming::ContentName;
use crate::domain::object::{Attributes, Headers, ObjectId};
use crate::domain::object_lock::ObjectLock;
use crate::domain::patch::AttributesPatch;
use crate::domain::precondition::{EtagCondition, Preconditions};
use crate::domain::space::Versioning;
use crate::domain::storage_class::{ClassName, StorageClass};
use crate::domain::timestamp::Timestamp;

/// WRITING and DELETING rows are never found.
pub async fn only_committed_objects_are_visible(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let announced = ObjectId::fresh(bench.now());
    let segment = crate::domain::blob::SegmentId::fresh();
    let name = key("k");
    store
        .announce(bench.writer, announced, segment, StorageClass::Hot, &bench.space, Some(&name), bench.now())
        .await
        .unwrap();
    assert_eq!(bench.find("k").await, None);
    assert_eq!(store.find(&ObjectAddress::Id(announced)).await.unwrap(), None);
    assert_eq!(bench.names(&bench.everything().await).await, Vec::<String>::new());

    let first = bench.has_put("k", b"one").await;
    bench.has_put("k", b"two").await;
    assert_eq!(store.find(&ObjectAddress::Id(first.id)).await.unwrap(), None, "replaced");
    bench.assert_latest("k", Some(b"two")).await;
    let (removed, marker_made) = bench.has_deleted(bench.delete("k")).await;
    assert_eq!(removed.map(|object| object.etag), Some(etag(b"two")));
    assert!(!marker_made);
    bench.assert_latest("k", None).await;
    assert_eq!(bench.has_deleted(bench.delete("k")).await, (None, false));
    store.abandon(announced, segment).await.unwrap();
    bench.finish().await;
}

/// Every field survives, at the largest sizes the domain allows.
pub async fn an_object_comes_back_as_it_was_put(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32c);
    hasher.update(b"body");
    let checksum: Checksum = hasher.finish();
    let attributes = Attributes {
        headers: Headers {
            content_type: Some("text/plain; charset=\"ü\"".into()),
            cache_control: Some("x".repeat(4096)),
            ..Headers::default()
        },
        metadata: [("name".to_owned(), "größe '\"\\".to_owned()), ("empty".to_owned(), String::new())].into(),
        tags: [("k y".to_owned(), "日本".to_owned())].into(),
        class: Some(StorageClass::Cold),
        lock: ObjectLock::default(),
        class_name: Some(ClassName::GlacierInstant),
        acl: CannedAcl::AuthenticatedRead,
    };
    let longest = format!("{}'\"%_\\\u{1}", "é".repeat(500));
    let mut put = bench.put(&longest, b"body");
    put.attributes = attributes.clone();
    put.checksum = Some(checksum.clone());
    let id = put.id;
    let staged = put.content.clone();
    let answered = object(bench.try_put(put).await);
    let found = bench.find(&longest).await.unwrap();
    assert_eq!(found.object, answered);
    assert_eq!(answered.id, id);
    assert_eq!(answered.address, bench.space);
    assert_eq!(answered.key, Some(key(&longest)));
    assert_eq!(answered.headers, attributes.headers);
    assert_eq!(answered.metadata, attributes.metadata);
    assert_eq!(answered.tags, attributes.tags);
    assert_eq!(answered.acl, attributes.acl);
    assert_eq!(answered.class_name, attributes.class_name);
    assert_eq!(answered.class, StorageClass::Cold);
    assert_eq!(answered.checksum, Some(checksum));
    assert_eq!(answered.size(), 4);
    assert_eq!(answered.content.unwrap().name, ContentName::Bytes(Hash::of(b"body")));
    assert!(answered.is_latest && answered.is_null_version);
    let leaf = found.leaf.unwrap();
    let NewContent::Staged(staged) = staged else { panic!("staged") };
    assert_eq!((leaf.location, leaf.offset, leaf.length), (staged.location, 0, 4));
    assert_eq!(store.find(&ObjectAddress::Id(id)).await.unwrap(), bench.find(&longest).await);
    assert_eq!(store.list(&bench.everything().await).await.unwrap(), [found.object], "as one of a page");

    // No bytes are bytes too.
    let empty = bench.has_put("empty", b"").await;
    assert_eq!(empty.content.map(|content| content.size), Some(0));
    assert_eq!(bench.find("empty").await.unwrap().leaf.map(|leaf| leaf.length), Some(0));
    // A name goes with its class.
    let change = |class| {
        let preconditions = Preconditions::default();
        Mutation::Update(Box::new(UpdateObject {
            id,
            class,
            attributes: None,
            lock: None,
            preconditions,
            cause: Cause::default(),
        }))
    };
    let kept = object(bench.one(change(None)).await);
    assert_eq!(kept.class_name, Some(ClassName::GlacierInstant));
    let moved = object(bench.one(change(Some(StorageClass::Hot))).await);
    assert_eq!((moved.class, moved.class_name), (StorageClass::Hot, None));
    assert_eq!(bench.find(&longest).await.unwrap().object, moved);
    bench.finish().await;
}

/// `If-Match`, `If-None-Match`, `If-Unmodified-Since`, on puts, deletes and updates.
pub async fn conditions_are_decided_on_the_current_version(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let with = |body: &[u8], preconditions: Preconditions| {
        let put = bench.put("k", body);
        Mutation::Put(Box::new(crate::application::ports::metadata::PutObject { preconditions, ..put }))
    };
    assert_eq!(refusal(bench.one(with(b"a", matching(b"x"))).await), Refusal::NoSuchObject);
    assert_eq!(store.space(&SpaceRef::Space(bench.space.clone())).await.unwrap(), None, "no space was made");
    object(bench.one(with(b"a", absent())).await);
    assert_eq!(refusal(bench.one(with(b"b", absent())).await), Refusal::PreconditionFailed);
    assert_eq!(refusal(bench.one(with(b"b", matching(b"x"))).await), Refusal::PreconditionFailed);
    bench.assert_latest("k", Some(b"a")).await;
    let current = object(bench.one(with(b"b", matching(b"a"))).await);
    bench.assert_latest("k", Some(b"b")).await;
    let unmodified_since =
        |time: Timestamp| Preconditions { if_unmodified_since: Some(time), ..Preconditions::default() };
    let before = current.created_at.minus(std::time::Duration::from_secs(1));
    assert_eq!(refusal(bench.one(with(b"c", unmodified_since(before))).await), Refusal::PreconditionFailed);

    let delete = |preconditions: Preconditions| {
        let delete = bench.delete("k");
        Mutation::Delete(Box::new(crate::application::ports::metadata::DeleteObject {
            preconditions,
            ..delete
        }))
    };
    assert_eq!(refusal(bench.one(delete(matching(b"a"))).await), Refusal::PreconditionFailed);
    bench.one(delete(matching(b"b"))).await.unwrap();
    // `If-Match` asks for what is not there; other conditions protect nothing.
    assert_eq!(refusal(bench.one(delete(matching(b"b"))).await), Refusal::NoSuchObject);
    let sized = Preconditions { if_size: Some(1), ..Preconditions::default() };
    let nothing = bench.one(delete(sized.clone())).await.unwrap();
    assert!(matches!(nothing, MutationOutcome::Deleted { object: None, marker_made: false }));
    // A delete marker is a missing key, and gets no second one by a condition.
    bench.set_versioning(Versioning::Enabled).await;
    object(bench.one(with(b"c", absent())).await);
    bench.one(delete(matching(b"c"))).await.unwrap();
    let marker = bench.find("k").await.unwrap().object;
    assert_eq!(refusal(bench.one(delete(matching(b"c"))).await), Refusal::NoSuchObject);
    let any = Preconditions { if_match: Some(EtagCondition::Any), ..Preconditions::default() };
    assert_eq!(refusal(bench.one(delete(any)).await), Refusal::NoSuchObject);
    assert_eq!(refusal(bench.one(delete(sized)).await), Refusal::PreconditionFailed);
    bench.one(delete(Preconditions { if_size: Some(0), ..Preconditions::default() })).await.unwrap();
    assert_eq!(bench.find("k").await.unwrap().object.id, marker.id);
    object(bench.one(with(b"d", absent())).await);
    bench.finish().await;
}

/// PATCH in place: id, bytes, tag and time stay.
pub async fn an_update_changes_what_is_carried_and_nothing_else(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let before = bench.has_put("k", b"body").await;
    let attributes = AttributesPatch {
        metadata: [("a".to_owned(), Some("b".to_owned()))].into(),
        ..AttributesPatch::acl(CannedAcl::PublicReadWrite)
    };
    let update = UpdateObject {
        id: before.id,
        class: Some(StorageClass::Cold),
        attributes: Some(attributes.clone()),
        lock: None,
        preconditions: matching(b"body"),
        cause: Cause::default(),
    };
    let after = object(bench.one(Mutation::Update(Box::new(update.clone()))).await);
    assert_eq!(after.class, StorageClass::Cold);
    assert_eq!(after.metadata, [("a".to_owned(), "b".to_owned())].into());
    assert_eq!(after.acl, CannedAcl::PublicReadWrite);
    assert_eq!((after.id, after.content, after.created_at), (before.id, before.content, before.created_at));
    assert_eq!(bench.find("k").await.unwrap().object, after);
    let failing = UpdateObject { preconditions: matching(b"other"), ..update.clone() };
    assert_eq!(refusal(bench.one(Mutation::Update(Box::new(failing))).await), Refusal::PreconditionFailed);
    // Names that may be there each, and not together.
    let long = |name: &str| {
        let metadata = [(name.to_owned(), Some("x".repeat(1500)))].into();
        let attributes = Some(AttributesPatch { metadata, ..AttributesPatch::default() });
        Mutation::Update(Box::new(UpdateObject { attributes, ..update.clone() }))
    };
    object(bench.one(long("b")).await);
    assert!(matches!(refusal(bench.one(long("c")).await), Refusal::Invalid(_)));
    bench.has_deleted(bench.delete("k")).await;
    assert_eq!(refusal(bench.one(Mutation::Update(Box::new(update))).await), Refusal::NoSuchObject);
    bench.finish().await;
}

/// Refused changes in the middle of a batch: the others stand, and nothing of theirs is left.
pub async fn a_refused_change_leaves_no_trace(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.has_put("taken", b"taken").await;
    let refused = crate::application::ports::metadata::PutObject {
        preconditions: absent(),
        ..bench.put("taken", b"refused")
    };
    let gone = NewContent::Existing(BlobId(Uuid::new_v4()));
    let outcomes = bench
        .commit(vec![
            Mutation::Put(Box::new(bench.put("first", b"first"))),
            Mutation::Put(Box::new(refused)),
            Mutation::Put(Box::new(bench.put_content("copy", gone, etag(b"")))),
            Mutation::Put(Box::new(bench.put("last", b"last"))),
        ])
        .await;
    assert!(outcomes[0].is_ok() && outcomes[3].is_ok());
    assert_eq!(outcomes[1].as_ref().err(), Some(&Refusal::PreconditionFailed));
    assert_eq!(outcomes[2].as_ref().err(), Some(&Refusal::SourceGone));
    bench.assert_latest("taken", Some(b"taken")).await;
    assert_eq!(bench.names(&bench.everything().await).await, ["first", "last", "taken"]);
    let leaves = store.leaves_in(bench.pack(StorageClass::Hot), 100).await.unwrap();
    assert!(leaves.iter().all(|leaf| leaf.hash != Hash::of(b"refused")));
    bench.finish().await;
}

/// A change that the database refuses (here an id that is taken) fails alone.
pub async fn a_change_that_cannot_be_made_does_not_fail_its_neighbours(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let taken = bench.has_put("taken", b"taken").await;
    let mut poisonous = bench.put("", b"poison");
    poisonous.id = taken.id;
    let outcomes = bench
        .commit(vec![
            Mutation::Put(Box::new(bench.put("before", b"1"))),
            Mutation::Put(Box::new(poisonous)),
            Mutation::Put(Box::new(bench.put("after", b"2"))),
        ])
        .await;
    assert!(matches!(outcomes[1], Err(Refusal::Failed(_))), "{:?}", outcomes[1]);
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    bench.assert_latest("before", Some(b"1")).await;
    bench.assert_latest("after", Some(b"2")).await;
    bench.finish().await;
}

/// Later changes of a batch see the earlier ones.
pub async fn a_batch_is_applied_in_order(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let second = crate::application::ports::metadata::PutObject {
        preconditions: matching(b"1"),
        ..bench.put("k", b"2")
    };
    let outcomes = bench
        .commit(vec![
            Mutation::Put(Box::new(bench.put("k", b"1"))),
            Mutation::Put(Box::new(second)),
            Mutation::Delete(Box::new(bench.delete("k"))),
            Mutation::Put(Box::new(bench.put("k", b"3"))),
            Mutation::Put(Box::new(bench.put("l", b"3"))),
        ])
        .await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    bench.assert_latest("k", Some(b"3")).await;
    let (k, l) = (bench.find("k").await.unwrap(), bench.find("l").await.unwrap());
    assert_eq!(k.object.content, l.object.content, "one blob");
    bench.finish().await;
}

/// Objects without a key do not replace one another.
pub async fn keyless_objects_live_by_their_id(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let (one, two) = (bench.has_put("", b"one").await, bench.has_put("", b"two").await);
    assert_eq!(one.key, None);
    for object in [&one, &two] {
        assert_eq!(
            store.find(&ObjectAddress::Id(object.id)).await.unwrap().map(|f| f.object).as_ref(),
            Some(object)
        );
    }
    let (removed, _) = bench.has_deleted(bench.delete_target(ObjectAddress::Id(one.id))).await;
    assert_eq!(removed.map(|object| object.id), Some(one.id));
    assert_eq!(store.find(&ObjectAddress::Id(one.id)).await.unwrap(), None);
    assert!(store.find(&ObjectAddress::Id(two.id)).await.unwrap().is_some());
    bench.finish().await;
}
