//! Delivery of what the outbox holds: at least once, in order per key, whatever the target does and whenever the process
//! that delivers dies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::{Running, space};
use juststorage_core::application::ports::metadata::{OutboxRow, OutboxTarget, Stuck};
use juststorage_core::application::ports::sink::{Sink, Undelivered};
use juststorage_core::application::workers::outbox::{Delivery, Passed};
use juststorage_core::application::workers::{Deliveries, LEASE, OutboxWorker, Sinks, Worker as _};
use juststorage_core::domain::event::{
    EventName, NotificationRule, Notifications, Overflow, TargetKind, TargetName,
};
use juststorage_core::domain::settings::Setting;
use juststorage_core::domain::timestamp::Timestamp;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A target that notes what it takes, and does as it is told.
#[derive(Default)]
struct Noted {
    taken: Mutex<Vec<OutboxRow>>,
    /// How often it was asked.
    asked: Mutex<Vec<i64>>,
    /// Keys under way: never the same one twice.
    under_way: Mutex<HashSet<String>>,
    refuses: Mutex<HashSet<String>>,
    breaks_on: Mutex<HashSet<String>>,
    away: AtomicBool,
    /// Answers only when it is told to.
    hangs: AtomicBool,
    go: Notify,
}

impl Noted {
    fn keys(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|row| row.key.clone()).collect()
    }

    /// What was taken, in order of key: the ids of the objects.
    fn by_key(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in self.taken.lock().unwrap().iter() {
            let (_, facts) = row.event.clone().unwrap();
            all.entry(row.key.clone()).or_default().push(facts.object_id.unwrap());
        }
        all
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Sink for Noted {
    async fn deliver(&self, _: &OutboxTarget, row: &OutboxRow) -> Result<(), Undelivered> {
        self.asked.lock().unwrap().push(row.seq);
        assert!(
            self.under_way.lock().unwrap().insert(row.key.clone()),
            "two deliveries of {} at once",
            row.key
        );
        if self.hangs.load(Ordering::SeqCst) {
            self.go.notified().await;
        }
        // Deliveries of different keys overtake one another.
        for _ in 0..row.seq % 3 {
            tokio::task::yield_now().await;
        }
        self.under_way.lock().unwrap().remove(&row.key);
        if self.away.load(Ordering::SeqCst) || self.breaks_on.lock().unwrap().contains(&row.key) {
            return Err(Undelivered::Away("503".to_owned()));
        }
        if self.refuses.lock().unwrap().contains(&row.key) {
            return Err(Undelivered::Refused("422".to_owned()));
        }
        self.taken.lock().unwrap().push(row.clone());
        Ok(())
    }
}

/// A store that tells a target of every object that is made.
struct Telling {
    _folder: TempDir,
    running: Running,
    target: OutboxTarget,
    noted: Arc<Noted>,
}

impl Telling {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let running = Running::open(folder.path()).await;
        let target = OutboxTarget {
            name: TargetName::new("hooks").unwrap(),
            kind: TargetKind::Webhook,
            settings: "{}".to_owned(),
            secret: None,
            rows_max: 1000,
            overflow: Overflow::Refuse,
            keep: Duration::ZERO,
            created_at: Timestamp(0),
        };
        assert!(running.metadata.put_outbox_target(&target).await.unwrap());
        let rule = NotificationRule {
            id: "r".to_owned(),
            target: target.name.clone(),
            kind: target.kind,
            events: vec![EventName::parse("s3:ObjectCreated:*").unwrap()],
            prefix: None,
            suffix: None,
        };
        running.metadata.make_space(&space(), Timestamp(0)).await.unwrap();
        let rules = Setting::Notifications(Notifications { bucket: None, rules: vec![rule] });
        running.metadata.put_setting(&space(), None, &rules, None).await.unwrap().unwrap();
        Self { _folder: folder, running, target, noted: Arc::default() }
    }

    fn delivery(&self, holder: u128) -> Delivery {
        Delivery::new(
            self.running.metadata.clone(),
            self.running.clock.clone(),
            Uuid::from_u128(holder),
            self.noted.clone(),
            self.target.clone(),
            Deliveries::default(),
        )
    }

    /// Writes these keys one after another; the ids of the objects, by key.
    async fn put(&self, keys: &[&str]) -> BTreeMap<String, Vec<String>> {
        let mut made: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (n, key) in keys.iter().enumerate() {
            self.running.clock.advance(1);
            let object = self.running.put(key, n.to_le_bytes().to_vec()).await.unwrap();
            made.entry((*key).to_owned()).or_default().push(object.id.to_string());
        }
        made
    }

    async fn waiting(&self) -> Vec<OutboxRow> {
        self.running.metadata.outbox_page(&self.target.name, 0, 1000).await.unwrap()
    }

    async fn stuck(&self) -> Vec<(String, u64)> {
        let stuck = self.running.metadata.stuck(Some("outbox"), 10).await.unwrap();
        stuck.into_iter().map(|stuck| (stuck.item, stuck.failures)).collect()
    }

    async fn close(self) {
        assert_eq!(self.running.findings().await, []);
        self.running.close().await;
    }
}

/// Delivers until there is nothing left that is due; what it ended with.
async fn run(delivery: &mut Delivery) -> Passed {
    for _ in 0..1000 {
        match delivery.pass(&CancellationToken::new()).await.unwrap() {
            Passed::More => {}
            passed => return passed,
        }
    }
    panic!("the delivery does not come to an end");
}

#[tokio::test]
async fn events_of_a_key_come_in_order() {
    let telling = Telling::new().await;
    let keys: Vec<_> = (0..300).map(|n| ["a", "b", "c", "d", "e"][(n * n) % 5]).collect();
    let made = telling.put(&keys).await;
    let mut delivery = telling.delivery(1);
    assert_eq!(run(&mut delivery).await, Passed::Nothing);
    assert_eq!(telling.noted.by_key(), made);
    assert_eq!(telling.waiting().await, []);
    telling.close().await;
}

/// The process dies while a delivery is under way, and after it before the acknowledgement: both come again, and nothing is lost.
#[tokio::test]
async fn what_was_not_acknowledged_comes_again() {
    let telling = Telling::new().await;
    let made = telling.put(&["a", "b", "a"]).await;
    telling.noted.hangs.store(true, Ordering::SeqCst);
    let mut delivery = telling.delivery(1);
    let dying = tokio::spawn(async move { delivery.pass(&CancellationToken::new()).await });
    while telling.noted.asked() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(telling.waiting().await.len(), 3, "a row goes before it is delivered");
    // One was taken; its acknowledgement never comes, as the other one of the page hangs.
    telling.noted.go.notify_one();
    while telling.noted.keys().is_empty() {
        tokio::task::yield_now().await;
    }
    dying.abort();
    let _ = dying.await;
    let taken = telling.noted.taken.lock().unwrap()[0].clone();
    telling.noted.under_way.lock().unwrap().clear();
    telling.noted.hangs.store(false, Ordering::SeqCst);
    let mut next = telling.delivery(1);
    assert_eq!(run(&mut next).await, Passed::Nothing);
    let rows = telling.noted.taken.lock().unwrap().clone();
    let again: Vec<_> = rows.iter().filter(|row| row.event_id == taken.event_id).collect();
    assert_eq!(again.len(), 2, "it is not delivered again, or with another id");
    let mut first: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for row in &rows {
        let id = row.event.clone().unwrap().1.object_id.unwrap();
        if seen.insert(row.event_id) {
            first.entry(row.key.clone()).or_default().push(id);
        }
    }
    assert_eq!(first, made);
    assert_eq!(telling.waiting().await, []);
    telling.close().await;
}

/// An event that its target refuses is put aside with its key; the others go on; once it is taken, the key goes on in order.
#[tokio::test]
async fn an_event_that_is_refused_holds_its_key_alone() {
    let telling = Telling::new().await;
    telling.noted.refuses.lock().unwrap().insert("bad".to_owned());
    let made = telling.put(&["bad", "a", "bad", "b", "a"]).await;
    let first = telling.waiting().await[0].seq;
    let mut delivery = telling.delivery(1);
    assert_eq!(run(&mut delivery).await, Passed::Nothing);
    let mut keys = telling.noted.keys();
    keys.sort();
    assert_eq!(keys, ["a", "a", "b"]);
    let item = format!("event:hooks/{first}");
    assert_eq!(telling.stuck().await, [(item.clone(), 1)]);
    // Another process leaves it alone as well, until it is due.
    let mut other = telling.delivery(1);
    assert_eq!(run(&mut other).await, Passed::Nothing);
    assert_eq!(telling.stuck().await, [(item.clone(), 1)]);
    telling.running.clock.advance(31_000);
    assert_eq!(run(&mut other).await, Passed::Nothing);
    assert_eq!(telling.stuck().await, [(item, 2)]);
    telling.noted.refuses.lock().unwrap().clear();
    telling.running.clock.advance(61_000);
    assert_eq!(run(&mut other).await, Passed::Nothing);
    assert_eq!(telling.noted.by_key(), made);
    assert_eq!((telling.stuck().await, telling.waiting().await), (Vec::new(), Vec::new()));
    telling.close().await;
}

/// A target that is away is asked once at a time, longer and longer apart, with another event each time; then all of it comes.
#[tokio::test]
async fn a_target_that_is_away_is_left_alone() {
    let telling = Telling::new().await;
    let keys: Vec<String> = (0..50).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let made = telling.put(&keys).await;
    telling.noted.away.store(true, Ordering::SeqCst);
    let mut delivery = telling.delivery(1);
    let Passed::Away(first) = run(&mut delivery).await else { panic!("it is away") };
    let asked = telling.noted.asked();
    assert!(asked <= 8, "{asked} deliveries at once");
    let mut last = first;
    for n in 1..=5 {
        let Passed::Away(rest) = run(&mut delivery).await else { panic!("it is away") };
        assert_eq!(telling.noted.asked(), asked + n, "more than one event is tried");
        last = rest;
    }
    assert!(last > first * 8, "{first:?}, {last:?}");
    let tried: HashSet<_> = telling.noted.asked.lock().unwrap()[asked..].iter().copied().collect();
    assert_eq!(tried.len(), 5, "the same event is tried again and again");
    assert_eq!((telling.stuck().await, telling.waiting().await.len()), (Vec::new(), 50));
    telling.noted.away.store(false, Ordering::SeqCst);
    assert_eq!(run(&mut delivery).await, Passed::Nothing);
    assert_eq!(telling.noted.by_key(), made);
    telling.close().await;
}

/// A target that breaks on one event looks as if it were away; the others show that it is not, and the event is put aside.
#[tokio::test]
async fn an_event_that_breaks_its_target_is_put_aside() {
    let telling = Telling::new().await;
    telling.noted.breaks_on.lock().unwrap().insert("bad".to_owned());
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = std::iter::once("bad").chain(keys.iter().map(String::as_str)).collect();
    telling.put(&keys).await;
    let mut delivery = telling.delivery(1);
    for _ in 0..50 {
        if run(&mut delivery).await == Passed::Nothing {
            break;
        }
    }
    assert_eq!(telling.noted.keys().len(), 20);
    assert_eq!(telling.stuck().await.len(), 1);
    assert_eq!(telling.waiting().await.len(), 1);
    telling.close().await;
}

/// However many events of another target are put aside, those of this one are left alone until they are due. A target that
/// refuses more than can be put aside is left alone as a whole, and goes on once it takes something.
#[tokio::test]
async fn each_target_has_its_own_room_for_what_it_refuses() {
    let telling = Telling::new().await;
    for n in 0..3 {
        let stuck = Stuck {
            worker: "outbox".to_owned(),
            item: format!("event:another/{n}"),
            error: "422".to_owned(),
            failures: 1,
            since: Timestamp(0),
            next_at: Timestamp(i64::MAX),
        };
        telling.running.metadata.put_aside(&stuck).await.unwrap();
    }
    let bad = ["bad1", "bad2", "bad3"];
    telling.noted.refuses.lock().unwrap().extend(bad.map(str::to_owned));
    let made = telling.put(&["bad1", "bad2", "good"]).await;
    assert_eq!(run(&mut telling.delivery(1).with_aside(2)).await, Passed::Nothing);
    let asked = telling.noted.asked();
    let mut other = telling.delivery(1).with_aside(2);
    assert_eq!(run(&mut other).await, Passed::Nothing);
    assert_eq!(telling.noted.asked(), asked, "what is put aside is tried before it is due");

    let more = telling.put(&["bad3", "later"]).await;
    for _ in 0..4 {
        assert!(matches!(run(&mut other).await, Passed::Away(_)));
    }
    assert_eq!(telling.stuck().await.len(), 5, "more is put aside than there is room for");
    assert_eq!(telling.noted.keys(), ["good", "later"], "another one is tried each time");
    telling.noted.refuses.lock().unwrap().clear();
    telling.running.clock.advance(31_000);
    assert_eq!(run(&mut other).await, Passed::Nothing);
    assert_eq!(telling.noted.by_key(), made.into_iter().chain(more).collect());
    assert_eq!(telling.waiting().await, []);
    telling.close().await;
}

/// Two processes: one delivers. When its lease has ended the other one does, and what the first one still says counts no more.
#[tokio::test]
async fn one_process_delivers_at_a_time() {
    let telling = Telling::new().await;
    let (mut first, mut second) = (telling.delivery(1), telling.delivery(2));
    assert_eq!(run(&mut first).await, Passed::Nothing);
    telling.put(&["a"]).await;
    assert_eq!(run(&mut second).await, Passed::Elsewhere);
    assert_eq!(telling.noted.asked(), 0);

    // The first one stops in the middle of a delivery, for longer than its lease.
    telling.noted.hangs.store(true, Ordering::SeqCst);
    let paused = tokio::spawn(async move { first.pass(&CancellationToken::new()).await });
    while telling.noted.asked() == 0 {
        tokio::task::yield_now().await;
    }
    telling.running.clock.advance(i64::try_from(LEASE.as_millis()).unwrap() + 1);
    telling.noted.under_way.lock().unwrap().clear();
    telling.noted.hangs.store(false, Ordering::SeqCst);
    telling.noted.refuses.lock().unwrap().insert("a".to_owned());
    assert_eq!(run(&mut second).await, Passed::Nothing);
    assert_eq!(telling.waiting().await.len(), 1);
    telling.noted.refuses.lock().unwrap().clear();
    telling.noted.go.notify_one();
    paused.await.unwrap().unwrap();
    assert_eq!(telling.waiting().await.len(), 1, "who was followed still acknowledges");
    telling.running.clock.advance(31_000);
    assert_eq!(run(&mut second).await, Passed::Nothing);
    assert_eq!(telling.waiting().await, []);
    telling.close().await;
}

/// As a server does it: rows are delivered as soon as they are committed, to targets that were declared after its start, and
/// it ends at once.
#[tokio::test]
async fn a_server_delivers_what_it_commits() {
    let telling = Telling::new().await;
    let sinks = Sinks::default().with(TargetKind::Webhook, telling.noted.clone());
    let (metadata, clock) = (telling.running.metadata.clone(), telling.running.clock.clone());
    let worker = OutboxWorker::new(metadata, clock, Uuid::from_u128(9), sinks, Deliveries::default());
    worker.step().await.unwrap();
    let made = telling.put(&["a", "b", "a"]).await;
    let all = async {
        while telling.noted.keys().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("events are not delivered");
    assert_eq!(telling.noted.by_key(), made);
    worker.end().await;
    telling.put(&["c"]).await;
    assert_eq!(telling.waiting().await.len(), 1);
    telling.close().await;
}
