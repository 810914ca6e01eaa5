//! Credentials and leases.

use uuid::Uuid;

use super::bench::Bench;
use crate::application::ports::metadata::{Credential, CredentialKind, MetadataStore};
use crate::domain::address::KeyPrefix;
use crate::domain::principal::{NamespacePattern, Rights};

/// A fresh S3 credential of the bench's tenant, for all of its keys, without an end.
fn credential(bench: &Bench<'_>, rights: Rights) -> Credential {
    Credential {
        id: Uuid::new_v4(),
        kind: CredentialKind::S3,
        lookup: Uuid::new_v4().to_string(),
        secret: vec![1],
        tenant: bench.space.tenant.clone(),
        namespaces: None,
        prefixes: None,
        rights,
        description: String::new(),
        created_at: bench.now(),
        expires_at: None,
        revoked_at: None,
    }
}

fn prefixes(texts: &[&str]) -> Vec<KeyPrefix> {
    texts.iter().map(|text| KeyPrefix::new(text).unwrap()).collect()
}

/// As stored; looked up by the public part, listed by tenant, oldest first.
pub async fn credentials_come_back_until_revoked(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let api = Credential {
        kind: CredentialKind::Api,
        secret: vec![0, 255, 7],
        namespaces: Some(vec![
            bench.space.namespace.clone().into(),
            NamespacePattern::parse("team-*").unwrap(),
        ]),
        prefixes: Some(prefixes(&["reports/", "a \"quoted\", \u{1f511} one"])),
        description: "for 'people' \u{1f511}".to_owned(),
        expires_at: Some(bench.later(60)),
        ..credential(&bench, Rights::parse("read,delete").unwrap())
    };
    let s3 = Credential { secret: vec![0, 255, 7], ..credential(&bench, Rights::default()) };
    for credential in [&s3, &api] {
        store.create_credential(credential).await.unwrap();
    }
    assert_eq!(store.find_credential(&api.lookup).await.unwrap().as_ref(), Some(&api));
    assert_eq!(store.find_credential("unknown").await.unwrap(), None);
    assert_eq!(store.credential(s3.id).await.unwrap().as_ref(), Some(&s3));
    assert_eq!(store.credential(Uuid::new_v4()).await.unwrap(), None);
    let twin = Credential { id: Uuid::new_v4(), ..api.clone() };
    assert!(store.create_credential(&twin).await.is_err(), "a public part names one key");
    let tenant = Some(&bench.space.tenant);
    assert_eq!(store.list_credentials(tenant).await.unwrap(), [api.clone(), s3.clone()]);
    assert!(store.list_credentials(None).await.unwrap().contains(&s3));
    let soon = Credential {
        id: Uuid::new_v4(),
        lookup: Uuid::new_v4().to_string(),
        expires_at: Some(bench.later(50)),
        ..api.clone()
    };
    store.create_credential(&soon).await.unwrap();
    let ending = async |after, by, limit| store.ending_credentials(after, by, limit).await.unwrap();
    let all = [soon.clone(), api.clone()];
    assert_eq!(
        ending(bench.now(), bench.later(60), 1000).await,
        all,
        "the next to end first, the last moment included"
    );
    let (only_api, only_soon) = (std::slice::from_ref(&api), std::slice::from_ref(&soon));
    assert_eq!(ending(bench.later(50), bench.later(60), 1000).await, only_api, "what ended is left out");
    assert_eq!(ending(bench.now(), bench.later(49), 1000).await, []);
    assert_eq!(ending(bench.now(), bench.later(60), 1).await, only_soon);
    let now = bench.now();
    assert!(store.revoke_credential(soon.id, now).await.unwrap());
    assert_eq!(ending(now, bench.later(60), 1000).await, only_api, "revoked");
    assert!(store.revoke_credential(api.id, now).await.unwrap());
    assert!(!store.revoke_credential(api.id, bench.now()).await.unwrap());
    assert!(!store.revoke_credential(Uuid::new_v4(), now).await.unwrap());
    let revoked = Credential { revoked_at: Some(now), ..api.clone() };
    assert_eq!(store.find_credential(&api.lookup).await.unwrap().as_ref(), Some(&revoked));
    assert_eq!(store.credential(api.id).await.unwrap(), Some(revoked));
}

/// The size is that of the whole database. The text cannot be compressed; room that deleted rows left is filled first.
pub async fn the_database_grows_with_what_it_holds(store: &dyn MetadataStore) {
    const TEXT_BYTES: u64 = 1 << 20;
    let bench = Bench::new(store).await;
    let before = store.size().await.unwrap();
    assert!(before > 0);
    for _ in 0..=before / TEXT_BYTES {
        let text = (0..TEXT_BYTES / 32).map(|_| Uuid::new_v4().simple().to_string()).collect();
        let credential = Credential { description: text, ..credential(&bench, Rights::default()) };
        store.create_credential(&credential).await.unwrap();
        if store.size().await.unwrap() >= before + TEXT_BYTES / 4 {
            return;
        }
    }
    panic!("{before} bytes before, and no more with as many again");
}

/// Of many that bring a key of the same public part at once, one stores it. Restating changes what a key opens with and
/// what it opens, and brings no revoked key back.
pub async fn a_declared_key_is_stored_once(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let declared = credential(&bench, Rights::parse("read").unwrap());
    let each = (0..8).map(|_| Credential { id: Uuid::new_v4(), ..declared.clone() }).collect::<Vec<_>>();
    let stored = futures::future::join_all(each.iter().map(|each| store.declare_credential(each))).await;
    let stored: Vec<_> = stored.into_iter().map(Result::unwrap).collect();
    assert_eq!(stored.iter().filter(|stored| **stored).count(), 1, "{stored:?}");
    let first = store.find_credential(&declared.lookup).await.unwrap().unwrap();
    assert!(each.contains(&first));

    let restated = Credential {
        secret: vec![2],
        namespaces: Some(vec![bench.space.namespace.clone().into()]),
        prefixes: Some(prefixes(&["again/"])),
        rights: Rights::parse("read,write").unwrap(),
        description: "again".to_owned(),
        ..first.clone()
    };
    assert!(store.restate_credential(&restated).await.unwrap());
    assert_eq!(store.find_credential(&declared.lookup).await.unwrap(), Some(restated.clone()));
    assert!(store.restate_credential(&first).await.unwrap());
    assert_eq!(
        store.find_credential(&declared.lookup).await.unwrap().as_ref(),
        Some(&first),
        "bound no more"
    );
    let other_kind = Credential { kind: CredentialKind::Api, ..first.clone() };
    assert!(!store.restate_credential(&other_kind).await.unwrap(), "a key stays of its kind");
    assert!(store.revoke_credential(first.id, bench.now()).await.unwrap());
    assert!(!store.restate_credential(&first).await.unwrap(), "a revoked key stays revoked");
    assert!(!store.declare_credential(&declared).await.unwrap(), "and its name is not free");
}

/// Both or neither; and a key that would have ended before is not kept alive by its grace. A secret is sealed
/// anew only over the one that was read.
pub async fn a_rotated_key_ends_as_its_successor_begins(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let key = |expires_at| Credential {
        prefixes: Some(prefixes(&["reports/"])),
        expires_at,
        ..credential(&bench, Rights::parse("read,write,delete").unwrap())
    };
    let find = async |key: &Credential| store.find_credential(&key.lookup).await.unwrap().unwrap();
    let (old, new) = (key(None), key(None));
    store.create_credential(&old).await.unwrap();
    let (now, ends) = (bench.now(), bench.later(60));
    assert!(store.rotate_credential(old.id, now, ends, &new).await.unwrap());
    assert_eq!(find(&old).await, Credential { expires_at: Some(ends), ..old.clone() });
    assert_eq!(find(&new).await, new);

    let (now, newer) = (bench.now(), key(None));
    assert!(store.rotate_credential(new.id, now, now, &newer).await.unwrap());
    assert_eq!(find(&new).await.revoked_at, Some(now));
    let late = key(None);
    assert!(!store.rotate_credential(new.id, bench.now(), bench.later(1), &late).await.unwrap());
    assert_eq!(store.find_credential(&late.lookup).await.unwrap(), None);

    let short = key(Some(bench.later(10)));
    store.create_credential(&short).await.unwrap();
    assert!(store.rotate_credential(short.id, bench.now(), bench.later(60), &key(None)).await.unwrap());
    assert_eq!(find(&short).await.expires_at, short.expires_at);

    assert!(store.reseal_credential(newer.id, &[1], &[2, 3]).await.unwrap());
    assert!(!store.reseal_credential(newer.id, &[1], &[4]).await.unwrap());
    assert_eq!(find(&newer).await.secret, [2, 3]);
}

/// Until it runs out or is given back.
pub async fn a_lease_has_one_holder(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = Uuid::new_v4().to_string();
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let until = bench.later(10);
    let acquire = async |holder, now, until| store.acquire_lease(&name, holder, now, until).await.unwrap();
    assert!(acquire(one, bench.now(), until).await);
    assert!(!acquire(two, bench.now(), bench.later(10)).await);
    assert!(acquire(one, bench.now(), bench.later(20)).await, "renewed");
    assert!(!acquire(two, until, bench.later(40)).await, "renewed beyond its first end");
    assert!(acquire(two, bench.later(30), bench.later(60)).await, "run out");
    assert!(!acquire(one, bench.later(31), bench.later(60)).await);
    store.release_lease(&name, one).await.unwrap();
    assert!(!acquire(one, bench.later(32), bench.later(60)).await, "only the holder gives it back");
    store.release_lease(&name, two).await.unwrap();
    assert!(acquire(one, bench.now(), bench.later(5)).await);
    let contenders: Vec<_> = (0..8).map(|_| Uuid::new_v4()).collect();
    let (now, until) = (bench.later(100), bench.later(200));
    let taken = contenders.iter().map(|holder| acquire(*holder, now, until));
    let taken = futures::future::join_all(taken).await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
}
