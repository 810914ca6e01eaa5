//! Requests that are done once, however often they are repeated.

use super::bench::{Bench, object, refusal};
use crate::application::ports::metadata::{MetadataStore, Mutation, PutObject, Refusal};
use crate::domain::address::Tenant;
use crate::domain::blob::Hash;
use crate::domain::idempotency::{IdempotencyKey, KEPT, KEYS_MAX, Once};
use crate::domain::timestamp::Timestamp;

fn once(bench: &Bench<'_>, key: &str, asked: &[u8]) -> Once {
    let (tenant, key) = (bench.space.tenant.clone(), IdempotencyKey::parse(key).unwrap());
    Once { tenant, key, fingerprint: Hash::of(asked) }
}

fn put(bench: &Bench<'_>, key: &str, asked: &[u8]) -> PutObject {
    PutObject { once: Some(once(bench, key, asked)), ..bench.put("", asked) }
}

async fn kept(bench: &Bench<'_>) -> u64 {
    let query = crate::application::ports::metadata::ListQuery { keyless: true, ..bench.everything().await };
    bench.store.list(&query).await.unwrap().len() as u64
}

/// In the transaction that makes it, in the same batch, and later; also when the object is gone by then.
pub async fn a_repeated_request_makes_one_object(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let batch = ["k", "k"].map(|key| Mutation::Put(Box::new(put(&bench, key, b"1")))).to_vec();
    let mut outcomes = bench.commit(batch).await.into_iter();
    let first = object(outcomes.next().unwrap());
    assert_eq!(refusal(outcomes.next().unwrap()), Refusal::Repeated(first.id));
    assert_eq!(refusal(bench.try_put(put(&bench, "k", b"1")).await), Refusal::Repeated(first.id));
    let known = store.idempotent(&bench.space.tenant, &IdempotencyKey::parse("k").unwrap()).await.unwrap();
    assert_eq!(known.map(|known| known.object), Some(first.id));
    assert_eq!(kept(&bench).await, 1);
    let target = crate::application::ports::metadata::ObjectAddress::Id(first.id);
    bench.has_deleted(bench.delete_target(target)).await;
    assert_eq!(refusal(bench.try_put(put(&bench, "k", b"1")).await), Refusal::Repeated(first.id));
    assert_eq!(kept(&bench).await, 0);
    bench.finish().await;
}

/// A request that is refused has no key; and what another tenant calls its requests is no matter.
pub async fn a_key_is_of_one_request_and_one_tenant(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let quota = Some(crate::domain::limits::Quota { bytes: Some(0), objects: None });
    let refused = PutObject { quota, ..put(&bench, "k", b"other") };
    assert!(matches!(refusal(bench.try_put(refused).await), Refusal::QuotaExceeded(_)));
    object(bench.try_put(put(&bench, "k", b"1")).await);
    assert_eq!(refusal(bench.try_put(put(&bench, "k", b"2")).await), Refusal::KeyReused);
    let mut others = put(&bench, "k", b"2");
    if let Some(once) = &mut others.once {
        once.tenant = Tenant::new(&format!("{}-b", bench.space.tenant)).unwrap();
    }
    object(bench.try_put(others).await);
    assert_eq!(kept(&bench).await, 2);
    bench.finish().await;
}

/// To the millisecond: then another request may have it, and what is forgotten of it is the older one alone.
pub async fn a_key_is_forgotten_after_a_day(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let first = object(bench.try_put(put(&bench, "k", b"1")).await);
    let at = first.created_at;
    let again = |now: Timestamp| {
        let change = Mutation::Put(Box::new(put(&bench, "k", b"2")));
        store.commit(bench.writer, vec![change], now)
    };
    let late = Timestamp(at.plus(KEPT).millis() - 1);
    assert_eq!(refusal(again(late).await.unwrap().remove(0)), Refusal::KeyReused);
    let second = object(again(at.plus(KEPT)).await.unwrap().remove(0));
    assert_ne!(first.id, second.id);
    let known = async || {
        let key = IdempotencyKey::parse("k").unwrap();
        store.idempotent(&bench.space.tenant, &key).await.unwrap().map(|known| known.object)
    };
    assert_eq!(known().await, Some(second.id));
    store.forget_idempotent(at, 1000).await.unwrap();
    assert_eq!(known().await, Some(second.id), "it is younger");
    assert!(store.forget_idempotent(at.plus(KEPT), 1000).await.unwrap() >= 1);
    assert_eq!(known().await, None);
    bench.finish().await;
}

/// Over it a new key is refused, while repetitions are answered, and requests without a key are done.
pub async fn a_tenant_has_so_many_keys_at_most(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let puts: Vec<_> = (0..KEYS_MAX)
        .map(|number| {
            Mutation::Put(Box::new(PutObject {
                once: Some(once(&bench, &number.to_string(), b"1")),
                ..bench.put("", b"1")
            }))
        })
        .collect();
    for portion in puts.chunks(1000) {
        assert!(bench.commit(portion.to_vec()).await.iter().all(Result::is_ok));
    }
    assert_eq!(refusal(bench.try_put(put(&bench, "one-more", b"1")).await), Refusal::TooManyKeys);
    assert!(matches!(refusal(bench.try_put(put(&bench, "0", b"1")).await), Refusal::Repeated(_)));
    object(bench.try_put(bench.put("", b"1")).await);
    while store.forget_idempotent(bench.later(1), 5000).await.unwrap() > 0 {}
    object(bench.try_put(put(&bench, "one-more", b"1")).await);
    bench.finish().await;
}

/// Of several servers.
pub async fn of_many_repetitions_at_once_one_makes_the_object(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let others = [bench.another_writer().await, bench.another_writer().await, bench.another_writer().await];
    for round in 0..8 {
        let key = format!("k{round}");
        let puts = others.iter().map(|other| other.try_put(put(other, &key, b"1")));
        let outcomes = futures::future::join_all(puts).await;
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let repeated = |outcome: &&Result<_, Refusal>| matches!(outcome, Err(Refusal::Repeated(_)));
        assert_eq!((made, outcomes.iter().filter(repeated).count()), (1, 2), "{outcomes:?}");
    }
    assert_eq!(kept(&bench).await, 8);
    bench.finish().await;
}
