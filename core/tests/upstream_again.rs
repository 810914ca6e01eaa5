//! A space comes again to its upstream, whose clients have written there in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;
#[path = "common/mirroring.rs"]
mod mirroring;

use bound::Bound;
use common::{noise, root, space};
use juststorage_core::application::admin::UpstreamChange;
use juststorage_core::application::error::{Error, Result};
use juststorage_core::application::ports::metadata::PassKind;
use juststorage_core::application::workers::worker::run_dry;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::upstream::{Mode, Source};
use juststorage_core::testing::upstream::MODIFIED;
use mirroring::{Sending, mirrored, put, tag};
use serde_json::Value;

/// Sets a mode as an operator does who says nothing else.
async fn set(bound: &Bound, mode: Mode) -> Result<()> {
    let change = UpstreamChange { mode: Some(mode), ..UpstreamChange::default() };
    bound.admin.set_upstream(&root(), &space(), &change).await?;
    run_dry(&bound.worker()).await.unwrap();
    Ok(())
}

async fn is_refused(bound: &Bound, why: &str) {
    for mode in [Mode::ReadThrough, Mode::Mirror] {
        let refused = set(bound, mode).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

async fn refresh_and_remove(bound: &Bound) -> Value {
    bound.admin.refresh_and_remove(&root(), &space()).await.unwrap();
    run_dry(&bound.worker()).await.unwrap();
    let passes = bound.admin.upstream(&root(), &space()).await.unwrap().passes;
    let pass = passes.into_iter().find(|pass| pass.kind == PassKind::Refresh).unwrap();
    serde_json::from_str(&pass.report).unwrap()
}

/// After the way back the old store is right: what it replaced, removed and made again is seen so when the space comes again, and
/// no mode reads through before.
#[tokio::test]
async fn a_space_that_comes_again_has_what_the_upstream_has_by_now() {
    let bound = mirrored().await;
    for key in ["fetched", "gone", "kept", "removed", "unseen"] {
        bound.upstream.put(key, noise(1, 100));
    }
    for key in ["fetched", "gone", "kept", "removed"] {
        bound.get(key).await.unwrap();
    }
    put(&bound, "sent", noise(2, 20)).await;
    put(&bound, "fetched", noise(3, 30)).await;
    bound.run.put("native", noise(4, 40)).await.unwrap();
    bound.run.delete("removed").await;
    let mut sending = Sending::of(&bound).await;
    sending.all().await;

    bound.set(Mode::Observe).await;
    for key in ["fetched", "native", "sent", "unseen"] {
        bound.upstream.put(key, noise(9, 90));
    }
    // The same bytes as before it was removed: that it was is known all the same.
    bound.upstream.put("removed", noise(1, 100));
    bound.upstream.remove("gone");
    is_refused(&bound, "run refresh").await;
    // More than a page of a listing, so that a pass takes several.
    for n in 0..20 {
        bound.upstream.put(&format!("new{n:02}"), noise(n, 10));
    }
    let report = bound.pass(PassKind::Refresh).await;
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(
        [count("replaced"), count("returned"), count("removed"), count("found")],
        [3, 1, 1, 1],
        "{report}"
    );
    assert_eq!((&report["findings"][0]["key"], &report["clean"]), (&"gone".into(), &false.into()));
    assert!(bound.is_here("gone").await && bound.is_here("kept").await, "nothing goes unasked");
    is_refused(&bound, "cannot decide").await;
    assert_eq!(refresh_and_remove(&bound).await["clean"], true);
    // A change of anything else takes another refresh.
    bound.run.clock.advance(61 * 60 * 1000);
    is_refused(&bound, "run refresh").await;
    assert_eq!(bound.pass(PassKind::Refresh).await["clean"], true);

    set(&bound, Mode::ReadThrough).await.unwrap();
    assert_eq!(bound.get("removed").await.unwrap().1, noise(1, 100));
    for key in ["fetched", "native", "sent", "unseen"] {
        assert_eq!(bound.get(key).await.unwrap().1, noise(9, 90), "{key}");
    }
    assert_eq!(bound.get("kept").await.unwrap(), (Some(Source::Local), noise(1, 100)));
    assert!(matches!(bound.get("gone").await, Err(Error::NoSuchObject)));
    bound.pass(PassKind::Backfill).await;
    assert_eq!(bound.pass(PassKind::Verify).await["clean"], true);
    bound.end().await;
}

/// What the upstream never had is taken away by nobody: a person says that it wins, or begins anew.
#[tokio::test]
async fn what_was_written_here_alone_is_left() {
    let bound = Bound::new(Mode::ReadThrough).await;
    for key in ["both", "edited", "hidden", "replaced"] {
        bound.upstream.put(key, noise(1, 100));
    }
    for key in ["both", "edited"] {
        bound.get(key).await.unwrap();
    }
    put(&bound, "both", noise(2, 20)).await;
    put(&bound, "here", noise(3, 30)).await;
    tag(&bound, "edited", [("k".to_owned(), "v".to_owned())].into()).await;
    bound.run.delete("hidden").await;
    bound.set(Mode::Observe).await;
    bound.upstream.put("both", noise(9, 90));
    bound.upstream.put("edited", noise(9, 90));
    let report = refresh_and_remove(&bound).await;
    assert_eq!(
        (&report["found"], &report["replaced"], &report["removed"]),
        (&4.into(), &0.into(), &0.into()),
        "{report}"
    );
    is_refused(&bound, "cannot decide").await;
    let change =
        UpstreamChange { mode: Some(Mode::ReadThrough), keep_here: true, ..UpstreamChange::default() };
    bound.admin.set_upstream(&root(), &space(), &change).await.unwrap();
    assert_eq!(bound.get("both").await.unwrap().1, noise(2, 20));
    assert_eq!(bound.get("here").await.unwrap().1, noise(3, 30));
    assert_eq!(bound.get("edited").await.unwrap().1, noise(1, 100));
    assert!(matches!(bound.get("hidden").await, Err(Error::NoSuchObject)));
    bound.end().await;
}

/// Where versions are kept nothing is let go, and a refresh is for the mode `observe`.
#[tokio::test]
async fn versions_are_left_and_clients_are_not_surprised() {
    let bound = mirrored().await;
    bound.run.metadata.set_versioning(&space(), Versioning::Enabled, MODIFIED).await.unwrap().unwrap();
    bound.upstream.put("k", noise(1, 10));
    bound.get("k").await.unwrap();
    let refused = bound.admin.begin_pass(&root(), &space(), PassKind::Refresh).await.unwrap_err().to_string();
    assert!(refused.contains("must be observe"), "{refused}");
    bound.set(Mode::Observe).await;
    bound.upstream.put("k", noise(2, 10));
    let report = refresh_and_remove(&bound).await;
    assert_eq!((&report["found"], &report["replaced"]), (&1.into(), &0.into()), "{report}");
    assert!(bound.is_here("k").await);
    // A space of which nothing is known comes for the first time.
    bound.admin.forget_upstream(&root(), &space()).await.unwrap();
    bound.end().await;
}
