//! What happens at once. The futures of one promise run interleaved, on as many connections as there are.

use futures::future::{join, join_all};

use super::bench::{Bench, absent, etag, key, matching};
use super::uploads::{claims, new_upload, part};
use crate::application::ports::metadata::{
    DeleteObject, MetadataStore, Mutation, MutationOutcome, NewContent, ObjectAddress, PutObject, Refusal,
    UpdateObject, VersionRef,
};
use crate::domain::event::Cause;
use crate::domain::patch::AttributesPatch;
use crate::domain::precondition::Preconditions;
use crate::domain::space::Versioning;

/// `If-None-Match: *` from several writers: exactly one object is made.
pub async fn of_two_creators_of_a_key_one_wins(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    for round in 0..5 {
        let name = format!("k{round}");
        let creators = (0..8).map(|n| {
            let put = bench.put(&name, format!("{round}/{n}").as_bytes());
            bench.try_put(PutObject { preconditions: absent(), ..put })
        });
        let outcomes = join_all(creators).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        let refused = |outcome: &&Result<_, _>| matches!(outcome, Err(Refusal::PreconditionFailed));
        assert_eq!(outcomes.iter().filter(refused).count(), 7, "{outcomes:?}");
    }
    bench.finish().await;
}

/// Updates of one object by several writers: each changes its own, and none is lost.
pub async fn of_updates_at_once_none_is_lost(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let id = bench.has_put("k", b"body").await.id;
    let writers: Vec<_> = join_all((0..6).map(|_| bench.another_writer())).await;
    let update = |attributes| {
        let preconditions = Preconditions::default();
        let attributes = Some(attributes);
        Mutation::Update(Box::new(UpdateObject {
            id,
            class: None,
            attributes,
            lock: None,
            preconditions,
            cause: Cause::default(),
        }))
    };
    join_all(writers.iter().enumerate().map(|(n, writer)| async move {
        for round in 0..5 {
            let metadata = [(format!("{n}.{round}"), Some("x".to_owned()))].into();
            let patch = AttributesPatch { metadata, ..AttributesPatch::default() };
            writer.one(update(patch)).await.unwrap();
            if n == 0 {
                let tags = AttributesPatch::tags([("round".to_owned(), round.to_string())].into());
                writer.one(update(tags)).await.unwrap();
            }
        }
    }))
    .await;
    let object = bench.find("k").await.unwrap().object;
    let all = (0..6).flat_map(|n| (0..5).map(move |round| (format!("{n}.{round}"), "x".to_owned())));
    assert_eq!(object.metadata, all.collect());
    assert_eq!(object.tags, [("round".to_owned(), "4".to_owned())].into());
    bench.finish().await;
}

/// Compare-and-swap by `If-Match`: of those who saw the same version one wins.
pub async fn of_many_swappers_each_sees_the_one_before(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.has_put("k", b"0").await;
    let mut current = b"0".to_vec();
    for round in 1..=4 {
        let bodies: Vec<_> = (0..6).map(|n| format!("{round}.{n}").into_bytes()).collect();
        let swaps = bodies.iter().map(|body| {
            let put = bench.put("k", body);
            bench.try_put(PutObject { preconditions: matching(&current), ..put })
        });
        let outcomes = join_all(swaps).await;
        let winners: Vec<_> = bodies.iter().zip(&outcomes).filter(|(_, o)| o.is_ok()).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        bench.assert_latest("k", Some(winners[0].0)).await;
        current.clone_from(winners[0].0);
    }
    bench.finish().await;
}

/// A key that others overwrite all the time is there all the time: a condition on it fails, and never finds nothing.
/// Puts, deletes, a delete of the null version and updates, in spaces without versioning and with suspended.
pub async fn a_condition_never_misses_a_key_that_is_overwritten(store: &dyn MetadataStore) {
    const ROUNDS: usize = 25;
    for versioning in [Versioning::Off, Versioning::Suspended] {
        let bench = Bench::new(store).await;
        bench.has_put("k", b"first").await;
        if versioning == Versioning::Suspended {
            bench.set_versioning(Versioning::Enabled).await;
            bench.set_versioning(Versioning::Suspended).await;
        }
        let writers: Vec<_> = join_all((0..3).map(|_| bench.another_writer())).await;
        let overwriters = join_all(writers.iter().enumerate().map(|(n, writer)| async move {
            for round in 0..ROUNDS {
                writer.has_put("k", format!("{n}.{round}").as_bytes()).await;
            }
        }));
        let conditional = async {
            for _ in 0..ROUNDS {
                let put = PutObject { preconditions: matching(b"never"), ..bench.put("k", b"swapped") };
                let delete = DeleteObject { preconditions: matching(b"never"), ..bench.delete("k") };
                let null = ObjectAddress::Version(bench.space.clone(), key("k"), VersionRef::Null);
                let null = DeleteObject { preconditions: matching(b"never"), ..bench.delete_target(null) };
                for mutation in [
                    Mutation::Put(Box::new(put)),
                    Mutation::Delete(Box::new(delete)),
                    Mutation::Delete(Box::new(null)),
                ] {
                    let outcome = bench.one(mutation).await;
                    assert!(matches!(outcome, Err(Refusal::PreconditionFailed)), "{outcome:?}");
                }
            }
        };
        join(overwriters, conditional).await;
        bench.finish().await;
    }
}

/// Unconditional writes and deletes of few keys by many: no mix, one latest version per key.
pub async fn writers_of_one_key_all_succeed_and_one_is_latest(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let others: Vec<_> = join_all((0..4).map(|_| bench.another_writer())).await;
    let work = others.iter().enumerate().map(|(n, writer)| async move {
        for round in 0..6 {
            let body = format!("{}", round % 3);
            let batch = vec![
                Mutation::Put(Box::new(writer.put("a", body.as_bytes()))),
                Mutation::Put(Box::new(writer.put("b", format!("{n}.{round}").as_bytes()))),
                Mutation::Delete(Box::new(writer.delete("c"))),
                Mutation::Put(Box::new(writer.put("c", body.as_bytes()))),
            ];
            let outcomes = writer.commit(batch).await;
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        }
    });
    join_all(work).await;
    assert_eq!(bench.names(&bench.everything().await).await, ["a", "b", "c"]);
    bench.collect().await;
    bench.finish().await;
}

/// GC runs while the same few contents are put, copied and deleted all the time: no commit ever refers to
/// a blob that is gone, and in the end exactly what is referred to is left.
pub async fn collectors_and_committers_do_not_lose_blobs(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let writers: Vec<_> = join_all((0..3).map(|_| bench.another_writer())).await;
    let work = join_all(writers.iter().enumerate().map(|(n, writer)| async move {
        for round in 0..25 {
            let body = format!("content {}", round % 3);
            let name = format!("{n}");
            let object = writer.has_put(&name, body.as_bytes()).await;
            let source = object.content.unwrap();
            let copy = writer.put_content("copy", NewContent::Existing(source.blob), etag(body.as_bytes()));
            match writer.try_put(copy).await {
                // Nothing holds a source for a copy: it may be gone, and then it is read again.
                Ok(MutationOutcome::Object { .. }) | Err(Refusal::SourceGone) => {}
                other => panic!("{other:?}"),
            }
            let found =
                store.find(&ObjectAddress::Latest(writer.space.clone(), super::bench::key(&name))).await;
            assert!(found.unwrap().unwrap().leaf.is_some());
            writer.has_deleted(writer.delete(&name)).await;
        }
    }));
    let gc = async {
        for _ in 0..60 {
            store.purge_deleting(3).await.unwrap();
            store.sweep(3, bench.now()).await.unwrap();
        }
    };
    join(work, gc).await;
    bench.has_deleted(bench.delete("copy")).await;
    bench.collect().await;
    bench.finish().await;
}

/// Versions of one key are made and deleted at once.
pub async fn versions_deleted_while_written_stay_consistent(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.set_versioning(Versioning::Enabled).await;
    let work = (0..5).map(|n| {
        let bench = &bench;
        async move {
            let mut made = Vec::new();
            for round in 0..6 {
                made.push(bench.has_put("k", format!("{n}.{round}").as_bytes()).await.id);
                if round % 2 == 1 {
                    let id = made.remove(0);
                    let (removed, _) = bench.has_deleted(bench.delete_target(ObjectAddress::Id(id))).await;
                    assert_eq!(removed.map(|object| object.id), Some(id));
                }
            }
            for id in made {
                bench.has_deleted(bench.delete_target(ObjectAddress::Id(id))).await;
            }
        }
    });
    join_all(work).await;
    assert_eq!(bench.find("k").await, None);
    bench.collect().await;
    bench.finish().await;
}

/// Parts of one upload from several writers, the same number twice: all numbers are there, none twice.
pub async fn parts_put_together_are_all_there(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let writers: Vec<_> = join_all((0..3).map(|_| bench.another_writer())).await;
    let upload = new_upload(&bench, "k").await;
    let work = writers.iter().enumerate().map(|(n, writer)| async move {
        for number in 1..=6 {
            // Every writer brings parts 1 to 6, of its own content; of each number one stays.
            part(writer, upload, number, &format!("{n}.{number}"), 5 << 20).await;
        }
    });
    join_all(work).await;
    let parts = store.list_parts(upload, None, 100).await.unwrap();
    assert_eq!(parts.iter().map(|part| part.number.get()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let numbers: Vec<_> = (1..=6).collect();
    super::uploads::complete(&bench, upload, claims(&numbers)).await.unwrap();
    bench.collect().await;
    bench.finish().await;
}
