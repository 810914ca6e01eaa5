//! Object lock: what holds a version is asked in the transaction that would remove it, on every path.

use std::time::Duration;

use super::bench::{Bench, key, object, refusal};
use super::uploads::{self, new_upload, part};
use crate::application::ports::metadata::{
    DeleteObject, ExpireObject, MetadataStore, Mutation, MutationOutcome, ObjectAddress, PutObject, Refusal,
    UpdateObject, VersionRef,
};
use crate::domain::event::Cause;
use crate::domain::multipart::{PartClaim, PartNumber};
use crate::domain::object::{Attributes, Object, ObjectId};
use crate::domain::object_lock::{
    DefaultRetention, LockChange, LockConfig, LockMode, ObjectLock, Period, Retention,
};
use crate::domain::patch::AttributesPatch;
use crate::domain::precondition::Preconditions;
use crate::domain::space::Versioning;
use crate::domain::versioning::Expiry;

const DAY: Duration = Duration::from_hours(24);

/// A bench in a space whose versions can be locked.
async fn locking(store: &dyn MetadataStore) -> Bench<'_> {
    let bench = Bench::new(store).await;
    let name = bench.bucket().await;
    bench.set_versioning(Versioning::Enabled).await;
    store.set_object_lock(&bench.space, Some(&name), LockConfig::default()).await.unwrap().unwrap();
    bench
}

fn retained(bench: &Bench<'_>, mode: LockMode) -> ObjectLock {
    let until = bench.now().plus(DAY);
    ObjectLock { retention: Some(Retention { mode, until }), legal_hold: None }
}

fn put_locked(bench: &Bench<'_>, name: &str, lock: ObjectLock) -> PutObject {
    let attributes = Attributes { lock, ..Attributes::default() };
    PutObject { attributes, ..bench.put(name, name.as_bytes()) }
}

fn delete(bench: &Bench<'_>, target: ObjectAddress, bypass: bool) -> Mutation {
    let delete = bench.delete_target(target);
    Mutation::Delete(Box::new(DeleteObject { bypass_governance: bypass, ..delete }))
}

fn change(of: &Object, lock: LockChange) -> Mutation {
    let preconditions = Preconditions::default();
    Mutation::Update(Box::new(UpdateObject {
        id: of.id,
        class: None,
        attributes: None,
        lock: Some(lock),
        preconditions,
        cause: Cause::default(),
    }))
}

fn expire(bench: &Bench<'_>, of: &Object, expiry: Expiry) -> Mutation {
    Mutation::Expire(Box::new(ExpireObject {
        id: of.id,
        tags: of.tags.clone(),
        expiry,
        marker_id: ObjectId::fresh(bench.now()),
    }))
}

/// By version id, by object id, as the null version, by a rule: a version that is held stays.
pub async fn a_held_version_stays_on_every_path(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let null = bench.has_put("k", b"null").await;
    let name = bench.bucket().await;
    bench.set_versioning(Versioning::Enabled).await;
    store.set_object_lock(&bench.space, Some(&name), LockConfig::default()).await.unwrap().unwrap();
    let lock = retained(&bench, LockMode::Governance);
    let change_of = LockChange::Retention { retention: lock.retention, bypass: false };
    assert_eq!(object(bench.one(change(&null, change_of)).await).lock, lock);
    let held = object(bench.try_put(put_locked(&bench, "k", lock)).await);
    assert_eq!(bench.find("k").await.unwrap().object.lock, lock);

    let version = |version| ObjectAddress::Version(bench.space.clone(), key("k"), version);
    for target in [version(VersionRef::Id(held.id)), version(VersionRef::Null), ObjectAddress::Id(held.id)] {
        assert_eq!(refusal(bench.one(delete(&bench, target, false)).await), Refusal::Locked);
    }
    // A marker hides it and does not touch it; the marker itself goes freely.
    let (marker, made) = bench.has_deleted(bench.delete("k")).await;
    assert!(made);
    assert_eq!(refusal(bench.one(expire(&bench, &held, Expiry::Noncurrent)).await), Refusal::Locked);
    bench.has_deleted(bench.delete_target(ObjectAddress::Id(marker.unwrap().id))).await;
    bench.assert_latest("k", Some(b"k")).await;

    let bypassed = bench.one(delete(&bench, ObjectAddress::Id(held.id), true)).await;
    assert!(matches!(bypassed, Ok(MutationOutcome::Deleted { .. })), "{bypassed:?}");
    bench.assert_latest("k", Some(b"null")).await;
    bench.finish().await;
}

/// Compliance and legal holds yield to no caller.
pub async fn nobody_bypasses_compliance_or_a_legal_hold(store: &dyn MetadataStore) {
    let bench = locking(store).await;
    let complied =
        object(bench.try_put(put_locked(&bench, "c", retained(&bench, LockMode::Compliance))).await);
    assert_eq!(
        refusal(bench.one(delete(&bench, ObjectAddress::Id(complied.id), true)).await),
        Refusal::Locked
    );
    let shrink = LockChange::Retention { retention: None, bypass: true };
    assert_eq!(refusal(bench.one(change(&complied, shrink)).await), Refusal::Locked);
    let hold = ObjectLock { legal_hold: Some(true), retention: None };
    let holding = object(bench.try_put(put_locked(&bench, "h", hold)).await);
    assert_eq!(
        refusal(bench.one(delete(&bench, ObjectAddress::Id(holding.id), true)).await),
        Refusal::Locked
    );
    let released = object(bench.one(change(&holding, LockChange::LegalHold(false))).await);
    assert_eq!(released.lock.legal_hold, Some(false));
    bench.has_deleted(bench.delete_target(ObjectAddress::Id(holding.id))).await;
    bench.finish().await;
}

/// What a version reads as does not change while it is held; its tags are not part of it.
pub async fn a_held_version_reads_as_it_did(store: &dyn MetadataStore) {
    let bench = locking(store).await;
    let held = object(bench.try_put(put_locked(&bench, "k", retained(&bench, LockMode::Governance))).await);
    let update = |attributes| {
        Mutation::Update(Box::new(UpdateObject {
            id: held.id,
            class: None,
            attributes: Some(attributes),
            lock: None,
            preconditions: Preconditions::default(),
            cause: Cause::default(),
        }))
    };
    let rewritten = AttributesPatch {
        metadata: [("a".to_owned(), Some("b".to_owned()))].into(),
        ..AttributesPatch::default()
    };
    assert_eq!(refusal(bench.one(update(rewritten)).await), Refusal::Locked);
    let tagged = AttributesPatch::tags([("a".to_owned(), "b".to_owned())].into());
    let after = object(bench.one(update(tagged)).await);
    assert_eq!((after.tags.len(), after.lock), (1, held.lock));
    bench.finish().await;
}

/// New versions get the default, by puts and by uploads; what names a retention of its own keeps it.
pub async fn new_versions_get_the_default_retention(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = bench.bucket().await;
    bench.set_versioning(Versioning::Enabled).await;
    let default_retention = DefaultRetention::new(LockMode::Compliance, Period::Days(1)).ok();
    store
        .set_object_lock(&bench.space, Some(&name), LockConfig { default_retention })
        .await
        .unwrap()
        .unwrap();
    let space = bench.space().await;
    assert_eq!(space.object_lock, Some(LockConfig { default_retention }));
    let plain = bench.has_put("plain", b"1").await;
    let retention = plain.lock.retention.unwrap();
    assert_eq!((retention.mode, retention.until), (LockMode::Compliance, plain.created_at.plus(DAY)));
    let own = retained(&bench, LockMode::Governance);
    assert_eq!(object(bench.try_put(put_locked(&bench, "own", own)).await).lock, own);
    let upload = new_upload(&bench, "parts").await;
    part(&bench, upload, 1, "part", 4).await;
    let claim = PartClaim { number: PartNumber::new(1).unwrap(), etag: None, checksum: None };
    let made = object(uploads::complete(&bench, upload, vec![claim]).await);
    assert_eq!(made.lock.retention.map(|retention| retention.mode), Some(LockMode::Compliance));
    let (marker, _) = bench.has_deleted(bench.delete("plain")).await;
    assert!(marker.unwrap().lock.is_empty(), "a marker holds nothing");
    bench.finish().await;
}

/// Locks need versioning, which stays; and are refused where they are not enabled.
pub async fn locking_takes_versioning_and_keeps_it(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = bench.bucket().await;
    let lock = LockConfig::default();
    let set = async || store.set_object_lock(&bench.space, Some(&name), lock).await.unwrap();
    assert_eq!(set().await, Err(Refusal::WrongVersioning));
    bench.set_versioning(Versioning::Suspended).await;
    assert_eq!(set().await, Err(Refusal::WrongVersioning));
    let early = put_locked(&bench, "k", ObjectLock { legal_hold: Some(true), retention: None });
    assert_eq!(refusal(bench.try_put(early).await), Refusal::NoObjectLock);
    let object = bench.has_put("k", b"1").await;
    assert_eq!(refusal(bench.one(change(&object, LockChange::LegalHold(true))).await), Refusal::NoObjectLock);
    bench.set_versioning(Versioning::Enabled).await;
    assert_eq!(set().await, Ok(()));
    for versioning in [Versioning::Suspended, Versioning::Off] {
        let changed = store.set_versioning(&bench.space, versioning, bench.now()).await.unwrap();
        assert_eq!(changed, Err(Refusal::WrongVersioning));
    }
    let stranger = Bench::new(store).await;
    let wrong = store.set_object_lock(&stranger.space, Some(&name), lock).await.unwrap();
    assert_eq!(wrong, Err(Refusal::NoSuchBucket));
    bench.finish().await;
}

/// A bucket may be made with locks; its deletion, once it is empty, gives the space back as it was.
pub async fn a_bucket_is_made_with_locks(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = crate::domain::address::BucketName::new(&format!("l{}", bench.space.tenant)).unwrap();
    let bucket = store.create_bucket(&name, &bench.space, true, bench.now()).await.unwrap().unwrap();
    assert_eq!(bucket.space, bench.space().await);
    assert_eq!(bucket.space.versioning, Versioning::Enabled);
    assert_eq!(bucket.space.object_lock, Some(LockConfig::default()));
    store.delete_bucket(&name, bench.now()).await.unwrap();
    let space = bench.space().await;
    assert_eq!((space.versioning, space.object_lock), (Versioning::Off, None));
    bench.finish().await;
}

/// Verdicts of rules that were passed on something else come to nothing.
pub async fn verdicts_hold_only_for_what_was_judged(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let first = bench.has_put("k", b"1").await;
    let wrongly = async |of: &Object, expiry| {
        assert_eq!(refusal(bench.one(expire(&bench, of, expiry)).await), Refusal::Changed, "{expiry:?}");
    };
    wrongly(&first, Expiry::Noncurrent).await;
    wrongly(&first, Expiry::LoneMarker).await;
    wrongly(&Object { tags: [("a".into(), "b".into())].into(), ..first.clone() }, Expiry::Current).await;
    let second = bench.has_put("k", b"2").await;
    wrongly(&first, Expiry::Current).await;
    bench.assert_latest("k", Some(b"2")).await;
    bench.one(expire(&bench, &second, Expiry::Current)).await.unwrap();
    assert_eq!(bench.find("k").await, None, "without versioning it is gone");

    bench.set_versioning(Versioning::Enabled).await;
    let third = bench.has_put("k", b"3").await;
    let fourth = bench.has_put("k", b"4").await;
    wrongly(&fourth, Expiry::Noncurrent).await;
    bench.one(expire(&bench, &fourth, Expiry::Current)).await.unwrap();
    let marker = bench.find("k").await.unwrap().object;
    assert!(marker.is_delete_marker());
    wrongly(&marker, Expiry::LoneMarker).await;
    for version in [&third, &fourth] {
        bench.one(expire(&bench, version, Expiry::Noncurrent)).await.unwrap();
    }
    bench.one(expire(&bench, &marker, Expiry::LoneMarker)).await.unwrap();
    assert_eq!(bench.find("k").await, None);
    bench.collect().await;
    bench.finish().await;
}
