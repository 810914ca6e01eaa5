//! Spaces that are mirrored to their upstream: what is remembered of what was sent.

use super::bench::{Bench, key};
use super::upstreams::bind;
use crate::application::ports::metadata::{
    MetadataStore, MirrorNotes, MirroredVersion, MirroredVersions, ObjectAddress, VersionNote,
};
use crate::domain::address::Key;
use crate::domain::object::ObjectId;
use crate::domain::space::Versioning;
use crate::domain::upstream::Mode;

/// Versions of a key in their order; which of them is the newest there, of which something is still to be done, and which are
/// gone here; and the keys of which something is missing there.
pub async fn versions_that_were_sent_are_remembered(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let space = bind(&bench, Mode::ReadThrough).await.id;
    bench.set_versioning(Versioning::Enabled).await;
    let mut ids = Vec::new();
    for body in [b"1", b"2", b"3"] {
        ids.push(bench.has_put("k", body).await.id);
    }
    bench.has_put("l", b"1").await;
    let (k, nothing) = (key("k"), MirroredVersions::default());
    let after = async |after: Option<ObjectId>, limit| -> Vec<ObjectId> {
        let page = store.versions_after(space, &key("k"), after, limit).await.unwrap();
        page.iter().map(|found| found.object.id).collect()
    };
    assert_eq!(after(None, 10).await, ids);
    assert_eq!(after(Some(ids[0]), 1).await, ids[1..2]);
    let unsent = async |after: Option<&str>, until: Option<&str>, limit| -> Vec<Key> {
        store.versions_unsent(space, after, until, limit).await.unwrap()
    };
    assert_eq!(unsent(None, None, 10).await, [key("k"), key("l")]);
    assert_eq!(unsent(None, None, 1).await, [key("k")]);
    assert_eq!(unsent(Some("k"), None, 10).await, [key("l")]);
    assert_eq!(unsent(None, Some("k"), 10).await, [key("k")]);

    assert_eq!(store.mirrored_versions(space, &k, 10).await.unwrap(), nothing);
    let sent = |at: usize| MirroredVersion::sent(ids[at], Some(format!("v{at}")));
    let begun = MirroredVersion {
        sending: Some("e".into()),
        below: Some("v1".into()),
        ..MirroredVersion::sent(ids[2], None)
    };
    let note = async |versions: Vec<MirroredVersion>| {
        let note = |version| VersionNote { space, key: key("k"), version };
        let notes = MirrorNotes { keys: Vec::new(), versions: versions.into_iter().map(note).collect() };
        store.note_mirrored(&notes, bench.now()).await.unwrap();
    };
    note(vec![sent(0), sent(1), begun.clone()]).await;
    let known = async || store.mirrored_versions(space, &key("k"), 10).await.unwrap();
    assert_eq!(known().await, MirroredVersions { newest: Some(sent(1)), open: vec![begun] });
    assert_eq!(unsent(None, Some("k"), 10).await, [key("k")], "one is only begun");
    let again =
        MirroredVersion { stale: Some("v2".into()), ..MirroredVersion::sent(ids[2], Some("v9".into())) };
    note(vec![again.clone()]).await;
    assert_eq!(known().await, MirroredVersions { newest: Some(again.clone()), open: vec![again] });
    note(vec![sent(2)]).await;
    assert_eq!(known().await, MirroredVersions { newest: Some(sent(2)), open: Vec::new() });
    assert_eq!(unsent(None, None, 10).await, [key("l")]);

    assert_eq!(store.versions_gone(space, &k, 10).await.unwrap(), []);
    for id in &ids[..2] {
        bench.has_deleted(bench.delete_target(ObjectAddress::Id(*id))).await;
    }
    assert_eq!(store.versions_gone(space, &k, 1).await.unwrap(), [sent(0)]);
    assert_eq!(store.versions_gone(space, &k, 10).await.unwrap(), [sent(0), sent(1)]);
    assert_eq!(unsent(None, None, 10).await, [key("k"), key("l")]);
    store.forget_versions(space, &k, &ids[..2]).await.unwrap();
    assert_eq!(store.versions_gone(space, &k, 10).await.unwrap(), []);
    assert_eq!(unsent(None, None, 10).await, [key("l")]);
    let now = bench.space().await.settings;
    store.unbind_upstream(&bench.space, now).await.unwrap().unwrap();
    assert_eq!(known().await, nothing, "it is forgotten with its upstream");
    bench.finish().await;
}
