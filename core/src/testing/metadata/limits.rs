//! Limits of tenants, and quotas inside the transaction.

use futures::future::join_all;

use super::bench::Bench;
use crate::application::ports::metadata::{MetadataStore, Mutation, PutObject, Refusal};
use crate::domain::limits::{Holdings, LimitSetting, Overrides, Quota, QuotaPart};
use crate::domain::space::Versioning;

/// As it was set, whole; and a tenant of which nothing is said is not listed.
pub async fn what_is_said_of_a_tenant_comes_back(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let tenant = &bench.space.tenant;
    assert_eq!(store.tenant_limits(tenant).await.unwrap(), None);
    let said = Overrides {
        requests_per_second: LimitSetting::At(5),
        concurrent_requests: LimitSetting::Unlimited,
        quota_bytes: LimitSetting::At(0),
        quota_objects: LimitSetting::At(i64::MAX.unsigned_abs()),
        ..Overrides::default()
    };
    let default = Overrides::default();
    assert!(store.set_tenant_limits(tenant, &default, &said, bench.now()).await.unwrap());
    assert_eq!(store.tenant_limits(tenant).await.unwrap(), Some(said));
    // Read before the change: it would take that back.
    let late = Overrides { requests_per_second: LimitSetting::At(6), ..default };
    assert!(!store.set_tenant_limits(tenant, &default, &late, bench.now()).await.unwrap());
    assert_eq!(store.tenant_limits(tenant).await.unwrap(), Some(said));
    let listed = async || {
        let all = store.list_tenant_limits().await.unwrap();
        all.into_iter().find(|(name, _)| name == tenant).map(|(_, said)| said)
    };
    assert_eq!(listed().await, Some(said));
    assert!(store.set_tenant_limits(tenant, &said, &default, bench.now()).await.unwrap());
    assert_eq!(listed().await, None);
}

/// A hundred puts of ten bytes at once, from two writers, alone and in batches, against room for ten: ten are
/// made, whichever, and what is held is exactly that.
pub async fn a_quota_holds_against_many_at_once(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let other = bench.another_writer().await;
    let quota = Some(Quota { bytes: Some(100), objects: None });
    let put = |bench: &Bench<'_>, batch: usize, at: usize| {
        let body = format!("{batch:05}{at:05}");
        Mutation::Put(Box::new(PutObject { quota, ..bench.put(&body, body.as_bytes()) }))
    };
    let batches = (0..20).map(|batch| {
        let (bench, puts) = (if batch % 2 == 0 { &bench } else { &other }, if batch < 10 { 1 } else { 9 });
        let mutations: Vec<_> = (0..puts).map(|at| put(bench, batch, at)).collect();
        async move { store.commit(bench.writer, mutations, bench.now()).await.unwrap() }
    });
    let outcomes: Vec<_> = join_all(batches).await.into_iter().flatten().collect();
    assert_eq!(outcomes.len(), 100);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
    assert!(outcomes.iter().all(|outcome| match outcome {
        Ok(_) => true,
        Err(refusal) => *refusal == Refusal::QuotaExceeded(QuotaPart::Bytes),
    }));
    let held = store.holdings(&bench.space.tenant).await.unwrap();
    assert_eq!(held, Holdings { bytes: 100, objects: 10 });
}

/// An object in the place of another needs room only for what it is larger.
pub async fn what_is_replaced_makes_room(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let quota = Some(Quota { bytes: Some(10), objects: Some(1) });
    let put = async |name: &str, body: &[u8]| {
        let put = PutObject { quota, ..bench.put(name, body) };
        bench.one(Mutation::Put(Box::new(put))).await.map(drop)
    };
    assert_eq!(put("a", b"0123456789").await, Ok(()));
    assert_eq!(put("b", b"").await, Err(Refusal::QuotaExceeded(QuotaPart::Objects)));
    assert_eq!(put("a", b"9876543210").await, Ok(()));
    assert_eq!(put("a", b"98765432109").await, Err(Refusal::QuotaExceeded(QuotaPart::Bytes)));
    assert_eq!(put("a", b"98").await, Ok(()));
    let held = store.holdings(&bench.space.tenant).await.unwrap();
    assert_eq!(held, Holdings { bytes: 2, objects: 1 });
    bench.finish().await;
}

/// Where versioning is suspended the null version is replaced wherever it lies, and gives its bytes back.
pub async fn a_null_version_behind_the_latest_makes_room(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.has_put("a", b"01234567").await;
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_put("a", b"89").await;
    let quota = Some(Quota { bytes: Some(10), objects: Some(2) });
    let put = async |body: &[u8]| {
        let put = PutObject { quota, ..bench.put("a", body) };
        bench.one(Mutation::Put(Box::new(put))).await.map(drop)
    };
    assert_eq!(put(b"01234567").await, Err(Refusal::QuotaExceeded(QuotaPart::Bytes)), "nothing makes way");
    bench.set_versioning(Versioning::Suspended).await;
    assert_eq!(put(b"012345678").await, Err(Refusal::QuotaExceeded(QuotaPart::Bytes)));
    assert_eq!(put(b"abcdefgh").await, Ok(()));
    let held = store.holdings(&bench.space.tenant).await.unwrap();
    assert_eq!(held, Holdings { bytes: 10, objects: 2 });
    bench.finish().await;
}
