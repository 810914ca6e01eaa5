//! Replicas that die and that fall asleep under load: nothing acknowledged is lost, and the other one takes over in seconds.
//!
//! `JUSTSTORAGE_REPLICA_ROUNDS` (2) is the number of rounds: a kill in each, and a pause in every second one.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use juststorage_compat_tests::{Server, s3, wait};
use rustix::process::{Pid, Signal, kill_process};

use super::oracle::{Load, Writer};
use super::peer::Peer;
use super::{BUCKET, pair, start, states};

const WRITERS: u64 = 4;

/// Longest wait for anything, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn signal(server: &Server, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(server.process_id()).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

pub(super) async fn acknowledged(load: &Load, more: usize) {
    let begun = load.acknowledged.load(Ordering::SeqCst);
    wait::until("writes are acknowledged", PATIENCE, async || {
        (load.acknowledged.load(Ordering::SeqCst) >= begun + more).then_some(())
    })
    .await;
}

/// How long until `survivor` is alone, since now.
pub(super) async fn until_alone(survivor: &Server) -> Duration {
    let begun = Instant::now();
    wait::until("the other replica is taken over from", PATIENCE, async || {
        (states(survivor).await == ["serving"]).then_some(())
    })
    .await;
    begun.elapsed()
}

pub(super) async fn until_both_serve(server: &Server) {
    wait::until("both replicas serve", PATIENCE, async || {
        (states(server).await == ["serving", "serving"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_die_and_sleep_lose_nothing() {
    let rounds = std::env::var("JUSTSTORAGE_REPLICA_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(2);
    let peer = match Peer::seaweedfs().await {
        Some(peer) => peer,
        None => Peer::gateway().await,
    };
    let mut servers = pair(&peer, &[]).await;
    let load = Load::default();
    *load.replicas.lock().unwrap() = servers.iter().map(|server| Some(server.native())).collect();
    let mut writers: Vec<_> = (0..WRITERS).map(Writer::new).collect();
    let running = join_all(writers.iter_mut().map(|writer| writer.run(&load)));
    let disturbed = async {
        let (mut kills, mut pauses, mut longest) = (0, 0, Duration::ZERO);
        for round in 0..rounds {
            acknowledged(&load, 60).await;
            let victim = round % 2;
            if round % 2 == 1 {
                // It answers nothing, holds its connections, its leases and its open pack, and is taken over from.
                signal(&servers[victim], Signal::STOP);
                longest = longest.max(until_alone(&servers[1 - victim]).await);
                acknowledged(&load, 20).await;
                signal(&servers[victim], Signal::CONT);
                until_both_serve(&servers[1 - victim]).await;
                let own = load.of[victim].load(Ordering::SeqCst);
                wait::until("the replica that woke acknowledges writes", PATIENCE, async || {
                    (load.of[victim].load(Ordering::SeqCst) >= own + 20).then_some(())
                })
                .await;
                pauses += 1;
            }
            load.replicas.lock().unwrap()[victim] = None;
            servers[victim].kill();
            acknowledged(&load, 20).await;
            longest = longest.max(until_alone(&servers[1 - victim]).await);
            start(&mut servers[victim]).await;
            load.replicas.lock().unwrap()[victim] = Some(servers[victim].native());
            until_both_serve(&servers[victim]).await;
            kills += 1;
        }
        acknowledged(&load, 60).await;
        load.stop.store(true, Ordering::SeqCst);
        (kills, pauses, longest)
    };
    let (_, (kills, pauses, longest)) = tokio::join!(running, disturbed);
    for server in &servers {
        let native = server.native();
        join_all(writers.iter().map(|writer| writer.verify(&native))).await;
    }
    let [mut one, mut two] = servers;
    one.stop().await;
    assert_eq!(states(&two).await, ["serving"], "who ends in order is gone at once");
    two.stop().await;
    two.assert_valid();
    start(&mut two).await;
    let native = two.native();
    join_all(writers.iter().map(|writer| writer.verify(&native))).await;
    s3::empty(&two.s3(), BUCKET).await;
    two.assert_nothing_left().await;
    for tier in ["hot", "cold"] {
        assert_eq!(
            peer.keys(&format!("{tier}/segments")).await,
            [] as [String; 0],
            "left in the {tier} tier"
        );
    }
    println!(
        "figures: replicas: {} writes acknowledged by two replicas, {} read back through the other one at once, {kills} \
         killed, {pauses} paused until taken over from: 0 lost, 0 left; taken over from after {} s at most",
        load.acknowledged.load(Ordering::SeqCst),
        load.read_back.load(Ordering::SeqCst),
        longest.as_secs()
    );
}
