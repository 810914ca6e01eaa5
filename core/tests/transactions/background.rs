//! Pairs of which one is work in the background: what is collected, moved, compacted; and changes of class, which
//! that work follows.

use std::sync::Arc;

use juststorage_core::application::ports::metadata::{
    LeafRecord, Mutation, NewContent, PutObject, Relocation, UpdateObject,
};
use juststorage_core::domain::blob::Hash;
use juststorage_core::domain::event::Cause;
use juststorage_core::domain::object::{Attributes, ObjectId};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::testing::metadata::bench::{Bench, etag, object};

use super::{OK, Pair, Store, Work, both, collect, complete, just, pair, put, said, upload};

const BODY: &[u8] = b"same";

fn reclass(bench: &Arc<Bench<'static>>, id: ObjectId, class: StorageClass) -> Work<String> {
    let preconditions = Preconditions::default();
    let update = UpdateObject {
        id,
        class: Some(class),
        attributes: None,
        lock: None,
        preconditions,
        cause: Cause::default(),
    };
    let bench = bench.clone();
    Box::pin(async move { said(bench.one(Mutation::Update(Box::new(update))).await) })
}

async fn leaf_of(bench: &Bench<'static>, name: &str) -> LeafRecord {
    let blob = bench.find(name).await.unwrap().object.content.unwrap().blob;
    bench.store.find_leaf(blob).await.unwrap().unwrap()
}

/// Points a leaf of [`BODY`] at a copy in a fresh pack of a tier.
async fn relocate(bench: &Arc<Bench<'static>>, name: &str, tier: StorageClass) -> Work<String> {
    let leaf = leaf_of(bench, name).await;
    bench.new_pack(tier).await;
    let to = bench.staged_as(Hash::of(BODY), BODY.len() as u64, tier);
    let relocation = Relocation { blob: leaf.id, from: leaf.location, to };
    let bench = bench.clone();
    Box::pin(async move {
        bench.store.relocate(bench.writer, vec![relocation], bench.now()).await.unwrap();
        OK.to_owned()
    })
}

/// The leaf of a key lies where the hottest of these keys asks for, or will be moved there. Then all of it goes.
async fn lies_right_or_moves(bench: &Bench<'static>, names: &[&str]) {
    let leaf = leaf_of(bench, names[0]).await;
    let mut wanted = StorageClass::Cold;
    for name in names {
        wanted = wanted.max(bench.find(name).await.unwrap().object.class);
    }
    if leaf.location.tier != wanted {
        let moves = bench.store.moves(1000).await.unwrap();
        assert!(
            moves.iter().any(|to_move| to_move.leaf.id == leaf.id && to_move.to == wanted),
            "the bytes stay where they do not belong: {wanted:?} is wanted"
        );
    }
    for name in names {
        bench.has_deleted(bench.delete(name)).await;
    }
}

/// Both happen, and then [`lies_right_or_moves`].
fn both_and_lies_right(
    bench: &Arc<Bench<'static>>,
    names: &'static [&'static str],
) -> impl FnOnce([String; 2]) -> Work<()> + 'static + use<> {
    let bench = bench.clone();
    move |answers| {
        Box::pin(async move {
            both(&answers);
            lies_right_or_moves(&bench, names).await;
        })
    }
}

/// The last reference to a blob goes while the collector is about to forget it, having seen that reference.
pub(super) async fn a_purge_and_a_sweep(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    for name in ["a", "b"] {
        bench.has_put(name, BODY).await;
    }
    bench.has_deleted(bench.delete("a")).await;
    bench.store.purge_deleting(7).await.unwrap();
    bench.has_deleted(bench.delete("b")).await;
    let purging = bench.clone();
    let purge: Work<String> = Box::pin(async move {
        purging.store.purge_deleting(7).await.unwrap();
        OK.to_owned()
    });
    let sweeping = bench.clone();
    let sweep: Work<String> = Box::pin(async move {
        sweeping.store.sweep(7, sweeping.now()).await.unwrap();
        OK.to_owned()
    });
    // That nothing was forgotten is seen at the end of every pair.
    pair(&bench, purge, sweep, just(both))
}

pub(super) async fn two_collectors(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    for name in ["a", "b"] {
        bench.has_put(name, name.as_bytes()).await;
        bench.has_deleted(bench.delete(name)).await;
    }
    pair(&bench, collect(&bench), collect(&bench), just(both)).that_never_wait()
}

/// An object that once asked for another class, and whose leaf is queued for nothing.
async fn queued_for_nothing(store: Store) -> (Arc<Bench<'static>>, ObjectId) {
    let bench = Arc::new(Bench::new(store).await);
    let id = bench.has_put("k", BODY).await.id;
    for class in [StorageClass::Cold, StorageClass::Hot] {
        assert_eq!(reclass(&bench, id, class).await, OK);
    }
    (bench, id)
}

/// A leaf that may stay leaves the queue while its object changes its mind.
pub(super) async fn a_look_at_the_queue_and_a_change_of_class(store: Store) -> Pair {
    let (bench, id) = queued_for_nothing(store).await;
    let looking = bench.clone();
    let look: Work<String> = Box::pin(async move {
        looking.store.moves(1000).await.unwrap();
        OK.to_owned()
    });
    pair(&bench, look, reclass(&bench, id, StorageClass::Cold), both_and_lies_right(&bench, &["k"]))
}

/// The same while compaction points the leaf at another pack.
pub(super) async fn a_compaction_and_a_change_of_class(store: Store) -> Pair {
    let (bench, id) = queued_for_nothing(store).await;
    let compact = relocate(&bench, "k", StorageClass::Hot).await;
    pair(&bench, compact, reclass(&bench, id, StorageClass::Cold), both_and_lies_right(&bench, &["k"]))
}

/// The mover follows an object that changes its mind.
pub(super) async fn a_move_and_a_change_of_class(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = bench.has_put("k", BODY).await.id;
    assert_eq!(reclass(&bench, id, StorageClass::Cold).await, OK);
    let to_move = relocate(&bench, "k", StorageClass::Cold).await;
    pair(&bench, to_move, reclass(&bench, id, StorageClass::Hot), both_and_lies_right(&bench, &["k"]))
}

/// A leaf moves to the tier that all of its objects ask for, and then a hotter copy is made.
pub(super) async fn a_move_and_a_copy(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let source = bench.has_put("k", BODY).await;
    assert_eq!(reclass(&bench, source.id, StorageClass::Cold).await, OK);
    let mut copy = bench.put_content("copy", NewContent::Existing(source.content.unwrap().blob), etag(BODY));
    copy.attributes.class = Some(StorageClass::Hot);
    let to_move = relocate(&bench, "k", StorageClass::Cold).await;
    pair(&bench, to_move, put(&bench, copy), both_and_lies_right(&bench, &["k", "copy"]))
}

/// The same of an object that the leaf is a part of.
pub(super) async fn a_move_and_a_change_of_a_whole(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = upload(&bench).await;
    assert_eq!(complete(&bench, id).await.await, OK);
    let whole = bench.find("k").await.unwrap().object;
    assert_eq!(reclass(&bench, whole.id, StorageClass::Cold).await, OK);
    let to_move = bench.store.moves(1000).await.unwrap();
    let mine = to_move.iter().find(|to_move| to_move.leaf.domain == bench.domain).unwrap().leaf.clone();
    bench.new_pack(StorageClass::Cold).await;
    let to = bench.staged_as(mine.hash, mine.location.length, StorageClass::Cold);
    let relocation = Relocation { blob: mine.id, from: mine.location, to };
    let (moving, left, leaf) = (bench.clone(), bench.clone(), mine.id);
    let to_move: Work<String> = Box::pin(async move {
        moving.store.relocate(moving.writer, vec![relocation], moving.now()).await.unwrap();
        OK.to_owned()
    });
    pair(&bench, to_move, reclass(&bench, whole.id, StorageClass::Hot), move |answers| {
        Box::pin(async move {
            both(&answers);
            let lies = left.store.find_leaf(leaf).await.unwrap().unwrap().location.tier;
            let moves = left.store.moves(1000).await.unwrap();
            let moved =
                moves.iter().any(|to_move| to_move.leaf.id == leaf && to_move.to == StorageClass::Hot);
            assert!(lies == StorageClass::Hot || moved, "the bytes stay where they do not belong");
            left.has_deleted(left.delete("k")).await;
        })
    })
}

/// Damaged bytes are replaced by an upload of the same, while a sound copy takes their place.
pub(super) async fn a_duplicate_and_a_compaction(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.has_put("k", BODY).await;
    let leaf = leaf_of(&bench, "k").await;
    bench.store.quarantine(leaf.id, leaf.location).await.unwrap();
    // Into the writer's pack, while compaction fills one of its own.
    let again = put(&bench, bench.put("again", BODY));
    let compact = relocate(&bench, "k", StorageClass::Hot).await;
    pair(&bench, again, compact, just(both))
}

/// Two bring the same bytes to a hotter tier.
pub(super) async fn two_hotter_duplicates(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let staged = bench.staged_as(Hash::of(BODY), BODY.len() as u64, StorageClass::Cold);
    let attributes = Attributes { class: Some(StorageClass::Cold), ..Attributes::default() };
    let cold = bench.put_content("cold", NewContent::Staged(staged), etag(BODY));
    object(bench.try_put(PutObject { attributes, ..cold }).await);
    let [one, other] = ["a", "b"].map(|name| put(&bench, bench.put(name, BODY)));
    pair(&bench, one, other, just(both))
}

/// An object changes its class while it is replaced: what is counted of its class is counted once.
pub(super) async fn an_overwrite_and_a_change_of_class(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = bench.has_put("k", b"old").await.id;
    pair(
        &bench,
        put(&bench, bench.put("k", b"new")),
        reclass(&bench, id, StorageClass::Cold),
        just(done_or_gone),
    )
}

/// The same of a null version that is not the latest.
pub(super) async fn a_null_version_and_a_change_of_class(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = bench.has_put("k", b"null").await.id;
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_put("k", b"1").await;
    bench.set_versioning(Versioning::Suspended).await;
    pair(
        &bench,
        put(&bench, bench.put("k", b"new")),
        reclass(&bench, id, StorageClass::Cold),
        just(done_or_gone),
    )
}

fn done_or_gone(answers: &[String; 2]) {
    assert_eq!(answers[0], OK);
    assert!([OK, "NoSuchObject"].contains(&answers[1].as_str()), "{answers:?}");
}
