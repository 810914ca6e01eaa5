//! What stays, and what does not, when callers go away and files come and go.

use std::sync::Arc;
use std::task::Poll;

use futures::TryStreamExt as _;
use juststorage_core::application::ports::segments::{SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::{Hash, SegmentId};
use juststorage_core::infrastructure::segments::LocalSegments;
use juststorage_core::testing::segments as contract;
use tokio::runtime::{Builder, Runtime};

use super::Tier;

/// A runtime whose blocking jobs run one after the other, so that a job waited for comes after all before.
fn one_at_a_time() -> Runtime {
    Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap()
}

async fn jobs_before_are_done() {
    tokio::task::spawn_blocking(|| {}).await.unwrap();
}

#[test]
fn a_single_given_up_leaves_no_file() {
    let tier = Tier::new();
    let begin = async {
        let mut writer = tier.store.create_single(SegmentId::fresh(), [0; 16], None).await.unwrap();
        for n in 0..5 {
            writer.write(contract::noise(n, 700_000)).await.unwrap();
        }
        assert_eq!(tier.files().len(), 1);
        writer
    };
    let runtime = one_at_a_time();
    // Inside of a runtime the file goes on a thread that may block; outside, at once.
    let writer = runtime.block_on(begin);
    runtime.block_on(async {
        drop(writer);
        jobs_before_are_done().await;
    });
    assert!(tier.files().is_empty());
    let writer = runtime.block_on(tier.store.create_single(SegmentId::fresh(), [0; 16], None)).unwrap();
    drop(writer);
    assert!(tier.files().is_empty());
}

/// The client goes away while its upload is being sealed: no file without a row stays, even if the
/// segment was deleted before the sealing thread came to it.
#[test]
fn a_finish_given_up_leaves_no_file() {
    let tier = Tier::new();
    one_at_a_time().block_on(async {
        let id = SegmentId::fresh();
        let payload = contract::noise(1, 100);
        let mut writer = tier.store.create_single(id, [0; 16], None).await.unwrap();
        writer.write(payload.clone()).await.unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || held.recv());
        let mut finish = writer.finish(Hash::of(&payload));
        assert!(matches!(futures::poll!(&mut finish), Poll::Pending));
        drop(finish);
        drop(release);
        assert!(busy.await.unwrap().is_err());
        jobs_before_are_done().await;
        assert!(tier.files().is_empty());
    });
}

/// An append that its caller stopped waiting for may or may not be in the file: nothing more is appended.
#[test]
fn an_append_given_up_ends_the_pack() {
    let tier = Tier::new();
    one_at_a_time().block_on(async {
        let id = SegmentId::fresh();
        let mut pack = tier.store.create_pack(id).await.unwrap();
        let record = || vec![contract::record(contract::noise(1, 100))];
        pack.append(record()).await.unwrap();
        let committed = pack.size();
        {
            let mut append = pack.append(record());
            assert!(matches!(futures::poll!(&mut append), Poll::Pending));
        }
        assert!(matches!(pack.append(record()).await, Err(SegmentError::Io { .. })));
        assert_eq!(pack.size(), committed);
        assert!(matches!(pack.seal().await, Err(SegmentError::Io { .. })));
        tier.store.recover(id, committed).await.unwrap();
        // The thread that wrote it was not stopped, and what is whole stays.
        assert_eq!(tier.store.inspect(id).await.unwrap().len(), 2);
    });
}

/// Open files are bounded however many packs are read, and a deleted pack's file is let go of.
#[tokio::test]
async fn handles_are_bounded_and_let_go() {
    let tier = Tier::new();
    let payload = contract::noise(1, 1000);
    let mut packs = Vec::new();
    for _ in 0..600 {
        let id = SegmentId::fresh();
        let mut pack = tier.store.create_pack(id).await.unwrap();
        let offset = pack.append(vec![contract::record(payload.clone())]).await.unwrap()[0];
        packs.push((id, offset));
    }
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
        targets.filter(|target| target.starts_with(tier.root.path())).count()
    };
    for _ in 0..2 {
        for (id, offset) in &packs {
            let read = contract::read(&*tier.store, contract::whole(*id, *offset, 1000)).await;
            assert!(read.unwrap() == payload);
        }
    }
    assert!((1..=256).contains(&open()), "{} files are open", open());
    for (id, _) in &packs {
        tier.store.delete(*id).await.unwrap();
    }
    assert_eq!(open(), 0);
}

/// Two processes on one directory: what the one deletes the other finds missing once its handle is gone, and a
/// reader in the other finishes.
#[tokio::test]
async fn another_process_may_delete() {
    let tier = Tier::new();
    let other = LocalSegments::open(tier.root.path().join("some/tier"), "hot").unwrap();
    let payload = contract::noise(1, 3 << 20);
    let (id, offset) = contract::write_single(&*tier.store, &payload, 1 << 20).await;
    let whole = contract::whole(id, offset, payload.len() as u64);
    let stream = tier.store.read(whole).await.unwrap();
    other.delete(id).await.unwrap();
    let chunks: Vec<_> = stream.try_collect().await.unwrap();
    assert!(chunks.concat() == payload);
    assert!(matches!(contract::read(&*tier.store, whole).await, Err(SegmentError::Missing(_))));
}

/// Files that are no segments do not disturb: an operator's notes, `lost+found`, a tool's temporary file.
#[tokio::test]
async fn strangers_are_passed_over() {
    let tier = Tier::new();
    let id = SegmentId::fresh();
    tier.store.create_pack(id).await.unwrap();
    let root = tier.root.path().join("some/tier");
    for stranger in ["staging/.check", "segments/README", "segments/00.txt", "staging/not-a-name"] {
        std::fs::write(root.join(stranger), b"?").unwrap();
    }
    std::fs::create_dir(root.join("segments/lost+found")).unwrap();
    let shelf = tier.path(id).parent().unwrap().to_path_buf();
    std::fs::write(shelf.join(format!("{}.seg.bak", SegmentId::fresh())), b"?").unwrap();
    let names: Vec<_> = tier.store.list().await.unwrap().try_collect().await.unwrap();
    assert_eq!(names, [id]);
}

/// A store whose directory cannot be made says so instead of starting.
#[test]
fn a_file_in_the_way_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = LocalSegments::open(file.path().join("tier"), "hot");
    assert!(matches!(refused, Err(SegmentError::Io { .. })));
}

/// Many readers of one pack while it grows and others come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_race_with_deletions() {
    let tier = Arc::new(Tier::new());
    let payload = contract::noise(3, 5000);
    for _ in 0..50 {
        let id = SegmentId::fresh();
        let mut pack = tier.store.create_pack(id).await.unwrap();
        let offset = pack.append(vec![contract::record(payload.clone())]).await.unwrap()[0];
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (tier, payload) = (Arc::clone(&tier), payload.clone());
                tokio::spawn(async move {
                    match contract::read(&*tier.store, contract::whole(id, offset, 5000)).await {
                        Ok(bytes) => assert!(bytes == payload),
                        Err(error) => assert!(matches!(error, SegmentError::Missing(_)), "{error}"),
                    }
                })
            })
            .collect();
        tier.store.delete(id).await.unwrap();
        for reader in readers {
            reader.await.unwrap();
        }
        let gone = contract::read(&*tier.store, contract::whole(id, offset, 5000)).await;
        assert!(matches!(gone, Err(SegmentError::Missing(_))), "a handle was kept: {gone:?}");
    }
}
