//! A disk that is full, on a small file system in memory. Needs the right to mount; without it, says so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use juststorage_core::application::ports::segments::{SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::infrastructure::segments::LocalSegments;
use juststorage_core::testing::segments as contract;

/// Unmounts when dropped, also after a panic.
struct Mount(PathBuf);

impl Mount {
    fn of_four_mib(at: &Path) -> Option<Self> {
        let options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(at).output().ok()?.status.success();
        mounted.then(|| Self(at.to_path_buf()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_recovers_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::of_four_mib(root.path()) else {
        eprintln!("skipped: this user may not mount a tmpfs");
        return;
    };
    let store = LocalSegments::open(root.path().join("tier"), "cold").unwrap();
    store.check().await.unwrap();

    // A single that does not fit: the error comes while writing or at the end; dropped, its room is free again.
    let (big, id) = (contract::noise(1, 8 << 20), SegmentId::fresh());
    let mut writer = store.create_single(id, [0; 16], Some(8 << 20)).await.unwrap();
    let mut failed = None;
    for n in 0..16 {
        if let Err(error) = writer.write(big.slice(n << 19..(n + 1) << 19)).await {
            failed = Some(error);
            break;
        }
    }
    assert!(matches!(failed, Some(SegmentError::Full("cold"))), "{failed:?}");
    assert!(matches!(writer.write(big.slice(..10)).await, Err(SegmentError::Io { .. })), "poisoned");
    assert!(writer.finish(juststorage_core::domain::blob::Hash::of(&big)).await.is_err());
    store.delete(id).await.unwrap();

    // A pack that runs full: the failed batch leaves nothing behind it, the earlier ones stay readable.
    // The room is free once the last thread that wrote has closed the file.
    let deadline = Instant::now() + Duration::from_secs(10);
    let (id, mut pack) = loop {
        let id = SegmentId::fresh();
        match store.create_pack(id).await {
            Ok(pack) => break (id, pack),
            Err(SegmentError::Full(_)) if Instant::now() < deadline => store.delete(id).await.unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    };
    let payload = contract::noise(2, 900_000);
    let mut offsets = Vec::new();
    let failed = loop {
        match pack.append(vec![contract::record(payload.clone())]).await {
            Ok(appended) => offsets.extend(appended),
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, SegmentError::Full("cold")), "{failed}");
    assert_eq!(offsets.len(), 4);
    let again = pack.append(vec![contract::record(contract::noise(3, 1))]).await;
    assert!(matches!(again, Err(SegmentError::Io { .. })), "poisoned: {again:?}");
    let committed = pack.size();
    drop(pack);
    let name = id.to_string();
    let file = root.path().join("tier/segments").join(&name[..2]).join(format!("{name}.seg"));
    assert_eq!(std::fs::metadata(file).unwrap().len(), committed, "the torn tail gave its room back");
    for offset in &offsets {
        assert!(contract::read(&store, contract::whole(id, *offset, 900_000)).await.unwrap() == payload);
    }
    store.recover(id, committed).await.unwrap();

    // Full to the last page, then emptied.
    let filler = SegmentId::fresh();
    let mut pack = store.create_pack(filler).await.unwrap();
    while pack.append(vec![contract::record(contract::noise(4, 50_000))]).await.is_ok() {}
    drop(pack);
    let ballast = root.path().join("ballast");
    assert!(std::fs::write(&ballast, &big).is_err());
    assert!(matches!(store.check().await, Err(SegmentError::Full("cold"))));
    std::fs::remove_file(&ballast).unwrap();
    store.delete(filler).await.unwrap();
    store.check().await.unwrap();
}
