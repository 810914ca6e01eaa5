//! Spaces that are bound to an upstream: who wins between what is fetched and what happens here.

use futures::future::join_all;

use super::bench::{Bench, key, matching, refusal};
use crate::application::ports::metadata::{
    DeleteObject, MetadataStore, Mutation, ObjectAddress, PassKind, Pulled, PutObject, Refusal, UpstreamPass,
    VersionRef,
};
use crate::domain::space::{SettingsRevision, Space};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::clients::{AGENTS_MAX, Client, Counts, Seen};
use crate::domain::upstream::{Binding, Fate, Mode};
use crate::testing::upstream::target;

/// Another store.
fn binding(mode: Mode) -> Binding {
    Binding { mode, target: target(), sealed: vec![1, 2, 3] }
}

pub(super) async fn bind(bench: &Bench<'_>, mode: Mode) -> Space {
    bench.store.make_space(&bench.space, bench.now()).await.unwrap();
    bench.store.bind_upstream(&bench.space, &binding(mode), None, &[], bench.now()).await.unwrap().unwrap()
}

fn pull(bench: &Bench<'_>, space: &Space, name: &str, body: &[u8]) -> PutObject {
    let pulled = Pulled { revision: space.settings, modified: Timestamp(1_000), proof: "md5" };
    PutObject { pulled: Some(pulled), ..bench.put(name, body) }
}

/// A binding is read with the settings, moves their revision, and is replaced, sealed again and forgotten as a whole.
pub async fn a_binding_is_one_of_the_settings(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await;
    let (revision, settings) = store.settings(space.id).await.unwrap();
    assert_eq!((revision, settings.upstream.as_deref()), (space.settings, Some(&binding(Mode::ReadThrough))));
    assert_eq!(bench.has_put("k", b"1").await.upstream, Some(Mode::ReadThrough), "an object tells it");
    let stale = Some(SettingsRevision(space.settings.0 - 1));
    let refused =
        store.bind_upstream(&bench.space, &binding(Mode::Observe), stale, &[], bench.now()).await.unwrap();
    assert_eq!(refused, Err(Refusal::Changed));
    assert!(!store.reseal_upstream(space.id, &[9], &[4]).await.unwrap());
    assert!(store.reseal_upstream(space.id, &[1, 2, 3], &[4]).await.unwrap());
    // A mode is set together with the work that it begins with, by the settings that it makes.
    let (observe, begins) = (binding(Mode::Observe), [PassKind::Survey, PassKind::Mirror]);
    let changed = store.bind_upstream(&bench.space, &observe, None, &begins, bench.now()).await.unwrap();
    let passes = store.passes(space.id).await.unwrap();
    let begun: Vec<_> = passes.iter().map(|pass| (pass.kind, pass.revision)).collect();
    assert_eq!(begun, begins.map(|kind| (kind, changed.as_ref().unwrap().settings)));
    let space = bind(&bench, Mode::ReadThrough).await;
    assert!(store.reseal_upstream(space.id, &[1, 2, 3], &[4]).await.unwrap());
    let mine = |bound: &crate::application::ports::metadata::BoundSpace| bound.space.id == space.id;
    let found = store.bound(None, 1000).await.unwrap().into_iter().find(mine).unwrap();
    assert_eq!((found.binding.sealed, found.space.upstream), (vec![4], Some(Mode::ReadThrough)));
    let now = bench.space().await.settings;
    store.unbind_upstream(&bench.space, now).await.unwrap().unwrap();
    assert!(store.settings(space.id).await.unwrap().1.upstream.is_none());
    assert!(!store.bound(None, 1000).await.unwrap().iter().any(mine));
    bench.finish().await;
}

/// A version that is let go is as if it had never been here: its key is fetched again. A key that was removed is hidden until that is
/// forgotten, and never while something is under it.
pub async fn what_is_let_go_is_read_through_again(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await;
    assert!(!store.remembers(space.id).await.unwrap());
    let kept = super::bench::object(bench.try_put(pull(&bench, &space, "far", b"old")).await);
    assert!(store.remembers(space.id).await.unwrap());
    let version = |id| ObjectAddress::Version(bench.space.clone(), key("far"), VersionRef::Id(id));
    let let_go = |id| DeleteObject { let_go: true, ..bench.delete_target(version(id)) };
    bench.one(Mutation::Delete(Box::new(let_go(kept.id)))).await.unwrap();
    assert_eq!(store.fate(space.id, &key("far")).await.unwrap(), None);
    let again = super::bench::object(bench.try_put(pull(&bench, &space, "far", b"new")).await);
    assert_ne!(again.etag, kept.etag);
    // Of one that is gone nothing happens.
    let _ = bench.one(Mutation::Delete(Box::new(let_go(kept.id)))).await;
    assert_eq!(store.fate(space.id, &key("far")).await.unwrap(), Some(Fate::Pulled));

    store.unhide(space.id, &key("far")).await.unwrap();
    assert_eq!(store.fate(space.id, &key("far")).await.unwrap(), Some(Fate::Pulled), "something is here");
    bench.one(Mutation::Delete(Box::new(bench.delete("far")))).await.unwrap();
    assert_eq!(store.fate(space.id, &key("far")).await.unwrap(), Some(Fate::Owned));
    store.unhide(space.id, &key("far")).await.unwrap();
    assert_eq!(store.fate(space.id, &key("far")).await.unwrap(), None);
    bench.finish().await;
}

/// What is fetched is kept as it was there, and only under a key of which nothing became here.
pub async fn what_is_fetched_never_replaces_anything(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await;
    let put = |name, body: &[u8]| bench.try_put(pull(&bench, &space, name, body));
    let kept = super::bench::object(put("far", b"far").await);
    assert_eq!((kept.created_at, kept.is_null_version), (Timestamp(1_000), true));
    assert_eq!(store.fate(space.id, &key("far")).await.unwrap(), Some(Fate::Pulled));
    assert_eq!(refusal(put("far", b"again").await), Refusal::Changed);
    bench.has_put("here", b"here").await;
    assert_eq!(refusal(put("here", b"far").await), Refusal::Changed);
    assert_eq!(store.fate(space.id, &key("here")).await.unwrap(), None, "a refusal leaves nothing");
    for name in ["far", "here", "neither"] {
        bench.has_deleted(bench.delete(name)).await;
        assert_eq!(store.fate(space.id, &key(name)).await.unwrap(), Some(Fate::Owned), "{name}");
        assert_eq!(refusal(put(name, b"far").await), Refusal::Changed, "{name}");
    }
    let hidden = store.hidden(space.id, &["far", "here", "other"].map(key)).await.unwrap();
    assert_eq!(hidden.len(), 2, "{hidden:?}");
    assert_eq!(store.owned(space.id, "", "here", 10).await.unwrap(), ["far", "here"]);
    // Bound in another way since, and then not at all any more.
    let stale = bind(&bench, Mode::ReadThrough).await;
    bind(&bench, Mode::Observe).await;
    for space in [&stale, &bench.space().await] {
        assert_eq!(refusal(bench.try_put(pull(&bench, space, "late", b"x")).await), Refusal::Changed);
        assert_eq!(store.fate(space.id, &key("late")).await.unwrap(), None, "it may be fetched later");
    }
    bench.finish().await;
}

/// Of a removal and a fetch at once, whichever comes first, nothing is left; of a write and a fetch, the write.
pub async fn of_a_fetch_and_what_happens_at_once_that_wins(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await;
    let writers: Vec<_> = join_all((0..3).map(|_| bench.another_writer())).await;
    for round in 0..12 {
        let (gone, written) = (format!("gone{round}"), format!("written{round}"));
        let changes = [
            Mutation::Put(Box::new(pull(&writers[0], &space, &gone, b"far"))),
            Mutation::Delete(Box::new(bench.delete(&gone))),
            Mutation::Put(Box::new(pull(&writers[1], &space, &written, b"far"))),
            Mutation::Put(Box::new(writers[2].put(&written, format!("mine{round}").as_bytes()))),
        ];
        let [fetch, delete, second, write] = changes;
        let outcomes = futures::join!(
            writers[0].one(fetch),
            bench.one(delete),
            writers[1].one(second),
            writers[2].one(write)
        );
        assert!(outcomes.1.is_ok() && outcomes.3.is_ok(), "{outcomes:?}");
        assert!(bench.find(&gone).await.is_none(), "{outcomes:?}");
        let found = bench.find(&written).await.unwrap().object;
        assert_eq!(found.etag, super::bench::etag(format!("mine{round}").as_bytes()), "{outcomes:?}");
    }
    bench.finish().await;
}

/// A removal or a move that is refused leaves of a key what there was: it comes from the upstream as before.
pub async fn a_refused_removal_hides_nothing(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await;
    let put = |name, body: &[u8]| bench.try_put(pull(&bench, &space, name, body));
    super::bench::object(put("fetched", b"far").await);
    let fate = async |name| store.fate(space.id, &key(name)).await.unwrap();
    for name in ["fetched", "unseen"] {
        let conditional = DeleteObject { preconditions: matching(b"x"), ..bench.delete(name) };
        refusal(bench.one(Mutation::Delete(Box::new(conditional))).await);
    }
    let written = bench.has_put("written", b"1").await;
    let other = bench.has_put("other", b"2").await;
    let stale = bench.rename(other.id, "written", "to");
    assert_eq!(refusal(bench.one(Mutation::Move(Box::new(stale))).await), Refusal::Changed);
    assert_eq!((fate("fetched").await, fate("unseen").await), (Some(Fate::Pulled), None));
    assert_eq!(fate("written").await, None);
    super::bench::object(put("unseen", b"far").await);
    let moved = bench.rename(written.id, "written", "to");
    bench.one(Mutation::Move(Box::new(moved))).await.unwrap();
    assert_eq!(fate("written").await, Some(Fate::Owned));
    bench.finish().await;
}

/// One version after the other removed, the key stays away.
pub async fn a_removed_version_is_remembered(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await;
    let made = bench.has_put("k", b"1").await;
    bench.has_deleted(bench.delete_target(ObjectAddress::Id(made.id))).await;
    assert_eq!(store.fate(space.id, &key("k")).await.unwrap(), Some(Fate::Owned));
    bench.has_put("r", b"1").await;
    bench.has_put("r", b"2").await;
    assert_eq!(store.fate(space.id, &key("r")).await.unwrap(), Some(Fate::Owned), "replaced");
    bench.finish().await;
}

/// Clients are counted, row by row, as long as there is an upstream.
pub async fn clients_are_counted_where_there_is_an_upstream(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await;
    let seen = |agent: &str, at| Seen {
        client: Client::new("key", agent),
        first_at: Timestamp(at),
        last_at: Timestamp(at),
        counts: Counts { local: 1, upstream: 2, pulled: 3, changes: 4, other: 5 },
    };
    store.note_clients(space.id, vec![seen("a", 10), seen("b", 20)]).await.unwrap();
    // One that is late says nothing of the last time.
    store.note_clients(space.id, vec![seen("a", 30), seen("b", 5)]).await.unwrap();
    let twice = Counts { local: 2, upstream: 4, pulled: 6, changes: 8, other: 10 };
    let row = |agent: &str, first_at, last_at| Seen {
        first_at: Timestamp(first_at),
        counts: twice,
        ..seen(agent, last_at)
    };
    assert_eq!(store.clients(space.id).await.unwrap(), [row("a", 10, 30), row("b", 20, 20)]);
    let all: Vec<Seen> = (0..100).map(|n| seen(&n.to_string(), 40)).collect();
    store.note_clients(space.id, all).await.unwrap();
    let known = store.clients(space.id).await.unwrap();
    assert_eq!(known.len(), AGENTS_MAX + 1, "the others are counted together");
    let now = bench.space().await.settings;
    store.unbind_upstream(&bench.space, now).await.unwrap().unwrap();
    store.note_clients(space.id, vec![seen("late", 50)]).await.unwrap();
    assert_eq!(store.clients(space.id).await.unwrap(), [], "it has no upstream any more");
    bench.finish().await;
}

/// A pass is begun once, goes on where it was, and ends once.
pub async fn a_pass_over_an_upstream_goes_on(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await;
    let pass = |begun_at| UpstreamPass {
        space: space.id,
        kind: PassKind::Backfill,
        revision: space.settings,
        begun_at,
        touched_at: begun_at,
        finished_at: None,
        place: None,
        report: "{}".to_owned(),
    };
    let first = pass(bench.now());
    store.begin_pass(&first).await.unwrap();
    store.begin_pass(&pass(bench.now())).await.unwrap();
    assert_eq!(
        store.passes(space.id).await.unwrap(),
        std::slice::from_ref(&first),
        "the one under way goes on"
    );
    let on = UpstreamPass { touched_at: bench.now(), place: Some("there".into()), ..first };
    assert!(store.save_pass(&on).await.unwrap());
    let under_way = store.passes_under_way(1000).await.unwrap();
    assert!(under_way.iter().any(|(address, pass)| *address == bench.space && *pass == on));
    let done = UpstreamPass { finished_at: Some(bench.now()), place: None, ..on.clone() };
    assert!(store.save_pass(&done).await.unwrap());
    assert!(!store.save_pass(&on).await.unwrap(), "it was done");
    let next = pass(bench.now());
    store.begin_pass(&next).await.unwrap();
    assert_eq!(store.passes(space.id).await.unwrap(), [next]);
    assert_eq!(store.end_passes(space.id).await.unwrap(), 1);
    bench.finish().await;
}
