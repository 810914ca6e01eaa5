//! Two replicas whose tiers are directories that both machines mount, as NFS or `CephFS` gives them: one local directory stands for
//! that. What such a file system must promise is in docs/infrastructure.md.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use juststorage_compat_tests::{disk, s3};
use tempfile::TempDir;

use super::oracle::{Load, Writer};
use super::sudden::{acknowledged, until_alone, until_both_serve};
use super::{BUCKET, pair_on, start, states};

const WRITERS: u64 = 4;

/// Both write and read each other's objects while garbage is collected and everything is read and checked, also by a replica
/// whose peer is killed with -9 in the middle of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_on_one_directory_lose_nothing() {
    let shared = TempDir::new().unwrap();
    let tier = |tier: &str| shared.path().join(tier);
    let url = |name, folder| (name, format!("file://{}", tier(folder).display()));
    let settings = [url("JUSTSTORAGE_HOT_URL", "hot"), url("JUSTSTORAGE_COLD_URL", "cold")];
    let mut servers = pair_on(settings.to_vec()).await;
    let load = Load::default();
    *load.replicas.lock().unwrap() = servers.iter().map(|server| Some(server.native())).collect();
    let mut writers: Vec<_> = (0..WRITERS).map(Writer::new).collect();
    let running = join_all(writers.iter_mut().map(|writer| writer.run(&load)));
    let disturbed = async {
        for victim in [0, 1] {
            acknowledged(&load, 40).await;
            let other = 1 - victim;
            // Beside the workers of both: commands do the same work at the same time. None may take what another one needs.
            let upkeep = ["gc", "scrub", "gc"]
                .map(|command| tokio::task::block_in_place(|| servers[other].run_ok(&[command])));
            assert!(upkeep.iter().all(|printed| !printed.is_empty()));
            load.replicas.lock().unwrap()[victim] = None;
            servers[victim].kill();
            acknowledged(&load, 20).await;
            tokio::task::block_in_place(|| servers[other].run_ok(&["gc"]));
            until_alone(&servers[other]).await;
            tokio::task::block_in_place(|| servers[other].run_ok(&["scrub"]));
            start(&mut servers[victim]).await;
            load.replicas.lock().unwrap()[victim] = Some(servers[victim].native());
            until_both_serve(&servers[victim]).await;
        }
        acknowledged(&load, 40).await;
        load.stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(running, disturbed);
    for server in &servers {
        let native = server.native();
        join_all(writers.iter().map(|writer| writer.verify(&native))).await;
    }
    let [mut one, mut two] = servers;
    one.stop().await;
    assert_eq!(states(&two).await, ["serving"]);
    s3::empty(&two.s3(), BUCKET).await;
    two.assert_nothing_left().await;
    for folder in ["hot", "cold"] {
        assert_eq!(disk::segments(&tier(folder)), [], "left in the {folder} tier");
    }
    println!(
        "figures: one directory: {} writes acknowledged by two replicas, {} read back through the other one at once, 2 killed, \
         6 collections and 4 scrubs meanwhile: 0 lost, 0 left",
        load.acknowledged.load(Ordering::SeqCst),
        load.read_back.load(Ordering::SeqCst),
    );
}
